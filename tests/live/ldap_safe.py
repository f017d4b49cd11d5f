#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The requests that reach the directory, by slapd's own log. For names and passwords with every byte in every place: only
the configured searches and binds, the name as one value. On 100,000 accounts: a search reads only the entry it returns.
No referral is followed, nothing is read beyond the limits, and there are no more connections than permits allow."""
import re
import sys

from ldap_lib import MODULE, Tap, ask_settings, slapd
from databases import Ask
from odd import Odd
from server import wait_until

ACCOUNTS = 100000
MARK = b"PWMARK"
DOMAIN = b"@ldap.test"
CLASSICS = [b"*", b"ann*", b"*)(uid=*", b"ann)(|(uid=*", b"ann)(&", b"*)(objectClass=*))(&(a=b", b"\\2a", b"\\", b"ann\\", b"ann\\)", b"(", b")",
            b"&", b"|(a=b)", b"!", b"ann=ben", b"ann~=ben", b"uid:dn:=ann", b"ann,ou=services", b"ann+cn=pop3d", b"cn=pop3d,ou=services",
            b'"ann"', b"#616e6e", b";", b"<", b">", b" ann", b"ann ", b"  ", b"an  n", b"%u", b"%n", b"%%", b"%D", b"%s%s%n", b"@", b"@@",
            b"a@b@c", b"ann@", b"\xc3\xa9", b"\xef\xbd\x81nn", b"\xf0\x9f\x98\x80", b"\xe2\x80\xae", b"x" * 320, b"\\" * 300]


def names():
    """Every byte at the beginning, in the middle, at the end, with and without a domain; and attacks that worked on others."""
    for b in range(256):
        for before, after in ((b"", b"nn"), (b"a", b"n"), (b"an", b""), (b"ann", DOMAIN), (b"ann@x", b"y")):
            yield before + bytes([b]) + after
    yield from CLASSICS


def ask_all(ask, wanted):
    """Logins with these names, each with another byte in its password; how often each answer came."""
    codes = {}
    for first in range(0, len(wanted), 8):
        for k, name in enumerate(wanted[first:first + 8]):
            ask.send("verify", name, MARK + bytes([(first + k) % 255 + 1]) + b"*)(uid=*", 20000)
        for _ in wanted[first:first + 8]:
            code = ask.receive()["code"]
            codes[code] = codes.get(code, 0) + 1
    return codes


def value_of(text):
    """The bytes that the escapes stand for, of RFC 4515 and of RFC 4514, as slapd writes them."""
    return re.sub(rb"\\([0-9A-Fa-f]{2}|.)", lambda m: bytes.fromhex(m[1].decode()) if len(m[1]) == 2 else m[1], text, flags=re.S)


def operations(raw):
    """(connection, text) of each operation but the results, in order."""
    return re.findall(rb'conn=(\d+) op=\d+ (BIND dn="(?:[^"\\]|\\.)*" m.*?|(?:SRCH (?!attr)|EXT |ADD |MOD |DEL |CMP |ABANDON |MODRDN ).*?)\n',
                      raw, re.S)


def raw_log(d):
    with open(d.dir + "/log", "rb") as f:
        return f.read()


def since(d, mark):
    return raw_log(d)[mark:]


def search_line(filter_pattern, base=slapd.PEOPLE):
    return re.compile(rb'SRCH base="%s" scope=2 deref=0 filter="%s"' % (re.escape(base.encode()), filter_pattern))


VALUE = rb"((?:[^()\\*]|\\[0-9A-Fa-f]{2})*)"
SERVICE_BIND = re.compile(rb'BIND dn="%s" (method=128|mech=SIMPLE.*)' % slapd.SERVICE.encode())
NOBODY_BIND = re.compile(rb'BIND dn="cn=restante-nobody,cn=restante" method=128')
ANN_BIND = re.compile(rb'BIND dn="uid=ann,%s" method=128' % slapd.PEOPLE.encode())  # " ANN" finds this one, too


def searched(tap, d, what, wanted, values, pattern, **settings):
    """All logins; each operation is the configured search with one value, or a bind of the service or of nobody."""
    mark = len(raw_log(d))
    ask = Ask(MODULE, 8, ask_settings(d.uri, timeout="20s", **settings))
    codes = ask_all(ask, wanted)
    tap.ok(codes == {"DENIED": len(wanted)}, "%s: %d hostile names and passwords: all refused, no failure" % (what, len(wanted)), codes)
    rc, err = ask.close()
    tap.ok(rc == 0 and not err, what + ": ended cleanly", err)
    raw = since(d, mark)
    done = [op for _, op in operations(raw)]
    found = [m for m in map(pattern.fullmatch, done) if m]
    other = [op for op in done if not any(p.fullmatch(op) for p in (pattern, SERVICE_BIND, NOBODY_BIND, ANN_BIND))]
    tap.ok(not other, "%s: nothing but the configured search, binds of the service and anonymous ones" % what, other[:5])
    if values is not None:
        got = sorted(value_of(m[1]) for m in found)
        tap.ok(got == sorted(values), "%s: %d searches, the name as one value of each" % (what, len(found)),
               [(a, b) for a, b in zip(got, sorted(values)) if a != b][:3])
    tap.ok(MARK not in raw, what + ": and no password anywhere")


def injection(tap, d):
    wanted = list(names())
    exact = search_line(rb"\(loginName=" + VALUE + rb"\)")
    searched(tap, d, "%u", wanted, wanted, exact, filter="(loginName=%u)")
    local = [n.rpartition(b"@")[0] if b"@" in n else n for n in wanted]
    searched(tap, d, "%n", wanted, [n for n in local if n], exact, filter="(loginName=%n)")
    domains = [n.rpartition(b"@")[2] for n in wanted if b"@" in n and n.rpartition(b"@")[2]]
    searched(tap, d, "%d", wanted, None, search_line(rb"\(&\(loginName=" + VALUE + rb"\)\(\??loginName=" + VALUE + rb"\)\)"),
             filter="(&(loginName=%d)(loginName=%u))")
    tap.ok(len(domains) > 256, "with domains of every kind")
    # uid compares without case and spaces, and is text: how slapd treats other bytes is its own affair
    searched(tap, d, "uid", wanted, None, search_line(rb"\(\??uid=" + VALUE + rb"\)"))


def is_text(name):
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def direct(tap, d):
    """One value of the DN, or no bind at all."""
    wanted = list(names())
    mark = len(raw_log(d))
    ask = Ask(MODULE, 8, ask_settings(d.uri, timeout="20s", base=None, bind_dn=None, bind_password=None,
                                      user_dn="loginName=%u," + slapd.PEOPLE))
    codes = ask_all(ask, wanted)
    tap.ok(codes == {"DENIED": len(wanted)}, "direct: %d hostile names and passwords: all refused, no failure" % len(wanted), codes)
    rc, err = ask.close()
    done = [op for _, op in operations(since(d, mark))]
    pattern = re.compile(rb'BIND dn="loginName=((?:[^,+"\\]|\\.)*),%s" method=128' % slapd.PEOPLE.encode(), re.S)
    other = [op for op in done if not pattern.fullmatch(op) and op != b'SRCH base="" scope=0 deref=0 filter="(objectClass=*)"']
    tap.ok(rc == 0 and not err and not other, "direct: nothing but binds with one value below the configured DN, and looks whether the server is there", (err, other[:5]))
    got = {value_of(m[1]) for m in map(pattern.fullmatch, done) if m}
    text = {n for n in wanted if is_text(n)}  # a DN is text: slapd refuses other bytes before it logs anything
    tap.ok(got == text, "direct: %d binds, the name as that value" % len(done), (list(got - text)[:5], list(text - got)[:5]))
    mark = len(raw_log(d))
    ask = Ask(MODULE, 8, ask_settings(d.uri, timeout="20s", base=None, bind_dn=None, bind_password=None, user_dn="%u@ad.test"))
    codes = ask_all(ask, wanted)
    ask.close()
    tried = set(re.findall(rb"invalid dn:? \((.*)@ad\.test\)", since(d, mark)))
    harmless = {n for n in wanted if re.fullmatch(rb"[A-Za-z0-9@._-]+", n)}
    tap.ok(codes == {"DENIED": len(wanted)} and tried == harmless, "NAME@DOMAIN: only names without special characters are "
           "sent, %d" % len(tried), (codes, tried ^ harmless))


def passwords(tap, d):
    """Each byte in a password arrives as that byte."""
    ask = Ask(MODULE, 8, ask_settings(d.uri, timeout="20s"))
    good = bad = 0
    for b in range(1, 256):
        for k, secret in enumerate(secrets(b)):
            good += ask.ask("verify", "p%d-%d" % (b, k), secret)["code"] == "OK"
            bad += ask.ask("verify", "p%d-%d" % (b, k), secrets(b % 255 + 1)[k])["code"] == "DENIED"
    tap.ok(good == bad == 3 * 255, "passwords with each byte at each place open their account and no other", (good, bad))
    mark = len(raw_log(d))
    codes = [ask.ask("verify", "p1-0", s)["code"] for s in (b"", b"\0", b"\0\x01pw", b"\x01pw\0", b"\x01p\0w")]
    tap.ok(codes == ["DENIED"] * 5 and not operations(since(d, mark)), "none, and those with a NUL, are refused without asking", codes)
    ask.close()


def secrets(b):
    return [bytes([b]) + b"pw", b"p" + bytes([b]) + b"w", b"pw" + bytes([b])]


def odd_names(tap, d):
    """The DN of a user goes into the group's filter as one value, whatever it holds."""
    ask = Ask(MODULE, 2, ask_settings(d.uri, filter="(mail=%u)", require_group="cn=odd," + slapd.GROUPS))
    got = [ask.ask("verify", "m%d@ldap.test" % i, "restante")["code"] for i in range(len(ODD_DNS))]
    tap.ok(got == ["OK"] * len(ODD_DNS), "members with odd names are members", got)
    got = ask.ask("verify", "star@ldap.test", "restante")
    tap.ok(got["code"] == "DENIED" and "require_group" in got["error"], "and cn=* is a name, not all of them", got)
    ask.close()


ODD_DNS = ["cn=" + cn + "," + slapd.PEOPLE for cn in ("a*", "(b)", "c\\2C d", "e\\5C", "f\\22g", "h\\2Bi", "\u00e9)(cn=x", "j)(|(cn=\\2A")]


def directory(elsewhere):
    people = [slapd.user("ann"), slapd.user("ben", mail="x@ldap.test")]
    people += [slapd.user("p%d-%d" % (b, k), s) for b in range(1, 256) for k, s in enumerate(secrets(b))]
    people += [slapd.entry(dn, ["inetOrgPerson"], cn=slapd_cn(dn), sn="x", mail="m%d@ldap.test" % i, userPassword=slapd.ssha("restante"))
               for i, dn in enumerate(ODD_DNS)]
    people.append(slapd.entry("cn=\\2A," + slapd.PEOPLE, ["inetOrgPerson"], cn="*", sn="x", mail="star@ldap.test",
                              userPassword=slapd.ssha("restante")))
    away = slapd.entry("ou=away," + slapd.PEOPLE, ["referral", "extensibleObject"], ou="away", ref="%s/ou=away,%s" % (elsewhere, slapd.PEOPLE))
    big = slapd.user("big", mailKey="x" * (3 << 20))
    return slapd.tree(*people, slapd.group("odd", ODD_DNS), away, big)


def slapd_cn(dn):
    return value_of(dn[3:-len(slapd.PEOPLE) - 1].encode()).decode()


def referrals(tap, d, frozen):
    away = "ou=away," + slapd.PEOPLE
    ask = Ask(MODULE, 2, ask_settings(d.uri))
    got = ask.ask("verify", "ann@ldap.test", "restante")
    tap.ok(got["code"] == "OK", "a reference beside the entry is left alone", got)
    got = ask.ask("verify", "nobody@ldap.test", "restante")
    tap.ok(got["code"] == "DENIED", "and without an entry", got)
    ask.close()
    for what, more in (("base", {"base": away}), ("group", {"require_group": "cn=x," + away})):
        ask = Ask(MODULE, 2, ask_settings(d.uri, **more))
        got = ask.ask("verify", "ann@ldap.test", "restante")
        tap.ok(got["code"] == "TEMP" and "referrals are not followed" in got["error"], what + " behind a referral: a failure that says "
               "what to do", got)
        ask.close()
    tap.ok(frozen.connections == 0, "nobody followed it", frozen.connections)


def limits(tap, d):
    ask = Ask(MODULE, 2, ask_settings(d.uri, filter="(|(uid=%n)(objectClass=inetOrgPerson))"))
    mark = len(raw_log(d))
    got = ask.ask("verify", "ann@ldap.test", "restante")
    tap.ok(got["code"] == "PERM" and "more than one entry" in got["error"], "a filter that finds everybody lets nobody in", got)
    tap.ok(b" err=4 " in since(d, mark) and b"nentries=2 " in since(d, mark), "slapd was asked for two entries", since(d, mark)[-600:])
    ask.close()
    ask = Ask(MODULE, 2, ask_settings(d.uri, key_attribute="mailKey"))
    got = ask.ask("verify", "big@ldap.test", "restante")
    tap.ok(got["code"] == "DOWN", "an entry of 3 MB is not read", got)
    tap.ok(ask.ask("verify", "ann@ldap.test", "restante")["code"] == "OK", "and the next login is well")
    ask.close()


def connections(tap, d, permits=4):
    """No more than two a permit, searches on one and users' binds on the other, and kept."""
    mark = len(raw_log(d))
    ask = Ask(MODULE, permits, ask_settings(d.uri))
    for turn in range(30):
        for k in range(2 * permits):
            ask.send("verify", "p%d-0" % (k + 1), secrets(k + 1)[0])
        codes = {ask.receive()["code"] for _ in range(2 * permits)}
        if codes != {"OK"}:
            tap.ok(False, "logins", codes)
    raw = since(d, mark)
    accepted = len(re.findall(rb" ACCEPT ", raw))
    tap.ok(0 < accepted <= 2 * permits, "%d logins, %d permits: %d connections" % (60 * permits, permits, accepted))
    kinds = {}
    for conn, op in operations(raw):
        if b" mech=" not in op:
            kinds.setdefault(conn, set()).add("bind" if op.startswith(b"BIND dn=\"uid=") else "service")
    tap.ok(len(kinds) == accepted and all(len(k) == 1 for k in kinds.values()),
           "a connection is either for searches, as the service, or for binds of users", kinds)
    mark = len(raw_log(d))
    ask.close()
    leaves = lambda: len(re.findall(rb" UNBIND", since(d, mark)))
    wait_until(lambda: leaves() >= accepted, 30, "%d unbinds in slapd's log" % accepted)
    tap.ok(leaves() == accepted, "at the end each takes its leave", since(d, mark)[-500:])


def rows(tap):
    hashed = slapd.ssha("restante")
    crowd = "".join("dn: uid=u%d,%s\nobjectClass: inetOrgPerson\nuid: u%d\ncn: u\nsn: u\nmail: u%d@ldap.test\nuserPassword: %s\n\n"
                    % (i, slapd.PEOPLE, i, i, hashed) for i in range(ACCOUNTS))
    group = slapd.group("all", ["uid=u%d,%s" % (i, slapd.PEOPLE) for i in range(0, 2000)])
    d = slapd.Slapd(slapd.tree(crowd, group), debug=257, size=1 << 30).start()
    try:
        for what, more in (("uid", {}), ("mail", {"filter": "(mail=%u)"}), ("with a group", {"require_group": "cn=all," + slapd.GROUPS})):
            mark = len(raw_log(d))
            ask = Ask(MODULE, 2, ask_settings(d.uri, timeout="20s", **more))
            codes = [ask.ask("verify", "u%d@ldap.test" % i, "restante")["code"] for i in range(100, 150)]
            codes += [ask.ask("verify", "v%d@ldap.test" % i, "restante")["code"] for i in range(50)]
            ask.close()
            searches = 150 if "group" in what else 100
            # slapd writes of a search after it has answered
            wait_until(lambda: len(re.findall(rb"SEARCH RESULT ", since(d, mark))) >= searches, 30, "%d searches in slapd's log" % searches)
            raw = since(d, mark)
            returned = [int(n) for n in re.findall(rb"SEARCH RESULT .*nentries=(\d+)", raw)]
            read = [int(n) for n in re.findall(rb"mdb_search_candidates: id=(-?\d+)", raw)]
            tap.ok(codes == ["OK"] * 50 + ["DENIED"] * 50 and len(returned) == searches, "%s: 100 logins among %d accounts, %d searches"
                   % (what, ACCOUNTS, len(returned)), (codes, len(returned)))
            tap.ok(sum(returned) == searches - 50 and max(returned) == 1 and sum(read) <= 50,
                   "%s: %d entries returned, %d candidates read for them" % (what, sum(returned), sum(read)), read)
            tap.ok(b"not indexed" not in raw, what + ": by an index")
    finally:
        d.close()


def main():
    tap = Tap()
    frozen = Odd("silent")
    d = slapd.Slapd(directory(frozen.uri)).start()
    try:
        for part in (injection, direct, passwords, odd_names, limits, connections):
            part(tap, d)
        referrals(tap, d, frozen)
    finally:
        d.close()
        frozen.close()
    rows(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
