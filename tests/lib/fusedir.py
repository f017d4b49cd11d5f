# SPDX-License-Identifier: Apache-2.0
"""A directory that is mounted several times by FUSE, each mount as another host would have it: the kernel keeps their caches and
their locks on directories apart, and only flock(2) on files comes to the one server, as on NFS. The server is a process of its own,
and speaks to /dev/fuse itself. Needs root and a mount namespace of the test's own (mounts.py)."""
import errno
import os
import select
import signal
import struct

from mounts import mount, umount

HEAD = struct.Struct("<IIQQIIIHH")
ATTR = struct.Struct("<6Q10I")
BUFFER = 1 << 17
FLOCK_LOCKS, DIRECT_IO, FLOCK_UNLOCK = 1 << 10, 1, 2
F_UNLCK, SETLKW = 2, 33
SICK = b"-sick"     # a name with this is listed, and nothing else can be had of it


def attr_of(st):
    def ns(t):
        return t % 1000000000
    return ATTR.pack(st.st_ino, st.st_size, st.st_blocks, st.st_atime_ns // 10 ** 9, st.st_mtime_ns // 10 ** 9,
                     st.st_ctime_ns // 10 ** 9, ns(st.st_atime_ns), ns(st.st_mtime_ns), ns(st.st_ctime_ns), st.st_mode, st.st_nlink,
                     st.st_uid, st.st_gid, 0, 4096, 0)


class Mount:
    """One mount: its nodes (numbers of paths), its open files, and its connection to the kernel."""

    def __init__(self, root, fd, locks):
        self.root, self.fd, self.locks = root, fd, locks
        self.paths, self.nodes = {1: root}, {root: 1}
        self.files, self.last = {}, 1

    def node(self, path):
        if path not in self.nodes:
            self.last += 1
            self.nodes[path] = self.last
            self.paths[self.last] = path
        return self.nodes[path]

    def moved(self, old, new):
        n = self.nodes.pop(old, None)
        self.nodes.pop(new, None)
        if n:
            self.nodes[new], self.paths[n] = n, new

    def keep(self, what):
        self.last += 1
        self.files[self.last] = what
        return self.last

    def entry(self, path):
        st = os.lstat(path)
        return struct.pack("<QQQQII", self.node(path), 0, 0, 0, 0, 0) + attr_of(st)

    def child(self, node, name):
        return os.path.join(self.paths[node], os.fsdecode(name.split(b"\0")[0]))

    # ---- the requests, by number; each returns the reply's body ----

    def init(self, node, body):
        flags = struct.unpack_from("<I", body, 12)[0] & FLOCK_LOCKS
        return struct.pack("<IIIIHHIIHHI7I", 7, 31, 65536, flags, 12, 10, 65536, 1, 16, 0, 0, *[0] * 7)

    def lookup(self, node, body):
        if SICK in body:
            raise OSError(errno.ESTALE, "")
        return self.entry(self.child(node, body))

    def getattr(self, node, body):
        return struct.pack("<QII", 0, 0, 0) + attr_of(os.lstat(self.paths[node]))

    def setattr(self, node, body):
        valid, _, _, size, _, atime, mtime, _, an, mn, _, mode = struct.unpack_from("<IIQQQQQQIIII", body)
        path = self.paths[node]
        if valid & 1:
            os.chmod(path, mode & 0o7777)
        if valid & 8:
            os.truncate(path, size)
        if valid & 48:
            st = os.lstat(path)
            os.utime(path, ns=(atime * 10 ** 9 + an if valid & 16 else st.st_atime_ns,
                               mtime * 10 ** 9 + mn if valid & 32 else st.st_mtime_ns))
        return self.getattr(node, body)

    def mkdir(self, node, body):
        path = self.child(node, body[8:])
        os.mkdir(path, struct.unpack_from("<I", body)[0] & 0o777)
        return self.entry(path)

    def unlink(self, node, body):
        os.unlink(self.child(node, body))
        return b""

    def rmdir(self, node, body):
        os.rmdir(self.child(node, body))
        return b""

    def move(self, node, to, names, replace=True):
        old, new = names.split(b"\0")[:2]
        old, new = self.child(node, old), self.child(to, new)
        if not replace and os.path.lexists(new):
            raise OSError(errno.EEXIST, "")
        os.rename(old, new)
        self.moved(old, new)
        return b""

    def rename(self, node, body):
        return self.move(node, struct.unpack_from("<Q", body)[0], body[8:])

    def rename2(self, node, body):
        to, flags = struct.unpack_from("<QI", body)
        return self.move(node, to, body[16:], not flags & 1)

    def link(self, node, body):
        path = self.child(node, body[8:])
        os.link(self.paths[struct.unpack_from("<Q", body)[0]], path)
        return self.entry(path)

    def open(self, node, body):
        flags = struct.unpack_from("<I", body)[0] & ~(os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_DIRECT)
        return struct.pack("<QII", self.keep(os.open(self.paths[node], flags | os.O_CLOEXEC)), DIRECT_IO, 0)

    def create(self, node, body):
        flags, mode = struct.unpack_from("<II", body)
        path = self.child(node, body[16:])
        fd = os.open(path, flags & ~os.O_DIRECT | os.O_CREAT | os.O_CLOEXEC, mode & 0o777)
        return self.entry(path) + struct.pack("<QII", self.keep(fd), DIRECT_IO, 0)

    def read(self, node, body):
        fh, offset, size = struct.unpack_from("<QQI", body)
        return os.pread(self.files[fh], size, offset)

    def write(self, node, body):
        fh, offset, size = struct.unpack_from("<QQI", body)
        return struct.pack("<II", os.pwrite(self.files[fh], body[40:40 + size], offset), 0)

    def statfs(self, node, body):
        return struct.pack("<5Q10I", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, *[0] * 7)

    def release(self, node, body):
        fh, _, flags, owner = struct.unpack_from("<QIIQ", body)
        if flags & FLOCK_UNLOCK:
            self.locks.unlock(self, node, owner)
        os.close(self.files.pop(fh))
        return b""

    def fsync(self, node, body):
        os.fsync(self.files[struct.unpack_from("<Q", body)[0]])
        return b""

    def opendir(self, node, body):
        path = self.paths[node]
        names = [(e.inode(), os.fsencode(e.name)) for e in os.scandir(path)]
        return struct.pack("<QII", self.keep([(1, b"."), (1, b"..")] + names), 0, 0)

    def readdir(self, node, body):
        fh, offset, size = struct.unpack_from("<QQI", body)
        out = b""
        for k, (ino, name) in enumerate(self.files[fh][offset:]):
            one = struct.pack("<QQII", ino, offset + k + 1, len(name), 0) + name
            one += b"\0" * (-len(one) % 8)
            if len(out) + len(one) > size:
                break
            out += one
        return out

    def releasedir(self, node, body):
        self.files.pop(struct.unpack_from("<Q", body)[0])
        return b""

    def setlk(self, node, body):
        _, owner, _, _, kind, _, _, _ = struct.unpack_from("<QQQQIIII", body)
        if kind == F_UNLCK:
            self.locks.unlock(self, node, owner)
        elif not self.locks.lock(self, node, owner):
            raise OSError(errno.EAGAIN, "")
        return b""

    def nothing(self, node, body):
        return b""

    REQUESTS = {1: lookup, 3: getattr, 4: setattr, 9: mkdir, 10: unlink, 11: rmdir, 12: rename, 13: link, 14: open, 15: read,
                16: write, 17: statfs, 18: release, 20: fsync, 25: nothing, 26: init, 27: opendir, 28: readdir, 29: releasedir,
                30: nothing, 32: setlk, SETLKW: setlk, 35: create, 45: rename2}
    UNANSWERED = (2, 36, 38, 42)  # FORGET, INTERRUPT, DESTROY, BATCH_FORGET

    def reply(self, unique, body, error=0):
        os.write(self.fd, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)

    def answer(self, request):
        """False: it waits for a lock."""
        _, op, unique, node, *_ = HEAD.unpack_from(request)
        if op in self.UNANSWERED:
            return True
        if op not in self.REQUESTS:
            self.reply(unique, b"", errno.ENOSYS)
            return True
        try:
            self.reply(unique, self.REQUESTS[op](self, node, request[HEAD.size:]))
        except OSError as e:
            if op == SETLKW and e.errno == errno.EAGAIN:
                return False
            self.reply(unique, b"", e.errno or errno.EIO)
        return True


class Locks:
    """flock(2) on files, exclusive: path -> (mount, owner)."""

    def __init__(self):
        self.held = {}

    def lock(self, m, node, owner):
        return self.held.setdefault(m.paths[node], (m, owner)) == (m, owner)

    def unlock(self, m, node, owner):
        if self.held.get(m.paths[node]) == (m, owner):
            del self.held[m.paths[node]]


def serve(mounts):
    """Until every mount is gone."""
    by_fd, waiting = {m.fd: m for m in mounts}, []
    while by_fd:
        for fd in select.select(list(by_fd), [], [])[0]:
            try:
                request = os.read(fd, BUFFER)
            except OSError as e:
                if e.errno not in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    del by_fd[fd]
                continue
            waiting.append((by_fd[fd], request))
            waiting = [(m, r) for m, r in waiting if not m.answer(r)]


class FuseDir:
    """root, seen at each of the places, which are directories."""

    def __init__(self, root, places):
        self.places, locks, mounts = places, Locks(), []
        for place in places:
            fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
            mount(b"fusedir", place, b"fuse", 0, b"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % fd)
            mounts.append(Mount(root, fd, locks))
        self.pid = os.fork()
        if self.pid == 0:
            try:
                serve(mounts)
            finally:
                os._exit(0)
        for m in mounts:
            os.close(m.fd)

    def close(self):
        """Ends the server first: whoever still waits for it gets an error, and nobody hangs."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        for place in self.places:
            umount(place)
