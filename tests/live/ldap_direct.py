#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Direct bind without an account of the server's own: a name can be looked up only if the directory lets anybody read, and
an entry that nobody may see is not "no such user". Users log in; restantectl still works on other sections' mailboxes;
restanted -t reports that mail cannot come in this way; and the kit accepts such a section, because it declares its limits."""
import subprocess
import sys

from ldap_lib import AUTH, MODULE, OK, Server, Tap, ask_settings, conform, expect, settings, slapd
from databases import Ask
from sections import accounts, block, maildirs

DIRECT = {"base": None, "bind_dn": None, "bind_password": None, "user_dn": "uid=%n," + slapd.PEOPLE}
BLIND = "cannot look names up without a password"


def sections(srv, d, **more):
    """`dir` is asked first, about all names; `later` has a user of its own."""
    return ("auth dir {\n    module = ldap\n    storage = mail\n%s\n}\n" % settings(d.uri, unknown="next", **dict(DIRECT, **more)) +
            accounts(srv, "later") + maildirs(srv))


def lookups(tap, d):
    """The module's answers about names without a password."""
    def said(name, **more):
        ask = Ask(MODULE, 1, ask_settings(d.uri, timeout="20s", **dict(DIRECT, **more)))
        try:
            return ask.ask("lookup", name)
        finally:
            ask.close()
    service = {"bind_dn": slapd.SERVICE, "bind_password": slapd.SERVICE_PASSWORD}
    for what, name, more, code in (
            ("a user nobody may see", "ann", {}, "UNSUPPORTED"),
            ("a user there is not", "nobody", {}, "UNSUPPORTED"),
            ("below a base", "ann", {"base": slapd.PEOPLE}, "UNSUPPORTED"),
            ("no DN and no base", "ann", {"user_dn": "%n@ad.test"}, "UNSUPPORTED"),
            ("no DN and no base, by a service", "ann", {"user_dn": "%n@ad.test", **service}, "UNSUPPORTED"),
            ("a name the DN has no place for", "ann", {"user_dn": "uid=%n,dc=%d"}, "NOENT"),
            ("by a service", "ann", service, "OK"),
            ("by a service, nobody", "nobody", service, "NOENT")):
        got = said(name, **more)
        tap.ok(got["code"] == code and (code != "UNSUPPORTED" or BLIND in got["error"]), "lookup, %s: %s" % (what, code), got)


def logins(tap, srv):
    expect(tap, srv, "a login by direct bind", "ann", OK)
    expect(tap, srv, "a wrong password", "ann", AUTH, "wrong")


def mailboxes(tap, srv):
    """About the later section's user; the first section is asked about him, too."""
    srv.maildir("ben", [b"Subject: x\n\nx\n"])
    got = [srv.json(*a) for a in (("quota", "ben"), ("expire", "ben"), ("undelete", "ben", "--list"))]
    tap.ok(all(g.get("succeeded") for g in got), "quota, expire, undelete of a later section's user", got)
    for name in ("ann", "nobody"):
        got = srv.json("quota", name)
        tap.ok(got.get("succeeded") is False and BLIND in got.get("detail", ""), "quota of %s: %s" % (name, got.get("detail")), got)
    got = srv.json("auth", "test", "ann")
    tap.ok(got["accepted"] is False and BLIND in got["result"] and "this section " + BLIND in got["chain"][0]["answer"],
           "auth test without a password: " + got["result"], got)
    done = subprocess.run([srv.bin("restantectl"), "-s", srv.path("run", "control"), "auth", "test", "ann", "--password-stdin"],
                          input=b"restante\n", capture_output=True, timeout=60)
    tap.ok(done.returncode == 0, "and with one it is let in", done.stdout)


def check(srv, d, protocol, **more):
    """restanted -t with a listener of this protocol."""
    was, srv.extra_listeners = srv.extra_listeners, ""
    if protocol:
        srv.listen(protocol)
        srv.extra_listeners += block("delivery", postmaster="ben")
    path = srv.configure(sections(srv, d, **more))
    srv.extra_listeners = was
    done = subprocess.run([srv.bin("restanted"), "-t", "-c", path], capture_output=True, text=True, timeout=60)
    return done.returncode == 0, done.stdout + done.stderr


def configured(tap, srv, d):
    service = {"bind_dn": slapd.SERVICE, "bind_password": slapd.SERVICE_PASSWORD}
    search = {"user_dn": None, "base": slapd.PEOPLE}
    for what, more, good in (
            ("direct bind", {}, False), ("below a base", {"base": slapd.PEOPLE}, False),
            ("no DN and no base", {"user_dn": "%n@ad.test"}, False), ("the same by a service", {"user_dn": "%n@ad.test", **service}, False),
            ("no DN, a base and a service", {"user_dn": "%n@ad.test", "base": slapd.PEOPLE, **service}, True),
            ("direct bind and a service", service, True), ("direct bind, the service known by its certificate", {"bind_external": "yes"}, True),
            ("search by nobody", search, True), ("search by a service", {**search, **service}, True)):
        for protocol in ("lmtp", "smtp"):
            ok, said = check(srv, d, protocol, **more)
            tap.ok(ok == good and (good or ("names cannot be looked up" in said and "user_dn" in said)),
                   "-t, %s beside %s: %s" % (what, protocol, "well" if good else "an error"), said)
    for what, more in (("direct bind", {}), ("no DN and no base", {"user_dn": "%n@ad.test"})):
        ok, said = check(srv, d, None, **more)
        tap.ok(ok, "-t, %s where no mail comes in: well" % what, said)


def open_directory(tap):
    """Anybody may read: known names are found; about the others still nobody can tell, as the module cannot know that."""
    d = slapd.Slapd(slapd.tree(slapd.user("ann")), others="read").start()
    try:
        ask = Ask(MODULE, 1, ask_settings(d.uri, timeout="20s", **DIRECT))
        got = [ask.ask("lookup", n)["code"] for n in ("ann", "nobody")]
        ask.close()
        tap.ok(got == ["OK", "UNSUPPORTED"], "a directory that anybody may read: found, or cannot tell", got)
    finally:
        d.close()


def main():
    tap = Tap()
    d = slapd.Slapd(slapd.tree(slapd.user("ann"))).start()
    try:
        with Server() as srv:
            srv.mkdir("mail")
            srv.passwd({"ben": "restante"})
            lookups(tap, d)
            open_directory(tap)
            conform(tap, srv, "direct bind, no service", ("ann", "restante"), "server=" + d.uri, "starttls=no", "user_dn=" + DIRECT["user_dn"])
            configured(tap, srv, d)
            srv.configure(sections(srv, d))
            srv.start()
            logins(tap, srv)
            mailboxes(tap, srv)
            srv.ends(tap)
    finally:
        d.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
