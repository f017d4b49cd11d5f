#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server's credential cache in front of a directory: slapd's own log shows that remembered logins are not asked again
and the others are; it is bounded; and with last_known_good a known user still gets in while the directory is frozen or dead."""
import re
import sys

from ldap_lib import AUTH, OK, TEMP, Server, Tap, apply, at_once, configure, ended, expect, login, returns, slapd

CROWD = 40


def asked(d):
    """(searches for a user, binds with a password as a user)"""
    log = d.log()
    return len(re.findall(r"SRCH base=\"ou=people", log)), len(re.findall(r"BIND dn=\"uid=[^\"]+\" method=128", log))


def since(d, before):
    return tuple(now - then for now, then in zip(asked(d), before))


def positive(tap, srv, d):
    apply(srv, d.uri, cache="1h")
    before = asked(d)
    for _ in range(6):
        expect(tap, srv, "an accepted pair", "ann@ldap.test", OK)
    tap.ok(since(d, before) == (1, 1), "six logins, one search and one bind", since(d, before))
    expect(tap, srv, "a wrong password", "ann@ldap.test", AUTH, "wrong", said="wrong password")
    expect(tap, srv, "and again: refusals are not kept", "ann@ldap.test", AUTH, "wrong", said="wrong password")
    tap.ok(since(d, before) == (3, 3), "both were asked for", since(d, before))
    d.modify("dn: uid=ben,%s\nchangetype: modify\nreplace: userPassword\nuserPassword: new\n" % slapd.PEOPLE)
    expect(tap, srv, "a new password in the directory is asked for", "ben@ldap.test", OK, "new")
    expect(tap, srv, "the old one is not good", "ben@ldap.test", AUTH, "other", said="wrong password")


def negative(tap, srv, d):
    apply(srv, d.uri, cache_negative="1h")
    before = asked(d)
    for _ in range(3):
        got, _ = login(srv, "ann@ldap.test", "wrong", address="127.3.0.1")
        tap.ok(got.startswith(AUTH), "a refused pair", got)
    tap.ok(since(d, before) == (1, 1), "three times the same guess, one search and one bind", since(d, before))
    expect(tap, srv, "the right password is asked for", "ann@ldap.test", OK)


def bounded(tap, srv, d):
    apply(srv, d.uri, cache="1h", cache_size=8, permits=8)
    for turn in range(2):
        before = asked(d)
        got = at_once(login, [(srv, "u%d@ldap.test" % i) for i in range(CROWD)])
        tap.ok(all(a.startswith(OK) for a, _ in got), "%d users, 8 places: all come in" % CROWD, got)
    tap.ok(since(d, before)[0] >= CROWD - 8, "no more than 8 were remembered", since(d, before))


def last_known_good(tap, srv, d):
    apply(srv, d.uri, last_known_good="4h")
    before = asked(d)
    for name in ("ann", "u1", "u2"):
        expect(tap, srv, "while it is up", name + "@ldap.test", OK)
    expect(tap, srv, "and again", "ann@ldap.test", OK)
    tap.ok(since(d, before)[0] == 4, "everybody is asked for while it is up", since(d, before))
    d.modify("dn: uid=u2,%s\nchangetype: modify\nadd: nsAccountLock\nnsAccountLock: TRUE\n" % slapd.PEOPLE)
    expect(tap, srv, "one is disabled", "u2@ldap.test", AUTH, said="account is disabled")
    for state, stop, start in (("frozen", d.freeze, d.thaw), ("killed", d.kill, d.start)):
        stop()
        expect(tap, srv, state + ": a known pair", "ann@ldap.test", OK, said="cached=last-known-good")
        expect(tap, srv, state + ": a wrong password", "ann@ldap.test", TEMP, "wrong")
        expect(tap, srv, state + ": a user that was not there", "u3@ldap.test", TEMP)
        expect(tap, srv, state + ": one that was disabled", "u2@ldap.test", TEMP)
        start()
        returns(tap, srv, state + ": it is back")
    apply(srv, d.uri)
    expect(tap, srv, "default: it works", "ann@ldap.test", OK)
    d.freeze()
    expect(tap, srv, "default: nobody comes in without the directory", "ann@ldap.test", TEMP)
    d.thaw()
    apply(srv, d.uri, last_known_good="1s")
    expect(tap, srv, "for one second: it works", "ann@ldap.test", OK)
    d.freeze()  # waiting for it takes longer than that second
    expect(tap, srv, "for one second, and after it", "ann@ldap.test", TEMP)
    d.thaw()


def main():
    tap = Tap()
    srv = Server()
    people = [slapd.user("ann"), slapd.user("ben", "other")] + [slapd.user("u%d" % i) for i in range(CROWD)]
    d = slapd.Slapd(slapd.tree(*people)).start()
    try:
        configure(srv, d.uri)
        srv.start()
        for part in (positive, negative, bounded, last_known_good):
            part(tap, srv, d)
    finally:
        d.close()
        ended(tap, srv)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
