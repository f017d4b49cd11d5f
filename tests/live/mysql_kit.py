#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restante-conform on the storage module mysql and a real MariaDB, and the work of restantectl mysql-schema. Three
checks wait for the lease of a killed process, 30 s each: they run in a database of their own, in parallel. TAP."""
import os
import re
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailstore import TREE, MailStore  # noqa: E402
from databases import PASSWORD, Ask, arguments  # noqa: E402
from server import Tap  # noqa: E402
from splitter import Splitter  # noqa: E402

WAITING = ("commit.durable", "commit.hide-durable", "lock.dead-holder")
CHECKS = 85  # that apply
# Under ThreadSanitizer only checks with several threads add anything: the rest runs under the other sanitizers, and with --all.
THREADS = ("threads.sessions", "threads.wandering", "lock.threads", "close.threads", "delivery.beside")
ONLY_THREADS = "thread" in os.environ.get("SANITIZE", "") and os.environ.get("ALL") != "yes"


def kit(settings, *only):
    """Check -> whether it held, and the kit's words."""
    args = [os.path.join(TREE, "bin/restante-conform"), "--seconds", "240"]
    for o in only:
        args += ["--only", o]
    done = subprocess.run([*args, os.path.join(TREE, "lib/restante/modules/mysql.so"), *arguments(settings)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=1800)
    found = {m.group(2): m.group(1) == "ok" for m in re.finditer(r"^(ok|not ok) \d+ - ([a-z.-]+): (?!.* # SKIP )",
                                                                 done.stdout, re.M)}
    return found, done.stdout


def all_checks(settings):
    done = subprocess.run([os.path.join(TREE, "bin/restante-conform"), "--list"], stdout=subprocess.PIPE, text=True)
    return [line.split()[0] for line in done.stdout.splitlines()]


def conformance(tap, db):
    settings = dict(db.settings(), lease_time="30s")
    results = {}
    beside = []
    for k, check in enumerate(WAITING):
        name = "mail%d" % (k + 2)
        db.sql("CREATE DATABASE %s; GRANT ALL ON %s.* TO restante@'127.0.0.1'" % (name, name), database="")
        done = db.schema_tool(database=name)
        tap.ok(done.returncode == 0, "another database gets its tables", done.stderr)
        beside.append(threading.Thread(target=lambda n=name, c=check: results.update(
            {c: kit(dict(settings, database=n), c)})))
        beside[-1].start()
    found, out = kit(settings, *[c for c in all_checks(settings) if c not in WAITING])
    for check, thread in zip(WAITING, beside):
        thread.join()
        found.update(results[check][0])
        out += results[check][1]
    for check, good in sorted(found.items()):
        why = re.search(r"^not ok \d+ - %s: .*(?:\n#.*)*" % re.escape(check), out, re.M)
        tap.ok(good, check, why.group(0) if why else "")
    tap.ok(len(found) >= CHECKS, "%d checks apply, %d at least" % (len(found), CHECKS), out)


def schema(tap, db):
    """Made, looked at, upgraded from the first step with mail in it, refused when newer; counters mended."""
    done = db.schema_tool("check")
    tap.ok(done.returncode == 0 and "up to date" in done.stdout, "check: up to date", done.stdout + done.stderr)
    done = db.schema_tool()
    tap.ok(done.returncode == 0 and "up to date" in done.stdout, "a second time there is nothing to do", done.stdout)
    db.sql("DROP TABLE mail_domain, mail_import; DELETE FROM mail_version WHERE version > 1;"
           "INSERT INTO mail_box (id, user_key, domain, messages, octets) VALUES (7000, 'ann', 'Example.ORG', 2, 30),"
           " (7001, 'bob', '\u00c9XAMPLE.org', 0, 0);"
           "INSERT INTO mail_message (mailbox, pos, body, octets, received, uidl) VALUES"
           " (7000, 1, 0, 10, UTC_TIMESTAMP(6), 'a'), (7000, 2, 0, 20, UTC_TIMESTAMP(6), 'b')")
    done = db.schema_tool("check")
    tap.ok(done.returncode != 0 and "run restantectl mysql-schema" in done.stderr,
           "old tables are refused, with what to do", done.stderr)
    done = db.schema_tool()
    rows = db.sql("SELECT slot, messages, octets FROM mail_domain WHERE domain = 'example.org'")
    tap.ok(done.returncode == 0 and rows == [["8", "2", "30"]], "upgraded, and the domains are counted", rows)
    rows = db.sql("SELECT COUNT(*) FROM mail_message WHERE mailbox = 7000")
    tap.ok(rows == [["2"]], "the mail is still there", rows)
    rows = db.sql("SELECT COUNT(*) FROM mail_import") + db.sql("SELECT MAX(version) FROM mail_version")
    tap.ok(rows == [["0"], ["4"]], "and imports can be remembered: step 3", rows)
    db.sql("UPDATE mail_box SET domain = 'Example.ORG' WHERE id = 7000; DELETE FROM mail_version WHERE version > 3; DELETE FROM mail_domain;"
           "INSERT INTO mail_domain VALUES ('Example.ORG', 8, 2, 30), ('example.org', 7, 1, 5), ('example.org', 8, 1, 1);"
           "INSERT INTO mail_box (id, user_key, domain, messages, octets) VALUES (7015, 'carol', 'example.org', 1, 5)")
    done = db.schema_tool()
    rows = db.sql("SELECT domain, slot, messages, octets FROM mail_domain WHERE slot < 9 ORDER BY 2") + \
        db.sql("SELECT domain FROM mail_box WHERE id < 7015 ORDER BY id")
    tap.ok(done.returncode == 0 and rows == [["example.org", "7", "1", "5"], ["example.org", "8", "2", "30"], ["example.org"],
                                             ["\u00c9xample.org"]], "domains are joined in lower case, A to Z: step 4", rows)
    db.sql("DELETE FROM mail_box WHERE id IN (7001, 7015); DELETE FROM mail_domain WHERE slot = 7")
    db.sql("UPDATE mail_box SET messages = 99, octets = 1 WHERE id = 7000;"
           "UPDATE mail_domain SET octets = 12345 WHERE domain = 'example.org'")
    done = db.schema_tool("recount")
    rows = db.sql("SELECT messages, octets FROM mail_box WHERE id = 7000") + \
        db.sql("SELECT messages, octets FROM mail_domain WHERE domain = 'example.org'")
    tap.ok(done.returncode == 0 and "1 counters were wrong" in done.stdout and rows == [["2", "30"], ["2", "30"]],
           "recount mends mailbox and domain", "%s %s" % (done.stdout, rows))
    db.sql("INSERT INTO mail_version VALUES (99, UTC_TIMESTAMP(6))")
    done = db.schema_tool()
    tap.ok(done.returncode != 0 and "newer restante" in done.stderr, "newer tables are left alone", done.stderr)
    db.sql("DELETE FROM mail_version WHERE version = 99; DELETE FROM mail_box WHERE id = 7000;"
           "DELETE FROM mail_message WHERE mailbox = 7000; DELETE FROM mail_domain")
    done = db.schema_tool("nonsense")
    tap.ok(done.returncode != 0, "a section or word that is none is an error", done.stderr)


def threads(tap, db):
    found, out = kit(db.settings(), *THREADS)
    for check in THREADS:
        why = re.search(r"^not ok \d+ - %s: .*(?:\n#.*)*" % re.escape(check), out, re.M)
        tap.ok(found.get(check), check, why.group(0) if why else out)


def plain_server(tap):
    """TLS that cannot fall back: a server that offers none gets no password."""
    db = MailStore.__new__(MailStore)
    done = None
    try:
        db.__init__(tls=False)
    except SystemExit as e:
        done = str(e)
    tap.ok(done is not None and "SSL" in done.upper() and PASSWORD not in done,
           "a server without TLS is refused where tls = verify", done)
    db.close()


def told(settings, *changes):
    """One connection, asked once, and again after each change."""
    ask = Ask(os.path.join(TREE, "lib/restante/modules/mysql.so"), 1, settings)
    answers = [ask.ask("tick")]
    for change in changes:
        change()
        answers.append(ask.ask("tick"))
    ask.close()
    return [(a["code"], a["error"]) for a in answers]


def refused(tap, db):
    """A proxy that sends reads another way, from the start or from some time on, and a server that takes no writes."""
    proxy = Splitter(db.port, splits=False)
    settings = db.settings(tls=False, server="127.0.0.1:%d" % proxy.port)
    a = told(settings, lambda: setattr(proxy, "splits", True), lambda: setattr(proxy, "splits", False))
    tap.ok([x[0] for x in a] == ["OK", "DOWN", "OK"] and "read/write splitter; name the server that takes writes" in a[1][1],
           "a splitter is refused as soon as it splits, with what to do", a)
    proxy.splits = True
    a = told(settings)
    tap.ok(a[0][0] == "DOWN" and "read/write splitter" in a[0][1], "a splitter is refused from the start", a)
    proxy.close()
    frozen = db.session()
    frozen.say("START TRANSACTION; SELECT * FROM mail_version FOR UPDATE;")
    frozen.said()
    a = told(db.settings())
    frozen.close()
    tap.ok(a[0][0] == "OK", "the look waits for no lock: a host that is frozen in it keeps nobody waiting", a)
    db.sql("SET GLOBAL read_only = 1")
    a = told(db.settings(), lambda: db.sql("SET GLOBAL read_only = 0"))
    tap.ok([x[0] for x in a] == ["DOWN", "OK"] and "takes no writes (read_only)" in a[0][1], "a server that takes no writes is"
           " refused until it does", a)


def main():
    tap = Tap()
    db = MailStore()
    try:
        if ONLY_THREADS:
            threads(tap, db)
            return tap.done()
        schema(tap, db)
        refused(tap, db)
        conformance(tap, db)
    finally:
        db.close()
    plain_server(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
