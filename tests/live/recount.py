#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restantectl quota USER --recount and --domain D --recount on all stores: the total a store remembers is wrong, because mail
went behind its back; it is believed until somebody has it counted, and from then on quotas go by the mail that is there."""
import os
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from full import ctl, deliver  # noqa: E402
from keep_stores import Named  # noqa: E402
from mailstore import MailStore  # noqa: E402
from pop import session  # noqa: E402
from sections import accounts, block, maildirs, store as files  # noqa: E402
from server import Server, Tap  # noqa: E402

USER, ONE, OTHER, BUSY = "ann@few.example", "cat@club.example", "dan@club.example", "eve@free.example"
LIMITS = block("domain", "few.example", quota_messages=3) + block("domain", "club.example", domain_messages=6) + \
    block("domain", "free.example", domain_messages=1000)
OLD_NS = 1700000000123456789  # long ago, with fractions of a second: as far as times show, nothing has happened since


class Maildir:
    name = "maildir"
    files = True
    believes = True  # the totals it remembers for a mailbox, though mail has gone and no time or counter shows it

    def section(self, server):
        return maildirs(server, "%d/%n")

    def settle(self, server, user):
        """Nothing was changed lately: a count made now may be remembered."""
        for d in ("new", "cur"):
            os.utime(self.path(server, user, d), ns=(OLD_NS, OLD_NS))

    def lose(self, server, user):
        """The last message goes, and no time shows it."""
        name = sorted(os.listdir(self.path(server, user, "new")))[-1]
        os.unlink(self.path(server, user, "new", name))
        os.utime(self.path(server, user, "new"), ns=(OLD_NS, OLD_NS))

    def path(self, server, user, *below):
        local, domain = user.split("@")
        return server.path("mail", domain, local, *below)

    def right(self, tap, server):
        pass

    def close(self):
        pass


class Mbox(Maildir):
    name = "mbox"
    believes = False  # a file that was written to has another ctime, which nobody can set

    def section(self, server):
        return files(server, "mbox", "%d/%n")

    def settle(self, server, user):
        os.utime(self.path(server, user), ns=(OLD_NS, OLD_NS))

    def lose(self, server, user):
        """The last one becomes text of the one before it: neither the size nor any time that can be set shows it."""
        with open(self.path(server, user), "r+b") as f:
            f.seek(f.read().rindex(b"\n\nFrom ") + 2)
            f.write(b"f")
        self.settle(server, user)


class Sql:
    name = "mysql"
    files = False
    believes = True

    def __init__(self):
        self.db = MailStore()

    def section(self, server):
        return self.db.section()

    def settle(self, server, user):
        pass

    def lose(self, server, user):
        """A row that is deleted by hand; the counters know nothing of it."""
        self.db.sql("DELETE FROM mail_message WHERE mailbox = (SELECT id FROM mail_box WHERE user_key = '%s')"
                    " ORDER BY pos DESC LIMIT 1" % user)

    def counts(self, domain):
        """Of its mailboxes, of the domain, and of what is there: messages, octets, and hidden ones."""
        where = "WHERE domain = '%s'" % domain
        return [[int(n) for n in self.db.sql(q)[0]] for q in (
            "SELECT SUM(messages), SUM(octets), SUM(hidden), SUM(hidden_octets) FROM mail_box " + where,
            "SELECT SUM(messages), SUM(octets), 0, 0 FROM mail_domain " + where,
            "SELECT COUNT(*), SUM(m.octets), 0, 0 FROM mail_message m, mail_box b WHERE m.mailbox = b.id AND b." + where[6:])]

    def right(self, tap, server):
        """Counters that are too low, for hidden mail too, and a domain whose count differs."""
        box, domain, there = self.counts("few.example")
        tap.ok(box == domain == there, "mailbox, domain and messages agree", (box, domain, there))
        self.db.sql("UPDATE mail_box SET messages = 0, octets = 1, hidden = 7, hidden_octets = 70 WHERE user_key = '%s';"
                    "UPDATE mail_domain SET messages = messages - %d, octets = octets - %d WHERE domain = 'few.example'"
                    " ORDER BY messages DESC LIMIT 1" % (USER, there[0], there[1] - 1))
        wrong = ctl(server, "quota", USER)
        mended = ctl(server, "quota", USER, "--recount")
        tap.ok((wrong.get("used_messages"), wrong.get("hidden_messages")) == (0, 7) and
               (mended.get("used_messages"), mended.get("used_octets"), mended.get("hidden_messages")) == (there[0], there[1], 0),
               "counters that are too low, and those of hidden mail", (wrong, mended))
        box, domain, there = self.counts("few.example")
        tap.ok(box == domain == there, "and the domain's with them", (box, domain, there))
        self.db.sql("UPDATE mail_domain SET messages = messages + 5 WHERE domain = 'club.example' AND messages > 0;"
                    "INSERT INTO mail_domain SELECT 'club.example', slot, 1, 1 FROM (SELECT seq AS slot FROM seq_0_to_15) s"
                    " WHERE slot NOT IN (SELECT slot FROM mail_domain WHERE domain = 'club.example');"
                    "DELETE FROM mail_domain WHERE domain = 'few.example'")
        wrong = [ctl(server, "quota", "--domain", d).get("domain_used_messages") for d in ("club.example", "few.example")]
        counted = [ctl(server, "quota", "--domain", d, "--recount") for d in ("club.example", "few.example", "no.example")]
        is_ = [ctl(server, "quota", "--domain", d) for d in ("club.example", "few.example", "no.example")]
        tap.ok(wrong[0] > 6 and wrong[1] == 0 and [c.get("domain_used_messages") for c in counted] == [6, there[0], 0] and
               [u.get("domain_used_messages") for u in is_] == [6, there[0], 0] and is_[0].get("domain_quota_messages") == 6,
               "a domain's counters that are wrong by themselves, and rows that are not there", (wrong, counted, is_))
        for name in ("few.example", "club.example"):
            box, domain, there = self.counts(name)
            tap.ok(box == domain == there, name + ": all agree", (box, domain, there))
        tap.ok(self.db.sql("SELECT COUNT(*) FROM mail_domain WHERE domain = 'no.example'") == [["0"]], "an unknown domain has no rows")

    def close(self):
        self.db.close()


def holds(server, user):
    """Messages and octets, as a session counts them."""
    return tuple(int(n) for n in session(server, user, "STAT")[0].split()[1:3])


def used(server, user, *args):
    u = ctl(server, "quota", user, *args)
    return u.get("used_messages"), u.get("used_octets")


def remember(server, store, *users):
    for user in users:
        store.settle(server, user)
        holds(server, user)  # a session's notes about its messages
        for _ in range(2):
            used(server, user)


def of_a_user(tap, server, store):
    taken = [deliver(server, USER)[USER][0] for _ in range(3)]
    remember(server, store, USER)
    was = holds(server, USER)
    store.lose(server, USER)
    known = used(server, USER)
    if store.believes:
        refused = deliver(server, USER)[USER]
        tap.ok(taken == [250] * 3 and known == was and known[0] == 3 and refused[0] == 452,
               "one of three is gone; three are remembered, and there is no room", (taken, was, known, refused))
    else:
        tap.ok(taken == [250] * 3 and was[0] == 3 and known[0] == 2, "one of three is gone, and that is seen", (taken, was, known))
    counted = used(server, USER, "--recount")
    after, there = used(server, USER), holds(server, USER)
    tap.ok(counted == after == there and there[0] == 2, "--recount: the mail that is there; and it is remembered", (counted, after, there))
    out = [deliver(server, USER)[USER][0] for _ in range(2)]
    tap.ok(out == [250, 452], "there is room for one", out)


def of_a_domain(tap, server, store):
    taken = [deliver(server, ONE, OTHER)[ONE][0] for _ in range(3)]
    remember(server, store, ONE, OTHER)
    store.lose(server, ONE)
    refused = deliver(server, OTHER)[OTHER]
    wrong = used(server, ONE)
    tap.ok(taken == [250] * 3 and refused[0] == 452 and wrong[0] == (3 if store.believes else 2),
           "one of a domain's six is gone; there is no room", (taken, refused, wrong))
    counted = ctl(server, "quota", "--domain", "club.example", "--recount")
    there = [sum(n) for n in zip(holds(server, ONE), holds(server, OTHER))]
    told = ctl(server, "quota", "--domain", "club.example")
    tap.ok([counted.get("messages"), counted.get("octets")] == there == [told.get("domain_used_messages"), told.get("domain_used_octets")] and
           there[0] == 5 and used(server, ONE)[0] == 2, "--domain --recount: what is there", (counted, there, told))
    out = [deliver(server, OTHER)[OTHER][0], deliver(server, ONE)[ONE][0]]
    tap.ok(out == [250, 452], "there is room for one in the domain", out)


def beside_mail(tap, server, store):
    """Mail comes and goes meanwhile: nothing is counted twice, nothing forgotten."""
    codes = []

    def come_and_go():
        for k in range(40):
            codes.append(deliver(server, BUSY)[BUSY][0])
            if k % 8 == 7:
                session(server, BUSY, "DELE 1", "DELE 2")
    mover = threading.Thread(target=come_and_go)
    mover.start()
    counts = 0
    while mover.is_alive() or counts < 4:
        counts += ctl(server, "quota", *((BUSY,) if counts % 2 else ("--domain", "free.example")), "--recount").get("succeeded", False)
    mover.join()
    there = holds(server, BUSY)
    tap.ok(codes == [250] * 40 and there[0] == 30 and used(server, BUSY) == there,
           "counted while mail came and went: thirty are left and known", (codes, there, used(server, BUSY)))
    told = [ctl(server, "quota", "--domain", "free.example")]
    ctl(server, "quota", "--domain", "free.example", "--recount")
    told.append(ctl(server, "quota", "--domain", "free.example"))
    is_ = [(t.get("domain_doubtful"), t.get("domain_used_messages"), t.get("domain_used_octets")) for t in told]
    # in a file, mail may have come in until the very end of the count: then the answer says so
    tap.ok(is_[0] == (False, *there) or (is_[0][0] and store.files), "and known of the domain", (there, told))
    tap.ok(is_[1] == (False, *there), "and known of the domain when nothing moves", (there, told))


def one_store(tap, store):
    tap = Named(tap, store.name)
    try:
        with Server() as server:
            server.mkdir("mail")
            server.passwd({u: "restante" for u in (USER, ONE, OTHER, BUSY)})
            server.lmtp = server.listen("lmtp")
            server.configure(accounts(server) + store.section(server) + LIMITS, quota_warn=0)
            server.start()
            of_a_user(tap, server, store)
            of_a_domain(tap, server, store)
            store.right(tap, server)
            beside_mail(tap, server, store)
            server.ends(tap, "the server ends cleanly")
    finally:
        store.close()


def main():
    tap = Tap()
    for store in (Maildir, Mbox, Sql):
        one_store(tap, store())
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
