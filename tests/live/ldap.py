#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The module ldap against one slapd: the kit, search and bind, direct bind, users of the other section."""
import sys

from ldap_lib import AUTH, OK, Server, Tap, apply, configure, conform, ended, expect, slapd


def kit(tap, srv, d):
    common = ["server=" + d.uri, "starttls=no"]
    service = ["bind_dn=" + slapd.SERVICE, "bind_password=" + slapd.SERVICE_PASSWORD]
    conform(tap, srv, "search and bind", ("ann", "restante"), *common, *service, "base=" + slapd.PEOPLE)
    conform(tap, srv, "direct bind", ("ann", "restante"), *common, *service, "user_dn=uid=%n," + slapd.PEOPLE)


def logins(tap, srv, mode):
    expect(tap, srv, mode + ": the right password", "ann@ldap.test", OK)
    expect(tap, srv, mode + ": a wrong one", "ann@ldap.test", AUTH, "wrong", "wrong password")
    expect(tap, srv, mode + ": an unknown user", "nobody@ldap.test", AUTH)
    expect(tap, srv, mode + ": another user, another password", "ben@ldap.test", OK, "other")
    expect(tap, srv, mode + ": the other's password", "ben@ldap.test", AUTH)
    expect(tap, srv, mode + ": users of another module", "local", OK)


def main():
    tap = Tap()
    srv = Server()
    d = slapd.Slapd(slapd.tree(slapd.user("ann"), slapd.user("ben", "other"))).start()
    try:
        kit(tap, srv, d)
        configure(srv, d.uri)
        srv.start()
        logins(tap, srv, "search and bind")
        apply(srv, d.uri, base=None, user_dn="uid=%n," + slapd.PEOPLE)
        logins(tap, srv, "direct bind")
        tap.ok("BIND dn=\"\"" not in d.log(), "no bind without a name", d.log()[-500:])
    finally:
        d.close()
        ended(tap, srv)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
