#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Databases that fail: refused, killed, frozen, slow, silent, of the wrong kind, without TLS, of a wrong authority, with
a wrong service password. The answer is [SYS/TEMP] and in time, never [AUTH]; service returns by itself; answers that
come late reach nobody else. TAP."""
import os
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server, Tap, free_port  # noqa: E402
from databases import Ask, Maria, Postgres, authority, queries, tcp_that  # noqa: E402
from sql_accounts import MODULE, sha  # noqa: E402

SECONDS = 1000  # of a call here, ms
LATE = 500      # R7
FAILED = ("DOWN", "TIMEOUT", "TEMP")


def fill(db, n=20):
    rows = ", ".join("('user%d@example.org', '{SHA}%s')" % (k, sha("secret%d" % k)) for k in range(n))
    db.sql("INSERT INTO accounts (name, password) VALUES " + rows)


def fails(tap, db, a, what, words=()):
    good = a["code"] in FAILED and a["ms"] <= SECONDS + LATE and a["error"] and all(w in a["error"] for w in words)
    tap.ok(good, "%s, %s: %s after %d ms: %s" % (db.driver, what, a["code"], a["ms"], a["error"][:100]), a)
    tap.ok("service-secret" not in a["error"] and "secret0" not in a["error"], "%s, %s: no secret in it" % (db.driver, what))


def login(ask, k=0, right=True, ms=SECONDS):
    return ask.ask("verify", "user%d@example.org" % k, "secret%d" % k if right else "wrong", ms)


def returns(tap, ask, db, what):
    t0 = time.monotonic()
    a = login(ask)
    while a["code"] != "OK" and time.monotonic() - t0 < 5:
        time.sleep(0.05)
        a = login(ask)
    tap.ok(a["code"] == "OK", "%s, %s: back after %.2f s" % (db.driver, what, time.monotonic() - t0), a)


def drive(tap, db, settings):
    """One instance through all that can happen to a server."""
    ask = Ask(MODULE, 4, settings)
    tap.ok(login(ask)["code"] == "OK" and login(ask, right=False)["code"] == "DENIED", "%s: serves" % db.driver)
    db.stop()
    db.start()
    a = login(ask)
    tap.ok(a["code"] == "OK", "%s: restarted while nobody asked: nothing is noticed" % db.driver, a)
    db.kill()
    for right in (True, False):
        fails(tap, db, login(ask, right=right), "killed, %s password" % ("right" if right else "wrong"))
    db.start()
    returns(tap, ask, db, "killed and started")
    db.signal(signal.SIGSTOP)
    for right in (True, False):
        a = login(ask, right=right)
        fails(tap, db, a, "frozen, %s password" % ("right" if right else "wrong"))
    db.signal(signal.SIGCONT)
    returns(tap, ask, db, "frozen and thawed")
    db.signal(signal.SIGSTOP)
    for k in range(4):
        ask.send("verify", "user%d@example.org" % k, "secret%d" % k, SECONDS)
    time.sleep(0.3)
    db.kill()
    for _ in range(4):
        fails(tap, db, ask.receive(), "killed in the middle of a login")
    db.start()
    returns(tap, ask, db, "killed again")
    a = ask.ask("probe", ms=SECONDS)
    tap.ok(a["code"] == "OK", "%s: the probe says so too" % db.driver, a)
    rc, err = ask.close()
    tap.ok(rc == 0 and not err, "%s: ended cleanly" % db.driver, err)


def configured_wrong(tap, db, settings, plain):
    other = authority(db.dir, "other")
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
            fails(tap, db, login(ask, right=right), what, words)
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
        a = login(ask)
        worst = max(worst, a["ms"])
        if a["code"] != "OK": # all of it fitted into so many bytes
            fails(tap, db, a, "stops after %d bytes" % after)
        ask.close()
        close()
    tap.note("%s: the longest took %d of %d ms" % (db.driver, worst, SECONDS))


def slow(tap, db, settings):
    """Answers that take longer than the time there is, and 200 logins that must each get their own."""
    nap = {"mysql": "SLEEP(IF(:local = 'user0', 0.7, 0)) = 0", "pgsql": "pg_sleep(CASE WHEN :local = 'user0' THEN 0.7 ELSE 0 END) IS NOT NULL"}
    query = "SELECT name, password FROM accounts WHERE name = :user AND " + nap[db.driver]
    ask = Ask(MODULE, 8, dict(settings, query_user=query, query_passwords="", query_timeout="300ms"))
    wanted, wrong, timeouts = {}, [], 0
    for k in range(200):
        user, right = k % 20, k % 3 != 0
        wanted[ask.send("verify", "user%d@example.org" % user, ("secret%d" % user) if right else "secretX", SECONDS)] = (user, right)
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
    tap.ok(not wrong, "%s: 200 mixed logins, %d answers late: each got its own or none" % (db.driver, timeouts), wrong[:5])
    rc, err = ask.close()
    tap.ok(rc == 0 and not err, "%s: ended cleanly" % db.driver, err)


def fail_over(tap, db, settings):
    dead = "127.0.0.1:%d" % free_port()
    silent, close = tcp_that(None)
    ask = Ask(MODULE, 2, dict(settings, server=[dead, "127.0.0.1:%d" % silent, settings["server"]], connect_timeout="300ms"))
    a = login(ask)
    tap.ok(a["code"] == "OK", "%s: the third server serves when the first two do not (%d ms)" % (db.driver, a["ms"]), a)
    a = login(ask, 1)
    tap.ok(a["code"] == "OK" and a["ms"] < 200, "%s: and is asked at once from then on (%d ms)" % (db.driver, a["ms"]), a)
    db.stop()
    db.start()
    a = login(ask)
    tap.ok(a["code"] == "OK" and a["ms"] < 300, "%s: also after a restart (%d ms)" % (db.driver, a["ms"]), a)
    ask.close()
    tap.ok(sum("does not serve" in x for x in ask.logs) == 2, "%s: one line in the log for each" % db.driver, ask.logs)
    close()


def writes(tap, db, settings):
    """A deadlock and a replica: what is written behind is repeated, elsewhere if need be; nothing is lost while it waits."""
    ask = Ask(MODULE, 2, settings)
    login(ask)
    db.kill()
    a = ask.ask("tick", ms=SECONDS)
    tap.ok(a["code"] == "OK", "%s: the last login waits while the database is away" % db.driver, a)
    db.start()
    ask.ask("tick", ms=5000)
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
    ask.ask("tick", ms=5000)
    row = db.sql("SELECT COALESCE(last_login, 0) FROM accounts WHERE name = 'user3@example.org'")[0]
    tap.ok(row != ["0"], "%s: the stamp went to the server that takes writes" % db.driver, row)
    ask.close()


def read_only(db):
    """Makes it what a replica is to a client."""
    if db.driver == "mysql":
        db.sql("SET GLOBAL read_only = 1; REVOKE ALL ON *.* FROM restante@'127.0.0.1'", database="")
    else:
        db.sql("ALTER DATABASE mail SET default_transaction_read_only = on")


def talk(port, user, password):
    """The reply to a login of a POP3 client."""
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        f = s.makefile("rwb")
        f.readline()
        for line in ("USER " + user, "PASS " + password):
            f.write(line.encode() + b"\r\n")
            f.flush()
            reply = f.readline()
        if reply.startswith(b"+OK"):
            f.write(b"QUIT\r\n")
            f.flush()
            f.readline()
        return reply.decode()


def block(settings):
    lines = ["auth accounts {", " module = sql", " storage = mail", " breaker_open_ms = 2s", " call_ms = 2s"]
    for k, v in settings.items():
        lines.append(' %s = "%s"' % (k, v.replace("\\", "\\\\").replace('"', '\\"')))
    return "\n".join(lines + ["}"])


def pop3(tap, db, settings):
    """The whole server, as a client sees it."""
    srv = Server()
    try:
        srv.maildir("user0@example.org", [b"Subject: x\n\nbody\n"])
        srv.configure(block(settings) + "\nstorage mail {\n module = maildir\n path = %s/%%u\n}\n" % srv.path("mail"))
        os.chmod(db.ca, 0o644)
        srv.start()

        def both():
            return [talk(srv.clear_port, "user0@example.org", p) for p in ("secret0", "wrong")]
        got = both()
        tap.ok(got[0].startswith("+OK") and "[AUTH]" in got[1], "%s, POP3: right and wrong" % db.driver, "%s\n%s" % (got, srv.log()[-800:]))
        end = time.monotonic() + 10
        while db.sql("SELECT COALESCE(last_login, 0) FROM accounts WHERE name = 'user0@example.org'") == [["0"]] and time.monotonic() < end:
            time.sleep(0.1)
        tap.ok(time.monotonic() < end, "%s, POP3: the server's tick writes the last login" % db.driver)
        for what, stop, start in (("frozen", lambda: db.signal(signal.SIGSTOP), lambda: db.signal(signal.SIGCONT)),
                                  ("killed", db.kill, db.start)):
            stop()
            got = [talk(srv.clear_port, "user%d@example.org" % k, "wrong") for k in (1, 2)] + both()
            tap.ok(all("[SYS/TEMP]" in x for x in got), "%s, POP3: %s: [SYS/TEMP], never [AUTH]" % (db.driver, what), got)
            start()
            t0 = time.monotonic()
            while not talk(srv.clear_port, "user0@example.org", "secret0").startswith("+OK") and time.monotonic() - t0 < 20:
                time.sleep(0.1)
            tap.ok(time.monotonic() - t0 < 5, "%s, POP3: %s: back after %.1f s" % (db.driver, what, time.monotonic() - t0))
        tap.ok("service-secret" not in srv.log() and "secret0" not in srv.log(), "%s, POP3: no secret in the log" % db.driver)
    finally:
        rc = srv.close()
    tap.ok(rc == 0, "%s, POP3: the server ended cleanly" % db.driver, rc)


def main():
    tap = Tap()
    for make in (Maria, Postgres):
        db, plain = make(), make(tls=False)
        try:
            settings = dict(db.settings(), **queries(db.driver))
            settings.pop("password_scheme", None)
            fill(db)
            fill(plain)
            drive(tap, db, settings)
            configured_wrong(tap, db, settings, plain)
            stops_midway(tap, db, settings)
            slow(tap, db, settings)
            fail_over(tap, db, settings)
            writes(tap, db, settings)
            read_only(plain)
            if db.driver == "mysql":
                plain.sql("GRANT SELECT, UPDATE ON mail.* TO restante@'127.0.0.1'", database="")
            replica(tap, db, settings, plain)
            db.sql("UPDATE accounts SET last_login = NULL")
            pop3(tap, db, settings)
        finally:
            db.close()
            plain.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
