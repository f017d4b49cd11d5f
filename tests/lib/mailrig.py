# SPDX-License-Identifier: Apache-2.0
"""Mail on its way from a real Postfix through restanted's LMTP socket into a store and out by POP3, counted.

A copy is a message for one user; a message carries its number in X-Seq, its first header line, and everything from
there on must come out as it went in. Two deliveries of one copy have two unique-ids: that is a duplicate; the
same unique-id seen twice is one delivery whose deletion was not committed.
"""
import collections
import os
import random
import re
import subprocess
import threading
import time

from mailstore import MailStore
from pop import Pop
from postfix import Postfix
from sections import block
from server import Server, wait_until
from shapes import SHAPES, wire

DOMAIN = "example.test"
LARGE = 300000


def plain_shapes():
    """A message that mail servers pass on unchanged: every line ends, no lone CR, no NUL, a header."""
    out = {}
    for name, raw in SHAPES.items():
        text = raw.replace(b"\r\n", b"\n")
        head = text.split(b"\n", 1)[0]
        if b"\r" in text or b"\0" in text or len(raw) > LARGE or b":" not in head or b"\n\n" not in text:
            continue
        lines = text.split(b"\n\n", 1)[0].split(b"\n")
        if all(re.match(rb"[A-Za-z-]+:|[ \t]", line) for line in lines) and len(lines) < 400:
            out[name] = wire(raw)
    return out


PLAIN = plain_shapes()


class Rig:
    def __init__(self, store, users, seed=1):
        self.store, self.users, self.rng = store, ["user%d" % i for i in range(users)], random.Random(seed)
        self.server = s = Server()
        os.mkdir(s.path("sock"), 0o755)
        s.give(s.path("sock"))
        self.socket = s.path("sock", "lmtp")
        os.mkdir(s.path("mail"), 0o755)
        s.give(s.path("mail"))
        s.extra_listeners = "listener lmtp {\n protocol = lmtp\n path = %s\n mode = 0666\n}\n" % self.socket
        self.db = MailStore() if store == "mysql" else None
        self.passwords()
        s.configure(self.sections(), default_domain=DOMAIN, max_per_address="0")
        self.lock = threading.Lock()
        self.sent = {}                    # seq -> (users, bytes)
        self.doubted = collections.Counter()  # seq: how often restante-deliver lost the reply
        self.copies = collections.defaultdict(dict)  # (seq, user) -> uidl -> how often it was fetched
        self.wrong = []
        self.queue_ids = {}               # seq -> Postfix's queue id
        self.deleted = 0
        self.stop = threading.Event()

    def passwords(self):
        if self.store != "ram":
            self.server.passwd({"%s@%s" % (u, DOMAIN): "restante" for u in self.users})

    def sections(self):
        s = self.server
        auth = block("auth", "accounts", module="passwd", file=s.path("passwd"), allow_plain="yes", storage="mail", domains=DOMAIN)
        if self.store == "ram":
            auth = "auth accounts {\n module = ram\n%s storage = mail\n}\n" % "".join(
                " user = %s@%s:restante\n" % (u, DOMAIN) for u in self.users)
            return auth + "storage mail {\n module = ram\n}\n"
        if self.store == "mysql":
            return auth + self.db.section(lease_time="30s")  # a killed session holds its maildrop so long
        if self.store == "mbox":
            return auth + "storage mail {\n module = mbox\n path = %s/%%n\n}\n" % s.path("mail")
        return auth + "storage mail {\n module = maildir\n path = %s/%%n\n}\n" % s.path("mail")

    def postfix(self, services=(), **more):
        return Postfix({"virtual_mailbox_domains": DOMAIN, "virtual_mailbox_maps": "static:all",
                        "virtual_transport": "lmtp:unix:" + self.socket, "local_header_rewrite_clients": "",
                        "lmtp_line_length_limit": "0", "smtpd_peername_lookup": "no", "lmtp_destination_concurrency_limit": "16",
                        "lmtp_destination_concurrency_failed_cohort_limit": "100", "maximal_queue_lifetime": "1d",
                        "default_process_limit": "40", "in_flow_delay": "0", **more}, services)

    # ---- in -------------------------------------------------------------------------------------

    def message(self, seq):
        with self.lock:
            name = self.rng.choice(list(PLAIN))
            to = self.rng.sample(self.users, self.rng.choice((1, 1, 1, 2, 3)))
        raw = b"X-Seq: %d\r\n" % seq + PLAIN[name]
        return to, raw

    def send(self, postfix, seq):
        to, raw = self.message(seq)
        with self.lock:
            self.sent[seq] = (to, raw)
        postfix.send("clerk@example.org", ["%s@%s" % (u, DOMAIN) for u in to], raw)

    def pipe(self, seq):
        """By restante-deliver; one recipient."""
        to, raw = self.message(seq)
        with self.lock:
            self.sent[seq] = (to[:1], raw)
        self.pipe_until(seq, "%s@%s" % (to[0], DOMAIN), raw)

    def pipe_until(self, seq, address, raw):
        """Again and again until it exits 0."""
        cmd = [self.server.bin("restante-deliver"), "-s", self.socket, "-a", address, "-f", "pipe@example.org"]
        while not self.stop.is_set():
            done = subprocess.run(cmd, input=raw, capture_output=True, timeout=120)
            if done.returncode == 0:
                return
            if done.returncode != 75:
                raise RuntimeError("restante-deliver: %d %r" % (done.returncode, done.stderr))
            if b"was lost" in done.stderr:
                with self.lock:
                    self.doubted[seq] += 1
            time.sleep(0.2)

    # ---- out ------------------------------------------------------------------------------------

    def fetch(self, user):
        """One POP3 session: everything is read and deleted. Returns how many messages."""
        with Pop(self.server.clear_port) as p:
            if not p.greeting.startswith(b"+OK") or not p.login("%s@%s" % (user, DOMAIN)).startswith(b"+OK"):
                return 0
            uidls = [line.split()[1] for line in p.lines("UIDL") or []]
            seen = []
            for n, uidl in enumerate(uidls, 1):
                lines = p.lines("RETR %d" % n)
                if lines is None:
                    return 0
                seen.append((uidl, b"".join(x[1:] if x.startswith(b".") else x for x in lines)))
                if not p.say("DELE %d" % n).startswith(b"+OK"):
                    return 0
            for uidl, raw in seen:
                self.note(user, uidl, raw)
            if uidls and p.say("QUIT").startswith(b"+OK"):
                with self.lock:
                    self.deleted += len(uidls)
            return len(uidls)

    def note(self, user, uidl, raw):
        at = raw.find(b"X-Seq: ")
        seq = int(raw[at + 7:raw.find(b"\r\n", at)]) if at >= 0 else -1
        with self.lock:
            if seq not in self.sent or user not in self.sent[seq][0] or raw[at:] != self.sent[seq][1]:
                self.wrong.append((user, seq, raw[:300]))
            copy = self.copies[seq, user]
            copy[uidl] = copy.get(uidl, 0) + 1
            m = re.search(rb"by mx.example.test \(Postfix\) with E?SMTP id (\w+)", raw)
            if m:
                self.queue_ids[seq] = m.group(1).decode()

    def client(self, users):
        while not self.stop.is_set():
            for user in users:
                if self.stop.is_set():
                    return
                try:
                    n = self.fetch(user)
                except (OSError, ValueError, IndexError):
                    n = 0
                if n == 0:
                    time.sleep(0.05 if len(self.users) < 50 else 0.25)  # many clients at once mean many logins

    def clients(self, n):
        out = [threading.Thread(target=self.client, args=(self.users[i::n],)) for i in range(min(n, len(self.users)))]
        for t in out:
            t.start()
        return out

    # ---- the count ------------------------------------------------------------------------------

    def wanted(self):
        with self.lock:
            return {(seq, u) for seq, (to, _) in self.sent.items() for u in to}

    def missing(self):
        with self.lock:
            have = set(self.copies)
        return self.wanted() - have

    def duplicates(self):
        with self.lock:
            return {k: v for k, v in self.copies.items() if len(v) > 1}

    def end(self, threads):
        self.stop.set()
        for t in threads:
            t.join()

    def close(self):
        self.stop.set()
        rc = self.server.close()
        if self.db:
            self.db.close()
        return rc


def feeders(n, total, send):
    """n threads that send messages 0..total-1; errors are raised by join()."""
    todo, lock, errors = iter(range(total)), threading.Lock(), []

    def work():
        while True:
            with lock:
                seq = next(todo, None)
            if seq is None or errors:
                return
            try:
                send(seq)
            except Exception as e:  # the test must end, and report it
                errors.append(e)
    threads = [threading.Thread(target=work) for _ in range(n)]
    for t in threads:
        t.start()

    def join():
        for t in threads:
            t.join()
        if errors:
            raise errors[0]
    return join


__all__ = ["Rig", "feeders", "wait_until", "DOMAIN", "PLAIN"]
