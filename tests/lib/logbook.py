# SPDX-License-Identifier: Apache-2.0
"""The places the server's log goes to - standard error, a file, syslog - and its lines, collected and parsed."""
import json
import os
import re
import socket
import subprocess
import threading

from server import wait_until

PATIENCE = 30
DEV_LOG = "/dev/log"


class Stderr:
    block = ""

    def __init__(self, srv):
        self.srv = srv

    def start(self, srv):
        srv.start()

    def lines(self):
        text = self.srv.log()
        return text[:text.rfind("\n") + 1].splitlines()

    def close(self):
        pass


class File(Stderr):
    def __init__(self, srv):
        super().__init__(srv)
        self.file = srv.path("logs", "restante.log")
        os.mkdir(srv.path("logs"), 0o700)
        srv.give(srv.path("logs"))
        self.block = " to = file\n file = %s\n" % self.file

    def lines(self):
        return read_lines(self.file)


# A /dev of its own for one server: the machine's, and what others log, stay out of it.
OWN_DEV = """mkdir "$1/dev" && mount --rbind /dev "$1/dev" && mount -t tmpfs -o mode=755 tmpfs /dev || exit 1
for n in null zero random urandom; do : >/dev/$n && mount --bind "$1/dev/$n" /dev/$n || exit 1; done
ln -s "$1/dev-log" /dev/log && umount -l "$1/dev" && shift && exec "$@"
"""


class Syslog(Stderr):
    """A datagram socket that the server finds as /dev/log."""
    block = " to = syslog\n"

    def __init__(self, srv):
        super().__init__(srv)
        self.private = may_unshare()
        self.path = srv.path("dev-log") if self.private else DEV_LOG
        self.got, self.sock = [], None
        self.busy = threading.Lock()  # held: it takes no line
        self.bind()

    def bind(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        os.chmod(self.path, 0o666)
        threading.Thread(target=self.listen, args=(self.sock,), daemon=True).start()

    def listen(self, sock):
        while True:
            try:
                text = sock.recv(65536)
                with self.busy:
                    pass
            except OSError:
                return
            if not text:
                return
            if b">restanted[" in text:
                self.got.append(text.decode())

    def unbind(self):
        os.unlink(self.path)
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def start(self, srv):
        if not self.private:
            srv.start()
            return
        srv.proc = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", OWN_DEV, "sh", srv.dir, srv.bin("restanted"), "-c",
             srv.path("restante.conf")],
            stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: not srv.alive() or srv.ctl("status").returncode == 0, PATIENCE, "restanted")

    def lines(self):
        return [re.sub(r"^<\d+>restanted\[\d+\]: ", "", d.rstrip()) for d in list(self.got)]

    def close(self):
        self.unbind()


def may_unshare():
    return subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode == 0


def can_syslog():
    return may_unshare() or (not os.path.lexists(DEV_LOG) and os.access(os.path.dirname(DEV_LOG), os.W_OK))


def read_lines(path):
    try:
        with open(path, encoding="utf-8", errors="strict") as f:
            text = f.read()
    except FileNotFoundError:
        return []
    return text[:text.rfind("\n") + 1].splitlines()


# ---- lines ----

def parse_json(line):
    return {k: str(v) for k, v in json.loads(line).items()}


def parse_text(line):
    m = re.match(r"(\S+Z )?(error|warning|notice|info|debug) ([a-z-]+)( .*)?$", line)
    if not m:
        return {"event": "?", "line": line}
    fields = {k: v.strip('"') for k, v in re.findall(r' (\w+)=("[^"]*"|\S*)', m.group(4) or "")}
    fields.update(level=m.group(2), event=m.group(3))
    return fields


class Book:
    """All lines of a sink, parsed."""

    def __init__(self, sink, as_json):
        self.sink, self.parse = sink, parse_json if as_json else parse_text

    def events(self, *names):
        return [e for e in map(self.parse, self.sink.lines()) if e["event"] in names]

    def wait(self, name, n):
        wait_until(lambda: len(self.events(name)) >= n, PATIENCE, "%d lines of %s" % (n, name))
