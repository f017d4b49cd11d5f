# SPDX-License-Identifier: Apache-2.0
"""Debian's Dovecot as an IMAP server for one user, on a pipe: no master process, no port, no password."""
import os
import subprocess

CONF = """base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = imap
ssl = no
mail_location = {location}
mail_temp_dir = {dir}
mbox_read_locks = fcntl
mbox_write_locks = fcntl dotlock
mbox_lazy_writes = no
"""


class Dovecot:
    """The files its sessions share. owner: the user they run as when root starts them."""

    def __init__(self, where, location, owner=None):
        self.dir, self.owner = where, owner
        with open(self.path("dovecot.conf"), "w") as f:
            f.write(CONF.format(dir=where, location=location))

    def path(self, name):
        return os.path.join(self.dir, name)

    def session(self, user):
        return Imap(self, user)


class Imap:
    """One session with INBOX selected; its end writes pending changes."""

    def __init__(self, server, user):
        as_owner = {"user": server.owner, "group": "nogroup", "extra_groups": []} if server.owner and os.geteuid() == 0 else {}
        with open(server.path("stderr"), "ab") as log:
            self.proc = subprocess.Popen(["doveadm", "-c", server.path("dovecot.conf"), "exec", "imap"], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=log, cwd=server.dir,
                                         env={"PATH": os.environ["PATH"], "HOME": server.dir, "USER": user}, **as_owner)
        self.tag = 0
        greeting = self.proc.stdout.readline()
        if not greeting.startswith(b"* PREAUTH"):
            raise RuntimeError("dovecot's imap: %r" % greeting)
        self.say("SELECT INBOX")

    def say(self, command):
        """One command; returns its lines but the last one. Anything but OK is an error."""
        self.tag += 1
        self.proc.stdin.write(b"a%d %s\r\n" % (self.tag, command.encode()))
        self.proc.stdin.flush()
        out = []
        for line in iter(self.proc.stdout.readline, b""):
            if line.startswith(b"a%d " % self.tag):
                if line.split()[1] != b"OK":
                    raise RuntimeError("%s: %r" % (command, line))
                return out
            out.append(line)
        raise RuntimeError("%s: dovecot's imap ended" % command)

    def close(self):
        self.say("LOGOUT")
        self.proc.stdin.close()
        self.proc.stdout.close()
        self.proc.wait()

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error:
            self.proc.kill()
            self.proc.wait()
        else:
            self.close()
