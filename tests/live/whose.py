#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which names lead to which account. A name from outside - a recipient's, an alias's target - is tried whole, then without its tag,
and postmaster has a stand-in; at RCPT and at a retry alike. An account's own name is that account and no other: a warning about
one mailbox never goes to another one, and a retry first tries the account its mail was kept for. None of our users stands in for
the postmaster of a domain that is not ours."""
import os
import smtplib
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from badmail import ctl as badmail, put  # noqa: E402
from sections import block, maildirs  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

AT = "@here.example"
# login name: account. The name that a statement returns need not be one that can be looked up.
ACCOUNTS = {"ann": "ann", "ben": "ben", "cat": "cat", "cat+own": "cat+own", "odd": "ben+list", "chief": "postmaster",
            "kim": "kim", "lea": "lea", "uwe": "uwe"}
ALIASES = {"tagged": "ben+any", "hostmaster": "postmaster", "both": "ben+any postmaster", "abroad": "postmaster@far.example",
           "astray": "ben postmaster@far.example", "twice": "postmaster postmaster@also.example",
           # mailboxes that keep a copy; names without a mailbox that are among their own targets
           "kim": "kim me@far.example", "lea": "lea kim ben+any", "uwe": "gone uwe both me@far.example", "mia": "mia ben", "noa": "noa",
           "list": "lea me@far.example"}
STANDS_IN = "ann"
NAMES = {"ben": "ben", "ben+any": "ben", "cat+any": "cat", "cat+own": "cat+own", "postmaster": STANDS_IN, "PostMaster+x": None,
         "tagged": "ben", "hostmaster": STANDS_IN, "both": "ben " + STANDS_IN, "nobody+any": None,
         "abroad": None, "astray": None, "twice": STANDS_IN,
         "kim": "kim", "KIM": "kim", "lea": "ben kim lea", "uwe": "uwe", "mia": "ben", "noa": None, "list": None}

KEPT_FOR = {"lea": "lea"}  # a retry is for the account its mail was kept for; her other targets have had theirs


def prepare(server):
    with sqlite3.connect(server.path("accounts.db")) as db:
        db.execute("CREATE TABLE users (login, name, password)")
        db.execute("CREATE TABLE aliases (name, target)")
        db.executemany("INSERT INTO users VALUES (?, ?, '{PLAIN}restante')", [(k + AT, v + AT) for k, v in ACCOUNTS.items()])
        db.executemany("INSERT INTO aliases VALUES (?, ?)", [(k + AT, t if "@" in t else t + AT)
                                                               for k, v in ALIASES.items() for t in v.split()])
    db.close()
    server.give(server.path("accounts.db"))
    server.mkdir("mail")
    server.mkdir("bad")
    server.lmtp = server.listen("lmtp")


def sections(server):
    return (block("auth", "accounts", module="sql", driver="sqlite", database=server.path("accounts.db"), allow_plain="yes",
                  query_user="SELECT name, password FROM users WHERE login = :user",
                  query_targets="SELECT target FROM aliases WHERE name = :user",
                  query_domain="SELECT 'yes' WHERE :domain IN ('here.example', 'also.example')", storage="mail") +
            maildirs(server, "%u") + block("domain", "here.example", quota_messages=50) +
            block("delivery", postmaster=STANDS_IN + AT, max_errors=100) +
            block("badmail", path=server.path("bad"), retry_first=3600, retry_max=3600))


def boxes(server):
    """account: the number of messages."""
    out = {}
    for box in os.listdir(server.path("mail")):
        n = sum(len(os.listdir(server.path("mail", box, d))) for d in ("new", "cur"))
        out.update({box.split("@")[0]: n} if n else {})
    return out


def grown(before, after):
    return {k: n - before.get(k, 0) for k, n in after.items() if n != before.get(k, 0)}


def lmtp(server, name):
    """False: refused with 550."""
    with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
        c.ehlo("far.example")
        c.mail("sender@far.example")
        code, text = c.rcpt(name + AT)
        if code == 250:
            c.putcmd("data")
            c.getreply()
            c.send(b"Subject: x\r\n\r\nbody\r\n.\r\n")
            code, text = c.getreply()
        if code not in (250, 550):
            raise RuntimeError("%d %s" % (code, text))
        return code == 250


def retry(server, name):
    """Its item stays if no account has that name."""
    put(server, ["insert retry 1 200 store-down sender%u@far.example " + name + AT])
    badmail(server, "retry", "--all")
    left = badmail(server, "list")[0].get("items", [])
    for item in left:
        badmail(server, "purge", item["id"])
    return not left


def from_outside(tap, server):
    for way in (lmtp, retry):
        for name, wanted in NAMES.items():
            before = boxes(server)
            taken = way(server, name)
            got = grown(before, boxes(server))
            if name in KEPT_FOR and way is retry:
                wanted = KEPT_FOR[name]
            want = {k: 1 for k in (wanted or "").split()}
            tap.ok(got == want and taken == bool(want), "%s, %s: %s" % (way.__name__, name, wanted or "nobody"),
                   (taken, got, server.log()[-900:]))


def warnings(tap, server):
    """quota_warn is 2 percent of 50: the first message is one."""
    for name, account in (("odd", "ben+list"), ("chief", "postmaster")):
        before, told = boxes(server), server.log().count(" warned")
        lmtp(server, name)
        said = "user '%s' could not be warned" % (account + AT)
        wait_until(lambda: server.log().count(" warned") > told, 60, "a warning that went somewhere, or nowhere")
        got = grown(before, boxes(server))
        tap.ok(said in server.log() and got == {account: 1}, "the warning for account %s goes to nobody else" % account,
               (got, server.log()[-900:]))


def main():
    tap = Tap()
    with Server() as server:
        prepare(server)
        server.configure(sections(server), quota_warn=2)
        server.start()
        warnings(tap, server)
        server.reconfigure(sections(server), quota_warn=0)
        from_outside(tap, server)
        server.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
