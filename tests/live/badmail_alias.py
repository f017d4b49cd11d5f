#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recipients of mail in Badmail are looked up at each try, as RCPT does it: if a name has become an alias meanwhile, its
targets get the mail, a tag leads to the account without it, and a retry delivers to no name that RCPT would refuse."""
import os
import smtplib
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from badmail import ctl, put, totals  # noqa: E402
from pop import mails  # noqa: E402
from sections import block, maildirs  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

USERS = ("ann", "ben", "cat")


def sections(server):
    return (block("auth", "accounts", module="sql", driver="sqlite", database=server.path("accounts.db"), allow_plain="yes",
                  query_user="SELECT name, password FROM users WHERE name = :user",
                  query_targets="SELECT target FROM aliases WHERE name = :user",
                  query_domain="SELECT 1 FROM domains WHERE name = :domain", storage="mail") +
            maildirs(server) + block("delivery", unknown_recipient="badmail", postmaster="ann@here.example") +
            block("badmail", path=server.mkdir("bad"), retry_first=1, retry_max=2))


class Accounts:
    def __init__(self, path):
        self.path = path
        self.run("CREATE TABLE users (name, password)")
        self.run("CREATE TABLE aliases (name, target)")
        self.run("CREATE TABLE domains (name)")
        self.run("INSERT INTO domains VALUES ('here.example')")

    def run(self, text, *values):
        with sqlite3.connect(self.path, timeout=30) as db:
            db.execute(text, values)
        db.close()

    def user(self, name):
        self.run("INSERT INTO users VALUES (?, '{PLAIN}restante')", name + "@here.example")

    def alias(self, name, *targets):
        self.run("DELETE FROM aliases WHERE name = ?", name + "@here.example")
        for t in targets:
            self.run("INSERT INTO aliases VALUES (?, ?)", name + "@here.example", t)


def lmtp(server, *rcpts):
    with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
        c.ehlo("far.example")
        c.mail("sender@far.example")
        taken = [c.rcpt(r)[0] for r in rcpts]
        c.putcmd("data")
        c.getreply()
        c.send(b"Subject: to %s\r\n\r\nbody\r\n.\r\n" % rcpts[0].encode())
        return taken, [c.getreply()[0] for _ in rcpts]


def boxes(server):
    return [len(mails(server, u + "@here.example")) for u in USERS]


def retry(server, recipient):
    return ctl(server, "retry", "--recipient", recipient)


def refused(tap, server, accounts):
    """restantectl badmail retry."""
    said = lmtp(server, "list@here.example", "dora+tag@here.example", "ann@here.example")
    item = ctl(server, "list", "--recipient", "list@here.example")[0]["items"][0]
    tap.ok(said == ([250] * 3, [250] * 3) and boxes(server) == [1, 0, 0] and
           item["recipients"] == ["list@here.example", "dora+tag@here.example"], "two of three recipients are nobody, and kept", (said, item))
    out, _ = retry(server, "list@here.example")
    why = ctl(server, "show", item["id"])[0]["item"]["last_error"]
    tap.ok(out.get("failed") == 1 and "no such account" in why, "retry: they still do not exist: " + why, out)

    accounts.alias("list", "ben@here.example", "loop@here.example")
    accounts.alias("loop", "list@here.example")
    retry(server, "list@here.example")
    now = ctl(server, "show", item["id"])[0]["item"]
    tap.ok(boxes(server) == [1, 0, 0] and now["recipients"] == item["recipients"],
           "retry: an alias that leads to another alias gets none of its targets anything", now)
    accounts.alias("list", "ben@here.example", "gone@here.example")
    retry(server, "list@here.example")
    tap.ok(boxes(server) == [1, 0, 0], "retry: nor does one that leads to nobody")
    accounts.alias("list", "ben@here.example", "x@elsewhere.example")
    retry(server, "list@here.example")
    tap.ok(boxes(server) == [1, 0, 0], "retry: nor one that leads elsewhere")
    accounts.alias("list", "ben+more@here.example", "cat@here.example")
    out, said = retry(server, "list@here.example")
    left = ctl(server, "show", item["id"])[0]["item"]
    tap.ok(boxes(server) == [1, 1, 1] and left["recipients"] == ["dora+tag@here.example"],
           "retry: now an alias of two mailboxes, each has it once; who is nobody still waits", (out, left))
    head = mails(server, "ben@here.example")[0].split(b"\r\n")
    tap.ok(head[0] == b"Return-Path: <sender@far.example>" and head[1] == b"Delivered-To: ben+more@here.example",
           "Delivered-To names the target", head[:3])

    accounts.user("dora")
    out, _ = retry(server, "dora+tag@here.example")
    dora = mails(server, "dora@here.example")
    tap.ok(out.get("delivered") == 1 and len(dora) == 1 and b"\r\nDelivered-To: dora+tag@here.example\r\n" in dora[0] and
           not ctl(server, "show", item["id"])[0].get("item"), "retry: a tag leads to its account, and the item is gone", out)


def twins(tap, server, accounts):
    lmtp(server, "one@here.example", "two@here.example")
    accounts.alias("one", "ann@here.example", "cat@here.example")
    accounts.alias("two", "cat@here.example", "ann@here.example")
    before = boxes(server)
    out, _ = retry(server, "one@here.example")
    wait_until(lambda: not ctl(server, "list")[0]["items"], 30, "the item to go")
    after = boxes(server)
    tap.ok([a - b for a, b in zip(after, before)] == [1, 0, 1],
           "retry: two aliases of one message with the same targets: each mailbox has it once", (before, after, out))


def waiting(tap, server, accounts):
    """Without an operator: accepted mail whose account became an alias while its store was down."""
    accounts.user("eve")
    os.rename(server.path("mail"), server.path("away"))
    put(server, ["insert retry 2 400 store-down s%u@far.example eve@here.example"])
    wait_until(lambda: all(i.get("tries", 0) >= 1 for i in ctl(server, "list", "--class", "retry")[0]["items"]), 60, "a try")
    accounts.run("DELETE FROM users WHERE name = 'eve@here.example'")
    accounts.alias("eve", "ben@here.example")
    os.rename(server.path("away"), server.path("mail"))
    wait_until(lambda: totals(server)["retry_items"] == 0, 60, "the retries")
    tap.ok(boxes(server)[1] == 3, "in the background: the account is an alias by now, its target has both", boxes(server))


def main():
    tap = Tap()
    with Server() as server:
        accounts = Accounts(server.path("accounts.db"))
        for u in USERS:
            accounts.user(u)
            server.maildir(u)
        server.give(server.path("accounts.db"))
        os.chmod(server.dir, 0o755)
        server.lmtp = server.listen("lmtp")
        server.configure(sections(server))
        os.chmod(server.path("restante.conf"), 0o644)
        server.start()
        for step in (refused, twins, waiting):
            step(tap, server, accounts)
        server.ends(tap, "the server ends cleanly")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
