# SPDX-License-Identifier: Apache-2.0
"""Exim and OpenSMTPD beside whatever mail server the machine has. Their packages conflict, so they are fetched and
unpacked below /tmp, never installed; and as their paths are compiled in, they run in a mount namespace with an /etc,
/var, /run and /usr/libexec of their own. Nothing of the machine is changed, nothing leaves it.

    with Exim(routers, transports) as m: m.send("a@example.net", ["ann@example.org"], raw); m.log()

Root only: they change users."""
import fcntl
import os
import shutil
import signal
import smtplib
import subprocess
import tempfile

from network import in_machine_network
from server import free_port, port_open, wait_until

CACHE = os.path.join(os.environ.get("top_builddir", "/tmp"), "mta-packages")
# the users that both want to run as, and that run the agents
USERS = (("Debian-exim", 30101), ("opensmtpd", 30102), ("opensmtpq", 30103), ("vmail", 30104))


def fetch(packages):
    """The .deb files, downloaded once for each build tree."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def have(p):
            return [os.path.join(CACHE, f) for f in os.listdir(CACHE) if f.startswith(p + "_") and f.endswith(".deb")]

        missing = [p for p in packages if not have(p)]
        for _ in range(2):
            if not missing:
                break
            done = subprocess.run(["apt-get", "-q", "download", *missing], cwd=CACHE, capture_output=True, text=True, timeout=600,
                                  preexec_fn=in_machine_network)
            missing = [p for p in packages if not have(p)]
            if missing:  # a new machine has no package lists yet
                subprocess.run(["apt-get", "-q", "update"], capture_output=True, timeout=600,
                               preexec_fn=in_machine_network)
        if missing:
            raise RuntimeError("cannot fetch %s:\n%s%s" % (missing, done.stdout, done.stderr))
        return [have(p)[0] for p in packages]


def blocks(path):
    """The parts of an example file: "## pipe main.cf" and the lines that follow."""
    out, name = {}, None
    with open(path) as f:
        for line in f:
            if line.startswith("## "):
                name = line[3:].strip()
                out[name] = ""
            elif name:
                out[name] += line
    return out


class Mta:
    """One of them. Subclasses: packages, prepare(), command()."""
    packages = ()

    def __init__(self):
        if os.geteuid() != 0:
            raise RuntimeError("a private mail server needs root: its parts change users")
        self.dir = tempfile.mkdtemp(prefix="rst-mta.", dir="/tmp")
        os.chmod(self.dir, 0o755)
        for deb in fetch(self.packages):
            subprocess.check_call(["dpkg-deb", "-x", deb, self.path("pkg")])
        for d in ("var/spool", "var/lib", "var/log", "var/mail", "var/tmp", "var/empty", "run", "libexec"):
            os.makedirs(self.path(d), exist_ok=True)
        os.symlink("/run", self.path("var/run"))
        self.make_etc()
        self.port = free_port()
        self.proc = None

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w") as f:
            f.write(text)
        os.chmod(self.path(path), mode)

    def make_etc(self):
        os.makedirs(self.path("etc"))
        for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "localtime", "services", "protocols"):
            if os.path.exists("/etc/" + name):
                shutil.copy("/etc/" + name, self.path("etc", name))
        self.write("etc/hosts", "127.0.0.1 localhost mx.example.org\n")
        self.write("etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")  # nothing listens there
        self.write("etc/mailname", "mx.example.org\n")
        with open(self.path("etc/passwd"), "a") as p, open(self.path("etc/group"), "a") as g:
            for name, number in USERS:
                p.write("%s:x:%d:%d::/var/empty:/bin/sh\n" % (name, number, number))
                g.write("%s:x:%d:\n" % (name, number))

    def give(self, path, user, mode=0o750):
        number = dict(USERS)[user]
        os.makedirs(self.path(path), exist_ok=True)
        os.chown(self.path(path), number, number)
        os.chmod(self.path(path), mode)

    def start(self):
        script = "set -e\nmount --make-rprivate /\n"
        for own, where in (("etc", "/etc"), ("var", "/var"), ("run", "/run"), ("libexec", "/usr/libexec")):
            script += "mount --bind '%s' %s\n" % (self.path(own), where)
        # a process namespace: when its first process ends, all end. That is the shell, which dies with unshare; a
        # set-user-id program such as Exim would survive unshare's signal.
        with open(self.path("out"), "ab") as out:
            self.proc = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c",
                                          script + self.command() + " & wait"], stdin=subprocess.DEVNULL, stdout=out, stderr=out)

        def up():
            if self.proc.poll() is not None:
                raise RuntimeError("it ended with %s:\n%s" % (self.proc.returncode, self.log()[-3000:]))
            return port_open(self.port)
        wait_until(up, 60, type(self).__name__ + " to listen")
        return self

    def send(self, sender, recipients, raw):
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.example.net", timeout=60) as s:
            s.sendmail(sender, recipients, raw)

    def log(self):
        text = ""
        for name in ["out"] + self.logs():
            try:
                with open(self.path(name), errors="replace") as f:
                    text += f.read()
            except OSError:
                pass
        return text

    def logs(self):
        return []

    def close(self):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGKILL)  # unshare: its child, the first process in there, goes with it
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Exim(Mta):
    packages = ("exim4-daemon-light", "exim4-base", "exim4-config")

    def __init__(self, routers, transports):
        super().__init__()
        self.give("var/spool/exim4", "Debian-exim")
        self.give("var/log/exim4", "Debian-exim")
        self.give("run/exim4", "Debian-exim")
        self.write("etc/exim4/exim4.conf", """exim_path = %s
primary_hostname = mx.example.org
domainlist local_domains = mx.example.org
notifier_socket =
daemon_smtp_ports = %d
local_interfaces = 127.0.0.1
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
host_lookup =
rfc1413_query_timeout = 0s
queue_run_in_order = false
tls_advertise_hosts =
dns_again_means_nonexist = *
log_file_path = /var/log/exim4/%%slog
bounce_return_message = true
begin acl
acl_rcpt:
  accept
acl_data:
  accept
begin routers
%s
begin transports
%s
begin retry
* * F,1h,2s
""" % (self.path("pkg/usr/sbin/exim4"), self.port, routers, transports))

    def command(self):
        return "%s -bdf -q2s" % self.path("pkg/usr/sbin/exim4")

    def logs(self):
        return ["var/log/exim4/mainlog", "var/log/exim4/paniclog"]


class OpenSmtpd(Mta):
    packages = ("opensmtpd",)

    def __init__(self, lines):
        super().__init__()
        os.makedirs(self.path("var/spool/smtpd"))
        os.chmod(self.path("var/spool/smtpd"), 0o711)
        for d in ("queue", "corrupt", "incoming", "purge", "temporary"):
            self.give("var/spool/smtpd/" + d, "opensmtpq", 0o700)
            os.chown(self.path("var/spool/smtpd", d), dict(USERS)["opensmtpq"], 0)
        self.give("var/spool/smtpd/offline", "opensmtpq", 0o770)
        os.chown(self.path("var/spool/smtpd/offline"), 0, dict(USERS)["opensmtpq"])
        os.makedirs(self.path("var/lib/opensmtpd/empty"))
        shutil.rmtree(self.path("libexec"))
        shutil.copytree(self.path("pkg/usr/libexec"), self.path("libexec"))
        self.write("etc/smtpd.conf", """listen on 127.0.0.1 port %d
queue ttl 1h
%s
""" % (self.port, lines))

    def command(self):
        return "%s -d -f /etc/smtpd.conf" % self.path("pkg/usr/sbin/smtpd")
