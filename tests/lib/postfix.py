# SPDX-License-Identifier: Apache-2.0
"""A private Postfix: its own configuration, queue, data and log in one directory, on one loopback port. It uses only the
programs of the machine's own Postfix, no mail leaves the machine, and only our master is ended.

    pf = Postfix({"mydestination": "example.test", "mail_spool_directory": box})
    pf = Postfix({"virtual_mailbox_domains": "example.test", "virtual_mailbox_maps": "static:all",
                  "virtual_transport": "lmtp:unix:" + sock})
    pf.start(); pf.send("a@example.test", ["b@example.test"], raw); pf.wait_empty(); pf.stop()

Postfix starts as root only: its parts change users.
"""
import os
import pwd
import shutil
import signal
import smtplib
import subprocess
import tempfile

from server import free_port, port_open, wait_until

DAEMONS = "/usr/lib/postfix/sbin"
# Every domain that is not named in `settings` is an error: no mail goes out.
MAIN = {
    "compatibility_level": "3.6", "command_directory": "/usr/sbin", "daemon_directory": DAEMONS,
    "shlib_directory": "/usr/lib/postfix", "meta_directory": "/etc/postfix", "mail_owner": "postfix",
    "setgid_group": "postdrop", "syslog_name": "rst", "myhostname": "mx.example.test", "myorigin": "example.test",
    "mydestination": "", "mynetworks": "127.0.0.0/8", "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
    "alias_maps": "", "alias_database": "", "local_recipient_maps": "",
    "smtpd_relay_restrictions": "permit_mynetworks, reject", "default_transport": "error:no outside mail",
    "relay_transport": "error:no outside mail", "disable_dns_lookups": "yes", "biff": "no",
    "message_size_limit": "104857600", "mailbox_size_limit": "0", "virtual_mailbox_limit": "0",
    # quick retries: the defaults are minutes
    "queue_run_delay": "2s", "minimal_backoff_time": "2s", "maximal_backoff_time": "4s", "transport_retry_time": "2s",
    "lmtp_connect_timeout": "5s", "lmtp_data_done_timeout": "300s", "smtpd_client_connection_count_limit": "0",
}
MASTER = """127.0.0.1:%d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
pipe unix - n n - - pipe
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """settings: lines of main.cf, over the ones above. services: more lines of master.cf."""

    def __init__(self, settings, services=()):
        if os.geteuid() != 0:
            raise RuntimeError("a private Postfix needs root: its parts change users")
        self.dir = tempfile.mkdtemp(prefix="rst-postfix.", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.port = free_port()
        self.pid = None
        for d in ("etc", "spool", "lib", "log"):
            os.mkdir(self.path(d))
        owner = pwd.getpwnam("postfix")
        os.chown(self.path("lib"), owner.pw_uid, owner.pw_gid)
        main = dict(MAIN, queue_directory=self.path("spool"), data_directory=self.path("lib"),
                    maillog_file=self.path("log", "mail.log"), maillog_file_prefixes=self.path("log"), **settings)
        with open(self.path("etc", "main.cf"), "w") as f:
            f.writelines("%s = %s\n" % item for item in main.items())
        with open(self.path("etc", "master.cf"), "w") as f:
            f.write(MASTER % self.port + "".join(line + "\n" for line in services))

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def log(self):
        try:
            with open(self.path("log", "mail.log"), errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def _run(self, *cmd):
        return subprocess.run([cmd[0], "-c", self.path("etc"), *cmd[1:]], capture_output=True, text=True, timeout=120)

    def start(self):
        done = self._run("postfix", "start")
        if done.returncode != 0:
            raise RuntimeError("postfix did not start:\n" + done.stdout + done.stderr + self.log()[-2000:])
        # a script starts it: the process to signal is the one that wrote its pid
        pid_file = self.path("spool", "pid", "master.pid")
        wait_until(lambda: os.path.exists(pid_file) and open(pid_file).read().strip(), 60, "postfix's master")
        self.pid = int(open(pid_file).read())
        wait_until(lambda: port_open(self.port), 60, "postfix to listen")
        return self

    def send(self, sender, recipients, raw):
        """One message by SMTP; raises when it is refused. Any line ends will do in raw."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as s:
            refused = s.sendmail(sender, recipients, raw)
        if refused:
            raise RuntimeError("postfix refused %s" % refused)

    def queued(self):
        """Queue files that are not delivered yet."""
        n = 0
        for d in ("incoming", "active", "deferred", "maildrop"):
            for _, _, files in os.walk(self.path("spool", d)):
                n += len(files)
        return n

    def flush(self):
        self._run("postqueue", "-f")

    def wait_empty(self, seconds=300):
        wait_until(lambda: self.queued() == 0, seconds, "postfix's queue to be empty")

    def stop(self):
        """Ends our master; its parts end with it."""
        if self.pid is None:
            return
        pid, self.pid = self.pid, None
        try:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not os.path.exists("/proc/%d" % pid), 60, "postfix to end")
        except ProcessLookupError:
            pass

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
