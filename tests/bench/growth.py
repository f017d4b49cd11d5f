#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Growth: what a login costs after 10, 1,000 and 100,000 sessions that fetched and deleted (it should stay flat), what lists and
`expire --all` cost over 1,000, 10,000 and 100,000 mailboxes (a line), and what a poll of an unchanged mysql mailbox does in the
database. CPU is that of the server's process tree. Usage: growth.py --load RST_LOAD [--most N] [--only logins|mailboxes|poll] [--store S...]"""
import argparse
import json
import os
import socket
import statistics
import sys
import threading
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import mysql  # noqa: E402
import run  # noqa: E402
from sections import accounts, store  # noqa: E402
from server import Server, mboxrd  # noqa: E402

SESSIONS, MAILBOXES = (10, 1000, 100000), (1000, 10000, 100000)
STORES = ("maildir", "mbox", "mysql")
LOGINS, ROUNDS = 200, 5
HOURS = 4 * 3600
DAY_MS = 86400000
TEXT = b"From: a@example.org\nSubject: letter\n\n" + b"a line of text\n" * 10


def session(port, user, *commands):
    """All commands in one write; the answers up to the end of the connection."""
    lines = ["USER " + user, "PASS " + run.PASSWORD, *commands, "QUIT"]
    with socket.create_connection(("127.0.0.1", port), 600) as s:
        s.sendall("".join(line + "\r\n" for line in lines).encode())
        out = b"".join(iter(lambda: s.recv(65536), b""))
    if b"-ERR" in out or out.count(b"+OK") < len(lines) + 1:
        raise SystemExit("session of %s: %r" % (user, out[-300:]))


# ---- sessions of one mailbox ---------------------------------------------------------------------


class OneMailbox:
    """Mail for `ann` comes in by another program's hands; each session fetches and deletes it."""

    def __init__(self, module):
        self.module, self.done = module, 0
        self.srv = Server()
        self.srv.mkdir("mail")
        self.srv.passwd({"ann": run.PASSWORD})
        if module == "maildir":
            self.srv.maildir("ann")
        else:
            self.srv.mbox("ann")
        self.srv.configure(accounts(self.srv) + store(self.srv, module, fsync="no"), max_per_address=20000)
        self.srv.start()

    def deliver(self):
        path = self.srv.path("mail", "ann")
        if self.module == "mbox":
            with open(path, "ab") as f:
                f.write(mboxrd(TEXT + b"%d\n" % self.done, b"clerk@example.org", self.done))
            return
        name = "%d.M%06dP1.host" % (1700000000 + self.done, self.done)
        with open(os.path.join(path, "tmp", name), "wb") as f:
            f.write(TEXT)
        os.rename(os.path.join(path, "tmp", name), os.path.join(path, "new", name))

    def stir(self):
        """Another program was there: nothing that is remembered of the last session is of use."""
        path = self.srv.path("mail", "ann")
        if self.module == "mbox":
            return os.utime(path)
        with open(os.path.join(path, "new", "passing"), "wb"):
            pass
        os.unlink(os.path.join(path, "new", "passing"))

    def more(self, until):
        while self.done < until:
            self.deliver()
            self.done += 1
            session(self.srv.clear_port, "ann", "RETR 1", "DELE 1")

    def ledger(self):
        """Octets."""
        where = self.srv.path("mail", "ann", "restante-ledger")
        if self.module == "mbox":
            base = self.srv.path("state", "mbox", "ledger")
            where = os.path.join(base, os.listdir(base)[0])
        return os.path.getsize(where)

    def logins(self):
        """(wall ms, CPU ms) of a login to the empty mailbox, for each round."""
        out = []
        for _ in range(ROUNDS):
            cpu, wall = run.cpu_seconds(self.srv.proc.pid), 0
            for _ in range(LOGINS):
                self.stir()
                began = time.monotonic()
                session(self.srv.clear_port, "ann", "STAT")
                wall += time.monotonic() - began
            out.append((wall * 1000 / LOGINS, (run.cpu_seconds(self.srv.proc.pid) - cpu) * 1000 / LOGINS))
        return out


def logins(args):
    yield "| fetch-and-delete sessions before | store | ledger KiB | login, wall ms | CPU ms |"
    yield "|---|---|---|---|---|"
    for module in ("maildir", "mbox"):
        box = OneMailbox(module)
        try:
            for n in SESSIONS:
                if n <= args.most:
                    box.more(n)
                    ledger, got = box.ledger(), box.logins()
                    wall, cpu = ([g[k] for g in got] for k in (0, 1))
                    yield "| %s | %s | %.0f | %s | %s |" % (format(n, ","), module, ledger / 1024, spread(wall), spread(cpu))
        finally:
            box.srv.close()


def spread(values):
    return "%.2f (%.2f to %.2f)" % (statistics.median(values), min(values), max(values))


# ---- many mailboxes ------------------------------------------------------------------------------


def ledger(*names):
    """A ledger that knows these messages as retrieved forty days ago."""
    when = int(time.time() * 1000) - 40 * DAY_MS
    lines = [b"M %s %s %d %d %d 0" % (n, n, len(TEXT) + TEXT.count(b"\n"), len(TEXT), when) for n in names]
    return b"restante-ledger 1\n" + b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines)


def fill_maildirs(srv, n):
    """Two messages each, one of them old."""
    for u in range(n):
        base = srv.path("mail", "u%d" % u)
        for d in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(base, d))
        for name in ("1700000000.M1P1.host", "1700000001.M2P1.host"):
            with open(os.path.join(base, "cur", name + ":2,S"), "wb") as f:
                f.write(TEXT)
        with open(os.path.join(base, "restante-ledger"), "wb") as f:
            f.write(ledger(b"1700000000.M1P1.host"))


def fill_mboxes(srv, n):
    """Two messages each, not retrieved: their ledgers have names that only the server makes."""
    os.makedirs(srv.path("mail"), exist_ok=True)
    for u in range(n):
        with open(srv.path("mail", "u%d" % u), "wb") as f:
            f.write(mboxrd(TEXT, b"clerk@example.org", u) + mboxrd(TEXT, b"clerk@example.org", u + 1))


def fill_rows(db, n):
    old = "UTC_TIMESTAMP(6) - INTERVAL 40 DAY"
    body = (TEXT.replace(b"\n", b"\r\n")).hex()
    db.sql("INSERT INTO mail_box (id, user_key, domain, messages, octets) SELECT seq, CONCAT('u', seq - 1), '', 2, %d FROM seq_1_to_%d;"
           "INSERT INTO mail_lease (mailbox) SELECT seq FROM seq_1_to_%d;"
           "INSERT INTO mail_message (mailbox, pos, body, octets, received, first_retrieved, uidl) SELECT seq, 1, seq * 2, %d, %s, %s,"
           " CONCAT('a', seq) FROM seq_1_to_%d;"
           "INSERT INTO mail_message (mailbox, pos, body, octets, received, uidl) SELECT seq, 2, seq * 2 + 1, %d, %s,"
           " CONCAT('b', seq) FROM seq_1_to_%d;"
           "INSERT INTO mail_chunk (body, seq, size, data) SELECT seq, 0, %d, X'%s' FROM seq_2_to_%d"
           % (len(body), n, n, len(body) // 2, old, old, n, len(body) // 2, old, n, len(body) // 2, body, 2 * n + 1))


class Beside:
    """A user who logs in every 50 ms meanwhile: how long that takes."""

    def __init__(self, port, boxes):
        self.port, self.boxes, self.took, self.end = port, boxes, [], threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        k = 0
        while not self.end.wait(0.05):
            k = (k + 7919) % self.boxes
            began = time.monotonic()
            try:
                session(self.port, "u%d" % k, "STAT")
                self.took.append((time.monotonic() - began) * 1000)
            except SystemExit:
                self.took.append(float("inf"))  # refused, [IN-USE] above all

    def stop(self):
        self.end.set()
        self.thread.join()
        took = sorted(t for t in self.took if t != float("inf"))
        return "%.0f and %.0f" % (took[len(took) // 2], took[-1]) if took else "-", len(self.took) - len(took)


def order(srv, *words):
    """(seconds, CPU seconds, mailboxes, messages) of restantectl's verb."""
    began, cpu = time.monotonic(), run.cpu_seconds(srv.proc.pid)
    done = srv.ctl("--json", *words, timeout=HOURS)
    took = time.monotonic() - began, run.cpu_seconds(srv.proc.pid) - cpu
    try:
        told = json.loads(done.stdout)
    except ValueError:
        raise SystemExit("%s: %s%s" % (words, done.stdout, done.stderr))
    return (*took, told.get("mailboxes"), told.get("messages"))


def over(module, n, db):
    """Rows for one store with so many mailboxes."""
    srv = Server()
    srv.mkdir("mail")
    try:
        srv.passwd({"u%d" % u: run.PASSWORD for u in range(n)})
        if module == "mysql":
            fill_rows(db, n)
            section = db.section()
        else:
            (fill_maildirs if module == "maildir" else fill_mboxes)(srv, n)
            section = store(srv, module)
        srv.give(srv.path("mail"))
        srv.configure(accounts(srv) + section, expire=30, max_per_address=20000)
        srv.start()
        for words, what in ((("expire", "--all", "--dry-run"), "dry run"), (("expire", "--all"), "expire"), (("expire", "--all"), "again")):
            users = Beside(srv.clear_port, n)
            seconds, cpu, boxes, messages = order(srv, *words)
            logins, refused = users.stop()
            yield "| %s | %s | %s | %s | %s | %.1f | %.2f | %.2f | %s | %d |" % (
                format(n, ","), module, what, boxes, messages, seconds, seconds * 1000 / n, cpu * 1000 / n, logins, refused)
    finally:
        srv.close()


def mailboxes(args):
    yield ("| mailboxes | store | work | listed | messages | s | ms a mailbox | CPU ms a mailbox | logins meanwhile, median and longest ms |"
           " refused |")
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for module in args.store:
        for n in MAILBOXES:
            if n <= args.most:
                db = mysql.MailStore(innodb_flush_log_at_trx_commit=1, innodb_buffer_pool_size="256M") if module == "mysql" else None
                try:
                    yield from over(module, n, db)
                finally:
                    if db:
                        db.close()


# ---- a poll of an unchanged mysql mailbox --------------------------------------------------------

COUNTERS = ("Questions", "Com_commit", "Handler_commit", "Handler_write", "Handler_update", "Handler_delete",
            "Innodb_log_writes")


def poll(args):
    """The heartbeat that a server writes in any case is taken off."""
    db = mysql.MailStore(innodb_flush_log_at_trx_commit=1, innodb_doublewrite=1, innodb_buffer_pool_size="256M")
    yield "| poll of an unchanged mysql mailbox | %s |" % " | ".join(COUNTERS)
    yield "|---" * (len(COUNTERS) + 1) + "|"
    try:
        s = mysql.Store("mysql", db, lambda srv: db.section(), lambda srv: db.settings())
        run.load(args, s, "poll", False, 200, 2)  # warm
        for clients, count in ((1, 2000), (2, 2000)):
            rates = measured(db, lambda: run.load(args, s, "poll", False, count, clients))
            yield "| %d polls by %d client%s | %s |" % (count, clients, "s" * (clients > 1),
                                                       " | ".join("%.2f" % max(rates[c] / count, 0) for c in COUNTERS))
        s.srv.close()
    finally:
        db.close()


def measured(db, work):
    """The counters' gain by it, less their gain in the same time without work."""
    def now():
        rows = dict(db.sql("SHOW GLOBAL STATUS"))
        return {c: int(rows[c]) for c in COUNTERS}
    first, began = now(), time.monotonic()
    work()
    second, took = now(), time.monotonic() - began
    time.sleep(took)
    third = now()
    return {c: (second[c] - first[c]) - (third[c] - second[c]) for c in COUNTERS}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--load", required=True)
    p.add_argument("--most", type=int, default=100000)
    p.add_argument("--only", choices=("logins", "mailboxes", "poll"))
    p.add_argument("--store", nargs="*", default=STORES, choices=STORES, help="of mailboxes")
    args = p.parse_args()
    for part in (logins, mailboxes, poll):
        if args.only in (None, part.__name__):
            for line in part(args):
                print(line, flush=True)
            print(flush=True)


if __name__ == "__main__":
    main()
