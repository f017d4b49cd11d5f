#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The log on standard error, in a file and in syslog, as text and as JSON: the same day of logins, refusals and
ends is played on each; one line for each event, with its fields; never a password; a warning when deletions are
dropped; files are reopened after a rotation, and syslog after its restart.
"""
import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from logbook import Book, File, Stderr, Syslog, can_syslog, parse_text, read_lines  # noqa: E402
from pop import PATIENCE, Pop  # noqa: E402
from sections import accounts, maildirs, plain  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

GOOD, WRONG = "Rotkraut-71-Kloss", "Brautkleid-17-Rost"
LETTER = b"Subject: a letter\n\nbody\n"
OCTETS = len(LETTER.replace(b"\n", b"\r\n"))
COMMON = {"user", "session", "peer", "tls", "listener"}
FIELDS = {"login": COMMON | {"auth", "messages"}, "login-refused": COMMON | {"address", "mech", "reason"},
          "session-end": COMMON | {"how", "retrieved", "octets", "deleted", "left", "seconds"},
          "deletions-dropped": COMMON | {"pending"}}


def b64(text):
    return base64.b64encode(text.encode()).decode()


def sasl(user, password):
    return b64("\0%s\0%s" % (user, password))


SECRETS = [GOOD, WRONG, b64(GOOD), b64(WRONG)] + [sasl(u, p) for u in ("ann", "ben") for p in (GOOD, WRONG)]


def fits(event, wanted):
    return all(event.get(k) == str(v) for k, v in wanted.items())


# ---- a day ----

def peer(pop):
    return "127.0.0.1:%d" % pop.sock.getsockname()[1]


class Day:
    """Sessions of all kinds, and what must be in the log of them: (event, fields)."""

    def __init__(self, srv, book):
        self.srv, self.book, self.wanted = srv, book, []

    def want(self, event, **fields):
        self.wanted.append((event, fields))

    def session(self, user, tls=False):
        pop = Pop(self.srv.tls_port, self.srv.path("cert.pem")) if tls else Pop(self.srv.clear_port)
        pop.who = {"user": user, "peer": peer(pop), "tls": "TLSv1.3" if tls else "none",
                   "listener": "pop3s" if tls else "clear"}
        return pop

    def login(self, user, messages, tls=False):
        pop = self.session(user, tls)
        pop.reply = pop.login(user, GOOD)
        self.want("login", messages=messages, auth="accounts", **pop.who)
        return pop

    def end(self, pop, how, retrieved, deleted, left):
        self.want("session-end", how=how, retrieved=retrieved, octets=retrieved * OCTETS, deleted=deleted, left=left,
                  **pop.who)
        pop.close()
        self.book.wait("session-end", self.count("session-end"))

    def dropped(self, pop, pending):
        self.want("deletions-dropped", pending=pending, level="warning", **pop.who)

    def refused(self, user, password, reason, mech="USER"):
        with self.session(user) as pop:
            pop.plain(user, password) if mech == "PLAIN" else pop.login(user, password)
            self.want("login-refused", address="127.0.0.1", mech=mech, reason=reason, **pop.who)

    def live(self):
        p = self.login("ann", 3, tls=True)
        p.lines("RETR 1"), p.lines("RETR 2"), p.say("DELE 1"), p.say("QUIT")
        self.end(p, "quit", 2, 1, 2)
        p = self.login("ben", 2)
        p.lines("RETR 1"), p.lines("TOP 2 0")
        self.end(p, "disconnected", 1, 0, 2)
        p = self.login("cay", 2, tls=True)
        p.say("DELE 1"), p.say("DELE 2")
        self.dropped(p, 2)
        self.end(p, "disconnected", 0, 0, 2)
        p = self.login("dan", 2)
        p.say("DELE 1"), self.srv.ctl("kick", "--user", "dan"), p.line()
        self.dropped(p, 1)
        self.end(p, "kicked", 0, 0, 2)
        p = self.login("eve", 2)
        p.say("DELE 1"), p.say("RSET")
        self.end(p, "disconnected", 0, 0, 2)

    def refusals(self):
        self.refused("ann", WRONG, "wrong name or password")
        self.refused("cuckoo", GOOD, "wrong name or password")
        self.refused("ben", WRONG, "wrong name or password", "PLAIN")
        self.refused("off", GOOD, "account is disabled")
        with Pop(self.srv.clear_port) as held:
            held.login("ben", GOOD)
            self.want("login", user="ben", peer=peer(held))
            self.refused("ben", GOOD, "mailbox in use")
            held.say("QUIT")
            self.want("session-end", user="ben", peer=peer(held), how="quit")

    def count(self, event):
        return len([1 for e, _ in self.wanted if e == event])


def audit(tap, book, day, name):
    """Each event is one line, and there are no others."""
    for event, fields in FIELDS.items():
        book.wait(event, day.count(event))
        got = book.events(event)
        tap.ok(len(got) == day.count(event), "%s: %d of %s, one line each" % (name, len(got), event), got)
        tap.ok(all(fields <= set(e) for e in got), "%s: %s has its fields" % (name, event), got)
        missing = [w for e, w in day.wanted if e == event and len([g for g in got if fits(g, w)]) != 1]
        tap.ok(not missing, "%s: who, from where, how, and how much: %s" % (name, event), "%s\n%s" % (missing, got))
    tap.ok(all(e["level"] == "notice" for e in book.events("login", "login-refused", "session-end")),
           "%s: the audit's lines are notices" % name)
    ids = [e["session"] for e in book.events("login")]
    tap.ok(len(ids) == len(set(ids)) and sorted(ids) == sorted(e["session"] for e in book.events("session-end")),
           "%s: to each login its end" % name)


def careless(srv):
    """A password in all the places where it can end up by mistake."""
    with Pop(srv.clear_port) as p:
        p.say("USER " + GOOD)
        p.say(GOOD)
        p.say("USER %s %s" % ("ann", GOOD))
        p.say("PASS")
        p.say("XPASS " + GOOD)
        p.say("PASS " + GOOD)  # before USER
        p.say("APOP ann " + GOOD)
        p.say("RETR " + GOOD)
        p.say("AUTH PLAIN " + b64(GOOD))  # no SASL message
        p.say("AUTH PLAIN " + GOOD)  # no base64
        p.say("AUTH " + GOOD)
    with Pop(srv.clear_port) as p:
        p.say("AUTH LOGIN"), p.say(b64("ann")), p.say(b64(WRONG))
        p.say("AUTH PLAIN"), p.say(sasl("ann", WRONG))
        p.say("AUTH PLAIN"), p.say("*")
    with Pop(srv.clear_port) as p:
        p.say("USER ann")
        p.say(b"PASS " + GOOD.encode() + b"\0" + WRONG.encode())
    with Pop(srv.clear_port) as p:
        p.say("USER ann")
        p.say("PASS " + GOOD * 100)  # over the longest line
        p.say(GOOD * 100)
    with Pop(srv.port) as p:
        p.login("ann", GOOD)  # refused in clear
        p.plain("ann", GOOD)


def careless_tls(srv):
    """In clear to a port where TLS begins at once."""
    with socket.create_connection(("127.0.0.1", srv.tls_port), PATIENCE) as s:
        s.sendall(b"USER ann\r\nPASS %s\r\n" % GOOD.encode())
        try:
            while s.recv(4096):
                pass
        except OSError:
            pass


def one_line(tap, srv, sink, book, *_):
    """A handshake that fails is one line, with the reason, and with no version of TLS: none was agreed on."""
    for port, first in ((srv.tls_port, b""), (srv.port, b"STLS\r\n")):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as s:
            if first:
                s.recv(4096), s.sendall(first), s.recv(4096)
            where = "peer=127.0.0.1:%d" % s.getsockname()[1]
            s.sendall(b"USER ann\r\n")
            with contextlib.suppress(OSError):
                while s.recv(4096):
                    pass
        wait_until(lambda: any(where in line for line in sink.lines()), PATIENCE, "a line of " + where)
        with Pop(srv.clear_port) as p:  # it is in the log after everything that concerns the one before
            after = peer(p)
            p.say("QUIT")
        wait_until(lambda: any(after in line for line in sink.lines()), PATIENCE, "a line of " + after)
        got = [line for line in sink.lines() if where in line]
        tap.ok(len(got) == 1 and " connection-end " in got[0] and " tls=none " in got[0] and
               ' how="TLS handshake failed" reason="' in got[0], "a handshake that fails is one line", got)


def by_sasl(srv):
    """Good logins by AUTH; the number of them."""
    with Pop(srv.clear_port) as p:
        p.plain("ann", GOOD), p.say("QUIT")
    with Pop(srv.tls_port, srv.path("cert.pem")) as p:
        p.say("AUTH PLAIN"), p.say(sasl("ben", GOOD)), p.say("QUIT")
    with Pop(srv.tls_port, srv.path("cert.pem")) as p:
        p.say("AUTH LOGIN"), p.say(b64("eve")), p.say(b64(GOOD)), p.say("QUIT")
    return 3


def full(tap, srv, _sink, book, name):
    forged(tap, srv, book, name)
    no_password(tap, srv, book, name)


def no_password(tap, srv, book, name):
    before = len(book.events("login"))
    careless(srv)
    careless_tls(srv)
    n = by_sasl(srv)
    book.wait("login", before + n)
    book.wait("session-end", before + n)
    srv.ctl("user", "ann"), srv.ctl("sessions"), srv.ctl("reload")
    wait_until(lambda: any("in force for new sessions" in line for line in book.sink.lines()), PATIENCE, "the reload")
    text = "\n".join(book.sink.lines()) + srv.log()
    found = [s for s in SECRETS if s in text]
    tap.ok(not found, "%s: no password of any login, good or bad, is in the log" % name,
           "\n".join(line for line in text.splitlines() if any(s in line for s in found)))


def many(tap, srv, sink, book, name):
    """Logins at the same time: a line each, none lost, none torn."""
    before = [len(book.events(e)) for e in ("login", "session-end")]

    def one(i):
        for _ in range(5):
            with Pop(srv.clear_port) as p:
                p.login("many%d" % i, GOOD), p.say("QUIT")
    threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    book.wait("session-end", before[1] + 40)
    after = [len(book.events(e)) for e in ("login", "session-end")]
    tap.ok([a - b for a, b in zip(after, before)] == [40, 40], "%s: 40 logins at once, 40 lines, 40 ends" % name, after)


def forged(tap, srv, book, name):
    """A name cannot make a second line or pass for another address."""
    refused = book.events("login-refused")
    for user in ('x" address="6.6.6.6', "x address=6.6.6.6 ", "x\\n2026 login user=ann", '"}{"event":"login"'):
        with Pop(srv.clear_port) as p:
            p.login(user, WRONG)
    book.wait("login-refused", len(refused) + 4)
    new = book.events("login-refused")[len(refused):]
    tap.ok(len(new) == 4 and all(e["address"] == "127.0.0.1" for e in new), "%s: names that look like fields" % name,
           new)


def whole(tap, _srv, _sink, book, name):
    lines = book.sink.lines()
    bad = [e["line"] for e in map(parse_text, lines) if e["event"] == "?"] if book.parse is parse_text else []
    tap.ok(lines and not bad and all(is_printable(line) for line in lines), "%s: every line parses" % name, bad)


def is_printable(line):
    return all(ord(c) >= 0x20 and ord(c) != 0x7f for c in line)


# ---- rotation and restart ----

def one_login(srv):
    with Pop(srv.clear_port) as p:
        p.login("ann", GOOD)
        mark = "peer=%s " % peer(p)
        p.say("QUIT")
    return mark


def ended_in(path, mark):
    return any(" session-end " in line and mark in line for line in read_lines(path))


def rotate(tap, srv, sink, ask, name):
    """After a rename lines still go to the renamed file; after a reopen, to a new one; none is lost in between."""
    old = sink.file + "." + name.split()[-1]
    os.rename(sink.file, old)
    mark = one_login(srv)
    wait_until(lambda: ended_in(old, mark), PATIENCE, "the end of a session in the renamed file")
    tap.ok(not os.path.exists(sink.file), "%s: renamed, the log goes on in the old file" % name)
    ask()
    wait_until(lambda: os.path.exists(sink.file), PATIENCE, "the new file")
    mark = one_login(srv)
    wait_until(lambda: ended_in(sink.file, mark), PATIENCE, "the end of a session in the new file")
    tap.ok(not ended_in(old, mark), "%s: then in the new one, and there alone" % name)
    tap.ok(os.stat(sink.file).st_mode & 0o137 == 0, "%s: which is not for everybody's eyes" % name)


def rotation(tap, srv, sink, *_):
    rotate(tap, srv, sink, lambda: srv.proc.send_signal(signal.SIGUSR1), "SIGUSR1")
    rotate(tap, srv, sink, lambda: tap.ok(srv.ctl("log-reopen").returncode == 0, "log-reopen"), "log-reopen")
    old = sink.file + ".3"
    os.rename(sink.file, old)
    os.mkdir(sink.file)
    srv.ctl("log-reopen")
    mark = one_login(srv)
    wait_until(lambda: ended_in(old, mark), PATIENCE, "the end of a session in the old file")
    tap.ok(True, "a file that cannot be opened: the old one stays")
    os.rmdir(sink.file)
    srv.ctl("log-reopen")
    wait_until(lambda: os.path.exists(sink.file), PATIENCE, "the new file")
    tap.ok(os.path.isfile(sink.file), "and when it can be again it is")
    text = "".join("\n".join(read_lines(srv.path("logs", f))) for f in os.listdir(srv.path("logs")))
    tap.ok(not [s for s in SECRETS if s in text], "no password in any of the files")


def syslog_words(tap, srv, sink, *_):
    """Facility mail, the level's severity, the tag with the pid; syslog adds the time itself."""
    odd = [d for d in sink.got if not re.match(r"<(19|2[0-3])>restanted\[%d\]: \S" % srv.proc.pid, d)]
    tap.ok(sink.got and not odd, "syslog: facility mail, severity, tag and pid", odd)
    for pri, event in (("<21>", "login"), ("<21>", "session-end"), ("<20>", "deletions-dropped")):
        got = [d for d in sink.got if re.search(r"\b%s\b" % event, d) and "listener" in d]
        tap.ok(got and all(d.startswith(pri) for d in got), "syslog: %s comes as %s" % (event, pri), got)


def syslog_slow(tap, srv, sink, book, *_):
    """It takes no lines for a moment, while many come: they wait."""
    before = len(book.events("session-end"))
    with sink.busy:
        for _ in range(20):
            one_login(srv)
    book.wait("session-end", before + 20)
    lost = json.loads(srv.ctl("--json", "status").stdout)["log_lines_dropped"]
    tap.ok(len(book.events("session-end")) == before + 20 and lost == 0, "syslog: slow for a moment, and it gets all lines", lost)


def syslog_restart(tap, srv, sink, *_):
    sink.unbind()
    with Pop(srv.clear_port) as p:
        tap.ok(p.login("ann", GOOD).startswith(b"+OK"), "syslog: it is down, and mail is served")
        p.say("QUIT")
    sink.bind()
    n = len(sink.got)

    def again():
        one_login(srv)
        return len(sink.got) > n
    wait_until(again, PATIENCE, "lines after the restart of syslog")
    tap.ok(True, "syslog: it is back, and gets lines again")


# ---- servers ----

def prepare(srv):
    names = ["ann", "ben", "cay", "dan", "eve"] + ["many%d" % i for i in range(8)]
    srv.passwd({n: GOOD for n in names + ["off"]}, off="disabled")
    for n in names[:5]:
        srv.maildir(n, [LETTER] * (3 if n == "ann" else 2))


def configure(srv, block, **settings):
    srv.configure("log {\n%s level = debug\n}\n" % block + plain(srv), **settings)


def one_day(tap, kind, as_json, steps):
    """`steps` come after the good sessions; refusals take whole seconds, so not every sink gets them."""
    name = "%s %s" % (kind.__name__.lower(), "json" if as_json else "text")
    with Server() as srv:
        prepare(srv)
        sink = kind(srv)
        try:
            configure(srv, sink.block + (" json = yes\n" if as_json else ""))
            sink.start(srv)
            book = Book(sink, as_json)
            day = Day(srv, book)
            day.live()
            if full in steps:
                day.refusals()
            audit(tap, book, day, name)
            for step in steps:
                step(tap, srv, sink, book, name)
            srv.ends(tap, "%s: the server ended cleanly" % name)
        finally:
            srv.stop()
            sink.close()


def idle(tap):
    """The client does not quit; its time is up. Nothing is deleted, and the log warns."""
    with Server() as srv:
        prepare(srv)
        configure(srv, "", idle_timeout="5s")
        srv.start()
        book = Book(Stderr(srv), False)
        day = Day(srv, book)
        p = day.login("ben", 2)
        p.say("DELE 2")
        tap.ok(p.line() == b"", "idle timeout: closed without a word")
        day.dropped(p, 1)
        day.end(p, "idle timeout", 0, 0, 2)
        audit(tap, book, day, "idle timeout")
        tap.ok(len(os.listdir(srv.path("mail", "ben", "new"))) == 2, "idle timeout: nothing was deleted")


def at_the_start(tap):
    """A module's warning is in the log that is configured, and nowhere else; errors are on standard error."""
    with Server() as srv:
        prepare(srv)
        sink = File(srv)
        srv.configure("log {\n%s json = yes\n}\n" % sink.block + accounts(srv) + maildirs(srv))
        sink.start(srv)
        got = [e for e in map(json.loads, sink.lines()) if e["event"] == "module"]
        tap.ok(len(got) == 1 and "would have one mailbox" in got[0]["text"] and srv.log() == "",
               "a module's warning at the start is in the log file", (got, srv.log()))
        srv.stop()
        os.rename(srv.path("passwd"), srv.path("elsewhere"))
        p = subprocess.run([srv.bin("restanted"), "-c", srv.path("restante.conf")], capture_output=True, text=True,
                           timeout=60)
        tap.ok(p.returncode not in (0, None) and srv.path("passwd") in p.stderr and "not started" in p.stderr,
               "an error is on standard error", p)


def no_file(tap):
    """A log that cannot be written is reported before anything is served."""
    with Server() as srv:
        prepare(srv)
        configure(srv, " to = file\n file = %s\n" % srv.path("absent", "restante.log"))
        p = subprocess.run([srv.bin("restanted"), "-c", srv.path("restante.conf")], capture_output=True, text=True,
                           timeout=60)
        tap.ok(p.returncode not in (0, None) and srv.path("absent", "restante.log") in p.stderr,
               "a log file that cannot be made: not started, and the reason is said", p)


def nobody_reads(tap):
    """Standard error is a pipe that is full, and nobody reads it: mail is served, and SIGTERM ends the server."""
    with Server() as srv:
        prepare(srv)
        configure(srv, "")
        r, w = os.pipe()
        proc = subprocess.Popen([srv.bin("restanted"), "-c", srv.path("restante.conf")], stdin=subprocess.DEVNULL,
                                stdout=w, stderr=w, start_new_session=True)
        try:
            wait_until(lambda: srv.ctl("status").returncode == 0, PATIENCE, "restanted to serve")
            full = os.open("/proc/self/fd/%d" % w, os.O_WRONLY | os.O_NONBLOCK)  # O_NONBLOCK for us alone
            with contextlib.suppress(BlockingIOError):
                while os.write(full, b"x" * 4096):
                    pass
            p = Pop(srv.clear_port)
            tap.ok(p.login("ann", GOOD).startswith(b"+OK") and p.say("QUIT").startswith(b"+OK"),
                   "standard error is full: mail is served")
            proc.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                proc.wait(PATIENCE)
            tap.ok(proc.returncode == 0, "and SIGTERM ends the server", proc.returncode)
        finally:
            if proc.poll() is None:
                proc.kill()
                proc.wait()
            for fd in (r, w, full):
                os.close(fd)


def main():
    tap = Tap()
    one_day(tap, Stderr, False, [many, full, one_line, whole])
    one_day(tap, Stderr, True, [many, whole])
    one_day(tap, File, True, [many, full, whole])
    one_day(tap, File, False, [many, whole, rotation])
    if can_syslog():
        one_day(tap, Syslog, False, [full, whole, syslog_words, syslog_slow, syslog_restart])
        one_day(tap, Syslog, True, [whole, syslog_words])
    else:
        tap.ok(True, "syslog # SKIP no right to a /dev/log of our own")
    idle(tap)
    no_file(tap)
    at_the_start(tap)
    nobody_reads(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
