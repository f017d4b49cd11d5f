#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures restanted beside a private, tuned Dovecot: the same maildirs, in turn, in one run.

Counted are the CPU time of the server's whole process tree per unit (session, MiB), the wall time,
and the memory per idle connection. Every row is a ratio of medians over the rounds; a machine that
drifts drifts for both. The load generator verifies everything it receives, and the checksums of both servers
must be equal. Usage: run.py --load RST_LOAD [--rounds N] [--quick] [--markdown FILE]
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from server import Server, free_port, port_open, wait_until  # noqa: E402

USERS, MESSAGES, PASSWORD = 100, 50, "restante"
TICK = os.sysconf("SC_CLK_TCK")


def tree_of(pid):
    """pid and all its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = open("/proc/%s/stat" % entry).read()
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        todo += children.get(p, [])
    return out


def cpu_seconds(pid):
    """User and system time of the tree; children that ended are in their parents' figures."""
    total = 0
    for p in tree_of(pid):
        try:
            fields = open("/proc/%d/stat" % p).read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(x) for x in fields[11:15])
    return total / TICK


def memory_kib(pid):
    """Proportional set size of the tree."""
    total = 0
    for p in tree_of(pid):
        try:
            for line in open("/proc/%d/smaps_rollup" % p):
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total


def message(user, i):
    head = ("Return-Path: <clerk@example.org>\nReceived: from a.example.org by b.example.org; "
            "Mon, 23 Nov 2026 18:00:00 +0000\nFrom: clerk@example.org\nTo: u%d@example.org\n"
            "Subject: letter %d\nMessage-ID: <%d.%d@example.org>\n\n" % (user, i, user, i))
    line = "The quick brown fox jumps over the lazy dog, line after line after line.\n"
    return (head + line * (10 + (i * 37) % 90)).encode()


def make_mail(srv):
    for u in range(USERS):
        srv.maildir("u%d" % u, [])
        cur = srv.path("mail", "u%d" % u, "cur")
        for i in range(MESSAGES):
            raw = message(u, i)
            name = "%d.M%06dP1.bench,S=%d,W=%d:2,S" % (1700000000 + i, i, len(raw), len(raw) + raw.count(b"\n"))
            with open(os.path.join(cur, name), "wb") as f:
                f.write(raw)
    srv.give(srv.path("mail"))


class Restante:
    name = "restante"

    def __init__(self, srv):
        self.srv = srv
        srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                      "storage mail {\n module = maildir\n path = %s/%%n\n}\n"
                      % (srv.path("passwd"), srv.path("mail")),
                      max_per_address=20000, max_sessions=3000)
        srv.start()
        self.pid, self.port, self.tls_port = srv.proc.pid, srv.clear_port, srv.tls_port

    def stop(self):
        self.srv.stop()


class Dovecot:
    """Debian's, private, tuned: long-lived login and mail processes, no flag updates, cheap auth."""
    name = "dovecot"

    @staticmethod
    def secret_file(srv, name, text):
        """Writes a file that its processes can read; returns its name."""
        path = srv.path("dovecot-" + "".join(c for c in name if c.isalnum()))
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    @staticmethod
    def file_of_users(srv, count=USERS):
        """A passdb: (driver, args)."""
        users = "".join("u%d:{PLAIN}%s\n" % (u, PASSWORD) for u in range(count))
        return "passwd-file", Dovecot.secret_file(srv, "users", users)

    def __init__(self, srv, passdb=None, cache="10M", location=None):
        location = location or "maildir:%s/%%n" % srv.path("mail")
        uidl = "%f" if location.startswith("maildir:") else "%08Xv%08Xu"
        passdb = passdb or self.file_of_users(srv)
        self.dir = srv.path("dovecot")
        os.makedirs(self.dir)
        os.chmod(self.dir, 0o755)
        self.port, self.tls_port = free_port(), free_port()
        user = "nobody" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
        group = "nogroup" if os.geteuid() == 0 else str(os.getegid())
        internal = "dovecot" if os.geteuid() == 0 else user
        login = "dovenull" if os.geteuid() == 0 else user
        with open(os.path.join(self.dir, "dovecot.conf"), "w") as f:
            f.write(f"""
base_dir = {self.dir}/run
state_dir = {self.dir}/state
log_path = {self.dir}/log
protocols = pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{srv.path("cert.pem")}
ssl_key = <{srv.path("key.pem")}
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = no
default_internal_user = {internal}
default_login_user = {login}
default_process_limit = 2000
default_client_limit = 9000
mail_max_userip_connections = 0
first_valid_uid = 1
passdb {{
  driver = {passdb[0]}
  args = {passdb[1]}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={srv.path("mail")}/%n
}}
auth_cache_size = {cache}
mail_location = {location}
mbox_very_dirty_syncs = yes
mbox_write_locks = fcntl dotlock
mail_fsync = optimized
maildir_very_dirty_syncs = yes
pop3_no_flag_updates = yes
pop3_fast_size_lookups = yes
pop3_uidl_format = {uidl}
verbose_proctitle = no
service pop3-login {{
  service_count = 0
  process_min_avail = 2
  client_limit = 4000
  inet_listener pop3 {{
    port = {self.port}
  }}
  inet_listener pop3s {{
    port = {self.tls_port}
    ssl = yes
  }}
}}
service pop3 {{
  service_count = 100000
  process_min_avail = 8
  process_limit = 2000
}}
service auth {{
  client_limit = 12000
}}
service anvil {{
  client_limit = 12000
}}
service stats {{
  client_limit = 12000
}}
""")
        self.proc = subprocess.Popen(["dovecot", "-F", "-c", os.path.join(self.dir, "dovecot.conf")],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=open(os.path.join(self.dir, "err"), "wb"), start_new_session=True)
        self.pid = self.proc.pid

        def up():
            if self.proc.poll() is not None:
                raise RuntimeError("dovecot ended: " + open(os.path.join(self.dir, "err")).read())
            return port_open(self.tls_port)
        wait_until(up, 15, "dovecot to listen")

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait(20)


def load(args, server, mode, tls, count, clients=8, users=USERS):
    port = server.tls_port if tls else server.port
    cmd = [args.load, "-p", str(port), "-m", mode, "-u", str(users), "-k", str(MESSAGES), "-c", str(clients),
           "-n", str(count), "-w", PASSWORD] + (["-t"] if tls else [])
    before = cpu_seconds(server.pid)
    out = subprocess.run(cmd, capture_output=True, text=True, timeout=300)
    time.sleep(0.1)
    after = cpu_seconds(server.pid)
    if out.returncode != 0:
        raise SystemExit("%s %s: %s %s" % (server.name, mode, out.stdout, out.stderr))
    r = json.loads(out.stdout)
    r["cpu_ms"] = (after - before) * 1000 / r["sessions"]
    r["wall_ms"] = r["seconds"] * 1000 / r["sessions"]
    return r


def idle(args, server, tls, count):
    before = memory_kib(server.pid)
    port = server.tls_port if tls else server.port
    cmd = [args.load, "-p", str(port), "-m", "idle", "-u", str(USERS), "-n", str(count), "-w", PASSWORD]
    p = subprocess.Popen(cmd + (["-t"] if tls else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if p.stdout.readline().strip() != "idle":
        raise SystemExit("%s: idle sessions failed" % server.name)
    time.sleep(1)
    after = memory_kib(server.pid)
    p.stdin.close()
    p.wait(30)
    time.sleep(1)
    return (after - before) / count


def measure(args):
    srv = Server(args.tree)
    srv.passwd({"u%d" % u: PASSWORD for u in range(USERS)})
    make_mail(srv)
    time.sleep(2.1)  # no server trusts directory times younger than 2 s
    ours, theirs = Restante(srv), Dovecot(srv)
    n = 300 if args.quick else 3000
    rows = []
    try:
        for mode in ("login", "poll", "fetch"):
            for tls in (False, True):
                count = max(100, n // 5) if mode == "fetch" else n
                got = {s.name: [] for s in (ours, theirs)}
                for s in (ours, theirs):
                    load(args, s, mode, tls, 200)  # warm
                for rnd in range(args.rounds):
                    for s in (ours, theirs) if rnd % 2 == 0 else (theirs, ours):
                        got[s.name].append(load(args, s, mode, tls, count))
                if mode == "fetch":
                    sums = {r["checksum"] for v in got.values() for r in v}
                    if len(sums) != 1:
                        raise SystemExit("the servers sent different mail: %s" % sums)
                rows.append((mode, "TLS 1.3" if tls else "plain", got))
        memory = []
        users = USERS  # a maildrop is exclusive here: one idle session each
        for tls in (False, True):
            memory.append(("TLS 1.3" if tls else "plain", idle(args, ours, tls, users), idle(args, theirs, tls, users)))
    finally:
        ours.stop()
        theirs.stop()
        shutil.rmtree(srv.dir, ignore_errors=True)
    return rows, memory


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def table(rows, memory):
    out = ["| work | transport | restante CPU ms | Dovecot CPU ms | CPU ratio | restante wall ms | Dovecot wall ms | p99 ms, both |",
           "|---|---|---|---|---|---|---|---|"]
    for mode, transport, got in rows:
        a, b = got["restante"], got["dovecot"]
        out.append("| %s | %s | %.3f | %.3f | %.2f | %.3f | %.3f | %.1f / %.1f |" % (
            mode, transport, median(a, "cpu_ms"), median(b, "cpu_ms"),
            median(a, "cpu_ms") / max(median(b, "cpu_ms"), 1e-9), median(a, "wall_ms"), median(b, "wall_ms"),
            median(a, "p99_ms"), median(b, "p99_ms")))
    out += ["", "| memory per idle logged-in connection | restante KiB | Dovecot KiB | ratio |", "|---|---|---|---|"]
    for transport, a, b in memory:
        out.append("| %s | %.1f | %.1f | %.3f |" % (transport, a, b, a / b))
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--load", required=True)
    p.add_argument("--tree", default=os.environ.get("CHECK_TREE"))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--markdown")
    args = p.parse_args()
    if not shutil.which("dovecot"):
        raise SystemExit("dovecot is not installed: ./bootstrap bench installs it")
    text = table(*measure(args))
    print(text)
    if args.markdown:
        with open(args.markdown, "w") as f:
            f.write(text + "\n")


if __name__ == "__main__":
    main()
