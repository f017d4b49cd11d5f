#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The module ldap when directories fail: frozen, killed, restarted, refusing, slow, talking nonsense. Its users get
[SYS/TEMP] and never [AUTH], the others notice nothing, and service resumes by itself within 5 s. With ALL=yes more kinds
of nonsense, and more logins at once."""
import socket
import sys
import threading
import time

from ldap_lib import ALL, AUTH, LOCAL, OK, TEMP, Server, Tap, apply, at_once, configure, ended, expect, login, quick, returns, says, slapd
from odd import Odd
from server import free_port

USER_BIND = 'BIND dn="uid=ann,%s" method=128' % slapd.PEOPLE
STRICT = "cn=strict,ou=policies," + slapd.BASE
LONG = 100.0  # a limit for things that must not hang, not a measurement


def down(tap, srv, what, said=None):
    """Right or wrong password, known user or not: [SYS/TEMP]; users of the other section log in as quickly as ever."""
    before = len(srv.log())
    who = [("right", "ann@ldap.test"), ("wrong", "ann@ldap.test", "wrong"), ("unknown", "x@ldap.test")]
    got = at_once(login, [(srv, *w[1:]) for w in who] + [(srv, u) for u in LOCAL])
    for (key, *_), (answer, took) in zip(who, got):
        tap.ok(answer.startswith(TEMP) and took <= LONG, "%s: [SYS/TEMP] for a %s name or password" % (what, key), got)
    tap.ok(all(a.startswith(OK) for a, _ in got[3:]), what + ": others are served", got)
    if said:
        tap.ok(says(srv, before, said), "%s: the log says '%s'" % (what, said), srv.log()[before:])


def one_server(tap, srv, a):
    apply(srv, a.uri)
    expect(tap, srv, "one server: it works", "ann@ldap.test", OK)
    a.freeze()
    down(tap, srv, "frozen", "no answer in time")
    a.thaw()
    returns(tap, srv, "thawed: service returns")
    a.kill()
    down(tap, srv, "killed", "Connection refused")
    a.start()
    returns(tap, srv, "restarted: service returns")
    a.stop()
    a.start()
    expect(tap, srv, "restarted between two logins: nobody notices", "ann@ldap.test", OK)


def two_servers(tap, srv, a, b):
    apply(srv, a.uri, b.uri, timeout="4s", call_ms="20s")
    expect(tap, srv, "two servers: it works", "ann@ldap.test", OK)
    binds = b.log().count("method=128")
    a.freeze()
    expect(tap, srv, "first frozen: the second answers", "ann@ldap.test", OK, within=LONG, said="the others are asked first now")
    took = quick(tap, srv, "and the next login does not wait", "ann@ldap.test", OK)
    tap.note("%.2f s, and 4 s is what waiting takes" % took)
    expect(tap, srv, "a wrong password is one", "ann@ldap.test", AUTH, "wrong", within=LONG)
    tap.ok(b.log().count("method=128") > binds, "the second was asked", b.log()[-800:])
    direct = {"user_dn": "uid=%n," + slapd.PEOPLE, "base": None, "bind_dn": None, "bind_password": None}
    apply(srv, a.uri, b.uri, timeout="4s", call_ms="20s", **direct)
    expect(tap, srv, "direct bind, first frozen: the second answers", "ann@ldap.test", OK, within=LONG)
    quick(tap, srv, "direct bind: the next login does not wait", "ann@ldap.test", OK)
    apply(srv, a.uri, b.uri)
    b.kill()
    down(tap, srv, "first frozen, second killed")
    a.thaw()
    returns(tap, srv, "first thawed: service returns")
    tap.ok(srv.said("server %s serves again" % a.uri), "the log says so")
    b.start()
    tap.ok(srv.said("server %s serves again" % b.uri), "and of the second", srv.log()[-800:])
    asked = a.log().count(USER_BIND)
    expect(tap, srv, "the first is preferred again", "ann@ldap.test", OK)
    tap.ok(a.log().count(USER_BIND) == asked + 1, "it was asked", a.log()[-800:])
    n = srv.events("dir")
    tap.ok(n["server_failures"] >= 2 and n["connects"] > 0, "failures are counted", n)
    a.stop()
    expect(tap, srv, "first refuses: the second answers", "ann@ldap.test", OK, within=LONG)
    a.start()


def refusals(tap, srv, a):
    apply(srv, "ldap://127.0.0.1:%d" % free_port())
    down(tap, srv, "nobody listens", "Connection refused")
    apply(srv, a.uri, bind_password="not-" + slapd.SERVICE_PASSWORD)
    down(tap, srv, "wrong service password", "bind_dn or bind_password is wrong")
    apply(srv, a.uri, base="ou=nowhere," + slapd.BASE)
    down(tap, srv, "a base that is not there", "does base exist")
    apply(srv, "ldap://no-such-host.invalid")
    down(tap, srv, "a name that is not found", "the name is not found")


def service_locked(tap, srv, a):
    """The directory locks an account after five wrong passwords, for good. A wrong bind_password does not come to that, however long
    it is there and however many ask; a reload, and nothing else, makes the server try again at once."""
    def binds():
        return a.log().count('BIND dn="%s" method=128' % slapd.SERVICE)
    a.modify("dn: %s\nchangetype: modify\nadd: pwdPolicySubentry\npwdPolicySubentry: %s\n" % (slapd.SERVICE, STRICT))
    before, since = binds(), len(srv.log())
    apply(srv, a.uri, bind_password="not-" + slapd.SERVICE_PASSWORD)
    got = at_once(login, [(srv, "ann@ldap.test")] * 8)
    end = time.monotonic() + 4  # two ticks, which ask servers that are down; tries in that time, not how long it is, are counted
    while time.monotonic() < end:
        got += at_once(login, [(srv, "ann@ldap.test")] * 2)
    tap.ok(all(answer.startswith(TEMP) for answer, _ in got), "wrong service password: [SYS/TEMP]", got)
    tap.ok(binds() == before + 1, "the directory was asked once in %d logins and two ticks" % len(got), binds() - before)
    tap.ok(says(srv, since, "so that the directory does not lock that account"), "the log tells when it is asked again", srv.log()[since:])
    set_password(a, "changed")
    apply(srv, a.uri, bind_password="changed")
    returns(tap, srv, "with the right one service returns")
    set_password(a, "other")
    a.stop()
    a.start()  # connections are made anew
    expect(tap, srv, "changed in the directory only", "ann@ldap.test", TEMP)
    set_password(a, "changed")
    done = srv.ctl("reload")
    tap.ok(done.returncode == 0, "a reload that changes nothing", done.stderr)
    returns(tap, srv, "has it tried again")
    since = len(srv.log())
    a.modify("dn: %s\nchangetype: modify\nreplace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n" % slapd.SERVICE)
    a.stop()
    a.start()
    expect(tap, srv, "the service's account is locked", "ann@ldap.test", TEMP)
    tap.ok(says(srv, since, "the service bind is refused: Invalid credentials (49): account is locked"), "the log says that it is",
           srv.log()[since:])
    a.modify("dn: %s\nchangetype: modify\ndelete: pwdAccountLockedTime\n" % slapd.SERVICE)
    set_password(a, slapd.SERVICE_PASSWORD)


def set_password(a, password):
    a.modify("dn: %s\nchangetype: modify\nreplace: userPassword\nuserPassword: %s\n" % (slapd.SERVICE, slapd.ssha(password)))


def nonsense(tap, srv, a):
    for mode in ("silent", "close", "garbage", "huge", "drip") if ALL else ("garbage", "drip"):
        odd = Odd(mode)
        apply(srv, odd.uri)
        down(tap, srv, "a server that is " + mode)
        apply(srv, odd.uri, a.uri)
        expect(tap, srv, "a first server that is %s: the second answers" % mode, "ann@ldap.test", OK, within=LONG)
        odd.close()


def mixed_logins(tap, srv, a):
    """Answers come late, some too late: each login gets its own, or none. With little time, all are too late on a slow machine."""
    seen = {}
    for late_s in (0.25, 1, 4):
        wrong, seen = mixed(srv, a, late_s)
        if wrong or all(seen.values()):
            break
    tap.ok(not wrong, "%d mixed logins with late answers: nobody got another's" % sum(seen.values()), wrong)
    tap.ok(all(seen.values()), "there were right, wrong and late ones: %s" % seen, seen)


def mixed(srv, a, late_s, n=1000 if ALL else 200, width=40):
    slow = Odd("slow", a.port, late_s)
    apply(srv, slow.uri, permits=16, timeout="%dms" % (late_s * 1200), connect_timeout="%dms" % (late_s * 3600),
          call_ms="%dms" % (late_s * 16000))
    wrong, lock, work = [], threading.Lock(), list(range(n))
    seen = {OK: 0, AUTH: 0, TEMP: 0}

    def go():
        while True:
            with lock:
                if not work:
                    return
                i = work.pop()
            user, right = "u%d@ldap.test" % (i % 20), i % 2 == 0
            got, _ = login(srv, user, "pw-%d" % (i % 20) if right else "pw-%d" % ((i + 1) % 20))
            kind = next((k for k in seen if got.startswith(k)), None)
            with lock:
                if kind is None or (kind == OK and not right) or (kind == AUTH and right):
                    if b"IN-USE" not in got:
                        wrong.append((i, got))
                else:
                    seen[kind] += 1
    threads = [threading.Thread(target=go) for _ in range(width)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    slow.close()
    return wrong, seen


def breaker(tap, srv, a):
    """The host's breaker, too: it opens, and closes by itself."""
    apply(srv, a.uri, call_ms="4s", timeout="4s", breaker_open_ms="8000", trip_after="3")
    a.freeze()
    got = at_once(login, [(srv, "u%d@ldap.test" % i) for i in range(4)])
    tap.ok(all(answer.startswith(TEMP) for answer, _ in got), "breaker: [SYS/TEMP]", got)
    took = quick(tap, srv, "open breaker: [SYS/TEMP] at once", "ann@ldap.test", TEMP)
    tap.note("%.2f s, and 4 s is what waiting takes" % took)
    a.thaw()
    returns(tap, srv, "the breaker closes: service returns")


def main():
    tap = Tap()
    srv = Server()
    policy = slapd.entry(STRICT, ["person", "pwdPolicy"], cn="strict", sn="strict", pwdAttribute="userPassword", pwdLockout="TRUE",
                         pwdMaxFailure=5, pwdLockoutDuration=0)
    tree = slapd.tree(policy, slapd.user("ann"), *(slapd.user("u%d" % i, "pw-%d" % i) for i in range(20)))
    a, b = slapd.Slapd(tree).start(), slapd.Slapd(tree).start()
    try:
        configure(srv, a.uri)
        srv.start()
        for part in (one_server, two_servers, refusals, service_locked, nonsense, mixed_logins, breaker):
            start = time.monotonic()
            part(tap, srv, *((a, b) if part is two_servers else (a,)))
            tap.note("%s: %.1f s" % (part.__name__, time.monotonic() - start))
        tap.ok(srv.alive(), "the server lives")
        with socket.create_connection(("127.0.0.1", srv.clear_port), 60):
            pass
    finally:
        for d in (a, b):
            d.close()
        ended(tap, srv)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
