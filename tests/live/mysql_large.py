#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory of restanted on the storage module mysql: a mailbox of a million messages (100,000 without ALL=yes) is listed,
and a message of 50 MiB comes and goes, with packets of 16 MiB at most. Allowed beside a fixed amount: the snapshot's 16
bytes a message, the session's 8 and two bits. TAP."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"  # freed memory goes back to the system
from mailbed import Bed, Lmtp  # noqa: E402
from mailstore import MailStore  # noqa: E402
from pop import Pop  # noqa: E402
from server import Tap  # noqa: E402

N = 1000000 if os.environ.get("ALL") == "yes" else 100000
FIXED = 24 << 20  # buffers, a worker's stacks, the allocator's slack and a sanitizer's
BIG = 50 << 20


def load(db):
    db.sql("INSERT INTO mail_box (id, user_key, domain, messages, octets) VALUES (90000, 'u1', '', %d, %d * 100);"
           "INSERT INTO mail_lease (mailbox) VALUES (90000)" % (N, N))
    for first in range(0, N, 100000):
        db.sql("INSERT INTO mail_message (mailbox, pos, body, octets, received, uidl) SELECT 90000, 1000 + seq, 0, 100,"
               " UTC_TIMESTAMP(6), MD5(seq) FROM seq_%d_to_%d" % (first + 1, min(first + 100000, N)))


def rss(bed):
    with open("/proc/%d/status" % bed.srv.proc.pid) as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS:"))


def count(pop, command):
    """Lines of a multi-line answer, not kept."""
    if not pop.say(command).startswith(b"+OK"):
        return -1
    n = 0
    for line in iter(pop.line, b""):
        if line == b".\r\n":
            return n
        n += 1
    return -1


def million(tap, bed):
    p = Pop(bed.srv.clear_port)
    r = p.login("u2")  # allocations of a first session
    p.say("QUIT")
    before = rss(bed)
    p = Pop(bed.srv.clear_port)
    p.sock.settimeout(600)
    r = p.login("u1")
    tap.ok(r.startswith(b"+OK"), "a mailbox of %d messages opens" % N, r)
    opened = rss(bed)
    counts = [count(p, c) for c in ("LIST", "UIDL", "UIDL", "LIST")]
    after = rss(bed)
    tap.ok(counts == [N] * 4, "LIST and UIDL twice: all of them", counts)
    allowed = N * (16 + 8) + N // 4 + FIXED
    tap.ok(after - before <= allowed, "memory grew by %.1f MiB when opened, %.1f MiB when listed; %.1f are allowed"
           % ((opened - before) / 2**20, (after - before) / 2**20, allowed / 2**20))
    p.say("QUIT")
    p.close()


def big(tap, bed):
    line = b"z" * 76 + b"\r\n"
    text = b"Subject: large\r\n\r\n" + line * (BIG // len(line))
    lmtp = Lmtp(bed.lmtp_port)
    lmtp.sock.settimeout(600)
    lmtp.send("u3")
    before = rss(bed)
    replies = lmtp.send("u3", "u4", text=text)
    tap.ok(all(r.startswith(b"250") for r in replies), "50 MiB are delivered to two", replies)
    rows = bed.db.sql("SELECT COUNT(DISTINCT body), COUNT(*), MAX(size) FROM mail_chunk WHERE seq > 0 OR size > 60000")
    tap.ok(rows[0][0] == "1" and rows[0][2] == "65536", "stored once, in pieces of 64 KiB", rows)
    lmtp.close()
    p = Pop(bed.srv.clear_port)
    p.sock.settimeout(600)
    p.login("u3")
    r, got, same = p.say("RETR 2"), 0, True
    expected = iter(text.splitlines(True))
    for got_line in iter(p.line if r.startswith(b"+OK") else bytes, b""):
        if got_line == b".\r\n":
            break
        if got or got_line == b"Subject: large\r\n":  # after the lines the server put before it
            want = next(expected, b"")
            same = same and got_line == want
            got += len(got_line)
    grown = rss(bed) - before
    tap.ok(r.startswith(b"+OK") and same and got == len(text), "and fetched, byte for byte", (r, got, len(text)))
    tap.ok(grown <= FIXED, "memory grew by %.1f MiB meanwhile, %.1f are allowed" % (grown / 2**20, FIXED / 2**20))
    p.say("QUIT")
    p.close()


def main():
    tap = Tap()
    bed = Bed(MailStore(), permits=2, scan_ms="120s")
    try:
        load(bed.db)
        million(tap, bed)
        big(tap, bed)
    finally:
        rc = bed.close()
    tap.ok(rc == 0, "the server ended cleanly", "%s\n%s" % (rc, bed.end))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
