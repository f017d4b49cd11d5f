#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restante-deliver as mail servers and people call it: with the server's LMTP socket, and without a server. Each
case checks an exit code of sysexits.h, a text on standard error, and the maildir afterwards."""
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server, Tap, free_port, wait_until  # noqa: E402

DOMAIN = "example.test"
OK, USAGE, DATAERR, NOINPUT, NOUSER, NOHOST, UNAVAILABLE, TEMPFAIL, CONFIG = 0, 64, 65, 66, 67, 68, 69, 75, 78
MAIL = b"From: a@example.org\r\nSubject: one\r\n\r\nHello,\r\n.dot\r\n..two\r\n\r\nend\r\n"
USERS = ["ann", "ben", "o'hara", "john doe"]


class Rig:
    def __init__(self):
        self.server = s = Server()
        s.passwd({"%s@%s" % (u, DOMAIN): "restante" for u in USERS})
        for d in ("mail", "sock"):
            os.mkdir(s.path(d), 0o755)
            s.give(s.path(d))
        self.socket = s.path("sock", "lmtp")
        self.seen = set()
        self.configure()

    def configure(self, listener=None, more="", **settings):
        s = self.server
        s.extra_listeners = listener if listener is not None else (
            "listener lmtp {\n protocol = lmtp\n path = %s\n mode = 0666\n}\n" % self.socket)
        return s.configure(
            "auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n domains = %s\n}\n"
            "storage mail {\n module = maildir\n path = %s/%%n\n}\n%s" % (s.path("passwd"), DOMAIN, s.path("mail"), more),
            **dict({"default_domain": DOMAIN, "max_per_address": "0"}, **settings))

    def cmd(self, *args):
        return [self.server.bin("restante-deliver"), "-c", self.server.path("restante.conf"), *args]

    def run(self, *args, raw=MAIL, cmd=None, **more):
        return subprocess.run(cmd or self.cmd(*args), input=raw, capture_output=True, timeout=120, **more)

    def new(self):
        """The messages that came since the last call, by user."""
        out = {}
        for base, _, files in os.walk(self.server.path("mail")):
            if os.path.basename(base) not in ("new", "cur"):
                continue
            for name in files:
                path = os.path.join(base, name)
                if path not in self.seen:
                    self.seen.add(path)
                    with open(path, "rb") as f:
                        out.setdefault(os.path.basename(os.path.dirname(base)), []).append(f.read())
        return out

    def left(self):
        """The files in tmp/: mail that is half delivered."""
        return [n for base, _, files in os.walk(self.server.path("mail")) if os.path.basename(base) == "tmp" for n in files]


def sender_of(raw):
    m = re.match(rb"Return-Path: <([^\n]*)>\r?\n", raw)
    return m.group(1) if m else None


def body(raw):
    """The part that we did not add: from the first line that was sent."""
    at = raw.find(b"From: a@example.org")
    return raw[at:].replace(b"\r\n", b"\n")


class Cases:
    def __init__(self, tap, rig, how):
        self.tap, self.rig, self.how = tap, rig, how

    def case(self, name, args, code, says=b"", gets=None, sender=None, raw=MAIL, want=None):
        """gets: user -> how many messages; says: a pattern for standard error ("" = it is empty)."""
        done = self.rig.run(*args, raw=raw)
        got = self.rig.new()
        good = done.returncode == code and not done.stdout
        good = good and (re.search(says, done.stderr) if says else not done.stderr)
        good = good and {u: len(m) for u, m in got.items()} == (gets or {})
        for m in sum(got.values(), []):
            good = good and (sender is None or sender_of(m) == sender)
            good = good and body(m) == body(want if want is not None else raw)
        return self.tap.ok(good, "%s: %s" % (self.how, name),
                           "exit %d, %r\n%.1500r" % (done.returncode, done.stderr, got))

    def envelope(self):
        ann = "ann@" + DOMAIN
        one = {"ann": 1}
        self.case("a message", ["-a", ann, "-f", "a@example.org"], OK, gets=one, sender=b"a@example.org")
        self.case("-f '' is the null reverse-path", ["-a", ann, "-f", ""], OK, gets=one, sender=b"")
        self.case("-f <> is, too", ["-a", ann, "-f", "<>"], OK, gets=one, sender=b"")
        self.case("and MAILER-DAEMON", ["-a", ann, "-f", "MAILER-DAEMON"], OK, gets=one, sender=b"")
        self.case("without -f there is none", ["-a", ann], OK, gets=one, sender=b"")
        self.case("angle brackets", ["-a", "<%s>" % ann, "-f", "<b@example.org>"], OK, gets=one, sender=b"b@example.org")
        self.case("without a domain", ["-a", "ann"], OK, gets=one)
        self.case("a tag", ["-a", "ann+lists@" + DOMAIN], OK, gets=one)
        self.case("a quoted recipient and sender", ["-a", '"john doe"@' + DOMAIN, "-f", '"a b"@example.org'], OK,
                  gets={"john doe": 1}, sender=b'"a b"@example.org')
        self.case("the same, as accounts have it", ["-a", "john doe@" + DOMAIN, "-f", "a b@example.org"], OK,
                  gets={"john doe": 1}, sender=b'"a b"@example.org')
        self.case("a long sender", ["-a", ann, "-f", "x" * 200 + "@example.org"], OK, gets=one, sender=b"x" * 200 + b"@example.org")
        self.case("a sender whose domain is none", ["-a", ann, "-f", "s@x..test"], OK, gets=one, sender=b"s@x..test")
        self.case("a recipient whose domain is none", ["-a", "ann@x..test"], NOUSER, rb"^5\.1\.3 .*empty label")
        self.case("an apostrophe", ["-a", "o'hara@" + DOMAIN], OK, gets={"o'hara": 1})
        line = b"From c@example.org  Tue Nov 24 12:00:00 2026\n"
        self.case("a line From is dropped, and names the sender", ["-a", ann], OK, gets=one, sender=b"c@example.org",
                  raw=line + MAIL, want=MAIL)
        self.case("-f goes before it", ["-a", ann, "-f", "d@example.org"], OK, gets=one, sender=b"d@example.org",
                  raw=line + MAIL, want=MAIL)
        self.case("From MAILER-DAEMON", ["-a", ann], OK, gets=one, sender=b"", raw=line.replace(b"c@example.org", b"MAILER-DAEMON")
                  + MAIL, want=MAIL)
        self.case("a header field From is none", ["-a", ann], OK, gets=one, sender=b"", raw=MAIL)
        self.case("two recipients", ["-a", ann, "-a", "ben@" + DOMAIN], OK, gets={"ann": 1, "ben": 1})
        self.case("the same one twice", ["-a", ann, "-a", ann], OK, gets=one)
        self.case("an address of UTF-8", ["-a", ann, "-f", "jürgen@example.org"], OK, gets=one, sender="jürgen@example.org".encode())

    def content(self):
        ann = ["-a", "ann@" + DOMAIN]
        one = {"ann": 1}
        unix = MAIL.replace(b"\r\n", b"\n")
        self.case("lines that end in LF", ann, OK, gets=one, raw=unix)
        self.case("no line end at the end", ann, OK, gets=one, raw=unix[:-1], want=unix)
        self.case("CR at the very end", ann, OK, gets=one, raw=MAIL[:-1], want=MAIL)
        self.case("a dot alone", ann, OK, gets=one, raw=unix + b".\n.\nmore\n")
        self.case("a lone CR: the server's own refusal", ann, DATAERR, rb"^5\.6\.0 .*CR without LF", raw=MAIL + b"a\rb\r\n")
        self.case("NUL likewise", ann, DATAERR, rb"^5\.6\.0 .*octet of value 0", raw=MAIL + b"a\0b\r\n")
        self.case("8-bit", ann, OK, gets=one, raw=MAIL + "Grüße\r\n".encode())
        self.case("only a body", ann, OK, gets=one, raw=b"\nFrom: a@example.org\n")
        self.case("larger than any buffer", ann, OK, gets=one, raw=MAIL + b"x" * 70 + b"\r\n" + (b"0123456789" * 7 + b"\r\n") * 40000)

    def refusals(self):
        ann = "ann@" + DOMAIN
        self.case("unknown user", ["-a", "nobody@" + DOMAIN], NOUSER, rb"^5\.1\.1 <nobody@example\.test> there is no such mailbox")
        self.case("unknown domain", ["-a", "ann@elsewhere.example"], NOHOST, rb"^5\.1\.2 .*not taken here")
        self.case("an impossible recipient", ["-a", "x" * 400], NOUSER, rb"^5\.1\.3 .*too long")
        self.case("a control character in it", ["-a", "ann\n@" + DOMAIN], NOUSER, rb"^5\.1\.3 .*control")
        self.case("an impossible sender", ["-a", ann, "-f", "a\nRCPT TO:<ben>"], DATAERR, rb"^5\.1\.7 ")
        self.case("a sender the server refuses", ["-a", ann, "-f", "a@b c"], DATAERR, rb"^5\.1\.7 ")
        self.case("one of two is unknown: nobody gets it", ["-a", ann, "-a", "nobody@" + DOMAIN], NOUSER,
                  rb"^5\.1\.1 <nobody@[^\n]*\n5\.3\.0 [^\n]*nothing was delivered")
        self.case("larger than max_size, from a pipe", ["-a", ann], UNAVAILABLE, rb"^5\.3\.4 .*larger", raw=MAIL + b"y" * 70 + b"\r\n" +
                  (b"z" * 70 + b"\r\n") * 150000)
        self.case("no recipient", [], USAGE, rb"^4\.3\.5 .*a recipient is needed")
        self.case("an argument too many", ["-a", ann, "extra"], USAGE, rb"^4\.3\.5 .*'extra' is not an option")
        self.case("an unknown option", ["-a", ann, "-Q"], USAGE, rb"^4\.3\.5 .*'-Q' is not an option")
        self.case("no message", ["-a", ann], NOINPUT, rb"^5\.6\.0 .*no message", raw=b"")
        self.case("only a line From", ["-a", ann], NOINPUT, rb"^5\.6\.0 .*no message", raw=b"From c@example.org Tue Nov 24\n")

    def size_of_a_file(self):
        """A file's size is known before: it is refused at MAIL."""
        rig, path = self.rig, self.rig.server.path("large")
        with open(path, "wb") as f:
            f.write(MAIL)
            f.truncate(64 << 20)
        with open(path, "rb") as f:
            done = subprocess.run(rig.cmd("-a", "ann@" + DOMAIN), stdin=f, capture_output=True, timeout=120)
            at = os.lseek(f.fileno(), 0, os.SEEK_CUR)
        self.tap.ok(done.returncode == UNAVAILABLE and b"5.3.4" in done.stderr and at <= 65536 and not rig.new(),
                    "%s: a large file is refused before it is read" % self.how, "%d %r at %d" % (done.returncode, done.stderr, at))

    def signalled(self, sig, name):
        """In the middle of the message: nothing is delivered, and nothing is left half written."""
        rig = self.rig
        p = subprocess.Popen(rig.cmd("-a", "ann@" + DOMAIN), stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(MAIL + b"more\r\n" * 30000)  # more than the pipe and the rings hold
        p.stdin.flush()
        wait_until(rig.left, 60, "a file in tmp/")
        p.send_signal(sig)
        _, err = p.communicate(timeout=60)
        if sig == signal.SIGKILL:
            good = p.returncode == -sig
        else:
            good = p.returncode == TEMPFAIL and err.startswith(b"4.3.0 ") and b"signal" in err
        if sig == signal.SIGKILL and self.how == "direct":
            left = 1  # only the store's own sweep, hours later, will remove it
        else:
            wait_until(lambda: not rig.left(), 60, "tmp/ to be empty")
            left = 0
        self.tap.ok(good and not rig.new() and len(rig.left()) == left, "%s: %s while the message comes" % (self.how, name),
                    "%d %r %r" % (p.returncode, err, rig.left()))
        for base, _, files in os.walk(rig.server.path("mail")):
            if os.path.basename(base) == "tmp":
                for n in files:
                    os.unlink(os.path.join(base, n))

    def memory(self):
        """A message of 2 MB and one of 40 MB need the same memory: max_size is raised for that."""
        def peak(lines):
            p = subprocess.Popen(self.rig.cmd("-a", "ben@" + DOMAIN), stdin=subprocess.PIPE, stderr=subprocess.PIPE)
            feed = threading.Thread(target=self.feed, args=(p.stdin, lines))
            feed.start()
            err = p.stderr.read()
            feed.join()
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            return p.returncode, usage.ru_maxrss, err
        one, other = peak(30000), peak(600000)
        self.tap.note("%s: peak memory %d KiB with 2 MB, %d KiB with 40 MB" % (self.how, one[1], other[1]))
        self.tap.ok(one[0] == other[0] == 0 and other[1] - one[1] < 12288, "%s: memory does not grow with the message" % self.how,
                    "%r %r" % (one, other))
        self.rig.new()

    @staticmethod
    def feed(f, lines):
        try:
            f.write(MAIL)
            for _ in range(lines // 1000):
                f.write((b"m" * 66 + b"\r\n") * 1000)
            f.close()
        except BrokenPipeError:
            pass


LIMITS = "delivery {\n max_size = %s\n}\n"


def with_server(tap, rig):
    rig.configure(more=LIMITS % "10m")
    rig.server.start()
    c = Cases(tap, rig, "server")
    c.envelope()
    c.content()
    c.refusals()
    c.size_of_a_file()
    c.signalled(signal.SIGTERM, "SIGTERM")
    c.signalled(signal.SIGKILL, "SIGKILL")
    environment(tap, rig)
    strangers(tap, rig)
    # the file is being changed: a server that runs goes on
    with open(rig.server.path("restante.conf"), "a") as f:
        f.write("no_such_setting = 1\n")
    c.case("a file with an error, a server that runs", ["-a", "ann@" + DOMAIN], OK, gets={"ann": 1})
    rig.configure(more=LIMITS % "100m")
    rig.server.ctl("reload")
    c.memory()
    tap.ok(rig.server.stop() == 0, "the server ends well", rig.server.log()[-2000:])
    return c


def environment(tap, rig):
    for sender, want in (("e@example.org", b"e@example.org"), ("", b""), (None, b"")):
        env = dict(os.environ, RECIPIENT="ann@" + DOMAIN, **({} if sender is None else {"SENDER": sender}))
        done = rig.run("-e", env=env)
        got = rig.new().get("ann", [])
        tap.ok(done.returncode == OK and len(got) == 1 and sender_of(got[0]) == want, "-e with SENDER=%s" % sender, done)
    done = rig.run("-e", env={k: v for k, v in os.environ.items() if k != "RECIPIENT"})
    tap.ok(done.returncode == USAGE and b"no RECIPIENT" in done.stderr and not rig.new(), "-e without RECIPIENT", done)


def strangers(tap, rig):
    """As another user: the socket is for all, the file is not; and as one who may not even use the socket."""
    if os.geteuid() != 0:
        return
    c = Cases(tap, rig, "server, as daemon")
    conf = rig.server.path("restante.conf")
    os.chmod(conf, 0o600)
    as_daemon = {"user": "daemon", "group": "daemon", "extra_groups": []}
    done = rig.run(cmd=[rig.server.bin("restante-deliver"), "-s", rig.socket, "-a", "ann@" + DOMAIN], **as_daemon)
    tap.ok(done.returncode == OK and rig.new().keys() == {"ann"}, "%s: -s needs no configuration" % c.how, done)
    done = rig.run("-a", "ann@" + DOMAIN, **as_daemon)
    tap.ok(done.returncode == CONFIG and done.stderr.startswith(b"4.3.5 ") and b"Permission denied" in done.stderr and not rig.new(),
           "%s: a configuration that may not be read is said" % c.how, done)
    os.chmod(rig.socket, 0o600)
    done = rig.run(cmd=[rig.server.bin("restante-deliver"), "-s", rig.socket, "-a", "ann@" + DOMAIN], **as_daemon)
    tap.ok(done.returncode == TEMPFAIL and done.stderr.startswith(b"4.4.1 ") and b"Permission denied" in done.stderr and not rig.new(),
           "%s: a socket that may not be used is said" % c.how, done)
    os.chmod(rig.socket, 0o666)
    os.chmod(conf, 0o644)


def without_server(tap, rig):
    rig.configure(more=LIMITS % "10m")
    c = Cases(tap, rig, "direct")
    c.envelope()
    c.content()
    c.refusals()
    c.size_of_a_file()
    c.signalled(signal.SIGTERM, "SIGTERM")
    c.signalled(signal.SIGKILL, "SIGKILL")
    rig.configure(more=LIMITS % "100m")
    c.memory()
    rig.configure(listener="")
    c.case("no LMTP listener at all", ["-a", "ann@" + DOMAIN], OK, gets={"ann": 1})
    rig.configure(more="no_such_setting = 1\nnor_this = 2\n")
    c.case("a configuration with errors", ["-a", "ann@" + DOMAIN], CONFIG,
           rb"^4\.3\.5 restante-deliver: \S+restante\.conf:\d+:\d+: [^\n]*no_such_setting[^\n]*\n4\.3\.5 [^\n]*nor_this[^\n]*\n4\.3\.5 ")
    rig.configure()
    if os.geteuid() == 0:
        pw = __import__("pwd").getpwnam("nobody")
        files = [os.path.join(b, n) for b, _, names in os.walk(rig.server.path("mail", "ann")) for n in names]
        tap.ok(files and all(os.stat(f).st_uid == pw.pw_uid for f in files), "direct: root becomes the server's user")
        done = rig.run("-a", "ann@" + DOMAIN, user="nobody", group=pw.pw_gid, extra_groups=[])
        tap.ok(done.returncode == OK and rig.new().keys() == {"ann"}, "direct: the server's user may", done)
        done = rig.run("-a", "ann@" + DOMAIN, user="daemon", group="daemon", extra_groups=[])
        tap.ok(done.returncode == TEMPFAIL and re.search(rb"^4\.3\.0 .*no server answers.*only nobody", done.stderr) and not rig.new(),
               "direct: another user may not, and mail waits", done)
    done = rig.run(cmd=[rig.server.bin("restante-deliver"), "-s", rig.socket, "-a", "ann@" + DOMAIN])
    tap.ok(done.returncode == TEMPFAIL and done.stderr.startswith(b"4.4.1 ") and not rig.new(),
           "direct: -s without -c goes nowhere else", done)


def backends(tap, rig):
    """A store that cannot: the same code both ways."""
    for how in ("server", "direct"):
        c = Cases(tap, rig, how)
        ann = ["-a", "ann@" + DOMAIN]
        rig.configure()
        if how == "server":
            rig.server.start()
        box = rig.server.path("mail", "ann")
        away = rig.server.path("away")
        os.rename(box, away)
        with open(box, "w"):
            pass
        rig.server.give(box)
        c.case("a maildir that is a file: try again", ann, TEMPFAIL, rb"^4\.3\.\d <ann@example\.test> ")
        os.unlink(box)
        os.rename(away, box)
        c.case("and it goes on", ann, OK, gets={"ann": 1})
        if how == "server":
            rig.server.stop()


def odd_servers(tap, rig):
    """The peer is no LMTP server, or goes away."""
    path = rig.server.path("sock", "odd")
    for name, script, says in (("one that speaks POP3", b"+OK hello\r\n", rb"^4\.5\.0 .*no answer of an LMTP server"),
                               ("one that hangs up", b"", rb"^4\.4\.2 .*was lost"),
                               ("one that is too busy", b"421 4.3.2 too many connections\r\n", rb"^4\.3\.2 too many"),
                               ("one that goes at the end", b"220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n", rb"^4\.4\.2 .*was lost")):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            s.listen()
            t = threading.Thread(target=odd_server, args=(s, script))
            t.start()
            done = rig.run(cmd=[rig.server.bin("restante-deliver"), "-s", path, "-a", "ann@" + DOMAIN])
            t.join()
        os.unlink(path)
        tap.ok(done.returncode == TEMPFAIL and re.search(says, done.stderr), "a server that is none: " + name, done)


def odd_server(s, script):
    """Each line of the script is the answer to one line; the first one is the greeting."""
    conn, _ = s.accept()
    f = conn.makefile("rb")
    with conn:
        for i, line in enumerate(script.splitlines(True)):
            if i:
                f.readline()
            conn.sendall(line)
        if script.endswith(b"go\r\n"):
            while f.readline() not in (b".\r\n", b""):
                pass


def by_tcp(tap, rig):
    port = free_port()
    rig.configure(listener="listener lmtp {\n protocol = lmtp\n address = 127.0.0.1\n port = %d\n}\n" % port)
    rig.server.start()
    before = rig.server.log().count("listener=lmtp")
    c = Cases(tap, rig, "TCP")
    c.case("a listener on TCP only", ["-a", "ann@" + DOMAIN], OK, gets={"ann": 1})
    tap.ok(rig.server.said("listener=lmtp") and rig.server.log().count("listener=lmtp") > before, "TCP: the server took it")
    rig.server.stop()


def main():
    tap = Tap()
    rig = Rig()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    t0 = time.monotonic()
    try:
        with_server(tap, rig)
        without_server(tap, rig)
        backends(tap, rig)
        odd_servers(tap, rig)
        by_tcp(tap, rig)
    finally:
        rig.server.close()
    tap.note("%.0f s" % (time.monotonic() - t0))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
