# SPDX-License-Identifier: Apache-2.0
"""A network of the test's own: a namespace with nothing but a loopback interface, entered when server.py is imported. Programs
that a test starts inherit it, so two tests can neither take each other's port nor reach each other's server, whatever either
does wrong. Needs root or user namespaces; without them all tests share the machine's loopback, and free_port() keeps their ports
apart."""
import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
MARK = "RESTANTE_TEST_NETWORK"  # the environment names it, for programs of a test that import this as well
libc = ctypes.CDLL(None, use_errno=True)


def _network(pid="self"):
    return os.readlink("/proc/%s/ns/net" % pid)


def _map_ids(uid, gid):
    """In a user namespace of its own the test keeps its user."""
    for name, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)), ("gid_map", "%d %d 1" % (gid, gid))):
        with open("/proc/self/" + name, "w") as f:
            f.write(text)


def own_network():
    """True: no other test is in this network."""
    if os.environ.get(MARK) == _network():
        return True
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWNET | (CLONE_NEWUSER if uid else 0)) != 0:
        return False
    if uid:
        _map_ids(uid, gid)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    os.environ[MARK] = _network()
    return True


def in_machine_network():
    """For preexec_fn of the few programs that need the outside world, such as apt-get: the network the test was started in."""
    own, pid = os.environ.get(MARK), "self"
    while own and pid != "0":
        if _network(pid) != own:
            with open("/proc/%s/ns/net" % pid) as f:
                if libc.setns(f.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            return
        with open("/proc/%s/stat" % pid) as f:
            pid = f.read().rsplit(")", 1)[1].split()[1]
