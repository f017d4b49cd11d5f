#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two people of one name in one directory: found by their addresses, or in subtrees of their domains, and named by an attribute that
both have. Neither gets a mailbox that may be the other's; a user without a namesake is let in as ever, without an extra search."""
import sys

from ldap_lib import MODULE, Tap, ask_settings, slapd
from databases import Ask

ADDRESS = {"filter": "(&(objectClass=inetOrgPerson)(mail=%u))", "name_attribute": "uid"}
TOO = "and another entry's, too: whose mailbox is it?"


def below(ou):
    return "ou=%s,%s" % (ou, slapd.PEOPLE)


def directory():
    entries = [slapd.entry(below(ou), ["organizationalUnit"], ou=ou) for ou in ("sales", "tech")]
    for ou in ("sales", "tech"):
        entries.append(slapd.user("twin", ou, dn="uid=twin," + below(ou), mail=["twin@" + ou, "t.%s@both" % ou]))
        entries.append(slapd.user("keyed", ou, dn="uid=keyed," + below(ou), mail="keyed@" + ou, mailKey="box-" + ou))
        entries.append(slapd.user("solo-" + ou, ou, dn="uid=solo-%s,%s" % (ou, below(ou)), mail="solo@" + ou))
    for uid, mail in (("pat", "p.bare"), ("pat@corp.test", "p.whole"), ("lee@corp.test", "l.whole"), ("pat@other.test", "p.other")):
        entries.append(slapd.user(uid, "sales", dn="uid=%s,%s" % (uid, below("sales")), mail=mail + "@sales"))
    entries.append(slapd.entry("cn=kim," + below("sales"), ["inetOrgPerson"], cn="kim", sn="kim", uid=["kim@corp.test", "kim"],
                               mail="k.both@sales", userPassword=slapd.ssha("sales")))
    entries.append(slapd.user("many", dn="cn=many," + slapd.PEOPLE, mail=["many@one", "many@two"]))
    for key, more in (("uuid", {}), ("guid", {"objectGUID": bytes(range(16))}), ("both", {"mailKey": "box"})):
        entries.append(slapd.user(key, dn="cn=%s,%s" % (key, slapd.PEOPLE), mail=[key + "@one", key + "@two"], **more))
    entries.append(slapd.user("half", "sales", dn="uid=half," + below("sales"), mail="half@sales"))
    entries.append(slapd.entry("cn=half," + below("tech"), ["applicationProcess", "extensibleObject"], cn="half", uid="half"))
    return slapd.tree(*entries)


def searches(d):
    return d.log().count(" SRCH base=")


class Section:
    """The module with these settings."""

    def __init__(self, tap, d, what, **more):
        self.tap, self.what = tap, what
        self.ask = Ask(MODULE, 1, ask_settings(d.uri, **more))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        rc, err = self.ask.close()
        self.tap.ok(rc == 0 and not err, self.what + ": ended cleanly", (rc, err))

    def lets_in(self, name, password, as_name):
        for got in self.ask.ask("verify", name, password), self.ask.ask("lookup", name):
            self.tap.ok(got["code"] == "OK" and got["name"].decode() == as_name, "%s: %s is %s" % (self.what, name, as_name), got)

    def refuses(self, name, password, why=TOO):
        for got in self.ask.ask("verify", name, password), self.ask.ask("lookup", name):
            self.tap.ok(got["code"] == "PERM" and why in got["error"], "%s: %s may be two" % (self.what, name), got)
        got = self.ask.ask("verify", name, "wrong")
        self.tap.ok(got["code"] in ("DENIED", "PERM") and (why != TOO or got["code"] == "DENIED"),
                    "%s: %s with a wrong password hears nothing of it" % (self.what, name), got)


def by_address(tap, d):
    with Section(tap, d, "found by address", key_attribute="mailKey", **ADDRESS) as s:
        for ou in ("sales", "tech"):
            s.refuses("twin@" + ou, ou)
            s.lets_in("solo@" + ou, ou, "solo-" + ou)
            s.lets_in("keyed@" + ou, ou, "keyed")
        s.lets_in("half@sales", "sales", "half")
    with Section(tap, d, "without a key", **ADDRESS) as s:
        s.refuses("keyed@sales", "sales")


def by_alias(tap, d):
    """The name is the value with the domain asked for, as without name_attribute."""
    with Section(tap, d, "found by either", filter="(|(uid=%n)(mail=%u))") as s:
        s.refuses("t.sales@both", "sales")
        s.refuses("twin@sales", "sales", "more than one entry matches")
        s.lets_in("solo@tech", "tech", "solo-tech@tech")


def one_entry_many_names(tap, d):
    """Each value would be an account: nobody is let in by any of them, unless a key says that it is one mailbox."""
    why = "attribute mail has several values"
    for what, more in (("by address", {"filter": "(mail=%u)"}), ("named by address", {"filter": "(|(uid=%u)(mail=%u))", "name_attribute": "mail"}),
                       ("a key the entry has not", {"filter": "(mail=%u)", "key_attribute": "mailKey"})):
        with Section(tap, d, what, **more) as s:
            for name in ("many@one", "many@two"):
                for got in s.ask.ask("verify", name, "restante"), s.ask.ask("lookup", name):
                    tap.ok(got["code"] == "PERM" and "cn=many" in got["error"] and why in got["error"] and "entryUUID" in got["error"],
                           "%s: %s is not let in, and why" % (what, name), got)
            s.lets_in("solo@sales", "sales", "solo@sales")
    for attribute, who, wanted in (("entryUUID", "uuid", None), ("objectGUID", "guid", b"03020100-0504-0706-0809-0a0b0c0d0e0f"), ("mailKey", "both", b"box")):
        with Section(tap, d, "key_attribute = " + attribute, filter="(mail=%u)", key_attribute=attribute) as s:
            keys = {s.ask.ask(verb, who + at, "restante")["key"] for verb in ("verify", "lookup") for at in ("@one", "@two")}
            key = keys.pop()
            tap.ok(not keys and (key == wanted or (wanted is None and len(key) == 36)), "%s: both names lead to one mailbox" % attribute, (key, keys))
    with Section(tap, d, "named by login", filter="(|(uid=%u)(mail=%u))") as s:
        s.lets_in("many@two", "restante", "many")


def by_domain(tap, d):
    trees = {"search": {"base": "ou=%d," + slapd.PEOPLE}, "direct": {"user_dn": "uid=%n,ou=%d," + slapd.PEOPLE, "base": None}}
    for how, more in trees.items():
        with Section(tap, d, how + ", bare names", name_attribute="uid", **more) as s:
            s.refuses("twin@sales", "sales")
            s.refuses("twin@tech", "tech")
            s.lets_in("solo-sales@sales", "sales", "solo-sales")
        with Section(tap, d, how + ", names with a domain", **more) as s:
            s.lets_in("twin@sales", "sales", "twin@sales")
            s.lets_in("twin@tech", "tech", "twin@tech")


def by_completion(tap, d):
    """The host appends name_domain to pat. So pat@corp.test, another entry, gives way, by whatever name: nobody gets both."""
    for what, more in (("found by address", ADDRESS), ("found by either", {"filter": "(|(uid=%u)(mail=%u))", "name_attribute": "uid"}),
                       ("in its place", {"user_dn": "uid=%u," + below("sales"), "base": None, "name_attribute": "uid"})):
        address = "mail" in str(more)
        with Section(tap, d, what + ", name_domain", name_domain="Corp.Test", **more) as s:
            s.lets_in("p.bare@sales" if address else "pat", "sales", "pat")
            s.lets_in("l.whole@sales" if address else "lee@corp.test", "sales", "lee@corp.test")
            s.lets_in("p.other@sales" if address else "pat@other.test", "sales", "pat@other.test")
            for name in ["p.whole@sales"] * address + ["pat@corp.test"] * (not address or "uid=%u" in more["filter"]):
                s.refuses(name, "sales", "uid is 'pat@corp.test', as is, with name_domain, the 'pat' of uid=pat,ou=sales")
        with Section(tap, d, what + ", names as they are", **more) as s:
            s.lets_in("p.whole@sales" if address else "pat@corp.test", "sales", "pat@corp.test")
    with Section(tap, d, "both values are hers", name_domain="corp.test", **ADDRESS) as s:
        s.refuses("k.both@sales", "sales", "cn=kim,ou=sales,ou=people,dc=test,dc=local: attribute uid has several values")


def what_it_costs(tap, d):
    """The searches of one login: for the name, and for others who have it, unless the first search proves that nobody has."""
    for what, wanted, name, more in (
            ("as shipped", 1, "solo-sales@x", {}),
            ("the same named", 1, "solo-sales@x", {"name_attribute": "uid"}),
            ("a login's own name beside addresses", 1, "solo-sales@x", {"filter": "(&(objectClass=inetOrgPerson)(|(uid=%n)(mail=%u)))"}),
            ("direct", 1, "solo-sales@x", {"user_dn": "uid=%n," + below("sales"), "base": None}),
            ("found by address", 2, "solo@sales", ADDRESS),
            ("a name that is completed", 1, "solo-sales@x", {"name_attribute": "uid", "name_domain": "corp.test"}),
            ("a name that has the domain, and gives way", 2, "lee@corp.test", {"filter": "(uid=%u)", "name_domain": "corp.test"})):
        with Section(tap, d, what, **more) as s:
            s.ask.ask("verify", name, "sales")
            before = searches(d)
            got = s.ask.ask("verify", name, "sales")
            n = searches(d) - before
            tap.ok(got["code"] == "OK" and n == wanted, "%s: %d search(es)" % (what, wanted), (got, n))


def main():
    tap = Tap()
    d = slapd.Slapd(directory()).start()
    try:
        for part in (by_address, by_alias, one_entry_many_names, by_domain, by_completion, what_it_costs):
            part(tap, d)
    finally:
        d.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
