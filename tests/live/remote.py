#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Maildirs on a file system that another host serves: a directory by FUSE, mounted once for the server and once for another host.
The log says so once for each section; with lock = file no two hosts have sessions of one mailbox at the same time, and mail comes
and goes on both."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
from fusedir import FuseDir  # noqa: E402
from mounts import own_namespace  # noqa: E402
from pop import entered, session  # noqa: E402
from sections import accounts, maildirs  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402
from store import Store  # noqa: E402

LETTERS = [b"Subject: %d\n\nbody of %d\n" % (k, k) for k in range(3)]
PLAIN, LOCKED = ("ann", "ben"), ("cat", "dan")
WARNING, NOTICE = "serve such mailboxes by one host, or set lock = file", "lock = file keeps sessions of several hosts apart"


def told_once(tap, srv):
    for user in PLAIN + LOCKED:
        stat, = session(srv, user, "STAT")
        tap.ok(stat.startswith(b"+OK 3 "), "%s: served" % user, stat)
    srv.said(NOTICE)
    lines = [line for line in srv.log().splitlines() if "it is on FUSE: " in line]
    tap.ok(len(lines) == 2 and WARNING in lines[0] and "mail/ann: " in lines[0] and NOTICE in lines[1] and "mail/cat: " in lines[1],
           "each section says once where its mailboxes are, and what to do", "\n".join(lines))


def sick_file(tap, srv):
    """The directory has its name, and no type, as on NFS; all else fails."""
    with open(srv.path("raw", "eve", "new", "1700000009.M1P1-sick.test"), "wb") as f:
        f.write(LETTERS[0])
    with entered(srv, "eve") as p:
        stat, sick, others = p.say("STAT"), p.say("RETR 4"), [p.lines("RETR %d" % k) for k in (1, 2, 3)]
    tap.ok(stat.startswith(b"+OK 4 ") and sick.startswith(b"-ERR [SYS/TEMP]") and all(others),
           "a file that cannot even be looked at is listed, and cannot be fetched now; the others are served", (stat, sick, others))


def sick_maildir(tap, srv, other):
    os.mkdir(srv.path("raw", "fay-sick"))
    out = other.run("session", "fay-sick"), other.run("deliver", "fay-sick", other.file(b"Subject: x\r\n\r\nx\r\n"))
    tap.ok(out[0].open == "TEMP" and out[1].delivery == "TEMP",
           "a maildir of which the file server says that its handle is stale is not there for now", "\n".join(o.text for o in out))


def two_hosts(tap, srv, other):
    with entered(srv, "ann"):
        out = other.run("session", "ann")
        tap.ok(out.open == "OK", "lock = directory: the other host's session does not see this one, as the warning says", out.text)
    with entered(srv, "cat") as p:
        out = other.run("lock=file", "session", "cat")
        tap.ok(out.open == "BUSY", "lock = file: it does", out.text)
        reply = p.say("DELE 1"), p.say("QUIT")
    wait_until(lambda: other.run("lock=file", "session", "cat").open == "OK", 60, "the end of the session")
    out = other.run("lock=file", "session", "cat", "0")
    tap.ok(reply[1].startswith(b"+OK") and out.open == "OK" and len(out.messages) == 2 and out.commit == "OK",
           "after its end the other host is let in, and sees what was deleted", (reply, out.text))
    out = other.run("lock=file", "deliver", "cat,dan", other.file(b"Subject: new\r\n\r\nnew\r\n"))
    stats = [session(srv, user, "STAT")[0].split()[1] for user in ("cat", "dan")]
    tap.ok(out.delivery == "OK" and stats == [b"2", b"4"], "mail that the other host delivers is there", (out.text, stats))


def main():
    tap = Tap()
    own_namespace()
    with Server() as srv:
        srv.passwd({u: "restante" for u in PLAIN + LOCKED + ("eve",)}, **{u: "storage=locked" for u in LOCKED})
        for user in PLAIN + LOCKED + ("eve",):
            srv.maildir(user, LETTERS)
        os.rename(srv.path("mail"), srv.path("raw"))
        other = Store(srv.mkdir("other"))
        disk = FuseDir(srv.path("raw"), [srv.mkdir("mail"), srv.mkdir("other", "mail")])
        try:
            srv.configure(accounts(srv) + maildirs(srv) + maildirs(srv, name="locked", lock="file"))
            srv.start()
            told_once(tap, srv)
            two_hosts(tap, srv, other)
            sick_file(tap, srv)
            sick_maildir(tap, srv, other)
            srv.ends(tap)
        finally:
            disk.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
