#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Volumes on disks of their own: full, read-only, without inodes, not mounted; the reserve file; Badmail on each of them.
Needs root or user namespaces, for mounts nobody else sees."""
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mounts import MS_RDONLY, MS_REMOUNT, junk, mount, own_namespace, umount  # noqa: E402
from keeper import Keeper  # noqa: E402
from server import Tap  # noqa: E402

CONF = """volume v {
 path = %(dir)s/disk/mail
 mount = %(dir)s/disk
 reserve_percent = 0
 reserve_octets = 1m
 reserve_file = 512k
}
badmail {
 path = %(dir)s/disk/mail/bad
 volume = v
}
"""
INSERT = "insert refused 1 300 unknown a@b.example x@y.example"


class Disk(Keeper):
    def __init__(self):
        d = tempfile.mkdtemp(prefix="rst-volume.", dir="/tmp")
        os.makedirs(os.path.join(d, "disk"))
        super().__init__(d, CONF % {"dir": d})
        self.disk = self.path("disk")

    def mount(self, options=b"size=4m", flags=0):
        mount(b"tmpfs", self.disk, b"tmpfs", flags, options)
        if not flags:
            os.makedirs(os.path.join(self.disk, "mail"), exist_ok=True)

    def umount(self):
        umount(self.disk)

    def state(self, octets=0):
        return self.run(["volume v %d" % octets])[0]

    def reserve(self):
        name = os.path.join(self.disk, "mail", ".restante-reserve")
        return os.path.getsize(name) if os.path.exists(name) else 0

    def close(self):
        self.umount()
        shutil.rmtree(self.dir, ignore_errors=True)


def room(tap, d):
    d.mount()
    tap.ok(d.state().startswith("ok") and d.reserve() == 512 * 1024, "mounted, with room: ok; the reserve file is made", d.state())
    tap.ok(os.stat(os.path.join(d.disk, "mail", ".restante-reserve")).st_blocks * 512 >= 512 * 1024, "of real blocks, not a hole")
    tap.ok(d.state(3 << 20).startswith("low"), "a message that would go into the reserve: low", d.state(3 << 20))
    tap.ok(d.run([INSERT])[0].startswith("x"), "Badmail takes a message")


def full(tap, d):
    filler = junk(os.path.join(d.disk, "mail"))
    said = d.state()
    tap.ok(said.startswith("low") and "the reserve is 1 MiB" in said, "full: low, with figures: " + said)
    out = d.run([INSERT, "door 1"])
    tap.ok(out[0].startswith("! NOSPACE") and out[1].startswith("closed"), "full: Badmail takes nothing, the door is closed", out)
    out = d.run(["release " + os.path.join(d.disk, "mail", "ann"), "release " + os.path.join(d.disk, "mail", "ann")])
    tap.ok(out == ["OK", "NOENT"] and d.reserve() == 0, "the reserve file is given back once", out)
    out = d.run(['admin {"verb": "badmail", "action": "purge", "class": "refused"}', "totals"])
    tap.ok('"purged":1' in out[0] and out[1].startswith("0 0 0 0"), "full: deleting works, and is counted", out)
    tap.ok(d.reserve() == 0, "full: the reserve file is not made again")
    os.unlink(filler)
    tap.ok(d.state().startswith("ok") and d.reserve() == 512 * 1024, "space again: ok, and the reserve file is there again", d.state())
    tap.ok(d.run([INSERT])[0].startswith("x"), "space again: Badmail takes mail")


def read_only(tap, d):
    mount(b"tmpfs", d.disk, b"tmpfs", MS_REMOUNT | MS_RDONLY, b"size=4m")
    out = d.run(["volume v 0", INSERT, "door 1"])
    tap.ok(out[0].startswith("read-only") and out[1].startswith("! NOSPACE") and out[2].startswith("closed"),
           "read-only: said, nothing is taken", out)
    mount(b"tmpfs", d.disk, b"tmpfs", MS_REMOUNT, b"size=4m")
    tap.ok(d.state().startswith("ok"), "writable again: ok")


def unmounted(tap, d):
    d.umount()
    os.makedirs(os.path.join(d.disk, "mail"), exist_ok=True)  # a directory of the same name under the mount, as many sites have
    out = d.run(["volume v 0", INSERT, "door 1", "release " + os.path.join(d.disk, "mail")])
    left = [os.path.join(base, n) for base, dirs, names in os.walk(d.disk) for n in dirs + names]
    tap.ok(out[0].startswith("not mounted") and "nothing is mounted at" in out[0], "not mounted: said: " + out[0])
    tap.ok(out[1].startswith("! TEMP") and out[2].startswith("closed") and left == [os.path.join(d.disk, "mail")],
           "not mounted: nothing is written into the directory beneath, not even a reserve file", (out, left))
    d.mount()
    tap.ok(d.state().startswith("ok"), "mounted again: ok")


def inodes(tap):
    d = Disk()
    conf = open(d.conf).read().replace("reserve_percent = 0", "reserve_percent = 10")
    with open(d.conf, "w") as f:
        f.write(conf.replace("reserve_octets = 1m", "reserve_octets = 0"))
    try:
        d.mount(b"size=8m,nr_inodes=100")
        first = d.state()
        for k in range(90):
            open(os.path.join(d.disk, "mail", "n%d" % k), "w").close()
        said = d.state()
        tap.ok(first.startswith("ok") and said.startswith("low") and "inodes" in said, "no inodes: low, and why: " + said, first)
    finally:
        d.close()


def main():
    tap = Tap()
    own_namespace()
    d = Disk()
    try:
        for run in (room, full, read_only, unmounted):
            run(tap, d)
    finally:
        d.close()
    inodes(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
