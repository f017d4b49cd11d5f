#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The sql module on MariaDB, PostgreSQL and SQLite with the shipped schema and statements: the kit, accounts, app
passwords, aliases, domains, new hashes, deferred writes; and PostfixAdmin's tables. TAP."""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Tap  # noqa: E402
import postfixadmin  # noqa: E402
import tsan  # noqa: E402
from databases import Ask, Maria, Postgres, Sqlite, arguments, queries  # noqa: E402

TREE = os.environ["CHECK_TREE"]
MODULE = os.path.join(TREE, "lib/restante/modules/sql.so")
POP3, DELETE, DELIVER, MASTER = 1, 2, 4, 8
MD5_OF_RESTANTE = "LTcNf9TIMkhOzBPGXOXoZ0"

ACCOUNTS = """
INSERT INTO domains (name) VALUES ('example.org');
INSERT INTO accounts (name, password) VALUES ('ann@example.org', '{SHA}%(sha)s'), ('ben@example.org', NULL),
  ('dora@example.org', '{PLAIN}restante'), ('zoe@example.org', '{NOSUCH}x'), ('grüße@example.org', '{SHA}%(sha)s');
INSERT INTO accounts (name, password, enabled) VALUES ('off@example.org', '{SHA}%(sha)s', %(no)s);
INSERT INTO accounts (name, password, valid_until) VALUES ('old@example.org', '{SHA}%(sha)s', 1000000000);
INSERT INTO accounts (name, password, may_delete) VALUES ('keep@example.org', '{SHA}%(sha)s', %(no)s);
INSERT INTO aliases VALUES ('info@example.org', 'ann@example.org'), ('info@example.org', 'ben@example.org');
INSERT INTO app_passwords (account, label, password) VALUES ('ben@example.org', 'phone', '{SHA}%(sha)s'),
  ('ben@example.org', 'broken', '{NOSUCH}x');
INSERT INTO app_passwords (account, label, password, may_delete) VALUES ('ben@example.org', 'tablet', '{SHA}%(sha2)s', %(no)s);
INSERT INTO app_passwords (account, label, password, enabled) VALUES ('ben@example.org', 'lost', '{SHA}%(sha3)s', %(no)s);
"""


def sha(text):
    import base64
    import hashlib
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


def kit(tap, db, settings):
    done = tsan.run([os.path.join(TREE, "bin/restante-conform"), "--user", "ann@example.org", "--password", "restante",
                     MODULE, *arguments(settings)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                    errors="replace", timeout=300)
    applied = sum(1 for x in done.stdout.splitlines() if x.startswith("ok ") and "# SKIP" not in x)
    tap.ok(done.returncode == 0 and applied >= 29, "%s: the kit, %d checks" % (db.driver, applied),
           "\n".join(x for x in done.stdout.splitlines() if "# SKIP" not in x and not x.startswith("ok ")))
    tap.ok(not done.ours, "%s: no race in the kit's threads" % db.driver, "\n".join(done.ours))


def logins(tap, db, ask):
    def says(who, secret, code, what, **expected):
        a = ask.ask("verify", who, secret)
        bad = [k for k, v in expected.items() if a[k] != v]
        tap.ok(a["code"] == code and not bad, "%s: %s" % (db.driver, what), "%s, expected %s %s" % (a, code, expected))
        return a
    says("ann@example.org", "restante", "OK", "the right password", state=0, rights=POP3 | DELETE | DELIVER,
         name=b"ann@example.org")
    says("grüße@example.org", "restante", "OK", "a name beyond ASCII", name="grüße@example.org".encode())
    says("ann@example.org", "wrong", "DENIED", "a wrong password")
    says("nobody@example.org", "restante", "DENIED", "an unknown user")
    says("ann@example.org ", "restante", "DENIED", "a name with a space after it is another name")
    says("Ann@example.org", "restante", "DENIED", "a name in another case is another name")
    says("änn@example.org", "restante", "DENIED", "a name with an accent is another name")
    says("off@example.org", "restante", "OK", "a disabled account says so, with the right password", state=1)
    says("off@example.org", "wrong", "DENIED", "and nothing with a wrong one")
    says("old@example.org", "restante", "OK", "an account past its date is expired", state=2)
    says("keep@example.org", "restante", "OK", "an account that may not delete", rights=POP3 | DELIVER)
    a = says("dora@example.org", "restante", "PERM", "plain text is refused while allow_plain = no")
    tap.ok("allow_plain" in a["error"] and "dora" in a["error"], "%s: and the operator is told" % db.driver, a)
    a = says("zoe@example.org", "x", "PERM", "an unknown scheme is not the client's fault")
    tap.ok("NOSUCH" in a["error"], "%s: and is named" % db.driver, a)


def app_passwords(tap, db, ask):
    a = ask.ask("verify", "ben@example.org", "restante")
    tap.ok(a["code"] == "OK" and a["rights"] == POP3 | DELETE | DELIVER and a["cred"], "%s: an app password" % db.driver, a)
    b = ask.ask("verify", "ben@example.org", "tablet")
    tap.ok(b["code"] == "OK" and b["rights"] == POP3 | DELIVER and b["cred"] != a["cred"],
           "%s: another one, with fewer rights" % db.driver, b)
    c = ask.ask("verify", "ben@example.org", "lost")
    tap.ok(c["code"] == "DENIED", "%s: one that was switched off" % db.driver, c)
    c = ask.ask("verify", "ben@example.org", "guess")
    tap.ok(c["code"] == "DENIED", "%s: none of them, with a broken one among them" % db.driver, c)
    return a["cred"].decode()


def delivery(tap, db, ask):
    a = ask.ask("lookup", "info@example.org")
    tap.ok(a["code"] == "OK" and sorted(a["targets"]) == ["ann@example.org", "ben@example.org"] and a["rights"] == DELIVER,
           "%s: an alias and where it leads" % db.driver, a)
    a = ask.ask("verify", "info@example.org", "restante")
    tap.ok(a["code"] == "DENIED", "%s: nobody logs in by an alias" % db.driver, a)
    a = ask.ask("lookup", "ann@example.org")
    tap.ok(a["code"] == "OK" and a["targets"] == [], "%s: a mailbox" % db.driver, a)
    tap.ok([ask.ask("lookup", n)["code"] for n in ("x@example.org", "")] == ["NOENT", "NOENT"], "%s: neither" % db.driver)
    codes = [ask.ask("domain", n)["code"] for n in ("example.org", "example.net", "../..", "\xff")]
    tap.ok(codes == ["OK", "NOENT", "NOENT", "NOENT"], "%s: our domain, and others" % db.driver, codes)


def deferred(tap, db, settings, used):
    """A login writes nothing; a tick writes everything."""
    before = db.sql("SELECT password FROM accounts WHERE name = 'ann@example.org'")[0][0]
    ask = Ask(MODULE, 2, dict(settings, password_scheme="bcrypt", password_cost="4"))
    t0 = int(time.time())
    for _ in range(20):
        ask.ask("verify", "ann@example.org", "restante")
    ask.ask("verify", "ben@example.org", "restante")
    ask.ask("verify", "keep@example.org", "wrong")
    tap.ok(db.sql("SELECT password FROM accounts WHERE name = 'ann@example.org'")[0][0] == before,
           "%s: a login writes nothing" % db.driver)
    a = ask.ask("tick")
    row = db.sql("SELECT last_login, last_peer, password FROM accounts WHERE name = 'ann@example.org'")[0]
    tap.ok(a["code"] == "OK" and row[0].isdigit() and int(row[0]) >= t0 and row[1] == "192.0.2.1",
           "%s: a tick writes the last login" % db.driver, "%s %s" % (a, row))
    tap.ok(row[2].startswith("{BLF-CRYPT}$2b$04$"), "%s: and the hash of the site's scheme" % db.driver, row)
    row = db.sql("SELECT last_used FROM app_passwords WHERE id = %s" % used)[0]
    tap.ok(row[0].isdigit() and int(row[0]) >= t0, "%s: and the last use of the app password" % db.driver, row)
    row = db.sql("SELECT COALESCE(last_login, 0) FROM accounts WHERE name = 'keep@example.org'")[0]
    tap.ok(row == ["0"], "%s: a failed login is none" % db.driver, row)
    got = [ask.ask("verify", "ann@example.org", p)["code"] for p in ("restante", "wrong")]
    tap.ok(got == ["OK", "DENIED"], "%s: the new hash is of the same password" % db.driver, got)
    ask.ask("tick")
    now = db.sql("SELECT password FROM accounts WHERE name = 'ann@example.org'")
    ask.ask("verify", "ann@example.org", "restante")
    ask.ask("tick")
    tap.ok(db.sql("SELECT password FROM accounts WHERE name = 'ann@example.org'") == now,
           "%s: which is then left alone" % db.driver)
    a = ask.ask("verify", "ann@example.org", "restante")
    tap.ok(a["last_login"] >= t0 * 1000, "%s: the last login comes back with the account" % db.driver, a)
    # the password changes between login and tick: a new hash of the old one must not undo that
    db.sql("UPDATE accounts SET password = '{SHA}%s' WHERE name = 'keep@example.org'" % sha("first"))
    ask.ask("verify", "keep@example.org", "first")
    db.sql("UPDATE accounts SET password = '{SHA}%s' WHERE name = 'keep@example.org'" % sha("second"))
    ask.ask("tick")
    tap.ok(db.sql("SELECT password FROM accounts WHERE name = 'keep@example.org'") == [["{SHA}" + sha("second")]],
           "%s: a password changed meanwhile stays changed" % db.driver)
    rc, err = ask.close()
    tap.ok(rc == 0 and not err, "%s: ended cleanly" % db.driver, err)


def mistakes(tap, db, settings):
    """An administrator's mistake is an error with words, and never a refusal of the user."""
    for change, word in (
            ({"query_user": "SELECT name, password, enabled AS enabld FROM accounts WHERE name = :user"}, "enabld"),
            ({"query_user": "SELECT password FROM accounts WHERE name = :user"}, "'name'"),
            ({"query_user": "SELECT name, password FROM accounts WHERE :user <> ''"}, "unique"),
            ({"query_user": "SELECT name, password, 'x' AS enabled FROM accounts WHERE name = :user"}, "1 or 0"),
            ({"query_user": "SELECT name, password FROM nosuchtable WHERE name = :user"}, "nosuchtable")):
        ask = Ask(MODULE, 1, dict(settings, **change))
        a = ask.ask("verify", "ann@example.org", "restante")
        tap.ok(a["code"] == "TEMP" and word in a["error"], "%s: %s" % (db.driver, a["error"][:90]), a)
        ask.close()
    for change, word in (({"query_user": "SELECT 1 FROM accounts WHERE name = ':user'"}, "quotes"),
                         ({"query_user": "SELECT 1 FROM accounts WHERE name = :usr"}, ":user"),
                         ({"query_user": "SELECT 1 WHERE 1 = :user; DROP TABLE accounts"}, "more than one statement"),
                         ({"query_user": "SELECT 1"}, "no parameter"),
                         ({"password_scheme": "bcrypt", "password_cost": "99"}, "99"),
                         ({"query_domain": "SELECT 'it''s' /* :x"}, "comment")):
        done = subprocess.run([os.path.join(TREE, "bin/restante-conform"), MODULE, *arguments(dict(settings, **change))],
                              capture_output=True, text=True)
        tap.ok(done.returncode == 78 and word in done.stderr, "%s: before the start: %s" % (db.driver, done.stderr.strip()[:90]),
               done.stderr)


def with_postfixadmin(tap, db):
    """PostfixAdmin's tables, in a database of their own, with the example's statements."""
    db.sql("DROP TABLE IF EXISTS app_passwords, aliases, accounts, domains")
    db.sql(postfixadmin.TABLES[db.driver])
    postfixadmin.fill(db, 3, 3, "{SHA}" + sha("restante"))
    db.sql("UPDATE mailbox SET password = '$1$abcdefgh$%s' WHERE username = 'u1@d1.example'" % MD5_OF_RESTANTE)
    ask = Ask(MODULE, 1, dict(db.settings(), **queries(postfixadmin.EXAMPLE[db.driver]), password_scheme="sha512-crypt",
                              password_cost="1000"))
    what = "%s, PostfixAdmin: " % db.driver
    a = ask.ask("verify", "u1@d1.example", "restante")
    tap.ok(a["code"] == "OK" and a["name"] == b"u1@d1.example", what + "a login, with the hash it makes unless told otherwise", a)
    tap.ok(ask.ask("verify", "u1@d1.example", "wrong")["code"] == "DENIED", what + "a wrong password")
    if db.driver == "mysql":
        a = ask.ask("verify", "U2@D2.example ", "restante")
        tap.ok(a["code"] == "OK" and a["name"] == b"u2@d2.example", what + "by the name that is in the table", a)
    for name, code, targets, means in (
            ("u1@d1.example", "OK", [], "an alias of oneself is a mailbox"),
            ("i-u1@d1.example", "OK", ["u1@d1.example", "y@example.net"], "an alias with commas"),
            ("u1@a1.example", "OK", ["u1@d1.example"], "a mailbox by its alias domain"),
            ("i-u1@a1.example", "OK", ["u1@d1.example", "y@example.net"], "an alias by its alias domain"),
            ("x@d1.example", "NOENT", [], "nobody"), ("\u65e5\u672c@d1.example", "NOENT", [], "a name that latin1 has no letters for"),
            ("u1@\u65e5\u672c.example", "NOENT", [], "such a domain"), ("j\u00fcrgen@d1.example", "NOENT", [], "letters it has")):
        a = ask.ask("lookup", name)
        tap.ok(a["code"] == code and a["targets"] == targets, what + means, a)
    got = [ask.ask("verify", n + "@d1.example", "restante")["code"] for n in ("\u65e5\u672c", "x")] + [ask.ask("domain", "\u65e5\u672c.example")["code"]]
    tap.ok(got == ["DENIED", "DENIED", "NOENT"], what + "to the client such a name is like any that is unknown", got)
    db.sql("UPDATE mailbox SET active = %(no)s WHERE username = 'u2@d2.example'; UPDATE domain SET backupmx = %(yes)s "
           "WHERE domain = 'd2.example'; UPDATE alias_domain SET active = %(no)s WHERE alias_domain = 'a1.example'"
           % ({"no": "0", "yes": "1"} if db.driver == "mysql" else {"no": "FALSE", "yes": "TRUE"}))
    tap.ok(ask.ask("verify", "u2@d2.example", "restante")["state"] == 1, what + "a mailbox that is not active")
    tap.ok(ask.ask("lookup", "u1@a1.example")["code"] == "NOENT", what + "an alias domain that is not active")
    codes = [ask.ask("domain", d)["code"] for d in ("d1.example", "a1.example", "d2.example", "example.net")]
    tap.ok(codes == ["OK", "OK", "NOENT", "NOENT"], what + "domains, alias domains; not those we are a backup for", codes)
    ask.ask("tick")
    row = db.sql("SELECT password FROM mailbox WHERE username = 'u1@d1.example'")[0][0]
    tap.ok(row.startswith("{SHA512-CRYPT}$6$rounds=1000$"), what + "a new hash", row)
    rc, err = ask.close()
    tap.ok(rc == 0 and not err, what + "ended cleanly", err)


def foreign_letters(tap, db, settings):
    """A statement that can compare no name is the administrator's mistake; only a name that the database has no letters for is nobody's."""
    if db.driver == "mysql":
        mixed = ("SELECT name, password FROM accounts WHERE CONVERT(name USING utf8mb4) COLLATE utf8mb4_bin = "
                 "CONVERT(:user USING utf8mb4) COLLATE utf8mb4_general_ci")
        ask = Ask(MODULE, 1, dict(settings, query_user=mixed))
        got = [ask.ask(*q) for q in (("verify", "ann@example.org", "restante"), ("lookup", "ann@example.org"), ("lookup", "\u65e5\u672c@example.org"))]
        tap.ok(all(a["code"] == "TEMP" and "collations" in a["error"] for a in got), "mysql: a statement of two collations is a failure", got)
    else:
        db.sql("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        ask = Ask(MODULE, 1, dict(settings, database="latin", query_targets="SELECT 'a' AS target WHERE :user = ''", query_domain="SELECT 1 WHERE :domain = 'a'",
                                  query_user="SELECT 'ann' AS name, '{SHA}%s' AS password WHERE :user = 'ann'" % sha("restante")))
        got = [ask.ask("verify", n, "restante")["code"] for n in ("ann", "j\u00fcrgen", "\u65e5\u672c")]
        got += [ask.ask(verb, "\u65e5\u672c")["code"] for verb in ("lookup", "domain")]
        tap.ok(got == ["OK", "DENIED", "DENIED", "NOENT", "NOENT"], "pgsql in LATIN1: a name beyond it is nobody's", got)
    rc, err = ask.close()
    tap.ok(rc == 0 and not err, "%s: ended cleanly" % db.driver, err)


def main():
    tap = Tap()
    for make in (Sqlite, Maria, Postgres):
        db = make()
        try:
            no = "FALSE" if make is not Sqlite else "0"
            db.sql(ACCOUNTS % {"sha": sha("restante"), "sha2": sha("tablet"), "sha3": sha("lost"), "no": no})
            settings = dict(db.settings(), **queries(db.driver))
            kit(tap, db, settings)
            ask = Ask(MODULE, 2, settings)
            logins(tap, db, ask)
            used = app_passwords(tap, db, ask)
            delivery(tap, db, ask)
            rc, err = ask.close()
            tap.ok(rc == 0 and not err, "%s: ended cleanly" % db.driver, err)
            deferred(tap, db, settings, used)
            mistakes(tap, db, settings)
            if make is not Sqlite:
                foreign_letters(tap, db, {k: v for k, v in settings.items() if not k.startswith(("update_", "query_passwords"))})
                with_postfixadmin(tap, db)
        finally:
            db.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
