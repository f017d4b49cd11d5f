#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A message was accepted for three recipients, and the store of two of them failed after the 250: it waits in Badmail. restanted
dies at each kill point of its retry (builds with --enable-kill-points), the store's and Badmail's own, and starts again. Each of
the two gets it once, even one who had it when the server died, or who fetched and deleted it before the next try.
Without --all every other time each. Usage: badmail_twice.py [STORE...]"""
import glob
import json
import os
import re
import smtplib
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailstore import MailStore  # noqa: E402
from pop import entered  # noqa: E402
from sections import accounts, block, store  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

ALL = os.environ.get("ALL") == "yes"
STORES = ("maildir", "mbox", "mysql")
MOST = 24  # kill points a retry may have, in the store (m) or in the server (s)
HOUR = 3600


class Bed:
    """Users a0, b0, a1, b1, ...: message k is for ak and bk, whose mail is in `late`."""

    def __init__(self, kind):
        self.kind, self.server = kind, Server()
        self.db = MailStore() if kind == "mysql" else None
        s = self.server
        s.mkdir("mail")
        self.port = s.listen("smtp")
        late = ["%s%d" % (who, k) for k in range(4 * MOST) for who in "ab"]
        s.passwd({u: "restante" for u in ["good", *late]}, **{u: "storage=late" for u in late})
        self.rules("dlv_prepare * error TEMP")
        s.configure(self.sections(), max_per_address="0")

    def sections(self):
        s = self.server
        if self.db:
            real = self.db.section() + self.db.section("frail")
        else:
            real = store(s, self.kind) + store(s, self.kind, name="frail")
        return (accounts(s) + real + block("storage", "late", module="fault", wrap="frail", script=s.path("late.rules")) +
                block("delivery", postmaster="good") + block("badmail", path=s.mkdir("bad"), retry_first=1, retry_max="2h"))

    def rules(self, text):
        self.server.write("late.rules", text + "\n")

    def accept(self, k):
        raw = b"Subject: number %d\r\n\r\n%s" % (k, b"a line of it\r\n" * (10 * k))
        with smtplib.SMTP("127.0.0.1", self.port, timeout=120) as c:
            c.sendmail("clerk@example.org", ["good", "a%d" % k, "b%d" % k], raw)

    def sidecars(self):
        """Subject's number -> its item's sidecar."""
        out = {}
        for path in glob.glob(self.server.path("bad", "retry", "*", "*", "*.json")):
            with open(path, "rb") as f:
                out[int(re.match(r"a(\d+)", json.load(f)["recipients"][0]).group(1))] = path
        return out

    def close(self):
        self.server.close()
        if self.db:
            self.db.close()


def when(path, seconds):
    """Makes the item due this many seconds from now."""
    try:
        os.utime(path, (time.time() + seconds,) * 2)
    except FileNotFoundError:
        pass


def named(path, user):
    """Whether this recipient still waits."""
    try:
        with open(path, "rb") as f:
            return user in json.load(f)["recipients"]
    except FileNotFoundError:
        return False


def begin(bed, n):
    """n messages are accepted, and would wait for longer than the test takes."""
    bed.server.start()
    for k in range(n):
        bed.accept(k)
    wait_until(lambda: len(bed.sidecars()) == n, 60, "what was accepted to wait")
    bed.server.stop()
    sidecars = bed.sidecars()
    for path in sidecars.values():
        when(path, HOUR)
    bed.rules("dlv_prepare 2 error TEMP")  # for the other one it is the first time: the sidecar is rewritten
    return sidecars


def fetch(server, user, delete):
    """The number of messages there."""
    with entered(server, user) as p:
        n = int(p.say("STAT").split()[1])
        for k in range(n if delete else 0):
            p.lines("RETR %d" % (k + 1))
            p.say("DELE %d" % (k + 1))
        return n


def one_death(bed, k, path, point, delete):
    """(died, somebody already had it while it was still queued for him, problem)"""
    server, users = bed.server, ("a%d" % k, "b%d" % k)
    os.environ["RESTANTE_KILL_POINT"] = point
    try:
        server.start()
    finally:
        del os.environ["RESTANTE_KILL_POINT"]
    when(path, -1)
    wait_until(lambda: not server.alive() or not os.path.exists(path), 120, "the retry")
    rc = server.stop()
    died = rc == 99
    when(path, HOUR)
    server.start()
    got = {u: fetch(server, u, delete) for u in users}
    cut = [u for u in users if got[u] and named(path, u)]
    when(path, -1)
    wait_until(lambda: not os.path.exists(path), 120, "the item to be delivered")
    all_of_it = {u: fetch(server, u, True) + (got[u] if delete else 0) for u in users}
    server.stop()
    wrong = [u for u in users if all_of_it[u] != 1]
    if rc not in (0, 99):
        return died, cut, "exit %s\n%s" % (rc, server.log()[-1500:])
    return died, cut, wrong and "%s had it when the server died, in the end they got it %s times\n%s" % (
        cut, all_of_it, server.log()[-1500:])


def deaths(tap, kind):
    bed = Bed(kind)
    try:
        sidecars = begin(bed, 4 * MOST)
        n, cut, problems = {"m": 0, "s": 0}, {True: 0, False: 0}, []
        for where in n:
            died = True
            while died and n[where] < MOST:
                point = "%s%d" % (where, n[where] + 1)
                died = False
                for delete in (False, True) if ALL else (n[where] % 2 == 1,):
                    k, path = sidecars.popitem()
                    dead, had, problem = one_death(bed, k, path, point, delete)
                    died = died or dead
                    cut[delete] += len(had)
                    problems += ["%s%s: %s" % (point, ", fetched and deleted" if delete else "", problem)] if problem else []
                n[where] += died
        tap.ok(2 <= n["m"] < MOST and 5 <= n["s"] < MOST and not problems,
               "%s: %d kill points of the store, %d of the server in a retry: each recipient gets it once" % (kind, n["m"], n["s"]),
               "\n".join(problems))
        tap.ok(all(cut.values()), "%s: %d of them had it and waited for it still, %d fetched and deleted it before the next try" % (
            kind, cut[False], cut[True]))
        tap.ok("AddressSanitizer" not in bed.server.log() and "runtime error" not in bed.server.log(),
               "%s: the sanitizers say nothing" % kind, bed.server.log()[-3000:])
    finally:
        bed.close()


def main():
    tap = Tap()
    for kind in sys.argv[1:] or STORES:
        deaths(tap, kind)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
