# SPDX-License-Identifier: Apache-2.0
"""Private MariaDB and PostgreSQL servers, and SQLite files, for one test: below a directory of their own, on
loopback and unix sockets, ended by pid. A server that is not installed is an error, never a skip."""
import fcntl
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import termios

from server import free_port, wait_until
import tsan

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA = os.path.join(HERE, "..", "..", "conf", "sql")
PASSWORD = "service-secret"


def program(name, *where):
    found = shutil.which(name)
    for pattern in where:
        found = found or next(iter(sorted(glob.glob(os.path.join(pattern, name)), reverse=True)), None)
    if not found:
        raise SystemExit("%s is not installed: ./bootstrap test installs what the tests need" % name)
    return found


def authority(directory, name="ca"):
    """A test authority, and a certificate from it for localhost and 127.0.0.1."""
    def ssl(*args):
        subprocess.run(["openssl", *args], check=True, stderr=subprocess.DEVNULL, cwd=directory)

    ssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
        "/CN=test authority " + name, "-keyout", name + ".key", "-out", name + ".crt", "-addext",
        "basicConstraints=critical,CA:TRUE")
    ssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
        "-keyout", name + "-server.key", "-out", name + ".csr")
    with open(os.path.join(directory, name + ".ext"), "w") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    ssl("x509", "-req", "-in", name + ".csr", "-CA", name + ".crt", "-CAkey", name + ".key", "-CAcreateserial", "-days",
        "2", "-extfile", name + ".ext", "-out", name + "-server.crt")
    return os.path.join(directory, name + ".crt")


def stopped(pid):
    """Whether all its threads stand still; one that has ended does, too."""
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/stat" % (pid, thread)) as f:
                if f.read().rsplit(")", 1)[1].split()[0] not in "TtZX":
                    return False
    except (FileNotFoundError, ProcessLookupError):
        pass
    return True


class Database:
    """The interface to each kind of server: settings(), sql(), and the ways to fail."""
    driver = None
    account = None  # the system account a server drops to

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="rsql.", dir="/tmp")
        os.chmod(self.dir, 0o711)
        self.proc = None
        self.port = free_port()
        if os.geteuid() != 0:
            self.account = None

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def own(self, *paths):
        if self.account:
            pw = pwd.getpwnam(self.account)
            for p in paths:
                subprocess.check_call(["chown", "-R", "%d:%d" % (pw.pw_uid, pw.pw_gid), p])

    def authority(self, name):
        """Another authority and a certificate for start(); its file."""
        ca = authority(self.dir, name)
        self.own(self.path(name + "-server.key"))
        os.chmod(self.path(name + "-server.key"), 0o600)
        os.chmod(ca, 0o644)
        return ca

    def first_data(self, server, make):
        """The data a new server begins with: make() creates them in data/, once for all tests of a build; later servers copy them.
        server: its program, since another version needs other data."""
        place = os.environ.get("top_builddir")
        if not place:
            return make()
        template = os.path.join(place, "server-data", "%s-%d" % (self.driver, os.stat(os.path.realpath(server)).st_mtime))
        os.makedirs(os.path.dirname(template), exist_ok=True)
        with open(template + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.isdir(template):
                make()
                shutil.rmtree(template + ".new", ignore_errors=True)
                subprocess.check_call(["cp", "-a", self.path("data"), template + ".new"])
                os.rename(template + ".new", template)
                return
        subprocess.check_call(["cp", "-a", template + "/.", self.path("data")])

    def schema(self):
        with open(os.path.join(SCHEMA, self.driver + ".sql")) as f:
            self.sql(f.read())

    def processes(self):
        """The server and the processes it forked."""
        with open("/proc/%d/task/%d/children" % (self.proc.pid, self.proc.pid)) as f:
            return [self.proc.pid] + [int(c) for c in f.read().split()]

    def freeze(self):
        """Waits until all of it stands still: a signal takes a moment to arrive. The first process forks no more
        once it has stopped, so there will be no others."""
        os.kill(self.proc.pid, signal.SIGSTOP)
        wait_until(lambda: stopped(self.proc.pid), 60, self.driver + " to stand still")
        for pid in self.processes()[1:]:
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: stopped(pid), 60, self.driver + " to stand still")

    def thaw(self):
        for pid in reversed(self.processes()):
            os.kill(pid, signal.SIGCONT)

    def kill(self):
        self.freeze()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.proc.wait()
        self.proc = None

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.thaw()
            self.proc.send_signal(self.ending)
            try:
                self.proc.wait(120)  # killed, MariaDB would lose commits it has confirmed
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.proc = None

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def spawn(self, *cmd, user=None):
        def drop():
            os.setsid()
            if user:
                pw = pwd.getpwnam(user)
                os.setgroups([])
                os.setgid(pw.pw_gid)
                os.setuid(pw.pw_uid)
        with open(self.path("log"), "ab") as log:
            self.proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=drop,
                                         cwd=self.dir)

    def wait(self, up):
        def look():
            if self.proc.poll() is not None:
                with open(self.path("log"), errors="replace") as f:
                    raise SystemExit("%s ended:\n%s" % (self.driver, f.read()[-2000:]))
            return up()
        wait_until(look, 180, self.driver)


class Session:
    """A client that keeps a transaction open."""

    def __init__(self, cmd, ask, **kwargs):
        self.ask = ask
        self.proc = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)

    def say(self, text):
        self.proc.stdin.write(text.encode() + b"\n")
        self.proc.stdin.flush()

    def said(self):
        """Waits until all of it is done."""
        self.say(self.ask)
        for line in iter(self.proc.stdout.readline, b""):
            if line.strip() == b"done":
                return
        raise RuntimeError("a session ended early")

    def close(self):
        self.proc.stdin.close()
        self.proc.stdout.read()
        self.proc.wait(60)


class Maria(Database):
    driver = "mysql"
    account = "mysql"
    ending = signal.SIGTERM

    def __init__(self, tls=True, **extra):
        super().__init__()
        os.mkdir(self.path("run"))
        self.ca = self.authority("ca")
        lines = ["[mariadbd]", "datadir=" + self.path("data"), "tmpdir=" + self.path("run"),
                 "socket=" + self.path("run", "sock"), "pid-file=" + self.path("run", "pid"), "bind-address=127.0.0.1",
                 "port=%d" % self.port, "skip-name-resolve", "skip-log-bin", "innodb_log_file_size=16M",
                 "innodb_buffer_pool_size=64M", "innodb_flush_log_at_trx_commit=0", "innodb_doublewrite=0",
                 "performance_schema=OFF", "character-set-server=utf8mb4",
                 "general_log_file=" + self.path("run", "general.log")]
        lines += ["%s=%s" % kv for kv in extra.items()]
        lines += ["[client]", "socket=" + self.path("run", "sock"), "user=root"]
        with open(self.path("my.cnf"), "w") as f:
            f.write("\n".join(lines) + "\n")
        os.mkdir(self.path("data"))
        self.own(self.path("data"), self.path("run"))
        self.first_data(program("mariadbd", "/usr/sbin"), self.install)
        self.start("ca-server" if tls else None)
        self.sql("CREATE DATABASE mail CHARACTER SET utf8mb4;"
                 "CREATE USER restante@'127.0.0.1' IDENTIFIED BY '%s'; GRANT ALL ON mail.* TO restante@'127.0.0.1';"
                 % PASSWORD, database="")
        self.schema()

    def install(self):
        user = ["--user=" + self.account] if self.account else []
        subprocess.run([program("mariadb-install-db"), "--defaults-file=" + self.path("my.cnf"), *user, "--skip-test-db",
                        "--auth-root-authentication-method=normal"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def start(self, certificate="ca-server"):
        """None: without TLS."""
        user = ["--user=" + self.account] if self.account else []
        tls = ["--ssl-cert=" + self.path(certificate + ".crt"), "--ssl-key=" + self.path(certificate + ".key")] if certificate else []
        self.spawn(program("mariadbd", "/usr/sbin"), "--defaults-file=" + self.path("my.cnf"), *user, *tls)
        self.wait(lambda: subprocess.run([program("mariadb-admin"), "--defaults-file=" + self.path("my.cnf"), "ping"],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0)
        return self

    def sql(self, text, database="mail"):
        done = subprocess.run([program("mariadb"), "--defaults-file=" + self.path("my.cnf"), "--batch",
                               "--skip-column-names", "--default-character-set=utf8mb4", *([database] if database else [])],
                              input=text.encode(), capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace"))
        return [line.split("\t") for line in done.stdout.decode(errors="replace").splitlines()]

    def session(self):
        return Session([program("mariadb"), "--defaults-file=" + self.path("my.cnf"), "--batch", "--unbuffered", "--force",
                        "--skip-column-names", "mail"], "SELECT 'done';")

    def hang_up(self):
        """Ends the service's connections; returns how many."""
        ids = self.sql("SELECT id FROM information_schema.processlist WHERE user = 'restante'")
        self.send_away(ids)
        return len(ids)

    def send_away(self, ids):
        for row in ids:
            try:
                self.sql("KILL CONNECTION " + row[0])
            except RuntimeError as e:
                if "Unknown thread" not in str(e):  # it ended by itself
                    raise

    def lock_waits(self):
        """The connections that wait for a lock."""
        return self.sql("SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")

    def lock_table(self):
        """A session that keeps everybody from reading the accounts until it is closed."""
        s = self.session()
        s.say("LOCK TABLES accounts WRITE;")
        s.said()
        return s

    def service_password(self, new, old):
        """Changes the password of the service account, and ends its connections."""
        self.sql("ALTER USER restante@'127.0.0.1' IDENTIFIED BY '%s'" % new, database="")
        self.hang_up()

    def deadlocks(self):
        return int(self.sql("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0][1])

    def settings(self, tls=True):
        s = {"driver": "mysql", "server": "127.0.0.1:%d" % self.port, "database": "mail", "user": "restante",
             "password": PASSWORD}
        s.update({"tls_ca": self.ca} if tls else {"tls": "off"})
        return s


class Postgres(Database):
    driver = "pgsql"
    account = "postgres"
    ending = signal.SIGINT  # fast: clients are sent away

    def __init__(self, tls=True, **extra):
        super().__init__()
        self.ca = self.authority("ca")
        os.mkdir(self.path("run"))
        os.mkdir(self.path("data"))
        with open(self.path("run", "pw"), "w") as f:
            f.write(PASSWORD)
        self.own(self.path("data"), self.path("run"))
        self.bin = os.path.dirname(os.path.realpath(program("pg_ctl", "/usr/lib/postgresql/*/bin")))
        self.first_data(os.path.join(self.bin, "postgres"), self.install)
        self.args = ["-D", self.path("data"), "-k", self.path("run"), "-p", str(self.port), "-c",
                     "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=32MB"]
        for k, v in extra.items():
            self.args += ["-c", "%s=%s" % (k, v)]
        self.start("ca-server" if tls else None)
        self.sql("CREATE DATABASE mail", database="postgres")
        self.schema()

    def install(self):
        self.as_user(os.path.join(self.bin, "initdb"), "-D", self.path("data"), "-U", "restante", "-A", "scram-sha-256",
                     "--pwfile=" + self.path("run", "pw"), "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")

    def as_user(self, *cmd):
        if self.account:
            cmd = ("runuser", "-u", self.account, "--", *cmd)
        subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL, cwd=self.dir)

    def up(self):
        return subprocess.run([os.path.join(self.bin, "pg_isready"), "-q", "-h", self.path("run"), "-p",
                               str(self.port)]).returncode == 0

    def start(self, certificate="ca-server"):
        """None: without TLS."""
        tls = ["-c", "ssl=on", "-c", "ssl_cert_file=" + self.path(certificate + ".crt"), "-c",
               "ssl_key_file=" + self.path(certificate + ".key")] if certificate else []
        self.spawn(os.path.join(self.bin, "postgres"), *self.args, *tls, user=self.account)
        self.wait(self.up)
        return self

    def sql(self, text, database="mail", password=PASSWORD):
        env = dict(os.environ, PGPASSWORD=password)
        done = subprocess.run([program("psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h",
                               self.path("run"), "-p", str(self.port), "-U", "restante", "-d", database],
                              input=text.encode(), capture_output=True, env=env)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace"))
        return [line.split("\t") for line in done.stdout.decode(errors="replace").splitlines()]

    def session(self):
        """Never finds a deadlock itself: whoever waits for this session does."""
        s = Session([program("psql"), "-X", "-q", "-A", "-t", "-h", self.path("run"), "-p", str(self.port), "-U", "restante", "-d",
                     "mail"], "SELECT 'done';", env=dict(os.environ, PGPASSWORD=PASSWORD))
        s.say("SET deadlock_timeout = '1h';")
        return s

    def hang_up(self):
        """Ends the service's connections; returns how many."""
        return len(self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'restante'"))

    def send_away(self, ids):
        for row in ids:
            self.sql("SELECT pg_terminate_backend(%s)" % row[0])

    def lock_waits(self):
        """The connections that wait for a lock."""
        return self.sql("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'restante'")

    def lock_table(self):
        """A session that keeps everybody from reading the accounts until it is closed."""
        s = self.session()
        s.say("BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE;")
        s.said()
        return s

    def service_password(self, new, old):
        """Changes the password of the service account, and ends its connections."""
        self.sql("ALTER ROLE restante PASSWORD '%s'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                 "WHERE application_name = 'restante'" % new, password=old)

    def deadlocks(self):
        return int(self.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = 'mail'")[0][0])

    def settings(self, tls=True):
        s = {"driver": "pgsql", "server": "127.0.0.1:%d" % self.port, "database": "mail", "user": "restante",
             "password": PASSWORD}
        s.update({"tls_ca": self.ca} if tls else {"tls": "off"})
        return s


class Sqlite(Database):
    driver = "sqlite"

    def __init__(self):
        super().__init__()
        self.schema()

    def sql(self, text, database=None):
        done = subprocess.run([program("sqlite3"), "-batch", "-separator", "\t", "-cmd", ".timeout 60000", self.path("mail.db")], input=text.encode(),
                              capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace"))
        return [line.split("\t") for line in done.stdout.decode(errors="replace").splitlines()]

    def session(self):
        return Session([program("sqlite3"), "-batch", self.path("mail.db")], "SELECT 'done';")

    def settings(self, tls=True):
        return {"driver": "sqlite", "database": self.path("mail.db")}


def queries(driver):
    """The statements of the example configuration, so that the tests run the ones people copy."""
    found = {}
    with open(os.path.join(HERE, "..", "..", "conf", "examples", "sql-%s.conf" % driver)) as f:
        for line in f:
            key, eq, value = line.strip().lstrip("#").partition(" = ")  # lines that are commented out have to work, too
            if eq and key.startswith(("query_", "update_")) and not key.endswith("_timeout"):
                found[key] = value
    return found


class Ask:
    """tests/live/ask: one instance of the module, several threads."""

    def __init__(self, module, threads, settings):
        self.races = tsan.scratch()
        self.proc = subprocess.Popen([os.path.join(os.environ["top_builddir"], "tests/live/ask"), module, str(threads),
                                      *arguments(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, env=tsan.environment(self.races))
        self.n = 0
        self.logs = []

    def send(self, verb, name="", secret="", ms=10000):
        def hexed(s):
            return (s if isinstance(s, bytes) else s.encode()).hex() or "-"
        self.n += 1
        self.proc.stdin.write(("%d %s %d %s %s\n" % (self.n, verb, ms, hexed(name), hexed(secret))).encode())
        self.proc.stdin.flush()
        return self.n

    def receive(self):
        """The next answer: a dict."""
        while True:
            line = self.proc.stdout.readline().decode(errors="replace")
            if not line:
                raise RuntimeError("ask ended: " + self.proc.stderr.read().decode(errors="replace")[-3000:])
            if line.startswith("user "):
                user = line.split()[1:]
            elif not line.startswith("log "):
                break
            else:
                self.logs.append(line.strip())
        w = line.rstrip("\n").split(" ", 9)

        def text(h):
            return b"" if h == "-" else bytes.fromhex(h)
        attrs = [text(h).decode() for h in user[6:]]
        return {"key": text(user[0]), "section": text(user[1]), "quota_octets": int(user[2]), "quota_msgs": int(user[3]),
                "expire_days": int(user[4]), "valid_until_ms": int(user[5]), "attrs": list(zip(attrs[::2], attrs[1::2])),
                "id": int(w[0]), "code": w[1], "ms": int(w[2]), "state": int(w[3]), "rights": int(w[4]),
                "name": text(w[5]), "cred": text(w[6]), "last_login": int(w[7]),
                "targets": [] if w[8] == "-" else w[8].split(","), "error": w[9] if len(w) > 9 else ""}

    def ask(self, *args, **kwargs):
        self.send(*args, **kwargs)
        return self.receive()

    def taken(self):
        """Whether its threads have read all that was sent."""
        return fcntl.ioctl(self.proc.stdin, termios.FIONREAD, bytes(4)) == bytes(4)

    def close(self):
        """The exit code, and the messages of the program and the sanitizers."""
        try:
            self.proc.stdin.close()
        except BrokenPipeError:
            pass
        rest = self.proc.stdout.read().decode(errors="replace")
        self.logs += [x for x in rest.splitlines() if x.startswith("log ")]
        err = self.proc.stderr.read().decode(errors="replace")
        rc = self.proc.wait(120)
        return rc, err + "\n".join(tsan.judge(self.races))


def arguments(settings):
    """key=value for a dict; a list gives several."""
    args = []
    for k, v in settings.items():
        args += ["%s=%s" % (k, one) for one in (v if isinstance(v, list) else [v])]
    return args


def tcp_that(answer, port=None):
    """Opens a port whose connections are handed to `answer`, or only accepted (None). Returns (port, close)."""
    import threading
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port or free_port()))
    s.listen(64)
    held = []

    def serve():
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                return
            held.append(c)
            if answer:
                threading.Thread(target=answer, args=(c,), daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()

    def close():
        s.shutdown(socket.SHUT_RDWR)
        s.close()
        for c in held:
            c.close()
    close.connections = lambda: len(held)
    return s.getsockname()[1], close
