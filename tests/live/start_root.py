#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restanted starts as root while a process of its service user swaps everything that is made in that user's directories for
links to root's files: none of those is given away or opened. And directories in which others could do that are refused, in
words that tell the remedy. Needs root."""
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop  # noqa: E402
from sections import accounts, block, maildirs, plain  # noqa: E402
from server import SERVICE_USER, Server, Tap  # noqa: E402

STARTS = 40


class Attacker:
    """A process of the service user's that notices a fresh socket or directory at once, and puts a link in its place."""

    def __init__(self, srv, sockets, directories):
        self.sockets = [(p, srv.path("vault", "file")) for p in sockets]
        self.directories = [(p, srv.path("vault")) for p in directories]
        self.told, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                pw = pwd.getpwnam(SERVICE_USER)
                os.setgroups([])
                os.setresgid(pw.pw_gid, pw.pw_gid, pw.pw_gid)
                os.setresuid(pw.pw_uid, pw.pw_uid, pw.pw_uid)
                while True:
                    for path, to in self.sockets:
                        self.swap(path, to, stat.S_ISSOCK, told, b"s")
                    for path, to in self.directories:
                        self.swap(path, to, stat.S_ISDIR, told, b"d")
            finally:
                os._exit(1)
        os.close(told)

    @staticmethod
    def swap(path, to, kind, told, letter):
        try:
            if not kind(os.lstat(path).st_mode):
                return
            os.rename(path, path + ".gone")
            os.symlink(to, path)
        except OSError:
            return  # it has gone meanwhile
        os.write(told, letter)

    def end(self):
        """The numbers of (sockets, directories) it has swapped."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        with os.fdopen(self.told, "rb") as f:
            got = f.read()
        return got.count(b"s"), got.count(b"d")


def configure(srv, sections):
    """Sockets and directories of all kinds in directories of the service user's."""
    srv.extra_listeners = (block("listener", "lmtp", protocol="lmtp", path=srv.path("home", "lmtp"), mode="0666") +
                           block("listener", "given", protocol="lmtp", path=srv.path("home", "given"), mode="0666", owner="daemon",
                                 group="daemon") +
                           block("metrics", path=srv.path("home", "metrics"), mode="0644"))
    conf = srv.configure(sections)
    with open(conf) as f:
        text = f.read()
    for name in ("run", "state"):
        text = text.replace("%s_dir = %s" % (name, srv.path(name)), "%s_dir = %s" % (name, srv.path("home", name)))
    with open(conf, "w") as f:
        f.write(text)


def try_start(srv):
    """A start that ends by itself: (exit code, output)."""
    p = subprocess.run([srv.bin("restanted"), "-c", srv.path("restante.conf")], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=120)
    return p.returncode, p.stderr


def clean(srv):
    for name in os.listdir(srv.path("home")):
        path = srv.path("home", name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            try:
                os.unlink(path)
            except OSError:
                pass  # the attacker was there before us


def is_roots(path, mode):
    st = os.stat(path)
    return (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (0, 0, mode)


def swapped(tap, srv):
    """A missing module ends each start, after the sockets were made and root's rights given up."""
    configure(srv, accounts(srv) + block("storage", "mail", module="no-such-module"))
    attacks = (("sockets", [srv.path("home", n) for n in ("lmtp", "given", "metrics")], []),
               ("directories", [], [srv.path("home", n) for n in ("run", "state")]))
    for what, sockets, directories in attacks:
        attacker = Attacker(srv, sockets, directories)
        codes, kept = set(), True
        for _ in range(STARTS):
            clean(srv)
            codes.add(try_start(srv)[0])
            kept = kept and is_roots(srv.path("vault", "file"), 0o600) and is_roots(srv.path("vault"), 0o755)
        count = attacker.end()
        tap.ok(sum(count) >= STARTS // 4, "%s: the attacker was quick enough to swap some" % what, count)
        tap.ok(kept, "%s: the targets of the links stay root's" % what, os.stat(srv.path("vault")))
        tap.ok(codes == {78}, "%s: and each start ended with words" % what, codes)
        tap.ok(os.listdir(srv.path("vault")) == ["file"], "%s: nothing was made there" % what)
        clean(srv)


def refused(tap, srv):
    def case(name, words):
        rc, said = try_start(srv)
        tap.ok(rc == 78 and all(w in said for w in words), name, (rc, said))

    for part, path in (("state_dir", srv.path("home", "state")), ("run_dir", srv.path("home", "run"))):
        clean(srv)
        os.mkdir(path)
        srv.give(path)
        os.chmod(path, 0o775)
        case("%s others may write to" % part, ["'%s' can be written by others (mode 0775): chmod go-w '%s'" % (path, path)])
        os.chmod(path, 0o700)
        os.chown(path, 0, 0)
        case("%s of root's" % part, [path, "belongs to user id 0; it must belong to %s: chown -R" % SERVICE_USER])
    clean(srv)
    os.chmod(srv.path("home"), 0o1777)
    case("a socket where others may write", ["listener lmtp: the directory of", "can be written by others (mode 1777): chmod go-w",
                                             "metrics: the directory of"])
    os.chmod(srv.path("home"), 0o755)
    clean(srv)
    os.symlink(srv.path("vault", "file"), srv.path("home", "secret"))
    configure(srv, accounts(srv, unknown='"file:%s"' % srv.path("home", "secret")) + maildirs(srv))
    case("a secret behind a link of the service user's", ["cannot read", "secret': Permission denied"])
    os.unlink(srv.path("home", "secret"))


def served(tap, srv):
    """With no attacker, everything is as configured: once from scratch, once with the files of the last run."""
    configure(srv, plain(srv))
    pw, daemon = pwd.getpwnam(SERVICE_USER), pwd.getpwnam("daemon")
    want = {"lmtp": (pw.pw_uid, pw.pw_gid, 0o666), "given": (daemon.pw_uid, daemon.pw_gid, 0o666),
            "metrics": (pw.pw_uid, pw.pw_gid, 0o644), "run": (pw.pw_uid, pw.pw_gid, 0o700), "state": (pw.pw_uid, pw.pw_gid, 0o700),
            "run/control": (pw.pw_uid, pw.pw_gid, 0o600)}
    for turn in ("made anew", "left by the last run"):
        shutil.rmtree(srv.path("run"), ignore_errors=True)
        os.symlink(srv.path("home", "run"), srv.path("run"))  # where the test looks for the control socket
        srv.start()
        got = {}
        for name in want:
            st = os.lstat(srv.path("home", name))
            got[name] = (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode))
        tap.ok(got == want, "%s: owners and modes are those of the configuration" % turn, (got, want))
        with Pop(srv.clear_port) as ann:
            tap.ok(ann.login("ann").startswith(b"+OK") and ann.say("QUIT").startswith(b"+OK"), "%s: and users are served" % turn)
        tap.ok(srv.stop() == 0, "%s: it ended cleanly" % turn, srv.log()[-3000:])
        os.unlink(srv.path("run"))


def main():
    if os.geteuid() != 0:
        raise RuntimeError("a start as root needs root")
    tap = Tap()
    with Server() as srv:
        srv.passwd({"ann": "restante"})
        srv.maildir("ann")
        os.mkdir(srv.path("vault"), 0o755)
        os.chmod(srv.path("vault"), 0o755)
        with open(srv.path("vault", "file"), "w") as f:
            f.write("root's\n")
        os.chmod(srv.path("vault", "file"), 0o600)
        os.chmod(srv.mkdir("home"), 0o755)
        swapped(tap, srv)
        refused(tap, srv)
        served(tap, srv)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
