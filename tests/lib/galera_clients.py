# SPDX-License-Identifier: Apache-2.0
"""Clients of a site with several hosts: they fetch and delete, deliverers speak LMTP, and a witness records every answer."""
import hashlib
import random
import re
import socket
import threading
import time

from galera import Beside
from witness import Session

PATIENCE = 150  # hosts are frozen for a minute
SECRET = "restante"


def now():
    return time.monotonic()


def body_of(ident):
    """The text of message `ident`: a few octets, or several chunks."""
    seed = hashlib.sha256(ident.encode()).digest()
    lines = 1 + seed[0] % 40 if seed[1] % 16 else 4000
    return b"".join(b".%d %s\r\n" % (i, hashlib.sha256(seed + i.to_bytes(4, "big")).hexdigest().encode()) for i in range(lines))


class Lost(Exception):
    pass


class Line:
    """A connection, line by line; however it breaks, it raises Lost."""

    def __init__(self, port):
        try:
            self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
            self.file = self.sock.makefile("rwb")
            self.heard = now()  # the session was inside at least until now
        except OSError as e:
            raise Lost(str(e)) from e

    def send(self, raw):
        try:
            self.file.write(raw)
            self.file.flush()
        except OSError as e:
            raise Lost(str(e)) from e

    def line(self):
        try:
            got = self.file.readline()
        except OSError as e:
            raise Lost(str(e)) from e
        if not got.endswith(b"\n"):
            raise Lost("closed")
        self.heard = now()
        return got

    def say(self, text):
        self.send(text.encode() + b"\r\n")
        return self.line()

    def lines(self, text):
        """None after -ERR."""
        self.said = self.say(text)
        if not self.said.startswith(b"+OK"):
            return None
        out = []
        while True:
            got = self.line()
            if got == b".\r\n":
                return out
            out.append(got[1:] if got.startswith(b".") else got)

    def close(self):
        for f in (self.file, self.sock):
            try:
                f.close()
            except OSError:
                pass


def enter(site, user):
    """An open maildrop: (line, session), or (None, why not)."""
    line = Line(site.pop)
    try:
        greeting = line.line()
        host = re.search(rb"@(\w+)>", greeting)
        if not host:
            line.close()
            return None, "no greeting"
        line.say("USER " + user)
        asked = now()
        reply = line.say("PASS " + SECRET)
        if not reply.startswith(b"+OK"):
            line.close()
            return None, reply.decode().strip()
        return line, Session(user, host.group(1).decode(), asked, now())
    except Lost:
        line.close()
        raise


def look(witness, line, s, rng):
    """The snapshot: looks at messages that nobody has looked at, reads some whole. {number: unique-id} of the known ones:
    like any client, this one deletes nothing it could not read, and the judge could not tell which message it was."""
    rows = line.lines("UIDL")
    if rows is None:
        return {}
    numbers = {int(r.split()[0]): r.split()[1].decode() for r in rows}
    s.seen = frozenset(numbers.values())
    for number, uidl in numbers.items():
        known = witness.name(s.user, uidl)
        whole = known is None or rng.random() < 0.05
        if not whole:
            continue
        text = line.lines("RETR %d" % number)
        if text is None:
            witness.refused(line.said)
            continue
        raw = b"".join(text)
        found = re.search(rb"^X-Id: (\S+)\r$", raw, re.M)
        if not found:
            witness.fault("%s: a message without its id: %r" % (s.user, raw[:200]))
            continue
        ident = found.group(1).decode()
        witness.named(s.user, uidl, ident)
        if raw.partition(b"\r\n\r\n")[2] != body_of(ident):
            witness.fault("%s: message %s has another body" % (s.user, ident))
    return {k: u for k, u in numbers.items() if witness.name(s.user, u) is not None}


def leave(line, s):
    """QUIT, and what its answer means."""
    s.left, s.outcome = now(), "unknown"
    try:
        reply = line.say("QUIT")
        if reply.startswith(b"+OK"):
            s.outcome = "committed"
        elif b"not changed" in reply:
            s.outcome = "refused"
    finally:
        s.ended = now()
        line.close()


class Clients:
    """Clients that come again and again, each time for another maildrop."""

    def __init__(self, site, witness, users, n, deliverers, pause):
        self.site, self.witness, self.users, self.pause = site, witness, users, pause
        self.over = threading.Event()
        self.counts = {}
        self.mutex = threading.Lock()
        self.threads = [Beside(self.fetch, random.Random(i)) for i in range(n)]
        self.threads += [Beside(self.deliver, random.Random(1000 + i), "d%d" % i) for i in range(deliverers)]

    def count(self, what):
        with self.mutex:
            self.counts[what] = self.counts.get(what, 0) + 1

    def fetch(self, rng):
        while not self.over.is_set():
            try:
                self.session(rng)
            except Lost:
                self.count("connection lost")
            self.over.wait(self.pause * rng.random())

    def session(self, rng):
        line, s = enter(self.site, rng.choice(self.users))
        if not line:
            self.count("in use" if "IN-USE" in s else "not now")
            return
        try:
            numbers = look(self.witness, line, s, rng)
            chosen = rng.sample(sorted(numbers), min(len(numbers), rng.choice((0, 1, 2, 3, 8, 30))))
            marked = {numbers[k] for k in chosen if line.say("DELE %d" % k).startswith(b"+OK")}
            if rng.random() < 0.05 and line.say("RSET").startswith(b"+OK"):
                marked = set()
            s.marked = frozenset(marked)
            if rng.random() < 0.1:
                self.over.wait(rng.random())
            if rng.random() < 0.85:
                leave(line, s)
        finally:
            s.left = s.left or line.heard
            line.close()
            s.ended = s.ended or now()
            self.witness.session(s)
            self.count("session " + s.outcome)

    def deliver(self, rng, name):
        serial = 0
        while not self.over.is_set():
            line = None
            try:
                line = Line(self.site.lmtp)
                if line.line().startswith(b"220"):
                    self.greet(line)
                    for _ in range(rng.randrange(1, 6)):
                        serial += 1
                        self.message(line, rng, "%s-%d" % (name, serial))
            except Lost:
                self.count("delivery lost")
            finally:
                if line:
                    line.close()
            self.over.wait(self.pause * rng.random())

    def greet(self, line):
        line.send(b"LHLO test\r\n")
        while line.line()[3:4] == b"-":
            pass

    def message(self, line, rng, ident):
        to = rng.sample(self.users, rng.choice((1, 1, 1, 2, 3)))
        accepted = []
        if not line.say("MAIL FROM:<>").startswith(b"250"):
            raise Lost("refused")
        for user in to:
            if line.say("RCPT TO:<%s>" % user).startswith(b"250"):
                accepted.append(user)
        if not accepted:
            line.say("RSET")
            return
        outcomes = dict.fromkeys(accepted, "none")
        try:
            if not line.say("DATA").startswith(b"354"):
                return
            text = b"Subject: x\r\nX-Id: %s\r\n\r\n" % ident.encode() + body_of(ident)
            text = b"".join(b"." + ln if ln.startswith(b".") else ln for ln in text.splitlines(True))
            line.send(text)
            if rng.random() < 0.03:
                raise Lost("on purpose, before the end")
            outcomes = dict.fromkeys(accepted, "unknown")
            line.send(b".\r\n")
            for user in accepted:
                reply = line.line()
                outcomes[user] = "accepted" if reply.startswith(b"250") else "refused"
        finally:
            for user, outcome in outcomes.items():
                self.witness.delivered(ident, user, outcome, now())
                self.count("message " + outcome)

    def end(self):
        self.over.set()
        for t in self.threads:
            t.join(2 * PATIENCE)
