#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A maildir of 100,000 messages is an ordinary mailbox (with ALL=yes one of 1,000,000): login, STAT, UIDL, LIST,
RETR at both ends, deletions, and the same again - every number and unique-id checked, while users with small
mailboxes come and go. Prints the times; none of them is judged."""
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import poplib  # noqa: E402
from server import Server, Tap  # noqa: E402

N = int(os.environ.get("MESSAGES", "1000000" if os.environ.get("ALL") == "yes" else "100000"))
DELETE_EVERY = 10
poplib._MAXLINE = 1 << 20


def make_mailbox(srv):
    """Messages of different sizes and line ends; one file in ten is in cur, a few names carry W=."""
    base = srv.maildir("big")
    for k in range(N):
        body = b"Subject: %d\n\n%s\n" % (k, b"x" * (k % 50))
        name = "%d.M%06dP1.big" % (1600000000 + k, k % 1000000)
        if k % 7 == 0:
            name += ",S=%d,W=%d" % (len(body), len(body) + 3)
        where = "new/" + name if k % 10 else "cur/%s:2,S" % name
        fd = os.open(os.path.join(base, where), os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, body)
        os.close(fd)
    srv.give(base)


def octets(k):
    return len(b"Subject: %d\n\n%s\n" % (k, b"x" * (k % 50))) + 3


def uidl(k):
    return b"%d.M%06dP1.big" % (1600000000 + k, k % 1000000)


class Session:
    def __init__(self, srv, user="big"):
        self.pop = poplib.POP3("127.0.0.1", srv.clear_port, timeout=900)
        self.pop.user(user)
        self.pop.pass_("restante")


def small_users(srv, stop, tally):
    while not stop.is_set():
        try:
            s = Session(srv, "small")
            ok = s.pop.stat() == (2, 2 * octets(0)) and len(s.pop.retr(1)[1]) == 3
            s.pop.quit()
            tally[0 if ok else 1] += 1
        except (OSError, poplib.error_proto) as e:
            tally[1] += 1
            tally[2] = str(e)
        time.sleep(0.01)


def look(tap, srv, kept, what):
    """A whole session on the messages `kept` (their numbers as made)."""
    t0 = time.monotonic()
    s = Session(srv)
    t1 = time.monotonic()
    count, total = s.pop.stat()
    t2 = time.monotonic()
    tap.ok((count, total) == (len(kept), sum(map(octets, kept))), "%s: STAT %d %d" % (what, count, total))
    uidls = s.pop.uidl()[1]
    tap.ok(uidls == [b"%d %s" % (i + 1, uidl(k)) for i, k in enumerate(kept)], "%s: UIDL of every message" % what)
    sizes = s.pop.list()[1]
    tap.ok(sizes == [b"%d %d" % (i + 1, octets(k)) for i, k in enumerate(kept)], "%s: LIST of every message" % what)
    ends = all(s.pop.retr(i + 1)[1][0] == b"Subject: %d" % kept[i] for i in (0, 1, len(kept) // 2, len(kept) - 1))
    tap.ok(ends, "%s: RETR at both ends and in between" % what)
    t3 = time.monotonic()
    tap.note("%s: login %.2f s, STAT %.2f s, UIDL and LIST %.2f s" % (what, t1 - t0, t2 - t1, t3 - t2))
    return s


def peak_mib(pid):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024
    return 0


def main():
    tap = Tap()
    srv = Server()
    stop, tally = threading.Event(), [0, 0, ""]
    try:
        srv.passwd({"big": "restante", "small": "restante"})
        t0 = time.monotonic()
        make_mailbox(srv)
        srv.maildir("small", [b"Subject: 0\n\n\n"] * 2)
        tap.note("%d files made in %.0f s" % (N, time.monotonic() - t0))
        srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                      "storage mail {\n module = maildir\n path = %s/%%n\n}\n" % (srv.path("passwd"), srv.path("mail")),
                      idle_timeout=900)
        srv.start()
        others = threading.Thread(target=small_users, args=(srv, stop, tally))
        others.start()
        everything = list(range(N))
        look(tap, srv, everything, "first").pop.quit()
        s = look(tap, srv, everything, "known")
        t0 = time.monotonic()
        for k in range(0, N, DELETE_EVERY):
            s.pop._putcmd("DELE %d" % (k + 1))
            if k % (DELETE_EVERY * 500) == 0:
                for _ in range(min(k // DELETE_EVERY + 1, 500) if k else 1):
                    s.pop._getresp()
        done = (N - 1) // DELETE_EVERY
        for _ in range(done - done // 500 * 500):
            s.pop._getresp()
        t1 = time.monotonic()
        s.pop.quit()
        tap.note("%d DELE %.2f s, QUIT %.2f s" % (done + 1, t1 - t0, time.monotonic() - t1))
        kept = [k for k in everything if k % DELETE_EVERY]
        look(tap, srv, kept, "after deletions").pop.quit()
        stop.set()
        others.join()
        tap.ok(tally[0] > 0 and tally[1] == 0, "meanwhile %d sessions of others, %d failed" % (tally[0], tally[1]), tally[2])
        tap.ok("size-mismatch" not in srv.log(), "sizes as announced", srv.log()[-1000:])
        tap.note("the server's memory at its most: %d MiB" % peak_mib(srv.proc.pid))
    finally:
        stop.set()
        rc = srv.close()
    tap.ok(rc == 0, "the server ended cleanly", rc)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
