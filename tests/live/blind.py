#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An auth section that cannot look names up comes before the one that has the user. A search along the chain goes on to that one;
and if no section knows the name, the answer is never "no such user", because nobody can tell. A section that denies says only
that the name is none of its users. Everything that looks names up is tried, with a section of each kind."""
import os
import smtplib
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from badmail import ctl as badmail, put  # noqa: E402
from pop import mails, session  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from server import Tap, wait_until  # noqa: E402
from undorig import UndoServer  # noqa: E402

ANN, EVE, NOBODY = "ann@here.example", "eve@here.example", "nobody@here.example"
BLIND = "cannot look names up without a password"


class BlindServer(UndoServer):
    """Section blind has eve and answers lookups with `code`; section later has ann."""

    def prepare(self, code):
        self.code = code
        self.blind = code == "UNSUPPORTED"
        self.lmtp = self.listen("lmtp")
        self.mkdir("mail")
        self.mkdir("attic")
        self.write("hidden", EVE + ":{PLAIN}restante\n")
        self.passwd({ANN: "restante"})
        self.configure(
            accounts(self, "hidden", file=self.path("hidden"), storage=None, unknown="next") +
            block("auth", "blind", module="fault", wrap="hidden", storage="mail", rule="lookup * error " + code) +
            accounts(self, "later") + maildirs(self, "%u") + self.attic() +
            block("domain", "here.example", quota_messages=5, domain_messages=100) +
            block("delivery", postmaster=ANN) + block("badmail", path=self.mkdir("bad"), retry_first=1, retry_max=2),
            undo=7, undo_storage="attic")
        return self.start()


def rcpt(server, name):
    with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
        c.ehlo("far.example")
        c.mail("sender@far.example")
        code, text = c.rcpt(name)
        return code, text.decode()


def deliver(server, name):
    with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
        c.sendmail("sender@far.example", [name], b"Subject: x\r\n\r\nbody\r\n")


def is_ours(server, text):
    """The answer for a name that no section knows: "cannot tell", or "no such user"."""
    return (BLIND in text) == server.blind and ("no auth section knows" in text or "no such account" in text) != server.blind


def mail_in(tap, server):
    got = [rcpt(server, n) for n in (ANN, "ann+tag@here.example", "postmaster@here.example")]
    tap.ok([c for c, _ in got] == [250] * 3, "RCPT: the later section's user, with a tag too, and postmaster", got)
    got = [rcpt(server, n) for n in (EVE, NOBODY, "nobody+tag@here.example")]
    want = (451, "4.3.5") if server.blind else (550, "5.1.1")
    tap.ok(all(c == want[0] and t.startswith(want[1]) for c, t in got), "RCPT: a name that no later section knows: %d %s" % want, got)


def warning(tap, server):
    """A warning mail is one of our own: its delivery looks the user up."""
    for _ in range(4):
        deliver(server, ANN)
    wait_until(lambda: len(mails(server, ANN)) == 5, 60, "the warning mail; " + server.log()[-600:])
    tap.ok(any(b"Your mailbox is nearly full" in m for m in mails(server, ANN)), "the quota warning of the later section's user")


def deleted(tap, server):
    """Hidden mail is moved to the undo storage by name, and comes back by name."""
    session(server, ANN, "DELE 1", "DELE 2", "DELE 3")
    server.moved(ANN)
    tap.ok(len(server.listed(ANN)) == 3, "deleted mail is moved to the undo storage", server.log()[-1000:])
    back = server.json("undelete", ANN, "--all")
    tap.ok(back.get("succeeded") and back.get("messages") == 3, "undelete: it is back", back)
    out = server.json("expire", ANN)
    tap.ok(out.get("succeeded") and out.get("mailboxes") == 1, "expire", out)
    out = server.json("quota", ANN)
    tap.ok(out.get("succeeded") and out.get("used_messages") == 5, "quota", out)
    out = server.json("quota", "--domain", "here.example", "--recount")
    tap.ok(out.get("succeeded") and out.get("messages") == 5, "a domain's recount", out)


def of_nobody(tap, server):
    for args in (("quota", NOBODY), ("expire", NOBODY), ("undelete", NOBODY, "--list"), ("quota", EVE)):
        out = server.json(*args)
        tap.ok(out.get("succeeded") is False and is_ours(server, out["detail"]), "%s: %s" % (" ".join(args), out.get("detail")), out)
    server.maildir("stray@here.example", [b"Subject: x\n\nx\n"])
    out = server.json("expire", "--all")
    want = (0, 1) if server.blind else (1, 0)
    tap.ok((out.get("without_account"), out.get("failed")) == want, "expire --all: a mailbox of somebody who may be the blind section's", out)


def retries(tap, server):
    """A retry first looks up the account its item was kept for, then asks as RCPT does."""
    session(server, ANN, "DELE 1", "DELE 2", "DELE 3")
    before = len(mails(server, ANN))
    put(server, ["insert retry 1 200 store-down sender%u@far.example " + ANN,
                 "insert refused 1 200 unknown sender%u@far.example ann+tag@here.example",
                 "insert refused 1 200 unknown sender%u@far.example " + NOBODY])
    wait_until(lambda: len(mails(server, ANN)) > before, 60, "the retry; " + server.log()[-600:])
    badmail(server, "retry", "--recipient", "ann+tag@here.example")
    badmail(server, "retry", "--recipient", NOBODY)
    now = mails(server, ANN)
    tap.ok(len(now) == before + 2, "retries: the later section's user, and by a tag", (before, len(now), badmail(server, "list")[0]))
    items = badmail(server, "list")[0]["items"]
    tap.ok([i["recipients"] for i in items] == [[NOBODY]] and is_ours(server, items[0]["last_error"]),
           "retries: of nobody: %s" % items[0].get("last_error"), items)


def step(out, section):
    return next((s for s in out.get("chain", []) if s["section"] == section), {})


def questions(tap, server):
    out = server.json("user", ANN)
    tap.ok(out.get("storage") == "mail" and step(out, "later").get("answer") == "has this user" and
           (BLIND in step(out, "blind").get("answer", "")) == server.blind, "user: found in the later section", out)
    out = server.json("user", NOBODY)
    tap.ok("storage" not in out and (BLIND in out.get("result", "")) == server.blind and
           ("no section knows" in out.get("result", "")) != server.blind, "user: of nobody: %s" % out.get("result"), out)
    out = server.json("auth", "test", ANN)
    tap.ok(out.get("accepted") is True, "auth test: found in the later section", out)
    out = server.json("auth", "test", EVE)
    tap.ok(out.get("accepted") is False and (BLIND in step(out, "blind").get("answer", "")) == server.blind and
           (BLIND in out["result"]) == server.blind and ("unknown user" in out["result"]) != server.blind and
           (out["reply"] == "-ERR [AUTH]") != server.blind, "auth test: of the blind section's: %s" % out.get("result"), out)
    text = server.ctl("auth", "test", EVE).stdout
    tap.ok(("auth section blind: this section " + BLIND in text) == server.blind, "and for people", text)


def main():
    tap = Tap()
    for code in ("UNSUPPORTED", "DENIED"):
        tap.note(code)
        with BlindServer() as server:
            server.prepare(code)
            for part in (mail_in, warning, deleted, of_nobody, retries, questions):
                part(tap, server)
            server.ends(tap, code + ": the server ends cleanly")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
