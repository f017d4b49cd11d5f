#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Databases that fail: refused, killed, frozen, slow, silent, of the wrong kind, without TLS, of a wrong authority, with
a wrong service password. The module answers DOWN, TIMEOUT or TEMP, never DENIED, and in time; it recovers by itself;
late answers reach nobody else. ALL=yes: every kind of broken server too. TAP."""
import os
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Tap, free_port, wait_until  # noqa: E402
from databases import Ask, Maria, Postgres, Sqlite, queries, tcp_that  # noqa: E402
from sql_accounts import MODULE, sha  # noqa: E402

SECONDS = 1000  # of a call here, ms
# Longer than any call that works, on a busy machine, and shorter than the libraries' own time-outs: beyond this a call hangs.
LATE = 15000
HANG = 120      # s; nothing takes so long
FAILED = ("DOWN", "TIMEOUT", "TEMP")


def fill(db, n=20):
    rows = ", ".join("('user%d@example.org', '{SHA}%s')" % (k, sha("secret%d" % k)) for k in range(n))
    db.sql("INSERT INTO accounts (name, password) VALUES " + rows)


def fails(tap, db, a, what, words=(), ms=SECONDS):
    good = a["code"] in FAILED and a["ms"] <= ms + LATE and a["error"] and all(w in a["error"] for w in words)
    tap.ok(good, "%s, %s: %s after %d ms: %s" % (db.driver, what, a["code"], a["ms"], a["error"][:100]), a)
    tap.ok("service-secret" not in a["error"] and "secret0" not in a["error"], "%s, %s: no secret in it" % (db.driver, what))


def login(ask, k=0, right=True, ms=20000):
    return ask.ask("verify", "user%d@example.org" % k, "secret%d" % k if right else "wrong", ms)


def returns(tap, ask, db, what):
    t0 = time.monotonic()
    a = login(ask, ms=2000)
    while a["code"] != "OK" and time.monotonic() - t0 < HANG:
        time.sleep(0.05)
        a = login(ask, ms=2000)
    tap.ok(a["code"] == "OK", "%s, %s: back after %.2f s" % (db.driver, what, time.monotonic() - t0), a)


def drive(tap, db, settings):
    """One instance through all the faults of a server."""
    ask = Ask(MODULE, 4, settings)
    tap.ok(login(ask)["code"] == "OK" and login(ask, right=False)["code"] == "DENIED", "%s: serves" % db.driver)
    db.stop()
    db.start()
    a = login(ask)
    tap.ok(a["code"] == "OK", "%s: restarted while idle: nobody notices" % db.driver, a)
    db.kill()
    for right in (True, False):
        fails(tap, db, login(ask, right=right, ms=SECONDS), "killed, %s password" % ("right" if right else "wrong"))
    db.start()
    returns(tap, ask, db, "killed and started")
    db.freeze()
    for right in (True, False):
        fails(tap, db, login(ask, right=right, ms=SECONDS), "frozen, %s password" % ("right" if right else "wrong"))
    db.thaw()
    returns(tap, ask, db, "frozen and thawed")
    db.freeze()  # nobody is answered between here and the end of the server
    for k in range(4):
        ask.send("verify", "user%d@example.org" % k, "secret%d" % k, HANG * 1000)
    wait_until(ask.taken, HANG, "four logins on their way")
    time.sleep(0.3)  # up to where they wait for the server; earlier or later is as good
    db.kill()
    for _ in range(4):
        fails(tap, db, ask.receive(), "killed in the middle of a login", ms=HANG * 1000)
    db.start()
    returns(tap, ask, db, "killed again")
    a = ask.ask("probe", ms=HANG * 1000)
    tap.ok(a["code"] == "OK", "%s: the probe agrees" % db.driver, a)
    ended(tap, db, ask)


def ended(tap, db, ask):
    rc, err = ask.close()
    tap.ok(rc == 0 and not err, "%s: ended cleanly" % db.driver, err)


def repeated(tap, db, settings):
    """The server sends a connection away, idle or in the middle of a statement: the login goes on."""
    ask = Ask(MODULE, 1, dict(settings, query_user="SELECT name, password FROM accounts WHERE name = :user FOR UPDATE",
                              query_passwords="", query_timeout="60s"))
    login(ask)
    tap.ok(db.hang_up() == 1, "%s: an idle connection is sent away" % db.driver)
    a = login(ask)
    tap.ok(a["code"] == "OK", "%s: the next login does not notice" % db.driver, a)
    other = db.session()
    other.say("BEGIN; UPDATE accounts SET last_login = 1 WHERE name = 'user1@example.org';")
    other.said()
    ask.send("verify", "user1@example.org", "secret1", HANG * 1000)
    wait_until(lambda: len(db.lock_waits()) == 1, HANG, "the login to wait for a lock")
    first = db.lock_waits()
    tap.ok(db.hang_up() == 1, "%s: a connection is sent away in the middle of a statement" % db.driver)

    def another():
        now = db.lock_waits()
        if now == first:
            db.send_away(first)  # InnoDB may be too busy to wake those that wait for a lock, and MariaDB does not ask twice
        return now and now != first
    wait_until(another, HANG, "another connection to wait for it")
    other.close()
    a = ask.receive()
    tap.ok(a["code"] == "OK" and a["name"] == b"user1@example.org", "%s: it is repeated" % db.driver, a)
    ended(tap, db, ask)


def deadlock(tap, db, settings):
    """A login stamp is the victim of a deadlock: it is written all the same."""
    ask = Ask(MODULE, 1, dict(settings, update_login="UPDATE accounts SET last_login = :time WHERE name = :user OR name = 'user9@example.org'"))
    login(ask, 1)
    other = db.session()
    other.say("BEGIN; UPDATE accounts SET last_login = 1 WHERE name BETWEEN 'user2@example.org' AND 'user9@example.org';")
    other.said()
    ask.send("tick", ms=HANG * 1000)
    wait_until(lambda: len(db.lock_waits()) == 1, HANG, "the stamp to wait for a lock")
    other.say("UPDATE accounts SET last_login = 2 WHERE name = 'user1@example.org'; COMMIT;")
    other.close()
    a = ask.receive()
    row = db.sql("SELECT last_login FROM accounts WHERE name = 'user1@example.org'")[0]
    tap.ok(a["code"] == "OK" and int(row[0]) > 2 and db.deadlocks() > 0, "%s: a deadlock: written at the second attempt" % db.driver,
           "%s %s, %d deadlocks" % (a, row, db.deadlocks()))
    ended(tap, db, ask)


def configured_wrong(tap, db, settings, plain):
    other = db.authority("other")
    silent, close_silent = tcp_that(None)
    rude, close_rude = tcp_that(lambda c: (c.sendall(b"-ERR this is no database\r\n" * 10), time.sleep(0.2), c.close()))
    dribble, close_dribble = tcp_that(drip)
    for what, change, words in (
            ("refused", {"server": "127.0.0.1:%d" % free_port()}, ()),
            ("accepts and is silent", {"server": "127.0.0.1:%d" % silent}, ("in time",)),
            ("speaks another protocol", {"server": "127.0.0.1:%d" % rude}, ()),
            ("sends a byte now and then", {"server": "127.0.0.1:%d" % dribble}, ()),
            ("a wrong service password", {"password": "wrong"}, ()),
            ("another database", {"database": "nosuch"}, ()),
            ("a wrong authority", {"tls_ca": other}, ()),
            ("a name that is not in the certificate", {"server": "127.0.0.2:%d" % db.port}, ()),
            ("a server without TLS", {"server": "127.0.0.1:%d" % plain.port}, ()),
            ("a socket that is not there", {"server": "/nonexistent"}, ())):
        ask = Ask(MODULE, 1, dict(settings, **change))
        for right in (True, False):
            fails(tap, db, login(ask, right=right, ms=SECONDS), what, words)
        ask.close()
    for close in (close_silent, close_rude, close_dribble):
        close()


def drip(c):
    try:
        for _ in range(100):
            c.sendall(b"J")
            time.sleep(0.1)
    except OSError:
        pass


def stalls(db, after):
    """A server that stops after so many of its bytes, the first of them late: in the greeting, in TLS, in the login."""
    def serve(c):
        s = socket.create_connection(("127.0.0.1", db.port))
        s.settimeout(0.05)
        c.settimeout(0.05)
        passed, end = 0, time.monotonic() + 6
        time.sleep(0.5)
        try:
            while time.monotonic() < end:
                for a, b in ((s, c), (c, s)):
                    try:
                        data = a.recv(4096)
                        if not data:
                            return
                    except socket.timeout:
                        continue
                    if a is s:
                        data = data[:max(0, after - passed)]
                        passed += len(data)
                    b.sendall(data)
        except OSError:
            pass
        finally:
            s.close()
            c.close()
    return tcp_that(serve)


def stops_midway(tap, db, settings):
    worst = 0
    for after in (1, 50, 110, 300, 900, 1100, 1300, 1500):
        port, close = stalls(db, after)
        ask = Ask(MODULE, 1, dict(settings, server="127.0.0.1:%d" % port))
        a = login(ask, ms=SECONDS)
        worst = max(worst, a["ms"])
        if a["code"] != "OK": # all of it fitted into so many bytes
            fails(tap, db, a, "stops after %d bytes" % after)
        ask.close()
        close()
    tap.note("%s: the longest took %d of %d ms" % (db.driver, worst, SECONDS))


def slow(tap, db, settings):
    """Answers that take longer than the time there is, and 200 logins that must each get their own. A late answer is on its
    way for a second more, while the others go on."""
    nap = {"mysql": "SLEEP(IF(:local = 'user0', 3, 0)) = 0", "pgsql": "pg_sleep(CASE WHEN :local = 'user0' THEN 3 ELSE 0 END) IS NOT NULL"}
    query = "SELECT name, password FROM accounts WHERE name = :user AND " + nap[db.driver]
    ask = Ask(MODULE, 8, dict(settings, query_user=query, query_passwords="", query_timeout="2s"))
    wanted, wrong, timeouts = {}, [], 0
    for k in range(200):
        user, right = k % 20, k % 3 != 0
        wanted[ask.send("verify", "user%d@example.org" % user, ("secret%d" % user) if right else "secretX", HANG * 1000)] = (user, right)
    for _ in range(200):
        a = ask.receive()
        user, right = wanted.pop(a["id"])
        if user == 0:
            timeouts += a["code"] == "TIMEOUT"
            good = a["code"] == "TIMEOUT"
        else:
            good = a["code"] == ("OK" if right else "DENIED") and a["name"] == (b"user%d@example.org" % user if right else b"")
        if not good:
            wrong.append((user, right, a))
    tap.ok(not wrong and timeouts == 10, "%s: 200 mixed logins, %d answers late: each got its own or none" % (db.driver, timeouts), wrong[:5])
    ended(tap, db, ask)


def fail_over(tap, db, settings):
    dead = "127.0.0.1:%d" % free_port()
    silent, close = tcp_that(None)
    ask = Ask(MODULE, 2, dict(settings, server=[dead, "127.0.0.1:%d" % silent, settings["server"]], connect_timeout="2s"))
    a = login(ask)
    tap.ok(a["code"] == "OK", "%s: the third server serves when the first two do not (%d ms)" % (db.driver, a["ms"]), a)
    for what in ("is asked at once from then on", "also after a restart"):
        a = login(ask, 1)
        tap.ok(a["code"] == "OK" and close.connections() == 1, "%s: it %s (%d ms)" % (db.driver, what, a["ms"]), a)
        db.stop()
        db.start()
    ended(tap, db, ask)
    tap.ok(sum("does not serve" in x for x in ask.logs) == 2, "%s: one line in the log for each" % db.driver, ask.logs)
    close()


def writes(tap, db, settings):
    """A deadlock and a replica: deferred writes are repeated, elsewhere if need be; none is lost while it waits."""
    ask = Ask(MODULE, 2, settings)
    login(ask)
    db.kill()
    a = ask.ask("tick", ms=SECONDS)
    again = login(ask, ms=SECONDS)
    tap.ok(a["code"] == "OK" and again["code"] in FAILED, "%s: the last login waits while the database is away" % db.driver, a)
    db.start()
    ask.ask("tick", ms=HANG * 1000)
    row = db.sql("SELECT COALESCE(last_login, 0) FROM accounts WHERE name = 'user0@example.org'")[0]
    tap.ok(row != ["0"], "%s: and is written when it is back" % db.driver, row)
    ask.close()


def replica(tap, db, settings, copy):
    """Reads are served by a replica that takes no writes; the writes find their way past it."""
    first = copy.settings(tls=False)["server"]
    ask = Ask(MODULE, 2, dict(db.settings(tls=False), **queries(db.driver), server=[first, db.settings()["server"]]))
    db.sql("UPDATE accounts SET last_login = NULL")
    a = login(ask, 3)
    tap.ok(a["code"] == "OK", "%s: a read-only replica serves logins" % db.driver, a)
    ask.ask("tick", ms=HANG * 1000)
    row = db.sql("SELECT COALESCE(last_login, 0) FROM accounts WHERE name = 'user3@example.org'")[0]
    tap.ok(row != ["0"], "%s: the stamp went to the server that takes writes" % db.driver, row)
    ask.close()


def read_only(db):
    """Makes it look like a replica to clients."""
    if db.driver == "mysql":
        db.sql("SET GLOBAL read_only = 1", database="")
    else:
        db.sql("ALTER DATABASE mail SET default_transaction_read_only = on")


def stripped(db):
    """A man in the middle who claims that the server knows no TLS, and reads along. Returns (port, close, bytes read)."""
    heard = []

    def serve(c):
        s = socket.create_connection(("127.0.0.1", db.port))
        try:
            if db.driver == "mysql":
                head = s.recv(4096)
                at = head.index(b"\0", 5) + 1 + 4 + 8 + 1 + 1  # capabilities: the 11th bit of the second byte is CLIENT_SSL
                c.sendall(head[:at] + bytes([head[at] & ~0x08]) + head[at + 1:])
            data = c.recv(4096)
            if data[4:8] == bytes.fromhex("04d2162f"):  # may we speak TLS?
                c.sendall(b"N")
                data = c.recv(4096)
            while True:
                if not data:
                    return
                heard.append(data)
                s.sendall(data)
                c.sendall(s.recv(4096))
                data = c.recv(4096)
        except OSError:
            pass
        finally:
            s.close()
            c.close()
    port, close = tcp_that(serve)
    return port, close, heard


def man_in_the_middle(tap, db, settings):
    port, close, heard = stripped(db)
    ask = Ask(MODULE, 1, dict(settings, server="127.0.0.1:%d" % port))
    fails(tap, db, login(ask, ms=5000), "somebody between says there is no TLS", ("SSL",), ms=5000)
    tap.ok(close.connections() > 0 and not any(b"restante" in h for h in heard), "%s: and hears not even the name of the service" % db.driver, heard)
    ended(tap, db, ask)
    ask = Ask(MODULE, 1, dict(settings, server="127.0.0.1:%d" % port, tls="off"))
    a = login(ask)
    tap.ok(a["code"] == "OK" and any(b"restante" in h for h in heard), "%s: which with tls = off he does" % db.driver, "%s %s" % (a, heard))
    ask.close()
    close()


class Tables:
    """A file of SQLite in the ways it can fail."""
    def __init__(self, tap, db):
        self.tap, self.db, self.file = tap, db, db.path("mail.db")
        self.ask = Ask(MODULE, 2, dict(db.settings(), **queries("sqlite")))

    def works(self, what):
        a = login(self.ask)
        self.tap.ok(a["code"] == "OK", "sqlite, %s" % what, a)

    def last_login(self):
        return self.db.sql("SELECT COALESCE(last_login, 0) FROM accounts WHERE name = 'user0@example.org'") != [["0"]]

    def locked(self):
        """Locked by a writer: with a log (WAL) logins go on and stamps wait, without one logins wait, in vain here."""
        other = self.db.session()
        other.say("BEGIN EXCLUSIVE;")
        other.said()
        self.works("locked by somebody who writes: a login does not wait")
        a = self.ask.ask("tick", ms=SECONDS)
        self.tap.ok(a["code"] == "OK" and not self.last_login(), "sqlite: its stamp does", a)
        other.close()
        a = self.ask.ask("tick", ms=HANG * 1000)
        self.tap.ok(a["code"] == "OK" and self.last_login(), "sqlite: and is written then", a)

    def run(self):
        self.works("serves")
        self.locked()
        os.rename(self.file, self.file + ".old")
        fails(self.tap, self.db, login(self.ask, ms=SECONDS), "taken away", ("mail.db",))
        with open(self.file, "wb") as f:
            f.write(b"this is no database, " * 100)
        fails(self.tap, self.db, login(self.ask, ms=SECONDS), "something else", ("not a database",))
        os.rename(self.file + ".old", self.file)
        self.works("put back")
        self.db.sql("VACUUM INTO '%s'" % (self.file + ".new"))
        os.rename(self.file + ".new", self.file)
        self.db.sql("UPDATE accounts SET password = '{SHA}%s' WHERE name = 'user0@example.org'" % sha("secret0"))
        self.works("replaced by a copy")
        ended(self.tap, self.db, self.ask)

    def without_log(self):
        self.db.sql("PRAGMA journal_mode = DELETE")
        self.ask = Ask(MODULE, 2, dict(self.db.settings(), **queries("sqlite")))
        self.works("serves without a log")
        other = self.db.session()
        other.say("BEGIN EXCLUSIVE;")
        other.said()
        for right in (True, False):
            fails(self.tap, self.db, login(self.ask, right=right, ms=SECONDS), "locked by somebody else", ("lock",))
        other.close()
        self.works("unlocked again")
        ended(self.tap, self.db, self.ask)


def sqlite(tap):
    db = Sqlite()
    try:
        fill(db)
        t = Tables(tap, db)
        t.run()
        t.without_log()
    finally:
        db.close()


def servers(tap, make, everything):
    db = make()
    settings = dict(db.settings(), **queries(db.driver))
    settings.pop("password_scheme", None)
    plain = make(tls=False)
    try:
        fill(db)
        fill(plain)
        drive(tap, db, settings)
        slow(tap, db, settings)
        writes(tap, db, settings)
        if not everything and "thread" in os.environ.get("SANITIZE", ""):
            return  # the parts with threads are done; the rest is for other builds
        repeated(tap, db, settings)
        deadlock(tap, db, settings)
        man_in_the_middle(tap, db, settings)
        fail_over(tap, db, settings)
        if everything:
            configured_wrong(tap, db, settings, plain)
            stops_midway(tap, db, settings)
        read_only(plain)
        replica(tap, db, settings, plain)
    finally:
        db.close()
        plain.close()


def main():
    tap = Tap()
    everything = os.environ.get("ALL") == "yes"
    sqlite(tap)
    for make in (Maria, Postgres):
        servers(tap, make, everything)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
