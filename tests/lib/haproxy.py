# SPDX-License-Identifier: Apache-2.0
"""A private HAProxy: in the foreground, its configuration and stats socket in a directory of the test."""
import os
import socket
import subprocess

from server import wait_until


class HAProxy:
    def __init__(self, directory, text):
        """text: frontends, backends and listen sections; they have `mode tcp` and times of their own by default."""
        self.conf = os.path.join(directory, "haproxy.cfg")
        self.stats = os.path.join(directory, "haproxy.sock")
        self.log = os.path.join(directory, "haproxy.log")
        root = os.geteuid() == 0
        with open(self.conf, "w") as f:
            f.write("global\n maxconn 2000\n stats socket %s mode 600 level admin\n%s"
                    "defaults\n mode tcp\n timeout connect 10s\n timeout client 300s\n timeout server 300s\n"
                    " timeout check 10s\n%s" % (self.stats, " user haproxy\n group haproxy\n" if root else "", text))
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(["haproxy", "-f", self.conf, "-db"], stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log, start_new_session=True)

        def up():
            if self.proc.poll() is not None:
                raise RuntimeError("haproxy ended: " + open(self.log).read()[-2000:])
            return os.path.exists(self.stats)
        wait_until(up, 60, "haproxy")

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.stats)
            s.sendall(command.encode() + b"\n")
            return s.makefile("rb").read().decode()

    def servers(self):
        """{backend/server: {column: value}} of all servers."""
        lines = self.ask("show stat").lstrip("# ").splitlines()
        rows = [dict(zip(lines[0].split(","), line.split(","))) for line in lines[1:] if line]
        return {r["pxname"] + "/" + r["svname"]: r for r in rows if r["svname"] not in ("FRONTEND", "BACKEND")}

    def close(self):
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(30)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
