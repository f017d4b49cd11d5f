#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real Dovecot sets and clears keywords ($MDNSent, Junk, $label1, as every IMAP client does) in the mbox of POP3 sessions.
If there is no room for one, it uses the padding of other messages' X-UID, so that messages move and the size of the file
stays. First the one case that is known to have served wrong bytes and cut into neighbours; then random rounds against a
model that knows every byte: messages are read as delivered, only the requested ones are deleted, all others are there,
whole, with the same unique-id. ROUNDS for each of eight mailboxes; more with ALL=yes."""
import fcntl
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import sections  # noqa: E402
from imap import Dovecot  # noqa: E402
from pop import Pop  # noqa: E402
from server import SERVICE_USER, Server, Tap  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "1250" if os.environ.get("ALL") == "yes" else "25"))
SEED = int(os.environ.get("SEED", "20261129"))
BOXES = 8
KEYWORDS = ("Junk", "NonJunk", "$label1", "$MDNSent", "$label2", "$Forwarded", "$label5")
FLAGS = ("\\Seen", "\\Flagged", "\\Answered")
REWRITTEN = (b"status:", b"x-status:", b"x-keywords:", b"x-uid:", b"x-imapbase:", b"content-length:")


def message(number):
    """(From_ line, text): all different, many of equal size."""
    rnd = random.Random(number)
    text = b"From: s%d@x\nSubject: msg %05d\n\nthis is text %05d\n" % (number % 10, number, number)
    for _ in range(rnd.choice((0, 0, 0, 3, 40, 1500))):
        text += b"%08x " % rnd.getrandbits(32) * 8 + b"\n"
    return b"From sender%05d@example.org Sat Nov 11 11:11:%02d 2023\n" % (number, number % 60), text + b"its last line %05d\n" % number


def bare(text):
    """A message without the headers that mail programs rewrite; line ends as in the file."""
    head, blank, rest = text.replace(b"\r\n", b"\n").partition(b"\n\n")
    return b"\n".join(x for x in head.split(b"\n") if not x.lower().startswith(REWRITTEN)) + blank + rest


class Box:
    """A mailbox and everything that has to be in it: number -> message."""

    def __init__(self, srv, dovecot, name, first):
        self.srv, self.dovecot, self.name, self.next = srv, dovecot, name, first
        self.path = srv.path("mail", name)
        self.model, self.uidls, self.problems = {}, {}, []
        self.known = set()
        self.fetched = self.refused = self.deleted = self.moved = 0
        open(self.path, "wb").close()
        srv.give(self.path)

    def bytes(self):
        with open(self.path, "rb") as f:
            return f.read()

    def append(self, count):
        """Mail comes in, as an MTA appends it."""
        with open(self.path, "r+b") as f:
            fcntl.lockf(f, fcntl.LOCK_EX)
            while True:
                try:
                    os.close(os.open(self.path + ".lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                    break
                except FileExistsError:
                    fcntl.lockf(f, fcntl.LOCK_UN)
                    time.sleep(0.02)
                    fcntl.lockf(f, fcntl.LOCK_EX)
            f.seek(0, os.SEEK_END)
            for _ in range(count):
                self.model[self.next] = message(self.next)
                f.write(b"".join(self.model[self.next]) + b"\n")
                self.next += 1
            f.flush()
            os.unlink(self.path + ".lock")

    def blame(self, *what):
        self.problems.append("%s: %s" % (self.name, " ".join(str(w) for w in what)))

    def number(self, text):
        """The message that this is, to the last byte; a fault is noted if it is none of those that may be there."""
        at = text.find(b"Subject: msg ")
        number = int(text[at + 13:at + 18]) if at != -1 and text[at + 13:at + 18].isdigit() else None
        if number is None or number not in self.known or bare(text) != message(number)[1]:
            self.blame("not a message that was delivered:", text[:400], "...", text[-80:])
            return None
        return number

    def verify(self, when):
        """The file holds the model's messages in their order, and not a byte more."""
        data = self.bytes()
        parts = (b"\n" + data).split(b"\n\nFrom sender") if data else []
        numbers = []
        if data and not data.startswith(b"From sender"):
            self.blame(when, "the file does not begin with a message:", data[:200])
        for k, part in enumerate(parts):
            part = part[len(b"\nFrom sender"):] if k == 0 else part
            line, _, text = part.partition(b"\n")
            text = text[:-1] if k == len(parts) - 1 else text + b"\n"
            number = self.number(text)
            if number is None or b"From sender" + line + b"\n" != message(number)[0]:
                self.blame(when, "another From_ line:", line)
            numbers.append(number)
        if numbers != sorted(self.model):
            self.blame(when, "there are", numbers, "and there should be", sorted(self.model))

    def expunged(self, numbers):
        for n in numbers:
            self.model.pop(n, None)

    # ---- POP3 ----

    def login(self):
        for _ in range(400):
            p = Pop(self.srv.clear_port)
            reply = p.login(self.name)
            if reply.startswith(b"+OK"):
                return p
            p.close()
            if b"[SYS/TEMP]" not in reply and b"[IN-USE]" not in reply:
                break
            time.sleep(0.05)
        raise RuntimeError("%s: login: %r" % (self.name, reply))

    def session(self, rnd, meanwhile=lambda when: None):
        """One session: everything is looked at, some of it is deleted."""
        p = self.login()
        try:
            sizes = [int(x.split()[1]) for x in p.lines("LIST")]
            uidls = [x.split()[1] for x in p.lines("UIDL")]
            meanwhile("read")
            numbers = {}
            for k in range(len(sizes)):
                if rnd.random() < 0.8:
                    numbers[k] = self.retrieve(p, k, uidls[k])
            meanwhile("quit")
            doomed = [k for k, n in numbers.items() if n is not None and rnd.random() < 0.25]
            for k in doomed:
                p.say("DELE %d" % (k + 1))
            reply = p.say("QUIT")
            if reply.startswith(b"+OK"):
                self.expunged([numbers[k] for k in doomed])
                self.deleted += len(doomed)
            elif b"[SYS/TEMP]" not in reply:
                self.blame("QUIT:", reply)
        finally:
            p.close()

    def retrieve(self, p, k, uidl):
        reply = p.say("RETR %d" % (k + 1))
        if not reply.startswith(b"+OK"):
            self.refused += 1
            return None
        size = int(reply.split()[1])  # as it is now: keywords may have been set since LIST
        got = b"".join(x[1:] if x.startswith(b".") else x for x in iter(p.line, b".\r\n"))
        number = self.number(got)
        if len(got) != size:
            self.blame("message", number, "has", len(got), "octets, announced were", size)
        if number is not None and self.uidls.setdefault(number, uidl) != uidl:
            self.blame("message", number, "has another unique-id")
        if number is not None and [n for n, u in self.uidls.items() if u == uidl] != [number]:
            self.blame("message", number, "has the unique-id of another")
        self.fetched += 1
        return number

    # ---- IMAP ----

    def keywords(self, rnd):
        """Another program's session; returns whether it moved messages without changing the size."""
        before = self.bytes()
        with self.dovecot.session(self.name) as i:
            there = sorted(self.model)
            if there and rnd.random() < 0.3:  # no room is left for more
                i.say("STORE 1:* +FLAGS.SILENT (Junk NonJunk $label1)")
            for _ in range(rnd.randrange(1, 4)):
                if there:
                    which = rnd.sample(range(1, len(there) + 1), rnd.randrange(1, min(3, len(there)) + 1))
                    i.say("STORE %s %sFLAGS.SILENT (%s)" % (",".join(map(str, which)), rnd.choice("+-"), " ".join(
                        rnd.sample(KEYWORDS + FLAGS, rnd.randrange(1, 4)))))
            if there and rnd.random() < 0.2:
                k = rnd.randrange(len(there))
                i.say("STORE %d +FLAGS.SILENT (\\Deleted)" % (k + 1))
                i.say("EXPUNGE")
                self.expunged([there[k]])
        after = self.bytes()
        if len(after) == len(before) and [k for k in range(len(after)) if after.startswith(b"\n\nFrom sender", k)] != [
                k for k in range(len(before)) if before.startswith(b"\n\nFrom sender", k)]:
            self.moved += 1

    def one_round(self, rnd):
        self.known |= set(self.model)
        when = rnd.choice(("before", "read", "quit", "none"))

        def meanwhile(now):
            if now == when:
                self.keywords(rnd)
                if rnd.random() < 0.3:
                    self.arrive(rnd)
        if when == "before":
            self.keywords(rnd)
        self.verify("after Dovecot")
        self.session(rnd, meanwhile)
        self.verify("after POP3")
        if rnd.random() < 0.6 or len(self.model) < 3:
            self.arrive(rnd)

    def arrive(self, rnd):
        self.append(rnd.randrange(1, 4))
        self.known |= set(self.model)

    def run(self, rounds, seed):
        rnd = random.Random(seed)
        try:
            self.append(8)
            self.known |= set(self.model)
            with self.dovecot.session(self.name) as i:
                i.say("STORE 1:* +FLAGS.SILENT (Junk NonJunk $label1)")
            for _ in range(rounds):
                if self.problems:
                    return
                self.one_round(rnd)
        except Exception as e:  # said by the test
            self.blame(repr(e))


# ---- the known case ----

def places(data):
    return [0] + [k + 2 for k in range(len(data)) if data.startswith(b"\n\nFrom sender", k)]


def known_case(tap, srv, dovecot):
    """Keywords that fill message 2's room; an index; one more keyword."""
    box = Box(srv, dovecot, "ann", 1)
    box.append(6)
    box.known |= set(box.model)
    with dovecot.session("ann") as i:
        i.say("STORE 1:6 +FLAGS.SILENT (Junk NonJunk $label1)")
    with box.login() as p:
        p.say("QUIT")
    before = box.bytes()
    with dovecot.session("ann") as i:
        i.say("STORE 2 +FLAGS.SILENT ($MDNSent)")
    after = box.bytes()
    tap.ok(len(after) == len(before) and places(after) != places(before),
           "Dovecot moved messages in the file and left its size: %s to %s" % (places(before), places(after)))
    with box.login() as p:
        sizes = [int(x.split()[1]) for x in p.lines("LIST")]
        uidls = [x.split()[1] for x in p.lines("UIDL")]
        numbers = [box.retrieve(p, k, uidls[k]) for k in range(len(sizes))]
        tap.ok(numbers == [1, 2, 3, 4, 5, 6] and not box.problems, "each message is the one that was delivered",
               "%s %s" % (numbers, "\n".join(box.problems)))
        p.say("DELE 3")
        reply = p.say("QUIT")
    box.expunged([3])
    box.problems.clear()
    box.verify("after DELE 3")
    tap.ok(reply.startswith(b"+OK") and not box.problems, "DELE 3 deletes message 3 and nothing of the others",
           "%r %s" % (reply, "\n".join(box.problems)))


def rounds(tap, srv, dovecot):
    boxes = [Box(srv, dovecot, "user%d" % k, 1000 * (k + 1)) for k in range(BOXES)]
    threads = [threading.Thread(target=b.run, args=(ROUNDS, SEED + k)) for k, b in enumerate(boxes)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    problems = [p for b in boxes for p in b.problems]
    tap.ok(not problems, "%d rounds (seed %d): %d messages were read, %d refused because they had changed, %d deleted" % (
        BOXES * ROUNDS, SEED, *(sum(getattr(b, x) for b in boxes) for x in ("fetched", "refused", "deleted"))),
        "\n".join(problems[:5]))
    moved = sum(b.moved for b in boxes)
    tap.ok(moved > 0, "Dovecot moved messages within a file of the same size %d times" % moved)


def main():
    tap = Tap()
    with Server() as srv:
        srv.mkdir("mail")
        srv.mkdir("dovecot")
        srv.passwd({n: "restante" for n in ["ann"] + ["user%d" % k for k in range(BOXES)]})
        srv.configure(sections.accounts(srv) + sections.store(srv, "mbox", locks="fcntl dotlock", lock_wait="30s"))
        dovecot = Dovecot(srv.path("dovecot"), "mbox:%s/%%u.folders:INBOX=%s:INDEX=%s/%%u.index" % (
            srv.path("dovecot"), srv.path("mail", "%u"), srv.path("dovecot")), SERVICE_USER)
        srv.start()
        known_case(tap, srv, dovecot)
        rounds(tap, srv, dovecot)
        tap.ok("odd" not in srv.log() and "conflict" not in srv.log() and "error" not in srv.log(), "nothing to look at in the log",
               "\n".join(x for x in srv.log().splitlines() if "odd" in x or "error" in x or "conflict" in x))
        srv.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
