#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real Postfix local(8) and mutt work on the same mbox as POP3 sessions that fetch and delete: mail is delivered, mutt
marks messages read (it rewrites their headers in place) and deletes those that are for it. At the end every
message is accounted for: fetched whole and deleted by exactly one session that was told +OK, or deleted by mutt, or
still there; nothing else is there. With --all 500 sessions, and neomutt and alpine in turn with mutt."""
import contextlib
import os
import pwd
import random
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mboxreaders import Alpine, Mutt, Neomutt  # noqa: E402
from pop import Pop  # noqa: E402
from postfix import Postfix  # noqa: E402
from server import SERVICE_USER, Server, Tap  # noqa: E402

SESSIONS = int(os.environ.get("SESSIONS", "500" if os.environ.get("ALL") == "yes" else "30"))
READERS = (Mutt, Neomutt, Alpine) if os.environ.get("ALL") == "yes" else (Mutt,)
SEED = int(os.environ.get("SEED", "20261124"))
ID = re.compile(rb"^Subject: (pop|mutt)-(\d+)\r?$", re.M)


def body(number):
    rnd = random.Random(number)
    lines = [b"body of %d" % number] + [b"x" * rnd.randrange(78) for _ in range(rnd.randrange(120))]
    return b"\r\n".join(lines + [b"From the last line but one of %d" % number, b".", b"end"]) + b"\r\n"


class Sender(threading.Thread):
    """Mail by SMTP, six messages for each session, and more whenever a session found none; every fourth is for mutt."""

    def __init__(self, pf, sessions):
        super().__init__()
        self.pf, self.sessions, self.stop, self.sent, self.problem = pf, sessions, False, {}, ""

    def run(self):
        number = 0
        try:
            while not self.stop:
                if number >= 6 * SESSIONS and not self.sessions.empty:
                    time.sleep(0.05)
                    continue
                number += 1
                kind = "mutt" if number % 4 == 0 else "pop"
                self.pf.send("clerk@example.test", [SERVICE_USER + "@example.test"],
                             b"Subject: %s-%d\r\n\r\n%s" % (kind.encode(), number, body(number)))
                self.sent[number] = kind
                time.sleep(0.05)
        except Exception as e:  # said by the test
            self.problem = repr(e)


class Reader(threading.Thread):
    """Mail programs, one after the other: all messages are seen, those for them are deleted, and the mailbox is written."""

    def __init__(self, programs, sessions):
        super().__init__()
        self.programs, self.sessions, self.stop, self.last = programs, sessions, False, ""
        self.runs = {p.name: 0 for p in programs}

    def once(self, program):
        with self.sessions.turn if program.alone else contextlib.nullcontext():
            status, self.last = program.run()
        self.runs[program.name] += status == 0

    def run(self):
        while not self.stop:
            for program in self.programs:
                if not self.stop:
                    self.once(program)

    def worked(self):
        return all(n > (2 if len(self.runs) == 1 else 1) for n in self.runs.values())


class Sessions:
    def __init__(self, port):
        self.port, self.rnd = port, random.Random(SEED)
        self.fetched, self.problems = {}, []  # number -> how often it was fetched and deleted
        self.whole = self.refused = self.busy = self.reread = self.cut = 0
        self.empty = False  # the last one found no mail
        self.turn = threading.Lock()  # of one that must not meet others in the file

    def one(self):
        with self.turn:
            self.session()
        time.sleep(0.001)  # the lock has no queue

    def session(self):
        p = Pop(self.port)
        try:
            reply = p.login(SERVICE_USER)
            if not reply.startswith(b"+OK"):
                self.refused += 1
                if b"[SYS/TEMP]" not in reply and b"[IN-USE]" not in reply:
                    self.problems.append("login: %r" % reply)
                return
            listed = p.lines("LIST") or []
            self.empty = not listed
            doomed = self.fetch(p, listed)
            if doomed is None:
                self.cut += 1  # mutt changed a message while it was sent: no dot, no QUIT, nothing is deleted
                return
            reply = p.say("QUIT")
            if not listed:
                time.sleep(0.05)  # no mail: the session does not count
                return
            if reply.startswith(b"+OK"):
                self.whole += 1
                for number in doomed:
                    self.fetched[number] = self.fetched.get(number, 0) + 1
            else:
                self.busy += 1
                if b"[SYS/TEMP]" not in reply:
                    self.problems.append("QUIT: %r" % reply)
        finally:
            p.close()

    def fetch(self, p, listed):
        """The numbers of the messages to delete; None: a message broke off."""
        doomed = []
        for line in listed:
            n, size = line.split()
            if self.rnd.random() < 0.3:
                continue
            said = p.say(b"RETR " + n)
            if not said.startswith(b"+OK"):
                self.reread += 1  # mutt removed it meanwhile
                continue
            got = p.rest()
            if got is None:
                return None
            raw = b"".join(x[1:] if x.startswith(b".") else x for x in got)
            number = self.check(raw, int(size), int(said.split()[1]))
            if number and self.rnd.random() < 0.4:
                p.say(b"DELE " + n)
                doomed.append(number)
        return doomed

    def check(self, raw, listed, announced):
        """It has the octets that were announced; they differ from the list only if mutt's fields are in its header."""
        m = ID.search(raw)
        marked = b"\r\nContent-Length: " in raw.split(b"\r\n\r\n")[0]
        if not m or not raw.endswith(b"\r\n\r\n" + body(int(m.group(2)))) or len(raw) != announced or \
                announced != listed and not marked:
            self.problems.append("not a message that was sent, or not all of it (%d octets, announced %d, listed %d): %r ... %r" % (
                len(raw), announced, listed, raw[:300], raw[-60:]))
            return None
        return int(m.group(2)) if m.group(1) == b"pop" else None  # the others are left to mutt


def left(port):
    """The content of the mailbox at the end: number -> how often."""
    out = {}
    with Pop(port) as p:
        p.login(SERVICE_USER)
        for line in p.lines("LIST"):
            raw = b"".join(x[1:] if x.startswith(b".") else x for x in p.lines(b"RETR " + line.split()[0]))
            m = ID.search(raw)
            number = int(m.group(2)) if m and raw.endswith(body(int(m.group(2)))) else -1
            out[number] = out.get(number, 0) + 1
        p.say("QUIT")
    return out


def account(tap, sent, sessions, rest):
    lost = [n for n, kind in sent.items() if n not in rest and n not in sessions.fetched and kind == "pop"]
    by_mutt = [n for n, kind in sent.items() if n not in rest and n not in sessions.fetched and kind == "mutt"]
    twice = [n for n in sent if rest.get(n, 0) + sessions.fetched.get(n, 0) > 1]
    strange = [n for n in list(rest) + list(sessions.fetched) if n not in sent]
    tap.ok(not lost, "no message is lost: %d sent, %d fetched and deleted, %d deleted by mutt, %d left" % (
        len(sent), len(sessions.fetched), len(by_mutt), len(rest)), lost)
    tap.ok(not twice and not strange, "none is there twice, or again after its deletion, or torn", (twice, strange))
    tap.ok(len(by_mutt) > 0 and len(sessions.fetched) > SESSIONS // 4, "mutt and the sessions both worked",
           (len(by_mutt), len(sessions.fetched)))


def main():
    tap = Tap()
    srv = Server()
    spool, programs = srv.path("spool"), []
    os.mkdir(spool)
    os.chmod(spool, 0o1777)
    srv.passwd({SERVICE_USER: "restante"})
    srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                  "storage mail {\n module = mbox\n path = %s/%%n\n locks = fcntl dotlock\n"
                  " lock_wait = 10s\n}\n" % (srv.path("passwd"), spool))
    pf = Postfix({"mydestination": "example.test", "mail_spool_directory": spool,
                  "mailbox_delivery_lock": "fcntl, dotlock", "deliver_lock_attempts": "200", "deliver_lock_delay": "1s"})
    box = os.path.join(spool, SERVICE_USER)
    open(box, "w").close()
    owner = pwd.getpwnam(SERVICE_USER)
    os.chown(box, owner.pw_uid, owner.pw_gid)
    os.chmod(box, 0o600)
    sessions = Sessions(srv.clear_port)
    try:
        srv.start()
        pf.start()
        programs = [program(box) for program in READERS]
        sender, reader = Sender(pf, sessions), Reader(programs, sessions)
        sender.start()
        reader.start()
        try:
            inode = os.stat(box).st_ino
            while sessions.whole < SESSIONS and not sessions.problems and sessions.refused < 20 * SESSIONS:
                sessions.one()
            end = time.monotonic() + 300
            while (len(sessions.fetched) <= SESSIONS // 4 or not reader.worked()) and time.monotonic() < end and not sessions.problems:
                sessions.one()  # the three never run at the same pace: mail may come late, and mutt start slowly
        finally:
            sender.stop = reader.stop = True
            sender.join()
            reader.join()
        pf.wait_empty(300)
        tap.ok(sessions.whole >= SESSIONS and not sessions.problems,
               "%d sessions; %d logins and %d ends met a lock, %d messages had changed under their reader, %d broke off" % (
                   sessions.whole, sessions.refused, sessions.busy, sessions.reread, sessions.cut), "\n".join(sessions.problems[:5]))
        tap.ok(reader.worked() and not sender.problem, "readers ran: %s" % reader.runs, sender.problem + reader.last)
        account(tap, sender.sent, sessions, left(srv.clear_port))
        st = os.stat(box)
        tap.ok(st.st_ino == inode and st.st_uid == owner.pw_uid and st.st_mode & 0o777 == 0o600,
               "the file is the one it was: inode, owner, mode", st)
        tap.ok(not [n for n in os.listdir(spool) if n != SERVICE_USER], "no lock is left", os.listdir(spool))
        tap.ok("error" not in srv.log() and "conflict" not in srv.log(), "nothing to look at in the log", srv.log()[-2000:])
    finally:
        pf.close()
        rc = srv.close()
        for program in programs:
            program.close()
    tap.ok(rc == 0, "the server ended cleanly", rc)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
