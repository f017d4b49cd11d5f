#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One commit beside another: what a change costs or saves. Both serve the same work in turn, round after round, in one
run: CPU of the server's process tree per session or message, with the spread of the rounds, since a difference
inside it means nothing; and the instructions that callgrind counts for the same work, which do not depend on what
else the machine does.

Usage: compare.py --before TREE --load RST_LOAD [--rounds N] [--quick] [--markdown FILE]; CHECK_TREE is the tree after."""
import argparse
import os
import shutil
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import deliveries  # noqa: E402
import run  # noqa: E402
from server import Server  # noqa: E402

CLIENTS, CONNECTIONS = 8, (1, 16)


class Counted(Server):
    """Its restanted runs under callgrind; `counted` is the number of instructions of a run that ended."""

    def bin(self, name):
        real = Server.bin(self, name)
        if name != "restanted":
            return real
        out = self.write("calls", "")
        self.give(out)  # opened by root first, and written by the service user
        script = self.path("callgrind")
        with open(script, "w") as f:
            f.write("#!/bin/sh\nexec valgrind -q --tool=callgrind --callgrind-out-file=%s %s \"$@\"\n"
                    % (out, real))
        os.chmod(script, 0o755)
        return script

    def counted(self):
        with open(self.path("calls")) as f:
            return next(int(line.split()[1]) for line in f if line.startswith(("totals:", "summary:")))


class Pop3:
    """Sessions of one kind, over one kind of transport."""

    def __init__(self, mode, tls):
        self.mode, self.tls = mode, tls
        self.name = "%s, %s" % (mode, "TLS 1.3" if tls else "plain")
        self.times = 5 if mode == "fetch" else 1

    def prepare(self, srv):
        srv.passwd({"u%d" % u: run.PASSWORD for u in range(run.USERS)})
        run.make_mail(srv)

    def settings(self):
        return {"max_per_address": 20000}

    def do(self, args, server, count, clients=CLIENTS):
        """CPU ms a session."""
        return run.load(args, server, self.mode, self.tls, max(count // self.times, clients), clients)["cpu_ms"]


class Lmtp:
    """Messages of 4 KiB."""

    def __init__(self, connections):
        self.connections = connections
        self.name = "delivery, %d connection%s" % (connections, "s" * (connections > 1))
        self.times = 5

    def prepare(self, srv):
        srv.passwd({"user%d@example.test" % i: "x" for i in range(deliveries.USERS)})
        srv.mkdir("mail")
        srv.listen("lmtp", path=srv.path("run", "lmtp"))

    def settings(self):
        return {}

    def do(self, args, server, count, clients=None):
        """CPU ms a message."""
        count = max(count // self.times, self.connections)
        before = run.cpu_seconds(server.pid)
        deliveries.load(server.srv.path("run", "lmtp"), self.connections, count)
        return (run.cpu_seconds(server.pid) - before) * 1000 / count


class Restante:
    def __init__(self, srv, work):
        self.srv, self.name = srv, "restante"
        work.prepare(srv)
        srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                      "storage mail {\n module = maildir\n path = %s/%%n\n}\n"
                      % (srv.path("passwd"), srv.path("mail")), **work.settings())
        time.sleep(2.1)  # directory times younger than 2 s are trusted by nobody
        srv.start()
        self.pid, self.port, self.tls_port = srv.proc.pid, srv.clear_port, srv.tls_port


def cpu(args, work, trees):
    """For each tree the CPU ms of every round."""
    servers = [Restante(Server(tree), work) for tree in trees]
    got = [[] for _ in trees]
    try:
        for s in servers:
            work.do(args, s, 200)  # warm
        for i in range(args.rounds):
            for k in (0, 1) if i % 2 == 0 else (1, 0):
                got[k].append(work.do(args, servers[k], args.count))
    finally:
        for s in servers:
            s.srv.close()
    return got


def instructions(args, work, tree):
    """Of one session or message: a run with more of them less a run with fewer, so that start and end do not count."""
    totals = []
    small, large = 100, 400
    for n in (small, large):
        srv = Counted(tree)
        try:
            s = Restante(srv, work)
            work.do(args, s, n * work.times, clients=1)
            srv.stop()
            totals.append(srv.counted())
        finally:
            srv.close()
    return (totals[1] - totals[0]) / (large - small)


def spread(values):
    return "%.3f (%.3f to %.3f)" % (statistics.median(values), min(values), max(values))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--before", required=True)
    p.add_argument("--load", required=True)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--markdown")
    args = p.parse_args()
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is not installed: ./bootstrap bench installs it")
    args.count = 500 if args.quick else 3000
    trees = [args.before, os.environ["CHECK_TREE"]]
    works = [Pop3(m, tls) for m in ("login", "poll", "fetch") for tls in (False, True)] + [Lmtp(n) for n in CONNECTIONS]
    lines = ["| work | instructions before | after | ratio | CPU ms before | after | ratio |", "|---|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    for work in works:
        count = [instructions(args, work, t) for t in trees]
        ms = cpu(args, work, trees)
        lines.append("| %s | %.0f | %.0f | %.3f | %s | %s | %.2f |" % (
            work.name, *count, count[1] / count[0], *map(spread, ms),
            statistics.median(ms[1]) / max(statistics.median(ms[0]), 1e-9)))
        print(lines[-1], flush=True)
    if args.markdown:
        with open(args.markdown, "w") as f:
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
