#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Dovecot and restanted on one maildir: its maildirsize is right after our deliveries, deletions, hiding and bringing back -
doveadm quota recalc arrives at the same figures - and our usage includes the mail that Dovecot delivers and expunges."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from full import deliver  # noqa: E402
from pop import mails, session  # noqa: E402
from sections import plain  # noqa: E402
from server import Server, Tap  # noqa: E402

QUOTA = 30  # messages
DOVECOT = """
base_dir = %(dir)s/dovecot
log_path = %(dir)s/dovecot/log
mail_location = maildir:%(dir)s/mail/ann
mail_plugins = quota
first_valid_uid = 1
ssl = no
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=10M:messages=%(quota)d
}
"""


class Doveadm:
    def __init__(self, server):
        self.server, self.dir = server, server.path("dovecot")
        os.makedirs(self.dir)
        self.conf = os.path.join(self.dir, "conf")
        with open(self.conf, "w") as f:
            f.write(DOVECOT % {"dir": server.dir, "quota": QUOTA})
        server.give(self.dir)
        self.name = server.path("mail", "ann", "maildirsize")

    def __call__(self, *args, data=None):
        as_owner = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if self.server.root else []
        env = {"HOME": self.dir, "USER": "nobody", "PATH": os.environ["PATH"]}
        done = subprocess.run(as_owner + ["doveadm", "-c", self.conf, "-f", "tab", *args], input=data, capture_output=True, env=env,
                              cwd=self.dir, timeout=60)
        if done.returncode != 0:
            raise RuntimeError("doveadm %s: %s" % (args, done.stderr.decode()))
        return done.stdout.decode()

    def messages(self):
        """The messages that doveadm quota get reports."""
        return int([line.split("\t")[2] for line in self("quota", "get").splitlines() if "\tMESSAGE\t" in line][0])

    def total(self):
        lines = open(self.name).read().splitlines()
        return sum(int(x.split()[0]) for x in lines[1:]), sum(int(x.split()[1]) for x in lines[1:])

    def agrees(self):
        """The total as it is stored, and as Dovecot counts it again."""
        said, kept = self.messages(), self.total()
        self("quota", "recalc")
        return kept == self.total() and said == kept[1], (said, kept, self.total())


def beside(tap, server, dove):
    dove("quota", "recalc")
    ok, why = dove.agrees()
    tap.ok(ok and os.path.exists(dove.name), "Dovecot makes its maildirsize", why)
    sent = [deliver(server, "ann", size=n)["ann"][0] for n in (300, 3000, 70000)]
    ok, why = dove.agrees()
    tap.ok(sent == [250] * 3 and ok and why[0] == 5, "we deliver three: doveadm quota get and recalc agree: %s messages, %s octets"
           % (why[0], why[1][0]), (sent, why))
    session(server, "ann", "DELE 1", "DELE 4")
    ok, why = dove.agrees()
    tap.ok(ok and why[0] == 3, "we delete two: they agree", why)
    for _ in range(3):
        dove("save", data=b"Subject: by Dovecot\n\nbody\n" * 20)
    u = server.json("quota", "ann")
    tap.ok(dove.messages() == 6 and u.get("used_messages") == 6, "Dovecot delivers three: they are in our usage", u)
    dove("expunge", "mailbox", "INBOX", "1")
    u = server.json("quota", "ann")
    tap.ok(dove.messages() == 5 and u.get("used_messages") == 5 and len(mails(server, "ann")) == 5, "Dovecot expunges one: so has that", u)
    for _ in range(25):
        deliver(server, "ann")
    out = deliver(server, "ann")["ann"]
    ok, why = dove.agrees()
    tap.ok(out[0] == 452 and "4.2.2" in out[1] and ok and why[0] == 30, "full for both at thirty messages: 452 4.2.2, and they agree", (out, why))


def hidden(tap, server, dove):
    server.reconfigure(plain(server), quota_messages=QUOTA, undo=7)
    session(server, "ann", *["DELE %d" % k for k in range(1, 11)])
    ok, why = dove.agrees()
    u = server.json("quota", "ann")
    tap.ok(ok and why[0] == 30 and (u.get("used_messages"), u.get("hidden_messages")) == (20, 10),
           "undo: ten are hidden; Dovecot counts the files, our quota does not; its total is right", (why, u))
    server.json("undelete", "ann", "--all")
    ok, why = dove.agrees()
    tap.ok(ok and why[0] == 30 and len(mails(server, "ann")) == 30, "undelete: they agree", why)


def main():
    tap = Tap()
    with Server() as server:
        server.passwd({"ann": "restante"})
        server.maildir("ann", [b"Subject: %d\n\nhere before\n" % k for k in range(2)])
        os.chmod(server.dir, 0o755)
        dove = Doveadm(server)
        server.lmtp = server.listen("lmtp")
        server.configure(plain(server), quota_messages=QUOTA)
        server.start()
        beside(tap, server, dove)
        hidden(tap, server, dove)
        server.ends(tap, "the server ends cleanly")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
