#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whose mailbox is it? Two directories, each with its own alice, in two sections that share a storage section: whatever the sections
call her, no alice gets, reads or deletes the other one's mail, also when nobody has thought of it. And one person, however the name
is written, has one mailbox."""
import os
import re
import smtplib
import subprocess
import sys

from ldap_lib import Server, Tap, chosen, ended, slapd
from pop import Pop, stranger
from sections import block, maildirs

CORP, EMEA = "corp.test", "emea.test"
OK, AUTH, PERM = b"+OK", b"-ERR [AUTH]", b"-ERR [SYS/PERM]"
SECRET = {CORP: "corp-pw", EMEA: "emea-pw"}
ANY = "(|(uid=%n)(mail=%u))"


def forest(domain, *more):
    """The same names in both; the passwords are the forest's. Of bob and eve the mail attribute is wrong in corp: without a domain,
    or with the other forest's."""
    alice = slapd.user("alice", SECRET[domain], mail=["alice@" + domain, "a.smith@" + domain], title="alice@" + domain)
    bob = slapd.user("bob", SECRET[domain], mail="bob" if domain == CORP else "bob@" + EMEA)
    eve = slapd.user("eve", SECRET[domain], mail="eve@" + EMEA)
    return slapd.tree(alice, bob, eve, *more)


def spelt(domain):
    """The second one's name is the first one's, completed."""
    return [slapd.user(uid, SECRET[domain], mail="pat.%s@%s" % (n, domain)) for uid, n in (("pat", "one"), ("pat@" + domain, "two"))]


def section(name, directory, box="mail", **more):
    return block("auth", name, module="ldap", server=directory.uri, storage=box, **chosen({"call_ms": "15s", **more}))


def maildir(srv, name="mail"):
    return maildirs(srv, "%u") if name == "mail" else block("storage", name, module="maildir", path=srv.path("mail", name, "%u"))


def checked(srv, sections, **settings):
    """Exit code and words of restanted -t."""
    done = subprocess.run([srv.bin("restanted"), "-t", "-c", srv.configure(sections, **settings)], capture_output=True, text=True,
                          timeout=60)
    return done.returncode, done.stdout + done.stderr


def served(srv, sections, **settings):
    srv.configure(sections, **settings)
    if srv.proc:
        done = srv.ctl("reload")
        if done.returncode != 0:
            raise RuntimeError("reload: " + done.stderr)
    else:
        srv.start()


def deliver(srv, text, *names):
    """The answer to each recipient; the text goes to those that were taken."""
    with smtplib.LMTP("127.0.0.1", srv.lmtp) as c:
        c.ehlo("far.example")
        c.mail("sender@far.example")
        codes = [c.rcpt(n)[0] for n in names]
        taken = codes.count(250)
        if taken:
            c.putcmd("data")
            c.getreply()
            c.send(b"Subject: %s\r\n\r\nbody\r\n.\r\n" % text.encode())
            if any(c.getreply()[0] != 250 for _ in range(taken)):
                raise RuntimeError("a recipient that was taken has no mail")
        return codes


def subjects(srv, name, password):
    """Those of the mailbox that opens; else the answer to PASS."""
    with Pop(srv.clear_port, source=stranger()) as c:
        answer = c.login(name, password)
        if not answer.startswith(OK):
            return answer
        heads = [b"".join(c.lines("TOP %d 0" % (i + 1))) for i in range(int(c.say("STAT").split()[1]))]
        c.say("QUIT")
        return sorted(re.search(rb"^Subject: (.*)\r$", h, re.M).group(1).decode() for h in heads)


def boxes(srv, *parts):
    """The mailboxes there are, with how many messages."""
    top = srv.path("mail", *parts)
    return {b: sum(len(os.listdir(os.path.join(top, b, d))) for d in ("new", "cur")) for b in os.listdir(top)
            if os.path.isdir(os.path.join(top, b, "new"))}


def fresh(srv):
    subprocess.run(["rm", "-rf", srv.path("mail")], check=True)
    srv.mkdir("mail")


def refused_at_once(tap, srv, corp, emea):
    """The set-up of the finding. The check names the way out, and it is one."""
    def both(one=None, other=None):
        return (section("corp", corp, domains=CORP, name_attribute="uid", name_domain=one) +
                section("emea", emea, domains=EMEA, name_attribute="uid", name_domain=other) + maildir(srv))
    rc, text = checked(srv, both())
    tap.ok(rc != 0 and text.count("name_attribute: 'uid' gives names without a domain") == 2 and "name_domain" in text,
           "restanted -t refuses two sections that both call theirs alice", (rc, text))
    rc, text = checked(srv, both(EMEA))
    tap.ok(rc != 0 and "none of its domains" in text, "another section's domain as name_domain is refused", (rc, text))
    rc, text = checked(srv, both(CORP, EMEA))
    tap.ok(rc == 0, "with name_domain both are good", (rc, text))
    rc, text = checked(srv, both("none", EMEA))
    tap.ok(rc == 0, "one may keep its bare names", (rc, text))
    rc, text = checked(srv, both("none", "none"))
    tap.ok(rc != 0 and "would have one mailbox" in text, "but not both", (rc, text))
    apart = section("corp", corp, "one", domains=CORP, name_attribute="uid") + section("emea", emea, "two", domains=EMEA, name_attribute="uid")
    stores = maildir(srv, "one") + maildir(srv, "two")
    rc, text = checked(srv, apart + stores)
    tap.ok(rc == 0, "with a storage section each they may be called as they like", (rc, text))
    rc, text = checked(srv, apart + stores + maildir(srv, "attic"), undo_storage="attic")
    tap.ok(rc != 0 and "in undo_storage" in text and "name_domain" in text, "unless their deleted mail is together", (rc, text))
    rc, text = checked(srv, section("corp", corp, domains=CORP, key_attribute="uid") + section("emea", emea, domains=EMEA) + maildir(srv))
    tap.ok(rc == 0 and "nobody there may have the same key" in text, "keys in a shared storage bring a warning", (rc, text))


def one_in_many_domains(tap, srv, corp, emea):
    """(uid=%n) finds alice for each domain that is asked for: one person, and a mailbox in each."""
    by_login, one = {"filter": "(uid=%n)"}, "two mailboxes of one person"
    for what, more, box, warned, refused in (
            ("any domain", by_login, "%u", True, False), ("two domains", dict(by_login, domains=[CORP, EMEA]), "%u", True, False),
            ("one domain", dict(by_login, domains=CORP), "%u", False, False), ("a base for each", dict(by_login, base="ou=%d," + slapd.BASE), "%u", False, False),
            ("named by login", dict(by_login, domains=[CORP, EMEA], name_attribute="uid", name_domain=CORP), "%u", False, False),
            ("a key", dict(by_login, key_attribute="entryUUID"), "%k", False, False),
            ("two domains, one mailbox", dict(by_login, domains=[CORP, EMEA], name_domain="none"), "%n", False, False)):
        rc, text = checked(srv, section("corp", corp, **more) + maildirs(srv, box))
        tap.ok((rc != 0) == refused and (one in text) == warned, "restanted -t, a filter by local part: %s" % what, (rc, text))
    fresh(srv)
    served(srv, section("corp", corp, domains=[CORP, EMEA], name_domain="none", **by_login) + maildirs(srv, "%n"))
    got = deliver(srv, "to both", "alice@" + CORP, "alice@" + EMEA), boxes(srv)
    tap.ok(got == ([250, 250], {"alice": 2}), "and one mailbox, where the operator says that names need no domain", got)


def each_his_own(tap, srv, corp, emea):
    fresh(srv)
    served(srv, section("corp", corp, domains=CORP, name_attribute="uid", name_domain=CORP) +
           section("emea", emea, domains=EMEA, name_attribute="uid", name_domain=EMEA) + maildir(srv))
    for domain in (CORP, EMEA):
        deliver(srv, "for " + domain, "alice@" + domain)
    tap.ok(boxes(srv) == {"alice@corp.test": 1, "alice@emea.test": 1}, "two people, two mailboxes", boxes(srv))
    for domain, other in ((CORP, EMEA), (EMEA, CORP)):
        got = subjects(srv, "alice@" + domain, SECRET[domain])
        tap.ok(got == ["for " + domain], "alice@%s reads hers alone" % domain, got)
        got = subjects(srv, "alice@" + domain, SECRET[other])
        tap.ok(got[:11] == AUTH, "the other one's password is none here", got)


def values_lie(tap, srv, corp, emea):
    """Names are addresses, so restanted -t has nothing to say; what the directory holds is seen when it comes."""
    fresh(srv)
    served(srv, section("corp", corp, domains=CORP, name_attribute="mail") +
           section("emea", emea, domains=EMEA, name_attribute="mail") + maildir(srv))
    tap.ok(deliver(srv, "theirs", "eve@" + EMEA, "bob@" + EMEA) == [250, 250], "emea's own addresses are good")
    for who in ("eve", "bob"):
        got = subjects(srv, "%s@%s" % (who, CORP), SECRET[CORP])
        tap.ok(got[:15] == PERM, "corp's %s does not get into a mailbox that may be another's" % who, got)
        got = subjects(srv, "%s@%s" % (who, EMEA), SECRET[EMEA])
        tap.ok(got == ["theirs"], "emea's %s has the mailbox" % who, got)
    tap.ok(srv.said("its name is 'bob', in no domain of section corp") and srv.said("its name is 'eve@emea.test'"), "the log gives the reason",
           srv.log()[-1500:])
    got = deliver(srv, "astray", "eve@" + CORP, "bob@" + CORP)
    tap.ok(got == [451, 451] and boxes(srv) == {"eve@emea.test": 1, "bob@emea.test": 1}, "mail for them waits at its sender", (got, boxes(srv)))
    done = srv.ctl("auth", "test", "eve@" + CORP)
    tap.ok(done.returncode != 0 and "[SYS/PERM]" in done.stdout and "in no domain of section corp" in done.stdout,
           "auth test tells the same", done.stdout)
    done = srv.ctl("user", "bob@" + CORP)
    tap.ok("in no domain of section corp" in done.stdout, "and so does user", done.stdout)


def in_one_chain(tap, srv, corp, emea):
    """No domains: every section is asked about every name, and the first that knows it has it."""
    def chain(filt, first="corp"):
        a, b = ((("corp", corp), ("emea", emea)) if first == "corp" else (("emea", emea), ("corp", corp)))
        return "".join(section(n, d, filter=filt, name_attribute="uid", unknown="next") for n, d in (a, b)) + maildir(srv)
    fresh(srv)
    served(srv, chain("(mail=%u)"))
    for domain in (CORP, EMEA):
        got = subjects(srv, "alice@" + domain, SECRET[domain])
        tap.ok(got[:15] == PERM, "a name that leads to nobody may be two people's: %s" % domain, got)
    tap.ok(srv.said("its name is 'alice', and that leads to no account"), "the log gives the reason", srv.log()[-1500:])
    for first, second in ((CORP, EMEA), (EMEA, CORP)):
        fresh(srv)
        served(srv, chain("(|(uid=%u)(mail=%u))", first.split(".", maxsplit=1)[0]))
        got = deliver(srv, "first", "alice@" + first, "alice", "alice@" + second)
        tap.ok(got == [250, 250, 451] and boxes(srv) == {"alice": 1}, "alice is the first section's: %s" % first, (got, boxes(srv)))
        got = [subjects(srv, n, SECRET[first]) for n in ("alice", "alice@" + first)]
        tap.ok(got == [["first"], ["first"]], "by both of her names", got)
        got = subjects(srv, "alice@" + second, SECRET[second])
        tap.ok(got[:15] == PERM, "and the other one's mailbox is not hers: %s" % second, got)
    tap.ok(srv.said("leads to an account of section"), "the log names the section", srv.log()[-1500:])
    done = srv.ctl("auth", "test", "alice@" + CORP)
    tap.ok(done.returncode != 0 and "leads to an account of section emea" in done.stdout, "auth test tells the same", done.stdout)
    done = srv.ctl("auth", "test", "alice@" + EMEA)
    tap.ok(done.returncode == 0, "and lets in whom a login lets in", done.stdout)


def one_person(tap, srv, corp, emea):
    """However it is written, and by which of her addresses."""
    fresh(srv)
    served(srv, section("corp", corp, domains=["corp.test", "corp.example"], filter="(|(uid=%n)(mail=%u)(mail=%n@corp.test))",
                        name_attribute="uid", name_domain="CORP.test", cache="1h") +
           section("emea", emea, domains=EMEA) + maildir(srv), default_domain=CORP)
    names = ["alice", "ALICE", "Alice@corp.test", "alice@CORP.TEST", "alice@corp.example", "a.smith", "A.Smith@Corp.Example"]
    spaced = ["alice ", " alice", "alice @corp.test", "alice  @corp.test", "\uff41lice"]
    for i, name in enumerate(names):
        deliver(srv, str(i), "<%s>" % (name if "@" in name else name + "@corp.test"))
    tap.ok(boxes(srv) == {"alice@corp.test": len(names)}, "mail by any of her names is in one mailbox", boxes(srv))
    for name in names + spaced:
        got = subjects(srv, name, SECRET[CORP])
        tap.ok(got == [str(i) for i in range(len(names))], "USER %r opens it" % name, got)
    tap.ok(list(boxes(srv)) == ["alice@corp.test"], "and no other one has come to be", boxes(srv))
    user = srv.json("user", "A.SMITH@corp.example")
    tap.ok(user.get("user") == "alice@corp.test" and user.get("messages") == len(names), "restantectl user shows it", user)
    corp.modify("dn: uid=alice,%s\nchangetype: modify\nreplace: userPassword\nuserPassword: new-pw\n" % slapd.PEOPLE)
    got = [subjects(srv, n, SECRET[CORP]) for n in ("alice", "a.smith@corp.example")]
    tap.ok(got == [[str(i) for i in range(len(names))]] * 2, "the cache knows the old password", got)
    srv.ctl("forget", "alice@corp.test")
    got = [subjects(srv, n, SECRET[CORP])[:11] for n in names]
    tap.ok(got == [AUTH] * len(names), "forget by her name forgets each of them", got)
    corp.modify("dn: uid=alice,%s\nchangetype: modify\nreplace: userPassword\nuserPassword: %s\n" % (slapd.PEOPLE, SECRET[CORP]))


def two_spellings(tap, srv, corp, emea):
    """pat is completed to the name that another entry of the same directory has in full. The section that is asked has name_domain,
    be it a wrapper; a reload tells the module."""
    pat, other = ("pat.one@" + CORP, SECRET[CORP]), ("pat.two@" + CORP, SECRET[CORP])
    mail = {"filter": "(mail=%u)", "name_attribute": "uid"}
    fresh(srv)
    for what, wanted, sections in (
            ("nothing is appended", [[], []], section("corp", corp, **mail)),
            ("name_domain", [[], PERM], section("corp", corp, name_domain=CORP, **mail)),
            ("a wrapper without it", [[], []], section("corp", corp, None, **mail) + block("auth", "w", module="fault", wrap="corp", storage="mail")),
            ("a wrapper with it", [[], PERM], section("corp", corp, None, **mail) +
             block("auth", "w", module="fault", wrap="corp", storage="mail", name_domain=CORP))):
        served(srv, sections + maildir(srv))
        got = [g[:15] for g in (subjects(srv, *pat), subjects(srv, *other))]
        tap.ok(got == wanted, "pat and pat@corp.test: " + what, got)
        codes = deliver(srv, what, pat[0], other[0])
        tap.ok(codes == [250, 250 if wanted[1] == [] else 451], "their mail: " + what, codes)
        fresh(srv)
    tap.ok(srv.said("as is, with name_domain, the 'pat' of uid=pat,"), "the log names both", srv.log()[-900:])


def bare_names_stay(tap, srv, corp, emea):
    """A site that had bare names, and grows a second section, may keep them."""
    fresh(srv)
    served(srv, section("corp", corp, domains=CORP, name_attribute="uid") + maildir(srv))
    deliver(srv, "old", "alice@" + CORP)
    tap.ok(boxes(srv) == {"alice": 1}, "a section alone calls its accounts as it likes", boxes(srv))
    served(srv, section("corp", corp, domains=CORP, name_attribute="uid", name_domain="none") + section("emea", emea, domains=EMEA) +
           maildir(srv))
    deliver(srv, "new", "alice@" + CORP)
    deliver(srv, "emea", "alice@" + EMEA)
    got = subjects(srv, "alice@" + CORP, SECRET[CORP]), subjects(srv, "alice@" + EMEA, SECRET[EMEA])
    tap.ok(got == (["new", "old"], ["emea"]) and boxes(srv) == {"alice": 2, "alice@emea.test": 1}, "name_domain = none: as before", (got, boxes(srv)))


def main():
    tap = Tap()
    srv = Server()
    srv.mkdir("mail")
    srv.lmtp = srv.listen("lmtp")
    corp, emea = slapd.Slapd(forest(CORP, *spelt(CORP))).start(), slapd.Slapd(forest(EMEA)).start()
    try:
        for part in (refused_at_once, one_in_many_domains, each_his_own, values_lie, in_one_chain, one_person, two_spellings,
                     bare_names_stay):
            part(tap, srv, corp, emea)
    finally:
        corp.close()
        emea.close()
        ended(tap, srv)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
