#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What reaches the database. By the servers' own query logs: for names and passwords with every byte in every place,
only the configured statements, the name as one bound value, never a password. And by their own counters, on 100,000
accounts: no statement reads more than twice the rows it returns. TAP."""
import json
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Tap, wait_until  # noqa: E402
from databases import Ask, Maria, Postgres, Sqlite, queries  # noqa: E402
from sql_accounts import MODULE, sha  # noqa: E402

CLASSICS = ["' OR '1'='1", "x'; DROP TABLE accounts; --", "\" OR \"\"=\"", "a\\' OR 1=1 -- ", "\\", "a\\", "''", "'", "\"", "`", "%", "_",
            "ann%", ":user", "$1", "?", "/*", "*/", "--", "#", ";", "a;b", "a UNION SELECT 1", "$$x$$", "0x61", "NULL", "NULL@NULL",
            "\u00bf'", "\u2019 OR 1=1", "\uff07", "\u0130", "\U0001f600", "e\u0301", "@", "a@b@c", "x" * 320]
MARK = b"PWMARK"
ACCOUNTS = 100000


def names():
    """Every byte at the beginning, in the middle, at the end; characters of two, three and four bytes; classics."""
    for b in range(256):
        for before, after in ((b"", b"ann@example.org"), (b"an", b"n@example.org"), (b"ann@example.org", b"")):
            yield before + bytes([b]) + after
    for c in "\u0080\u00a0\u00df\u07ff\u0800\u2028\ufeff\ufffd\U00010000\U0010ffff":
        yield ("an" + c + "n@example.org").encode()
    for c in CLASSICS:
        yield c.encode()


def askable(name):
    """As module.h and the module say: UTF-8 without control characters, 1 to 320 bytes."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return False
    return 0 < len(name) <= 320 and not any(ord(c) < 0x20 or ord(c) == 0x7f for c in text)


def ask_all(ask, wanted):
    """Logins with the names, each with another byte in its password; how they were answered."""
    codes, pending = {}, 0
    for k, name in enumerate(wanted):
        ask.send("verify", name, MARK + bytes([k % 256]) + b"' OR '1'='1", 20000)
        pending += 1
        if pending == 8:
            a = ask.receive()
            codes[a["code"]] = codes.get(a["code"], 0) + 1
            pending -= 1
    for _ in range(pending):
        a = ask.receive()
        codes[a["code"]] = codes.get(a["code"], 0) + 1
    return codes


def maria_log(db):
    """(command, text) of the general log, as the server wrote them."""
    with open(db.path("run", "general.log"), "rb") as f:
        raw = f.read()
    # "[time]\t  id command\ttext": the text goes on until the next such line
    return [(m.group(1).decode(), m.group(2)) for m in
            re.finditer(rb"\t +\d+ (Connect|Init DB|Query|Quit|Prepare|Execute|Close stmt|Reset stmt|Statistics|Change user)\t?"
                        rb"(.*?)(?=\n[^\n]*\t +\d+ (?:Connect|Init DB|Query|Quit|Prepare|Execute|Close stmt|Reset stmt)|\n?\Z)", raw, re.S)]


def maria_literal(value):
    for raw, shown in ((b"\\", b"\\\\"), (b"\0", b"\\0"), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"'", b"\\'"), (b'"', b'\\"'), (b"\x1a", b"\\Z")):
        value = value.replace(raw, shown)
    return b"'" + value + b"'"


def maria_seen(tap, db, statements, asked):
    log = maria_log(db)
    expected = sorted(s.encode().replace(b":user", maria_literal(n)) for n in asked for s in statements)
    executed = sorted(text.rstrip(b"\n") for command, text in log if command == "Execute")
    odd = [x for x in executed if x not in set(expected)][:3]
    tap.ok(executed == expected, "mysql: %d executions, all of them the configured statements with one value each" % len(executed),
           "%d expected; odd: %s" % (len(expected), odd))
    prepared = {text.rstrip(b"\n") for command, text in log if command == "Prepare"}
    tap.ok(prepared == {s.encode().replace(b":user", b"?") for s in statements}, "mysql: only they were prepared", prepared)
    other = [x for x in log if x[0] == "Query" and b"SET GLOBAL" not in x[1] and not x[1].startswith(b"SET NAMES")]
    tap.ok(not other, "mysql: nothing was sent as text", other[:3])


def postgres_log(db):
    with open(db.path("log"), "rb") as f:
        return f.read()


def postgres_seen(tap, db, statements, asked):
    raw = postgres_log(db)
    texts = {s.encode().replace(b":user", b"$1") for s in statements}
    executed = re.findall(rb"LOG:  execute restante_\d+: (.*)\n", raw)
    tap.ok(len(executed) == len(asked) * len(statements) and set(executed) == texts,
           "pgsql: %d executions, all of them the configured statements" % len(executed), set(executed) - texts)
    values = sorted(x.replace(b"''", b"'") for x in re.findall(rb"DETAIL:  parameters: \$1 = '(.*)'\n", raw))
    tap.ok(values == sorted(n for n in asked for _ in statements), "pgsql: the name is the one value of each",
           [x for x in values if x not in asked][:3])
    other = re.findall(rb"LOG:  statement: (?!CREATE|GRANT|INSERT|ANALYZE|DROP).*\n", raw)
    tap.ok(not other, "pgsql: nothing was sent as text", other[:3])


def injection(tap, db):
    q = queries(db.driver)
    chosen = {k: q[k] for k in ("query_user", "query_passwords")}
    ask = Ask(MODULE, 8, dict(db.settings(), **chosen))
    wanted = list(names())
    asked = [n for n in wanted if askable(n)]
    codes = ask_all(ask, wanted)
    tap.ok(codes == {"DENIED": len(wanted)}, "%s: %d hostile names and passwords: all refused, no failure" % (db.driver, len(wanted)), codes)
    tap.ok(ask.ask("verify", "ann@example.org", "restante")["code"] == "OK", "%s: and the account is still there" % db.driver)
    asked.append(b"ann@example.org")
    rc, err = ask.close()
    tap.ok(rc == 0 and not err, "%s: ended cleanly" % db.driver, err)
    if db.driver == "mysql":
        db.sql("SET GLOBAL general_log = 0")
        maria_seen(tap, db, list(chosen.values()), asked)
        raw = open(db.path("run", "general.log"), "rb").read()
    elif db.driver == "pgsql":
        postgres_seen(tap, db, list(chosen.values()), asked)
        raw = postgres_log(db)
    else:
        return
    lines = [x for x in raw.split(b"\n") if (MARK in x or sha("restante").encode() in x) and b"INSERT INTO" not in x]
    tap.ok(not lines, "%s: no password and no hash in the server's log" % db.driver, lines[:2])


# ---- rows read ---------------------------------------------------------------------------------

def many(db):
    """100,000 accounts, two app passwords and an alias with two targets for each."""
    def cat(*parts):
        return "CONCAT(%s)" % ", ".join(parts) if db.driver == "mysql" else " || ".join(parts)
    name = cat("'u'", "seq", "'@d'", "(seq % 1000)", "'.example'")
    hashed = "'{SHA}%s'" % sha("restante")
    for table, columns, n in (("accounts (name, password)", "%s, %s" % (name, hashed), ACCOUNTS),
                              ("app_passwords (account, label, password)", "%s, 'a', %s" % (name, "'{SHA}x'"), ACCOUNTS),
                              ("app_passwords (account, label, password)", "%s, 'b', %s" % (name, "'{SHA}y'"), ACCOUNTS),
                              ("aliases (name, target)", "%s, 'x@example.org'" % cat("'i-'", name), ACCOUNTS),
                              ("aliases (name, target)", "%s, 'y@example.org'" % cat("'i-'", name), ACCOUNTS),
                              ("domains (name)", cat("'d'", "(seq - 1)", "'.example'"), 1000)):
        if db.driver == "sqlite":
            db.sql("INSERT INTO %s WITH RECURSIVE s(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM s LIMIT %d) SELECT %s FROM s;"
                   % (table, n, columns))
        else:
            db.sql("INSERT INTO %s SELECT %s FROM %s;" % (table, columns, "seq_1_to_%d AS s" % n if db.driver == "mysql"
                                                          else "generate_series(1, %d) AS s(seq)" % n))
    db.sql("ANALYZE TABLE accounts, app_passwords, aliases, domains" if db.driver == "mysql" else "ANALYZE")


def handlers(db):
    return {k: int(v) for k, v in db.sql("SHOW GLOBAL STATUS LIKE 'Handler_read%'")}


WORK = (("query_user and query_passwords", "verify", "u%d@d%d.example", 1 + 2), ("query_targets", "lookup", "i-u%d@d%d.example", 2),
        ("query_domain", "domain", "d%d.example", 1))
ROUNDS = 100


def rounds(ask, verb, pattern, first):
    for k in range(ROUNDS):
        n = first + 37 * k
        name = pattern % ((n % 1000,) if verb == "domain" else (n, n % 1000))
        a = ask.ask(verb, name, "restante")
        if a["code"] != "OK":
            raise RuntimeError("%s %s: %s" % (verb, name, a))


def filled(text):
    """A statement with values, to be explained."""
    return re.sub(r":[a-z]+", lambda m: {":id": "5", ":time": "1", ":domain": "'d5.example'"}.get(m.group(), "'u5@d5.example'"), text)


def maria_reads(tap, db):
    ask = Ask(MODULE, 1, dict(db.settings(), **queries("mysql")))
    ask.ask("verify", "u1@d1.example", "restante")
    a = handlers(db)
    b = handlers(db)
    own = {k: b[k] - a[k] for k in a}  # what asking costs
    for what, verb, pattern, rows in WORK + (("update_login", "tick", None, 1),):
        a = handlers(db)
        if pattern:
            rounds(ask, verb, pattern, 100)
        else:
            ask.ask("tick", ms=60000)
        b = handlers(db)
        read = sum(b[k] - a[k] - own[k] for k in a)
        tap.ok(0 < read <= 2 * rows * ROUNDS, "mysql, %s: %d rows read, %d returned" % (what, read, rows * ROUNDS),
               {k: b[k] - a[k] - own[k] for k in a})
    ask.close()
    ask = Ask(MODULE, 1, dict(db.settings(), query_user="SELECT name, password FROM accounts WHERE LOWER(name) = :user"))
    a = handlers(db)
    ask.ask("verify", "u1@d1.example", "restante")
    b = handlers(db)
    ask.close()
    tap.ok(sum(b[k] - a[k] - own[k] for k in a) >= ACCOUNTS, "mysql: a statement that reads the whole table would be seen", b)
    for key, text in queries("mysql").items():
        plan = db.sql("EXPLAIN " + filled(text))
        kinds = {row[3] for row in plan}
        tap.ok(not kinds & {"ALL", "index"}, "mysql, %s: EXPLAIN says %s" % (key, ", ".join(sorted(kinds))), plan)


def postgres_counters(db):
    rows = db.sql("SELECT COALESCE(sum(seq_tup_read), 0), COALESCE(sum(idx_tup_fetch), 0) FROM pg_stat_user_tables")
    return [int(x) for x in rows[0]]


def walk(plan):
    yield plan
    for p in plan.get("Plans", []):
        yield from walk(p)


def postgres_reads(tap, db):
    for what, verb, pattern, rows in WORK:
        before = postgres_counters(db)
        ask = Ask(MODULE, 1, dict(db.settings(), **queries("pgsql")))
        rounds(ask, verb, pattern, 100)
        if verb == "verify":
            ask.ask("tick", ms=60000)
            rows += 1  # what update_login finds
        ask.close()  # counters are sent when a connection ends
        wait_until(lambda: postgres_counters(db)[1] - before[1] >= ROUNDS or verb == "domain", 5, "the counters")
        time.sleep(0.3)
        after = postgres_counters(db)
        read = after[1] - before[1]
        # an index-only scan fetches nothing from the table, so 0 is as good as it gets
        tap.ok(after[0] == before[0] and read <= 2 * rows * ROUNDS,
               "pgsql, %s: %d rows read by index and %d else, %d returned" % (what, read, after[0] - before[0], rows * ROUNDS))
    for key, text in queries("pgsql").items():
        text = filled(text)
        plan = json.loads("\n".join(x[0] for x in db.sql("EXPLAIN (FORMAT JSON) " + text)))
        nodes = [n["Node Type"] for n in walk(plan[0]["Plan"])]
        tap.ok("Seq Scan" not in nodes, "pgsql, %s: EXPLAIN says %s" % (key, ", ".join(nodes)), nodes)


def sqlite_reads(tap, db):
    for key, text in queries("sqlite").items():
        plan = [row[-1] for row in db.sql("EXPLAIN QUERY PLAN " + filled(text))]
        tap.ok(not any("SCAN" in p for p in plan) and any("SEARCH" in p for p in plan), "sqlite, %s: %s" % (key, " ".join(plan[1:])[:90]), plan)


def main():
    tap = Tap()
    for make, extra, reads in ((Sqlite, {}, sqlite_reads), (Maria, {}, maria_reads),
                               (Postgres, {"log_statement": "all", "log_line_prefix": ""}, postgres_reads)):
        db = make(**extra)
        try:
            db.sql("INSERT INTO accounts (name, password) VALUES ('ann@example.org', '{SHA}%s')" % sha("restante"))
            if make is Maria:
                db.sql("SET GLOBAL general_log = 1")
            injection(tap, db)
            many(db)
            reads(tap, db)
        finally:
            db.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
