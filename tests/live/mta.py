#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lines of conf/examples/mta, with Postfix, Exim and OpenSMTPD themselves: each hands mail over by LMTP and by
restante-deliver. Mail arrives as it was sent; an unknown user gives a bounce that says why; mail that comes while the
server is down, or the mailbox full, waits in the queue and arrives later, once.

Usage: mta.py [postfix|exim|opensmtpd [lmtp|pipe]]"""
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mtabox import Exim, OpenSmtpd, blocks  # noqa: E402
from postfix import Postfix  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

DOMAIN = "example.org"  # as the examples have it
EXAMPLES = os.path.join(os.environ.get("top_srcdir", os.path.join(HERE, "..", "..")), "conf", "examples", "mta")
MTAS = ("postfix", "exim", "opensmtpd")
QUOTA = 20
PATIENCE = 300


class Rig:
    def __init__(self):
        self.server = s = Server()
        s.passwd({"%s@%s" % (u, DOMAIN): "restante" for u in ("ann", "ben", "full")})
        for d in ("mail", "sock"):
            os.mkdir(s.path(d), 0o755)
            s.give(s.path(d))
        self.socket = s.path("sock", "lmtp")
        s.extra_listeners = "listener lmtp {\n protocol = lmtp\n path = %s\n mode = 0666\n}\n" % self.socket
        s.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n domains = %s\n}\n"
                    "storage mail {\n module = maildir\n path = %s/%%n\n}\n"
                    "quota_messages = %d\nquota_warn = 0\n" % (s.path("passwd"), DOMAIN, s.path("mail"), QUOTA),
                    default_domain=DOMAIN, max_per_address="0")

    def lines(self, mta):
        """The example's blocks with this machine's paths."""
        out = blocks(os.path.join(EXAMPLES, mta + ".txt"))
        user = "nobody" if mta == "postfix" else "vmail"
        for name in out:
            out[name] = re.sub(r"\bvmail\b", user, out[name].replace("/run/restante-lmtp/socket", self.socket)
                               .replace("/usr/bin/restante-deliver", self.server.bin("restante-deliver")))
        return out

    def mail(self, user):
        """path -> bytes of all messages of a user."""
        out = {}
        for d in ("new", "cur"):
            base = self.server.path("mail", user, d)
            for name in os.listdir(base) if os.path.isdir(base) else []:
                try:
                    with open(os.path.join(base, name), "rb") as f:
                        out[os.path.join(base, name)] = f.read()
                except FileNotFoundError:
                    pass
        return out

    def empty(self):
        for user in ("ann", "ben", "full"):
            for path in self.mail(user):
                os.unlink(path)

    def having(self, user, mark):
        return [m for m in self.mail(user).values() if mark in m]


def make(rig, mta, form):
    """The mail server with these lines of the example."""
    lines = rig.lines(mta)
    if mta == "exim":
        return Exim(lines[form + " routers"], lines[form + " transports"])
    if mta == "opensmtpd":
        return OpenSmtpd(lines[form + " smtpd.conf"])
    settings = dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in lines[form + " main.cf"].splitlines()
                    if line and not line.startswith("#"))
    master = [line for line in lines.get(form + " master.cf", "").splitlines() if line and not line.startswith("#")]
    return Postfix(settings, master)


def wait_for(check):
    try:
        wait_until(check, PATIENCE, "it")
        return True
    except RuntimeError:
        return False


class Run:
    def __init__(self, tap, rig, mta, form):
        self.tap, self.rig, self.mta, self.form = tap, rig, mta, form
        self.name = "%s, %s" % (mta, form)

    def ok(self, good, what):
        self.tap.ok(good, "%s: %s" % (self.name, what), "%s\n%s\n%.700r" % (
            self.m.log()[-2500:], self.rig.server.log()[-600:], self.rig.mail("ann")))

    def raw(self, mark):
        return b"From: ben@example.org\nTo: x@example.org\nSubject: " + mark + b"\n\n.dot\n..\nFrom here on\nM\xc3\xbcll\nend\n"

    def send(self, to, mark, sender="ben@example.org"):
        self.m.send(sender, [to + "@" + DOMAIN], self.raw(mark).replace(b"\n", b"\r\n"))

    def arrives(self):
        self.send("ann", b"plain")
        self.ok(wait_for(lambda: self.rig.having("ann", b"Subject: plain")), "a message arrives")
        got = (self.rig.having("ann", b"Subject: plain") or [b""])[0].replace(b"\r\n", b"\n")
        self.ok(got.startswith(b"Return-Path: <ben@example.org>\nDelivered-To: ann@example.org\n") and
                got.endswith(self.raw(b"plain").split(b"\n\n", 1)[1]), "with its sender and its text")
        self.send("ann", b"null", "")
        self.ok(wait_for(lambda: self.rig.having("ann", b"Subject: null")) and
                self.rig.having("ann", b"Subject: null")[0].startswith(b"Return-Path: <>"), "the null reverse-path")

    def unknown(self):
        self.send("nobody", b"unknown")
        if (self.mta, self.form) == ("opensmtpd", "lmtp"):  # as the example says
            self.ok(wait_for(lambda: re.search(r"nobody@example\.org.*TempFail.*no such mailbox", self.m.log())),
                    "an unknown user waits: its agent knows no other way")
            return
        self.ok(wait_for(lambda: self.rig.having("ben", b"Subject: unknown")), "an unknown user is a bounce")
        bounce = (self.rig.having("ben", b"Subject: unknown") or [b""])[0]
        self.ok(bounce.startswith(b"Return-Path: <>") and b"there is no such mailbox" in re.sub(rb"\s+", b" ", bounce),
                "that says why")

    def down(self):
        """The server is down: mail that is sent meanwhile arrives later, once."""
        before = len(self.m.log())
        self.rig.server.stop()
        self.send("ann", b"patient")
        self.ok(wait_for(lambda: re.search(r"deferred|==|TempFail", self.m.log()[before:])), "without a server mail waits")
        self.rig.server.start()
        self.ok(wait_for(lambda: self.rig.having("ann", b"Subject: patient")), "and arrives when it is back")

    def full(self):
        """Over quota: the mail waits until there is room again."""
        before = len(self.m.log())
        self.rig.server.maildir("full", [b"Subject: fill %d\r\n\r\n" % n for n in range(QUOTA)])
        self.send("full", b"late")
        self.ok(wait_for(lambda: re.search(r"full@example\.org.*4\.2\.2.*mailbox is full", self.m.log()[before:])) and
                not self.rig.having("full", b"late"), "over quota it waits, and the log says why")
        for path in self.rig.mail("full"):
            os.unlink(path)
        self.ok(wait_for(lambda: self.rig.having("full", b"Subject: late")), "and arrives when there is room")

    def once(self):
        time.sleep(3)  # a queue run later
        seen = [re.search(rb"\nSubject: ([^\r\n]*)", m).group(1) for u in ("ann", "full") for m in self.rig.mail(u).values()]
        self.ok(len(seen) == len(set(seen)), "everything came once: %s" % sorted(seen))

    def all(self):
        self.rig.empty()
        with make(self.rig, self.mta, self.form) as self.m:
            self.m.start()
            for part in (self.arrives, self.unknown, self.down, self.full, self.once):
                part()


def one(mta, form):
    tap, rig, t0 = Tap(), Rig(), time.monotonic()
    try:
        rig.server.start()
        Run(tap, rig, mta, form).all()
    finally:
        rig.server.close()
    tap.note("%s, %s: %.0f s" % (mta, form, time.monotonic() - t0))
    return tap.done()


def main():
    """All six in parallel: they mostly wait for the next try."""
    if len(sys.argv) == 3:
        return one(*sys.argv[1:])
    tap = Tap()
    runs = [(m, f, subprocess.Popen([sys.executable, os.path.abspath(__file__), m, f], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, errors="replace"))
            for m in sys.argv[1:] or MTAS for f in ("lmtp", "pipe")]
    for mta, form, p in runs:
        lines = p.communicate()[0].splitlines()
        points = [line for line in lines if re.match(r"(not )?ok \d+ - ", line)]
        for line in lines:
            m = re.match(r"((?:not )?ok) \d+ - (.*)", line)
            if m:
                tap.ok(m.group(1) == "ok", m.group(2))
            elif not re.match(r"1\.\.\d+$", line):
                print(line if line.startswith("#") else "# " + line)
        tap.ok(p.returncode == 0 and len(points) >= 9, "%s, %s: came to its end" % (mta, form), "exit %s" % p.returncode)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
