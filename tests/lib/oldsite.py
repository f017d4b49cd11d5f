# SPDX-License-Identifier: Apache-2.0
"""A site as an earlier version left it (tests/compat): where its files are, its configuration, and what a server that is started
on it tells of every mailbox. make.py records that from the old server, versions.py from ours.

Unique-ids and marks of mboxes are found by the path of the mailbox: so the files are always below /var/mail, in a mount namespace."""
import glob
import hashlib
import json
import os
import struct
import subprocess
import time

from mounts import MS_BIND, mount, umount
from pop import Pop
from sections import accounts, block
from server import Server, wait_until

PLACE = "/var/mail"  # it is there on each Debian, and no clone of this is
KEPT, GONE = "undo.test", "gone.test"  # domains: deleted mail is hidden for 100 years; it goes at once, and is counted
YEARS = 36500
PARTS = ("mail", "box", "attic", "bad", "state")
LATE = "late@plain.test"  # Badmail has mail for him
MOVED = "moved@moved.test"  # his deleted mail was moved to another storage

# ---- checksums of the mbox module's files --------------------------------------------------------


def fnv(data, h=0xcbf29ce484222325):
    for c in data:
        h = (h ^ c) * 0x100000001b3 & 0xffffffffffffffff
    return h


def resummed(raw, end):
    """A record whose checksum, of what follows it, is the eight bytes before its inode; `end`: what is summed."""
    at = 16 if raw.startswith(b"rstmapp") else 24
    return raw[:at - 8] + struct.pack("<Q", fnv(raw[at:end])) + raw[at:]


def at_home(raw):
    """A journal or a record of a delivery, with the inode that the mailbox has here: it is the copy that differs."""
    append = raw.startswith(b"rstmapp")
    at = 16 if append else 24
    counts = struct.unpack_from("<4I", raw, at + (24 if append else 32))
    path_n, head = counts[0 if append else 1], at + (40 if append else 64)
    texts = sum(counts) if append else counts[1] + counts[2]
    path = raw[head:head + path_n].decode()
    raw = raw[:at] + struct.pack("<Q", os.stat(path).st_ino) + raw[at + 8:]
    return resummed(raw, head + texts)


def index_at_home(raw, paths):
    """An index, with the device and inode of its mailbox, which has its size and time; so it is not passed over for those."""
    size, seconds, ns = struct.unpack_from("<3Q", raw, 32)
    for path in paths:
        st = os.stat(path)
        if st.st_size == size and st.st_mtime_ns == seconds * 10**9 + ns:
            body = raw[:16] + struct.pack("<2Q", st.st_dev, st.st_ino) + raw[32:-8]
            return body + struct.pack("<Q", fnv(body))
    return raw


# ---- the site ------------------------------------------------------------------------------------


class OldSite(Server):
    """State and mail are below /var/mail, owned by the service user."""

    def __init__(self, tree=None, keep=False):
        super().__init__(tree, keep)
        self.mkdir("place")
        mount(self.path("place").encode(), PLACE, None, MS_BIND)
        for part in PARTS:
            os.makedirs(os.path.join(PLACE, part), mode=0o700, exist_ok=True)
        mount((PLACE + "/state").encode(), self.path("state"), None, MS_BIND)
        self.lmtp = self.listen("lmtp")

    def close(self):
        rc = self.stop()
        umount(self.path("state"))
        umount(PLACE)
        super().close()
        return rc

    def own(self):
        self.give(self.path("place"))

    def serve(self, users, db, more="", **settings):
        """users: name -> storage section."""
        self.users = users
        self.passwd({u: "restante" for u in users}, **{u: "storage=" + s for u, s in users.items()})
        text = (accounts(self) + block("storage", "mail", module="maildir", path=PLACE + "/mail/%n") +
                block("storage", "box", module="mbox", path=PLACE + "/box/%n") +
                (db.section("rows", lease_time="600s") if db else "") +
                block("storage", "attic", module="maildir", path=PLACE + "/attic/%n") +
                block("badmail", path=PLACE + "/bad", retry_first=1, retry_max=2, max_age=YEARS * 86400) +
                block("domain", KEPT, undo=YEARS, domain_messages=100000) +
                block("domain", GONE, domain_messages=100000) + more)
        self.configure(text, takeover="0s", **settings)
        return self

    # ---- what it tells ----

    def session(self, user):
        """[unique-id, octets, hash] of each message, in order; then all are deleted. Or the answer that refused the login."""
        with Pop(self.clear_port) as p:
            answer = p.login(user)
            if not answer.startswith(b"+OK"):
                return answer.decode().strip()
            ids = [line.split()[1].decode() for line in p.lines("UIDL")]
            sizes = [int(line.split()[1]) for line in p.lines("LIST")]
            out = []
            for k, (uidl, size) in enumerate(zip(ids, sizes)):
                body = p.lines("RETR %d" % (k + 1))
                text = None if body is None else hashlib.sha256(b"".join(body)).hexdigest()[:16]
                out.append([uidl, size, text])
                p.say("DELE %d" % (k + 1))
            if not (end := p.say("QUIT")).startswith(b"+OK"):
                out.append(end.decode().strip())
            return out

    def marks(self, user, begin_ms):
        """[unique-id, octets, when it was first retrieved (0: not before we looked)] of each hidden message."""
        found = self.json("undelete", user, "--list").get("hidden", [])
        return sorted([m["uidl"], m["octets"], m["first_retrieved_ms"] if m["first_retrieved_ms"] < begin_ms else 0]
                      for m in found)

    def look(self):
        """All that is recorded, as JSON has it. Empties every mailbox, some of them with undo."""
        begin_ms = int((time.time() - 5) * 1000)
        out = {"domains": {}, "users": {}}
        for domain in (KEPT, GONE):
            told = self.json("quota", "--domain", domain)
            out["domains"][domain] = [told.get("domain_used_messages"), told.get("domain_used_octets")]
        for user in sorted(self.users):
            kept = user.endswith(KEPT)
            if user == LATE:
                wait_until(lambda: self.json("badmail", "stats").get("totals", {}).get("retry_items") == 0, 60, "Badmail to be delivered")
            before = self.marks(user, begin_ms) if kept else None
            seen = self.session(user)
            out["users"][user] = {"messages": seen, "hidden before": before,
                                  "marks": self.marks(user, begin_ms) if kept else None, "afterwards": self.session(user)}
        items = self.json("badmail", "list", "--class", "refused").get("items", [])
        out["moved"] = self.look_moved(begin_ms)
        out["refused"] = [[i[k] for k in ("id", "sender", "recipients", "reason", "octets")] for i in items]
        return out

    def look_moved(self, begin_ms):
        """Deleted mail that was moved to another storage: what can be brought back, and is there then."""
        self.stop()
        self.serve({MOVED: "mail"}, None, undo=YEARS, undo_storage="attic").start()
        before = self.marks(MOVED, begin_ms)
        self.json("undelete", MOVED, "--all")
        return {"hidden": before, "messages": self.session(MOVED)}

    # ---- a copy ----

    def copy(self, archive, db):
        """Serves a copy of the site in this archive."""
        subprocess.check_call(["tar", "-C", PLACE, "-xf", archive])
        with open(PLACE + "/mysql.sql") as f:
            db.sql("DROP DATABASE mail; CREATE DATABASE mail CHARACTER SET utf8mb4", database="")
            db.sql(f.read())
        db.schema()
        boxes = glob.glob(PLACE + "/box/*")
        for path in glob.glob(PLACE + "/state/mbox/journal/*"):
            rewrite(path, at_home)
        for path in glob.glob(PLACE + "/state/mbox/index/*"):
            rewrite(path, lambda raw: index_at_home(raw, boxes))
        for path in glob.glob(PLACE + "/state/mbox/incoming/*"):
            os.utime(path)  # the crash was just now: after 36 hours they are swept
        self.own()
        with open(PLACE + "/users.json") as f:
            return self.serve(json.load(f), db).start()


def rewrite(path, change):
    with open(path, "rb") as f:
        raw = f.read()
    st = os.stat(path)
    with open(path, "wb") as f:
        f.write(change(raw))
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
