#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tick of the storage module mysql in a real restanted: hidden messages whose time has come, deliveries that were
abandoned, bodies that no message refers to any more, old imports; and rows that must stay. TAP."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailbed import Bed, Lmtp  # noqa: E402
from pop import Pop  # noqa: E402
from server import Tap  # noqa: E402

SHARED = b"Subject: shared\r\n\r\n" + b"s" * 76 + b"\r\n"


def one(bed, text):
    return int(bed.db.sql(text)[0][0])


def wait_for(check, seconds=60):
    end = time.monotonic() + seconds
    while not check() and time.monotonic() < end:
        time.sleep(0.2)
    return check()


def main():
    tap = Tap()
    bed = Bed(abandoned_time="20min")
    try:
        bed.fill("u1", 3)
        lmtp = Lmtp(bed.lmtp_port)
        tap.ok(all(r.startswith(b"250") for r in lmtp.send("u2", "u3", text=SHARED)), "one message to two")
        box = one(bed, "SELECT id FROM mail_box WHERE user_key = 'u1'")
        # one hidden until yesterday, one until tomorrow; a delivery that was abandoned, and one that goes on
        bed.db.sql("UPDATE mail_message SET hidden_until = UTC_TIMESTAMP(6) - INTERVAL 1 DAY WHERE mailbox = %d ORDER BY pos"
                   " LIMIT 1; UPDATE mail_message SET hidden_until = UTC_TIMESTAMP(6) + INTERVAL 1 DAY WHERE mailbox = %d"
                   " ORDER BY pos DESC LIMIT 1;"
                   "UPDATE mail_box SET messages = 1, octets = octets DIV 3, hidden = 2, hidden_octets = 2 * octets"
                   " WHERE id = %d;"
                   "INSERT INTO mail_incoming VALUES (77, UTC_TIMESTAMP(6) - INTERVAL 2 HOUR), (78, UTC_TIMESTAMP(6));"
                   "INSERT INTO mail_chunk VALUES (77, 0, 1, 'x'), (77, 1, 1, 'x'), (78, 0, 1, 'x');"
                   "INSERT INTO mail_import SELECT %d, CONCAT('old', seq), UTC_TIMESTAMP(6) - INTERVAL 31 DAY FROM seq_1_to_1200;"
                   "INSERT INTO mail_import VALUES (%d, 'new', UTC_TIMESTAMP(6) - INTERVAL 29 DAY)" % ((box,) * 5))
        p = Pop(bed.srv.clear_port)
        p.login("u2")
        p.say("DELE 1")
        r = p.say("QUIT")
        tap.ok(r.startswith(b"+OK"), "one of the two deletes it", r)
        gone = wait_for(lambda: one(bed, "SELECT COUNT(*) FROM mail_message WHERE mailbox = %d" % box) == 2)
        tap.ok(gone, "the hidden message whose time has come is removed", bed.srv.log()[-1500:])
        rows = bed.db.sql("SELECT messages, hidden, octets = hidden_octets FROM mail_box WHERE id = %d" % box)
        tap.ok(rows == [["1", "1", "1"]], "the counters follow", rows)
        done = wait_for(lambda: one(bed, "SELECT COUNT(*) FROM mail_chunk WHERE body = 77") == 0 and
                        one(bed, "SELECT COUNT(*) FROM mail_garbage") == 0)
        rows = bed.db.sql("SELECT body FROM mail_incoming")
        tap.ok(done and rows == [["78"]], "the abandoned delivery is removed, the other is not", rows)
        tap.ok(one(bed, "SELECT COUNT(*) FROM mail_chunk WHERE body = 78") == 1, "nor the rows it has written")
        done = wait_for(lambda: one(bed, "SELECT COUNT(*) FROM mail_import WHERE uidl LIKE 'old%'") == 0)
        tap.ok(done and bed.db.sql("SELECT uidl FROM mail_import") == [["new"]], "imports are forgotten after 30 days",
               one(bed, "SELECT COUNT(*) FROM mail_import"))
        n = bed.srv.events("mail")
        tap.ok(n["deliveries_abandoned"] == 1 and n["connects"] > 0 and n["server_failures"] == 0, "it is counted", n)
        orphans = one(bed, "SELECT COUNT(*) FROM mail_chunk c WHERE c.body <> 78 AND NOT EXISTS"
                           " (SELECT 1 FROM mail_message m WHERE m.body = c.body)")
        tap.ok(orphans == 0, "no body is left that no message names", orphans)
        p = Pop(bed.srv.clear_port)
        p.login("u3")
        got = p.lines("RETR 1")
        tap.ok(got and SHARED.splitlines(True)[-1] in got, "the other's copy is whole", got)
        p.say("DELE 1")
        p.say("QUIT")
        left = wait_for(lambda: one(bed, "SELECT COUNT(*) FROM mail_chunk c JOIN mail_message m ON m.body = c.body"
                                         " WHERE m.mailbox <> %d" % box) == 0 and
                        one(bed, "SELECT COUNT(*) FROM mail_chunk WHERE body <> 78") == 2)
        tap.ok(left, "when both are deleted the body goes", bed.db.sql("SELECT body, seq, size FROM mail_chunk"))
        tap.ok(wait_for(lambda: one(bed, "SELECT COUNT(*) FROM mail_lease WHERE owner IS NOT NULL") == 0), "no lease is left")
    finally:
        rc = bed.close()
    tap.ok(rc == 0, "the server ended cleanly", "%s\n%s" % (rc, bed.end))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
