#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A maildir, and an mbox, on a disk that is full, out of inodes, or read-only: deleting works on a full one, nothing accepted is
lost, nothing is torn, and service resumes as soon as there is space. The disk is a small tmpfs of the test's own."""
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from mounts import MS_RDONLY, MS_REMOUNT, junk, mount, own_namespace, umount  # noqa: E402
from server import Tap  # noqa: E402
from store import Store, fnv  # noqa: E402


def message(k, size=3000):
    return b"Subject: number %d\r\n\r\n%s\r\n" % (k, b"z" * size)


def mail(store, options, part="mail"):
    path = os.path.join(store.dir, part)
    mount(b"tmpfs", path, b"tmpfs", 0, options)
    return path


def deliver_until_refused(store):
    accepted, k = [], 0
    while k < 3000:
        raw = message(k)
        out = store.run("deliver", "ann", store.file(raw))
        if out.delivery != "OK":
            return accepted, out.delivery
        accepted.append(raw)
        k += 1
    return accepted, "never"


def left_in_tmp(path):
    tmp = os.path.join(path, "ann", "tmp")  # an mbox uses none
    return os.listdir(tmp) if os.path.isdir(tmp) else []


def full_disk(tap, store, options, name):
    path = mail(store, options)
    accepted, code = deliver_until_refused(store)
    tap.ok(code == "NOSPACE" and len(accepted) > 5, "%s: delivery is refused as NOSPACE after %d messages" % (name, len(accepted)),
           code)
    filler = junk(path) if b"inodes" not in options else None
    before = store.look()
    tap.ok(sorted(m[1] for m in before.values()) == sorted(fnv(a) for a in accepted),
           "%s: every accepted message is there, no half one" % name, before)
    out = store.run("session", "ann", "0,2,4")
    after = store.look()
    order = list(before)
    doomed = order[0], order[2], order[4]
    tap.ok(out.commit in ("OK", "PARTIAL") and after == {u: m for u, m in before.items() if u not in doomed},
           "%s: deleting works, exactly what was asked for" % name, out.text[-500:] + str(sorted(set(before) - set(after))))
    tap.ok(not left_in_tmp(path), "%s: nothing is left in tmp/" % name, left_in_tmp(path))
    if filler:
        os.unlink(filler)
    raw = message(9999)
    out = store.run("deliver", "ann", store.file(raw))
    again = store.look()
    tap.ok(out.delivery == "OK" and {u: m for u, m in again.items() if u in after} == after and len(again) == len(after) + 1,
           "%s: with space again there is service again, unique-ids as they were" % name, out.text)


def strace(*faults):
    """A full disk for the ledger, and these faults."""
    calls = ("pwrite64:error=ENOSPC", *faults)
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + ",".join(c.split(":")[0] for c in calls),
            *(word for c in calls for word in ("-e", "inject=" + c))]


def no_record(tap, store):
    """Without a record in the ledger nobody finishes a deletion: the answer is about what went, and the rest is listed."""
    for fault, name, why in (("unlinkat:error=ENOENT", "renamed faster than they are looked for", "not found"),
                             ("unlinkat:error=EIO", "that cannot be unlinked", "Input/output error"),
                             ("unlinkat:error=EIO:when=1", "one of which cannot be unlinked", "Input/output error"), (None, "", "")):
        before = store.fill()
        doomed = [u for k, u in enumerate(before) if k in (1, 3)]
        out = store.run("session", "ann", "1,3", wrap=strace(*filter(None, [fault])))
        left = set(doomed) & set(store.look())
        told = [line for line in out.text.splitlines() if "listed again" in line]
        if not fault:
            tap.ok(out.commit == "OK" and out.deleted == 2 and not left and not told, "full disk: files go without a record", out.text)
            continue
        tap.ok(out.commit == "PARTIAL" and left and out.deleted == len(doomed) - len(left),
               "full disk, files %s: PARTIAL, and as many as went" % name, (left, out.text))
        tap.ok(len(told) == 1 and why in told[0] and "stays deleted" not in out.text, "full disk, files %s: so does the log" % name,
               out.text)


def no_room_to_hide(tap, store):
    """With undo a deletion is nothing but a record: without room for it, everything stays as it is."""
    before = store.fill()
    out = store.run("session", "ann", "1,3", "hide", wrap=strace())
    tap.ok(out.commit == "NOSPACE" and "with undo" in out.text and "reserve" in out.text and store.look() == before,
           "%s: a full disk, and undo: NOSPACE, nothing is changed" % store.kind, out.text)
    out = store.run("session", "ann", "1,3", "hide")
    tap.ok(out.commit == "OK" and store.look() == {u: m for k, (u, m) in enumerate(before.items()) if k not in (1, 3)},
           "%s: with space again they are hidden" % store.kind, out.text)


def read_only(tap, store):
    path = mail(store, b"size=4m")
    before = store.fill()
    mount(b"tmpfs", path, b"tmpfs", MS_REMOUNT | MS_RDONLY, b"size=4m")
    out = store.run("session", "ann", "1,2")
    tap.ok(out.messages == before and out.commit not in ("OK", "PARTIAL"),
           "read-only: mail is read, a deletion is refused (%s)" % out.commit, out.text)
    out = store.run("deliver", "ann", store.file(message(1)))
    tap.ok(out.delivery in ("PERM", "TEMP", "NOSPACE"), "read-only: a delivery is refused (%s)" % out.delivery, out.text)
    mount(b"tmpfs", path, b"tmpfs", MS_REMOUNT, b"size=4m")
    tap.ok(store.look() == before, "read-only: writable again, everything is as it was")


def full_state(tap, store):
    """The state directory's disk is full: the journal has no room, and nothing changes."""
    path = mail(store, b"size=1m", "state")
    before = store.fill()
    filler = junk(path)
    out = store.run("session", "ann", "0,2")
    tap.ok(out.commit == "NOSPACE" and out.messages == before and store.look() == before,
           "no room for a journal: NOSPACE, nothing is changed", out.text[-600:])
    out = store.run("deliver", "ann", store.file(message(1)))
    tap.ok(out.delivery == "NOSPACE" and store.look() == before, "nor for a delivery", out.text)
    os.unlink(filler)
    kept = {u: m for k, (u, m) in enumerate(before.items()) if k not in (0, 2)}
    out = store.run("session", "ann", "0,2")
    tap.ok(out.commit == "OK" and store.look() == kept, "with space again there is service again", out.text)
    before = store.fill()
    reserves = [os.path.join(store.dir, part, "reserve") for part in ("state", "mail")]
    for r in reserves:
        with open(r, "wb") as f:
            f.write(b"x" * 100000)
    filler = junk(path)
    out = store.run("session", "ann", "0,2")
    freed = [not os.path.exists(r) for r in reserves]
    os.unlink(filler)
    tap.ok(out.commit == "OK" and freed == [True, False] and len(store.look()) == len(before) - 2,
           "a full disk gives up its own reserve, not that of the mailboxes", (freed, out.text[-600:]))


def main():
    tap = Tap()
    own_namespace()
    for kind, run in (("maildir", lambda s: full_disk(tap, s, b"size=1m", "full disk")),
                      ("maildir", lambda s: full_disk(tap, s, b"size=8m,nr_inodes=40", "no inodes")),
                      ("maildir", lambda s: no_record(tap, s)), ("maildir", lambda s: no_room_to_hide(tap, s)),
                      ("maildir", lambda s: read_only(tap, s)),
                      ("mbox", lambda s: full_disk(tap, s, b"size=300k", "mbox, full disk")),
                      ("mbox", lambda s: full_state(tap, s)), ("mbox", lambda s: read_only(tap, s))):
        store = Store(tempfile.mkdtemp(prefix="rst-full.", dir="/tmp"), kind)
        try:
            run(store)
        finally:
            for part in ("mail", "state"):
                umount(os.path.join(store.dir, part))
            shutil.rmtree(store.dir, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
