#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two people of one name, in whatever kinds of sections: no name that a statement, a file or a wrapper gives makes one mailbox of two,
also while the section that could tell is out of order. (tests/live/ldap_forests.py asks the same of two directories.)"""
import os
import smtplib
import sqlite3
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop, stranger  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from server import Server, Tap  # noqa: E402

OK, TEMP, PERM = b"+OK", b"-ERR [SYS/TEMP]", b"-ERR [SYS/PERM]"
QUERY = "SELECT name, password FROM %s WHERE login = :user"


def prepare(server):
    """ann@one.test and ann@two.test: both statements call her ann. chief@one.test is ann@one.test, too."""
    with sqlite3.connect(server.path("accounts.db")) as db:
        for table in ("one", "two"):
            db.execute("CREATE TABLE %s (login, name, password)" % table)
            db.executemany("INSERT INTO %s VALUES (?, ?, '{PLAIN}%s')" % (table, table),
                           [("ann@%s.test" % table, "ann"), ("chief@%s.test" % table, "ann@%s.test" % table)])
    db.close()
    server.give(server.path("accounts.db"))
    server.mkdir("mail")
    server.lmtp = server.listen("lmtp")


def sql(server, table, storage="mail", **more):
    return block("auth", table, module="sql", driver="sqlite", database=server.path("accounts.db"), allow_plain="yes",
                 query_user=QUERY % table, storage=storage, **more)


def boxes(server):
    """The mailboxes that hold mail, with how much."""
    top = server.path("mail")
    found = {b: len(os.listdir(os.path.join(top, b, "new"))) for b in os.listdir(top) if os.path.isdir(os.path.join(top, b, "new"))}
    return {b: n for b, n in found.items() if n}


def deliver(server, *names):
    """Each a message; the last answers."""
    codes = []
    for name in names:
        with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
            c.ehlo("far.example")
            c.mail("sender@far.example")
            code = c.rcpt("<%s>" % name)[0]
            if code == 250:
                c.putcmd("data")
                c.getreply()
                c.send(b"Subject: x\r\n\r\nbody\r\n.\r\n")
                code = c.getreply()[0]
            codes.append(code)
    return codes


def login(server, name, password):
    """How many messages there are; else the answer. The session has ended: the next one may be for the same mailbox."""
    with Pop(server.clear_port, source=stranger()) as c:
        answer = c.login(name, password)
        if not answer.startswith(OK):
            return answer[:15]
        c.say("QUIT")
        return int(answer.split()[1])


def statements(tap, server):
    def both(**more):
        return sql(server, "one", domains="one.test", **more) + sql(server, "two", domains="two.test") + maildirs(server, "%u")
    server.reconfigure(both())
    got = deliver(server, "ann@one.test", "ann@two.test"), [login(server, "ann@%s.test" % t, t) for t in ("one", "two")]
    tap.ok(got == ([451, 451], [PERM, PERM]) and not boxes(server), "two statements call two people ann: neither is let in", (got, boxes(server)))
    server.reconfigure(both(name_domain="one.test"))
    got = deliver(server, "ann@one.test", "chief@one.test", "ann@two.test"), login(server, "ann@one.test", "one"), login(server, "ann@two.test", "two")
    tap.ok(got == ([250, 250, 451], 2, PERM) and boxes(server) == {"ann@one.test": 2},
           "name_domain makes one of them whole; whoever is it by another name has the same mailbox", (got, boxes(server)))
    apart = (sql(server, "one", "first", domains="one.test") + sql(server, "two", "second", domains="two.test") +
             maildirs(server, "%u.first", name="first") + maildirs(server, "%u.second", name="second"))
    server.reconfigure(apart)
    got = [login(server, "ann@%s.test" % t, t) for t in ("one", "two")]
    tap.ok(got == [0, 0], "with storage sections of their own both are", got)
    server.reconfigure(apart + maildirs(server, "%u.attic", name="attic"), undo_storage="attic", undo=1)
    got = [login(server, "ann@%s.test" % t, t) for t in ("one", "two")]
    tap.ok(got == [PERM, PERM] and server.said("section two has mail in the same undo_storage"),
           "but not if their deleted mail meets in undo_storage", (got, server.log()[-900:]))


def placed(tap, server):
    """The file puts its ann into the storage of the statements, which call ann@one.test ann. Alone there they may; so she may not."""
    server.passwd({"ann": "file", "ben": "file"}, ann="storage=first")

    def both(**more):
        return (sql(server, "one", "first", domains="one.test", **more) + accounts(server, storage="second") +
                maildirs(server, "%u.first", name="first") + maildirs(server, "%u.second", name="second"))
    for more, wanted in (({}, ([0, PERM, 0], 451)), ({"name_domain": "none"}, ([0, 0, 0], 250))):
        server.reconfigure(both(**more))
        got = [login(server, n, p) for n, p in (("ann@one.test", "one"), ("ann", "file"), ("ben", "file"))], deliver(server, "ann")[0]
        tap.ok(got == wanted, "an account in the storage of a section that is alone there, %s" % (more or "as it was"), got)
    tap.ok(server.said("its mail would be in storage section first"), "the log gives the reason", server.log()[-900:])


def files(tap, server):
    """The line `ben`, which is good for every domain."""
    server.passwd({"ben": "restante"})
    names = ["ben", "ben@here.test", "BEN@Here.TEST"]
    for more, wanted in (({}, {"ben", "ben@here.test"}), ({"name_domain": "here.test"}, {"ben@here.test"})):
        server.reconfigure(accounts(server, strip_domain="yes", **more) + maildirs(server, "%u"))
        got = [login(server, n, "restante") for n in names]
        before = boxes(server)
        codes = deliver(server, *names)
        grown = {b for b, n in boxes(server).items() if n != before.get(b)}
        tap.ok(all(isinstance(n, int) for n in got) and codes == [250] * 3 and grown == wanted,
               "strip_domain, %s: %s" % (more or "as it was", " ".join(sorted(wanted))), (got, codes, grown))


def in_doubt(tap, server):
    """chief@one.test goes by ann@one.test, which the sections before are asked about: when one of them cannot answer, nobody knows."""
    def chain(rules, users):
        server.passwd(users)
        return (accounts(server, "file", storage=None, unknown="next") +
                block("auth", "before", module="fault", wrap="file", storage="mail", rule=rules, trip_after=0) +
                sql(server, "one", unknown="next") + maildirs(server, "%u"))
    for what, rules, users, want, code in (
            ("nobody else", None, {"eve": "x"}, 2, 250),
            ("it cannot be told", ["lookup * error DOWN"], {"eve": "x"}, TEMP, 451),
            ("another one", None, {"ann@one.test": "x"}, PERM, 451)):
        server.reconfigure(chain(rules, users))
        got = login(server, "chief@one.test", "one")
        tap.ok(got == want, "a login by another name, and who has hers: %s" % what, (got, server.log()[-900:]))
        got = deliver(server, "chief@one.test")
        tap.ok(got == [code], "mail by another name, likewise", got)
        told = server.json("auth", "test", "chief@one.test").get("reply", "")
        want = OK if code == 250 else want
        tap.ok(told.encode().startswith(want), "auth test reports it", told)
    got = login(server, "ann@one.test", "x")
    tap.ok(got == 3, "whose name it is gets in", got)


def checked(server, sections, **settings):
    server.configure(sections, **settings)
    done = subprocess.run([server.bin("restanted"), "-t", "-c", server.path("restante.conf")], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


SHARE = "would have one mailbox"
ANY, EACH = "ann@any.other.domain", "ann@each other of its domains"


def one_place(tap, server):
    """path = .../%n: people of two domains, and one mailbox. The check tells what it knows; who comes second is refused."""
    server.passwd({"ann@one.test": "one", "ann@two.test": "two", "ben@two.test": "two"})
    for what, box, more, refused, words in (
            ("two domains", "%n", {"domains": ["one.test", "two.test"]}, True, SHARE),
            ("a pattern of domains", "%n", {"domains": "*.test"}, True, SHARE),
            ("any domain", "%n", {}, False, SHARE),
            ("one domain", "%n", {"domains": "one.test"}, False, None),
            ("names that need no domain", "%n", {"name_domain": "none"}, False, None),
            ("the operator's word against two", "%n", {"domains": ["one.test", "two.test"], "name_domain": "none"}, False, None),
            ("a path with the domain", "%d/%n", {"domains": ["one.test", "two.test"]}, False, None),
            ("a path with the name", "%u", {}, False, None),
            ("one account in any domain", "%u", {"strip_domain": "yes"}, False, ANY),
            ("one account in two domains", "%u", {"strip_domain": "yes", "domains": ["one.test", "two.test"]}, False, EACH),
            ("one account and mailbox in two domains", "%n", {"strip_domain": "yes", "domains": "*.test", "name_domain": "none"}, False, None),
            ("one account in one domain", "%u", {"strip_domain": "yes", "domains": "one.test"}, False, None)):
        rc, text = checked(server, accounts(server, **more) + maildirs(server, box))
        tap.ok((rc != 0) == refused and all((w in text) == (w == words) for w in (SHARE, ANY, EACH)), "-t: %s" % what, (rc, text))
    both = accounts(server, domains="one.test") + accounts(server, "more", domains="two.test")
    rc, text = checked(server, both + maildirs(server))
    tap.ok(rc != 0 and SHARE in text, "-t: a domain each, of two sections", (rc, text))
    rc, text = checked(server, both + maildirs(server, "%u") + maildirs(server, "attic/%n", name="attic"), undo_storage="attic", undo=1)
    tap.ok(rc != 0 and SHARE in text, "-t: where their deleted mail is together", (rc, text))
    server.reconfigure(accounts(server) + maildirs(server))
    got = deliver(server, "ann@one.test", "ann@two.test", "ben@two.test"), [login(server, "ann@%s.test" % t, t) for t in ("one", "two")]
    tap.ok(got == ([250, 451, 250], [1, PERM]), "who comes second gets neither the mailbox nor a bounce", got)
    tap.ok(server.said("would give it the mailbox of 'ann@one.test', which came first"), "the log names both", server.log()[-900:])
    server.reconfigure(accounts(server) + block("storage", "in", module="maildir", path=server.path("mail", "%n")) +
                       block("storage", "mail", module="fault", wrap="in"))
    got = login(server, "ann@two.test", "two"), login(server, "ann@one.test", "one")
    tap.ok(got == (1, PERM), "after a reload it is whoever comes first then, with a wrapper, too", got)
    server.passwd({"ann": "one"})
    server.reconfigure(accounts(server, strip_domain="yes") + maildirs(server))
    got = deliver(server, "ann@one.test", "ann@two.test"), [login(server, n, "one") for n in ("ann", "ann@two.test")]
    tap.ok(got == ([250, 250], [3, 3]), "one line of a file is one account, by all its names", got)


def wrapped(tap, server):
    """name_domain is the section's that is asked."""
    more = sql(server, "two", domains="two.test", name_domain="two.test") + maildirs(server, "%u")
    for domain, wanted in ((None, PERM), ("one.test", 3)):
        server.reconfigure(sql(server, "one", None) + block("auth", "outer", module="fault", wrap="one", storage="mail", domains="one.test",
                                                            name_domain=domain) + more)
        got = login(server, "ann@one.test", "one")
        tap.ok(got == wanted, "a wrapper with name_domain %s" % domain, got)


def main():
    tap = Tap()
    with Server() as server:
        prepare(server)
        server.passwd({"eve": "x"})
        server.configure(accounts(server) + maildirs(server, "%u"))
        server.start()
        for part in (statements, placed, files, in_doubt, wrapped, one_place):
            part(tap, server)
        server.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
