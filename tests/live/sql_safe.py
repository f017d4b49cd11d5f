#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The statements that reach the database. The servers' own query logs show, for names and passwords with every byte in every
place, only the configured statements, the name as one bound value, never a password. And their own counters show, on 100,000
accounts, that no statement reads more than twice the rows it returns. TAP."""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Tap, wait_until  # noqa: E402
import postfixadmin  # noqa: E402
from databases import Ask, Maria, Postgres, Sqlite, queries  # noqa: E402
from sql_accounts import MODULE, sha  # noqa: E402

CLASSICS = ["' OR '1'='1", "x'; DROP TABLE accounts; --", "\" OR \"\"=\"", "a\\' OR 1=1 -- ", "\\", "a\\", "''", "'", "\"", "`", "%", "_",
            "ann%", ":user", "$1", "?", "/*", "*/", "--", "#", ";", "a;b", "a UNION SELECT 1", "$$x$$", "0x61", "NULL", "NULL@NULL",
            "\u00bf'", "\u2019 OR 1=1", "\uff07", "\u0130", "\U0001f600", "e\u0301", "@", "a@b@c", "x" * 320]
MARK = b"PWMARK"
ACCOUNTS = 100000


# Where a byte can stand in a name; in a password it stands first, in the middle and last.
PLACES = ((b"", b"ann@example.org"), (b"an", b"n@example.org"), (b"ann", b"@example.org"), (b"ann@", b"example.org"),
          (b"ann@exa", b"mple.org"), (b"ann@example.org", b""))


def names():
    """Every byte in every place; characters of two, three and four bytes; classics."""
    for before, after in PLACES:
        for b in range(256):
            yield before + bytes([b]) + after
    for c in "\u0080\u00a0\u00df\u07ff\u0800\u2028\ufeff\ufffd\U00010000\U0010ffff":
        yield ("an" + c + "n@example.org").encode()
    for c in CLASSICS:
        yield c.encode()


def password(k):
    """The k-th: every byte in every place, too."""
    byte, place = bytes([k % 256]), k // 256 % 3
    return (byte if place == 0 else b"") + MARK + (byte if place == 1 else b"") + b"' OR '1'='1" + (byte if place == 2 else b"")


def askable(name):
    """A valid name, by module.h and the module: UTF-8 without control characters, 1 to 320 bytes."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return False
    return 0 < len(name) <= 320 and not any(ord(c) < 0x20 or ord(c) == 0x7f for c in text)


def ask_all(ask, wanted):
    """Logins, deliveries and domains by these names; returns the answers."""
    codes, pending = {}, 0

    def receive():
        a = ask.receive()
        codes[a["code"]] = codes.get(a["code"], 0) + 1
    for k, name in enumerate(wanted):
        for verb, secret in (("verify", password(k)), ("lookup", ""), ("domain", "")):
            ask.send(verb, name, secret, 60000)
            pending += 1
            if pending == 8:
                receive()
                pending -= 1
    for _ in range(pending):
        receive()
    return codes


# Existing accounts with hostile names and hashes to match: deferred writes carry these.
HOSTILE = ["o'neill@example.org", "a\\'; DROP TABLE accounts; -- @example.org", "\"q\"$1?:user@example.org", "`b`/*c*/@example.org"]


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


def maria_seen(tap, db, statements, executions):
    """executions: (the statement, the value of each parameter)."""
    log = maria_log(db)
    expected = sorted(re.sub(rb":([a-z]+)", lambda m: maria_literal(values[m.group(1).decode()]), statements[key].encode())
                      for key, values in executions)
    executed = sorted(text.rstrip(b"\n") for command, text in log if command == "Execute")
    odd = [x for x in executed if x not in set(expected)][:3] + [x for x in expected if x not in set(executed)][:3]
    tap.ok(executed == expected, "mysql: %d executions, all of them the configured statements with their values" % len(executed),
           "%d expected; odd: %s" % (len(expected), odd))
    prepared = {text.rstrip(b"\n") for command, text in log if command == "Prepare"}
    tap.ok(prepared == {re.sub(r":[a-z]+", "?", s).encode() for s in statements.values()}, "mysql: only they were prepared", prepared)
    other = [x for x in log if x[0] == "Query" and not x[1].startswith((b"SET NAMES", b"SET GLOBAL", b"INSERT INTO ", b"SELECT name, accounts.password"))]
    tap.ok(not other, "mysql: nothing was sent as text", other[:3])


def postgres_log(db):
    with open(db.path("log"), "rb") as f:
        return f.read()


def postgres_seen(tap, db, statements, executions):
    raw = postgres_log(db)

    def numbered(text):
        n = iter(range(1, 100))
        return re.sub(r":[a-z]+", lambda m: "$%d" % next(n), text).encode()
    expected = []
    for key, values in executions:
        given = [values[p] for p in re.findall(r":([a-z]+)", statements[key])]
        expected.append((numbered(statements[key]), b", ".join(b"$%d = '%s'" % (k + 1, v.replace(b"'", b"''")) for k, v in enumerate(given))))
    executed = re.findall(rb"LOG:  execute restante_\d+: (.*)\nDETAIL:  parameters: (.*)\n", raw)
    odd = [x for x in executed if x not in set(expected)][:3] + [x for x in expected if x not in set(executed)][:3]
    tap.ok(sorted(executed) == sorted(expected), "pgsql: %d executions, all of them the configured statements with their values" % len(executed),
           "%d expected; odd: %s" % (len(expected), odd))
    other = re.findall(rb"LOG:  statement: (?!CREATE|GRANT|INSERT|ANALYZE|DROP|SELECT name, accounts.password).*\n", raw)
    tap.ok(not other, "pgsql: nothing was sent as text", other[:3])


def name_values(name):
    at = name.rfind(b"@")
    return {"user": name, "local": name[:at] if at >= 0 else name, "domain": name[at + 1:] if at >= 0 else b""}


def into_hostile(tap, db, ask, statements):
    """Logins into accounts that are there, with hostile names, by an app password and by the account's own; a tick then
    writes the login, the use and a new hash. Returns the statements executed for it."""
    found, names = [], [n.encode() for n in HOSTILE]
    for n in names:
        text = n.decode().replace("'", "''")
        text = text.replace("\\", "\\\\") if db.driver == "mysql" else text
        db.sql("INSERT INTO accounts (name, password) VALUES ('%s', '{SHA}%s')" % (text, sha("restante")))
        db.sql("INSERT INTO app_passwords (account, label, password) VALUES ('%s', 'x', '{SHA}%s')" % (text, sha("app")))
    codes = [ask.ask("verify", n, p, 60000)["code"] for n in names for p in ("restante", "app")]
    tap.ok(codes == ["OK"] * 2 * len(names), "%s: accounts with such names get in" % db.driver, codes)
    ask.ask("tick", ms=60000)
    rows = {r[0].encode(): r for r in stamped(db)}
    for n in names:
        row = rows[n]
        found += [("query_user", name_values(n)), ("query_passwords", name_values(n))] * 2
        call = dict(name_values(n), time=row[2].encode(), peer=b"192.0.2.1", service=b"pop3")
        found.append(("update_password", dict(name_values(n), old=b"{SHA}" + sha("restante").encode(), hash=row[1].encode())))
        found += [("update_login", call)] * 2
        found.append(("update_used", dict(call, id=row[4].encode(), time=row[3].encode())))
    tap.ok(all(r[1].startswith("{BLF-CRYPT}") and r[2] == r[3] for r in rows.values()),
           "%s: and their stamps and new hashes" % db.driver, rows)
    return found


def stamped(db):
    """name, hash, last login, last use, number of the app password."""
    if db.driver == "mysql":  # a backslash is shown doubled
        return [[c.replace("\\\\", "\\") for c in row] for row in stamped_rows(db)]
    return stamped_rows(db)


def stamped_rows(db):
    return db.sql("SELECT name, accounts.password, last_login, last_used, app_passwords.id FROM accounts JOIN app_passwords ON account = name")


def injection(tap, db):
    statements = queries(db.driver)
    ask = Ask(MODULE, 8, dict(db.settings(), **statements, password_scheme="bcrypt", password_cost="4"))
    wanted = list(names())
    codes = ask_all(ask, wanted)
    tap.ok(codes == {"DENIED": len(wanted), "NOENT": 2 * len(wanted)},
           "%s: %d hostile names and passwords: nobody is let in, nothing fails" % (db.driver, len(wanted)), codes)
    executions = []
    for n in wanted:
        if askable(n):
            executions += [(key, dict(name_values(n), domain=n) if key == "query_domain" else name_values(n)) for key in
                           ("query_user", "query_passwords", "query_user", "query_targets", "query_domain")]
    executions += into_hostile(tap, db, ask, statements)
    rc, err = ask.close()
    tap.ok(rc == 0 and not err, "%s: ended cleanly" % db.driver, err)
    if db.driver == "sqlite":
        return
    if db.driver == "mysql":
        db.sql("SET GLOBAL general_log = 0")
        maria_seen(tap, db, statements, executions)
        raw = open(db.path("run", "general.log"), "rb").read()
    else:
        postgres_seen(tap, db, statements, executions)
        raw = postgres_log(db)
    lines = [x for x in raw.split(b"\n") if (MARK in x or b"'restante'" in x) and b"INSERT INTO" not in x]
    tap.ok(not lines, "%s: no password in the server's log" % db.driver, lines[:2])


# ---- rows read ---------------------------------------------------------------------------------

def many(db):
    """100,000 accounts, two app passwords and an alias with two targets for each."""
    def cat(*parts):
        return "CONCAT(%s)" % ", ".join(parts) if db.driver == "mysql" else " || ".join(parts)
    name = cat("'u'", "seq", "'@d'", "(seq % 1000)", "'.example'")
    hashed = "'{SHA}%s'" % sha("restante")
    for table, columns, n in (("accounts (name, password)", "%s, %s" % (name, hashed), ACCOUNTS),
                              ("app_passwords (account, label, password)", "%s, 'a', '{SHA}%s'" % (name, sha("app")), ACCOUNTS),
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


def counted(db):
    """The rows the server has read so far, from tables and from indexes."""
    if db.driver == "mysql":
        return sum(int(v) for _, v in db.sql("SHOW GLOBAL STATUS LIKE 'Handler_read%'"))
    return int(db.sql("SELECT (SELECT COALESCE(sum(seq_tup_read), 0) FROM pg_stat_user_tables) + "
                      "(SELECT COALESCE(sum(idx_tup_read), 0) FROM pg_stat_user_indexes)")[0][0])


def settled(db):
    """Waits until the service has no connection left: then its rows are counted."""
    if db.driver == "pgsql":
        wait_until(lambda: db.sql("SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'restante'") == [["0"]], 60,
                   "connections to end")
    return counted(db)


ROUNDS = 100
# statement: how it is made to run, and how many rows it returns or changes
WORK = {"query_user": ("verify", 1), "query_passwords": ("verify", 2), "query_targets": ("lookup", 2), "query_domain": ("domain", 1),
        "update_login": ("tick", 1), "update_used": ("tick", 1), "update_password": ("tick", 1)}


def rounds(db, settings, verb, first):
    """Rows that were read for ROUNDS of it."""
    before = settled(db)
    ask = Ask(MODULE, 1, dict(db.settings(), **settings))
    own = counted(db) - settled(db)  # negative: the cost of asking
    for k in range(ROUNDS):
        n = first + 37 * k
        name = {"domain": "d%d.example" % (n % 1000), "lookup": "i-u%d@d%d.example" % (n, n % 1000)}.get(verb, "u%d@d%d.example" % (n, n % 1000))
        a = ask.ask("verify" if verb == "tick" else verb, name, "app" if "update_used" in settings else "restante", 60000)
        if a["code"] not in ("OK", "NOENT"):
            raise RuntimeError("%s %s: %s" % (verb, name, a))
    if verb == "tick":
        ask.ask("tick", ms=60000)
    ask.close()
    return settled(db) - before + 3 * own


def filled(text):
    """A statement with values, to be explained."""
    return re.sub(r":[a-z]+", lambda m: {":id": "5", ":time": "1", ":domain": "'d5.example'", ":local": "'u5'"}.get(m.group(), "'u5@d5.example'"), text)


def reads(tap, db, name, statements, returns):
    """Each statement alone: rows that the rest of a run reads are subtracted."""
    for key, text in statements.items():
        verb, rows = WORK[key][0], returns.get(key, WORK[key][1])
        chosen = {"query_user": statements["query_user"]}
        if key == "update_used":
            chosen["query_passwords"] = statements["query_passwords"]
        rest = dict(chosen)
        chosen[key] = text
        if key == "update_password":
            chosen.update(password_scheme="bcrypt", password_cost="4")
        first = 100 if key != "update_password" else 50000
        without = 0 if key in ("query_user", "query_domain") else rounds(db, rest if key != "update_used" else dict(rest, update_used=NOTHING), verb, first)
        read = rounds(db, chosen, verb, first) - without
        tap.ok(0 < read <= 2 * rows * ROUNDS, "%s, %s: %d rows read, %d returned" % (name, key, read, rows * ROUNDS))


NOTHING = "UPDATE app_passwords SET last_used = :time WHERE id = :id AND 1 = 0"


def plans(tap, db, name, statements):
    for key, text in statements.items():
        if db.driver == "mysql":
            kinds = {row[3] for row in db.sql("EXPLAIN " + filled(text))}
            tap.ok(not kinds & {"ALL", "index"}, "%s, %s: EXPLAIN says %s" % (name, key, ", ".join(sorted(kinds))), kinds)
        else:
            plan = json.loads("\n".join(x[0] for x in db.sql("BEGIN; EXPLAIN (ANALYZE, FORMAT JSON) %s; ROLLBACK" % filled(text))))
            nodes = [n["Node Type"] for n in walk(plan[0]["Plan"])]
            dropped = sum(n.get("Rows Removed by Filter", 0) * n["Actual Loops"] for n in walk(plan[0]["Plan"]))
            tap.ok("Seq Scan" not in nodes and dropped <= 1, "%s, %s: EXPLAIN ANALYZE says %s, %d rows dropped" % (name, key, ", ".join(nodes), dropped), plan)


def walk(plan):
    yield plan
    for p in plan.get("Plans", []):
        yield from walk(p)


def server_reads(tap, db):
    statements = queries(db.driver)
    reads(tap, db, db.driver, statements, {})
    plans(tap, db, db.driver, statements)
    whole = scan(db, {"query_user": "SELECT name, password FROM accounts WHERE LOWER(name) = :user"})
    tap.ok(whole >= ACCOUNTS, "%s: a statement that reads the whole table would be seen: %d rows" % (db.driver, whole))


def scan(db, settings):
    before = settled(db)
    ask = Ask(MODULE, 1, dict(db.settings(), **settings))
    ask.ask("verify", "u1@d1.example", "restante", 60000)
    ask.close()
    return settled(db) - before


def postfixadmin_reads(tap, db):
    db.sql("DROP TABLE app_passwords, aliases, accounts, domains")
    db.sql(postfixadmin.TABLES[db.driver])
    postfixadmin.fill(db, ACCOUNTS, 1000, "{SHA}" + sha("restante"))
    statements = queries(postfixadmin.EXAMPLE[db.driver])
    name = db.driver + ", PostfixAdmin"
    reads(tap, db, name, statements, {"query_targets": 1})
    plans(tap, db, name, statements)


def sqlite_reads(tap, db):
    for key, text in queries("sqlite").items():
        plan = [row[-1] for row in db.sql("EXPLAIN QUERY PLAN " + filled(text))]
        tap.ok(not any("SCAN" in p for p in plan) and any("SEARCH" in p for p in plan), "sqlite, %s: %s" % (key, " ".join(plan[1:])[:90]), plan)


def main():
    tap = Tap()
    for make, extra in ((Sqlite, {}), (Maria, {}), (Postgres, {"log_statement": "all", "log_line_prefix": ""})):
        db = make(**extra)
        try:
            if make is Maria:
                db.sql("SET GLOBAL general_log = 1")
            injection(tap, db)
            many(db)
            (sqlite_reads if make is Sqlite else server_reads)(tap, db)
            if make is not Sqlite and os.environ.get("ALL") == "yes":
                postfixadmin_reads(tap, db)
        finally:
            db.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
