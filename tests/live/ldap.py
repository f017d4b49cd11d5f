#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The module ldap against one slapd: the kit, search and bind, direct bind, users of the other section; and the
examples, as they are shipped and with the names of our own directory."""
import os
import re
import subprocess
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


def scopes(tap, srv, d):
    """How deep below base an account may be."""
    for scope, base, ann, ben in (("one", slapd.PEOPLE, OK, OK), ("one", slapd.BASE, AUTH, AUTH),
                                  ("base", "uid=ann," + slapd.PEOPLE, OK, AUTH), ("base", slapd.PEOPLE, AUTH, AUTH),
                                  ("sub", slapd.BASE, OK, OK)):
        apply(srv, d.uri, scope=scope, base=base)
        expect(tap, srv, "scope = %s below %s" % (scope, base), "ann@ldap.test", ann)
        expect(tap, srv, "scope = %s below %s, another" % (scope, base), "ben@ldap.test", ben, "other")


STORE = "\nstorage mail {\n module = maildir\n path = %s/%%u\n}\n"


def example(tap, srv, name, uri, ca, instead):
    """Does it pass the check, and are the right users let in?"""
    secret = srv.path("ldap-password")
    with open(os.path.join(os.environ["top_srcdir"], "conf", "examples", name)) as f:
        text = f.read()
    shipped = text.replace("/etc/restante/ldap-password", secret).replace("/etc/ssl/certs/ca-certificates.crt", ca.cert)
    path = srv.configure(shipped + STORE % srv.path("mail"))
    done = subprocess.run([srv.bin("restanted"), "-t", "-c", path], capture_output=True, text=True, timeout=60)
    tap.ok(done.returncode == 0, name + ": restanted -t", done.stdout + done.stderr)
    ours = re.sub(r"server = ldap.*", "server = " + uri, shipped)
    for old, new in instead.items():
        tap.ok(old in ours, "%s: it names %s" % (name, old), ours)
        ours = ours.replace(old, new)
    srv.configure(ours + STORE % srv.path("mail"))
    done = srv.ctl("reload")
    tap.ok(done.returncode == 0, name + ": in force", done.stderr)
    expect(tap, srv, name + ": a member of the group", "ann@ldap.test", OK)
    expect(tap, srv, name + ": a wrong password", "ann@ldap.test", AUTH, "wrong", said="wrong password")
    expect(tap, srv, name + ": no member", "ben@ldap.test", AUTH, "other", said="not a member")


def examples(tap, srv):
    ca = slapd.Authority()
    members = ["uid=ann," + slapd.PEOPLE, "cn=Ann Ad," + slapd.PEOPLE]
    windows = [slapd.entry("cn=%s,%s" % (cn, slapd.PEOPLE), ["user", "extensibleObject"], cn=cn, sn=cn, sAMAccountName=name,
                           instanceType=4, nTSecurityDescriptor="x", objectCategory=slapd.BASE,
                           userAccountControl=512, userPassword=slapd.ssha(password))
               for cn, name, password in (("Ann Ad", "ann", "restante"), ("Ben Ad", "ben", "other"))]
    d = slapd.Slapd(slapd.tree(slapd.user("ann"), slapd.user("ben", "other"), slapd.group("mail", members), *windows), ca).start()
    with open(srv.path("ldap-password"), "w") as f:
        f.write(slapd.SERVICE_PASSWORD)
    os.chmod(srv.path("ldap-password"), 0o600)
    srv.give(srv.path("ldap-password"))
    try:
        example(tap, srv, "ldap.conf", d.uri, ca, {"cn=restante,ou=services": "cn=pop3d,ou=services",
                                                   "dc=example,dc=org": slapd.BASE})
        example(tap, srv, "ldap-ad.conf", d.tls_uri, ca, {
            "CN=restante,CN=Users": "cn=pop3d,ou=services", "CN=Mail Users,CN=Users": "cn=mail,ou=groups",
            "DC=ad,DC=example,DC=org": slapd.BASE})
    finally:
        d.close()
        ca.close()


WRONG = """
auth dir {
    module = ldap
    storage = mail
    server = ldap://
    server = http://x
    tls_ca = %(nofile)s
    tls_cert = %(text)s
    bind_dn = cn=x
    base = ou=people,dc
    filter = (uid=ann)
    require_group = not a dn
    group_filter = (member=%%D
    key_attribute = mail key
    timeout = 1ms
}
auth names {
    module = ldap
    storage = mail
    server = ldap://127.0.0.1
    base = ou=%%n
    filter = (%%u=ann)
    user_dn = %%n=x,ou=people
}
auth certificates {
    module = ldap
    storage = mail
    server = ldaps://127.0.0.1
    base = dc=x
    tls_ca = %(text)s
    tls_cert = %(ca)s
    tls_key = %(text)s
}
auth keys {
    module = ldap
    storage = mail
    server = ldaps://127.0.0.1
    base = dc=x
    tls_ca = %(ca)s
    tls_cert = %(ca)s
    tls_key = %(text)s
}
"""
COMPLAINTS = ["it names no host", "expected ldap://host", "there is no such file", "tls_cert and tls_key are given together",
              "bind_dn and bind_password are given together", "is no DN", "every user would be the same", "require_group",
              "a '(' has no ')'", "is no name of an attribute", "expected 50 ms to 60 s", "after a '='",
              "holds no certificate", "in tls_key the key of tls_cert"]


def mistakes(tap, srv):
    """restanted -t names every mistake of a section in one run, and where."""
    text = srv.path("text")
    with open(text, "w") as f:
        f.write("this is no certificate\n")
    path = srv.configure(WRONG % {"nofile": srv.path("nofile"), "text": text, "ca": srv.path("cert.pem")} + STORE % srv.path("mail"))
    done = subprocess.run([srv.bin("restanted"), "-t", "-c", path], capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    missing = [c for c in COMPLAINTS if c not in said]
    tap.ok(done.returncode != 0 and not missing, "%d mistakes, all of them named in one run" % len(COMPLAINTS),
           "not said: %s\n%s" % (missing, said))
    tap.ok(said.count("%s:" % path) >= len(COMPLAINTS), "each with file and line", said)


def main():
    tap = Tap()
    srv = Server()
    d = slapd.Slapd(slapd.tree(slapd.user("ann"), slapd.user("ben", "other"))).start()
    try:
        kit(tap, srv, d)
        configure(srv, d.uri)
        srv.start()
        logins(tap, srv, "search and bind")
        scopes(tap, srv, d)
        apply(srv, d.uri, base=None, user_dn="uid=%n," + slapd.PEOPLE)
        logins(tap, srv, "direct bind")
        examples(tap, srv)
        mistakes(tap, srv)
        tap.ok("BIND dn=\"\"" not in d.log(), "no bind without a name", d.log()[-500:])
    finally:
        d.close()
        ended(tap, srv)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
