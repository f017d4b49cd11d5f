#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real restanted on the storage module mysql, and a proxy in front of MariaDB that breaks the connection at every
single command of a login, a QUIT and a delivery, before it arrives and after it was answered; and at COMMIT, also with
no server to ask afterwards. The answers to the client are compared with the rows. TAP."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailbed import Bed, Lmtp, TEXT  # noqa: E402
from pop import Pop  # noqa: E402
from server import Tap  # noqa: E402

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
    tap.ok(r.startswith(b"-ERR") and rows == (4, 4, 0), "COMMIT did not arrive, no server to ask: an error, nothing deleted",
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
