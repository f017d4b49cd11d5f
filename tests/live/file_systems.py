#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""maildir and mbox on real file systems: ext4, ext4 with whole seconds, XFS, tmpfs, and one through FUSE. Mail comes in, is
retrieved, deleted, hidden, brought back and expired, another program appends, and the server is killed in between: nothing is lost,
unique-ids stay, and each message comes as it was sent. With --all only.

Disks are loop devices in a mount namespace. A file system that root and loop devices could serve and that is not tried is a
failure; without root, or on a machine that has no loop devices (or no /dev/fuse), the test tells which ones it left out."""
import contextlib
import os
import signal
import smtplib
import subprocess
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mounts import MS_BIND, mount, own_namespace, umount  # noqa: E402
from pop import Pop, entered  # noqa: E402
from sections import accounts, block, maildirs, store  # noqa: E402
from server import Server, Tap, mboxrd, wait_until  # noqa: E402

USERS = {"ann": "mail", "box": "boxes"}
OLD = {"ann": "old", "box": "oldbox"}  # accounts on the same stores whose mail came years ago
EACH = 12


def letter(k):
    return b"From: a@example.org\r\nSubject: letter %d\r\n\r\n" % k + b"line %d\r\n.dots\r\nFrom here\r\n" % k * (k % 5 * 40 + 1)


class Disk:
    """A file system at `place`; kind: "ext4", "xfs", ... `left`: why it is not tried."""

    def __init__(self, kind, size="0", make=()):
        self.kind, self.size, self.make, self.fuse = kind, size, make, None

    def left(self):
        if self.kind.startswith("tmpfs"):
            return None
        if os.geteuid() != 0:
            return "not root"
        if self.kind == "FUSE":
            return None if os.path.exists("/dev/fuse") else "there is no /dev/fuse"
        return None if os.path.exists("/dev/loop-control") else "there are no loop devices"

    def attach(self, server):
        self.place = server.mkdir("disk")
        if self.kind == "tmpfs":
            return mount(b"tmpfs", self.place, b"tmpfs", 0, b"size=64m")
        if self.kind == "FUSE":
            self.fuse = subprocess.Popen(["bindfs", "-f", server.mkdir("beneath"), self.place], stdin=subprocess.DEVNULL)
            return wait_until(lambda: os.path.ismount(self.place), 30, "bindfs to mount")
        image = server.path("image")
        subprocess.check_call(["truncate", "-s", self.size, image])
        subprocess.check_call([*self.make, image], stdout=subprocess.DEVNULL)
        subprocess.check_call(["mount", "-o", "loop", image, self.place])  # the loop device goes with the last user

    def detach(self):
        umount(self.place)
        if self.fuse:
            self.fuse.terminate()
            self.fuse.wait(60)


DISKS = (Disk("ext4", "64M", ("mkfs.ext4", "-q", "-F")), Disk("ext4, whole seconds", "64M", ("mkfs.ext4", "-q", "-F", "-I", "128")),
         Disk("XFS", "320M", ("mkfs.xfs", "-q")), Disk("tmpfs"), Disk("FUSE"))


@contextlib.contextmanager
def on(disk):
    with Server() as server:
        disk.attach(server)
        try:
            for name in ("mail", "state"):
                path = os.path.join(disk.place, name)
                os.makedirs(path, 0o700)
                os.makedirs(server.path(name), exist_ok=True)
                mount(path.encode(), server.path(name), None, MS_BIND)
            server.give(disk.place)
            raws = [letter(k).replace(b"\r\n", b"\n") for k in range(4)]
            server.maildir(OLD["ann"], raws)
            server.mbox(OLD["box"], raws)
            stores = {**USERS, OLD["ann"]: "mail", OLD["box"]: "boxes"}
            server.passwd({u: "restante" for u in stores}, **{u: "storage=" + s for u, s in stores.items()})
            server.lmtp = server.listen("lmtp")
            server.configure(accounts(server) + maildirs(server) + store(server, "mbox", name="boxes"), takeover="0s", undo=7, expire=30)
            yield server.start()
        finally:
            server.stop()
            for name in ("mail", "state"):
                umount(server.path(name))
            disk.detach()


def deliver(server, user, numbers):
    with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
        for k in numbers:
            c.sendmail("clerk@example.org", [user], letter(k))


def killed(server):
    server.proc.send_signal(signal.SIGKILL)
    server.proc.wait()
    server.start()


def look(server, user):
    """unique-id -> number, of messages that came as they were sent."""
    out = {}
    with entered(server, user) as p:
        sizes = [int(line.split()[1]) for line in p.lines("LIST")]
        for k, line in enumerate(p.lines("UIDL")):
            raw = b"".join(p.lines("RETR %d" % (k + 1))).replace(b"\r\n..", b"\r\n.")
            number = int(raw.split(b"Subject: letter ")[1].split(b"\r\n")[0])
            if raw.endswith(letter(number)) and len(raw) == sizes[k]:
                out[line.split()[1].decode()] = number
    return out


def older(path, days):
    """Moves each retrieval in a ledger so many days back."""
    with open(path, "rb") as f:
        lines = f.read().split(b"\n")
    for k, line in enumerate(lines):
        words = line.split(b" ")
        at = {b"F": 3, b"M": 6}.get(words[1]) if len(words) > 3 else None
        if at and int(words[at]) > 0:
            words[at] = b"%d" % (int(words[at]) - days * 86400000)
            rest = b" ".join(words[1:])
            lines[k] = b"%08x %s" % (zlib.crc32(rest), rest)
    with open(path, "wb") as f:
        f.write(b"\n".join(lines))


def expired(server, user):
    """Four messages that came years ago are retrieved, one comes now: what is left when restantectl expire ran 40 days later."""
    old = OLD[user]
    first = look(server, old)
    deliver(server, old, [99])
    if user == "ann":
        older(server.path("mail", old, "restante-ledger"), 40)
    else:
        for name in os.listdir(server.path("state", "mbox", "ledger")):
            older(server.path("state", "mbox", "ledger", name), 40)
    done = server.json("expire", old).get("messages")
    return len(first), done, list(look(server, old).values()), server.json("quota", old).get("hidden_messages")


def append(server, k):
    """As an MTA does, with a dotlock."""
    path = server.path("mail", "box")
    lock = os.open(path + ".lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    with open(path, "ab") as f:
        f.write(mboxrd(letter(k).replace(b"\r\n", b"\n"), b"mta@example.org", k))
    os.close(lock)
    os.unlink(path + ".lock")


def rounds(tap, server, kind, user):
    def holds(good, what, why=""):
        tap.ok(good, "%s, %s: %s" % (kind, USERS[user], what), "%s\n%s" % (why, server.log()[-1500:]))

    deliver(server, user, range(EACH))
    first = look(server, user)
    holds(sorted(first.values()) == list(range(EACH)), "%d messages come in, and out as they were sent" % EACH, first)
    with Pop(server.clear_port) as p:
        p.login(user)
        for k in (1, 4, 5):
            p.say("DELE %d" % k)
        deliver(server, user, [EACH])
        end = p.say("QUIT")
    killed(server)
    second = look(server, user)
    gone = sorted(v for k, v in first.items() if k not in second)
    holds(end.startswith(b"+OK") and gone == [0, 3, 4] and sorted(second.values()) == sorted(set(range(EACH + 1)) - {0, 3, 4}) and
          all(first.get(k, v) == v for k, v in second.items()), "a deletion and a delivery beside it, then kill -9", (end, second))
    back = server.json("undelete", user, "--all").get("messages")
    third = look(server, user)
    holds(back == 3 and third == {**first, **second}, "hidden mail is brought back, with its unique-ids", (back, third))
    if user == "box":
        append(server, 77)
        third = look(server, user)
        holds(sorted(third.values()) == [*range(EACH + 1), 77], "another program appends", third)
    killed(server)
    told = server.json("quota", user, "--recount")
    holds(look(server, user) == third and told.get("used_messages", told.get("messages")) == len(third), "all of it after kill -9", told)
    told = expired(server, user)
    holds(told == (4, 4, [99], 4), "expire hides what was retrieved 40 days ago, no more", told)


def told(tap, server, kind):
    warnings, starts = (server.log().count(words) for words in ("/mail/ann: it is on FUSE:", "started restanted"))
    tap.ok(warnings == (starts if kind == "FUSE" else 0), "%s: the log %s that locks may not hold between hosts" % (
        kind, "warns once a start" if kind == "FUSE" else "does not warn"), "%d warnings" % warnings)


def main():
    tap = Tap()
    own_namespace()
    for disk in DISKS:
        why = disk.left()
        if why:
            tap.note("%s is not tried: %s" % (disk.kind, why))
            continue
        with on(disk) as server:
            for user in USERS:
                rounds(tap, server, disk.kind, user)
                if user == "ann":
                    told(tap, server, disk.kind)
            server.ends(tap, "%s: the server ends cleanly" % disk.kind)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
