#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restante-deliver is killed (-9) at seeded moments, with and without a server, and called again, as a mail server does,
until it exits 0. A message for which it exited 0 is there, whole; none is there in part; and one that is there twice was
killed once: its answer was lost.

On two stores, each way: 6 kills, with --all 60. SEED=n gives another run."""
import hashlib
import os
import random
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailrig import DOMAIN, Rig  # noqa: E402
from server import Tap  # noqa: E402

KILLS = 60 if os.environ.get("ALL") == "yes" else 6  # of each store, each way
SEED = int(os.environ.get("SEED", "20261124"))
STORES = ("maildir", "mbox")
TRIES = 300  # of one message, once nothing is killed any more


def make(rng, seq):
    """Header, text, and a checksum of both at the end: no part of it is a valid message."""
    raw = b"X-Seq: %d\r\nSubject: one\r\n\r\n" % seq
    raw += b"".join(b"%016x .line\r\n" % rng.getrandbits(60) for _ in range(rng.choice((3, 300, 3000, 20000))))
    return raw + b"sum %s\r\n" % hashlib.sha256(raw).hexdigest().encode()


class Killer:
    def __init__(self, rig, args, rng, took_s):
        self.rig, self.args, self.rng, self.took_s = rig, args, rng, took_s
        self.kills, self.killed, self.done, self.bad = 0, set(), set(), []

    def try_once(self, seq, raw, user, kill):
        t0 = time.monotonic()
        p = subprocess.Popen([self.rig.server.bin("restante-deliver"), *self.args, "-a", "%s@%s" % (user, DOMAIN)],
                             stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if kill:  # at any point from the first system call to a little after the last
            timer = threading.Timer(self.rng.random() * self.took_s * 1.2, p.kill)
            timer.start()
        err = p.communicate(raw)[1]
        if kill:
            timer.cancel()
        if p.returncode == -9:
            self.kills += 1
            self.killed.add(seq)
        elif p.returncode == 0:
            self.done.add(seq)
            self.took_s += 0.3 * (time.monotonic() - t0 - self.took_s)  # this machine, now
        elif p.returncode != 75:
            self.bad.append((seq, p.returncode, err))
        return p.returncode == 0

    def deliver(self, seq, wanted):
        raw, user = make(self.rng, seq), self.rng.choice(self.rig.users)
        tries = 0
        while not self.try_once(seq, raw, user, self.kills < wanted and self.rng.random() < 0.8):
            tries += self.kills >= wanted
            if tries > TRIES:
                self.bad.append((seq, user, "is not taken any more"))
            if self.bad:
                break


def messages(rig):
    """Every message in every mailbox, as POP3 sends it."""
    from pop import Pop
    for user in rig.users:
        with Pop(rig.server.clear_port) as p:
            p.login("%s@%s" % (user, DOMAIN))
            for n in range(1, len(p.lines("UIDL") or []) + 1):
                yield b"".join(x[1:] if x.startswith(b".") else x for x in p.lines("RETR %d" % n) or [])


def check(tap, name, rig, k):
    seen, torn = {}, []
    for raw in messages(rig):
        at, end = raw.find(b"X-Seq: "), raw.rfind(b"sum ")
        if at < 0 or end < 0 or raw[end:] != b"sum %s\r\n" % hashlib.sha256(raw[at:end]).hexdigest().encode():
            torn.append(raw[:200])
            continue
        seq = int(re.match(rb"X-Seq: (\d+)", raw[at:]).group(1))
        seen[seq] = seen.get(seq, 0) + 1
    twice = {s for s, n in seen.items() if n > 1}
    tap.note("%s: %d messages, %d kills, %d came twice (their answer was lost)" % (name, len(k.done), k.kills, len(twice)))
    tap.ok(not k.bad, "%s: every other end is 75" % name, k.bad[:3])
    tap.ok(k.kills >= KILLS, "%s: %d kills" % (name, k.kills))
    tap.ok(k.done <= set(seen), "%s: nothing that exited 0 is lost" % name, sorted(k.done - set(seen))[:10])
    tap.ok(not torn, "%s: nothing is half delivered" % name, torn[:2])
    tap.ok(twice <= k.killed, "%s: only what was killed came twice" % name, sorted(twice - k.killed)[:10])


def run(tap, store, direct):
    name = "%s, %s" % (store, "without a server" if direct else "server")
    rig = Rig(store, 3)
    try:
        args = ["-c", rig.server.path("restante.conf")]
        if not direct:
            rig.server.start()
        k = Killer(rig, args, random.Random("%d %s" % (SEED, name)), 0.2)
        seq = 0
        while k.kills < KILLS and seq < KILLS * 50 and not k.bad:
            k.deliver(seq, KILLS)
            seq += 1
        if direct:
            rig.server.start()
        check(tap, name, rig, k)
        tap.ok(rig.server.stop() == 0, "%s: the server ends well" % name, rig.server.log()[-1500:])
    finally:
        rig.close()


def main():
    tap = Tap()
    tap.note("SEED=%d" % SEED)
    for store in STORES:
        for direct in (False, True):
            run(tap, store, direct)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
