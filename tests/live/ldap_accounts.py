#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The module ldap and the accounts in directories: attributes become the user, groups let in or do not, and each state
of an account has its own words in the log while the client gets [AUTH] and no more."""
import re
import subprocess
import sys
import time

from ldap_lib import AUTH, MODULE, OK, TEMP, Server, Tap, apply, ask_settings, at_once, configure, ended, expect, login, slapd
from databases import Ask
from server import wait_until

POLICY = "cn=%s,ou=policies," + slapd.BASE
ATTRIBUTES = {"key_attribute": "mailKey", "section_attribute": "mailSection", "quota_attribute": "mailQuota",
              "quota_messages_attribute": "mailCount", "expire_attribute": "mailExpire", "rights_attribute": "mailRight",
              "group_attribute": "memberOf", "home_attribute": "homeDirectory"}
AD_TEXT = "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data %s, v3839"
# Active Directory's words for code 49, and ours; None: it says neither yes nor no
CODES_OF_AD = {"525": "unknown user", "52e": "wrong password", "530": "account may not log in at this time or from here", "532": "password is expired",
            "533": "account is disabled", "701": "account is expired", "773": "password must be changed",
            "775": "account is locked", "51f": None, "568": None, "abc": None}
# name, code, the server's words, our words; None: that is a failure
ODD = [(code, 49, AD_TEXT % code, words) for code, words in CODES_OF_AD.items()] + [
    ("48", 48, "", "account has no password"), ("53ds", 53, "Account inactivated. Contact system administrator.", "account is disabled"),
    ("19ds", 19, "Exceed password retry limit. Please try later.", "account is locked"), ("32", 32, "", "unknown user"),
    ("8", 8, "BindSimple: Transport encryption required.", None), ("51", 51, "busy", None), ("52", 52, "", None),
    ("53", 53, "server is in maintenance", None), ("80", 80, "other", None), ("1", 1, "operations error", None)]
LONG_AGO, FUTURE = 116444736000000000 + 10**16, 116444736000000000 + 4 * 10**16  # 2001 and 2096, as 100 ns since 1601
RIGHTS = {"pop3": 1, "delete": 2, "deliver": 4, "master": 8}


def policy(name, **attrs):
    return slapd.entry(POLICY % name, ["person", "pwdPolicy"], cn=name, sn=name, pwdAttribute="userPassword", **attrs)


def directory():
    people = [slapd.user("ann"), slapd.user("ben"), slapd.user("Carl"), slapd.user("eve", title="postman")]
    people.append(slapd.user("full", mailKey="box-17", mailSection="other", mailQuota="5M", mailCount="100",
                             mailExpire="30", mailRight=["nodelete", "master"], memberOf=[POLICY % "a", POLICY % "b"],
                             homeDirectory="/home/full"))
    people += [slapd.user("twokeys", mailKey=["a", "b"]), slapd.user("badkey", mailKey="a\x07b"),
               slapd.user("oddquota", mailQuota="lots", mailExpire="-3", mailRight="fly"), slapd.user("nopop", mailRight="nopop3")]
    people += [slapd.user("locked", pwdAccountLockedTime="000001010000Z"), slapd.user("mustchange", pwdReset="TRUE",
               pwdPolicySubentry=POLICY % "strict"), slapd.user("guessed", pwdPolicySubentry=POLICY % "strict"),
               slapd.user("oldpw", pwdChangedTime="20200101000000Z", pwdPolicySubentry=POLICY % "aging")]
    people += [slapd.user("uac512", userAccountControl=512), slapd.user("uac514", userAccountControl=514),
               slapd.user("uac528", userAccountControl=528), slapd.user("lockbit", **{"msDS-User-Account-Control-Computed": 16}),
               slapd.user("oldbit", **{"msDS-User-Account-Control-Computed": 0x800000}),
               slapd.user("ended", accountExpires=LONG_AGO), slapd.user("notyet", accountExpires=FUTURE),
               slapd.user("never", accountExpires=9223372036854775807), slapd.user("shadow", shadowExpire=1),
               slapd.user("noshadow", shadowExpire=-1), slapd.user("ns", nsAccountLock="TRUE")]
    people += [slapd.user("odd" + name, dn="uid=odd%s,%s" % (name, slapd.ODD)) for name, *_ in ODD]
    people += [slapd.user("twin", dn="cn=twin1," + slapd.PEOPLE), slapd.user("twin", dn="cn=twin2," + slapd.PEOPLE)]
    groups = [slapd.group("mail", ["uid=%s,%s" % (u, slapd.PEOPLE) for u in ("ann", "full")]), slapd.group("staff", ["uid=ben," + slapd.PEOPLE]),
              slapd.entry("cn=unix," + slapd.GROUPS, ["posixGroup"], cn="unix", gidNumber=7, memberUid=["eve"])]
    policies = [policy("strict", pwdLockout="TRUE", pwdMaxFailure=3, pwdLockoutDuration=0, pwdMustChange="TRUE"),
                policy("aging", pwdMaxAge=1, pwdGraceAuthNLimit=0)]
    return slapd.tree(*policies, *people, *groups)


def attributes(tap, d):
    ask = Ask(MODULE, 2, ask_settings(d.uri, **ATTRIBUTES))
    u = ask.ask("verify", "full@ldap.test", "restante")
    tap.ok(u["code"] == "OK" and u["key"] == b"box-17" and u["section"] == b"other", "mailbox key, storage section", u)
    tap.ok(u["quota_octets"] == 5 << 20 and u["quota_msgs"] == 100 and u["expire_days"] == 30, "quotas, expire", u)
    tap.ok(u["rights"] == RIGHTS["pop3"] | RIGHTS["deliver"] | RIGHTS["master"], "rights given and taken", u)
    tap.ok(u["attrs"] == [("group", POLICY % "a"), ("group", POLICY % "b"), ("home", "/home/full"),
                          ("entry", "uid=full," + slapd.PEOPLE)], "groups and home; the entry, whose name has the domain that was asked for", u)
    tap.ok(u["name"] == b"full@ldap.test" and u["state"] == 0, "name, enabled", u)
    looked = ask.ask("lookup", "full@ldap.test")
    tap.ok({k: v for k, v in looked.items() if k not in ("id", "ms")} == {k: v for k, v in u.items() if k not in ("id", "ms")},
           "a lookup gives the same user", looked)
    plain = ask.ask("verify", "ann@ldap.test", "restante")
    tap.ok(plain["code"] == "OK" and plain["key"] == b"" and plain["section"] == b"" and plain["quota_octets"] == 0 and
           plain["expire_days"] == -1 and [k for k, _ in plain["attrs"]] == ["entry"], "attributes that are not there", plain)
    got = ask.ask("verify", "cArL@ldap.test", "restante")
    tap.ok(got["name"] == b"Carl@ldap.test", "the name is the directory's spelling, not the client's", got)
    for name, words in (("twokeys", "mailKey has more than one value"), ("badkey", "mailKey holds a control character"),
                        ("twin", "more than one entry matches")):
        got = ask.ask("verify", name + "@ldap.test", "restante")
        tap.ok(got["code"] == "PERM" and words in got["error"], "%s: no guess whose mail it is" % words, got)
    got = ask.ask("verify", "oddquota@ldap.test", "restante")
    tap.ok(got["code"] == "OK" and got["quota_octets"] == 0 and got["expire_days"] == -1, "odd values are none", got)
    tap.ok(ask.ask("lookup", "nobody@ldap.test")["code"] == "NOENT", "a lookup of an unknown user")
    rc, err = ask.close()
    tap.ok(rc == 0 and not err and any("mailQuota is no size" in x for x in ask.logs) and
           any("mailRight holds an unknown right" in x for x in ask.logs), "and the log says so", (rc, err, ask.logs))


def groups(tap, srv, d):
    mail, staff, unix, none = ("cn=%s,%s" % (n, slapd.GROUPS) for n in ("mail", "staff", "unix", "none"))
    refused = "not a member of require_group"
    for mode, more in (("search", {}), ("direct", {"user_dn": "uid=%n," + slapd.PEOPLE})):
        apply(srv, d.uri, require_group=mail, **more)
        expect(tap, srv, mode + ": a member", "ann@ldap.test", OK)
        expect(tap, srv, mode + ": no member", "ben@ldap.test", AUTH, said=refused)
        expect(tap, srv, mode + ": no member, wrong password", "ben@ldap.test", AUTH, "wrong", said="wrong password")
    apply(srv, d.uri, require_group=[mail, staff])
    expect(tap, srv, "one of two groups is enough", "ben@ldap.test", OK)
    expect(tap, srv, "none of two", "eve@ldap.test", AUTH, said=refused)
    apply(srv, d.uri, require_group=unix)
    expect(tap, srv, "a posixGroup, by name", "eve@ldap.test", OK)
    apply(srv, d.uri, filter="(&(uid=%n)(title=postman))")
    expect(tap, srv, "membership by an attribute, in the filter", "eve@ldap.test", OK)
    expect(tap, srv, "and who is not", "ann@ldap.test", AUTH)
    apply(srv, d.uri, require_group=none)
    expect(tap, srv, "a group that does not exist is no wrong password", "ann@ldap.test", TEMP, said="does base exist")


def told(tap, srv, cases):
    """Logins at the same time: (name, password, beginning of the answer, words in the log beside the name; None: any)."""
    before = len(srv.log())
    got = at_once(login, [(srv, name + "@ldap.test", password) for name, password, *_ in cases])
    for (name, password, wanted, words), (answer, _) in zip(cases, got):
        line = re.compile("user=%s@ldap.test .*%s" % (name, re.escape(words or "")))
        wait_until(lambda: line.search(srv.log()[before:]) or not answer.startswith(wanted), 60, "%s: %s" % (name, words))
        tap.ok(answer.startswith(wanted), "%s, %s: %s %s" % (name, password, wanted.decode(), words or ""), answer)


def states(tap, srv, d):
    apply(srv, d.uri, rights_attribute="mailRight", permits=8)
    right = "restante"
    told(tap, srv, [(name, right, AUTH, 'reason="%s"' % words) for name, words in (
        ("locked", "account is locked"), ("mustchange", "password must be changed"), ("oldpw", "password is expired"),
        ("uac514", "account is disabled"), ("lockbit", "account is locked"), ("oldbit", "password is expired"),
        ("ended", "account is expired"), ("shadow", "account is expired"), ("ns", "account is disabled"),
        ("nopop", "account has no right to POP3"), ("nobody", "unknown user"))] +
        [(name, right, OK, None) for name in ("uac512", "uac528", "notyet", "never", "noshadow")])
    told(tap, srv, [(name, "wrong", AUTH, 'reason="wrong password"') for name in ("uac514", "ended", "ann")])
    told(tap, srv, [("guessed", "guess", AUTH, 'reason="wrong password"')] * 3)
    told(tap, srv, [("guessed", right, AUTH, 'reason="account is locked"')])
    apply(srv, d.uri, base=slapd.BASE, permits=8)
    told(tap, srv, [("odd" + name, right, AUTH if words else TEMP, 'reason="%s' % words if words else "(%d)" % code)
                    for name, code, _, words in ODD])


def explained(tap, srv, d):
    """restantectl auth test has words for each of these, and shows a failure as one."""
    def test(name, password):
        done = subprocess.run([srv.bin("restantectl"), "-s", srv.path("run", "control"), "auth", "test", name + "@ldap.test",
                               "--password-stdin"], input=password + "\n", capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout
    apply(srv, d.uri, base=slapd.BASE, permits=8, require_group="cn=mail," + slapd.GROUPS)
    cases = [("ann", "restante", 0, ""), ("ann", "wrong", 1, "wrong password"), ("nobody", "x", 1, "unknown user"),
             ("ben", "restante", 1, "not a member of require_group"), ("locked", "restante", 1, "account is locked"),
             ("oldpw", "restante", 1, "password is expired"), ("mustchange", "restante", 1, "password must be changed"),
             ("odd533", "x", 1, "account is disabled"), ("odd701", "x", 1, "account is expired"), ("twin", "restante", 75, "more than one entry"),
             ("odd51", "x", 75, "Server is busy")]
    for name, password, code, words in cases:
        rc, text = test(name, password)
        tap.ok((rc == 0) == (code == 0) and words in text, "auth test %s: %s" % (name, words or "comes in"), (rc, text))
    d.freeze()
    rc, text = test("ann", "restante")
    tap.ok(rc != 0 and "no answer in time" in text and d.uri in text, "auth test with a frozen directory", (rc, text))
    d.thaw()


def main():
    tap = Tap()
    srv = Server()
    d = slapd.Slapd(directory(), odd=[("uid=odd" + name, code, text) for name, code, text, _ in ODD]).start()
    try:
        attributes(tap, d)
        configure(srv, d.uri)
        srv.start()
        for part in (groups, states, explained):
            start = time.monotonic()
            part(tap, srv, d)
            tap.note("%s: %.1f s" % (part.__name__, time.monotonic() - start))
    finally:
        d.close()
        ended(tap, srv)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
