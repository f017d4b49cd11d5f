#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Messages that differ from the list when they are fetched: cut, grown, emptied, replaced, written over, damaged by an
I/O error in the middle; between LIST and RETR, while they are sent, and by names that lie about sizes. A difference found
before the reply is corrected, and the message served; one found later ends the connection without the dot. A message that
broke off does not count as retrieved: expire = 0 keeps it, and it blocks nobody - the next session serves it as it is, or
refuses only that one. On maildirs and in mbox files; mysql_damage.py does it to tables."""
import contextlib
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop, session  # noqa: E402
from sections import accounts, store  # noqa: E402
from server import Server, Tap, mboxrd, wait_until  # noqa: E402
from shapes import wire  # noqa: E402
from slowread import SlowPop  # noqa: E402

TEMP = b"-ERR [SYS/TEMP]"
LINE = b"0123456789" * 7 + b"\n"
LARGE = b"Subject: large\n\n" + LINE * 350000  # more than any socket holds
SMALL = b"Subject: small\n\nthe other one\n"
HALF = len(LARGE) // 2


# ---- changes to a file ----

def cut(path):
    os.truncate(path, HALF // 4 * 3)


def empty(path):
    os.truncate(path, 0)


def grow(path):
    with open(path, "ab") as f:
        f.write(b"one line more\n")


def write_over(path):
    """In place, and of the same size."""
    with open(path, "r+b") as f:
        f.write(LARGE.replace(b"0123456789", b"9876543210"))


def replace(path):
    """Puts another file of this name there."""
    with open(path + ".new", "wb") as f:
        f.write(LARGE.replace(b"0", b"o"))
    os.chmod(path + ".new", 0o666)
    os.rename(path + ".new", path)


KINDS = {"cut": cut, "emptied": empty, "grown": grow, "written over": write_over, "replaced": replace}


class BadSector:
    """From now on the server's reads of this file fail, after the first few."""

    def __init__(self, srv, path, skip):
        self.log = srv.path("strace")
        self.proc = subprocess.Popen(["strace", "-f", "-qq", "-o", self.log, "-P", path, "-e", "trace=pread64,read",
                                      "-e", "inject=pread64,read:error=EIO:when=%d+" % skip, "-p", str(srv.proc.pid)],
                                     stderr=subprocess.PIPE)
        tasks = "/proc/%d/task" % srv.proc.pid
        wait_until(lambda: all(self.traced("%s/%s/status" % (tasks, t)) for t in os.listdir(tasks)), 60, "strace to attach")

    @staticmethod
    def traced(path):
        try:
            with open(path) as f:
                return "TracerPid:\t0\n" not in f.read()
        except OSError:
            return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.send_signal(signal.SIGINT)
        self.proc.wait()


# ---- stores ----

class Maildirs:
    module = "maildir"

    @staticmethod
    def put(srv, user, messages):
        srv.maildir(user, messages)

    @staticmethod
    def path(srv, user, k=0):
        for d in ("new", "cur"):
            for name in sorted(os.listdir(srv.path("mail", user, d))):
                if ".M%06dP" % k in name:
                    return srv.path("mail", user, d, name)
        return None

    @staticmethod
    def stored(raw):
        return raw


def ends(srv):
    return srv.log().count("session-end")


def get_in(srv, user, client=Pop):
    """A session of this user. An earlier one that ended without QUIT may still be closing the mailbox."""
    inside = []

    def tried():
        p = client(srv.clear_port)
        answer = p.login(user)
        if answer.startswith(b"+OK"):
            inside.append(p)
        elif not answer.startswith(b"-ERR [IN-USE]"):
            raise RuntimeError("login of %s: %r" % (user, answer))
        else:
            p.say("QUIT")
            p.close()
        return inside

    wait_until(tried, 60, "a mailbox that nobody has")
    return inside[0]


@contextlib.contextmanager
def peek(srv, user, client=Pop):
    """A session that ends without QUIT: nothing is deleted or marked. It returns when the server has noticed the end."""
    with get_in(srv, user, client) as p:
        n = ends(srv)
        yield p
    wait_until(lambda: ends(srv) > n, 60, "the session to end")


@contextlib.contextmanager
def quits(srv, user):
    """A session that ends with QUIT."""
    with get_in(srv, user) as p:
        yield p
        p.say("QUIT")


def texts(p):
    """All messages, as by a client that takes one after another: LIST's size, RETR's, and the text; or the refusal."""
    out = []
    for k in range(int(p.say("STAT").split()[1])):
        size = int(p.say("LIST %d" % (k + 1)).split()[2])
        answer = p.say("RETR %d" % (k + 1))
        if not answer.startswith(b"+OK"):
            out.append((size, answer, None))
            continue
        lines = []
        for line in iter(p.line, b""):
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        else:
            raise RuntimeError("message %d broke off" % (k + 1))
        out.append((size, answer, b"".join(lines)))
    return out


def right(found, *wanted):
    """Whether sizes and texts are those of these messages."""
    return len(found) == len(wanted) and all(
        text == wire(raw) and size == len(text) and answer == b"+OK %d octets\r\n" % len(text)
        for (size, answer, text), raw in zip(found, wanted))


def brief(found):
    return [(size, answer, text and (len(text), text[:40])) for size, answer, text in found]


# ---- while it is sent ----

def broken_off(tap, srv, command, name, user, what):
    """RETR or TOP of a large message that is changed meanwhile; RETR and DELE of others follow at once."""
    Maildirs.put(srv, user, [LARGE, SMALL])
    path = Maildirs.path(srv, user)
    with peek(srv, user, SlowPop) as p:
        stat = p.say("STAT")
        answer = p.begin(command)
        what(path)
        p.send("RETR 2\r\nDELE 1\r\nDELE 2\r\nQUIT")
        _, dot = p.rest()
        tail = p.buf
    tap.ok(stat.startswith(b"+OK 2") and answer.startswith(b"+OK") and not dot and not tail,
           "%s, %s meanwhile: no dot, and nothing after it" % (command, name), (answer, dot, tail[:200]))
    there = Maildirs.path(srv, user, 0) and Maildirs.path(srv, user, 1)
    tap.ok(there is not None, "%s, %s meanwhile: expire = 0 keeps it, and the messages after it" % (command, name))
    if there is None:
        return
    now = open(Maildirs.path(srv, user), "rb").read()
    for turn in ("next", "one after"):
        with peek(srv, user) as p:
            found = texts(p)
        tap.ok(right(found, now, SMALL), "%s, %s meanwhile: the %s session has it as it is" % (command, name, turn), brief(found))
    with quits(srv, user) as p:
        found = texts(p)
    tap.ok(right(found, now, SMALL) and not Maildirs.path(srv, user, 0), "%s, %s: whole, it was retrieved, and went" % (command, name), brief(found))


def bad_sector(tap, srv, user, command):
    """An I/O error in the middle, for as long as the disk is bad."""
    Maildirs.put(srv, user, [SMALL, LARGE, SMALL])
    session(srv, user, "STAT")
    path = Maildirs.path(srv, user, 1)
    with BadSector(srv, path, 4):
        with peek(srv, user, SlowPop) as p:
            answer = p.begin(command, 8)
            _, dot = p.rest()
        tap.ok(answer.startswith(b"+OK") and not dot, "%s, I/O error: no dot" % command, (answer, dot))
        sizes = []
        for turn in (1, 2):
            with peek(srv, user) as p:
                found = texts(p)
                dele = p.say("DELE 2")
                ids = p.lines("UIDL")
                sizes.append([x[0] for x in found])
            tap.ok(len(found) == 3 and right([found[0], found[2]], SMALL, SMALL) and found[1][1].startswith(TEMP) and
                   dele.startswith(TEMP) and len(ids) == 3,
                   "%s, I/O error, session %d after it: the others are served, this one is refused" % (command, turn), (brief(found), dele))
    with quits(srv, user) as p:
        found = texts(p)
    tap.ok(right(found, SMALL, LARGE, SMALL), "%s, I/O error: read again, it is served" % command, brief(found))


# ---- before it is sent ----

CHANGES = {"cut": b"Subject: x\n\nshort", "emptied": b"", "grown": b"Subject: x\n\n" + b"a line\n" * 9000}
BEFORE = b"Subject: x\n\nabcd efgh ijkl\n"


def between(tap, srv, user, name, after):
    """STAT, LIST; then its file changes; RETR announces and sends the message as it is now."""
    Maildirs.put(srv, user, [SMALL, BEFORE, SMALL])
    path = Maildirs.path(srv, user, 1)
    with quits(srv, user) as p:
        p.lines("LIST")
        with open(path, "wb") as f:
            f.write(after)
        top = p.lines("TOP 2 100000")
        answer = p.say("RETR 2")
        got = []
        for line in iter(p.line, b".\r\n"):
            if not line:
                break
            got.append(line)
        got = b"".join(got)
        stat, listed = p.say("STAT").split(), [int(x.split()[1]) for x in p.lines("LIST")]
        found = texts(p)
    tap.ok(answer == b"+OK %d octets\r\n" % len(wire(after)) and got == wire(after), "%s between LIST and RETR: announced and served as it is" % name,
           (answer, len(wire(after)), got[:200]))
    tap.ok(top is not None and b"".join(top).startswith(wire(after)), "%s between LIST and TOP: served" % name, top and top[:5])
    tap.ok(int(stat[2]) == sum(listed) and listed[1] == len(wire(after)) and right(found, SMALL, after, SMALL),
           "%s between LIST and RETR: STAT and LIST agree afterwards" % name, (stat, listed))


def same_size(tap, srv, user):
    """Other lines in a file of the same size: noticed at the end, and known to the next session."""
    after = BEFORE.replace(b" ", b"\n")
    Maildirs.put(srv, user, [BEFORE, SMALL])
    session(srv, user, "STAT")
    with open(Maildirs.path(srv, user), "wb") as f:
        f.write(after)
    with peek(srv, user) as p:
        answer, lines = p.say("RETR 1"), []
        for line in iter(p.line, b""):
            lines.append(line)
    tap.ok(b".\r\n" not in lines, "other octets in a file of the same size: no dot", (answer, lines))
    with quits(srv, user) as p:
        found = texts(p)
    tap.ok(right(found, after, SMALL), "other octets in a file of the same size: the next session has it as it is", brief(found))


def lying_names(tap, srv):
    """,S= and ,W= as another program wrote them, wrong: LIST may believe them, RETR does not."""
    body = b"Subject: named\n\nthree\nmore\nlines\n"
    stored, octets = len(body), len(wire(body))
    lies = [(stored, octets + 3), (stored, octets - 2), (stored + 9, octets + 9), (stored - 9, octets - 9), (1, 1), (stored, stored), (stored, octets)]
    base = srv.maildir("names", [])
    for k, (s, w) in enumerate(lies):
        with open(os.path.join(base, "new", "%d.M%06dP1.test,S=%d,W=%d" % (1700000000 + k, k, s, w)), "wb") as f:
            f.write(body)
    srv.give(srv.path("mail"))
    with peek(srv, "names") as p:
        first = p.say("RETR 2")
        while p.line() not in (b".\r\n", b""):
            pass
        found = [(octets, answer, text) for _, answer, text in texts(p)]
        listed = [int(x.split()[1]) for x in p.lines("LIST")]
    tap.ok(first == b"+OK %d octets\r\n" % octets and right(found, *[body] * len(lies)), "lying names: each RETR announces what it sends", brief(found))
    tap.ok(listed == [octets] * len(lies), "lying names: LIST knows it then", listed)
    with quits(srv, "names") as p:
        listed = [int(x.split()[1]) for x in p.lines("LIST")]
        tops = [b"".join(p.lines("TOP %d 99" % (k + 1))) for k in range(len(lies))]
    tap.ok(listed == [octets] * len(lies) and tops == [wire(body)] * len(lies), "lying names: and so does the next session", listed)
    base = srv.maildir("listed", [])
    for k, (s, w) in enumerate(lies):
        with open(os.path.join(base, "new", "%d.M%06dP1.test,S=%d,W=%d" % (1700000000 + k, k, s, w)), "wb") as f:
            f.write(body)
    srv.give(srv.path("mail"))
    session(srv, "listed", "STAT")  # the ledger has learnt the sizes in the names
    with quits(srv, "listed") as p:
        found = [(octets, answer, text) for _, answer, text in texts(p)]
    tap.ok(right(found, *[body] * len(lies)), "lying names that an earlier session listed: each RETR announces what it sends", brief(found))


# ---- mbox ----

def another_box(tap, srv, user):
    """A program puts a new file in its place: the message that was begun stays incomplete, and no part of the new file is mixed
    into it or deleted."""
    other = LARGE.replace(b"0123456789", b"9876543210")
    path = srv.mbox(user, [LARGE, SMALL])
    new = open(path, "rb").read().replace(LARGE, other)
    with get_in(srv, user, SlowPop) as p:
        p.begin("RETR 1")
        with open(path + ".new", "wb") as f:
            f.write(new)
        os.chmod(path + ".new", 0o666)
        os.rename(path + ".new", path)
        got, dot = p.rest()
    with peek(srv, user) as p:
        found = texts(p)
    tap.ok(not dot and wire(LARGE).startswith(got) and right(found, other, SMALL),
           "mbox, another file in its place meanwhile: no dot, nothing of the new message in it, which stays", (len(got), brief(found)))


def mbox(tap, srv):
    def put(user):
        return srv.mbox(user, [LARGE, SMALL])

    def cut_box(path):
        os.truncate(path, HALF)

    def headers(path):
        """As mail readers do: one more line in each header, and the rest moves."""
        data = open(path, "rb").read().replace(b"Subject: ", b"Status: RO\nSubject: ")
        with open(path, "r+b") as f:
            f.write(data)

    def other_text(path):
        """Another text of the same size, in place."""
        data = open(path, "rb").read().replace(b"0123456789", b"9876543210")
        with open(path, "r+b") as f:
            f.write(data)

    for k, (name, what) in enumerate({"cut": cut_box, "written over": other_text, "emptied": empty, "its headers rewritten": headers}.items()):
        user = "mbox%d" % k
        path = put(user)
        with peek(srv, user, SlowPop) as p:
            answer = p.begin("RETR 1")
            what(path)
            p.send("DELE 1\r\nQUIT")
            _, dot = p.rest()
            tail = p.buf
        tap.ok(answer.startswith(b"+OK") and not dot and not tail, "mbox, %s meanwhile: no dot" % name, (answer, dot, tail[:100]))
        with peek(srv, user) as p:
            found = texts(p)
        wanted = {"cut": 1, "emptied": 0}.get(name, 2)
        tap.ok(len(found) == wanted and all(t is not None and s == len(t) and a == b"+OK %d octets\r\n" % s for s, a, t in found),
               "mbox, %s meanwhile: the next session has what is there" % name, brief(found))
    path = put("mboxh")
    with peek(srv, "mboxh") as p:
        p.lines("LIST")
        headers(path)
        found = [(len(t or b""), a, t) for _, a, t in texts(p)]
        stat, listed = p.say("STAT").split(), [int(x.split()[1]) for x in p.lines("LIST")]
    tap.ok(right(found, *[b"Status: RO\n" + x for x in (LARGE, SMALL)]) and int(stat[2]) == sum(listed) and
           listed == [len(x[2]) for x in found], "mbox, headers rewritten between LIST and RETR: announced and served as they are",
           (brief(found), stat, listed))
    path = put("mboxe")
    session(srv, "mboxe", "STAT")
    with BadSector(srv, path, 8):
        with peek(srv, "mboxe", SlowPop) as p:
            answer = p.begin("RETR 1", 8)
            _, dot = p.rest()
        with peek(srv, "mboxe") as p:
            again, dele = p.say("RETR 1"), p.say("DELE 1")
    tap.ok(answer.startswith(b"+OK") and not dot and again.startswith(TEMP) and dele.startswith(TEMP),
           "mbox, I/O error: no dot, then it is refused", (answer, dot, again, dele))
    with quits(srv, "mboxe") as p:
        found = texts(p)
    tap.ok(right(found, LARGE, SMALL), "mbox, I/O error: read again, it is served", brief(found))


def main():
    tap = Tap()
    with Server() as srv:
        users = ["%s%d" % (c, k) for c in ("retr", "top", "between", "mbox") for k in range(len(KINDS))]
        more = ["same", "names", "listed", "badretr", "badtop", "mboxh", "mboxe", "mboxr"]
        boxes = [u for u in users + more if u.startswith("mbox")]
        srv.passwd({u: "restante" for u in users + more}, **{u: "storage=files" for u in boxes})
        srv.mkdir("mail")
        srv.configure(accounts(srv) + store(srv, "maildir") + store(srv, "mbox", name="files"), expire=0)
        srv.start()
        for k, (name, what) in enumerate(KINDS.items()):
            broken_off(tap, srv, "RETR 1", name, "retr%d" % k, what)
            broken_off(tap, srv, "TOP 1 99999999", name, "top%d" % k, what)
        for k, (name, after) in enumerate(CHANGES.items()):
            between(tap, srv, "between%d" % k, name, after)
        same_size(tap, srv, "same")
        lying_names(tap, srv)
        bad_sector(tap, srv, "badretr", "RETR 2")
        bad_sector(tap, srv, "badtop", "TOP 2 99999999")
        mbox(tap, srv)
        another_box(tap, srv, "mboxr")
        srv.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
