#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Incoming mail that cannot be delivered, from the sender to the mailbox: mail that SMTP accepted and its store then failed to
take waits in Badmail and arrives when the store is back; mail to unknown users is kept within the bound; waiting mail closes
the door at half of it. With ALL=yes the bound is 100,000."""
import fcntl
import json
import os
import smtplib
import socket
import string
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from badmail import ctl, totals  # noqa: E402
from pop import mails  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

ALL = os.environ.get("ALL") == "yes"
BOUND = 100000 if ALL else 400


def sections(server, retry):
    """The accounts of one domain have a store of their own."""
    return (accounts(server, storage="both", domains="both.example") + accounts(server, "others", domains="here.example") +
            maildirs(server, name="both", path=server.path("other", "%n")) + maildirs(server) +
            block("delivery", unknown_recipient="badmail", postmaster="ann@here.example", max_recipients=1000, max_errors=100000) +
            block("badmail", path=server.mkdir("bad"), max_items=BOUND, retry_first=retry, retry_max=retry))


def body(text):
    return ("Subject: %s\r\n\r\n" % text).encode() + b"line\r\n..dots\r\n" * 40


def smtp(server, rcpts, text, closed=False):
    with smtplib.SMTP("127.0.0.1", server.smtp) as c:
        c.ehlo("far.example")
        code, said = c.mail("sender@far.example")
        if closed:
            return [], code, said
        answers = [c.rcpt(r)[0] for r in rcpts]
        code, said = c.data(body(text))
        return answers, code, said


def waits(tap, server):
    """Two stores; one fails after the dot."""
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


class Flood:
    """Transactions over several connections, each pipelined: the next envelope goes with the end of the message before it."""

    def __init__(self, port, hello, total, sender, recipient, threads=4):
        self.port, self.hello, self.total, self.threads = port, hello, total, threads
        self.sender, self.recipient = sender, recipient
        self.mutex = threading.Lock()
        self.next = 0
        self.answers = {}

    def take(self):
        with self.mutex:
            n, self.next = self.next, self.next + 1
            return n if n < self.total else None

    def note(self, answer):
        with self.mutex:
            self.answers[answer] = self.answers.get(answer, 0) + 1

    def one(self):
        with socket.create_connection(("127.0.0.1", self.port), 120) as s:
            f = s.makefile("rb")

            def reply():
                line = f.readline()
                while line[3:4] == b"-":
                    line = f.readline()
                return line.decode().strip()
            reply()
            s.sendall(self.hello + b" far.example\r\n")
            reply()
            n = self.take()
            s.sendall(self.envelope(n))
            while n is not None:
                first = [reply() for _ in range(3)]
                if first[2][:3] != "354":
                    self.note(first[0] if first[0][:3] != "250" else first[1])
                    if first[0][:3] == "451":
                        with self.mutex:
                            self.next = self.total  # the door is closed
                    n = self.take()
                    s.sendall(self.envelope(n))
                    continue
                n = self.take()
                s.sendall(body("to nobody") + b".\r\n" + self.envelope(n))
                self.note(" ".join(reply().split(" ")[:2]))

    def envelope(self, n):
        if n is None:
            return b"QUIT\r\n"
        return ("MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (self.sender % n, self.recipient % n if "%" in self.recipient
                                                                 else self.recipient)).encode()

    def run(self, sample=lambda: None):
        began = time.monotonic()
        workers = [threading.Thread(target=self.one) for _ in range(self.threads)]
        for w in workers:
            w.start()
        while any(w.is_alive() for w in workers):
            sample()
            workers[0].join(5 if ALL else 0.1)
        self.seconds = time.monotonic() - began
        return self.answers


class OnDisk:
    """The files of a class, counted under the lock of the store: no item is half in or out."""

    def __init__(self, server, cls):
        self.dir, self.state, self.most, self.looks = server.path("bad", cls), server.path("bad", "state"), 0, 0

    def count(self):
        if not os.path.exists(self.state):
            return 0
        with open(self.state, "r+b") as f:
            fcntl.fcntl(f, fcntl.F_OFD_SETLKW, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            n = sum(name.endswith(".eml") for _, _, names in os.walk(self.dir) for name in names)
            m = sum(name.endswith(".json") for _, _, names in os.walk(self.dir) for name in names)
        self.most = max(self.most, n, m)
        self.looks += 1
        return n

    def senders(self):
        """The numbers in the senders of all items."""
        for base, _, names in os.walk(self.dir):
            for name in names:
                if name.endswith(".json"):
                    with open(os.path.join(base, name), "rb") as f:
                        yield int(json.load(f)["sender"].split("@")[0].lstrip(string.ascii_letters))


def nobody(tap, server):
    """Half as much again as the bound."""
    total = BOUND + BOUND // 2
    disk = OnDisk(server, "refused")
    flood = Flood(server.lmtp, b"LHLO", total, "spam%d@spam.example", "nobody%d@here.example")
    answers = flood.run(disk.count)
    left = disk.count()
    t = totals(server)
    tap.ok(answers == {"250 2.0.0": total}, "%d messages to unknown recipients are taken over LMTP, in %d s" % (total, flood.seconds), answers)
    tap.ok(disk.most <= BOUND and left == BOUND and t["refused_items"] == BOUND and t["retry_items"] == 0 and t["dropped"] == total - BOUND,
           "a bound of %d: %d on disk at most in %d looks, %d dropped, all counted" % (BOUND, disk.most, disk.looks, t["dropped"]), (left, t))
    first = ctl(server, "list", "--class", "refused", "--limit", "1")[0]["items"][0]
    # of the dropped ones, only mail that a connection held back while the others went on can have come later
    late = sum(n < total - BOUND for n in disk.senders())
    tap.ok(late <= flood.threads and first["code"] == "5.1.1", "the oldest are gone", (late, first))
    server.said("is at 80 percent of its bound")
    warned = server.log().count("is at 80 percent of its bound")
    tap.ok(warned == 1, "one warning at 80 percent", warned)


def door(tap, server):
    """A store is away: SMTP accepts for it until half of the bound waits, then gives 451; none of that mail is dropped."""
    half = BOUND // 2
    before = totals(server)
    os.rename(server.path("other"), server.path("away"))
    disk = OnDisk(server, "retry")
    flood = Flood(server.smtp, b"EHLO", BOUND, "waits%d@far.example", "ben@both.example")
    answers = flood.run(disk.count)
    t = totals(server)
    closed = [a for a in answers if a.startswith("451 4.3.1 too much mail waits")]
    tap.ok(answers.get("250 2.0.0") == half and t["retry_items"] == half and disk.count() == half and disk.most == half and closed,
           "SMTP, the store is away: %d are accepted and wait, then %s (%d s)" % (half, closed, flood.seconds), (answers, t))
    tap.ok(t["refused_items"] == BOUND - half and t["dropped"] - before["dropped"] == half, "refused mail made room for it, all counted", t)
    server.said("80 percent of what may wait")
    warned = server.log().count("80 percent of what may wait")
    tap.ok(warned == 1, "one warning at 80 percent of the mail that may wait", warned)
    flood = Flood(server.lmtp, b"LHLO", BOUND // 10, "more%d@spam.example", "nobody@here.example")
    answers = flood.run()
    t = totals(server)
    tap.ok(answers == {"250 2.0.0": BOUND // 10} and t["retry_items"] == half == disk.count() and t["refused_items"] == BOUND - half,
           "more refused mail comes: none of the waiting ones is dropped, the bound holds", (answers, t))
    tap.ok(smtp(server, ["ann@here.example"], "x", True)[1] == 451, "the door stays closed for mail of other stores, too")
    os.rename(server.path("away"), server.path("other"))
    item = ctl(server, "list", "--class", "retry", "--limit", "1")[0]["items"][0]
    wait_until(lambda: ctl(server, "retry", item["id"])[0].get("delivered") == 1, 60, "the first retry")
    answers, code, said = smtp(server, ["ann@here.example"], "open again")
    tap.ok(code == 250 and totals(server)["retry_items"] == half - 1, "one is retried and delivered: the door is open again", (answers, code, said))
    ids = [i["id"] for i in ctl(server, "list", "--class", "retry", "--limit", "100")[0]["items"]]
    out, said = ctl(server, "retry", *ids)
    tap.ok(len(ids) == 100 == out.get("delivered") and len(mails(server, "ben@both.example")) == 2 + 100 and
           totals(server)["retry_items"] == half - 101, "restantectl badmail retry: a hundred more are delivered", (out, said.stderr[-500:]))


def main():
    tap = Tap()
    with Server() as server:
        server.passwd({"ann@here.example": "restante", "ben@both.example": "restante"})
        server.maildir("ann")
        for d in ("new", "cur", "tmp"):
            server.mkdir("other", "ben", d)
        server.lmtp, server.smtp = server.listen("lmtp"), server.listen("smtp")
        server.configure(sections(server, retry=1))
        server.start()
        waits(tap, server)
        server.reconfigure(sections(server, retry=86400))
        nobody(tap, server)
        door(tap, server)
        server.ends(tap, "the server ends cleanly")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
