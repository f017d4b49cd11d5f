# SPDX-License-Identifier: Apache-2.0
"""A private Galera cluster of MariaDB nodes for one test: nodes are killed, frozen and brought back one by one.

The group's timeouts are short (by default it waits 5 and 15 s for a silent node). With two nodes the first one counts
twice, so that it can go on alone."""
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from databases import PASSWORD, authority, program
from mailstore import MailStore
from server import free_port, wait_until

EVS = ("evs.keepalive_period=PT0.3S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT5S;evs.inactive_check_period=PT0.2S;"
       "evs.install_timeout=PT5S;")
UP_S = 180  # a node may need a full copy, on a busy machine


def provider():
    for path in ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so"):
        if os.path.exists(path):
            return path
    raise SystemExit("galera-4 is not installed: ./bootstrap test installs what the tests need")


class Node:
    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.port, self.group, self.ist, self.sst = (free_port() for _ in range(4))
        self.dir = os.path.join(cluster.dir, "n%d" % number)
        self.proc = None
        self.frozen = False

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def configure(self):
        peers = ",".join("127.0.0.1:%d" % n.group for n in self.cluster.nodes)
        weight = "pc.weight=2;" if len(self.cluster.nodes) == 2 and self.number == 1 else ""
        for d in ("data", "run", "tmp"):
            os.makedirs(self.path(d))
        text = {
            "datadir": self.path("data"), "tmpdir": self.path("tmp"), "socket": self.path("run", "sock"),
            "pid-file": self.path("run", "pid"), "bind-address": "127.0.0.1", "port": self.port, "server_id": self.number,
            "ssl-cert": self.cluster.path("ca-server.crt"), "ssl-key": self.cluster.path("ca-server.key"),
            "character-set-server": "utf8mb4", "max_allowed_packet": "16M", "innodb_log_file_size": "16M",
            "innodb_buffer_pool_size": "64M", "innodb_flush_log_at_trx_commit": 0, "innodb_doublewrite": 0,
            "innodb_autoinc_lock_mode": 2, "binlog_format": "ROW", "performance_schema": "OFF", "wsrep_on": "ON",
            "wsrep_provider": provider(), "wsrep_cluster_name": "restante", "wsrep_cluster_address": "gcomm://" + peers,
            "wsrep_node_name": "n%d" % self.number, "wsrep_node_address": "127.0.0.1", "wsrep_slave_threads": 2,
            "wsrep_node_incoming_address": "127.0.0.1:%d" % self.port, "wsrep_sst_method": "rsync",
            "wsrep_sst_receive_address": "127.0.0.1:%d" % self.sst,
            "wsrep_provider_options": '"gmcast.listen_addr=tcp://127.0.0.1:%d;ist.recv_addr=127.0.0.1:%d;gcache.size=128M;%s%s"'
                                      % (self.group, self.ist, EVS, weight),
        }
        with open(self.path("my.cnf"), "w") as f:
            f.write("[mariadbd]\nskip-name-resolve\n" + "".join("%s=%s\n" % kv for kv in text.items()) +
                    "[sst]\nssl-mode=DISABLED\n[client]\nsocket=%s\nuser=root\n" % self.path("run", "sock"))
        self.cluster.own(self.dir)

    def user(self):
        return ["--user=" + self.cluster.account] if self.cluster.account else []

    def spawn(self, *args):
        with open(self.path("run", "log"), "ab") as log:
            self.proc = subprocess.Popen([program("mariadbd", "/usr/sbin"), "--defaults-file=" + self.path("my.cnf"),
                                          *self.user(), *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         start_new_session=True, cwd=self.dir)
        wait_until(self.look, UP_S, "node %d to be synced" % self.number)

    def look(self):
        if self.proc.poll() is not None:
            with open(self.path("run", "log"), errors="replace") as f:
                raise RuntimeError("node %d ended with %d:\n%s" % (self.number, self.proc.returncode, f.read()[-3000:]))
        return self.synced()

    def position(self):
        """After a crash the position that InnoDB knows lets the node ask only for the part it missed."""
        try:
            if not any(line.split() == ["seqno:", "-1"] for line in open(self.path("data", "grastate.dat"))):
                return []
        except OSError:
            return []
        log = self.path("run", "recover.log")
        if os.path.exists(log):
            os.unlink(log)
        subprocess.run([program("mariadbd", "/usr/sbin"), "--defaults-file=" + self.path("my.cnf"), *self.user(),
                        "--wsrep-recover", "--log-error=" + log], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, cwd=self.dir)
        found = [line.split("Recovered position:")[1].strip() for line in open(log, errors="replace")
                 if "WSREP: Recovered position:" in line]
        return ["--wsrep_start_position=" + found[-1]] if found else []

    def start(self, *args):
        self.spawn(*self.position(), *args)
        return self

    def sql(self, text, database="mail", timeout=120):
        done = subprocess.run([program("mariadb"), "--defaults-file=" + self.path("my.cnf"), "--batch", "--skip-column-names",
                               "--connect-timeout=5", *([database] if database else [])], input=text.encode(),
                              capture_output=True, timeout=timeout)
        if done.returncode:
            raise RuntimeError("node %d: %s" % (self.number, done.stderr.decode(errors="replace")))
        return [line.split("\t") for line in done.stdout.decode(errors="replace").splitlines()]

    def status(self, name):
        try:
            rows = self.sql("SHOW GLOBAL STATUS LIKE '%s'" % name, database="", timeout=10)
        except (RuntimeError, subprocess.TimeoutExpired):
            return None
        return rows[0][1] if rows else None

    def synced(self):
        return self.status("wsrep_local_state_comment") == "Synced" and self.status("wsrep_ready") == "ON"

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def freeze(self):
        self.frozen = True
        self.proc.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.proc.send_signal(signal.SIGCONT)
        self.frozen = False

    def stop(self):
        if self.proc is None or self.proc.poll() is not None:
            return
        self.proc.send_signal(signal.SIGCONT)
        self.proc.terminate()
        try:
            self.proc.wait(120)
        except subprocess.TimeoutExpired:
            self.kill()


class Galera(MailStore):
    """Uses only the part of MailStore that makes sections and tables; sql() asks the first node."""

    def __init__(self, nodes=3):  # deliberately not Maria's: there is no single server
        self.dir = tempfile.mkdtemp(prefix="rgal.", dir="/tmp")
        os.chmod(self.dir, 0o711)
        if os.geteuid() != 0:
            self.account = None
        self.ca = authority(self.dir)
        self.own(self.path("ca-server.key"))
        self.nodes = [Node(self, i + 1) for i in range(nodes)]
        for n in self.nodes:
            n.configure()
        first = self.nodes[0]
        # only this one is initialised: an empty directory makes the others ask for a copy
        subprocess.run([program("mariadb-install-db"), "--defaults-file=" + first.path("my.cnf"), *first.user(),
                        "--skip-test-db", "--auth-root-authentication-method=normal", "--wsrep_on=OFF"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        first.spawn("--wsrep-new-cluster")
        self.sql("CREATE DATABASE mail CHARACTER SET utf8mb4;"
                 "CREATE USER restante@'127.0.0.1' IDENTIFIED BY '%s' REQUIRE SSL; GRANT ALL ON mail.* TO restante@'127.0.0.1';"
                 % PASSWORD, database="")
        self.schema()
        for n in self.nodes[1:]:  # one donor serves one joiner at a time
            n.start()
        self.whole()

    def sql(self, text, database="mail"):
        return self.nodes[0].sql(text, database)

    def settings(self, order=None):
        order = order or [n.number for n in self.nodes]
        return {"server": ["127.0.0.1:%d" % self.nodes[k - 1].port for k in order], "database": "mail",
                "user": "restante", "password": PASSWORD, "tls_ca": self.ca}

    def section(self, name="mail", order=None, **more):
        lines = []
        for k, v in dict(self.settings(order), **more).items():
            lines += [" %s = %s" % (k, one) for one in (v if isinstance(v, list) else [v])]
        return "storage %s {\n module = mysql\n%s\n}\n" % (name, "\n".join(lines))

    def whole(self):
        """Waits until every node knows all others and has all data."""
        size = str(len(self.nodes))
        wait_until(lambda: all(n.synced() and n.status("wsrep_cluster_size") == size for n in self.nodes), UP_S,
                   "the cluster to be whole: %s" % [(n.number, n.status("wsrep_local_state_comment")) for n in self.nodes])

    def close(self):
        for n in reversed(self.nodes):
            n.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Beside:
    """Runs a function in a thread; its exception is raised in the test."""

    def __init__(self, fn, *args):
        self.error = None

        def run():
            try:
                fn(*args)
            except Exception as e:  # handed to the caller of join()
                self.error = e
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def join(self, seconds):
        self.thread.join(seconds)
        if self.thread.is_alive():
            raise RuntimeError("a thread of the test hangs")
        if self.error:
            raise self.error


def catch_commit(node, seconds):
    """Returns True as soon as a connection of this node is in COMMIT; False: none was seen."""
    end = time.monotonic() + seconds
    ask = ("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'restante' AND INFO LIKE 'COMMIT%'")
    text = ";".join([ask] * 200)
    while time.monotonic() < end:
        proc = subprocess.Popen([program("mariadb"), "--defaults-file=" + node.path("my.cnf"), "--batch", "--unbuffered",
                                 "--skip-column-names"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)
        try:
            proc.stdin.write(text.encode())
            proc.stdin.close()
            for line in proc.stdout:
                if line.strip() != b"0":
                    return True
        finally:
            proc.kill()
            proc.wait()
            proc.stdout.close()
    return False
