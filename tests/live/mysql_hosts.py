#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two restanted on one MariaDB, each in a time zone of its own and none in UTC: a maildrop nobody has delivered to is
locked on both, a lease has the same length everywhere, and all dates in the tables are UTC and are used as such. TAP."""
import datetime
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from databases import arguments  # noqa: E402
from mailbed import Lmtp  # noqa: E402
from mailstore import TREE, MailStore  # noqa: E402
from pop import Pop  # noqa: E402
from server import Server, Tap, free_port, wait_until  # noqa: E402

# POSIX names, that need no files of zones: 5.5 hours east, 8 west, 9 east
DATABASE, FIRST, SECOND = "IST-5:30", "PST8", "JST-9"
ACT = os.path.join(os.environ["top_builddir"], "tests/crash/act")
YEAR_2040_MS = 2208988800000
NEAR_S = 600  # zones differ by at least half an hour


def utc(hours=0):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)).replace(tzinfo=None)


def text(when):
    return when.strftime("'%Y-%m-%d %H:%M:%S'")


def near(value, hours=0):
    """Is this column's text, which no time zone of a client changes, now, or so many hours later?"""
    return value != "NULL" and abs((datetime.datetime.fromisoformat(value) - utc(hours)).total_seconds()) < NEAR_S


def host(db, zone, **settings):
    srv = Server()
    srv.lmtp_port = free_port()
    srv.extra_listeners = ("listener lmtp {\n protocol = lmtp\n address = 127.0.0.1\n port = %d\n tls = none\n}\n"
                           % srv.lmtp_port)
    accounts = srv.passwd({"u%d" % k: "restante" for k in range(5)})
    srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n%s"
                  % (accounts, db.section(lease_time="60s")), takeover="0s", **settings)
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    try:
        return srv.start()
    finally:
        os.environ.pop("TZ")
        if before:
            os.environ["TZ"] = before


def deliver(srv, user, n):
    lmtp = Lmtp(srv.lmtp_port)
    good = all(lmtp.send(user)[0].startswith(b"250") for _ in range(n))
    lmtp.close()
    return good


def enter(srv, user):
    p = Pop(srv.clear_port)
    return p, p.login(user)


def unborn(tap, db, one, two):
    p, r = enter(one, "u1")
    tap.ok(r.startswith(b"+OK 0 "), "a maildrop nobody has delivered to opens empty", r)
    q, r = enter(two, "u1")
    tap.ok(b"[IN-USE]" in r, "and is locked on the other host", r)
    q.close()
    tap.ok(deliver(two, "u1", 1), "its first mail comes")
    q, r = enter(two, "u1")
    tap.ok(b"[IN-USE]" in r, "it is locked still", r)
    q.close()
    rows = db.sql("SELECT until FROM mail_server")
    tap.ok(rows and all(near(r[0], 60 / 3600) for r in rows), "until when: UTC", rows)
    tap.ok(p.say("QUIT").startswith(b"+OK"), "its session ends")
    q, r = enter(two, "u1")
    tap.ok(r.startswith(b"+OK 1 "), "and the other host has the mail", r)
    q.say("QUIT")


def dates(tap, db, one, two):
    tap.ok(deliver(one, "u2", 2) and deliver(two, "u2", 2), "two messages by each host")
    rows = db.sql("SELECT m.received, b.last_delivery, FLOOR(m.pos / 4194304000) FROM mail_message m JOIN mail_box b"
                  " ON b.id = m.mailbox WHERE b.user_key = 'u2'")
    tap.ok(len(rows) == 4 and all(near(r[0]) and near(r[1]) for r in rows), "received, last_delivery: UTC", rows)
    tap.ok(all(abs(int(r[2]) - time.time()) < NEAR_S for r in rows), "the order of arrival: seconds since 1970", rows)
    p, _ = enter(two, "u2")
    for k in (1, 2):
        p.lines("RETR %d" % k)
    tap.ok(p.say("QUIT").startswith(b"+OK"), "two are read")
    rows = db.sql("SELECT m.first_retrieved FROM mail_message m JOIN mail_box b ON b.id = m.mailbox"
                  " WHERE b.user_key = 'u2' ORDER BY m.pos")
    tap.ok([r[0] == "NULL" or near(r[0]) for r in rows] == [True] * 4 and [r[0] for r in rows].count("NULL") == 2,
           "first_retrieved: UTC, of those two", rows)


def poll_cost(tap, db, one):
    """20 sessions that change nothing: each takes the lease and gives it back, and that is all that is written."""
    def count():
        return {k: int(v) for k, v in db.sql("SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_update', 'Com_delete')")}

    before = count()
    for _ in range(20):
        p, _ = enter(one, "u2")
        p.lines("UIDL")
        p.say("QUIT")
        p.close()
    after = count()
    changed = {k: after[k] - before[k] for k in after}
    # the ticks of both hosts delete a row at most each 10 s
    tap.ok(changed["Com_update"] == 40 and changed["Com_delete"] < 20, "a poll of an unchanged mailbox changes two rows", changed)


def act(db, users, text, **env):
    """A delivery by the module, without a server; what became of it."""
    with tempfile.NamedTemporaryFile(dir="/tmp") as f:
        f.write(text)
        f.flush()
        return subprocess.run([ACT, os.path.join(TREE, "lib/restante/modules/mysql.so"), *arguments(db.settings()), "deliver",
                               users, f.name], env=dict(os.environ, **env), stdout=subprocess.PIPE, text=True).stdout


def spelt(tap, db, one):
    """Two accounts of one domain, whose name a directory spells in two ways: it is one."""
    act(db, "dora@Example.ORG,emil@example.org", b"Subject: x\r\n\r\n")
    rows = db.sql("SELECT DISTINCT domain FROM mail_box WHERE domain <> ''") + db.sql("SELECT DISTINCT domain FROM mail_domain")
    done = [one.json("quota", "--domain", d).get("domain_used_messages") for d in ("example.org", "EXAMPLE.org")]
    tap.ok(rows == [["example.org"]] * 2 and done == [2, 2], "a domain that is spelt in two ways is counted as one",
           (rows, done))


def late(tap, db, one):
    """Mail of 2040, whose place in the order is a number past 2^63, in a mailbox that has some of today."""
    deliver(one, "u3", 1)
    done = [act(db, "u3", b"Subject: late\r\n\r\nin 2040\r\n", SMALL_WALL_MS=str(YEAR_2040_MS)) for _ in range(2)]
    tap.ok(["delivery OK" in d for d in done] == [True, True], "mail comes in 2040", done)
    p, r = enter(one, "u3")
    texts = [b"".join(p.lines("RETR %d" % k)) for k in (1, 2, 3)]
    ids = p.lines("UIDL")
    tap.ok(r.startswith(b"+OK 3 ") and [b"in 2040" in t for t in texts] == [False, True, True] and len(set(ids)) == 3,
           "it is listed last, and can be read", (r, ids))
    p.say("DELE 2")
    r = p.say("QUIT")
    rows = db.sql("SELECT m.received, m.first_retrieved IS NOT NULL, m.hidden_until IS NOT NULL"
                  " FROM mail_message m JOIN mail_box b ON b.id = m.mailbox WHERE b.user_key = 'u3' ORDER BY m.pos")
    tap.ok(r.startswith(b"+OK") and [(x[0][:4], x[1], x[2]) for x in rows][1:] == [("2040", "1", "1"), ("2040", "1", "0")],
           "one of it is deleted, which hides it for a day, the other marked", (r, rows))


def expiry(tap, db, one):
    """Mail is removed two days after it was first retrieved, and stays hidden for one more: an hour too early, nothing happens."""
    box = db.sql("SELECT id FROM mail_box WHERE user_key = 'u2'")[0][0]
    pos = [r[0] for r in db.sql("SELECT pos FROM mail_message WHERE mailbox = %s ORDER BY pos" % box)]
    db.sql("UPDATE mail_message SET received = %s WHERE mailbox = %s;"
           "UPDATE mail_message SET first_retrieved = %s WHERE mailbox = %s AND pos = %s;"
           "UPDATE mail_message SET first_retrieved = %s WHERE mailbox = %s AND pos = %s"
           % (text(utc(-72)), box, text(utc(-47)), box, pos[0], text(utc(-49)), box, pos[1]))
    p, r = enter(one, "u2")
    tap.ok(r.startswith(b"+OK 4 ") and p.say("QUIT").startswith(b"+OK"), "a session", r)
    rows = db.sql("SELECT hidden_until FROM mail_message WHERE mailbox = %s ORDER BY pos" % box)
    tap.ok([r[0] != "NULL" for r in rows] == [False, True, False, False] and near(rows[1][0], 24),
           "what was retrieved 49 hours ago goes, 47 hours ago not; hidden for a day, UTC", rows)
    db.sql("UPDATE mail_message SET hidden_until = %s WHERE mailbox = %s AND pos = %s;"
           "UPDATE mail_message SET hidden_until = %s WHERE mailbox = %s AND pos = %s;"
           "UPDATE mail_box SET hidden = 2, hidden_octets = hidden_octets * 2, messages = 2 WHERE id = %s"
           % (text(utc(-1)), box, pos[1], text(utc(1)), box, pos[2], box))
    wait_until(lambda: len(db.sql("SELECT pos FROM mail_message WHERE mailbox = %s" % box)) < 4, 90, "the tick")
    left = [r[0] for r in db.sql("SELECT pos FROM mail_message WHERE mailbox = %s ORDER BY pos" % box)]
    tap.ok(left == [pos[0], pos[2], pos[3]], "hidden until an hour ago: removed; for an hour more: not", left)


def main():
    tap = Tap()
    os.environ["TZ"] = DATABASE
    try:
        db = MailStore(default_time_zone="+05:30")
    finally:
        os.environ.pop("TZ")
    hosts = []
    try:
        zones = db.sql("SELECT @@system_time_zone, @@global.time_zone, TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), NOW())")[0]
        tap.ok(zones == ["IST", "+05:30", "330"], "the database is not in UTC", zones)
        for zone in (FIRST, SECOND):
            hosts.append(host(db, zone, expire="2", undo="1"))
        unborn(tap, db, *hosts)
        dates(tap, db, *hosts)
        poll_cost(tap, db, hosts[0])
        spelt(tap, db, hosts[0])
        late(tap, db, hosts[0])
        expiry(tap, db, hosts[0])
        log = hosts[0].log()
        codes = [s.stop() for s in hosts]
        tap.ok(codes == [0, 0], "both end cleanly", "%s\n%s" % (codes, log[-2000:]))
    finally:
        for s in hosts:
            s.close()
        db.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
