#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real restanted on the storage module mysql, and a proxy before the MariaDB that breaks the connection at every
single command of a login, a QUIT and a delivery, before it arrives and after it was answered; and at COMMIT, also with
nobody to ask afterwards. What the client was told is compared with the rows. TAP."""
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from cutter import Cutter  # noqa: E402
from mailstore import MailStore  # noqa: E402
from pop import Pop  # noqa: E402
from server import Server, Tap, free_port  # noqa: E402

TEXT = b"Subject: one of them\r\n\r\nthe body\r\n"


class Lmtp:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.file = self.sock.makefile("rwb")
        self.reply()
        self.say(b"LHLO test.example.org")

    def reply(self):
        while True:
            line = self.file.readline()
            if line[3:4] != b"-":
                return line

    def say(self, text):
        self.file.write(text + b"\r\n")
        self.file.flush()
        return self.reply()

    def send(self, *users, text=TEXT):
        """The replies, one per recipient."""
        if not self.say(b"MAIL FROM:<a@example.org>").startswith(b"250"):
            return [b"mail"]
        for u in users:
            r = self.say(b"RCPT TO:<%s>" % u.encode())
            if not r.startswith(b"250"):
                self.say(b"RSET")
                return [r]
        r = self.say(b"DATA")
        if not r.startswith(b"354"):
            self.say(b"RSET")
            return [r]
        self.file.write(text + b".\r\n")
        self.file.flush()
        return [self.reply() for _ in users]

    def close(self):
        self.file.close()
        self.sock.close()


class Bed:
    """MariaDB, the cutter, restanted behind it."""

    def __init__(self, **settings):
        self.db = MailStore()
        self.cutter = Cutter(self.db.port)
        self.srv = Server()
        self.lmtp_port = free_port()
        self.srv.passwd({"u%d" % k: "restante" for k in range(400)})
        self.srv.extra_listeners = ("delivery {\n postmaster = u0\n}\nlistener lmtp {\n protocol = lmtp\n"
                                    " address = 127.0.0.1\n port = %d\n tls = none\n}\n" % self.lmtp_port)
        section = dict({"server": "127.0.0.1:%d" % self.cutter.port, "tls": "off", "tls_ca": self.db.ca,
                        "permits": 1, "trip_after": 1000000, "call_ms": "10s", "commit_ms": "10s"}, **settings)
        self.srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n%s"
                           % (self.srv.path("passwd"), self.db.section(**section)), takeover="0s")
        self.srv.start()
        self.next = 0

    def user(self):
        self.next += 1
        return "u%d" % self.next

    def fill(self, user, n):
        lmtp = Lmtp(self.lmtp_port)
        for _ in range(n):
            replies = lmtp.send(user)
            if not replies[0].startswith(b"250"):
                raise RuntimeError("delivery: %r\n%s" % (replies, self.srv.log()[-2000:]))
        lmtp.close()

    def rows(self, user):
        """Messages of the mailbox, and what its counters say of it."""
        r = self.db.sql("SELECT (SELECT COUNT(*) FROM mail_message m WHERE m.mailbox = b.id), messages,"
                        " octets - (SELECT COALESCE(SUM(octets), 0) FROM mail_message m WHERE m.mailbox = b.id)"
                        " FROM mail_box b WHERE user_key = '%s'" % user)
        return tuple(int(x) for x in r[0]) if r else (0, 0, 0)

    def close(self):
        rc, self.end = self.srv.stop(), self.srv.log()[-4000:]
        self.srv.close()
        self.cutter.close()
        self.db.close()
        return rc


def session(bed, user):
    p = Pop(bed.srv.clear_port)
    return p, p.login(user)


def quit_at(bed, k, mode, n=4, text=b"", times=1, then_block=False):
    """A session that deletes two of n messages, broken at the k-th command of its QUIT. (answer, rows, cuts)"""
    user = bed.user()
    bed.fill(user, n)
    p, r = session(bed, user)
    if not r.startswith(b"+OK"):
        raise RuntimeError("login: %r" % r)
    p.say("DELE 1")
    p.say("DELE 3")
    bed.cutter.arm(k, mode, times=times, text=text, then_block=then_block)
    r = p.say("QUIT")
    p.close()
    cuts = bed.cutter.cuts
    bed.cutter.disarm()
    bed.cutter.unblock()
    return r, bed.rows(user), cuts, user


def may_login(bed, user, n):
    """The maildrop is free, and holds n messages."""
    p, r = session(bed, user)
    stat = p.say("STAT") if r.startswith(b"+OK") else r
    p.say("QUIT")
    p.close()
    return stat.startswith(b"+OK %d " % n), stat


def sweep_quit(tap, bed):
    for mode in ("before", "after"):
        k, bad, total = 1, [], 0
        while True:
            r, rows, cuts, user = quit_at(bed, k, mode)
            if not cuts:
                break
            total += 1
            left = 2 if r.startswith(b"+OK") else 4
            free, stat = may_login(bed, user, left)
            if rows != (left, left, 0) or not free:
                bad.append((k, r, rows, stat))
            elif not r.startswith(b"+OK"):
                bad.append((k, r, "one broken connection is to be got over"))
            k += 1
        tap.ok(not bad and total >= 6, "QUIT broken %s each of its %d commands: done, once" % (mode, total), bad)


def commit_points(tap, bed):
    r, rows, cuts, user = quit_at(bed, 1, "before", text=b"COMMIT", times=100)
    tap.ok(not r.startswith(b"+OK") and rows == (4, 4, 0) and cuts >= 2,
           "no COMMIT ever arrives: an error, nothing deleted", (r, rows, cuts))
    tap.ok(may_login(bed, user, 4)[0], "the maildrop is free then", bed.srv.log()[-1000:])
    r, rows, cuts, user = quit_at(bed, 1, "after", text=b"COMMIT", then_block=True)
    tap.ok(r.startswith(b"-ERR") and rows == (2, 2, 0) and cuts == 1,
           "COMMIT is done, its answer lost, nobody to ask: never +OK, and said in the log", (r, rows))
    tap.ok(bed.srv.said("UNKNOWN") or b"unknown" in r, "its outcome is called unknown", (r, bed.srv.log()[-1500:]))
    r, rows, cuts, user = quit_at(bed, 1, "before", text=b"COMMIT", then_block=True)
    tap.ok(r.startswith(b"-ERR") and rows == (4, 4, 0), "COMMIT did not arrive, nobody to ask: an error, nothing deleted",
           (r, rows))


def sweep_login(tap, bed):
    for mode in ("before", "after"):
        k, bad, total = 1, [], 0
        while True:
            user = bed.user()
            bed.fill(user, 1)
            bed.cutter.arm(k, mode)
            p, r = session(bed, user)
            cuts = bed.cutter.cuts
            bed.cutter.disarm()
            p.say("QUIT")
            p.close()
            free, stat = may_login(bed, user, 1)
            if not r.startswith(b"+OK") or not free:
                bad.append((k, r, stat))
            if not cuts:
                break
            total += 1
            k += 1
        tap.ok(not bad and total >= 3, "login broken %s each of its %d commands: got over, never locked out"
               % (mode, total), bad)


def sweep_delivery(tap, bed):
    for mode in ("before", "after"):
        k, bad, total = 1, [], 0
        while True:
            a, b = bed.user(), bed.user()
            bed.fill(a, 1)
            lmtp = Lmtp(bed.lmtp_port)
            bed.cutter.arm(k, mode)
            replies = lmtp.send(a, b, text=TEXT + b"x" * 70000 + b"\r\n")
            cuts = bed.cutter.cuts
            bed.cutter.disarm()
            lmtp.close()
            ok = [r.startswith(b"250") for r in replies] if len(replies) == 2 else [False, False]
            rows = (bed.rows(a), bed.rows(b))
            if rows != ((1 + ok[0], 1 + ok[0], 0), (0 + ok[1], 0 + ok[1], 0)) or not all(ok):
                bad.append((k, replies, rows))
            if not cuts:
                break
            total += 1
            k += 1
        tap.ok(not bad and total >= 10, "delivery to two broken %s each of its %d commands: accepted, each copy once"
               % (mode, total), bad)


def main():
    tap = Tap()
    bed = Bed()
    try:
        sweep_quit(tap, bed)
        sweep_login(tap, bed)
        sweep_delivery(tap, bed)
        commit_points(tap, bed)
    finally:
        rc = bed.close()
    tap.ok(rc == 0, "the server ended cleanly", "%s\n%s" % (rc, bed.end))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
