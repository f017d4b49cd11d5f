#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A passwd-file that is written in place, slowly, while mail comes in and people log in: nobody who has an account is told
that he has none, neither while it is written nor when a copy breaks off; and a revocation still is one."""
import os
import smtplib
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE, Pop  # noqa: E402
from sections import plain  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

USERS = ["user%02d" % k for k in range(40)]
ROUNDS = 2


def text(users, remark):
    return "".join("%s:{PLAIN}restante::::::%s\n" % (u, remark) for u in users)


def write_slowly(path, raw, pieces):
    """As a copy over a slow line: the file is cut, and grows. No piece but the last ends a line."""
    ends = [raw.index("\n", len(raw) * k // pieces) - 3 for k in range(1, pieces)] + [len(raw)]
    at = 0
    with open(path, "w") as f:
        for end in ends:
            time.sleep(0.4)
            f.write(raw[at:end])
            f.flush()
            at = end


class Clients:
    """Clients that ask for accounts all the time; bad: answers that nobody with an account should get."""

    def __init__(self, srv, users):
        self.srv, self.users, self.over = srv, users, threading.Event()
        self.asked, self.bad = [0, 0], []
        self.threads = [threading.Thread(target=w) for w in (self.log_in, self.send)]

    def log_in(self):
        while not self.over.is_set():
            for u in (self.users[0], self.users[-1]):
                with Pop(self.srv.clear_port) as p:
                    answer = p.login(u)
                    p.say("QUIT")
                if not answer.startswith(b"+OK"):
                    self.bad.append((u, answer))
                self.asked[0] += 1

    def send(self):
        with smtplib.LMTP("127.0.0.1", self.srv.lmtp) as c:
            c.ehlo("test")
            while not self.over.is_set():
                c.mail("clerk@example.org")
                for u in (self.users[0], self.users[-1]):
                    code, answer = c.rcpt(u)
                    if code != 250:
                        self.bad.append((u, code, answer))
                    self.asked[1] += 1
                c.rset()

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()

    def more(self):
        """... of either, from now on."""
        was = list(self.asked)
        wait_until(lambda: all(now > then + 4 for now, then in zip(self.asked, was)), PATIENCE, "the clients to go on")


def may(srv, user):
    with Pop(srv.clear_port) as p:
        reply = p.login(user)
        p.say("QUIT")
    return reply.startswith(b"+OK")


def rewritten(tap, srv, clients):
    path = srv.path("passwd")
    for k in range(ROUNDS):
        at = len(srv.log())
        write_slowly(path, text(USERS, "round=%d" % k), 6)
        wait_until(lambda: "was read again: 40 accounts" in srv.log()[at:], PATIENCE, "the file to be read again")
        clients.more()
    tap.ok(not clients.bad, "written in place %d times: nobody with an account was refused" % ROUNDS, clients.bad[:5])


def broken_off(tap, srv, clients):
    """A copy that ends in the middle of a line, and one that never began."""
    path, whole = srv.path("passwd"), text(USERS, "whole")
    at = len(srv.log())
    with open(path, "w") as f:
        f.write(whole[:whole.index("\n", len(whole) * 3 // 4) - 3])
    wait_until(lambda: "has no end: the file may have been cut off there" in srv.log()[at:], PATIENCE, "the log to say it")
    clients.more()
    tap.ok(not clients.bad, "a copy that broke off: nobody with an account was refused", clients.bad[:5])
    at = len(srv.log())
    with open(path, "w") as f:
        f.write("")
    wait_until(lambda: "the file is empty" in srv.log()[at:], PATIENCE, "the log to say it")
    clients.more()
    tap.ok(not clients.bad, "an empty file: nobody with an account was refused", clients.bad[:5])
    srv.write("passwd", whole)
    wait_until(lambda: "was read again: 40 accounts" in srv.log()[at:], PATIENCE, "the file to be read again")
    tap.ok(not clients.bad, "it is whole again in time: nobody noticed", clients.bad[:5])


def revoked(tap, srv):
    srv.write("passwd", text(USERS[:-1], "one less"))
    wait_until(lambda: not may(srv, USERS[-1]), PATIENCE, "an account to be gone")
    tap.ok(may(srv, USERS[0]), "a file put there whole: who is not in it is refused, the others are not")
    with open(srv.path("passwd"), "w") as f:
        f.write(text(USERS[:-2], "two less"))
    wait_until(lambda: not may(srv, USERS[-2]), PATIENCE, "an account to be gone")
    tap.ok(may(srv, USERS[0]), "a file written in place: likewise, when it is at rest")
    with open(srv.path("passwd"), "w") as f:
        f.write("# nobody any more\n")
    wait_until(lambda: not may(srv, USERS[0]), PATIENCE, "all accounts to be gone")
    tap.ok(srv.said("was read again: 0 accounts"), "an emptied file: all are refused, at the second look")


def answers(srv, user):
    """How POP3 and LMTP answer for this user."""
    with Pop(srv.clear_port) as p:
        said = p.login(user)
        p.say("QUIT")
    with smtplib.LMTP("127.0.0.1", srv.lmtp) as c:
        c.ehlo("test")
        c.mail("clerk@example.org")
        return said, c.rcpt(user)[0]


def first_look(tap):
    """Nobody was asked for before the file is written anew: there are no accounts from before."""
    with Server() as srv:
        srv.lmtp = srv.listen("lmtp")
        srv.mkdir("mail")
        raw = text(USERS, "at the start")
        srv.write("passwd", raw)
        srv.configure(plain(srv))
        srv.start()
        half = raw.index("\n", len(raw) // 2) - 3
        with open(srv.path("passwd"), "w") as f:
            f.write(raw[:half])
            f.flush()
            said, code = answers(srv, USERS[-1])
            tap.ok(said.startswith(b"-ERR [SYS/TEMP]") and code == 451, "who is not there yet: [SYS/TEMP], 451", (said, code))
            f.write(raw[half:])
        wait_until(lambda: may(srv, USERS[-1]), PATIENCE, "the rest of the file")
        wait_until(lambda: answers(srv, "nobody")[1] == 550, PATIENCE, "the file to be at rest")
        tap.ok(may(srv, USERS[0]) and may(srv, USERS[-1]), "all of it is there: all come in")
        srv.ends(tap, "written before the first look: the server ends cleanly")


def main():
    tap = Tap()
    with Server() as srv:
        srv.lmtp = srv.listen("lmtp")
        srv.mkdir("mail")
        srv.write("passwd", text(USERS, "first"))
        srv.configure(plain(srv))
        srv.start()
        with Clients(srv, USERS) as clients:
            clients.more()
            rewritten(tap, srv, clients)
            broken_off(tap, srv, clients)
        revoked(tap, srv)
        srv.ends(tap)
    first_look(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
