#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The n-th system call of a session or a delivery fails - full disk, I/O error, no descriptors - for n = 1, 2, 3
until none is left to fail; then the process is killed there instead. After each run: nothing is lost, nothing is deleted
that was not reported as deleted, no message is partial, and every answer was true."""
import os
import socket
import subprocess
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from server import Tap  # noqa: E402
from store import MESSAGES, STORES, Store, fnv, judge_delivery, judge_session  # noqa: E402

ERRORS = {
    "write": ("ENOSPC", "EIO"), "pwrite64": ("ENOSPC", "EIO"), "fsync": ("EIO", "ENOSPC", "EINVAL"), "linkat": ("ENOSPC", "EIO"), "renameat": ("EIO",),
    "renameat2": ("EIO", "ENOSPC", "EINVAL"), "unlinkat": ("EIO", "EACCES"), "openat": ("EMFILE", "EACCES", "EIO"), "mkdirat": ("ENOSPC",),
    "ftruncate": ("EIO",), "pread64": ("EIO",), "read": ("EIO",), "getdents64": ("EIO",), "newfstatat": ("EIO",),
    "fstat": ("EIO",), "flock": ("ENOLCK",), "fcntl": ("ENOLCK", "EINTR"), "fdatasync": ("EIO", "ENOSPC", "EDQUOT", "EINVAL"),
}
NEW = b"Subject: the new one\r\n\r\nnew\r\n"
MOST = 80
SHARP = ("fdatasync",)  # of these calls, every error, even in a short run
DEAD = 1200             # a ledger of this many lines is rewritten
END = 16                # calls of each kind at the end of a session, where the rewriting happens


def strace(call, what, n):
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=%s" % call, "-e", "inject=%s:%s:when=%d" % (call, what, n)]


def mailbox_count(store, call, args):
    """How often a run makes this call: before the module is ready, and in all."""
    log = os.path.join(store.dir, "strace")
    store.run(*args, wrap=["strace", "-f", "-qq", "-o", log, "-e", "trace=%s,write" % call])
    before, total, ready = 0, 0, False
    with open(log, errors="replace") as f:
        for line in f:
            body = line.split(None, 1)[1] if " " in line else ""
            if body.startswith('write(1, "ready'):
                before, ready = total, True
                if call == "write":
                    before += 1
            if body.startswith(call + "("):
                total += 1
    return (before, total) if ready else (0, 0)


def one(store, kind, call, what, n):
    """Fills the mailbox, runs one case and looks; ('' or the problem, the outcome)."""
    before = store.fill()
    if kind == "session":
        doomed = [u for k, u in enumerate(before) if k in (1, 3)]
        out = store.run("session", "ann", "1,3", wrap=strace(call, what, n))
        return judge_session(before, doomed, out, store.look()), out
    out = store.run("deliver", "ann", store.file(NEW), wrap=strace(call, what, n))
    return judge_delivery(before, NEW, out, store.look()), out


def sweep(tap, store, kind, call, what):
    args = ("session", "ann", "1,3") if kind == "session" else ("deliver", "ann", store.file(NEW))
    store.fill()
    first, last = mailbox_count(store, call, args)
    problems, runs = [], 0
    for n in range(max(first, last - END) + 1, last + 1) if store.at_end else range(first + 1, min(last, first + MOST) + 1):
        problem, out = one(store, kind, call, what, n)
        runs += 1
        if problem:
            problems.append("%s number %d %s: %s\n%s" % (call, n, what, problem, out.text[-600:]))
    if runs:
        tap.ok(not problems, "%s, %s: %s, %s, %d times" % (store.name, kind, call, what, runs), "\n".join(problems[:3]))
    return runs


def first_delivery(tap, store):
    """A user's first delivery is killed while it makes the mailbox: the next one works."""
    calls = ("mkdirat", "fsync", "openat", "write", "renameat2")
    problems, killed, refused = [], 0, 0
    for call in calls:
        store.remove("ann")
        first, last = mailbox_count(store, call, ("deliver", "ann", store.file(NEW)))
        for n in range(first + 1, min(last, first + MOST) + 1):
            store.remove("ann")
            out = store.run("deliver", "ann", store.file(NEW), wrap=strace(call, "signal=SIGKILL", n))
            killed += out.delivery is None
            again = store.run("deliver", "ann", store.file(NEW))
            got = sorted(store.look().values())
            if again.delivery != "OK" or got not in ([(len(NEW), fnv(NEW))], [(len(NEW), fnv(NEW))] * 2):
                problems.append("%s number %d: %s; %s" % (call, n, got, again.text[-600:]))
            if call == "mkdirat":
                store.remove("ann")
                out = store.run("deliver", "ann", store.file(NEW), wrap=strace(call, "error=ENOSPC", n))
                refused += out.delivery == "NOSPACE"
                if out.delivery not in ("NOSPACE", "OK") or out.delivery != "OK" and store.look():
                    problems.append("no room at mkdirat number %d: %s" % (n, out.text[-600:]))
    tap.ok(refused == (4 if store.kind == "maildir" else 0), "%s: no room to make a mailbox is said as that" % store.kind, refused)
    tap.ok(killed > 5 and not problems, "%s: a first delivery killed %d times" % (store.kind, killed), "\n".join(problems[:3]))


def known_import(tap, store):
    """An import of what another program put there, while the disk fails: whoever cannot look does not deliver it again."""
    problems, runs = [], 0
    for call, error in (("openat", "EIO"), ("getdents64", "EIO"), ("openat", "EMFILE")):
        store.fill(messages=MESSAGES[:1])
        with open(os.path.join(store.dir, "mail", "ann", "cur", "9.there:2,S"), "wb") as f:
            f.write(NEW)
        args = ("import", "ann", store.file(NEW, "9.there"))
        first, last = mailbox_count(store, call, args)
        for n in range(first + 1, last + 1):
            out = store.run(*args, wrap=strace(call, "error=" + error, n))
            runs += 1
            files = sum(len(os.listdir(os.path.join(store.dir, "mail", "ann", d))) for d in ("new", "cur"))
            if out.delivery == "OK" or files != 2:
                problems.append("%s number %d, %s: %d files, %s" % (call, n, error, files, out.text[-600:]))
    tap.ok(runs > 12 and not problems, "%s: an import of what is there fails, or knows it, %d times" % (store.kind, runs),
           "\n".join(problems[:3]) or runs)


def two_recipients(tap, store):
    """A delivery to two, whose maildirs are opened again for each step: each has the whole message or none, both if it said so, and
    what failed leaves nothing in tmp/."""
    problems, runs = [], 0
    for call, error in (("openat2", "EMFILE"), ("write", "ENOSPC"), ("fsync", "EIO"), ("linkat", "EMLINK"), ("renameat2", "EIO")):
        args = ("deliver", "ann,ben", store.file(NEW))
        store.run(*args)
        first, last = mailbox_count(store, call, args)
        for n in range(first + 1, last + 1):
            for user in ("ann", "ben"):
                store.remove(user)
                store.run("deliver", user, store.file(MESSAGES[0], "first"))
            out = store.run(*args, wrap=strace(call, "error=" + error, n))
            runs += 1
            tmp = [name for user in ("ann", "ben") for name in os.listdir(os.path.join(store.dir, "mail", user, "tmp"))]
            got = [sorted(store.look(user).values()) for user in ("ann", "ben")]
            old, new = (len(MESSAGES[0]), fnv(MESSAGES[0])), (len(NEW), fnv(NEW))
            if any(g not in ([old], sorted([old, new])) for g in got) or out.delivery == "OK" and got != [sorted([old, new])] * 2 or \
                    tmp and call != "openat2":
                problems.append("%s number %d, %s: %s, tmp: %s\n%s" % (call, n, error, got, tmp, out.text[-600:]))
    tap.ok(runs >= 10 and not problems, "%s: a delivery to two fails %d times" % (store.kind, runs), "\n".join(problems[:3]) or runs)


def broken_lock(tap, store):
    """A delivery that finds a dead process's dotlock is killed while it moves it away: the next one works, and the file that
    is left is no mailbox in any list, and is removed when the next lock is broken."""
    mail = os.path.join(store.dir, "mail")

    def others():
        return sorted(set(os.listdir(mail)) - {"ann"})

    def deliver(wrap=()):
        dead = subprocess.Popen(["true"])
        dead.wait()
        with open(os.path.join(mail, "ann.lock"), "w") as f:
            f.write("%d:%s\n" % (dead.pid, socket.gethostname()))
        return store.run("deliver", "ann", store.file(NEW), wrap=wrap)
    problems, left = [], 0
    for call in ("renameat", "unlinkat"):
        store.remove("ann")
        store.run("deliver", "ann", store.file(NEW))
        log = os.path.join(store.dir, "strace")
        deliver(["strace", "-f", "-qq", "-y", "-o", log, "-e", "trace=" + call])
        with open(log, errors="replace") as f:
            mine = [k + 1 for k, line in enumerate(f.read().splitlines()) if "ann.lock" in line and mail in line]
        for n in mine:
            for stale in os.listdir(mail):
                os.unlink(os.path.join(mail, stale))
            killed = deliver(strace(call, "signal=SIGKILL", n))
            found = others()
            left += any(name != "ann.lock" for name in found)
            again = store.run("deliver", "ann", store.file(NEW))
            if killed.delivery is not None or again.delivery != "OK" or any(name[0] != "." for name in others()):
                problems.append("%s number %d: left %s, then %s: %s" % (call, n, found, others(), again.text[-600:]))
            last = deliver()
            if last.delivery != "OK" or others():
                problems.append("%s number %d: the next broken lock leaves %s: %s" % (call, n, others(), last.text[-600:]))
    tap.ok(left > 0 and not problems, "%s: killed while a dead lock is broken" % store.kind, "\n".join(problems[:3]) or left)


class Full(Store):
    """A maildir whose ledger is rewritten at the end of the next session; looked at twice, since a look is a session, too."""

    def __init__(self):
        super().__init__(kind="maildir")
        self.ledger = os.path.join(self.dir, "mail", "ann", "restante-ledger")
        self.name = "maildir with a full ledger"
        self.filled, self.anew, self.at_end = False, 0, True

    def fill(self, user="ann", messages=MESSAGES):
        self.filled = False
        before = super().fill(user, messages)
        with open(self.ledger, "a", encoding="ascii") as f:
            for k in range(DEAD):
                line = "M 0.dead%d 0.dead%d 3 2 0 0" % (k, k)
                f.write("%08x %s\n" % (zlib.crc32(line.encode()), line))
        self.filled = True
        return before

    def look(self, user="ann"):
        if not self.filled:
            return super().look(user)
        self.anew += self.lines() < DEAD
        first, second = super().look(user), super().look(user)
        if first != second or self.lines() >= DEAD:
            raise RuntimeError("a second look differs, or the ledger is as long as before:\n%s\n%s" % (first, second))
        return first

    def lines(self):
        with open(self.ledger, "rb") as f:
            return f.read().count(b"\n")


def attack(tap, store, kinds=("session", "delivery")):
    """Every call of a session and of a delivery; how many runs that were."""
    runs = 0
    everything = os.environ.get("ALL") == "yes"
    for kind in kinds:
        for call, errors in ERRORS.items():
            for e in errors if everything or call in SHARP else errors[:1]:
                runs += sweep(tap, store, kind, call, "error=" + e)
        for call in ("write", "pwrite64", "fsync", "ftruncate", "unlinkat", "linkat", "renameat", "renameat2", "openat"):
            runs += sweep(tap, store, kind, call, "signal=SIGKILL")
    return runs


def main():
    tap = Tap()
    for kind in STORES:
        store = Store(kind=kind)
        try:
            first_delivery(tap, store)
            if kind == "mbox":
                broken_lock(tap, store)
            else:
                known_import(tap, store)
                two_recipients(tap, store)
            runs = attack(tap, store)
            tap.ok(runs >= 60, "%s: %d failures were tried" % (kind, runs))
        finally:
            store.close()
    store = Full()
    try:
        runs = attack(tap, store, ("session",))
        tap.ok(runs >= 60 and store.anew >= 30, "a full ledger: %d failures were tried, it was rewritten %d times" %
               (runs, store.anew))
    finally:
        store.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
