#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server whose wall clock is not where it was noted: nothing is deleted because of its age, at QUIT, by the operator or in
the background, and mail is served and deleted as clients wish; until the operator accepts the clock."""
import hashlib
import os
import struct
import sys
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop  # noqa: E402
from restantectl import SEEN  # noqa: E402
from sections import plain  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

DAY = 86400


def note(server, wall):
    """The page of the clock, as another boot of the machine left it at that time."""
    rest = struct.pack("<QqqQqqqII", 1, 1, wall * 1000, 1, 1, wall * 1000, 0, 0, 0)
    digest = hashlib.sha256(rest).digest()[:8]
    path = server.path("state", "clock")
    with open(path, "wb") as f:
        f.write(b"rstclock" + struct.pack("<II", 24 + len(rest), 0) + digest + rest)
    server.give(server.path("state"))


def older(server, user, days):
    """As if all retrieved mail had been retrieved, and deleted, so many days earlier."""
    name = server.path("mail", user, "restante-ledger")
    out = []
    with open(name, "rb") as f:
        lines = f.read().split(b"\n")
    for line in lines:
        words = line.split(b" ")
        for at in {b"F": [3], b"H": [3], b"G": [4], b"M": [6, 7]}.get(words[1] if len(words) > 3 else b"", []):
            words[at] = b"%d" % max(0, int(words[at]) - days * DAY * 1000)
            body = b" ".join(words[1:])
            line = b"%08x %s" % (zlib.crc32(body), body)
        out.append(line)
    with open(name, "wb") as f:
        f.write(b"\n".join(out))


def say(server, *lines):
    p = Pop(server.clear_port)
    assert p.login("ann", "restante").startswith(b"+OK")
    count = int(p.say("STAT").split()[1])
    for line in lines:
        if line.startswith("RETR"):
            p.lines(line)
        else:
            assert p.say(line).startswith(b"+OK"), line
    assert p.say("QUIT").startswith(b"+OK")
    p.close()
    return count


def files(server):
    return sum(len(os.listdir(server.path("mail", "ann", d))) for d in ("new", "cur"))


def doubtful(server):
    return "\nrestante_clock_doubtful 1\n" in server.ctl("metrics").stdout


def main():
    tap = Tap()
    with Server() as server:
        server.mkdir("mail")
        server.passwd({"ann": "restante"})
        server.maildir("ann", [b"Subject: %d\n\nx\n" % k for k in range(6)])
        old = time.time() - 90 * DAY
        for name in os.listdir(server.path("mail", "ann", "new")):
            os.utime(server.path("mail", "ann", "new", name), (old, old))
        server.configure(plain(server), expire=30, undo=7)
        server.start()
        wait_until(lambda: server.ctl("status").returncode == 0, 30, "the control socket")
        tap.ok(not doubtful(server) and server.json("clock")["believed"], "a clock that runs is believed", server.json("clock"))
        SEEN.look("clock", server.json("clock"))
        say(server, "RETR 1", "RETR 2", "DELE 3")
        server.stop()
        older(server, "ann", 60)  # two are due, and the undo of the third is over
        note(server, int(time.time()) + 400 * DAY)
        server.start()
        wait_until(lambda: server.ctl("status").returncode == 0, 30, "the control socket")
        tap.ok(server.said("the wall clock shows") and doubtful(server), "noted ahead: the log and the metric say so", server.log()[-800:])
        tap.ok(not server.json("clock")["believed"] and server.json("clock")["expected"] > time.time() + 300 * DAY,
               "clock: shows what was expected", server.json("clock"))
        tap.ok(say(server) == 5 and say(server) == 5 and files(server) == 6, "no QUIT and no login deletes by age", files(server))
        said = server.ctl("expire", "ann")
        tap.ok(said.returncode != 0 and "in doubt" in said.stderr, "restantectl expire says why it deletes nothing", said.stderr)
        tap.ok(say(server, "DELE 5") == 5 and say(server) == 4, "what a client deletes is deleted")
        said = server.ctl("clock", "accept")
        tap.ok(said.returncode == 0 and not doubtful(server), "clock accept", said.stdout + said.stderr)
        tap.ok(say(server) == 4 and say(server) == 2, "QUIT deletes by age again")
        said = server.ctl("clock", "what")
        tap.ok(said.returncode == 64 and "accept" in said.stderr, "clock: nothing else", said.stderr)
        server.ends(tap, "the server ends cleanly")
    SEEN.show(tap, "clock")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
