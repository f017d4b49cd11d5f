#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cost of an mbox: restanted beside a private Dovecot, each on its own copy of the same file, in turn, in one run. A
mailbox of 1,000 messages and one of 1 GiB: the first login (a scan), polls of the unchanged file, a poll after a message
was appended and one after the file was rewritten in place, fetching all, deleting the oldest message (the rewrite),
fetching and deleting all. CPU is that of the server's process tree, wall time
beside it. Usage: mbox.py [--rounds N] [--small]"""
import argparse
import os
import shutil
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop  # noqa: E402
from run import PASSWORD, Dovecot, cpu_seconds  # noqa: E402
from server import Server, mboxrd  # noqa: E402

POLLS = 50
LINE = b"The quick brown fox jumps over the lazy dog, line after line after line.\n"
SIZES = {"1,000 messages": (1000, 48), "1 GiB": (10000, 1435)}


def make(path, messages, lines):
    with open(path, "wb") as f:
        for k in range(messages):
            f.write(mboxrd(b"From: clerk@example.org\nSubject: letter %d\nMessage-ID: <%d@example.org>\n\n" % (k, k) +
                           LINE * lines, b"clerk@example.org", k))


class Restante:
    name = "restante"

    def __init__(self, srv):
        self.srv = srv
        srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                      "storage mail {\n module = mbox\n path = %s/%%n\n locks = fcntl dotlock\n}\n"
                      % (srv.path("passwd"), srv.path("mail", "restante")), max_per_address=20000)
        srv.start()
        self.pid, self.port = srv.proc.pid, srv.clear_port

    def stop(self):
        self.srv.stop()


def login(port):
    p = Pop(port)
    p.sock.settimeout(600)
    if not p.login("u0", PASSWORD).startswith(b"+OK"):
        raise SystemExit("login failed")
    return p


def end(p):
    reply = p.say("QUIT")
    if not reply.startswith(b"+OK"):
        raise SystemExit("QUIT: %r" % reply)
    p.close()


def poll(port):
    p = login(port)
    n = len(p.lines("UIDL"))
    end(p)
    return n


def retrieve(p, n):
    """The bytes of message n, counted."""
    p.sock.sendall(b"RETR %d\r\n" % n)
    total, tail = 0, b""
    while not tail.endswith(b"\r\n.\r\n"):
        data = p.sock.recv(1 << 18)
        if not data:
            raise SystemExit("the connection was lost")
        total += len(data)
        tail = (tail + data)[-5:]
    return total


def fetch(port, delete=False):
    p = login(port)
    n = len(p.lines("LIST"))
    total = sum(retrieve(p, k + 1) for k in range(n))
    if delete:
        for k in range(n):
            p.say("DELE %d" % (k + 1))
    end(p)
    return total


def oldest(port):
    p = login(port)
    p.say("DELE 1")
    end(p)


def nothing(path):
    pass


def append(path):
    """Mail comes in."""
    with open(path, "ab") as f:
        f.write(mboxrd(b"From: clerk@example.org\nSubject: late\n\n" + LINE, b"clerk@example.org", 1))


def rewrite(path):
    """Another program rewrites the same bytes; they might have been others of the same size."""
    with open(path, "r+b") as f:
        first = f.readline()
        f.seek(0)
        f.write(first)


# the change to the file first, the work that is measured, how often
WORK = (("first login", nothing, poll, 1), ("poll", nothing, poll, POLLS), ("poll, one more", append, poll, 1),
        ("poll, rewritten", rewrite, poll, 1), ("fetch all", nothing, fetch, 1), ("delete the oldest", nothing, oldest, 1),
        ("drain", nothing, lambda port: fetch(port, True), 1))


def one_round(servers, size, rows):
    for s in servers:
        box = s.srv_dir
        shutil.copyfile(size, os.path.join(box, "u0"))
        os.sync()
    time.sleep(1)
    for name, change, work, times in WORK:
        for s in servers:
            change(os.path.join(s.srv_dir, "u0"))
            before, start = cpu_seconds(s.pid), time.monotonic()
            for _ in range(times):
                work(s.port)
            wall = time.monotonic() - start
            time.sleep(0.1)
            rows.setdefault(name, {}).setdefault(s.name, []).append(
                ((cpu_seconds(s.pid) - before) * 1000 / times, wall * 1000 / times))


def measure(args):
    srv = Server(args.tree)
    srv.passwd({"u0": PASSWORD})
    for d in ("restante", "dovecot"):
        os.makedirs(srv.path("mail", d))
    out = ["| mailbox | work | restante CPU ms | Dovecot CPU ms | CPU ratio | restante wall ms | Dovecot wall ms |",
           "|---|---|---|---|---|---|---|"]
    ours = theirs = None
    try:
        for label, (messages, lines) in SIZES.items():
            if args.small and label != "1,000 messages":
                continue
            made, rows = srv.path("made"), {}
            make(made, messages, lines)
            for rnd in range(args.rounds if label == "1,000 messages" else 1):
                for d in ("restante", "dovecot"):
                    shutil.copyfile(made, srv.path("mail", d, "u0"))
                srv.give(srv.path("mail"))
                if not ours:
                    ours = Restante(srv)
                    theirs = Dovecot(srv, location="mbox:%s:INBOX=%s/%%n" % (srv.path("mail", "dovecot", ".folders"),
                                                                             srv.path("mail", "dovecot")))
                    ours.srv_dir, theirs.srv_dir = srv.path("mail", "restante"), srv.path("mail", "dovecot")
                one_round((ours, theirs) if rnd % 2 == 0 else (theirs, ours), made, rows)
            for name, got in rows.items():
                a, b = ([statistics.median(x[k] for x in got[s]) for k in (0, 1)] for s in ("restante", "dovecot"))
                out.append("| %s | %s | %.2f | %.2f | %.2f | %.1f | %.1f |" % (label, name, a[0], b[0], a[0] / max(b[0], 1e-9),
                                                                              a[1], b[1]))
    finally:
        for s in (ours, theirs):
            if s:
                s.stop()
        shutil.rmtree(srv.dir, ignore_errors=True)
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tree", default=os.environ.get("CHECK_TREE"))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--small", action="store_true")
    args = p.parse_args()
    if not shutil.which("dovecot"):
        raise SystemExit("dovecot is not installed: ./bootstrap bench installs it")
    print(measure(args))


if __name__ == "__main__":
    main()
