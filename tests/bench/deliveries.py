#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Deliveries by LMTP on a unix socket, restanted beside dovecot-lmtpd: the same maildirs in turn, in one run, fsync on
both sides. CPU of the server's whole process tree per message, deliveries a second, and both again when each
mailbox already holds thousands of messages; ours also with a quota, which needs the mailbox's total at each RCPT.

Usage: deliveries.py [--rounds N] [--messages N] [--full N] [--markdown FILE]"""
import argparse
import os
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from run import cpu_seconds  # noqa: E402
from server import Server, wait_until  # noqa: E402

USERS = 4
QUOTA = "restante with a quota"
BODY = b"Subject: bench\r\nFrom: clerk@example.org\r\n\r\n" + b"0123456789 0123456789 0123456789 0123456789 0123456789 12345\r\n" * 66

DOVECOT = """base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/log
protocols = lmtp
ssl = no
default_internal_user = dovecot
default_login_user = dovenull
mail_location = maildir:{mail}/%n
mail_fsync = always
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
postmaster_address = postmaster@example.test
userdb {{
  driver = static
  args = uid={user} gid={group} home={mail}/%n allow_all_users=yes
}}
passdb {{
  driver = static
  args = nopassword=y
}}
service lmtp {{
  process_min_avail = 2
  client_limit = 1
  service_count = 0
  unix_listener {d}/lmtp.sock {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Lmtp:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb")
        self.reply()
        self.say(b"LHLO bench\r\n")

    def reply(self):
        while True:
            line = self.file.readline()
            if not line:
                raise RuntimeError("the server closed")
            if line[3:4] != b"-":
                return line

    def say(self, data):
        self.sock.sendall(data)
        return self.reply()

    def deliver(self, user):
        self.sock.sendall(b"MAIL FROM:<clerk@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n" % user)
        for want in (b"2", b"2", b"3"):
            got = self.reply()
            if not got.startswith(want):
                raise RuntimeError(got)
        got = self.say(BODY + b".\r\n")
        if not got.startswith(b"2"):
            raise RuntimeError(got)


def load(path, connections, messages):
    """Wall seconds."""
    clients = [Lmtp(path) for _ in range(connections)]
    errors = []

    def work(k):
        try:
            for i in range(k, messages, connections):
                clients[k].deliver(b"user%d@example.test" % (i % USERS))
        except Exception as e:
            errors.append(e)
    threads = [threading.Thread(target=work, args=(k,)) for k in range(connections)]
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wall = time.monotonic() - start
    for c in clients:
        c.sock.close()
    if errors:
        raise errors[0]
    return wall


def count(mail):
    return sum(len(files) for base, _, files in os.walk(mail) if base.endswith(("/new", "/cur")))


class Restante:
    def __init__(self, name="restante", **settings):
        self.name = name
        self.s = s = Server()
        self.mail = s.path("mail")
        os.mkdir(self.mail, 0o755)
        s.give(self.mail)
        s.passwd({"user%d@example.test" % i: "x" for i in range(USERS)})
        self.socket = s.path("run", "lmtp")
        s.extra_listeners = "listener lmtp {\n protocol = lmtp\n path = %s\n mode = 0666\n}\n" % self.socket
        s.configure("auth a {\n module = passwd\n file = %s\n allow_plain = yes\n storage = m\n}\n"
                    "storage m {\n module = maildir\n path = %s/%%n\n}\n" % (s.path("passwd"), self.mail), **settings)
        s.start()
        self.pid = s.proc.pid
        self.owner = "nobody" if s.root else pwd.getpwuid(os.geteuid()).pw_name

    def close(self):
        self.s.close()


class Dovecot:
    name = "dovecot"

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="rst-dlv.", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.mail = os.path.join(self.dir, "mail")
        self.owner = "nobody"
        os.mkdir(self.mail)
        shutil.chown(self.mail, "nobody", "nogroup")
        for d in ("run", "state"):
            os.mkdir(os.path.join(self.dir, d))
        with open(os.path.join(self.dir, "dovecot.conf"), "w") as f:
            f.write(DOVECOT.format(d=self.dir, mail=self.mail, user="nobody", group="nogroup"))
        self.proc = subprocess.Popen(["dovecot", "-F", "-c", os.path.join(self.dir, "dovecot.conf")], start_new_session=True)
        self.pid = self.proc.pid
        self.socket = os.path.join(self.dir, "lmtp.sock")
        wait_until(lambda: os.path.exists(self.socket), 30, "dovecot")

    def close(self):
        self.proc.terminate()
        self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def fill(server, n):
    """Each mailbox holds n messages."""
    for i in range(USERS):
        base = os.path.join(server.mail, "user%d" % i)
        for d in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(base, d), exist_ok=True)
        for k in range(n):
            with open(os.path.join(base, "new", "%d.M%06dP1.bench,S=%d,W=%d" % (1700000000 + k, k, 60, 62)), "wb") as f:
                f.write(b"Subject: old\n\n" + b"x" * 44 + b"\n\n")
    subprocess.check_call(["chown", "-R", server.owner, server.mail])


def measure(server, connections, messages):
    """(ms of CPU a message, deliveries a second); every message is there afterwards."""
    before, cpu = count(server.mail), cpu_seconds(server.pid)
    wall = load(server.socket, connections, messages)
    time.sleep(0.1)
    cpu = cpu_seconds(server.pid) - cpu
    if count(server.mail) - before != messages:
        raise RuntimeError("%s: %d of %d messages are there" % (server.name, count(server.mail) - before, messages))
    return cpu * 1000 / messages, messages / wall


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--messages", type=int, default=640)
    p.add_argument("--full", type=int, default=4000)
    p.add_argument("--markdown")
    a = p.parse_args()
    results = {}
    for full in (0, a.full):
        servers = [Restante(), Restante(QUOTA, quota_messages="1000000"), Dovecot()]
        try:
            for s in servers:
                if full:
                    fill(s, full)
                load(s.socket, 1, USERS)  # mailboxes exist, files are warm
            for _ in range(a.rounds):
                for connections in (1, 16):
                    for s in servers:
                        results.setdefault((full, connections, s.name), []).append(measure(s, connections, a.messages))
        finally:
            for s in servers:
                s.close()
    lines = ["| mailbox holds | connections | restante ms CPU | with a quota | dovecot ms CPU | ratio | restante /s | dovecot /s | ratio |",
             "|---|---|---|---|---|---|---|---|---|"]
    for full in (0, a.full):
        for connections in (1, 16):
            r, q, d = ([statistics.median(x[k] for x in results[full, connections, name]) for k in (0, 1)]
                       for name in ("restante", QUOTA, "dovecot"))
            lines.append("| %d+ | %d | %.2f | %.2f | %.2f | %.2f | %.0f | %.0f | %.2f |" % (
                full, connections, r[0], q[0], d[0], r[0] / d[0], r[1], d[1], r[1] / d[1]))
    print("\n".join(lines))
    if a.markdown:
        with open(a.markdown, "w") as f:
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
