#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the storage module mysql beside maildir: the same mail, in turn, in one run. For each kind of work: CPU and wall
time per unit, CPU of the database, and its statements (the counter Questions: one round trip each) and log writes, each
flushed to disk. Usage: mysql.py --load RST_LOAD [--markdown FILE]
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import run as bench  # noqa: E402
from databases import arguments  # noqa: E402
from mailbed import Lmtp  # noqa: E402
from mailstore import TREE, MailStore  # noqa: E402
from pop import Pop  # noqa: E402
from server import Server, free_port  # noqa: E402

ACT = os.path.join(os.environ.get("top_builddir", "."), "tests/crash/act")
CLIENTS = 2  # never two on one mailbox, however far they drift apart
COUNTERS = ("Questions", "Innodb_log_writes")
TEXT = b"Subject: four KiB\r\n\r\n" + b"0123456789abcdef" * 4 * 62 + b"\r\n"


class Store:
    """One restanted on one store."""

    def __init__(self, name, db, section, settings):
        self.name, self.db = name, db
        self.srv = Server()
        self.lmtp_port = free_port()
        self.srv.passwd({"u%d" % u: bench.PASSWORD for u in range(bench.USERS)})
        os.makedirs(self.srv.path("mail"), exist_ok=True)
        self.srv.extra_listeners = ("delivery {\n postmaster = u0\n}\nlistener lmtp {\n protocol = lmtp\n"
                                    " address = 127.0.0.1\n port = %d\n tls = none\n}\n" % self.lmtp_port)
        self.settings = settings(self.srv)
        self.fill()
        self.srv.give(self.srv.path("mail"))
        self.srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n%s"
                           % (self.srv.path("passwd"), section(self.srv)), max_per_address=20000)
        self.srv.start()
        self.pid, self.port, self.tls_port = self.srv.proc.pid, self.srv.clear_port, self.srv.tls_port

    def fill(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as d:
            for u in range(bench.USERS):
                files = []
                for i in range(bench.MESSAGES):
                    files.append(os.path.join(d, "%03d" % i))
                    with open(files[-1], "wb") as f:
                        f.write(bench.message(u, i).replace(b"\n", b"\r\n"))
                out = subprocess.run([ACT, os.path.join(TREE, "lib/restante/modules/%s.so" % self.name),
                                      *arguments(self.settings), "deliver", "u%d" % u, *files], capture_output=True, text=True)
                if out.stdout.count("delivery OK") != bench.MESSAGES:
                    raise SystemExit(out.stdout + out.stderr)

    def counters(self):
        if not self.db:
            return {c: 0 for c in COUNTERS}
        rows = dict(self.db.sql("SHOW GLOBAL STATUS"))
        return {c: int(rows[c]) for c in COUNTERS}

    def measured(self, units, fn):
        """CPU and wall ms, and the database's counters, per unit."""
        before, cpu = self.counters(), bench.cpu_seconds(self.pid)
        db_cpu = bench.cpu_seconds(self.db.proc.pid) if self.db else 0
        began = time.monotonic()
        fn()
        wall = time.monotonic() - began
        r = {"wall": wall * 1000 / units, "cpu": (bench.cpu_seconds(self.pid) - cpu) * 1000 / units,
             "db_cpu": (bench.cpu_seconds(self.db.proc.pid) - db_cpu) * 1000 / units if self.db else 0}
        after = self.counters()
        r.update({c: (after[c] - before[c] - (c == "Questions")) / units for c in COUNTERS})
        return r


def drain(store, users):
    for u in users:
        p = Pop(store.port)
        if not p.login("u%d" % u).startswith(b"+OK"):
            raise SystemExit(store.srv.log()[-2000:])
        n = len(p.lines("LIST"))
        for k in range(1, n + 1):
            p.lines("RETR %d" % k)
            p.say("DELE %d" % k)
        if n == 0 or not p.say("QUIT").startswith(b"+OK"):
            raise SystemExit("drain: %d messages\n%s" % (n, store.srv.log()[-2000:]))
        p.close()


def deliver(store, n, rcpts):
    lmtp = Lmtp(store.lmtp_port)
    for k in range(n):
        replies = lmtp.send(*["u%d" % ((k + r) % bench.USERS) for r in range(rcpts)], text=TEXT)
        if not all(r.startswith(b"250") for r in replies):
            raise SystemExit("%r\n%s" % (replies, store.srv.log()[-2000:]))
    lmtp.close()


def measure(args, stores):
    rows = []

    def row(name, units, fn, rounds=args.rounds):
        got = {s.name: [] for s in stores}
        for k in range(rounds):
            for s in stores if k % 2 == 0 else stores[::-1]:
                got[s.name].append(s.measured(units, lambda s=s, k=k: fn(s, k)))
        rows.append((name, {n: {key: statistics.median(r[key] for r in v) for key in v[0]} for n, v in got.items()}))

    for s in stores:
        bench.load(args, s, "poll", False, 200, CLIENTS)  # warm
    row("poll, 50 messages", args.count, lambda s, k: bench.load(args, s, "poll", False, args.count, CLIENTS))
    row("fetch, 50 messages of 4 KiB", args.count // 10, lambda s, k: bench.load(args, s, "fetch", False, args.count // 10, CLIENTS))
    row("drain, 50 messages of 4 KiB", 20, lambda s, k: drain(s, range(k * 20, k * 20 + 20)))
    row("deliver 4 KiB to one", args.count // 2, lambda s, k: deliver(s, args.count // 2, 1))
    row("deliver 4 KiB to ten", args.count // 10, lambda s, k: deliver(s, args.count // 10, 10))
    return rows


def table(rows):
    out = ["| work, per session or message | maildir CPU ms | mysql CPU ms | CPU ratio | MariaDB CPU ms | maildir wall ms | mysql wall ms |"
           " round trips | log writes |", "|---|---|---|---|---|---|---|---|---|"]
    for name, got in rows:
        a, b = got["maildir"], got["mysql"]
        out.append("| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.1f | %.1f |" % (
            name, a["cpu"], b["cpu"], b["cpu"] / max(a["cpu"], 1e-9), b["db_cpu"], a["wall"], b["wall"], b["Questions"],
            b["Innodb_log_writes"]))
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--load", required=True)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--count", type=int, default=300)
    p.add_argument("--markdown")
    args = p.parse_args()
    db = MailStore(innodb_flush_log_at_trx_commit=1, innodb_doublewrite=1, innodb_buffer_pool_size="256M")
    stores = []
    try:
        stores.append(Store("maildir", None, lambda s: "storage mail {\n module = maildir\n path = %s/%%n\n}\n" % s.path("mail"),
                            lambda s: {"path": s.path("mail") + "/%n"}))
        stores.append(Store("mysql", db, lambda s: db.section(), lambda s: db.settings()))
        text = table(measure(args, stores))
    finally:
        for s in stores:
            s.srv.close()
        db.close()
    print(text)
    if args.markdown:
        with open(args.markdown, "w") as f:
            f.write(text + "\n")


if __name__ == "__main__":
    main()
