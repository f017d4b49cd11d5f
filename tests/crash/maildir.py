#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server dies at each kill point of a QUIT that deletes (builds with --enable-kill-points), and comes back.

After every death: the deletions are all done or none is; all done if the client saw +OK; no message that was
not deleted is lost; unique-ids are what they were. k = 1, 2, 3 ... until a run has no death.
"""
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server, Tap  # noqa: E402
from shapes import SHAPES  # noqa: E402

NAMES = ["plain", "two-lines", "dot-lines", "crlf", "utf8", "tabs"]
DELETE = (1, 3, 4)
MOST = 60


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
    """What QUIT was answered, or None when the server died first."""
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


def one_death(k):
    """(died, problem)"""
    srv = Server()
    try:
        srv.passwd({"ann": "restante"})
        srv.maildir("ann", [SHAPES[n] for n in NAMES])
        srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                      "storage mail {\n module = maildir\n path = %s/%%n\n}\n" % (srv.path("passwd"), srv.path("mail")))
        srv.start()
        before = look(srv)
        srv.stop()
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
        return rc == 99, ""
    finally:
        os.environ.pop("RESTANTE_KILL_POINT", None)
        srv.close()


def main():
    tap = Tap()
    deaths = 0
    for k in range(1, MOST + 1):
        died, problem = one_death(k)
        tap.ok(not problem, "death at kill point %d" % k if died else "no death any more at %d" % k, problem)
        if not died:
            break
        deaths += 1
    tap.ok(deaths >= 5 and deaths < MOST, "%d kill points were passed one by one" % deaths)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
