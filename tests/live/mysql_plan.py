#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rows that the storage module mysql's statements read: a database of many mailboxes (5,000 with 100,000 messages;
with ALL=yes 100,000 with 2 million), every kind of work on it, and the server's own log of rows examined, sent and
changed for each statement it ran. None reads more than twice what it gives or changes, EXPLAIN shows a key for each, and
the handler counters show no scan. TAP."""
import collections
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from databases import arguments  # noqa: E402
from mailstore import TREE, MailStore  # noqa: E402
from server import Tap  # noqa: E402

ACT = os.path.join(os.environ["top_builddir"], "tests/crash/act")
MODULE = os.path.join(TREE, "lib/restante/modules/mysql.so")
BOXES, MESSAGES = (100000, 20) if os.environ.get("ALL") == "yes" else (5000, 20)
# the work of a session, a delivery, a deletion, a removal and the tick
CHECKS = ("snapshot.*", "info.*", "uidl.stable", "commit.exact", "commit.many", "commit.marks", "commit.hide", "delivery.*", "import.*",
          "lock.busy", "lock.released", "boxes.stat", "boxes.delete", "life.tick", "life.probe", "read.*")


def load(db):
    """Mailboxes user1, user2, ...: each of 20 messages; bodies of one piece."""
    db.sql("INSERT INTO mail_box (id, user_key, domain, messages, octets, last_delivery)"
           " SELECT seq, CONCAT('user', seq), 'example.org', %d, %d * 100, UTC_TIMESTAMP(6) FROM seq_1_to_%d;"
           "INSERT INTO mail_lease (mailbox) SELECT seq FROM seq_1_to_%d" % (MESSAGES, MESSAGES, BOXES, BOXES))
    step = 100000
    for first in range(0, BOXES * MESSAGES, step):
        last = min(first + step, BOXES * MESSAGES)
        db.sql("SET unique_checks = 0;"
               "INSERT INTO mail_chunk (body, seq, size, data) SELECT seq, 0, 100, REPEAT('x', 100) FROM seq_%d_to_%d;"
               "INSERT INTO mail_message (mailbox, pos, body, octets, received, uidl)"
               " SELECT 1 + (seq - 1) DIV %d, 7000000000000000000 + seq, seq, 100, UTC_TIMESTAMP(6) - INTERVAL seq SECOND,"
               " MD5(seq) FROM seq_%d_to_%d" % (first + 1, last, MESSAGES, first + 1, last))
    db.sql("ANALYZE TABLE mail_box, mail_lease, mail_message, mail_chunk")


def work(tap, db):
    done = subprocess.run([os.path.join(TREE, "bin/restante-conform"), "--seconds", "600",
                           *[x for c in CHECKS for x in ("--only", c)], MODULE, *arguments(db.settings())],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    tap.ok(done.returncode == 0, "the kit's sessions, deliveries and deletions", done.stdout)
    for k in range(1, 41):
        out = subprocess.run([ACT, MODULE, *arguments(db.settings()), "session", "user%d" % (k * (BOXES // 50)), "0,3,7"],
                             stdout=subprocess.PIPE, text=True).stdout
        if "open OK" not in out or "commit OK" not in out or out.count(" OK ") < MESSAGES:
            return tap.ok(False, "sessions on the loaded mailboxes", out)
    with tempfile.NamedTemporaryFile(dir="/tmp") as f:
        f.write(b"Subject: x\r\n\r\n" + b"y" * 200000 + b"\r\n")
        f.flush()
        out = subprocess.run([ACT, MODULE, *arguments(db.settings()), "deliver", "user7,user9,new", f.name],
                             stdout=subprocess.PIPE, text=True).stdout
    return tap.ok("delivery OK" in out, "40 sessions and a delivery on the loaded mailboxes", out)


def shape(text):
    """The statement without its values."""
    text = re.sub(r"IN \([?,]+\)", "IN (...)", re.sub(r"'(?:[^'\\]|\\.|'')*'|x'[0-9a-f]*'|\b\d+\b|NULL\b", "?", text))
    return re.sub(r"\s+", " ", text)[:110]


def statements(log):
    """(text, examined, sent, affected) of each statement on our tables."""
    for part in log.split("# User@Host: ")[1:]:
        m = re.search(r"Rows_sent: (\d+)\s+Rows_examined: (\d+)", part)
        a = re.search(r"Rows_affected: (\d+)", part)
        text = part.split("SET timestamp=", 1)[-1].split(";\n", 1)[-1].strip().rstrip(";")
        if m and "mail_" in text and not text.startswith(("EXPLAIN", "ANALYZE")):
            yield text, int(m.group(2)), int(m.group(1)), int(a.group(1)) if a else 0


def rows_read(tap, log):
    seen = collections.defaultdict(lambda: [0, 0, 0, ""])
    n = 0
    for text, examined, sent, affected in statements(log):
        n += 1
        gives = max(sent, affected)
        # counts return one row for all they read: the pieces of a delivery, and a mailbox that is counted again
        if text.startswith("SELECT COUNT(*)"):
            gives = max(gives, examined)
        s = seen[shape(text)]
        s[0] += 1
        s[1] += examined
        s[2] += gives
        if examined > 2 * max(gives, 1):
            s[3] = "%d examined, %d sent, %d changed: %s" % (examined, sent, affected, text[:200])
    for kind, (times, examined, gives, why) in sorted(seen.items()):
        tap.ok(not why, "%d x, %d rows read, %d given or changed: %s" % (times, examined, gives, kind), why)
    tap.ok(n > 3000 and len(seen) > 25, "%d statements of %d kinds were looked at" % (n, len(seen)))


def explained(tap, db, log):
    """One statement of each kind: the key it uses."""
    kinds = {}
    for text, _, _, _ in statements(log):
        if re.match(r"SELECT|UPDATE|DELETE", text) and len(text) < 60000:
            kinds.setdefault(shape(text), text)
    bad = []
    for text in kinds.values():
        for row in db.sql("EXPLAIN " + text):
            table, access, key = row[2], row[3], row[5]
            if access in ("ALL", "index") and not (access == "index" and key == "PRIMARY" and "mail_garbage" in text):
                bad.append((table, access, key, text[:150]))
    tap.ok(kinds and not bad, "EXPLAIN: each of %d kinds goes by a key" % len(kinds), "\n".join(map(str, bad)))


def handler(db):
    return {k: int(v) for k, v in db.sql("SHOW GLOBAL STATUS LIKE 'Handler_read%'")}


def main():
    tap = Tap()
    db = MailStore(innodb_buffer_pool_size="512M" if os.environ.get("ALL") == "yes" else "128M")
    try:
        load(db)
        tap.note("%d mailboxes, %d messages" % (BOXES, BOXES * MESSAGES))
        db.sql("SET GLOBAL log_output = 'FILE', slow_query_log_file = '%s', long_query_time = 0,"
               " log_slow_verbosity = 'query_plan', log_slow_disabled_statements = '', slow_query_log = 1"
               % db.path("run", "slow.log"))
        before = handler(db)
        work(tap, db)
        after = handler(db)
        db.sql("SET GLOBAL slow_query_log = 0")
        with open(db.path("run", "slow.log"), errors="replace") as f:
            log = f.read()
        rows_read(tap, log)
        scans = after["Handler_read_rnd_next"] - before["Handler_read_rnd_next"]
        given = sum(after[k] - before[k] for k in after if k.startswith("Handler_read_")) - scans
        tap.note("Handler_read_*: %s" % {k: after[k] - before[k] for k in after})
        # SHOW STATUS itself fills a temporary table and reads it
        tap.ok(scans < 3000, "no table is scanned: Handler_read_rnd_next %d of %d rows" % (scans, given))
        explained(tap, db, log)
    finally:
        db.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
