#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mail comes in while its disk is full, read-only, or not mounted, and while the database of a store is gone: the codes
of doc/protocol.md, nothing accepted is lost, nothing refused is stored, POP3 goes on, and service resumes by itself.
The disk is a small tmpfs of the test's own. Needs root or user namespaces."""
import os
import smtplib
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailstore import MailStore  # noqa: E402
from mounts import MS_RDONLY, MS_REMOUNT, mount, own_namespace, umount  # noqa: E402
from pop import Pop  # noqa: E402
from sections import accounts, block, store as files  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

ALL = os.environ.get("ALL") == "yes"
BODY = b"Subject: x\r\n\r\n" + b"0123456789 0123456789 0123456789\r\n" * 1000
SIZE = b"size=4m"


class Disk:
    """A store of files on a tmpfs, with or without a volume block."""

    def __init__(self, store, volume):
        self.s = s = Server()
        self.disk = s.path("disk")
        os.mkdir(self.disk)
        self.put()
        s.passwd({"ann": "restante"})
        self.socket = s.path("run", "lmtp")
        s.listen("lmtp", path=self.socket)
        mail = os.path.join(self.disk, "mail")
        s.configure(accounts(s) + files(s, store, path=os.path.join(mail, "%n"), volume="v" if volume else None) +
                    (block("volume", "v", path=mail, mount=self.disk, reserve_percent=0, reserve_octets="1m", reserve_file="256k")
                     if volume else ""))
        s.start()

    def put(self):
        mount(b"tmpfs", self.disk, b"tmpfs", 0, SIZE)
        os.mkdir(os.path.join(self.disk, "mail"))
        self.s.give(self.disk)

    def deliver(self):
        """The last reply: (code, text)."""
        with smtplib.LMTP(self.socket) as c:
            c.ehlo("me")
            for reply in (lambda: c.mail("a@example.org"), lambda: c.rcpt("ann"), lambda: c.data(BODY)):
                code, text = reply()
                if code >= 400:
                    return code, text.decode()
            return code, text.decode()

    def fetch(self, delete=True):
        with Pop(self.s.clear_port) as p:
            if not p.login("ann").startswith(b"+OK"):
                return -1
            n = 0
            for line in p.lines("LIST"):
                got = b"".join(x for x in p.lines(b"RETR " + line.split()[0]))
                n += got.endswith(BODY)
                if delete:
                    p.say(b"DELE " + line.split()[0])
            return n if p.say("QUIT").startswith(b"+OK") else -2

    def until_refused(self):
        for n in range(1000):
            code, text = self.deliver()
            if code != 250:
                return n, "%d %s" % (code, text)
        return 1000, "never refused"

    def close(self):
        self.s.stop()
        umount(self.disk)
        self.s.close()


def full(tap, store, volume):
    how = "%s, %s" % (store, "with a reserve" if volume else "without a volume block")
    d = Disk(store, volume)
    try:
        n, said = d.until_refused()
        tap.ok(said.startswith("452") and "4.3.1" in said and n > 10, "full, %s: %d accepted, then %s" % (how, n, said))
        left = os.statvfs(d.disk).f_bavail * os.statvfs(d.disk).f_frsize
        tap.ok((left > 256 * 1024) == volume, "full, %s: %d octets are left" % (how, left))
        tap.ok(d.fetch(False) == n, "full, %s: all %d can be read" % (how, n))
        tap.ok(d.fetch() == n, "full, %s: and deleted" % how)
        wait_until(lambda: d.deliver()[0] == 250, 20, "mail to be taken again")
        tap.ok(d.fetch() == 1, "room again, %s: mail is taken" % how)
        mount(b"tmpfs", d.disk, b"tmpfs", MS_REMOUNT | MS_RDONLY, SIZE)
        wait_until(lambda: not volume or d.deliver()[1].find("4.3.1") >= 0, 20, "the volume to be looked at")
        code, text = d.deliver()
        tap.ok((code, text.split()[0]) == (452, "4.3.1") if volume else (code == 451 and "4.3.5" in text),
               "read-only, %s: %d %s" % (how, code, text))
        mount(b"tmpfs", d.disk, b"tmpfs", MS_REMOUNT, SIZE)
        wait_until(lambda: d.deliver()[0] == 250, 20, "mail to be taken again")
        tap.ok(d.fetch() == 1, "writable again, %s: mail is taken" % how)
        if volume:
            unmounted(tap, d)
        d.s.ends(tap, "%s: the server ends well" % how)
    except RuntimeError as e:
        tap.ok(False, how, "%s\n%s" % (e, d.s.log()[-2000:]))
    finally:
        d.close()


def unmounted(tap, d):
    umount(d.disk)
    beneath = os.path.join(d.disk, "mail")
    os.mkdir(beneath)
    d.s.give(d.disk)
    wait_until(lambda: "not mounted" in d.s.ctl("volumes").stdout, 60, "the volume to be looked at")
    code, text = d.deliver()
    left = [n for _, dirs, files in os.walk(beneath) for n in dirs + files]
    tap.ok(code == 451 and text.startswith("4.3.0") and not left, "not mounted: %d %s; nothing is written beneath" % (code, text), left)
    os.rmdir(beneath)
    d.put()
    wait_until(lambda: d.deliver()[0] == 250, 20, "mail to be taken again")
    tap.ok(d.fetch() == 1, "mounted again: mail is taken")


def database(tap):
    s, db = Server(), MailStore()
    try:
        s.passwd({"ann": "restante"})
        d = Disk.__new__(Disk)
        d.s, d.socket = s, s.path("run", "lmtp")
        s.listen("lmtp", path=d.socket)
        s.configure(accounts(s) + db.section(breaker_open_ms="500"))
        s.start()
        tap.ok(d.deliver()[0] == 250, "MariaDB is there: mail is taken")
        db.stop()
        code, text = d.deliver()
        tap.ok(code == 451 and "4.3.0" in text, "MariaDB stopped: %d %s" % (code, text))
        db.start()
        wait_until(lambda: d.deliver()[0] == 250, 60, "mail to be taken again")
        tap.ok(d.fetch() == 2, "MariaDB is back: mail is taken, nothing is lost, nothing refused is there")
        s.ends(tap, "MariaDB: the server ends well")
    finally:
        s.close()
        db.close()


def main():
    tap = Tap()
    own_namespace()
    for store, volume in (("maildir", True), ("maildir", False), ("mbox", True), ("mbox", False)):
        if ALL or store == "maildir" or not volume:
            full(tap, store, volume)
    database(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
