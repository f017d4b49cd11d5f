#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Quotas, retention and undo on the stores that are not maildirs: the same questions as in full.py and keep.py, to an mbox
store and to one in MariaDB, which counts by itself."""
import os
import re
import sys
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from full import LIMITS, USERS, by_domain, by_domain_octets, by_messages, by_octets, ctl, deliver  # noqa: E402
from mailstore import MailStore  # noqa: E402
from pop import Pop, mails, session  # noqa: E402
from sections import accounts, block, store as files  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

DAY_MS = 86400 * 1000
KEPT = block("domain", "zero.example", expire=0) + block("domain", "keep.example", expire=30, undo=7)
ZERO, KEEP = "ann@zero.example", "ben@keep.example"


class Mbox:
    name = "mbox"
    by_domain = staticmethod(by_domain)

    def section(self, server):
        return files(server, "mbox", "%d/%n")

    def came(self, server, user, days):
        """Moves the arrival of all mail this many days back, before anybody has seen it: the dates of its From_ lines."""
        path = server.path("mail", *reversed(user.split("@")))
        date = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(time.time() - days * 86400)).encode()
        with open(path, "rb") as f:
            raw = f.read()
        with open(path, "wb") as f:
            f.write(re.sub(rb"(?m)^(From \S+ +)\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$", lambda m: m.group(1) + date, raw))

    def older(self, server, days):
        """Moves every retrieval this many days back: F lines of the ledgers with another time."""
        base = server.path("state", "mbox", "ledger")
        for name in os.listdir(base):
            with open(os.path.join(base, name), "rb") as f:
                lines = f.read().split(b"\n")
            for k, line in enumerate(lines):
                words = line.split(b" ")
                at = {b"F": 3, b"M": 6}.get(words[1]) if len(words) > 3 else None
                if at and int(words[at]) > 0:
                    words[at] = b"%d" % (int(words[at]) - days * DAY_MS)
                    rest = b" ".join(words[1:])
                    lines[k] = b"%08x %s" % (zlib.crc32(rest), rest)
            with open(os.path.join(base, name), "wb") as f:
                f.write(b"\n".join(lines))
        index = server.path("state", "mbox", "index")  # its memory of unchanged files is rebuilt
        for name in os.listdir(index):
            os.unlink(os.path.join(index, name))

    def close(self):
        pass


class Sql:
    name = "mysql"

    def __init__(self):
        self.db = MailStore()

    def section(self, server):
        return self.db.section()

    def counted(self):
        return int(self.db.sql("SELECT SUM(messages) FROM mail_domain WHERE domain = 'club.example'")[0][0])

    def by_domain(self, tap, server):
        """The store's own count."""
        mails(server, "dan@club.example")  # a mailbox that a login makes, before anything is delivered to it
        cat, dan = "cat@club.example", "dan@club.example"
        out = [deliver(server, cat, dan) for _ in range(3)]
        over = deliver(server, cat, "eve@free.example"), deliver(server, dan)
        tap.ok(all(c[0] == 250 for o in out for c in o.values()) and over[0][cat][0] == 452 == over[1][dan][0] and
               "4.2.2" in over[0][cat][1] and over[0]["eve@free.example"][0] == 250,
               "six of six messages of the domain, then 452 4.2.2 for both; other domains go on", (out, over))
        full = self.counted()
        session(server, cat, "DELE 1", "DELE 2")
        after = self.counted()
        out = [deliver(server, dan)[dan][0] for _ in range(3)]
        tap.ok((full, after) == (6, 4) and out == [250, 250, 452], "two are deleted: there is room for two", (full, after, out))
        recounted = ctl(server, "quota", "--domain", "club.example", "--recount")
        told = ctl(server, "quota", "--domain", "club.example"), ctl(server, "quota", dan)
        tap.ok(recounted.get("messages") == 6 and [(u.get("domain_used_messages"), u.get("counted_by")) for u in told] == [(6, "store")] * 2 and
               not os.path.exists(server.path("state", "quota", "club.example")),
               "restantectl quota --domain: the store tells, and no count of ours is made beside it", (recounted, told))

    def came(self, server, user, days):
        self.db.sql("UPDATE mail_message SET received = received - INTERVAL %d DAY" % days)

    def older(self, server, days):
        self.db.sql("UPDATE mail_message SET first_retrieved = first_retrieved - INTERVAL %d DAY" % days)

    def close(self):
        self.db.close()


class Named:
    """Test points with the store's name before them."""

    def __init__(self, tap, name):
        self.tap, self.name = tap, name

    def ok(self, good, name, why=""):
        return self.tap.ok(good, "%s: %s" % (self.name, name), why)


def retrieve(server, user, *numbers, leave=False):
    p = Pop(server.clear_port)
    p.login(user)
    for n in numbers:
        p.lines("RETR %d" % n)
    if not leave:
        p.say("QUIT")
    p.close()
    wait_until(lambda: not server.json("sessions", "--user", user).get("sessions"), 30, "the session to end")


def count(server, user):
    return int(session(server, user, "STAT")[0].split()[1])


def expire_zero(tap, server):
    for _ in range(4):
        deliver(server, ZERO)
    retrieve(server, ZERO, 1, 3, leave=True)
    left = count(server, ZERO)
    retrieve(server, ZERO, 1, 3)
    tap.ok((left, count(server, ZERO)) == (4, 2), "expire = 0: retrieved mail goes with QUIT, and not without", left)


def expire_days(tap, server, store):
    for _ in range(4):
        deliver(server, KEEP)
    store.came(server, KEEP, 90)  # nothing counts as retrieved before it came
    retrieve(server, KEEP, 1, 2)
    before = count(server, KEEP)
    store.older(server, 31)
    dry = ctl(server, "expire", KEEP, "--dry-run")
    done = server.ctl("expire", "--domain", "keep.example", timeout=60)
    tap.ok(before == 4 and dry.get("messages") == 2 and done.returncode == 0 and "mailboxes" in done.stderr and count(server, KEEP) == 2,
           "expire = 30: restantectl expire, thirty days after the first retrieval, with progress", (before, dry, done))
    retrieve(server, KEEP, 1)
    store.older(server, 31)
    at_quit = count(server, KEEP), count(server, KEEP)
    tap.ok(at_quit[1] == 1, "expire = 30: and a QUIT does it as well", at_quit)


def undo(tap, server):
    session(server, KEEP, "DELE 1")
    hidden = ctl(server, "undelete", KEEP, "--list").get("hidden", [])
    u = ctl(server, "quota", KEEP)
    tap.ok(len(hidden) == 4 and count(server, KEEP) == 0 and (u.get("used_messages"), u.get("hidden_messages")) == (0, 4),
           "undo: what expired and what was deleted is hidden, and not in the usage", (hidden, u))
    one = ctl(server, "undelete", KEEP, next((h["uidl"] for h in hidden if h["first_retrieved_ms"]), "none"))
    counts = count(server, KEEP), count(server, KEEP)
    out = ctl(server, "expire", KEEP)
    tap.ok(one.get("messages") == 1 and counts == (1, 1) and out.get("messages") == 0 and count(server, KEEP) == 1,
           "undelete: it is back, and its age begins anew", (one, counts, out))
    rest = ctl(server, "undelete", KEEP, "--all")
    tap.ok(rest.get("messages") == 3 and len(mails(server, KEEP)) == 4, "undelete --all: all are back, and can be fetched", rest)


def one_store(tap, store):
    tap = Named(tap, store.name)
    try:
        with Server() as server:
            server.mkdir("mail")
            server.passwd({u: "restante" for u in USERS + [ZERO, KEEP]})
            server.lmtp = server.listen("lmtp")
            server.configure(accounts(server) + store.section(server) + LIMITS + KEPT)
            server.start()
            by_messages(tap, server)
            by_octets(tap, server)
            store.by_domain(tap, server)
            by_domain_octets(tap, server)
            expire_zero(tap, server)
            expire_days(tap, server, store)
            undo(tap, server)
            server.ends(tap, "the server ends cleanly")
    finally:
        store.close()


def main():
    tap = Tap()
    one_store(tap, Mbox())
    one_store(tap, Sql())
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
