#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cost of a login, by where the accounts are: restanted beside a private Dovecot on the same server of accounts, in
turn, in one run; both with and without their credential cache. Counted are the CPU time per login of the mail server's
process tree and of the database's, and the wall time. {PLAIN} passwords: a hash would cost the same
everywhere, and more than all the rest. Usage: logins.py --load RST_LOAD [--rounds N] [--quick] [--only NAME,...]
"""
import argparse
import os
import shutil
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server  # noqa: E402
from databases import Maria, Postgres, Sqlite  # noqa: E402
import slapd  # noqa: E402
from run import PASSWORD, Dovecot, cpu_seconds, load  # noqa: E402

USERS = 1000  # enough that no user comes back while he is still logged in
QUERY = "SELECT name, password FROM accounts WHERE name = :user"
CACHE = "cache = 1h"


class Accounts:
    """A place where accounts are kept. `section`: the lines of restante's auth section. `passdb`: Dovecot's, None: it has no
    such thing here. `pids`: processes whose work belongs to a login."""
    pids = ()

    def close(self):
        pass


class File(Accounts):
    name = "passwd"

    def __init__(self, srv):
        self.section = "module = passwd\nfile = %s\nallow_plain = yes" % srv.passwd({"u%d" % u: PASSWORD for u in range(USERS)})
        self.passdb = Dovecot.file_of_users(srv, USERS)


class Sql(Accounts):
    """The shipped schema, one statement; TLS to the servers, verified, on both sides."""

    def __init__(self, srv):
        self.db = self.make()
        os.chmod(self.db.dir, 0o755)
        rows = ", ".join("('u%d', '{PLAIN}%s')" % (u, PASSWORD) for u in range(USERS))
        self.db.sql("INSERT INTO accounts (name, password) VALUES " + rows)
        lines = ["module = sql", "allow_plain = yes", "query_user = " + QUERY]
        lines += ['%s = "%s"' % kv for kv in self.db.settings().items()]
        self.section = "\n".join(lines)
        if self.db.proc:
            os.chmod(self.db.ca, 0o644)
            self.pids = (self.db.proc.pid,)
        else:
            srv.give(self.db.dir)
        text = "driver = %s\nconnect = %s\npassword_query = %s\n" % (
            self.db.driver, self.connect % dict(self.db.settings(), port=self.db.port, ca=getattr(self.db, "ca", "")),
            "SELECT name AS user, password FROM accounts WHERE name = '%u'")
        self.passdb = ("sql", Dovecot.secret_file(srv, self.name, text))

    def close(self):
        self.db.close()


class Mysql(Sql):
    name, make = "sql, MariaDB", Maria
    connect = "host=127.0.0.1 port=%(port)s dbname=mail user=%(user)s password=%(password)s ssl_ca=%(ca)s ssl_verify_server_cert=yes"


class Pgsql(Sql):
    name, make = "sql, PostgreSQL", Postgres
    connect = "host=127.0.0.1 port=%(port)s dbname=mail user=%(user)s password=%(password)s sslmode=verify-full sslrootcert=%(ca)s"


class Lite(Sql):
    name, make = "sql, SQLite", Sqlite
    connect = "%(database)s"


class Ldap(Accounts):
    """Search, then bind; StartTLS, verified, on both sides. Nothing is logged."""
    name = "ldap, OpenLDAP"

    def __init__(self, srv):
        self.ca = slapd.Authority()
        self.dir = slapd.Slapd(slapd.tree(*(slapd.user("u%d" % u, PASSWORD) for u in range(USERS))), self.ca, debug=0).start()
        self.pids = (self.dir.proc.pid,)
        self.section = "module = ldap\nserver = %s\ntls_ca = %s\nbind_dn = %s\nbind_password = %s\nbase = %s" % (
            self.dir.uri, self.ca.cert, slapd.SERVICE, slapd.SERVICE_PASSWORD, slapd.PEOPLE)
        self.passdb = ("ldap", Dovecot.secret_file(srv, "ldap", """uris = %s
tls = yes
tls_ca_cert_file = %s
tls_require_cert = demand
dn = %s
dnpass = %s
auth_bind = yes
ldap_version = 3
base = %s
scope = subtree
pass_filter = (uid=%%n)
pass_attrs = uid=user
""" % (self.dir.uri, self.ca.cert, slapd.SERVICE, slapd.SERVICE_PASSWORD, slapd.PEOPLE)))

    def close(self):
        self.dir.close()
        self.ca.close()


# One row each; for another kind of accounts, add a class.
KINDS = [File, Mysql, Pgsql, Lite, Ldap]


class Restante:
    """One server of ours with these accounts."""
    def __init__(self, srv, accounts, cached):
        self.name = "restante" + (", cache" if cached else "")
        self.srv = srv
        srv.configure("auth accounts {\n%s\n%s\nstorage = mail\n}\nstorage mail {\n module = maildir\n path = %s/%%n\n}\n"
                      % (accounts.section, CACHE if cached else "", srv.path("mail")), max_per_address=20000)
        srv.start()
        self.pid, self.port = srv.proc.pid, srv.clear_port

    def stop(self):
        self.srv.stop()


def variants(srv, accounts):
    """(what, a function that starts it); those that share directories run one after the other."""
    yield "restante", lambda: Restante(srv, accounts, False)
    yield "restante, cache", lambda: Restante(srv, accounts, True)
    if accounts.passdb:
        yield "Dovecot", lambda: Dovecot(srv, accounts.passdb, cache="0")
        yield "Dovecot, cache", lambda: Dovecot(srv, accounts.passdb, cache="10M")


def measure_one(args, server, accounts, count):
    before = sum(cpu_seconds(p) for p in accounts.pids)
    r = load(args, server, "login", False, count, users=USERS)
    r["db_ms"] = (sum(cpu_seconds(p) for p in accounts.pids) - before) * 1000 / r["sessions"]
    return r


def measure(args, kind):
    srv = Server(args.tree)
    accounts = kind(srv)
    got = {}
    try:
        for u in range(USERS):
            srv.maildir("u%d" % u, [])
        time.sleep(2.1)  # no server trusts directory times younger than 2 s
        for _ in range(args.rounds):
            for what, start in variants(srv, accounts):
                server = start()
                try:
                    load(args, server, "login", False, USERS, users=USERS)  # make connections, fill caches
                    got.setdefault(what, []).append(measure_one(args, server, accounts, 300 if args.quick else 3000))
                finally:
                    server.stop()
                    shutil.rmtree(srv.path("dovecot"), ignore_errors=True)
    finally:
        accounts.close()
        srv.close()
    return got


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def lines(kind, got):
    base = median(got["restante"], "cpu_ms")
    for what, rows in got.items():
        cpu = median(rows, "cpu_ms")
        yield "| %s | %s | %.3f | %.2f | %.3f | %.3f | %.1f |" % (
            kind.name, what, cpu, cpu / max(base, 1e-9), median(rows, "db_ms"), median(rows, "wall_ms"), median(rows, "p99_ms"))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--load", required=True)
    p.add_argument("--tree", default=os.environ.get("CHECK_TREE"))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--only", default="")
    args = p.parse_args()
    print("| accounts | server | CPU ms a login | against restante | CPU ms of the database | wall ms | p99 ms |\n|---|---|---|---|---|---|---|")
    for kind in KINDS:
        if not args.only or kind.__name__.lower() in args.only.split(","):
            for line in lines(kind, measure(args, kind)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
