#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A failing database as users see it: one server, some accounts in MariaDB or PostgreSQL and some in a passwd-file.
The former get [SYS/TEMP], never [AUTH]; the latter notice nothing; service resumes by itself; nobody is let in by
an answer meant for another. ALL=yes: all ways to fail. TAP."""
import concurrent.futures
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server, Tap  # noqa: E402
from databases import PASSWORD, Maria, Postgres, queries, tcp_that  # noqa: E402
from pop import Pop, stranger  # noqa: E402
from sql_accounts import sha  # noqa: E402
from sql_outage import fill  # noqa: E402

HANG = 120  # s; nothing takes so long
USERS = 20
WAITING = 6  # logins at once that wait for the database


def section(settings, **more):
    lines = ["module = sql", "storage = mail", "domains = example.org"] + ["%s = %s" % kv for kv in more.items()]
    lines += ['%s = "%s"' % (k, v.replace("\\", "\\\\").replace('"', '\\"')) for k, v in settings.items()]
    return "auth accounts {\n " + "\n ".join(lines) + "\n}\n"


def start(db, **more):
    srv = Server()
    settings = dict(db.settings(), **queries(db.driver))
    settings.pop("password_scheme", None)
    for k in range(USERS):  # each has another number of messages
        srv.maildir("user%d@example.org" % k, [b"Subject: %d\n\nx\n" % n for n in range(k)])
    srv.maildir("local")
    srv.configure(section(settings, **more) + "auth others {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                  "storage mail {\n module = maildir\n path = %s/%%u\n}\n" % (srv.passwd({"local": "restante"}), srv.path("mail")))
    return srv.start()


def login(srv, user, password):
    """(the answer to PASS, whose mailbox it is by the number of messages; None: nobody's)."""
    with Pop(srv.clear_port, source=stranger()) as c:
        reply = c.login(user, password).decode()
        count = int(c.say("STAT").split()[1]) if reply.startswith("+OK") else None
        c.say("QUIT")
        return reply, count


def account(k):
    return "user%d@example.org" % k


class Breakage:
    """A database in one server's life."""

    def __init__(self, tap, db, srv):
        self.tap, self.db, self.srv = tap, db, srv

    def ok(self, good, what, why=""):
        self.tap.ok(good, "%s, %s" % (self.db.driver, what), why)

    def through(self, name, breaks, repairs, words, waits=False):
        """waits: users of the database get no answer for a while; the others are served meanwhile."""
        counted = self.srv.events("accounts")
        broken = breaks()
        order = []
        with concurrent.futures.ThreadPoolExecutor(WAITING + 1) as pool:
            def one(k):
                got = login(self.srv, account(k), "secret%d" % k if k % 2 else "wrong")
                order.append("account")
                return got[0]
            futures = [pool.submit(one, k) for k in range(WAITING)]
            others = [login(self.srv, "local", "restante")[0] for _ in range(4)]
            order.append("others")
            got = [f.result() for f in futures]
        self.ok(all("[SYS/TEMP]" in x for x in got), "%s: [SYS/TEMP], never [AUTH]" % name, got)
        rc, said = self.explained(1, "secret1")
        self.ok(rc != 0 and ("breaker is open" in said or words in said), "%s: auth test says that it cannot tell" % name, said)
        self.ok(self.srv.said(words, HANG), "%s: and the log why" % name, self.srv.log()[-2000:])
        self.ok(all(x.startswith("+OK") for x in others) and (not waits or order[0] == "others"),
                "%s: users of the other section notice nothing" % name, "%s %s" % (others, order))
        repairs(broken)
        self.returns(name)
        self.ok(self.srv.events("accounts")["server_failures"] > counted["server_failures"], "%s: it was counted" % name)

    def explained(self, k, password):
        """restantectl auth test: its exit code and output."""
        done = subprocess.run([self.srv.bin("restantectl"), "-s", self.srv.path("run", "control"), "auth", "test", account(k),
                               "--password-stdin"], input=password + "\n", capture_output=True, text=True, timeout=HANG)
        return done.returncode, done.stdout + done.stderr

    def app_password(self):
        self.db.sql("INSERT INTO app_passwords (account, label, password) VALUES ('%s', 'the old phone', '{SHA}%s')"
                    % (account(2), sha("app")))
        reply, count = login(self.srv, account(2), "app")
        self.ok(reply.startswith("+OK") and count == 2, "an app password", reply)
        rc, said = self.explained(2, "app")
        self.ok(rc == 0 and "the old phone" in said, "and its label is shown", said)
        rc, said = self.explained(2, "nonsense")
        self.ok(rc != 0 and "the old phone" not in said, "a wrong one has none", said)

    def returns(self, name):
        t0 = time.monotonic()
        reply = ""
        while not reply.startswith("+OK") and time.monotonic() - t0 < HANG:
            time.sleep(0.05)
            reply, _ = login(self.srv, account(1), "secret1")
        self.ok(reply.startswith("+OK"), "%s: back after %.1f s" % (name, time.monotonic() - t0), reply)
        reply, _ = login(self.srv, account(1), "wrong")
        self.ok("[AUTH]" in reply, "%s: and a wrong password is wrong again" % name, reply)

    def served_by(self, answer):
        """Something else at the database's address."""
        self.db.stop()
        return tcp_that(answer, self.db.port)[1]

    def database_again(self, close):
        close()
        self.db.start()

    def restarted(self, certificate):
        self.db.stop()
        self.db.start(certificate)

    def unnoticed(self):
        self.db.stop()
        self.db.start()
        got = [login(self.srv, account(k), p)[0] for k, p in ((2, "secret2"), (2, "wrong"), (3, "secret3"))]
        self.ok(got[0].startswith("+OK") and "[AUTH]" in got[1] and got[2].startswith("+OK"),
                "restarted between two logins: nobody notices", got)

    def stamp(self):
        end = time.monotonic() + HANG
        query = "SELECT COALESCE(last_login, 0) FROM accounts WHERE name = 'user1@example.org'"
        while self.db.sql(query) == [["0"]] and time.monotonic() < end:
            time.sleep(0.1)
        self.ok(self.db.sql(query) != [["0"]], "the server's tick writes the last login")

    def all(self, everything):
        db = self.db
        self.returns("to begin with")
        self.stamp()
        self.app_password()
        self.unnoticed()
        self.through("frozen", db.freeze, lambda _: db.thaw(), "in time", waits=True)
        self.through("killed", db.kill, lambda _: db.start(), "127.0.0.1:%d" % db.port)
        self.through("without TLS", lambda: self.restarted(None), lambda _: self.restarted("ca-server"), "SSL")
        if not everything:
            return
        db.authority("other")
        self.through("of another authority", lambda: self.restarted("other-server"), lambda _: self.restarted("ca-server"), "certificate")
        self.through("stopped, refused", db.stop, lambda _: db.start(), "127.0.0.1:%d" % db.port)
        self.through("silent", lambda: self.served_by(None), self.database_again, "in time", waits=True)
        self.through("nonsense", lambda: self.served_by(nonsense), self.database_again, "127.0.0.1:%d" % db.port)
        self.through("another service password", lambda: db.service_password("other", PASSWORD),
                     lambda _: db.service_password(PASSWORD, "other"), "password")
        self.through("slow: the table is locked", db.lock_table, lambda session: session.close(), "in time", waits=True)


def nonsense(c):
    try:
        c.sendall(b"\x4a\0\0\0\x0a-ERR this is no database\r\n" * 10)
        c.recv(1000)
    except OSError:
        pass
    c.close()


def mixed(tap, db):
    """200 logins, right ones and wrong ones, while the database stands still again and again for longer than a statement
    may take: its answers come late, to connections nobody listens to any more."""
    srv = start(db, query_timeout="400ms", call_ms="3s", trip_after=0, permits=8)
    end = threading.Event()

    def disturb():
        while not end.is_set():
            db.freeze()
            time.sleep(0.6)
            db.thaw()
            time.sleep(0.4)

    def one(k):
        user, right = k % USERS, k % 3 != 0
        reply, count = login(srv, account(user), "secret%d" % user if right else "secret%d" % (user + 1))
        if reply.startswith("+OK"):
            return "in" if right and count == user else "%s as another: %s %s" % (account(user), reply, count)
        if "[IN-USE]" in reply or "[SYS/TEMP]" in reply:
            return "later" if right or "IN-USE" not in reply else reply
        return "refused" if "[AUTH]" in reply and not right else "%s, %s password: %s" % (account(user), right, reply)
    try:
        disturber = threading.Thread(target=disturb)
        disturber.start()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            got = list(pool.map(one, range(200)))
        end.set()
        disturber.join()
        counts = {x: got.count(x) for x in set(got)}
        tap.ok(set(counts) <= {"in", "later", "refused"} and counts.get("later") and counts.get("in"),
               "%s: 200 mixed logins while it stands still and goes on: %s" % (db.driver, counts), counts)
    finally:
        end.set()
        rc = srv.close()
    tap.ok(rc == 0, "%s: the server ended cleanly" % db.driver, rc)


def one_database(tap, make, everything):
    db = make()
    try:
        fill(db, USERS)
        srv = start(db, call_ms="8s")  # the others are served within that time on any machine
        try:
            Breakage(tap, db, srv).all(everything)
            log = srv.log()
            tap.ok(PASSWORD not in log and "secret1" not in log, "%s: no secret in the log" % db.driver)
        finally:
            rc = srv.close()
        tap.ok(rc == 0, "%s: the server ended cleanly" % db.driver, rc)
        mixed(tap, db)
    finally:
        db.close()


def main():
    tap = Tap()
    everything = os.environ.get("ALL") == "yes"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # they wait most of the time
        for f in [pool.submit(one_database, tap, make, everything) for make in (Maria, Postgres)]:
            f.result()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
