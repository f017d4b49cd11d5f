#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays transcripts against a real restanted on passwd and maildir.

A transcript is a .t file of lines:
  # text            comment; "# users: ann=restante" and "# mail: ann=plain,empty" prepare the server;
                    "# set: takeover=3600" is a line of the configuration;
                    "# fault storage: msg_read 2 error PERM" and "# fault auth: ..." put the shim in front
  !port clear|stls|tls    which listener (default clear)
  C: text           the client sends text CRLF; \\xHH, \\r, \\n, \\0 are bytes; a final \\c sends no CRLF
  S: text           the server's next line is exactly text
  S~ regex          the server's next line matches
  S. text           lines until a lone dot: text is looked for as one of them ("S. *" = any)
  !tls              the client starts TLS now (after STLS)
  !close            the client closes; !eof: the client closes its sending half
  !end              the server has closed the connection
  !broken           it closed in the midst of a multi-line reply: no lone dot was sent
  !again            a new connection
  !wait SECONDS
  !use NAME         from here on another client speaks; the others stay (the first is called 1)
  # delivery: max_size=1k        a setting of the delivery block; with it listeners lmtp, smtp, lmtps and the unix
                                socket lmtp.sock are there, too ("# delivery: -": none needed)
  # listener: xclient=127.0.0.1  a setting of those listeners
  # alias: all=ann,ben           accounts are in SQLite then, with this alias; domains: those of # domain: a.org,b.org
  # badmail: max_age=30d         a badmail block with this setting ("-": none needed)
  # ascii: old.example           users of this domain are on a store that keeps no internationalized mail
  B: retry 1        Badmail has so many RETRY (or refused) items
  !port lmtp|smtp|lmtps|unix
  S- text           lines "250-..." up to the one with a space: text is one of them, without its code ("S- *" = any)
  M: ann 2          mailbox ann has two messages
  M~ ann regex      the newest message of mailbox ann matches, as it is stored
  C* 3000 text      the client sends text so many times
  \\m{secret} in a C: line is APOP's digest: MD5 of the greeting's stamp and the secret

Each is played twice: whole lines, and one byte per segment. cut.py cuts them at every byte.
Usage: run.py [NAME...]
"""
import glob
import hashlib
import json
import os
import re
import socket
import sqlite3
import ssl
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server, Tap, free_port, wait_until  # noqa: E402
from shapes import SHAPES  # noqa: E402

TIMEOUT = 60


class Mismatch(Exception):
    pass


def unescape(text):
    raw = text.encode("utf-8")
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|r|n|0|\\)", lambda m: {
        b"r": b"\r", b"n": b"\n", b"0": b"\0", b"\\": b"\\"}.get(m.group(1)) or bytes([int(m.group(1)[1:], 16)]), raw)


class Client:
    def __init__(self, server, port, trickle):
        self.server, self.trickle = server, trickle
        if port == "unix":
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(server.path("run", "lmtp.sock"))
        else:
            ports = {"clear": server.clear_port, "stls": server.port, "tls": server.tls_port}
            ports.update(server.mail_ports)
            self.sock = socket.create_connection(("127.0.0.1", ports[port]), TIMEOUT)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(TIMEOUT)
        self.buf, self.stamp = b"", b""
        if port in ("tls", "lmtps"):
            self.tls()

    def tls(self):
        c = ssl.create_default_context(cafile=self.server.path("cert.pem"))
        c.check_hostname = False
        self.sock = c.wrap_socket(self.sock)

    def send(self, data):
        if not self.trickle:
            self.sock.sendall(data)
            return
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])
            if i % 8 == 0:
                time.sleep(0.0005)

    def line(self):
        while b"\n" not in self.buf:
            try:
                got = self.sock.recv(65536)
            except socket.timeout:
                raise Mismatch("no answer within %d s; so far %r" % (TIMEOUT, self.buf))
            except (ConnectionError, ssl.SSLError) as e:
                raise Mismatch("connection lost: %s" % e)
            if not got:
                raise Mismatch("the server closed; so far %r" % self.buf)
            self.buf += got
        line, self.buf = self.buf.split(b"\n", 1)
        if not line.endswith(b"\r"):
            raise Mismatch("a line without CRLF: %r" % line)
        stamp = re.search(rb"<[^>]+@[^>]+>", line)
        if stamp and not self.stamp:
            self.stamp = stamp.group(0)
        return line[:-1]

    def digest(self, text):
        return re.sub(r"\\m\{([^}]*)\}", lambda m: hashlib.md5(self.stamp + m.group(1).encode()).hexdigest(), text)

    def ended(self):
        try:
            while True:
                got = self.sock.recv(65536)
                if not got:
                    return
                raise Mismatch("expected the end of the connection, got %r" % got)
        except socket.timeout:
            raise Mismatch("the server did not close within %d s" % TIMEOUT)
        except (ConnectionError, ssl.SSLError):
            return

    def broken(self):
        while True:
            try:
                if self.line() == b".":
                    raise Mismatch("a damaged message was ended by a dot")
            except Mismatch as e:
                if "closed" in str(e) or "lost" in str(e):
                    return
                raise

    def close(self):
        self.sock.close()


def multi(client, text):
    """A reply of several lines."""
    seen = []
    while not seen or seen[-1][3:4] == b"-":
        seen.append(client.line())
    if text != "*" and unescape(text) not in [x[4:] for x in seen]:
        raise Mismatch("no line %r in %r" % (text, seen))


def mailbox(server, user):
    """The messages of a mailbox as they are stored, oldest first."""
    base, out = server.path("mail", user), []
    for d in ("new", "cur"):
        for name in os.listdir(os.path.join(base, d)) if os.path.isdir(os.path.join(base, d)) else []:
            path = os.path.join(base, d, name)
            out.append((os.stat(path).st_mtime_ns, path))
    return [open(path, "rb").read() for _, path in sorted(out)]


def look(server, line):
    user, wanted = line[3:].split(" ", 1)
    if line.startswith("B: "):
        n = sum(f.endswith(".json") for _, _, files in os.walk(server.path("badmail", user)) for f in files)
        if n != int(wanted):
            raise Mismatch("Badmail has %d %s items" % (n, user))
        return
    mail = mailbox(server, user)
    if line.startswith("M: "):
        if len(mail) != int(wanted):
            raise Mismatch("%s has %d messages" % (user, len(mail)))
    elif not mail or not re.search(unescape(wanted), mail[-1], re.DOTALL):
        raise Mismatch("the newest message of %s is %r" % (user, mail[-1:]))


def gone(server, left):
    """Waits until the server has no more than this many sessions."""
    wait_until(lambda: json.loads(server.ctl("--json", "status").stdout)["connections"] <= left, TIMEOUT, "sessions to end")


def play(server, lines, trickle):
    port, name, clients, quits = "clear", "1", {}, True

    def ensure():
        if name not in clients:
            clients[name] = Client(server, port, trickle)
        return clients[name]

    def drop():
        if name in clients:
            clients.pop(name).close()
    for number, line in lines:
        try:
            if line.startswith("!port "):
                port = line.split()[1]
            elif line.startswith("C: "):
                text = ensure().digest(line[3:])
                end = b"\r\n"
                if text.endswith("\\c"):
                    text, end = text[:-2], b""
                ensure().send(unescape(text) + end)
                quits = text.upper().endswith("QUIT")
            elif line.startswith("S: "):
                got = ensure().line()
                if got != unescape(line[3:]):
                    raise Mismatch("expected %r, got %r" % (line[3:], got))
            elif line.startswith("S~ "):
                got = ensure().line().decode("latin-1")
                if not re.fullmatch(line[3:], got):
                    raise Mismatch("expected /%s/, got %r" % (line[3:], got))
            elif line.startswith("S. "):
                seen = []
                while not seen or seen[-1] != b".":
                    seen.append(ensure().line())
                if line[3:] != "*" and unescape(line[3:]) not in seen:
                    raise Mismatch("no line %r in %r" % (line[3:], seen[:20]))
            elif line.startswith("S- "):
                multi(ensure(), line[3:])
            elif line.startswith(("M: ", "M~ ", "B: ")):
                look(server, line)
            elif line.startswith("C* "):
                times, text = line[3:].split(" ", 1)
                c = ensure()
                c.trickle, was = False, c.trickle
                c.send(unescape(text) * int(times))
                c.trickle = was
            elif line == "!tls":
                ensure().tls()
            elif line == "!close":
                drop()
            elif line.startswith("!use "):
                name = line[5:]
            elif line == "!eof":
                ensure().sock.shutdown(socket.SHUT_WR)
            elif line == "!end":
                ensure().ended()
            elif line == "!broken":
                ensure().broken()
            elif line == "!again":
                drop()
                if not quits:  # a client that only hangs up has the maildrop until the server has noticed
                    gone(server, len(clients))
            elif line.startswith("!wait "):
                time.sleep(float(line.split()[1]))
            else:
                raise Mismatch("not a transcript line")
        except Mismatch as e:
            raise Mismatch("line %d: %s: %s" % (number, line, e))
    for client in clients.values():
        client.close()


class Transcript:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-2]
        self.users, self.mail, self.settings, self.lines = {}, {}, {}, []
        self.faults = {"auth": [], "storage": []}
        self.delivery, self.listener, self.aliases, self.domains, self.badmail = None, "", {}, [], None
        self.ascii = None
        for number, line in enumerate(open(path, encoding="utf-8"), 1):
            line = line.rstrip("\n")
            m = re.match(r"# (users|mail|set): (.*)", line)
            if m:
                for part in m.group(2).split():
                    k, v = part.split("=", 1)
                    if m.group(1) == "mail":
                        v = [x for x in v.split(",") if x]
                    getattr(self, {"users": "users", "mail": "mail", "set": "settings"}[m.group(1)])[k] = v
            m = re.match(r"# (delivery|listener|alias|domain|badmail|ascii): (.*)", line)
            if m:
                self.prepare(m.group(1), m.group(2))
            m = re.match(r"# fault (auth|storage): (.*)", line)
            if m:
                self.faults[m.group(1)].append(m.group(2))
            elif line and not line.startswith("#"):
                self.lines.append((number, line))
        self.users = self.users or {"ann": "restante"}

    def prepare(self, what, text):
        if what == "badmail":
            self.badmail = (self.badmail or "") + "".join(" %s = %s\n" % tuple(x.split("=", 1)) for x in text.split() if x != "-")
        elif what == "delivery":
            self.delivery = (self.delivery or "") + "".join(" %s = %s\n" % tuple(x.split("=", 1))
                                                            for x in text.split() if x != "-")
        elif what == "ascii":
            self.ascii = text
        elif what == "listener":
            self.listener += "".join(" %s = %s\n" % tuple(x.split("=", 1)) for x in text.split())
        elif what == "alias":
            self.aliases.update(x.split("=", 1) for x in text.split())
        else:
            self.domains += text.split(",")


def mail_listeners(s, t):
    """The listeners for mail, if the transcript wants them."""
    s.mail_ports = {}
    if t.delivery is None:
        return
    text = "delivery {\n%s%s}\n" % ("" if "postmaster" in t.delivery else " postmaster = postmaster\n", t.delivery)
    for name, protocol, tls in (("lmtp", "lmtp", "starttls"), ("smtp", "smtp", "starttls"), ("lmtps", "lmtp", "implicit")):
        s.mail_ports[name] = free_port()
        text += "listener %s {\n protocol = %s\n address = 127.0.0.1\n port = %d\n tls = %s\n%s}\n" % (
            name, protocol, s.mail_ports[name], tls, t.listener)
    text += "listener unix {\n protocol = lmtp\n path = %s\n mode = 0666\n%s}\n" % (s.path("run", "lmtp.sock"), t.listener)
    if t.badmail is not None:
        os.mkdir(s.path("badmail"), 0o700)
        s.give(s.path("badmail"))
        text += "badmail {\n path = %s\n%s}\n" % (s.path("badmail"), t.badmail)
    s.extra_listeners = text


def accounts(s, t):
    """The auth section's module and settings."""
    if not t.aliases and not t.domains:
        return " module = passwd\n file = %s\n allow_plain = yes\n" % s.path("passwd")
    db = sqlite3.connect(s.path("accounts.db"))
    db.execute("CREATE TABLE users (name, password)")
    db.execute("CREATE TABLE aliases (name, target)")
    db.execute("CREATE TABLE domains (name)")
    db.executemany("INSERT INTO users VALUES (?, ?)", [(n, "{PLAIN}" + p) for n, p in t.users.items()])
    db.executemany("INSERT INTO aliases VALUES (?, ?)", t.aliases.items())
    db.executemany("INSERT INTO domains VALUES (?)", [(d,) for d in t.domains])
    db.commit()
    db.close()
    s.give(s.path("accounts.db"))
    return (" module = sql\n driver = sqlite\n database = %s\n allow_plain = yes\n"
            " query_user = SELECT name, password FROM users WHERE name = :user\n"
            " query_targets = SELECT target FROM aliases WHERE name = :user\n"
            " query_domain = SELECT 1 FROM domains WHERE name = :domain\n" % s.path("accounts.db"))


def ascii_store(s, t):
    """Its module has the shim's second name; a link in a directory of modules leads to it."""
    real, s.modules = s.modules, s.path("modules")
    os.mkdir(s.modules)
    for name in os.listdir(real):
        os.symlink(os.path.join(real, name), os.path.join(s.modules, name))
    os.symlink(os.path.join(real, "fault.so"), os.path.join(s.modules, "fault_ascii.so"))
    return ("auth ascii {\n module = passwd\n file = %s\n allow_plain = yes\n domains = %s\n storage = ascii\n}\n"
            "storage ascii_inner {\n module = maildir\n path = %s/%%n\n}\n"
            "storage ascii {\n module = fault_ascii\n wrap = ascii_inner\n}\n" % (s.path("passwd"), t.ascii, s.path("mail")))


class Maildirs:
    """Where the mail is kept; another store has a class like it (fetch.py)."""

    def put(self, srv, user, messages):
        srv.maildir(user, messages)

    def settings(self, srv):
        return " module = maildir\n path = %s/%%n\n" % srv.path("mail")


def server_for(t, store=Maildirs()):
    s = Server()
    mail_listeners(s, t)
    os.makedirs(s.path("mail"), exist_ok=True)
    s.give(s.path("mail"))
    s.passwd(t.users)
    for user in t.mail:
        store.put(s, user, [SHAPES[n] for n in t.mail.get(user, [])])
    text = ascii_store(s, t) if t.ascii else ""
    for kind, name, real in (
            ("storage", "mail", store.settings(s)),
            ("auth", "accounts", accounts(s, t))):
        storage = " storage = mail\n" if kind == "auth" else ""
        if t.faults[kind]:
            text += "%s %s_inner {\n%s%s}\n" % (kind, name, real, storage)
            real = " module = fault\n wrap = %s_inner\n%s" % (
                name, "".join(" rule = %s\n" % r for r in t.faults[kind]))
        text += "%s %s {\n%s%s}\n" % (kind, name, real, storage)
    s.configure(text, **t.settings)
    return s.start()


def run_one(tap, t, mode, store=Maildirs()):
    s = server_for(t, store)
    try:
        try:
            play(s, t.lines, mode == "trickle")
            good, why = s.alive(), s.log()[-1500:]
        except (Mismatch, OSError, RuntimeError) as e:
            good, why = False, "%s\n%s" % (e, s.log()[-1500:])
        rc = s.stop()
        tap.ok(good and rc == 0, "%s (%s)" % (t.name, mode), why if not good else "exit code %s\n%s" % (rc, s.log()[-3000:]))
    finally:
        s.close()


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("-")]
    tap = Tap()
    paths = sorted(glob.glob(os.path.join(HERE, "*.t")))
    for path in paths:
        t = Transcript(path)
        if args and t.name not in args:
            continue
        for mode in ("whole", "trickle"):
            run_one(tap, t, mode)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
