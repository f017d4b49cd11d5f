#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mboxes as sites have them: odd files are served as far as they are sound and are not changed, locks of other
programs, layouts, another reader's headers, twins, parts that are not read again, unsuitable file systems."""
import fcntl
import os
import re
import shutil
import smtplib
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
from pop import PATIENCE, Pop  # noqa: E402
from server import Server, Tap, free_port, mboxrd, wait_until  # noqa: E402
from store import Store, fnv  # noqa: E402

FROM = b"From a@example.org Mon Jan  1 00:00:00 2024\n"
GOOD = FROM + b"Subject: good\n\nthe good one\n\n"
GOOD_WIRE = b"Subject: good\r\n\r\nthe good one\r\n"
BARE = b"Subject: bare\n\nx\n\n"
BARE_WIRE = b"Subject: bare\r\n\r\nx\r\n"
SENTENCES = (b"From now on:\nall is well\n\nFrom Monday to Friday, from Jan to Mar, we are open: Mon to Fri 9:00\nand closed\n\n"
             b"From -\nhere on\n\nFrom a@x.test\nhttp://x.test/\n")
SECTIONS = ("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
            "storage mail {\n module = mbox\n path = %s\n%s\n}\n")

# file, messages as served, words that the log must have
ODD = {
    "junk": (b"junk\n\n" + GOOD, [GOOD_WIRE], "6 bytes before the first From_ line"),
    "cut": (GOOD + FROM + b"Subject: cut\n\nthe end is mis", [GOOD_WIRE, b"Subject: cut\r\n\r\nthe end is mis\r\n"],
            "may be cut off"),
    "nuls": (GOOD + b"\0" * 600 + b"\n\n" + GOOD, [GOOD_WIRE + b"\r\n" + b"\0" * 600 + b"\r\n", GOOD_WIRE], "600 NUL bytes"),
    "crlf": (GOOD.replace(b"\n", b"\r\n") * 2, [GOOD_WIRE] * 2, "end in CRLF"),
    "liar": (FROM + b"Content-Length: 5\nSubject: x\n\nlonger than that\n\n" + GOOD + FROM + b"Content-Length: 99999\n\nx\n\n" + GOOD,
             [b"Content-Length: 5\r\nSubject: x\r\n\r\nlonger than that\r\n", GOOD_WIRE,
              b"Content-Length: 99999\r\n\r\nx\r\n", GOOD_WIRE], "2 messages with a Content-Length that is not theirs"),
    "fromless": (FROM + b"\nFrom here on it is text.\n\nFrom me, too\n\n" + GOOD,
                 [b"\r\nFrom here on it is text.\r\n\r\nFrom me, too\r\n", GOOD_WIRE], None),
    "empty": (b"", [], None),
    "blanks": (b"\n\n", [], None),
    # From_ lines as programs write them
    "nosender": (GOOD + GOOD.replace(b"a@example.org", b""), [GOOD_WIRE] * 2, None),
    "german": (GOOD.replace(b"Mon Jan  1", b"Do Mai  7") * 2, [GOOD_WIRE] * 2, None),
    "french": (GOOD.replace(b"Mon Jan  1", "jeu. f\u00e9vr.  7".encode()) * 2, [GOOD_WIRE] * 2, None),
    "bare": (b"From \n" + BARE + b"From -\n" + BARE + b"From a@x.test\r\n" + BARE, [BARE_WIRE] * 3, None),
    "long": (GOOD.replace(b"a@", b"a" * 900 + b"@") * 2, [GOOD_WIRE] * 2, None),
    # and text that looks like some
    "sentence": (FROM + b"\n" + SENTENCES + b"\n" + GOOD, [b"\r\n" + SENTENCES.replace(b"\n", b"\r\n"), GOOD_WIRE], None),
    "unseparated": (GOOD[:-1] + GOOD, [GOOD_WIRE + FROM.replace(b"\n", b"\r\n") + GOOD_WIRE], "1 From_ lines with no empty line"),
}
# what is left of some without their first message, where that does not begin with "From a@"
REST = {"nosender": GOOD.replace(b"a@example.org", b""), "bare": b"From -\n" + BARE + b"From a@x.test\r\n" + BARE,
        "long": GOOD.replace(b"a@", b"a" * 900 + b"@"), "sentence": GOOD}
# no mbox: nothing in it is a message
NONE = {
    "nofrom": b"no From_ line\n\nanywhere\n",
    "sentences": b"From now on it is text.\n\nFrom me, too\n",
    "zeroes": b"\0" * 600,
    "late": b"\n\nSubject: x\n\nno From_ line\n",
}


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(srv, name, data):
    with open(srv.path("mail", name), "wb") as f:
        f.write(data)
    srv.give(srv.path("mail", name))


def fetch(p):
    """All messages as they went over the wire."""
    return [b"".join(x[1:] if x.startswith(b".") else x for x in p.lines("RETR %d" % (k + 1)))
            for k in range(len(p.lines("LIST")))]


def uidls(p):
    return [x.split()[1] for x in p.lines("UIDL")]


def session(srv, name, delete=()):
    """One session: (messages, unique-ids, answer to QUIT)."""
    with Pop(srv.clear_port) as p:
        reply = p.login(name)
        if not reply.startswith(b"+OK"):
            return None, None, reply
        got, ids = fetch(p), uidls(p)
        for k in delete:
            p.say("DELE %d" % k)
        return got, ids, p.say("QUIT")


# ---- odd files ----

def odd(tap, srv):
    for name, (data, served, word) in ODD.items():
        write(srv, name, data)
        got, _, _ = session(srv, name)
        tap.ok(got == served, "%s: served as far as it is sound (%d messages)" % (name, len(served)), got)
        if word:
            tap.ok(srv.said("mail/%s' is odd" % name) and word in srv.log(), "%s: named in the log" % name, srv.log()[-600:])
        tap.ok(read(srv.path("mail", name)) == data, "%s: and left as it is" % name)
        if not served:
            continue
        # without its first message everything else is still there
        _, ids, reply = session(srv, name, [1])
        got, after, now = session(srv, name)
        if name in REST:
            cut = REST[name]
        elif len(served) > 1:
            cut = data.replace(data[data.index(b"From "):data.index(b"From a@", data.index(b"From ") + 5)], b"", 1)
        else:
            cut = data[:data.index(b"From ")]
        if cut.strip() and len(served) == 1:  # what is left is no mbox any more
            tap.ok(now.startswith(b"-ERR [SYS/PERM]"), "%s: and then nothing but text is left: refused" % name, now)
            got, after = [], []
        tap.ok(reply.startswith(b"+OK") and got == served[1:] and after == ids[1:] and read(srv.path("mail", name)) == cut,
               "%s: a deletion takes that message and nothing else" % name, (reply, got, read(srv.path("mail", name))))
    for name, data in NONE.items():
        write(srv, name, data)
        reply = session(srv, name)[2]
        tap.ok(reply.startswith(b"-ERR [SYS/PERM]") and srv.said("mail/%s' holds %d bytes and no From_ line" % (name, len(data))) and
               read(srv.path("mail", name)) == data, "%s: refused rather than shown as empty, and left as it is" % name, reply)
    for name, make in (("dir", os.mkdir), ("fifo", os.mkfifo), ("link", lambda p: os.symlink("/etc/passwd", p))):
        make(srv.path("mail", name))
        srv.give(srv.path("mail", name)) if name != "link" else None
        reply = session(srv, name)[2]
        tap.ok(reply.startswith(b"-ERR [SYS/"), "a %s is refused" % name, reply)
    tap.ok(session(srv, "nobodys")[0] == [] and not os.path.exists(srv.path("mail", "nobodys")),
           "no mailbox yet: no messages, and nothing is made")


def huge(tap, srv):
    """2 GiB and more: sparse, one message of zeroes between two others, which are right."""
    path = srv.path("mail", "huge")
    with open(path, "wb") as f:
        f.write(GOOD + FROM + b"Subject: big\n\n")
        f.seek((2 << 30) + 5, os.SEEK_CUR)
        f.write(b"\n\n" + GOOD)
    srv.give(path)
    size = os.path.getsize(path)
    with Pop(srv.clear_port) as p:
        p.sock.settimeout(500)
        reply = p.login("huge")
        listed = p.lines("LIST")
        first, last = p.lines("RETR 1"), p.lines("RETR 3")
        p.say("DELE 3")
        quit_reply = p.say("QUIT")
    tap.ok(reply.startswith(b"+OK") and [int(x.split()[1]) for x in listed] == [len(GOOD_WIRE), 14 + 2 + (2 << 30) + 5 + 2, len(GOOD_WIRE)],
           "2 GiB and more: sizes", (reply, listed))
    tap.ok(b"".join(first) == GOOD_WIRE and b"".join(last) == GOOD_WIRE, "messages beyond 2 GiB are served", (first, last))
    tap.ok(quit_reply.startswith(b"+OK") and os.path.getsize(path) == size - len(GOOD), "and deleted", quit_reply)
    os.unlink(path)


# ---- other programs ----

def other_readers(tap, srv):
    texts = [b"Subject: %d\nTo: x\n\nbody %d\n" % (k, k) for k in range(4)] + [b"Subject: same\n\ntwin\n"] * 3
    write(srv, "reader", b"".join(mboxrd(t, b"a@b") for t in texts))
    _, ids, _ = session(srv, "reader")
    tap.ok(len(set(ids)) == 7, "seven messages, three of them twins, seven unique-ids", ids)
    data = read(srv.path("mail", "reader"))
    data = data.replace(b"Subject: 1\n", b"Subject: 1\nStatus: RO\nX-Status: A\nX-UID: 12\n", 1) \
        .replace(b"Subject: 0\n", b"X-IMAPbase: 1 2\n  3\nX-Keywords: a b\nSubject: 0\nContent-Length: 7\nLines: 1\n", 1)
    write(srv, "reader", data)
    _, after, _ = session(srv, "reader")
    tap.ok(after == ids, "headers that readers rewrite change no unique-id", (ids, after))
    session(srv, "reader", [2, 6])
    _, after, _ = session(srv, "reader")
    kept = [ids[0], ids[2], ids[3]]
    tap.ok(after[:3] == kept and len(after) == 5 and set(after[3:]) <= set(ids[4:]) and len(set(after)) == 5,
           "deletions change none, twins keep theirs", (ids, after))
    with open(srv.path("mail", "reader"), "ab") as f:
        f.write(mboxrd(texts[4], b"a@b"))
    _, more, _ = session(srv, "reader")
    tap.ok(more[:5] == after and more[5] not in ids, "one more twin gets a unique-id that nobody had", more)
    while_reading(tap, srv)


def while_reading(tap, srv):
    write(srv, "busy", mboxrd(b"Subject: a\n\n1\n", b"a@b") + mboxrd(b"Subject: b\n\n2\n", b"a@b") + mboxrd(b"Subject: c\n\n3\n", b"a@b"))
    with Pop(srv.clear_port) as p:
        p.login("busy")
        ids = uidls(p)
        data = read(srv.path("mail", "busy"))
        write(srv, "busy", data.replace(b"Subject: b\n", b"Status: RO\nSubject: b\n")[len(mboxrd(b"Subject: a\n\n1\n", b"a@b")):] + GOOD)
        tap.ok(p.say("RETR 1").startswith(b"-ERR"), "removed by another program: said so")
        now = b"Status: RO\r\nSubject: b\r\n\r\n2\r\n"
        reply, lines = p.say("RETR 2"), b"".join(iter(p.line, b".\r\n"))
        tap.ok(reply == b"+OK %d octets\r\n" % len(now) and lines == now, "its headers rewritten: announced and served as they are", (reply, lines))
        tap.ok(b"".join(p.lines("RETR 3")) == b"Subject: c\r\n\r\n3\r\n", "moved by another program: served")
        p.say("DELE 2")
        tap.ok(p.say("QUIT").startswith(b"+OK"), "deleted where it is now")
    got, after, _ = session(srv, "busy")
    tap.ok(got == [b"Subject: c\r\n\r\n3\r\n", GOOD_WIRE] and after[0] == ids[2], "and the appended message is there", (got, after, ids))
    # a new file in its place, as some programs do it
    with Pop(srv.clear_port) as p:
        p.login("busy")
        write(srv, "busy.new", GOOD + read(srv.path("mail", "busy")))
        os.rename(srv.path("mail", "busy.new"), srv.path("mail", "busy"))
        tap.ok(b"".join(p.lines("RETR 1")) == b"Subject: c\r\n\r\n3\r\n", "another file of that name: followed")
        p.say("DELE 1")
        p.say("QUIT")
    tap.ok(session(srv, "busy")[0] == [GOOD_WIRE, GOOD_WIRE], "and deleted in it")


def take_fcntl(path):
    f = open(path, "r+b")
    fcntl.lockf(f, fcntl.LOCK_EX)
    return f


def other_namespace(tap, srv, lock):
    """A live process of a container with our hostname: its number is nobody's here."""
    number = next(n for n in range(30000, 20000, -1) if not os.path.exists("/proc/%d" % n))
    script = "echo %d > /proc/sys/kernel/ns_last_pid; sh -c 'echo $$:%s > %s; exec sleep 600' & wait" % (
        number - 1, os.uname().nodename, lock)
    box = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c", script])
    try:
        wait_until(lambda: os.path.exists(lock) and read(lock), PATIENCE, "the container's lock")
        reply = session(srv, "ann")[2]
        tap.ok(reply.startswith(b"-ERR [SYS/TEMP]") and read(lock).startswith(b"%d:" % number),
               "one of a live process in another PID namespace stays", (reply, os.path.exists(lock)))
    finally:
        box.kill()
        box.wait()
        if os.path.exists(lock):
            os.unlink(lock)


def locks(tap, srv):
    for user in ("ann", "ben", "eve", "fay", "gil"):
        write(srv, user, GOOD)
    lock = srv.path("mail", "ann.lock")
    with open(lock, "w") as f:
        f.write("1\n")
    reply = session(srv, "ann")[2]
    tap.ok(reply.startswith(b"-ERR [SYS/TEMP]") and os.path.exists(lock) and srv.said("locked by another program (dotlock)"),
           "another's dotlock: [SYS/TEMP], and it stays", reply)
    os.utime(lock, (time.time() - 700, time.time() - 700))
    tap.ok(session(srv, "ann")[0] == [GOOD_WIRE] and srv.said("its owner is gone"), "one of ten minutes ago is broken")
    dead = subprocess.Popen(["true"])
    dead.wait()
    with open(lock, "w") as f:
        f.write("%d:%s\n" % (dead.pid, os.uname().nodename))
    reply = session(srv, "ann")[2]
    tells = os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC  # a container cannot know
    tap.ok(reply.startswith(b"+OK") == tells, "one of a process that is gone is broken at once, unless in a container", reply)
    if not tells:
        os.utime(lock, (time.time() - 700, time.time() - 700))
        session(srv, "ann")
    other_namespace(tap, srv, lock)
    f = take_fcntl(srv.path("mail", "ann"))
    reply = session(srv, "ann")[2]
    f.close()
    tap.ok(reply.startswith(b"-ERR [SYS/TEMP]") and srv.said("locked by another program (fcntl)"), "another's fcntl lock", reply)
    n = srv.events("mail")
    tap.ok(n["locks_in_vain"] == (3 if tells else 4) and n["dotlocks_broken"] == 2 and n["conflicts"] == 0, "all of it is counted", n)
    with Pop(srv.clear_port) as p:
        p.login("ann")
        take_fcntl(srv.path("mail", "ann")).close()
        tap.ok(not os.path.exists(lock), "no lock is held while a session reads: mail comes in")
        with Pop(srv.clear_port) as q:
            tap.ok(q.login("ann").startswith(b"-ERR [IN-USE]"), "but there is one session at a time")
        p.say("QUIT")


def permits(tap):
    """Four permits, a long lock_wait: of three logins to mailboxes that others hold, two wait, and one is refused at once."""
    srv = start("%n", " lock_wait = 300s", permits=4)
    held, replies = ("ann", "ben", "eve"), {}
    try:
        for user in held + ("fay",):
            write(srv, user, GOOD)
        for user in held:
            open(srv.path("mail", user + ".lock"), "w").close()
        waiting = [threading.Thread(target=lambda u=u: replies.__setitem__(u, session(srv, u)[2])) for u in held]
        for t in waiting:
            t.start()
        wait_until(lambda: replies, PATIENCE, "one of three logins to be refused")
        tap.ok(list(replies.values())[0].startswith(b"-ERR [SYS/TEMP]") and len(replies) == 1 and
               srv.said("2 calls wait for such locks already"), "half of the permits wait, no more", replies)
        tap.ok(session(srv, "fay")[0] == [GOOD_WIRE] and len(replies) == 1, "and a mailbox that nobody holds is served")
        for user in held:
            os.unlink(srv.path("mail", user + ".lock"))
        for t in waiting:
            t.join(PATIENCE)
        tap.ok(sorted(r[:3] for r in replies.values()) == [b"+OK", b"+OK", b"-ER"], "they were served in the end", replies)
    finally:
        srv.close()


# ---- reading ----

def bytes_read(store, *args):
    """How much of the mailbox a session reads."""
    log = os.path.join(store.dir, "strace")
    out = store.run(*args, wrap=["strace", "-f", "-qq", "-y", "-o", log, "-e", "trace=pread64,read"])
    total = 0
    with open(log, errors="replace") as f:
        for line in f:
            m = re.search(r"pread64\(\d+<%s>.*= (\d+)$" % re.escape(os.path.join(store.dir, "mail", "ann")), line)
            total += int(m.group(1)) if m else 0
    return total, out


def not_again(tap):
    """An unchanged mailbox is not read; of one that has grown, only its end, and enough of each earlier message to prove it."""
    store = Store(kind="mbox")
    try:
        path = os.path.join(store.dir, "mail", "ann")
        with open(path, "wb") as f:
            for k in range(200):
                f.write(mboxrd(b"Subject: %d\n\n%s\n" % (k, b"x" * 70) * 40, b"a@b", k))
        size = os.path.getsize(path)
        wanted = len(mboxrd(b"Subject: %d\n\n%s\n" % (1, b"x" * 70) * 40, b"a@b"))
        proof = len(mboxrd(b"Subject: 100\n\n", b"a@b", 0)) + 512 + 2  # its head, the end of its text, the empty line after it
        first, out = bytes_read(store, "stat", "ann")
        tap.ok(out.open == "OK" and first >= size, "the first session reads it all", out.text)
        again, _ = bytes_read(store, "stat", "ann")
        tap.ok(again == 0, "unchanged: not a byte is read again", again)
        with open(path, "ab") as f:
            f.write(mboxrd(b"Subject: late\n\nx\n", b"a@b"))
        grown, _ = bytes_read(store, "stat", "ann")
        tap.ok(wanted < grown < 3 * wanted + 200 * proof, "grown: its end is read, and enough to prove the others (%d of %d bytes)" % (
            grown, size), grown)
        out = store.run("session", "ann", "3")
        after, _ = bytes_read(store, "stat", "ann")
        tap.ok(out.commit == "OK" and after == 0, "after our own deletion: not a byte", after)
    finally:
        store.close()


def synced(tap):
    """The names of a new mailbox and of its directories are durable before its first message counts, also when somebody
    else, or one who was killed, made them."""
    store = Store(kind="mbox")
    try:
        mail, log = os.path.join(store.dir, "mail"), os.path.join(store.dir, "strace")
        want = {mail, mail + "/ann", mail + "/ann/in"}
        raw = store.file(b"Subject: x\r\n\r\nx\r\n")
        for how in ("new", "made, and empty", "in use"):
            subprocess.run(["strace", "-f", "-qq", "-y", "-o", log, "-e", "trace=fsync", store.act, store.module,
                            "path=%s/%%u/in/box" % mail, "deliver", "ann", raw], check=True, env=store.env, capture_output=True)
            with open(log, errors="replace") as f:
                done = set(re.findall(r"fsync\(\d+<([^>]*)>\) += 0", f.read())) & want
            tap.ok(done == (set() if how == "in use" else want), "a mailbox that is %s: %d directories synced" % (how, len(done)), done)
            if how == "new":
                open(mail + "/ann/in/box", "w").close()
    finally:
        store.close()


def no_mbox(tap):
    """Mail is delivered and counted where no session is let in; then the mailbox has messages."""
    store = Store(kind="mbox")
    try:
        path, raw = os.path.join(store.dir, "mail", "ann"), b"Subject: x\r\n\r\nx\r\n"
        with open(path, "wb") as f:
            f.write(b"no From_ line\n")
        out = store.run("session", "ann")
        tap.ok(out.open == "PERM", "text alone: no session", out.text)
        codes = [store.run("stat", "ann").open, store.run("deliver", "ann", store.file(raw, "a")).delivery]
        tap.ok(codes == ["OK", "OK"] and [m[1] for m in store.look().values()] == [fnv(raw)], "but totals, and mail", codes)
        with open(path, "wb") as f:
            f.write(b"no From_ line\n")
        code = store.run("import", "ann", store.file(b"Subject: y\r\n\r\ny\r\n", "b")).delivery
        tap.ok(code == "OK" and set(store.look()) == {"b"} and read(path).startswith(b"no From_ line\n"), "and an import", code)
    finally:
        store.close()


def on_nfs(tap):
    """The kernel reports that the file is on NFS: strace puts its number into the result of fstatfs(2)."""
    store = Store(kind="mbox")
    try:
        store.fill()
        out = store.run("session", "ann", wrap=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fstatfs", "-e",
                                                "inject=fstatfs:poke_exit=@arg2=6969000000000000"])
        tap.ok(out.open == "PERM" and "is on NFS" in out.text and "maildir" in out.text, "NFS is refused, with a way out", out.text)
    finally:
        store.close()


# ---- layouts, the example ----

def start(layout, more="", permits=None):
    srv = Server()
    os.makedirs(srv.path("mail"))
    srv.give(srv.path("mail"))
    users = list(ODD) + list(NONE) + ["dir", "fifo", "link", "nobodys", "huge", "reader", "busy", "ann", "ben", "eve", "fay", "gil",
                         "ann@one.example", "ann@two.example"]
    srv.passwd({u: "restante" for u in users})
    more += "\n permits = %d" % permits if permits else ""
    srv.configure(SECTIONS % (srv.path("passwd"), srv.path("mail") + "/" + layout, more))
    return srv.start()


def layouts(tap):
    srv = start("%d/%n")
    try:
        for d in ("one", "two"):
            os.makedirs(srv.path("mail", d + ".example"))
            write(srv, d + ".example/ann", mboxrd(b"Subject: %s\n\nx\n" % d.encode(), b"a@b"))
        srv.give(srv.path("mail"))
        got = [session(srv, "ann@%s.example" % d)[0] for d in ("one", "two")]
        tap.ok(got == [[b"Subject: one\r\n\r\nx\r\n"], [b"Subject: two\r\n\r\nx\r\n"]], "%d/%n: a directory for each domain", got)
    finally:
        srv.close()


def settings_change(tap, srv):
    """The state hangs on path and format: another one is said aloud, once."""
    def text(path, format):
        return SECTIONS % (srv.path("passwd"), path, " format = " + format)
    write(srv, "ann", GOOD)
    old, other = srv.path("mail") + "/%n", srv.path("mail") + "/%u"
    word = "what is remembered of the mailboxes belongs to the old ones"
    for path, format, new in ((old, "mboxrd", False), (other, "mboxrd", True), (other, "mboxrd", False), (other, "mboxo", True),
                              (old, "mboxrd", True)):
        before = srv.log().count(word)
        srv.reconfigure(text(path, format))
        tap.ok(session(srv, "ann")[0] == [GOOD_WIRE] and srv.log().count(word) - before == new,
               "%s, %s: %s" % (path[-2:], format, "named in the log" if new else "nothing new"), srv.log()[-600:])


def example(tap):
    """conf/examples/mbox.conf, with the paths of this machine."""
    top = os.environ.get("top_srcdir", os.path.join(HERE, "..", ".."))
    srv = Server()
    try:
        os.makedirs(srv.path("mail"))
        srv.passwd({"ann": "restante"})
        srv.mbox("ann", [b"Subject: example\n\nx\n"])
        srv.configure("")
        with open(os.path.join(top, "conf", "examples", "mbox.conf")) as f:
            text = f.read()
        for there, here in (("/etc/restante/passwd", srv.path("passwd")), ("/var/mail/", srv.path("mail") + "/")):
            tap.ok(there in text, "the example names %s" % there)
            text = text.replace(there, here)
        with open(srv.path("restante.conf"), "a") as f:
            f.write(text)
        srv.start()
        tap.ok(session(srv, "ann")[0] == [b"Subject: example\r\n\r\nx\r\n"], "conf/examples/mbox.conf serves")
    finally:
        srv.close()


def delivered(tap):
    """By LMTP: the From_ line has the envelope's sender, for one recipient as for several."""
    srv, port = Server(), free_port()
    try:
        os.makedirs(srv.path("mail"))
        srv.give(srv.path("mail"))
        srv.passwd({"ann": "restante", "ben": "restante"})
        srv.extra_listeners = "listener lmtp {\n protocol = lmtp\n address = 127.0.0.1\n port = %d\n}\ndelivery {\n}\n" % port
        srv.configure(SECTIONS % (srv.path("passwd"), srv.path("mail") + "/%n", ""))
        srv.start()
        with smtplib.LMTP("127.0.0.1", port, "me") as c:
            for sender, to in (("one@x.test", ["ann"]), ("two@x.test", ["ann", "ben"]), ("", ["ann"])):
                c.sendmail(sender, to, b"Return-Path: <old@x.test>\r\nSubject: x\r\n\r\nx\r\n")
                for _ in to[1:]:  # smtplib reads one
                    c.getreply()
        got = [[line.split()[1] for line in read(srv.path("mail", u)).splitlines() if line.startswith(b"From ")]
               for u in ("ann", "ben")]
        tap.ok(got == [[b"one@x.test", b"two@x.test", b"MAILER-DAEMON"], [b"two@x.test"]],
               "LMTP: the From_ line has the envelope's sender", got)
    finally:
        srv.close()


def main():
    tap = Tap()
    srv = start("%n")
    try:
        odd(tap, srv)
        other_readers(tap, srv)
        locks(tap, srv)
        settings_change(tap, srv)
        if os.environ.get("ALL") == "yes":
            huge(tap, srv)
    finally:
        rc = srv.close()
    tap.ok(rc == 0, "the server ended cleanly", rc)
    permits(tap)
    not_again(tap)
    synced(tap)
    no_mbox(tap)
    on_nfs(tap)
    layouts(tap)
    example(tap)
    delivered(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
