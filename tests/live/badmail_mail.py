#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mail that comes in and cannot be delivered, from the sender to the mailbox: what SMTP accepted and its store then failed to
take waits in Badmail and is there when the store is back; mail to nobody is kept within the bound."""
import os
import smtplib
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from full import mails  # noqa: E402 (before badmail, which looks for others of that name elsewhere)
from badmail import ctl, totals  # noqa: E402
from server import Server, Tap, free_port, wait_until  # noqa: E402

ALL = os.environ.get("ALL") == "yes"
BOUND = 100000 if ALL else 400
SECTIONS = """
auth accounts {
 module = passwd
 file = %(dir)s/passwd
 allow_plain = yes
 storage = both
 domains = both.example
}
auth others {
 module = passwd
 file = %(dir)s/passwd
 allow_plain = yes
 storage = mail
}
storage both {
 module = maildir
 path = %(dir)s/other/%%n
}
storage mail {
 module = maildir
 path = %(dir)s/mail/%%n
}
delivery {
 unknown_recipient = badmail
 postmaster = ann@here.example
 max_recipients = 1000
 max_errors = 100000
}
badmail {
 path = %(dir)s/bad
 max_items = %(bound)d
 retry_first = 1
 retry_max = 2
}
"""


def body(text):
    return ("Subject: %s\r\n\r\n" % text).encode() + b"line\r\n..dots\r\n" * 40


def smtp(server, rcpts, text):
    with smtplib.SMTP("127.0.0.1", server.smtp) as c:
        c.ehlo("far.example")
        c.mail("sender@far.example")
        answers = [c.rcpt(r)[0] for r in rcpts]
        code, said = c.data(body(text))
        return answers, code, said


def waits(tap, server):
    """Two stores; one fails behind the dot."""
    os.chmod(server.path("other", "ben", "tmp"), 0o500)
    subprocess.check_call(["rm", "-rf", server.path("other", "ben", "new")])
    with open(server.path("other", "ben", "new"), "w") as f:
        f.write("in the way")
    os.chmod(server.path("other", "ben", "tmp"), 0o700)
    answers, code, said = smtp(server, ["ann@here.example", "ben@both.example"], "two stores")
    t = totals(server)
    tap.ok(answers == [250, 250] and code == 250 and t["retry_items"] == 1,
           "SMTP: one store has it, the other fails: 250, and the second copy waits", (answers, code, said, t))
    tap.ok(len(mails(server, "ann@here.example")) == 1, "SMTP: the first one has it")
    item = (ctl(server, "list", "--class", "retry")[0].get("items") or [{}])[0]
    tap.ok(item.get("sender") == "sender@far.example" and item.get("recipients") == ["ben@both.example"] and item.get("source") == "smtp",
           "the sidecar says from whom, to whom, by what", item)
    os.unlink(server.path("other", "ben", "new"))
    os.mkdir(server.path("other", "ben", "new"))
    server.give(server.path("other"))
    wait_until(lambda: totals(server)["retry_items"] == 0, 60, "the retry")
    got = mails(server, "ben@both.example")
    tap.ok(len(got) == 1 and got[0].startswith(b"Return-Path: <sender@far.example>\r\nDelivered-To: ben@both.example\r\nReceived: ") and
           got[0].endswith(body("two stores").replace(b"\r\n..", b"\r\n...")), "the store is back: it is delivered, byte for byte", got)


def nobody(tap, server):
    """Half as much again as the bound."""
    with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
        c.ehlo("far.example")
        sent = most = 0
        while sent < BOUND + BOUND // 2:
            c.mail("spam%d@spam.example" % sent)
            code, said = c.rcpt("nobody%d@here.example" % sent)
            if code == 250:
                c.putcmd("data")
                c.getreply()
                c.send(body("to nobody") + b".\r\n")
                code, said = c.getreply()
            if code != 250:
                break
            sent += 1
            if sent % (BOUND // 10) == 0:
                most = max(most, totals(server)["refused_items"])
    t = totals(server)
    tap.ok(sent == BOUND + BOUND // 2, "%d messages to unknown recipients are taken" % sent, (code, said))
    tap.ok(most <= BOUND and t["refused_items"] + t["retry_items"] == BOUND and t["dropped"] == sent - BOUND,
           "a bound of %d: never more, %d dropped, all counted" % (BOUND, t["dropped"]), t)
    first = ctl(server, "list", "--class", "refused", "--limit", "1")[0]["items"][0]
    tap.ok(first["sender"] == "spam%d@spam.example" % (sent - BOUND) and first["code"] == "5.1.1", "the oldest are gone", first)


def main():
    tap = Tap()
    server = Server()
    try:
        server.passwd({"ann@here.example": "restante", "ben@both.example": "restante"})
        server.maildir("ann")
        for d in ("new", "cur", "tmp"):
            os.makedirs(server.path("other", "ben", d))
        os.makedirs(server.path("bad"))
        for d in ("other", "bad"):
            server.give(server.path(d))
        server.lmtp, server.smtp = free_port(), free_port()
        server.extra_listeners = "".join("listener %s {\n protocol = %s\n address = 127.0.0.1\n port = %d\n tls = none\n}\n" % (n, n, p)
                                         for n, p in (("lmtp", server.lmtp), ("smtp", server.smtp)))
        server.configure(SECTIONS % {"dir": server.dir, "bound": BOUND})
        server.start()
        wait_until(lambda: server.ctl("status").returncode == 0, 30, "the control socket")
        waits(tap, server)
        nobody(tap, server)
        tap.ok(server.close() == 0, "the server ends cleanly")
    except BaseException:
        print("# " + server.log()[-4000:].replace("\n", "\n# "))
        server.close()
        raise
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
