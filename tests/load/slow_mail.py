#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Slow senders hold no worker, no permit and no place in a store: with four workers and one permit, many clients stop in
the middle of DATA and of BDAT; others deliver and fetch without delay, nothing is in tmp/ before a chunk is full, and
then the slow ones finish and are answered. A message of many megabytes needs no memory to speak of."""
import os
import smtplib
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop  # noqa: E402
from server import Server, Tap, free_port  # noqa: E402

SLOW = 150
LARGE = 40 << 20
LINE = b"0123456789 0123456789 0123456789 0123456789 0123456789 012345678\r\n"


def memory_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return int([line for line in f if line.startswith("VmHWM")][0].split()[1])


class Slow:
    """A client that stops after `octets` of its message."""

    def __init__(self, path, bdat, octets):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.settimeout(60)
        self.file = self.sock.makefile("rb")
        self.sock.sendall(b"LHLO slow\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<ann>\r\n")
        self.sock.sendall(b"BDAT %d LAST\r\n" % (octets + 3) if bdat else b"DATA\r\n")
        self.bdat = bdat
        self.sock.sendall((b"Subject: slow\r\n\r\n" + LINE * (octets // len(LINE) + 1))[:octets])

    def end(self):
        self.sock.sendall(b"x\r\n" if self.bdat else b"x\r\n.\r\n")
        for line in self.file:
            if b" delivered, id " in line:
                self.sock.close()
                return True
            if line[:1] in b"45":
                return False
        return False


def deaf(port):
    """A client that reads no answer after DATA: three thousand of them, more than the sockets hold."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(120)
    sock.connect(("127.0.0.1", port))
    file = sock.makefile("rb")
    file.readline()
    for say, want in ([(b"LHLO deaf", b"250 "), (b"MAIL FROM:<a@example.org>", b"250 ")] +
                      [(b"RCPT TO:<ann+%s%d>" % (b"t" * 55, i), b"250 ") for i in range(3000)] + [(b"DATA", b"354")]):
        sock.sendall(say + b"\r\n")
        lines = iter(file.readline, b"")
        got = next((line for line in lines if line[3:4] != b"-"), b"")
        if not got.startswith(want):
            raise RuntimeError("%s: %s" % (say, got))
    sock.sendall(b"Subject: deaf\r\n\r\nx\r\n.\r\n")
    return sock


def main():
    tap = Tap()
    s = Server()
    path = s.path("run", "lmtp")
    s.passwd({"ann": "restante", "ben": "restante"})
    os.mkdir(s.path("mail"))
    s.give(s.path("mail"))
    port = free_port()
    s.extra_listeners = ("listener lmtp {\n protocol = lmtp\n path = %s\n mode = 0666\n}\n"
                         "listener lmtp-tcp {\n protocol = lmtp\n address = 127.0.0.1\n port = %d\n}\n" % (path, port))
    sections = ("auth a {\n module = passwd\n file = %s\n allow_plain = yes\n storage = m\n permits = 1\n}\n"
                "storage m {\n module = maildir\n path = %s/%%n\n permits = 1\n}\n" % (s.path("passwd"), s.path("mail")))
    s.configure(sections, workers="4", max_per_address="0")
    s.start()
    try:
        slow = [Slow(path, i % 2, 20000 if i % 3 else 100000) for i in range(SLOW)]
        with smtplib.LMTP(path, timeout=60) as c:
            c.ehlo("quick")
            for k in range(20):
                c.sendmail("a@example.org", ["ben"], b"Subject: quick\r\n\r\n%d\r\n" % k)
        with Pop(s.clear_port) as p:
            tap.ok(p.login("ben") == b"+OK 20 messages\r\n", "%d clients stand still in DATA and BDAT; others deliver and log in" % SLOW)
            p.say("QUIT")
        done = s.ctl("modules")
        tap.ok(done.returncode == 0, "restantectl answers", done.stderr)
        answered = sum(x.end() for x in slow)
        tap.ok(answered == SLOW, "all %d end their message and are answered" % SLOW, answered)
        with Pop(s.clear_port) as p:
            tap.ok(p.login("ann") == b"+OK %d messages\r\n" % SLOW, "and all are there")
        before = memory_kib(s.proc.pid)
        with smtplib.LMTP(path, timeout=300) as c:
            c.ehlo("large")
            c.sendmail("a@example.org", ["ben"], b"Subject: large\r\n\r\n" + LINE * (LARGE // len(LINE)))
        grown = memory_kib(s.proc.pid) - before
        tap.ok(grown < 8 << 10, "%d MiB come in with %d KiB more memory" % (LARGE >> 20, grown))
        s.configure(sections + "delivery {\n idle_timeout = 5\n max_recipients = 3000\n}\n", workers="4", max_per_address="0")
        tap.ok(s.ctl("reload").returncode == 0, "from here on nobody may be silent for more than five seconds")
        sock = deaf(port)
        tap.ok(s.said("how=\"idle timeout\"", 60), "who does not read our answers is silent, too", s.log()[-2000:])
        sock.close()
        with Pop(s.clear_port) as p:
            tap.ok(p.login("ann") == b"+OK %d messages\r\n" % (SLOW + 1), "its message is there all the same")
        tap.ok(s.stop() == 0, "the server ends well", s.log()[-2000:])
    finally:
        s.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
