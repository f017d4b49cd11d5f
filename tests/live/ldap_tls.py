#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The module ldap over TLS and unix sockets: StartTLS, ldaps, certificates of servers and of ours, EXTERNAL; wrong
authorities and names, servers without TLS, handshakes that freeze or trickle. Anything unsafe is [SYS/TEMP], and no
password has been sent. With ALL=yes more of the same."""
import re
import shutil
import sys
import time

from ldap_lib import ALL, AUTH, OK, TEMP, Server, Tap, apply, configure, conform, ended, expect, login, returns, slapd
from odd import Odd

NOBODY = {"bind_dn": None, "bind_password": None}


def accepted(d):
    return len(re.findall(r" ACCEPT from ", d.log()))


def simple_binds(d):
    """(how many, how many of them without TLS on their connection): by its log, which names each connection."""
    log = d.log()
    safe = set(re.findall(r"conn=(\d+) fd=\d+ TLS established", log))
    binds = re.findall(r"conn=(\d+) op=\d+ BIND dn=\"[^\"]+\" method=128", log)
    return len(binds), sum(c not in safe for c in binds)


def serves(tap, srv, d, what, *uris, **more):
    """Logins work, over connections that are kept."""
    apply(srv, *uris, **more)
    expect(tap, srv, what + ": the right password", "ann@ldap.test", OK)
    expect(tap, srv, what + ": a wrong one", "ann@ldap.test", AUTH, "wrong", said="wrong password")
    before = accepted(d)
    for _ in range(10):
        login(srv, "ann@ldap.test")
    tap.ok(accepted(d) == before, what + ": ten more logins, no new connection", accepted(d) - before)


def refused(tap, srv, d, what, words, *uris, **more):
    """[SYS/TEMP] whatever the password, the words in the log, and nothing was sent to check."""
    apply(srv, *uris, **more)
    before = simple_binds(d)[0]
    expect(tap, srv, what + ": [SYS/TEMP]", "ann@ldap.test", TEMP, said=words)
    expect(tap, srv, what + ": for a wrong password too", "ann@ldap.test", TEMP, "wrong")
    tap.ok(simple_binds(d)[0] == before, what + ": no bind", d.log()[-800:])


def good(tap, srv, d, ca):
    trusted = {"tls_ca": ca.cert}
    serves(tap, srv, d, "StartTLS", d.uri, starttls="yes", **trusted)
    serves(tap, srv, d, "ldaps", d.tls_uri, **trusted)
    serves(tap, srv, d, "ldaps, TLS 1.3", d.tls_uri, tls_min="1.3", **trusted)
    serves(tap, srv, d, "StartTLS, direct bind", d.uri, starttls="yes", base=None, user_dn="uid=%n," + slapd.PEOPLE,
           **trusted)
    total, clear = simple_binds(d)
    tap.ok(total > 40 and clear == 0, "%d binds with a password, all of them over TLS" % total, clear)
    if not ALL:
        return
    conform(tap, srv, "StartTLS", ("ann", "restante"), "server=" + d.uri, "tls_ca=" + ca.cert, "base=" + slapd.PEOPLE,
            "bind_dn=" + slapd.SERVICE, "bind_password=" + slapd.SERVICE_PASSWORD)


def versions(tap, srv, d, ca, tree):
    """A server with TLS 1.2 is accepted unless 1.3 is required, an older one never."""
    for version, least, good in (("1.2", "1.2", True), ("1.2", "1.3", False), ("1.1", "1.2", False)):
        one = slapd.Slapd(tree, ca, ciphers="NORMAL:-VERS-ALL:+VERS-TLS" + version).start()
        what = "tls_min = %s, a server of %s" % (least, version)
        if good:
            serves(tap, srv, one, what, one.tls_uri, tls_ca=ca.cert, tls_min=least)
        else:
            refused(tap, srv, one, what, "TLS failed", one.tls_uri, tls_ca=ca.cert, tls_min=least)
        one.close()


def rotation(tap, srv, d, ca, other):
    live = srv.path("ca.pem")
    shutil.copy(other.cert, live)
    refused(tap, srv, d, "tls_ca of another authority", "TLS failed; see tls_ca", d.tls_uri, tls_ca=live)
    shutil.copy(ca.cert, live)
    returns(tap, srv, "the file is put right: service returns without a reload")


def unix(tap, srv, d):
    serves(tap, srv, d, "ldapi, EXTERNAL", d.unix_uri, bind_external="yes", **NOBODY)
    tap.ok("gidNumber=" in d.log() and "mech=EXTERNAL" in d.log(), "slapd knows who searches by the socket", d.log()[-800:])
    serves(tap, srv, d, "ldapi, service password", d.unix_uri)


def bad_servers(tap, srv, d, old, plain, ca, other):
    trusted = {"tls_ca": ca.cert}
    refused(tap, srv, d, "ldaps, another authority", "TLS failed; see tls_ca", d.tls_uri, tls_ca=other.cert)
    refused(tap, srv, d, "StartTLS, another authority", "TLS failed; see tls_ca", d.uri, starttls="yes", tls_ca=other.cert)
    refused(tap, srv, old, "ldaps, a certificate of another name", "TLS failed; see tls_ca", old.tls_uri, **trusted)
    refused(tap, srv, old, "StartTLS, a certificate of another name", "TLS failed; see tls_ca", old.uri, starttls="yes",
            **trusted)
    refused(tap, srv, plain, "StartTLS, a server without TLS", "it does not do StartTLS", plain.uri, starttls="yes", **trusted)
    refused(tap, srv, plain, "ldaps, a port without TLS", "TLS failed", plain.uri.replace("ldap:", "ldaps:"), **trusted)
    for mode in ("garbage", "close", "silent") if ALL else ("garbage", "silent"):
        odd = Odd(mode)
        refused(tap, srv, d, "ldaps, a server that is " + mode, None, odd.uri.replace("ldap:", "ldaps:"), **trusted)
        refused(tap, srv, d, "StartTLS, a server that is " + mode, None, odd.uri, starttls="yes", **trusted)
        odd.close()
    apply(srv, plain.uri, old.uri, d.uri, starttls="yes", call_ms="15s", **trusted)
    expect(tap, srv, "without TLS, with another name: the third server answers", "ann@ldap.test", OK)
    tap.ok(simple_binds(plain)[0] == 0, "no password went out in clear text", plain.log()[-800:])


def own_certificate(tap, srv, d, ca, other):
    """A server that asks clients for certificates."""
    cert, key = ca.issue("restante-client")
    wrong_cert, wrong_key = other.issue("restante-client")
    trusted = {"tls_ca": ca.cert}
    refused(tap, srv, d, "no certificate of ours", None, d.tls_uri, **trusted)
    refused(tap, srv, d, "one of another authority", None, d.tls_uri, tls_cert=wrong_cert, tls_key=wrong_key, **trusted)
    own = dict(trusted, tls_cert=cert, tls_key=key)
    serves(tap, srv, d, "ldaps with our certificate", d.tls_uri, **own)
    serves(tap, srv, d, "StartTLS with our certificate", d.uri, starttls="yes", **own)
    before = d.log().count("mech=EXTERNAL")
    serves(tap, srv, d, "ldaps, EXTERNAL", d.tls_uri, bind_external="yes", **dict(own, **NOBODY))
    serves(tap, srv, d, "StartTLS, EXTERNAL", d.uri, starttls="yes", bind_external="yes", **dict(own, **NOBODY))
    tap.ok(d.log().count("mech=EXTERNAL") > before and 'dn="cn=restante-client"' in d.log(), "slapd knows who searches "
           "by the certificate", d.log()[-800:])


def frozen(tap, srv, d, ca):
    """SIGSTOP when the handshake's first bytes come, and when a part of its answer has been sent; an answer that is cut off,
    and one in drops."""
    flight = 1  # the piece with which slapd begins its part of the handshake; after StartTLS, two pieces later

    def at_hello(data, answer, nth):
        if nth == flight - 1:
            d.freeze()
        return data

    def in_the_middle(data, answer, nth):
        if nth == flight:
            d.freeze()
        return data[:100] if nth == flight else data if nth < flight else b""

    def cut(data, answer, nth):
        return data[:7] if nth == flight else data if nth < flight else b""

    def drops(data, answer, nth):
        return [data[k:k + 1] for k in range(len(data))] if answer and nth >= flight else data

    def cut_later(data, answer, nth):
        if answer and nth > flight:
            once.append(nth)
            return data[:10] if len(once) == 1 else b""
        return data
    once = []
    for name, hook in (("frozen at the ClientHello", at_hello), ("frozen in the middle", in_the_middle),
                       ("cut off", cut), ("in drops", drops),
                       ("over, the first answer cut off", cut_later)):
        for scheme in ("ldaps", "ldap") if ALL or hook is in_the_middle else ("ldaps",):
            flight = 1 if scheme == "ldaps" else 3
            once.clear()
            odd = Odd("hook", d.tls_port if scheme == "ldaps" else d.port, hook=hook)
            what = "%s, the handshake %s" % ("ldaps" if scheme == "ldaps" else "StartTLS", name)
            apply(srv, odd.uri.replace("ldap:", scheme + ":"), starttls="yes", tls_ca=ca.cert)
            expect(tap, srv, what + ": [SYS/TEMP] in time", "ann@ldap.test", TEMP, said="no answer in time", within=100)
            odd.hook = lambda data, answer, nth: data
            d.thaw()
            returns(tap, srv, what + ": and it is back")
            odd.close()


def main():
    tap = Tap()
    srv = Server()
    ca, other = slapd.Authority(), slapd.Authority("another")
    tree = slapd.tree(slapd.user("ann"))
    servers = [slapd.Slapd(tree, ca), slapd.Slapd(tree, ca, ca.issue("else", "IP:127.9.9.9,DNS:else.test")),
               slapd.Slapd(tree), slapd.Slapd(tree, ca, client="demand")]
    d, old, plain, strict = (s.start() for s in servers)
    try:
        configure(srv, d.uri)
        srv.start()
        for part, args in ((good, (d, ca)), (versions, (d, ca, tree)), (rotation, (d, ca, other)), (unix, (d,)), (bad_servers, (d, old, plain, ca, other)),
                           (own_certificate, (strict, ca, other)), (frozen, (d, ca))):
            start = time.monotonic()
            part(tap, srv, *args)
            tap.note("%s: %.1f s" % (part.__name__, time.monotonic() - start))
    finally:
        for s in servers + [ca, other]:
            s.close()
        ended(tap, srv)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
