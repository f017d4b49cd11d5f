#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A running server on a disk that fills to its last byte, becomes read-only, goes away and comes back: what senders and
readers are told, that nothing is lost, that deleting works, that service returns by itself."""
import ctypes
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from full import ctl, deliver, mails, session  # noqa: E402
from pop import Pop  # noqa: E402
from server import Server, Tap, free_port, wait_until  # noqa: E402

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)

SECTIONS = """
auth accounts {
 module = passwd
 file = %(dir)s/passwd
 allow_plain = yes
 storage = mail
}
storage mail {
 module = maildir
 path = %(dir)s/mail/box/%%n
 volume = disk
}
volume disk {
 path = %(dir)s/mail/box
 mount = %(dir)s/mail
 reserve_percent = 0
 reserve_octets = 1m
 reserve_file = 256k
}
undo = %(undo)d
"""


def mount(source, target, kind, flags, options=None):
    if libc.mount(source, target.encode(), kind, flags, options) != 0:
        raise OSError(ctypes.get_errno(), "mount %s: %s" % (target, os.strerror(ctypes.get_errno())))


def own_namespace():
    """Mounts nobody else sees; the server inherits them, with the user it had."""
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(0x00020000 | (0x10000000 if uid else 0)) != 0:
        raise OSError(ctypes.get_errno(), "unshare: the test needs root, or user namespaces, for a disk of its own")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)), ("gid_map", "%d %d 1" % (gid, gid))):
            with open("/proc/self/" + name, "w") as f:
                f.write(text)
    mount(None, "/", None, MS_REC | MS_PRIVATE)


class Disk:
    """A small disk, and the place where the server looks for it."""

    def __init__(self, server):
        self.real, self.place, self.server = server.path("disk"), server.path("mail"), server
        os.makedirs(self.real)
        os.makedirs(self.place)
        mount(b"tmpfs", self.real, b"tmpfs", 0, b"size=4m,mode=755")
        os.makedirs(os.path.join(self.real, "box"))
        server.give(self.real)
        self.plug()

    def plug(self):
        mount(self.real.encode(), self.place, None, MS_BIND)

    def unplug(self):
        libc.umount2(self.place.encode(), 2)

    def read_only(self, yes):
        mount(None, self.place, None, MS_REMOUNT | MS_BIND | (MS_RDONLY if yes else 0))

    def fill(self):
        name = os.path.join(self.real, "junk")
        fd = os.open(name, os.O_WRONLY | os.O_CREAT)
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    os.write(fd, b"j" * size)
            except OSError:
                pass
        os.close(fd)

    def clear(self):
        os.unlink(os.path.join(self.real, "junk"))

    def gone(self):
        self.unplug()
        libc.umount2(self.real.encode(), 2)


def state(server):
    return (ctl(server, "volumes").get("volumes") or [{}])[0]


def becomes(server, wanted):
    wait_until(lambda: state(server).get("state") == wanted, 30, "the volume to be " + wanted)


def full(tap, server, disk, how):
    becomes(server, "ok")
    wait_until(lambda: state(server).get("reserve_file") == 256 * 1024, 30, "the reserve file")
    sent = [deliver(server, "ann", size=2000)["ann"][0] for _ in range(6)]
    before = mails(server, "ann")
    tap.ok(sent == [250] * 6 and len(before) == 6, how + ": with room, six messages are taken", sent)
    disk.fill()
    becomes(server, "low")
    out = deliver(server, "ann")["ann"]
    tap.ok(out[0] == 452 and "4.3.1" in out[1], how + ": full to the last byte: 452 4.3.1", out)
    tap.ok(mails(server, "ann") == before, how + ": POP3 reads all six")
    p = Pop(server.clear_port)
    p.login("ann")
    for n in (1, 2, 3):
        p.say("DELE %d" % n)
    answer = p.say("QUIT")
    p.close()
    tap.ok(answer.startswith(b"+OK") and mails(server, "ann") == before[3:], how + ": three are deleted", answer)
    disk.clear()
    becomes(server, "ok")
    out = deliver(server, "ann")["ann"]
    tap.ok(out[0] == 250 and mails(server, "ann")[:3] == before[3:], how + ": space again: mail is taken, what was there is there", out)
    wait_until(lambda: state(server).get("reserve_file") == 256 * 1024, 30, "the reserve file again")


def read_only(tap, server, disk):
    before = mails(server, "ann")
    disk.read_only(True)
    becomes(server, "read-only")
    out = deliver(server, "ann")["ann"]
    p = Pop(server.clear_port)
    p.login("ann")
    p.say("DELE 1")
    answer = p.say("QUIT")
    p.close()
    tap.ok(out[0] == 452 and "4.3.1" in out[1] and answer.startswith(b"-ERR [SYS/") and mails(server, "ann") == before,
           "read-only: 452 4.3.1; mail is read; a deletion is refused, and did not happen", (out, answer))
    disk.read_only(False)
    becomes(server, "ok")
    tap.ok(deliver(server, "ann")["ann"][0] == 250, "writable again: mail is taken")


def unmounted(tap, server, disk):
    before = mails(server, "ann")
    disk.unplug()
    os.makedirs(os.path.join(disk.place, "box"))
    server.give(disk.place)
    becomes(server, "not mounted")
    out = deliver(server, "ann")["ann"]
    p = Pop(server.clear_port)
    answer = p.login("ann")
    p.close()
    left = [os.path.join(b, n) for b, d, f in os.walk(disk.place) for n in d + f]
    tap.ok(out[0] == 451 and answer.startswith(b"-ERR [SYS/TEMP]"), "not mounted: 451 to senders, [SYS/TEMP] to readers, not an empty mailbox",
           (out, answer))
    tap.ok(left == [os.path.join(disk.place, "box")], "not mounted: nothing is written into the directory beneath", left)
    disk.plug()
    becomes(server, "ok")
    tap.ok(mails(server, "ann") == before and deliver(server, "ann")["ann"][0] == 250, "mounted again: all is there, mail is taken")


def main():
    tap = Tap()
    own_namespace()
    server = Server()
    disk = Disk(server)
    try:
        server.passwd({"ann": "restante"})
        server.lmtp = free_port()
        server.extra_listeners = "listener in {\n protocol = lmtp\n address = 127.0.0.1\n port = %d\n tls = none\n}\n" % server.lmtp
        server.configure(SECTIONS % {"dir": server.dir, "undo": 0})
        server.start()
        wait_until(lambda: server.ctl("status").returncode == 0, 30, "the control socket")
        full(tap, server, disk, "full")
        read_only(tap, server, disk)
        unmounted(tap, server, disk)
        session(server, "ann", *["DELE %d" % (k + 1) for k in range(len(mails(server, "ann")))])
        server.stop()
        server.configure(SECTIONS % {"dir": server.dir, "undo": 3})
        server.start()
        wait_until(lambda: server.ctl("status").returncode == 0, 30, "the control socket")
        full(tap, server, disk, "full, with undo")
        tap.ok(server.stop() == 0, "the server ends cleanly")
    except BaseException:
        print("# " + server.log()[-4000:].replace("\n", "\n# "))
        raise
    finally:
        server.stop()
        disk.gone()
        server.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
