#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The disk of the mailboxes is not mounted, or full: everything that opens a mailbox or writes to it gives the same answer. Not
mounted is a temporary failure, with the volume's words: never an empty mailbox, a count of zero, or a full disk; full is full."""
import os
import re
import smtplib
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from badmail import ctl as badmail, put  # noqa: E402
from disk import Disk, becomes, beneath, tree  # noqa: E402
from full import deliver  # noqa: E402
from mounts import own_namespace  # noqa: E402
from pop import mails, session  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from server import Tap, wait_until  # noqa: E402
from undorig import UndoServer  # noqa: E402

ANN, DOMAIN = "ann@here.example", "here.example"
AWAY = "volume disk: not mounted"


def prepare(server):
    server.mkdir("attic")
    server.passwd({ANN: "restante"})
    server.lmtp = server.listen("lmtp")
    server.configure(accounts(server) + maildirs(server, "box/%u", volume="disk") + server.attic() +
                     block("volume", "disk", path=server.path("mail", "box"), mount=server.path("mail"), reserve_percent=0,
                           reserve_octets="1m", reserve_file=0) +
                     block("domain", DOMAIN, domain_messages=100) + block("delivery", postmaster=ANN) +
                     block("badmail", path=server.mkdir("bad"), retry_first=3600, retry_max=3600), undo=7, undo_storage="attic")
    server.start()
    becomes(server, "ok")
    for _ in range(4):
        deliver(server, ANN)
    session(server, ANN, "DELE 1")
    server.moved(ANN)
    put(server, ["insert retry 1 200 store-down sender%u@far.example " + ANN])


def counted(server):
    out = server.json("quota", "--domain", DOMAIN)
    return out.get("domain_used_messages"), out.get("domain_doubtful")


def retried(server):
    badmail(server, "retry", "--all")
    return (badmail(server, "list")[0]["items"] or [{}])[0].get("last_error", "delivered")


def away(tap, server, disk):
    """Every verb that opens the mailbox, and everything that writes to it."""
    before = counted(server)
    disk.unplug()
    there = beneath(server, disk.place, "box/%s/tmp" % ANN, "box/%s/new" % ANN, "box/%s/cur" % ANN)
    becomes(server, "not mounted")
    for args in (("quota", ANN), ("quota", ANN, "--recount"), ("quota", "--domain", DOMAIN, "--recount"), ("expire", ANN),
                 ("expire", "--all"), ("undelete", ANN, "--list"), ("undelete", ANN, "--all")):
        out = server.json(*args)
        said = out.get("detail", "")
        tap.ok(out.get("succeeded") is False and AWAY in said and "NOSPACE" not in said,
               "not mounted, %s: %s" % (" ".join(args), said), out)
    out = server.json("user", ANN)
    tap.ok(AWAY in str(out.get("mailbox")) and "messages" not in out, "not mounted, user: %s" % out.get("mailbox"), out)
    said = retried(server)
    tap.ok(AWAY in said, "not mounted, a retry: " + said)
    out = deliver(server, ANN)[ANN]
    tap.ok(out[0] == 451 and "4.3.0" in out[1], "not mounted, LMTP: %s %s" % out)
    tap.ok(before == (3, False) and counted(server) == before, "the count of its domain is as it was", (before, counted(server)))
    tap.ok(tree(disk.place) == there, "and nothing is written beneath the mount point", tree(disk.place))
    disk.plug()
    becomes(server, "ok")


class Slow:
    """A delivery in pieces."""

    def __init__(self, server):
        self.c = smtplib.LMTP("127.0.0.1", server.lmtp)
        self.c.ehlo("far.example")
        self.c.mail("sender@far.example")
        self.c.rcpt(ANN)
        self.c.putcmd("data")
        self.c.getreply()

    def end(self, octets=0):
        self.c.send(b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * (octets // 72))
        return self

    def answer(self):
        self.c.send(b".\r\n")
        code, text = self.c.getreply()
        self.c.close()
        return code, text.decode()


def under_way(tap, server, disk):
    """The disk goes away after the reply to RCPT; and after the store has begun."""
    for what, begin, words in (("after RCPT", lambda: Slow(server), AWAY),
                               ("after the store has begun", lambda: Slow(server).end(400000), "unmounted meanwhile")):
        mark = len(server.log())
        mail = begin()
        if words != AWAY:
            wait_until(lambda: any(os.scandir(os.path.join(disk.place, "box", ANN, "tmp"))), 30, "the store to begin")
        disk.unplug()
        code, text = mail.end().answer()
        tap.ok(code == 451 and "4.3.0" in text, "unmounted %s: %d %s" % (what, code, text))
        wait_until(lambda: "result=TEMP" in server.log()[mark:], 30, "the log")
        tap.ok(re.search("module-call .*result=TEMP.* volume disk: .*" + words.split(": ")[-1], server.log()[mark:]), "and the log says so", server.log()[mark:])
        disk.plug()
        becomes(server, "ok")


def back(tap, server, disk):
    out = server.json("quota", "--domain", DOMAIN, "--recount")
    tap.ok(out.get("succeeded") and out.get("messages") == 3 and len(mails(server, ANN)) == 3, "mounted again: all is there", out)
    disk.fill()
    becomes(server, "low")
    out = server.json("undelete", ANN, "--all")
    tap.ok(out.get("succeeded") is False and "NOSPACE" in out["detail"] and "volume disk: low" in out["detail"],
           "full, undelete from the undo storage: " + out.get("detail", ""), out)
    said = retried(server)
    tap.ok("volume disk: low" in said, "full, a retry: " + said)
    out = deliver(server, ANN)[ANN]
    tap.ok(out[0] == 452 and "4.3.1" in out[1], "full, LMTP: %s %s" % out)
    disk.clear()
    becomes(server, "ok")
    out, said = server.json("undelete", ANN, "--all"), retried(server)
    tap.ok(out.get("messages") == 1 and said == "delivered" and len(mails(server, ANN)) == 5 and counted(server) == (5, False),
           "room again: it is brought back, and what waited is delivered", (out, said, counted(server)))


def main():
    tap = Tap()
    own_namespace()
    with UndoServer() as server:
        disk = Disk(server)
        try:
            prepare(server)
            for part in (away, under_way, back):
                part(tap, server, disk)
            server.ends(tap)
        finally:
            server.stop()
            disk.gone()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
