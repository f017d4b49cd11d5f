#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A login that meets the server's own work in its mailbox (undelete, expire, a move to the undo storage) waits until that gives
way, and is not told [IN-USE]; what gave way is done later. The store is slowed down so that the work takes its time."""
import os
import sys
import threading
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from pop import Pop  # noqa: E402
from sections import block, maildirs  # noqa: E402
from server import Tap, wait_until  # noqa: E402
from undorig import UndoServer  # noqa: E402

MANY = 900  # eight slices of records, each of them slow
DAY_MS = 86400 * 1000


class Ordered:
    """A restantectl order under way; result() waits for its end."""

    def __init__(self, server, *args):
        self.out = {}
        self.thread = threading.Thread(target=lambda: self.out.update(server.json(*args)))
        self.thread.start()

    def result(self):
        self.thread.join()
        return self.out


def is_locked(path):
    """Somebody has the session lock of this maildir."""
    inode = b":%d " % os.stat(path).st_ino
    with open("/proc/locks", "rb") as f:
        return any(b" FLOCK " in line and inode in line for line in f)


def older(box):
    """As if retrieved mail had been retrieved two days ago."""
    name = os.path.join(box, "restante-ledger")
    with open(name, "rb") as f:
        lines = f.read().split(b"\n")
    for k, line in enumerate(lines):
        words = line.split(b" ")
        if len(words) == 4 and words[1] == b"F":
            words[3] = b"%d" % (int(words[3]) - 2 * DAY_MS)
            lines[k] = b"%08x " % zlib.crc32(b" ".join(words[1:])) + b" ".join(words[1:])
    with open(name, "wb") as f:
        f.write(b"\n".join(lines))


def meets(server, user, box, *commands):
    """Logs in while the mailbox is locked by the server; the answers. The session ends without QUIT: it changes nothing."""
    wait_until(lambda: is_locked(box), 60, "the work to have the mailbox")
    with Pop(server.clear_port) as p:
        return [p.login(user)] + [p.say(c) for c in commands]


def rig(server, undo, **settings):
    """ann's store is slow, cat's so slow that a look takes longer than a login waits, ben's hangs."""
    server.mkdir("mail")
    server.mkdir("attic")
    server.passwd({u: "restante" for u in ("ann", "ben", "cat")}, ben="storage=stuck", cat="storage=slower")
    server.configure(
        block("auth", "accounts", module="passwd", file=server.path("passwd"), allow_plain="yes", storage="slow") +
        maildirs(server, "a/%n", name="one") + maildirs(server, "b/%n", name="two") + maildirs(server, "c/%n", name="three") +
        block("storage", "slow", module="fault", wrap="one", rule="mbox_info * sleep 40") +
        block("storage", "stuck", module="fault", wrap="two", rule="mbox_info * hang", release=server.path("release"), scan_ms=60000) +
        block("storage", "slower", module="fault", wrap="three", rule="mbox_info * sleep 300") +
        undo, undo=7, expire=1, **settings)
    server.maildir("b/ben", [b"Subject: one\n\n1\n"])
    for box in ("a/ann", "c/cat"):
        server.maildir(box, [b"Subject: %d\n\nnumber\n" % k for k in range(MANY)])
    server.start()


def gives_way(tap, server):
    order = Ordered(server, "undelete", "cat", "--all")
    seen = meets(server, "cat", server.path("mail", "c", "cat"), "NOOP")
    done = order.result()
    tap.ok(seen == [b"+OK 900 messages\r\n", b"+OK\r\n"] and not done.get("succeeded") and done.get("busy") == 1,
           "undelete: a login in the middle of it is let in, and the order says that somebody logged in", (seen, done))


def expired(tap, server):
    box = server.path("mail", "a", "ann")
    with Pop(server.clear_port) as p:
        p.login("ann")
        for k in (1, 2, 899):
            p.lines("RETR %d" % k)
        p.say("QUIT")
    older(box)
    order = Ordered(server, "expire", "--all")
    seen = meets(server, "ann", box, "NOOP")
    done = order.result()
    tap.ok(seen[0] == b"+OK 900 messages\r\n", "expire: a login in the middle of it is let in", (seen, done))
    tap.ok(done.get("succeeded") and done.get("busy") == 0 and done.get("messages") == 3,
           "expire: it comes back to the mailbox when its session is over", done)


def hangs(tap, server):
    """A call of the store that does not end cannot be given up: the login is told after two seconds."""
    order = Ordered(server, "undelete", "ben", "--all")
    seen = meets(server, "ben", server.path("mail", "b", "ben"))
    tap.ok(seen[0].startswith(b"-ERR [IN-USE]"), "a store that hangs: the login is not kept waiting for it", seen)
    server.release()
    order.result()
    with Pop(server.clear_port) as p:
        said = p.login("ben")
        tap.ok(said.startswith(b"+OK"), "and is let in as soon as it goes on", said)


def moved(tap):
    with UndoServer() as server:
        box = server.path("mail", "a", "ann")
        rig(server, server.attic(), undo_storage="attic")
        with Pop(server.clear_port) as p:
            p.login("ann")
            for k in range(200):
                p.say("DELE %d" % (k + 1))
            p.say("QUIT")
        seen = meets(server, "ann", box, "NOOP")
        tap.ok(seen[0] == b"+OK 700 messages\r\n", "a move to the undo storage: a login in the middle of it is let in", seen)
        done = server.json("expire", "ann")
        tap.ok(done.get("succeeded") and server.hidden("ann") == 0 and len(server.listed("ann")) == 200,
               "the move is made when its session is over", (done, server.log()[-1500:]))
        server.ends(tap, "a move: the server ends cleanly")


def main():
    tap = Tap()
    with UndoServer() as server:
        rig(server, "")
        hangs(tap, server)
        gives_way(tap, server)
        expired(tap, server)
        server.ends(tap)
    moved(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
