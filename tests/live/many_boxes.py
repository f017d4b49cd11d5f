#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restantectl expire --all over hundreds of mailboxes: several are at work side by side, so one that hangs does not stop the others;
a mailbox where nothing is over is neither locked nor written to; each is counted once."""
import fcntl
import itertools
import json
import os
import re
import subprocess
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from gives_way import older  # noqa: E402
from pop import Pop  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from server import Server, Tap  # noqa: E402

MANY = 700  # eleven pages
HELD = 3    # locked by another program all the time
USERS = ["u%03d" % k for k in range(MANY)]
LETTER = b"Subject: one\n\nline\n"


def tree(root):
    """All files and directories with their times: any change shows."""
    return {os.path.join(d, n): os.stat(os.path.join(d, n)).st_ctime_ns for d, dirs, files in os.walk(root) for n in dirs + files}


def retrieve(server, user, *more):
    with Pop(server.clear_port) as p:
        p.login(user)
        p.lines("RETR 1")
        for command in more:
            p.say(command)
        p.say("QUIT")


def hidden_longer(box):
    """As if deleted mail had been hidden eight days earlier."""
    name = os.path.join(box, "restante-ledger")
    with open(name, "rb") as f:
        lines = f.read().split(b"\n")
    for k, line in enumerate(lines):
        words = line.split(b" ")
        if words[1:2] in ([b"H"], [b"G"]) and len(words[-1]) == 13:
            words[-1] = b"%d" % (int(words[-1]) - 8 * 86400 * 1000)
            lines[k] = b"%08x " % zlib.crc32(b" ".join(words[1:])) + b" ".join(words[1:])
    with open(name, "wb") as f:
        f.write(b"\n".join(lines))


def prepare(server):
    server.mkdir("mail")
    server.passwd({u: "restante" for u in USERS})
    server.configure(accounts(server) + maildirs(server, name="real") +
                     block("storage", "mail", module="fault", wrap="real", rule=["mbox_open 7 hang"], release=server.path("release"),
                           permits=8, scan_ms=600000), expire=1, undo=7)
    for u in USERS:
        server.maildir(u, [LETTER] if u < USERS[40] else [])


def main():
    tap = Tap()
    with Server() as server:
        prepare(server)
        server.start()
        for u in USERS[:3]:
            retrieve(server, u)
        for u in USERS[1:3]:
            older(server.path("mail", u))
        retrieve(server, USERS[3], "DELE 1")  # its time is over; that of the next one is not
        hidden_longer(server.path("mail", USERS[3]))
        retrieve(server, USERS[4], "DELE 1")
        locks = [os.open(server.path("mail", u), os.O_RDONLY) for u in USERS[10:10 + HELD]]
        for fd in locks:
            fcntl.flock(fd, fcntl.LOCK_EX)
        before = tree(server.path("mail"))
        order = subprocess.Popen([server.bin("restantectl"), "-s", server.path("run", "control"), "--json", "expire", "--all"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        seen = 0
        for said in itertools.islice(order.stderr, 30):  # progress, every second
            seen = int(re.match(r"\D*(\d+) mailboxes", said).group(1))
            if seen >= MANY - 64:
                break
        tap.ok(order.poll() is None and MANY - 64 <= seen < MANY,
               "one mailbox hangs: the pages of the others are worked through meanwhile", seen)
        server.release()
        out = json.loads(order.communicate()[0])
        for fd in locks:
            os.close(fd)
        tap.ok(out.get("succeeded") and out.get("mailboxes") == MANY and out.get("failed") == 0, "each is counted once", out)
        tap.ok(out.get("messages") == 2 and out.get("busy") == 0,
               "what is over goes; mailboxes that another program has locked are no obstacle where nothing is over", out)
        after = tree(server.path("mail"))
        changed = {os.path.relpath(k, server.path("mail")).split("/")[0] for k in set(before) | set(after) if before.get(k) != after.get(k)}
        tap.ok(changed == set(USERS[1:4]), "nothing else is written to", sorted(changed))
        left = [len(os.listdir(server.path("mail", u, "new"))) + len(os.listdir(server.path("mail", u, "cur"))) for u in USERS[:6]]
        tap.ok(left == [1, 1, 1, 0, 1, 1], "deleted mail goes when its time is over, and stays hidden before", left)
        server.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
