#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server dies at each kill point of a QUIT that deletes (builds with --enable-kill-points), and comes back.

After every death: the deletions are all done or none is; all done if the client saw +OK; no message that was
not deleted is lost; unique-ids do not change. k = 1, 2, 3 ... until a run survives.

The same with a ledger that is full of messages that are gone, so that it is rewritten after the QUIT: hidden messages
(undo) stay hidden, and deleted imports stay known.
"""
import os
import re
import socket
import sys
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server, Tap  # noqa: E402
from shapes import SHAPES  # noqa: E402

NAMES = ["plain", "two-lines", "dot-lines", "crlf", "utf8", "tabs"]
DELETE = (1, 3, 4)
MOST = 60
DEAD = 4200     # a ledger of this many lines is rewritten
DAY = 86400000


class Lost(Exception):
    pass


class Pop:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 120)
        self.file = self.sock.makefile("rwb")
        self.line()

    def line(self):
        try:
            line = self.file.readline()
        except OSError:
            line = b""
        if not line:
            raise Lost()
        return line

    def say(self, text):
        try:
            self.file.write(text.encode() + b"\r\n")
            self.file.flush()
        except OSError:
            raise Lost()
        return self.line()

    def login(self):
        self.say("USER ann")
        return self.say("PASS restante")

    def uidls(self):
        self.say("UIDL")
        out = []
        while True:
            line = self.line()
            if line == b".\r\n":
                return out
            out.append(line.split()[1])

    def close(self):
        self.file.close()
        self.sock.close()


def deleting_session(port):
    """The answer to QUIT, or None if the server died first."""
    p = None
    try:
        p = Pop(port)
        p.login()
        p.say("LIST 1")
        for n in DELETE:
            p.say("DELE %d" % n)
        return p.say("QUIT")
    except (Lost, OSError):
        return None
    finally:
        if p:
            try:
                p.close()
            except OSError:
                pass


def look(srv):
    p = Pop(srv.clear_port)
    reply = p.login()
    got = p.uidls() if reply.startswith(b"+OK") else reply
    p.say("QUIT")
    p.close()
    return got


def line(text):
    return "%08x %s\n" % (zlib.crc32(text.encode()), text)


def fill_ledger(path, srv):
    """Before the first login: a unique-id of its own, a message hidden until tomorrow, a deleted import."""
    names = sorted(os.listdir(os.path.join(path, "new")))
    now = int(time.time() * 1000)
    gone = "0" * 32
    with open(os.path.join(path, "restante-ledger"), "w", encoding="ascii") as f:
        f.write("restante-ledger 1\n")
        f.write(line("M %s uid-of-its-own - 0 0 0" % names[1]))
        f.write(line("M %s %s - 0 0 %d" % (names[4], names[4], now + DAY)))
        f.write(line("M 1.imported uid-imported 3 2 0 0"))
        f.write(line("D %s 1.imported" % gone) + line("C %s 1 %d" % (gone, now - DAY)) + line("E %s" % gone))
    srv.give(path)


def add_dead(path):
    with open(os.path.join(path, "restante-ledger"), "a", encoding="ascii") as f:
        for k in range(DEAD):
            f.write(line("M 0.dead%d 0.dead%d 3 2 0 0" % (k, k)))


def ledger(path):
    with open(os.path.join(path, "restante-ledger"), encoding="ascii") as f:
        return f.read()


def problem_of(path, before, after):
    """The faults of a mailbox with such a ledger."""
    text = ledger(path)
    if len(before) != len(NAMES) - 1 or before[1] != b"uid-of-its-own" or b"uid-of-its-own" not in after:
        return "a hidden message is listed, or a unique-id lost: %s, %s" % (before, after)
    if " M 1.imported uid-imported " not in text or not re.search(" D 0+ 1.imported\n", text):
        return "an import that was deleted is forgotten"
    return "" if text.count("\n") < 100 else "the ledger was not written anew"


def one_death(k, full):
    """(died, problem)"""
    srv = Server()
    try:
        srv.passwd({"ann": "restante"})
        mail = srv.maildir("ann", [SHAPES[n] for n in NAMES])
        if full:
            fill_ledger(mail, srv)
        srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                      "storage mail {\n module = maildir\n path = %s/%%n\n}\n" % (srv.path("passwd"), srv.path("mail")))
        srv.start()
        before = look(srv)
        srv.stop()
        if full:
            add_dead(mail)
        os.environ["RESTANTE_KILL_POINT"] = str(k)
        srv.start()
        del os.environ["RESTANTE_KILL_POINT"]
        answer = deleting_session(srv.clear_port)
        rc = srv.stop()
        srv.start()
        after = look(srv)
        again = look(srv)
        srv.stop()
        kept = [u for i, u in enumerate(before) if i + 1 not in DELETE]
        if after not in (before, kept):
            return rc == 99, "before %s, after %s" % (before, after)
        if answer and answer.startswith(b"+OK") and after != kept:
            return rc == 99, "the client saw +OK and the mail is still there: %s" % after
        if again != after:
            return rc == 99, "a second look differs: %s, %s" % (after, again)
        return rc == 99, problem_of(mail, before, after) if full else ""
    finally:
        os.environ.pop("RESTANTE_KILL_POINT", None)
        srv.close()


def deaths(tap, full, least):
    n = 0
    what = "a full ledger, " if full else ""
    for k in range(1, MOST + 1):
        died, problem = one_death(k, full)
        tap.ok(not problem, what + ("death at kill point %d" % k if died else "no death any more at %d" % k), problem)
        if not died:
            break
        n += 1
    tap.ok(least <= n < MOST, what + "%d kill points were passed one by one" % n)


def main():
    tap = Tap()
    deaths(tap, False, 5)
    deaths(tap, True, 8)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
