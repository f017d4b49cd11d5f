#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whatever hangs, the others are served: a module that never returns, 1,000 idle sessions and 50 readers that
do not read, all at once; users of another section log in and fetch meanwhile, and restantectl answers. The only
time limit is that of a patient mail program.
"""
import os
import resource
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server, Tap  # noqa: E402
from shapes import SHAPES, wire  # noqa: E402

IDLE, SLOW, HUNG = 1000, 50, 40
PATIENCE = 120


class Pop:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.file = self.sock.makefile("rwb")
        self.line()

    def line(self):
        return self.file.readline()

    def say(self, *lines):
        for text in lines:
            self.file.write(text.encode() + b"\r\n")
        self.file.flush()

    def login(self, user):
        self.say("USER " + user, "PASS restante")
        self.line()
        return self.line()

    def fetch(self, n):
        """The message as received, unstuffed."""
        self.say("RETR %d" % n)
        if not self.line().startswith(b"+OK"):
            return None
        out = []
        while True:
            line = self.line()
            if line in (b".\r\n", b""):
                return b"".join(out)
            out.append(line[1:] if line.startswith(b".") else line)

    def close(self):
        self.file.close()
        self.sock.close()


def config(srv):
    return """
auth hang_inner {
 module = passwd
 file = @/passwd
 allow_plain = yes
}
auth hang {
 module = fault
 wrap = hang_inner
 rule = verify * hang
 release = @/release
 domains = hang.example
 storage = mail
 permits = 6
 call_ms = 1000
}
auth accounts {
 module = passwd
 file = @/passwd
 allow_plain = yes
 storage = mail
}
storage mail {
 module = maildir
 path = @/mail/%n
}
""".replace("@", srv.dir)


def hang(port):
    try:
        p = Pop(port)
        p.say("USER x%d@hang.example" % threading.get_ident(), "PASS restante")
        p.line()
        p.line()
        p.close()
    except OSError:
        pass


def main():
    tap = Tap()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a shell's limit of 1,024 is less than the connections
    srv = Server()
    users = {"idle%d" % i: "restante" for i in range(IDLE)}
    users.update({"slow%d" % i: "restante" for i in range(SLOW)})
    users.update({"calm%d" % i: "restante" for i in range(8)})
    srv.passwd(users)
    for user in users:
        if user.startswith("slow"):
            srv.maildir(user, [])
            with open(os.path.join(srv.path("mail", user), "new", "1.big"), "wb") as f:
                f.write(SHAPES["lines-1m"] * 4)
        elif user.startswith("calm"):
            srv.maildir(user, [SHAPES["plain"], SHAPES["lines-1m"]])
    srv.give(srv.path("mail"))
    srv.configure(config(srv), max_per_address=5000)
    srv.start()
    try:
        hung = [threading.Thread(target=hang, args=(srv.clear_port,), daemon=True) for _ in range(HUNG)]
        for t in hung:
            t.start()
        idle = []
        for i in range(IDLE):
            p = Pop(srv.clear_port)
            if p.login("idle%d" % i).startswith(b"+OK"):
                idle.append(p)
        tap.ok(len(idle) == IDLE, "%d of %d idle sessions are logged in" % (len(idle), IDLE))
        slow = []
        for i in range(SLOW):
            p = Pop(srv.clear_port)
            if p.login("slow%d" % i).startswith(b"+OK"):
                p.say("RETR 1")
                slow.append(p)
        tap.ok(len(slow) == SLOW, "%d of %d slow readers asked and do not read" % (len(slow), SLOW))
        out = srv.ctl("modules").stdout
        tap.ok("verify" in out, "the hung calls are seen by restantectl modules", out)
        good = 0
        worst = 0
        for rnd in range(5):
            for i in range(8):
                started = time.monotonic()
                p = Pop(srv.clear_port)
                if p.login("calm%d" % i).startswith(b"+OK") and p.fetch(1) == wire(SHAPES["plain"]) and \
                        p.fetch(2) == wire(SHAPES["lines-1m"]):
                    p.say("QUIT")
                    good += p.line().startswith(b"+OK")
                p.close()
                worst = max(worst, time.monotonic() - started)
        tap.ok(good == 40, "%d of 40 sessions of others were served meanwhile (the slowest took %.2f s)" % (good, worst))
        for verb in ("status", "sessions", "modules"):
            tap.ok(srv.ctl(verb).returncode == 0, "restantectl %s answers" % verb)
        tap.ok(all(p.fetch(1) == wire(SHAPES["lines-1m"] * 4) for p in slow[:5]), "a slow reader that wakes gets all of it")
        idle[0].say("NOOP")
        tap.ok(idle[0].line() == b"+OK\r\n", "an idle session is alive")
        tap.ok(srv.alive(), "the server is alive")
    finally:
        open(srv.path("release"), "w").close()
        rc = srv.close()
    tap.ok(rc == 0, "the server ended cleanly once the module let go", rc)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
