# SPDX-License-Identifier: Apache-2.0
"""A private store that act works on: each session or delivery is one process, and the outcome is returned."""
import os
import shutil
import subprocess
import tempfile

BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
TREE = os.environ.get("CHECK_TREE", os.path.join(BUILD, "check-tree"))
MESSAGES = [b"Subject: number %d\r\n\r\nline one of %d\r\n.a dot\r\n%s" % (k, k, b"x" * (37 * k) + b"\r\n") for k in range(5)]


def fnv(data):
    h = 0xcbf29ce484222325
    for c in data:
        h = (h ^ c) * 0x100000001b3 & 0xffffffffffffffff
    return "%016x" % h


class Outcome:
    """The output of act: .rc its exit code, .open/.commit/.delivery codes or None, .deleted how many, .messages {uidl: (octets,
    digest)}."""

    def __init__(self, done):
        self.rc, self.text = done.returncode, done.stdout + done.stderr
        self.open = self.commit = self.delivery = self.deleted = None
        self.messages, self.errors, self.closed, self.ready = {}, [], False, False
        for line in done.stdout.splitlines():
            w = line.split()
            if w[0] in ("open", "commit", "delivery"):
                setattr(self, w[0], w[1])
            elif w[0] == "deleted":
                self.deleted = int(w[1])
            elif w[0] == "message" and w[2] == "OK":
                self.messages[w[3]] = (int(w[4]), w[5])
            elif w[0] == "message":
                self.errors.append(w[2])
            elif w[0] == "closed":
                self.closed = True
            elif w[0] == "ready":
                self.ready = True


STORES = ("maildir", "mbox")


class Store:
    def __init__(self, where=None, kind="maildir"):
        self.own = where is None
        self.kind = self.name = kind
        self.at_end = False     # whether a sweep covers only the end of a session
        self.dir = where or tempfile.mkdtemp(prefix="rst-crash.", dir="/tmp")
        for d in ("mail", "state"):
            os.makedirs(os.path.join(self.dir, d), exist_ok=True)
        self.act = os.path.join(BUILD, "tests", "crash", "act")
        self.module = os.path.join(TREE, "lib", "restante", "modules", kind + ".so")
        self.env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0", ACT_STATE=os.path.join(self.dir, "state"))

    def command(self, *args):
        return [self.act, self.module, "path=%s/mail/%%u" % self.dir, *args]

    def run(self, *args, wrap=()):
        done = subprocess.run([*wrap, *self.command(*args)], capture_output=True, text=True, errors="replace",
                              timeout=120, check=False, env=self.env)
        return Outcome(done)

    def remove(self, user):
        """The mailbox, and everything the store remembers about it."""
        path = os.path.join(self.dir, "mail", user)
        if self.kind == "maildir":
            shutil.rmtree(path, ignore_errors=True)
            return
        if os.path.exists(path):
            os.unlink(path)
        for lock in (path + ".lock",):
            if os.path.exists(lock):
                os.unlink(lock)
        shutil.rmtree(os.path.join(self.dir, "state", "mbox"), ignore_errors=True)

    def file(self, raw, name="message"):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(raw)
        return path

    def fill(self, user="ann", messages=MESSAGES):
        """A new mailbox with these messages; {uidl: (octets, digest)}."""
        self.remove(user)
        files = [self.file(raw, "imported-%d" % k) for k, raw in enumerate(messages)]
        # half of them with unique-ids that no scan could derive again
        half = len(files) // 2
        text = self.run("import", user, *files[:half]).text + self.run("deliver", user, *files[half:]).text
        if text.count("delivery OK") != len(messages):
            raise RuntimeError("cannot fill the store:\n" + text)
        seen = self.look(user)
        if sorted(seen.values()) != sorted((len(m), fnv(m)) for m in messages):
            raise RuntimeError("the store gives other messages back:\n%s" % seen)
        return seen

    def look(self, user="ann"):
        out = self.run("session", user)
        if out.open != "OK" or not out.closed or out.errors:
            raise RuntimeError("the mailbox cannot be looked at:\n" + out.text)
        return out.messages

    def close(self):
        if self.own:
            shutil.rmtree(self.dir, ignore_errors=True)


def judge_session(before, doomed, out, after):
    """The fault in the mailbox after a session that was to delete `doomed` of `before`; '' if there is none."""
    kept = {u: m for u, m in before.items() if u not in doomed}
    if after not in (before, kept):
        lost = set(kept) - set(after)
        return "lost: %s, left: %s" % (sorted(lost), sorted(after)) if lost or set(after) - set(before) else \
            "half of it was deleted: %s of %s, and it said %s" % (sorted(set(before) - set(after)), doomed, out.commit)
    if out.commit in ("OK", "PARTIAL") and after != kept:
        return "it said %s, and what was deleted is there" % out.commit
    if out.commit not in ("OK", "PARTIAL", "UNKNOWN", None) and after != before:
        return "it said %s, and messages are gone" % out.commit
    return ""


def judge_delivery(before, raw, out, after):
    new = [m for u, m in after.items() if u not in before]
    if {u: m for u, m in after.items() if u in before} != before:
        return "a delivery changed other messages"
    if out.delivery == "OK" and new != [(len(raw), fnv(raw))]:
        return "it said OK, and what is there is %s" % new
    if out.delivery not in ("OK", "UNKNOWN", None) and new:
        return "it said %s, and the message is there" % out.delivery
    if new not in ([], [(len(raw), fnv(raw))]):
        return "half a message is visible: %s" % new
    return ""
