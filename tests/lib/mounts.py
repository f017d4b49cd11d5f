# SPDX-License-Identifier: Apache-2.0
"""Disks of a test's own: a mount namespace, small file systems in it, and how to fill them. Needs root or user namespaces."""
import ctypes
import os

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
CLONE_NEWNS, CLONE_NEWUSER, MNT_DETACH = 0x00020000, 0x10000000, 2
libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind, flags, options=None):
    if libc.mount(source, target.encode(), kind, flags, options) != 0:
        e = ctypes.get_errno()
        raise OSError(e, "mount %s for the test: %s; it needs root, or user namespaces" % (target, os.strerror(e)))


def umount(target):
    """Unmounts it even while it is in use; it need not be mounted at all."""
    libc.umount2(target.encode(), MNT_DETACH)


def own_namespace():
    """Mounts that nobody else sees, and that end with the test; its servers inherit them, whatever user they run as."""
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if uid else 0)) != 0:
        raise OSError(ctypes.get_errno(), "unshare: the test needs root, or user namespaces, for a disk of its own")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)), ("gid_map", "%d %d 1" % (gid, gid))):
            with open("/proc/self/" + name, "w") as f:
                f.write(text)
    mount(None, "/", None, MS_REC | MS_PRIVATE)


def junk(path):
    """Fills the disk to its last byte; returns the file."""
    name = os.path.join(path, "junk")
    fd = os.open(name, os.O_WRONLY | os.O_CREAT)
    for size in (65536, 4096, 512, 1):
        try:
            while True:
                os.write(fd, b"j" * size)
        except OSError:
            pass
    os.close(fd)
    return name
