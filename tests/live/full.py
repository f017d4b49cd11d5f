#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mail comes in over LMTP and there is no room: a user's quota, a domain's, the disk's reserve; the warning mail; deleting
makes room again; maildirsize is maintained for other programs."""
import os
import smtplib
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import mails, session  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

LIMITS = (block("domain", "few.example", quota_messages=5) +
          block("domain", "single.example", quota_messages=1) +
          block("domain", "small.example", quota_octets=20000) +
          block("domain", "club.example", domain_messages=6, domain_octets="1m") +
          block("domain", "heavy.example", domain_octets=20000))
USERS = ["ann@few.example", "ben@small.example", "cat@club.example", "dan@club.example", "eve@free.example", "fay@heavy.example",
         "gus@heavy.example", "one@single.example"]


def deliver(server, *rcpts, size=300, announce=False):
    """The replies, one per recipient: (code, text), to RCPT if it refuses, else to the end of DATA."""
    out = {}
    with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
        c.ehlo("test")
        code, text = c.mail("sender@far.example", ["SIZE=%d" % size] if announce else [])
        if code != 250:
            return {r: (code, text.decode()) for r in rcpts}
        taken = []
        for r in rcpts:
            code, text = c.rcpt(r)
            if code != 250:
                out[r] = (code, text.decode())
            else:
                taken.append(r)
        if not taken:
            return out
        c.putcmd("data")
        c.getreply()
        c.send(b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * (size // 72) + b".\r\n")
        for r in taken:
            code, text = c.getreply()
            out[r] = (code, text.decode())
    return out


def codes(out):
    return [out[r][0] for r in sorted(out)]


def ctl(server, *args):
    return server.json(*args)


def sections(server, reserve=0):
    return (accounts(server) + maildirs(server, "%d/%n", volume="disk") +
            block("volume", "disk", path=server.path("mail"), reserve_percent=0, reserve_octets=reserve) + LIMITS)


def by_messages(tap, server):
    user = "ann@few.example"
    first = [deliver(server, user)[user] for _ in range(3)]
    tap.ok([r[0] for r in first] == [250] * 3, "three of five are taken", first)
    fourth = deliver(server, user)[user]
    wait_until(lambda: len(mails(server, user)) == 5, 30, "the warning mail")
    warnings = [m for m in mails(server, user) if b"Your mailbox is nearly full" in m]
    tap.ok(fourth[0] == 250 and len(warnings) == 1 and warnings[0].startswith(b"Return-Path: <>\r\n") and
           b"4 of 5 messages (80 percent)" in warnings[0], "the fourth crosses 80 percent: one warning mail, from nobody", warnings)
    over = deliver(server, user)[user]
    tap.ok(over[0] == 452 and "4.2.2" in over[1] and "full" in over[1], "full: 452 4.2.2, in words: %s %s" % over)
    session(server, user, "DELE 1")
    again = deliver(server, user)[user]
    tap.ok(again[0] == 250, "one deleted: one is taken", again)
    session(server, user, "DELE 1", "DELE 2", "DELE 3")
    deliver(server, user)
    tap.ok(len(mails(server, user)) == 3, "no warning while usage is low")
    deliver(server, user)
    wait_until(lambda: len(mails(server, user)) == 5, 30, "the second warning")
    tap.ok(True, "usage fell and rises again: a second warning")


def warned_within(tap, server):
    """The warning is mail like any other: where nothing more fits it is not sent."""
    user = "one@single.example"
    got = deliver(server, user)[user]
    tap.ok(got[0] == 250 and server.said("user '%s' could not be warned" % user, 30) and len(mails(server, user)) == 1,
           "one message is the quota: no warning goes beyond it", (got, len(mails(server, user))))


def by_octets(tap, server):
    user = "ben@small.example"
    big = deliver(server, user, size=30000, announce=True)[user]
    tap.ok(big[0] == 452 and "4.2.2" in big[1], "announced by SIZE= and too large: refused at RCPT", big)
    big = deliver(server, user, size=30000)[user]
    tap.ok(big[0] == 452 and "4.2.2" in big[1] and not mails(server, user), "not announced: refused after DATA, nothing is stored", big)
    ok = deliver(server, user, size=10000)[user]
    tap.ok(ok[0] == 250 and len(mails(server, user)) == 1, "a smaller one is taken", ok)
    out = deliver(server, user, "eve@free.example", size=15000)
    tap.ok(codes(out) == [452, 250] and len(mails(server, "eve@free.example")) == 1,
           "each recipient has an answer of its own: the full one is refused, the other has it", out)


def by_domain(tap, server):
    out = [deliver(server, "cat@club.example", "dan@club.example") for _ in range(3)]
    tap.ok(all(codes(o) == [250, 250] for o in out), "six of six messages of the domain", out)
    over = deliver(server, "cat@club.example", "eve@free.example")
    tap.ok(codes(over) == [452, 250] and "club.example" in over["cat@club.example"][1], "the domain is full: 452 4.2.2, other domains go on", over)
    u = ctl(server, "quota", "--domain", "club.example")
    recounted = ctl(server, "quota", "--domain", "club.example", "--recount")
    tap.ok((u.get("domain_used_messages"), u.get("domain_used_octets")) == (6, recounted.get("octets")),
           "the count is what the mailboxes hold, to the octet", (u, recounted))
    session(server, "cat@club.example", "DELE 1", "DELE 2", "DELE 3")
    u = ctl(server, "quota", "--domain", "club.example")
    recounted = ctl(server, "quota", "--domain", "club.example", "--recount")
    tap.ok((u.get("domain_used_messages"), u.get("domain_used_octets"), u.get("domain_doubtful")) == (3, recounted.get("octets"), False),
           "and after a QUIT that deleted three", (u, recounted))
    tap.ok(codes(deliver(server, "cat@club.example")) == [250], "there is room again")


def by_domain_octets(tap, server):
    first = deliver(server, "fay@heavy.example", size=12000)["fay@heavy.example"]
    over = deliver(server, "gus@heavy.example", size=12000)["gus@heavy.example"]
    fits = deliver(server, "gus@heavy.example", size=3000)["gus@heavy.example"]
    tap.ok((first[0], over[0], fits[0]) == (250, 452, 250) and "4.2.2" in over[1],
           "octets of a domain: what one user has, another cannot: 452 4.2.2", (first, over, fits))
    session(server, "fay@heavy.example", "DELE 1")
    again = deliver(server, "gus@heavy.example", size=12000)["gus@heavy.example"]
    tap.ok(again[0] == 250, "and when the one deletes, the other has room", again)


def maildirsize(tap, server):
    """Dovecot's running total, where there is one."""
    user = "eve@free.example"
    name = server.path("mail", "free.example", "eve", "maildirsize")
    before = mails(server, user)

    def stored():
        bases = [server.path("mail", "free.example", "eve", d) for d in ("new", "cur")]
        return sum(os.path.getsize(os.path.join(base, n)) for base in bases for n in os.listdir(base))
    with open(name, "w") as f:
        f.write("1000000S,1000C\n%d %d\n" % (stored(), len(before)))
    server.give(name)
    deliver(server, user)
    deliver(server, user)
    session(server, user, "DELE 1")
    lines = open(name).read().splitlines()
    octets = sum(int(x.split()[0]) for x in lines[1:])
    count = sum(int(x.split()[1]) for x in lines[1:])
    real = stored()
    tap.ok(lines[0] == "1000000S,1000C" and (octets, count) == (real, len(before) + 1),
           "maildirsize: deliveries and deletions are in it, the total is right", (lines, real))
    tap.ok(not os.path.exists(server.path("mail", "few.example", "ann", "maildirsize")), "maildirsize: none is made where there is none")


def reserve(tap, server):
    """Below the reserve: 452 4.3.1 at MAIL, POP3 goes on and deletes."""
    server.reconfigure(sections(server, reserve="8000000g"))
    out = deliver(server, "ben@small.example")["ben@small.example"]
    tap.ok(out[0] == 452 and "4.3.1" in out[1], "below the reserve: 452 4.3.1 at MAIL: %s %s" % out)
    n = len(mails(server, "ben@small.example"))
    session(server, "ben@small.example", "DELE 1")
    tap.ok(n == 1 and not mails(server, "ben@small.example"), "POP3 goes on, deletions work")
    v = ctl(server, "volumes")["volumes"][0]
    tap.ok(v["state"] == "low" and v["refused"] >= 1, "restantectl volumes: low, and how often mail was refused", v)
    server.reconfigure(sections(server), quota_over="refuse")
    over = deliver(server, "ben@small.example", size=30000)["ben@small.example"]
    tap.ok(over[0] == 552 and "5.2.2" in over[1], "quota_over = refuse: 552 5.2.2", over)


def main():
    tap = Tap()
    with Server() as server:
        server.mkdir("mail")
        server.passwd({u: "restante" for u in USERS})
        server.lmtp = server.listen("lmtp")
        server.configure(sections(server))
        server.start()
        for step in (by_messages, warned_within, by_octets, by_domain, by_domain_octets, maildirsize, reserve):
            step(tap, server)
        server.ends(tap, "the server ends cleanly")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
