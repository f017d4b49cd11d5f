#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A store that cannot tell the outcome of a commit, and a domain's count: whichever part commits - LMTP, a retry, a warning, QUIT,
undelete in the mailbox and from the undo storage - the count matches the mailboxes, or it is marked doubtful and counted again.
It is never too low without being doubtful."""
import os
import smtplib
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from badmail import put  # noqa: E402
from pop import Pop  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from server import Tap, wait_until  # noqa: E402
from undorig import UndoServer  # noqa: E402

USER, DOMAIN = "ann@here.example", "here.example"
LETTERS = [b"Subject: %d\n\nletter %d\n" % (k, k) for k in range(3)]
DONE = ("after error UNKNOWN", "it was done, and the store does not know")
NOT_DONE = ("error UNKNOWN", "it was not done, and the store does not know")
HALF = ("after error PARTIAL", "it was done, the rest comes later")
REFUSED = ("error TEMP", "it was not done")


class CountServer(UndoServer):
    """USER's store mail, with the shim in front of it answering by these rules."""

    def prepare(self, rules, letters, attic=False, quota=0):
        self.lmtp = self.listen("lmtp")
        self.mkdir("mail")
        self.mkdir("attic")
        self.passwd({USER: "restante"})
        self.maildir(USER, letters)
        self.configure(accounts(self) + maildirs(self, "%u", name="inner") + (self.attic() if attic else "") +
                       block("storage", "mail", module="fault", wrap="inner", rule=rules) +
                       block("domain", DOMAIN, domain_messages=100, quota_messages=quota) + block("delivery", postmaster=USER) +
                       block("badmail", path=self.mkdir("bad"), retry_first=3600, retry_max=3600),
                       undo=7, **({"undo_storage": "attic"} if attic else {}))
        self.start()
        out = self.json("quota", "--domain", DOMAIN, "--recount")
        if out.get("messages") != len(letters):
            raise RuntimeError("the domain was not counted: %s" % out)
        return self

    def files(self):
        """The messages and octets that a client would see in the mailbox."""
        out = self.json("quota", USER, "--recount")
        return out.get("used_messages"), out.get("used_octets")

    def counted(self):
        out = self.json("quota", "--domain", DOMAIN)
        return out.get("domain_used_messages"), out.get("domain_used_octets"), out.get("domain_doubtful")


def judge(tap, server, what):
    """It is right, or doubtful and right once it has been counted again; nothing is under way any more."""
    counted, there = server.counted(), server.files()
    tap.ok(counted[:2] == there or counted[2], what, (counted, there, server.log()[-1200:]))
    server.json("quota", "--domain", DOMAIN, "--recount")
    tap.ok(server.counted() == (*there, False), what + ": counted anew", (server.counted(), there))


def lmtp(server):
    with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
        c.ehlo("far.example")
        c.mail("sender@far.example")
        c.rcpt(USER)
        c.putcmd("data")
        c.getreply()
        c.send(b"Subject: x\r\n\r\nbody\r\n.\r\n")
        return c.getreply()[0]


def quit_with(server, *commands):
    with Pop(server.clear_port) as p:
        p.login(USER)
        for command in commands:
            p.say(command)
        p.say("QUIT")


# ---- the parts that commit -------------------------------------------------------------------------

def by_lmtp(server):
    lmtp(server)


def by_retry(server):
    put(server, ["insert retry 1 200 store-down sender%u@far.example " + USER])
    server.json("badmail", "retry", "--all")


def by_warning(server):
    """The first commit is a delivery, the second the warning about it."""
    lmtp(server)
    wait_until(lambda: "'%s' " % USER in server.log(), 60, "the warning or its failure")


def by_quit(server):
    quit_with(server, "DELE 1")


def by_undelete(server):
    quit_with(server, "DELE 1", "DELE 2")
    server.json("undelete", USER, "--all")


def from_attic(server):
    quit_with(server, "DELE 1", "DELE 2")
    server.moved(USER)
    server.json("undelete", USER, "--all")


COMMITS = (  # the part, the call of its commit that fails, how, and the kind of server
    (by_lmtp, "dlv_commit *", (DONE, NOT_DONE, REFUSED), {}),
    (by_retry, "dlv_commit *", (DONE, NOT_DONE, REFUSED), {}),
    (by_warning, "dlv_commit 2", (DONE, NOT_DONE, REFUSED), {"quota": 5}),
    (by_quit, "mbox_commit *", (DONE, NOT_DONE, HALF, REFUSED), {}),
    (by_undelete, "mbox_commit 2+", (DONE, NOT_DONE, HALF, REFUSED), {}),
    (from_attic, "dlv_commit *", (DONE, NOT_DONE, REFUSED), {"attic": True}),
)


def main():
    tap = Tap()
    for who, call, answers, more in COMMITS:
        for rule, words in answers:
            with CountServer() as server:
                server.prepare("%s %s" % (call, rule), LETTERS, **more)
                who(server)
                judge(tap, server, "%s: %s" % (who.__name__, words))
                rc = server.stop()
                if rc != 0:
                    tap.ok(False, who.__name__ + ": the server ends cleanly", server.log()[-4000:])
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
