# SPDX-License-Identifier: Apache-2.0
"""A private restanted for one test: its own directory, its own ports, ended by pid.

    with Server() as srv:
        srv.passwd({"ann": "restante"})
        srv.configure(sections.plain(srv))
        srv.start()
        ...
        srv.ends(tap)

An exception on the way shows the end of the log. The tree under test is an installed one (make check-tree). As root the
server runs as `nobody`: a tree that some users cannot traverse, or that others than root can change, is copied to a place of
its own.
"""
import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "corpus"))

from network import own_network  # noqa: E402
from sections import block  # noqa: E402

own_network()
SERVICE_USER = "nobody"


_given = {}  # port: the socket that marks it as ours; a port that was given out is not free again, whether somebody listens or not


def free_port():
    """A free loopback port below the ephemeral range, so that no outgoing connection takes it first. Another test beside this
    one may look at the same moment, before anybody listens: so a name for the port, which ends with this process, comes first."""
    import random
    for _ in range(300):
        port = random.randrange(20000, 29000)
        if port in _given:
            continue
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind("\0restante-test-port-%d" % port)
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        _given[port] = name
        return port
    raise RuntimeError("no free port")


LEAST_S = 120  # no limit is shorter: it is for hangs, and machines are slow, or busy


def wait_until(check, seconds, what):
    begin = time.monotonic()
    while not check():
        waited = time.monotonic() - begin
        if waited > max(seconds, LEAST_S):
            raise RuntimeError("timeout waiting for " + what)
        time.sleep(min(max(waited / 30, 0.02), 0.1))  # a look often starts a process, and long waits are in no hurry


def port_open(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


class Tap:
    """Test points in the Test Anything Protocol; a run without any is a failure."""

    def __init__(self):
        self.n = 0
        self.failed = 0
        self.lock = threading.Lock()

    def ok(self, good, name, why=""):
        with self.lock:
            self.n += 1
            if not good:
                self.failed += 1
            print("%s %d - %s" % ("ok" if good else "not ok", self.n, name), flush=True)
            if not good and why:
                for line in str(why).splitlines()[:30]:
                    print("# " + line, flush=True)
        return good

    def note(self, text):
        print("# " + text, flush=True)

    def done(self):
        print("1..%d" % self.n, flush=True)
        return 0 if self.n and not self.failed else 1


def may_serve(tree):
    """Whether a server that root starts may use this tree: everybody may read it, nobody but root may change it."""
    up = os.path.realpath(tree)
    places = [up]
    while up != "/":
        up = os.path.dirname(up)
        places.append(up)
    for path in places:
        st = os.stat(path)
        if st.st_uid or not st.st_mode & 0o001 or st.st_mode & 0o022 and not st.st_mode & 0o1000:
            return False
    for path, _, names in os.walk(tree):
        for st in [os.stat(path)] + [os.lstat(os.path.join(path, name)) for name in names]:
            if st.st_uid or not st.st_mode & 0o004 or not stat.S_ISLNK(st.st_mode) and st.st_mode & 0o022:
                return False
    return True


class Server:
    def __init__(self, tree=None, keep=False):
        tree = tree or os.environ.get("CHECK_TREE")
        if not tree:
            raise SystemExit("CHECK_TREE is not set: run this by make check-live")
        self.dir = tempfile.mkdtemp(prefix="rst.", dir="/tmp")
        os.chmod(self.dir, 0o711)
        self.keep = keep
        self.proc = None
        self.root = os.geteuid() == 0
        if self.root and not may_serve(tree):
            shutil.copytree(tree, self.path("inst"), symlinks=True)
            subprocess.check_call(["chmod", "-R", "a+rX,go-w", self.path("inst")])
            self.tree = self.path("inst")
        else:
            self.tree = tree
        for d in ("state", "run"):
            os.mkdir(self.path(d), 0o700)
            self.give(self.path(d))
        self.modules = os.path.join(self.tree, "lib", "restante", "modules")
        self.port = free_port()
        self.tls_port = free_port()
        self.clear_port = free_port()
        self.extra_listeners = ""
        self.globals = {}
        self._certificate()

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error:
            print("# " + self.log()[-4000:].replace("\n", "\n# "), flush=True)
        self.release()
        self.close()

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def mkdir(self, *parts):
        """Makes a directory that belongs to the service user, and those above it."""
        os.makedirs(self.path(*parts), exist_ok=True)
        self.give(self.path(parts[0]))
        return self.path(*parts)

    def bin(self, name):
        for d in ("sbin", "bin"):
            p = os.path.join(self.tree, d, name)
            if os.path.exists(p):
                return p
        raise RuntimeError("%s is not installed in %s" % (name, self.tree))

    def give(self, path):
        """Gives a file, or a directory and all it holds, to the service user."""
        if not self.root:
            return
        pw = pwd.getpwnam(SERVICE_USER)
        subprocess.check_call(["chown", "-R", "%d:%d" % (pw.pw_uid, pw.pw_gid), path])

    def _certificate(self):
        subprocess.check_call(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", self.path("key.pem"), "-out",
             self.path("cert.pem")], stderr=subprocess.DEVNULL)
        os.chmod(self.path("cert.pem"), 0o644)
        self.give(self.path("key.pem"))

    def configure(self, sections, **settings):
        """Writes restante.conf: `sections` is the text of auth and storage blocks."""
        lines = ["config_version = 1", "state_dir = " + self.path("state"),
                 "run_dir = " + self.path("run"),
                 "module_dir = " + self.modules]
        if self.root:
            lines.append("user = " + SERVICE_USER)
        settings.setdefault("max_sessions", 3000)  # three descriptors each: fits a limit of 10,000
        for k, v in settings.items():
            lines.append("%s = %s" % (k, v))
        lines.append("tls {\n certificate = %s\n key = %s\n}" % (self.path("cert.pem"), self.path("key.pem")))
        for name, port, tls, plain in (("pop3", self.port, "starttls", "refuse"),
                                       ("clear", self.clear_port, "starttls", "allow"),
                                       ("pop3s", self.tls_port, "implicit", "refuse")):
            lines.append("listener %s {\n address = 127.0.0.1\n port = %d\n tls = %s\n"
                         " plaintext_login = %s\n}" % (name, port, tls, plain))
        lines.append(self.extra_listeners)
        lines.append(sections)
        with open(self.path("restante.conf"), "w") as f:
            f.write("\n".join(lines) + "\n")
        return self.path("restante.conf")

    def listen(self, protocol, name=None, **more):
        """One more listener: on the path given, or on a port of its own, which is returned."""
        port = None
        if "path" in more:
            more.setdefault("mode", "0666")
        else:
            port = free_port()
            more = {"address": "127.0.0.1", "port": port, "tls": "none", **more}
        self.extra_listeners += block("listener", name or protocol, protocol=protocol, **more)
        return port

    def start(self, seconds=120):
        """Waits until it reports that it serves, as it does to systemd. It must not connect for that: listeners are open
        before there are threads to accept, and each try would be counted later as a session, when a test counts its own."""
        path = self.path("notify")
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(path)
            os.chmod(path, 0o666)
            ready.settimeout(0.02)
            with open(self.path("log"), "ab") as log:
                self.proc = subprocess.Popen([self.bin("restanted"), "-c", self.path("restante.conf")],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             start_new_session=True, env=dict(os.environ, NOTIFY_SOCKET=path))

            def up():
                if self.proc.poll() is not None:
                    raise RuntimeError("restanted ended with %s:\n%s" % (self.proc.returncode, self.log()[-3000:]))
                try:
                    return ready.recv(100) == b"READY=1"
                except TimeoutError:
                    return False
            wait_until(up, seconds, "restanted to serve")
        return self

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def log(self):
        try:
            with open(self.path("log"), errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def said(self, text, seconds=LEAST_S):
        """Whether the log holds this, now or soon: a thread of its own writes the lines."""
        end = time.monotonic() + max(seconds, LEAST_S)
        while text not in self.log() and time.monotonic() < end:
            time.sleep(0.02)
        return text in self.log()

    def ctl(self, *args, timeout=60):
        return subprocess.run([self.bin("restantectl"), "-s", self.path("run", "control"), *args],
                              capture_output=True, text=True, timeout=timeout)

    def json(self, *args):
        """The answer of a restantectl verb with --json; {"error": text} if it is no JSON."""
        done = self.ctl("--json", *args)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {"error": done.stderr}

    def events(self, section):
        """The counters of this section's module."""
        return next(m["counters"] for m in self.json("modules")["modules"] if m["section"] == section)

    def reconfigure(self, sections, **settings):
        """Stops, and starts again with another configuration."""
        self.stop()
        self.configure(sections, **settings)
        return self.start()

    def release(self):
        """Lets calls go on that hang in a module `fault` with release = DIR/release."""
        open(self.path("release"), "w").close()

    def ends(self, tap, name="the server ended cleanly"):
        """Test point `name`: it ends, or has ended, with 0. If not, its log is shown, which holds the sanitizers' reports."""
        self.release()
        rc = self.stop()
        return tap.ok(rc == 0, name, "%s\n%s" % (rc, self.log()[-6000:]))

    def stop(self, seconds=120):
        """TERM and wait; the exit code (0 after a clean end). KILL only if it does not end."""
        if not self.proc:
            return None
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(seconds)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        rc = self.proc.returncode
        self.proc = None
        return rc

    def close(self):
        rc = self.stop()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        return rc

    def write(self, name, text):
        """A file of the service user's that nobody else may read; a reader sees all of the old one or all of this one."""
        path = self.path(name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path + ".new", 0o600)
        self.give(path + ".new")
        then = time.time() - 5
        os.utime(path + ".new", (then, then))  # clocks of file systems are coarse: this makes the change visible
        os.rename(path + ".new", path)
        return path

    def passwd(self, users, scheme="{PLAIN}", **fields):
        """A passwd-file of name -> password; fields: name -> its extra fields, such as "storage=other"."""
        return self.write("passwd", "".join("%s:%s%s%s\n" % (name, scheme, password, "::::::" + fields[name] if name in fields else "")
                                            for name, password in users.items()))

    def maildir(self, user, messages=()):
        """A maildir below mail/ with raw messages (bytes) in new/, in this order."""
        base = self.path("mail", user)
        for d in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(base, d), exist_ok=True)
        for i, raw in enumerate(messages):
            name = "%d.M%06dP1.test" % (1700000000 + i, i)
            with open(os.path.join(base, "new", name), "wb") as f:
                f.write(raw)
        self.give(self.path("mail"))
        return base

    def mbox(self, user, messages=()):
        """A file mail/USER with raw messages (bytes), quoted as mboxrd is."""
        path = self.path("mail", user)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            for i, raw in enumerate(messages):
                f.write(mboxrd(raw, b"clerk@example.org", i))
        self.give(self.path("mail"))
        return path


def mboxrd(raw, sender, seconds=0):
    """One message of an mbox: From_ line, quoted text with an end to its last line, the empty line."""
    if raw and not raw.endswith(b"\n"):
        raw += b"\r\n" if raw.endswith(b"\r") else b"\n"  # a CR of its own is data
    date = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(1700000000 + seconds)).encode()
    return b"From " + sender + b" " + date + b"\n" + re.sub(rb"(?m)^(>*From )", rb">\1", raw) + b"\n"
