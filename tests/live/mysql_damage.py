#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rows of bodies that are missing or cut in the tables of the storage module mysql: only that message is refused, before
any of it was sent if the damage can be seen then, and the others are served. A message whose rows go while it is sent is not
ended by a dot and does not count as retrieved; the next session refuses only that one. TAP."""
import contextlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from cut_short import TEMP, brief, get_in, peek, quits, right, texts  # noqa: E402
from databases import Ask  # noqa: E402
from mailbed import Lmtp  # noqa: E402
from mailstore import TREE  # noqa: E402
from mysql_fetch import Tables  # noqa: E402
from sections import accounts, block  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402
from shapes import wire  # noqa: E402
from slowread import SlowPop  # noqa: E402

SMALL = b"Subject: small\r\n\r\nthe other one\r\n"
MIDDLE = b"Subject: middle\r\n\r\n" + b"0123456789\r\n" * 20000
LARGE = b"Subject: large\r\n\r\n" + b"0123456789\r\n" * 2000000
NTH = "SELECT body FROM (SELECT m.body FROM mail_message m JOIN mail_box b ON b.id = m.mailbox WHERE b.user_key = '%s' ORDER BY pos LIMIT 1, 1) x"

DAMAGE = {
    "its first piece is missing": "DELETE FROM mail_chunk WHERE body = (%s) AND seq = 0",
    "a piece in the middle is missing": "DELETE FROM mail_chunk WHERE body = (%s) AND seq = 1",
    "its last pieces are missing": "DELETE FROM mail_chunk WHERE body = (%s) AND seq > 1",
    "all of it is missing": "DELETE FROM mail_chunk WHERE body = (%s)",
    "a piece too many": "INSERT INTO mail_chunk (body, seq, size, data) VALUES ((%s), 99, 3, 'abc')",
    "another size in its row": "UPDATE mail_message SET octets = octets - 7 WHERE body = (%s)",
}


def fill(db, user, *messages):
    """As the module's own delivery stores them, byte for byte."""
    db.put(None, user, messages)


def send(port, user, *messages):
    """The messages with the lines that a delivery puts before them."""
    lmtp = Lmtp(port)
    for m in messages:
        r = lmtp.send(user, text=m)
        if not r[0].startswith(b"250"):
            raise RuntimeError("delivery: %r" % r)
    lmtp.close()


def refused_alone(tap, srv, user, name):
    with peek(srv, user) as p:
        found = texts(p)
        top, dele, ids = p.say("TOP 2 999999"), p.say("DELE 2"), p.lines("UIDL")
    tap.ok(len(found) == 3 and right([found[0], found[2]], SMALL, SMALL) and found[1][1].startswith(TEMP) and
           top.startswith(TEMP) and dele.startswith(TEMP) and len(ids) == 3,
           "%s: refused alone, the others are served" % name, (brief(found), top, dele))


def damaged(tap, srv, db):
    for k, (name, sql) in enumerate(DAMAGE.items()):
        user = "u%d" % k
        fill(db, user, SMALL, MIDDLE, SMALL)
        body = db.db.sql(NTH % user)[0][0]
        db.db.sql(sql % body)
        refused_alone(tap, srv, user, name)
        with quits(srv, user) as p:
            p.say("RETR 2")
        tap.ok(db.db.sql("SELECT COUNT(*) FROM mail_message WHERE body = %s AND first_retrieved IS NULL" % body) == [["1"]],
               "%s: it is still there after QUIT, and was not retrieved" % name)


def cut_bytes(tap, srv, db):
    """A piece is shorter than its row says: noticed when it is read; from then on only that message is refused."""
    fill(db, "bytes", SMALL, MIDDLE, SMALL)
    body = db.db.sql(NTH % "bytes")[0][0]
    db.db.sql("UPDATE mail_chunk SET data = LEFT(data, 100) WHERE body = %s AND seq = 2" % body)
    with peek(srv, "bytes", SlowPop) as p:
        answer = p.begin("RETR 2", 1)
        p.send("DELE 2\r\nQUIT")
        _, dot = p.rest()
    tap.ok(answer.startswith(b"+OK") and not dot, "bytes missing in a piece: no dot", (answer, dot))
    for turn in (1, 2):
        refused_alone(tap, srv, "bytes", "bytes missing in a piece, session %d after it" % turn)


def meanwhile(tap, srv, db):
    for k, (command, sql) in enumerate((("RETR 2", "DELETE FROM mail_chunk WHERE body = %s AND seq > 200"),
                                        ("TOP 2 99999999", "DELETE FROM mail_chunk WHERE body = %s AND seq > 200"))):
        user = "m%d" % k
        fill(db, user, SMALL, LARGE, SMALL)
        body = db.db.sql(NTH % user)[0][0]
        with peek(srv, user, SlowPop) as p:
            answer = p.begin(command)
            db.db.sql(sql % body)
            p.send("RETR 3\r\nDELE 2\r\nQUIT")
            _, dot = p.rest()
            tail = p.buf
        tap.ok(answer.startswith(b"+OK") and not dot and not tail, "%s, its rows go meanwhile: no dot, nothing after it" % command, (answer, dot))
        tap.ok(db.db.sql("SELECT COUNT(*) FROM mail_message WHERE body = %s AND hidden_until IS NULL AND first_retrieved IS NULL" % body) == [["1"]],
               "%s, its rows go meanwhile: expire = 0 keeps it" % command)
        refused_alone(tap, srv, user, "%s, the session after it" % command)


def whole(tap, srv, db, port):
    """All is well: sizes of one piece, of several, and just at the edge; expire = 0 takes them."""
    edge = b"Subject: edge\r\n\r\n" + b"x" * 65000 + b"\r\n"
    send(port, "whole", SMALL, MIDDLE, edge)
    with quits(srv, "whole") as p:
        found = texts(p)
    good = len(found) == 3 and all(a.startswith(b"+OK %d " % s) and len(t) == s and t.endswith(wire(m))
                                   for (s, a, t), m in zip(found, (SMALL, MIDDLE, edge)))
    left = db.db.sql("SELECT COUNT(*) FROM mail_message m JOIN mail_box b ON b.id = m.mailbox WHERE b.user_key = 'whole'")
    tap.ok(good and left == [["0"]], "undamaged: served, and gone after QUIT", (brief(found), left))


def hide(db, user, ago):
    """Its messages are hidden, and their time was over so many minutes ago."""
    box = db.db.sql("SELECT id FROM mail_box WHERE user_key = '%s'" % user)[0][0]
    db.db.sql("UPDATE mail_message SET hidden_until = UTC_TIMESTAMP(6) - INTERVAL %d MINUTE WHERE mailbox = %s;"
              "UPDATE mail_box SET hidden = messages, hidden_octets = octets, messages = 0, octets = 0 WHERE id = %s"
              % (ago, box, box))
    return box


def tick(ask, look, want):
    """Ticks until `look` is what is wanted; the server's own tick, beside which ours does nothing, may be at work."""
    found = []

    def once():
        found[:] = [ask.ask("tick"), look()]
        return found[1] == want
    with contextlib.suppress(RuntimeError):
        wait_until(once, 30, "the tick")
    a, left = found
    return a["code"] == "OK" and left == want, (a["code"], a["error"], left)


def expiry(tap, srv, db):
    """The tick removes hidden mail whose time is over, whatever is wrong with other mailboxes: one is in use, with more messages
    than a page of the list has; the row of one is missing; rows of the garbage of one are there already."""
    for user in ("busy", "orphan", "again", "good"):
        fill(db, user, SMALL, SMALL)
    busy = db.db.sql("SELECT id FROM mail_box WHERE user_key = 'busy'")[0][0]
    db.db.sql("INSERT INTO mail_message (mailbox, pos, body, octets, received, uidl) SELECT %s, seq, 0, 0, UTC_TIMESTAMP(6),"
              " CONCAT('x', seq) FROM seq_1_to_1200" % busy)
    ask = Ask(os.path.join(TREE, "lib/restante/modules/mysql.so"), 1, db.db.settings())
    try:
        with peek(srv, "busy"):  # before it is hidden: the server has a tick, too
            hide(db, "busy", 50)
            orphan = hide(db, "orphan", 40)
            db.db.sql("DELETE FROM mail_box WHERE id = %s; DELETE FROM mail_lease WHERE mailbox = %s" % (orphan, orphan))
            again = hide(db, "again", 30)
            db.db.sql("INSERT IGNORE INTO mail_garbage (body, mailbox, pos) SELECT body, mailbox, pos FROM mail_message"
                      " WHERE mailbox = %s" % again)
            good = hide(db, "good", 20)
            done, why = tick(ask, lambda: db.db.sql("SELECT mailbox, COUNT(*) FROM mail_message WHERE mailbox IN (%s) GROUP BY 1"
                                                    % ", ".join((busy, orphan, again, good))), [[busy, "1202"]])
            tap.ok(done, "hidden mail is removed beside a mailbox that is in use, one without a row, one whose garbage was restored", why)
        done, why = tick(ask, lambda: db.db.sql(
            "SELECT COUNT(*) FROM mail_message WHERE hidden_until IS NOT NULL; SELECT COUNT(*) FROM mail_garbage;"
            "SELECT SUM(hidden), SUM(hidden_octets) FROM mail_box WHERE id IN (%s, %s, %s);"
            "SELECT COUNT(*) FROM mail_lease WHERE mailbox = %s" % (busy, again, good, orphan)), [["0"], ["0"], ["0", "0"], ["0"]])
        tap.ok(done, "and of that one when its session has ended; bodies and counters follow", why)
        clock(tap, db, ask, good)
        fill(db, "busy", SMALL)
        db.db.sql("INSERT IGNORE INTO mail_garbage (body, mailbox, pos) SELECT body, mailbox, pos FROM mail_message"
                  " WHERE mailbox = %s" % busy)
        with get_in(srv, "busy") as p:
            p.say("DELE 1")
            r = p.say("QUIT")
        tap.ok(r.startswith(b"+OK") and db.db.sql("SELECT COUNT(*) FROM mail_message WHERE mailbox = %s" % busy) == [["0"]],
               "a message whose garbage was restored can be deleted", r)
    finally:
        ask.close()


def clock(tap, db, ask, box):
    """The database's clock is years ahead for a while: what is hidden until tomorrow is not removed, imports are not forgotten."""
    fill(db, "good", SMALL)
    db.db.sql("UPDATE mail_message SET hidden_until = UTC_TIMESTAMP(6) + INTERVAL 1 DAY WHERE mailbox = %s;"
              "INSERT INTO mail_import VALUES (%s, 'x', UTC_TIMESTAMP(6) - INTERVAL 29 DAY);"
              "INSERT INTO mail_server VALUES ('0123456789abcdef', 'x', UTC_TIMESTAMP(6) + INTERVAL 1 DAY);"
              "SET GLOBAL init_connect = 'SET timestamp = 1990000000'" % (box, box))
    db.db.hang_up()
    a = ask.ask("tick")
    there = "SELECT COUNT(*) FROM mail_message WHERE mailbox = %s; SELECT COUNT(*) FROM mail_import WHERE mailbox = %s" % (box, box)
    ahead = db.db.sql("SELECT COUNT(*) FROM mail_server WHERE name = 'x'")
    tap.ok(a["code"] == "OK" and ahead == [["0"]] and db.db.sql(there) == [["1"], ["1"]],
           "a clock of the database that is ahead removes nothing before its time", (a["code"], a["error"], ahead, db.db.sql(there)))
    db.db.sql("SET GLOBAL init_connect = ''; UPDATE mail_message SET hidden_until = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND"
              " WHERE mailbox = %s; UPDATE mail_import SET made = made - INTERVAL 2 DAY" % box)
    db.db.hang_up()
    done, why = tick(ask, lambda: db.db.sql(there), [["0"], ["0"]])
    tap.ok(done, "and afterwards what is over goes", why)


def main():
    tap = Tap()
    db = Tables()
    try:
        with Server() as srv:
            users = ["u%d" % k for k in range(len(DAMAGE))] + ["bytes", "m0", "m1", "whole", "busy"]
            srv.passwd({u: "restante" for u in users})
            port = srv.listen("lmtp")
            srv.configure(accounts(srv) + db.section(srv) + block("delivery", postmaster="u0", max_size="64m"), expire=0)
            srv.start()
            damaged(tap, srv, db)
            cut_bytes(tap, srv, db)
            meanwhile(tap, srv, db)
            whole(tap, srv, db, port)
            expiry(tap, srv, db)
            srv.ends(tap)
    finally:
        db.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
