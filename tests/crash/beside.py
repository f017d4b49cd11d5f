#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sessions that delete are killed at random moments while mail is delivered - by us and, as Postfix does it, by a
rename into new/ - and another reader moves messages from new to cur and changes their flags. After every round each
message is accounted for by its content: accepted and not deleted = there, once, with an unchanged unique-id;
deleted by a commit that reported OK = gone; of a killed session, all of its deletions or none."""
import os
import random
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from server import Tap  # noqa: E402
from store import Store, fnv  # noqa: E402

SEED = int(os.environ.get("SEED", "20261124"))
ROUNDS = 400 if os.environ.get("ALL") == "yes" else 60
MOST = 10 * ROUNDS  # for a machine on which the kill comes too early or too late
FLAGS = ("", "S", "RS", "F", "T")


class Reader(threading.Thread):
    """Another mail program: takes new messages over, changes flags, as mutt and Dovecot do."""

    def __init__(self, box, seed):
        super().__init__()
        self.box, self.rnd, self.stop, self.moves = box, random.Random(seed), False, 0

    def run(self):
        while not self.stop:
            for d in ("new", "cur"):
                for name in os.listdir(os.path.join(self.box, d)):
                    if self.rnd.random() < 0.9:
                        continue
                    base = name.split(":")[0]
                    try:
                        os.rename(os.path.join(self.box, d, name),
                                  os.path.join(self.box, "cur", "%s:2,%s" % (base, self.rnd.choice(FLAGS))))
                        self.moves += 1
                    except FileNotFoundError:
                        pass  # a session deleted it
            time.sleep(0.003)


class Round:
    def __init__(self, store, number, rnd):
        self.store, self.rnd = store, rnd
        self.box = os.path.join(store.dir, "mail", "ann")
        self.mail = [b"Subject: round %d number %d\r\n\r\n%s\r\n" % (number, k, b"y" * rnd.randrange(200)) for k in range(6)]
        self.number = number

    def spawn(self, *args):
        return subprocess.Popen(self.store.command(*args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                errors="replace", env=self.store.env)

    def foreign_delivery(self, raw):
        """As Postfix: written to tmp, renamed into new."""
        name = "%d.V1I%dM%d.foreign" % (time.time(), self.number, self.rnd.randrange(10 ** 6))
        tmp = os.path.join(self.box, "tmp", name)
        with open(tmp, "wb") as f:
            f.write(raw.replace(b"\r\n", b"\n"))
        os.rename(tmp, os.path.join(self.box, "new", name))

    def run(self, there):
        """One round on a mailbox that holds the digests `there`; (accepted, deleted, doubtful) digests."""
        victims = sorted(self.rnd.sample(range(len(there)), min(len(there), self.rnd.randrange(1, 6)))) if there else []
        files = [self.store.file(raw, "r%d" % k) for k, raw in enumerate(self.mail[:4])]
        deliverer = self.spawn("deliver", "ann", *files)
        session = self.spawn("session", "ann", ",".join(map(str, victims)))
        self.foreign_delivery(self.mail[4])
        kill = self.rnd.random() < 0.7
        text = ""
        if kill and victims:
            # its choice is printed right before the commit: the kill comes during that
            while "message" not in text:
                piece = os.read(session.stdout.fileno(), 65536).decode()
                if not piece:
                    break
                text += piece
            time.sleep(self.rnd.choice((0, self.rnd.random() * 0.003)))  # a fast machine answers sooner
            session.kill()
        self.foreign_delivery(self.mail[5])
        said, text = deliverer.communicate(timeout=60)[0], text + session.communicate(timeout=60)[0]
        if said.count("delivery OK") != 4:
            raise RuntimeError("a delivery failed:\n" + said)
        doomed = {m.group(2) for m in re.finditer(r"^message (\d+) OK \S+ \d+ ([0-9a-f]{16})$", text, re.M)
                  if int(m.group(1)) in victims}
        done = re.search(r"^commit (\S+)", text, re.M)
        if done and done.group(1) not in ("OK", "PARTIAL"):
            raise RuntimeError("a commit failed:\n" + text)
        if not done and not kill:
            raise RuntimeError("a session ended early:\n" + text)
        accepted = {fnv(raw) for raw in self.mail}
        # a session that was killed before it printed its choice has committed nothing
        return accepted, doomed if done else set(), set() if done else doomed


def enough(committed, killed):
    """A run that saw no case of one kind has shown nothing."""
    return committed >= ROUNDS // 10 and killed >= ROUNDS // 20


def main():
    tap = Tap()
    rnd = random.Random(SEED)
    store = Store()
    there, uidls, number, killed, committed, problem = {}, {}, 0, 0, 0, ""
    try:
        store.fill()
        there = {digest: uidl for uidl, (_, digest) in store.look().items()}
        reader = Reader(os.path.join(store.dir, "mail", "ann"), SEED)
        reader.start()
        try:
            while number < ROUNDS or (number < MOST and not (enough(committed, killed) and reader.moves > ROUNDS)):
                number += 1
                accepted, deleted, doubtful = Round(store, number, rnd).run(there)
                seen = store.look()
                now = {digest: uidl for uidl, (_, digest) in seen.items()}
                expected = (set(there) | accepted) - deleted
                killed += bool(doubtful)
                committed += bool(deleted)
                if len(now) != len(seen):
                    problem = "a message is there twice"
                elif set(now) not in (expected, expected - doubtful):
                    problem = "lost: %s; back: %s; doubtful: %s" % (
                        sorted(expected - doubtful - set(now)), sorted(set(now) - expected), sorted(doubtful))
                for digest, uidl in now.items():
                    if uidls.setdefault(digest, uidl) != uidl:
                        problem = "the unique-id of %s was %s and is %s" % (digest, uidls[digest], uidl)
                if problem:
                    problem = "round %d of SEED=%d: %s" % (number, SEED, problem)
                    break
                there = now
        finally:
            reader.stop = True
            reader.join()
        tap.ok(not problem, "%d rounds, every message accounted for (%d seen in all)" % (number, len(uidls)), problem)
        tap.ok(enough(committed, killed),
               "%d sessions committed, %d died between their choice and their answer" % (committed, killed))
        tap.ok(reader.moves > ROUNDS, "the other reader renamed %d times meanwhile" % reader.moves)
    finally:
        store.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
