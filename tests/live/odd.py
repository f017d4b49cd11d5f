#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A file system that is not as it should be: odd maildirs. The log names the odd files, the rest of the mail is served, nobody
else is disturbed, and nothing hangs.
"""
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE, Pop  # noqa: E402
from sections import accounts, store  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

LETTER = b"Subject: a letter\n\nbody of %s\n"
LEDGER = "restante-ledger"


def letter(user):
    return LETTER % user.encode()


# ---- odd entries: made in new/ and in cur/ of a maildir with two letters; the log must have the word ----

def make_file(path):
    with open(path, "wb") as f:
        f.write(b"Subject: odd\n\nnot to be served\n")


def in_dir(name, make, word=None):
    def odd(base):
        for path in paths(base):
            make(path)

    def paths(base):
        return [os.path.join(os.fsencode(base), d, name.encode()) for d in (b"new", b"cur")]
    odd.words = ["%s/%s" % (d, word or name) for d in ("new", "cur")]
    odd.paths = paths
    return odd


def linked_to(target):
    return lambda path: os.symlink(target, path)


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as s:
        here = os.open(os.path.dirname(path), os.O_RDONLY)  # the whole path may be too long for an address
        try:
            s.bind(b"/proc/self/fd/%d/%s" % (here, os.path.basename(path)))
        finally:
            os.close(here)


NOT_SERVED = {
    "dangling": in_dir("1700000005.link", linked_to("/nonexistent/target")),
    "linked": in_dir("1700000005.passwd", linked_to("/etc/passwd")),
    "loop": in_dir("1700000005.loop", linked_to("1700000005.loop")),
    "fifo": in_dir("1700000005.fifo", os.mkfifo),
    "socket": in_dir("1700000005.socket", unix_socket),
    "directory": in_dir("1700000005.dir", os.mkdir),
    "blank": in_dir("1700000005.M1 P1.x", make_file, r"1700000005.M1\x20P1.x"),
    "newline": in_dir("1700000005.M1\n+OK.x", make_file, r"1700000005.M1\x0a+OK.x"),
    "control": in_dir("1700000005.\x1b[31m\x07.x", make_file, r"1700000005.\x1b[31m\x07.x"),
    "delete": in_dir("1700000005.\x7f.x", make_file, r"1700000005.\x7f.x"),
    "tab": in_dir("\t", make_file, r"\x09"),
    "empty": in_dir(":2,S", make_file),
    "comma": in_dir(",S=5", make_file),
}

# Entries that are messages all the same, though their names are strange.
SERVED = {
    "long": b"1" + b"x" * 254,
    "colons": b"1:2,S:2,RST::,,",
    "latin": b"1.\xe9\xff\xfe.x",
    "utf": "1.ü\u65e5.x".encode(),
    "percent": b"1.%s%n%x.x",
    "quote": b"1.\"'`$(x)\\.x",
    "number": b"99999999999999999999999999999999.x",
    "dash": b"-rf",
    "tilde": b"~",
    "sizes": b"1.x,S=notanumber,W=-5:2,",
    "huge": b"1.x,S=99999999999999999999,W=99999999999999999999",
}


def fetch_all(pop):
    """All messages of a session by number; None: one could not be fetched."""
    stat = pop.say("STAT")
    if not stat.startswith(b"+OK"):
        return None
    out = [pop.lines("RETR %d" % (i + 1)) for i in range(int(stat.split()[1]))]
    return None if None in out else [b"".join(m).replace(b"\r\n", b"\n") for m in out]


def calm(tap, srv, name):
    """Another user, who must not notice anything."""
    with Pop(srv.clear_port) as p:
        got = (p.login("calm"), fetch_all(p), p.say("QUIT"))
    tap.ok(got[0].startswith(b"+OK") and got[1] == [letter("calm")] * 2 and got[2].startswith(b"+OK"),
           "%s: another user is not disturbed" % name, got)


def in_log(srv, word, at=0):
    wait_until(lambda: word in srv.log()[at:], PATIENCE, "'%s' in the log" % word)
    return True


def entries(tap, srv):
    for name, odd in NOT_SERVED.items():
        with Pop(srv.clear_port) as p:
            reply = p.login(name)
            got = fetch_all(p)
            uids = p.lines("UIDL")
            end = p.say("QUIT")
        tap.ok(reply.startswith(b"+OK 2 ") and got == [letter(name)] * 2 and len(uids) == 2 and end.startswith(b"+OK"),
               "%s: the two letters are served, and it is not" % name, (reply, got, uids, end))
        tap.ok(all(in_log(srv, w) for w in odd.words), "%s: the log names it" % name)
        tap.ok(all(os.path.lexists(path) for path in odd.paths(srv.path("mail", name))), "%s: it is left alone" % name)
    calm(tap, srv, "odd entries")


def strange_names(tap, srv):
    for name in SERVED:
        with Pop(srv.clear_port) as p:
            reply, got = p.login(name), fetch_all(p)
            uids = [u.split(b" ", 1)[1].strip() for u in p.lines("UIDL")]
            end = p.say("QUIT")
        good = all(0 < len(u) <= 70 and all(0x21 <= c <= 0x7e for c in u) for u in uids)
        tap.ok(reply.startswith(b"+OK 2 ") and got == [letter(name)] * 2 and end.startswith(b"+OK"),
               "name %s: served" % name, (reply, got, end))
        tap.ok(good and len(set(uids)) == 2, "name %s: with a unique-id of RFC 1939" % name, uids)
        with Pop(srv.clear_port) as p:
            p.login(name)
            again = [u.split(b" ", 1)[1].strip() for u in p.lines("UIDL")]
            gone = p.say("DELE 1"), p.say("DELE 2"), p.say("QUIT")
        tap.ok(again == uids and all(g.startswith(b"+OK") for g in gone),
               "name %s: the same again, and deleted" % name, gone)
        left = [f for d in ("new", "cur") for f in os.listdir(srv.path("mail", name, d))]
        tap.ok(not left, "name %s: nothing is left" % name, left)
    calm(tap, srv, "strange names")


# ---- paths that are no maildirs ----

def closed(srv, base):
    os.chmod(base, 0)


def of_root(srv, base):
    os.chmod(base, 0o700)
    os.chown(base, 0, 0)


def no_new(srv, base):
    os.chmod(os.path.join(base, "new"), 0)


def no_cur(srv, base):
    os.chmod(os.path.join(base, "cur"), 0)


def a_file(srv, base):
    remove(base)
    make_file(base)


def a_fifo(srv, base):
    remove(base)
    os.mkfifo(base)


def a_link(srv, base):
    os.rename(base, base + ".real")
    os.symlink(base + ".real", base)


def new_a_file(srv, base):
    remove(os.path.join(base, "new"))
    make_file(os.path.join(base, "new"))


def ledger(make):
    def spoil(srv, base):
        make(os.path.join(base, LEDGER))
        srv.give(os.path.join(base, LEDGER))
    return spoil


def cur_a_link(srv, base):
    remove(os.path.join(base, "cur"))
    os.symlink("/etc", os.path.join(base, "cur"))


REFUSED = {"closed": (closed, "/closed'"), "a-file": (a_file, "/a-file'"), "a-fifo": (a_fifo, "/a-fifo'"),
           "a-link": (a_link, "/a-link'"), "closed-new": (no_new, "new/"), "closed-cur": (no_cur, "cur/"),
           "new-file": (new_a_file, "new/"), "cur-link": (cur_a_link, "cur/"),
           "ledger-dir": (ledger(os.mkdir), LEDGER), "ledger-fifo": (ledger(os.mkfifo), LEDGER),
           "ledger-mail": (ledger(make_file), LEDGER)}


def remove(path):
    for root, dirs, files in os.walk(path, topdown=False):
        for f in files:
            os.unlink(os.path.join(root, f))
        for d in dirs:
            os.rmdir(os.path.join(root, d))
    os.rmdir(path)


def no_maildirs(tap, srv):
    """Refused, permanently, with the reason in the log; the operator's verb `user` shows it, too."""
    for name, (_, word) in REFUSED.items():
        at = len(srv.log())
        with Pop(srv.clear_port) as p:
            reply = p.login(name)
            alive = p.say("NOOP")
        tap.ok(reply.startswith(b"-ERR [SYS/PERM]") and alive != b"", "%s: [SYS/PERM]" % name, reply)
        in_log(srv, "user=%s " % name, at)
        line = [text for text in srv.log()[at:].splitlines() if "module-call" in text and "user=%s " % name in text]
        tap.ok(len(line) == 1 and word in line[0], "%s: the log reports whose file, which and why" % name, srv.log()[at:])
        said = srv.ctl("user", name)
        tap.ok(said.returncode == 0 and word in said.stdout, "%s: restantectl user says it, too" % name, said)
    calm(tap, srv, "no maildirs")


def repaired(tap, srv):
    """The obstacle is removed: the mail is there, without a restart."""
    for name in ("ledger-dir", "ledger-fifo", "ledger-mail"):
        os.rename(srv.path("mail", name, LEDGER), srv.path("mail", name, "away"))
    for name, d in (("closed", ""), ("closed-new", "new"), ("closed-cur", "cur")):
        os.chmod(srv.path("mail", name, d), 0o700)
    for name in ("ledger-dir", "ledger-fifo", "ledger-mail", "closed", "closed-new", "closed-cur"):
        with Pop(srv.clear_port) as p:
            got = p.login(name), fetch_all(p), p.say("QUIT")
        tap.ok(got[1] == [letter(name)] * 2, "%s: repaired, it is served" % name, got)


def read_only(tap, srv):
    """Mail that can be read and not changed is served; a deletion that cannot be done is not promised."""
    base = srv.path("mail", "read-only")
    with Pop(srv.clear_port) as p:
        got = p.login("read-only"), fetch_all(p), p.say("DELE 1"), p.say("QUIT")
    tap.ok(got[1] == [letter("read-only")] * 2, "a maildir that cannot be written: served", got)
    tap.ok(got[3].startswith(b"-ERR ") and len(os.listdir(os.path.join(base, "new"))) == 2,
           "and QUIT says that nothing was deleted", got)
    tap.ok(in_log(srv, "user=read-only "), "the log names it")
    calm(tap, srv, "read-only")


def half_maildirs(tap, srv):
    """new/, cur/ or tmp/ is missing: existing mail is served, and deleted mail is gone."""
    for name in ("without-new", "without-cur", "without-tmp", "without-any"):
        n = 0 if name == "without-any" else 2
        with Pop(srv.clear_port) as p:
            reply, got, end = p.login(name), fetch_all(p), p.say("QUIT")
        tap.ok(reply.startswith(b"+OK %d " % n) and got == [letter(name)] * n and end.startswith(b"+OK"),
               "%s: what is there is served" % name, (reply, got, end))
        if n:
            with Pop(srv.clear_port) as p:
                got = p.login(name), p.say("DELE 1"), p.say("QUIT")
            tap.ok(got[0].startswith(b"+OK 2 ") and got[2].startswith(b"+OK"), "%s: there again, deleted" % name, got)
            with Pop(srv.clear_port) as p:
                got = p.login(name)
            tap.ok(got.startswith(b"+OK 1 "), "%s: one is left" % name, got)
    for word in ("no new/", "no cur/"):
        tap.ok(in_log(srv, word), "the log says that a maildir has %s" % word)
    with Pop(srv.clear_port) as p:
        got = p.login("nobodys"), p.say("STAT"), p.say("QUIT")
    tap.ok(got[1] == b"+OK 0 0\r\n" and not os.path.exists(srv.path("mail", "nobodys")),
           "no maildir at all: no mail, and none is made", got)
    calm(tap, srv, "half maildirs")


def make_half(srv, name):
    base = srv.maildir(name, [])
    there = os.path.join(base, "cur" if name == "without-new" else "new")
    for i in range(2):
        with open(os.path.join(there, "170000000%d.M1P1.x" % i), "wb") as f:
            f.write(letter(name))
    for d in ("new", "cur", "tmp") if name == "without-any" else (name.split("-")[1],):
        remove(os.path.join(base, d))


def prepare_mail(srv):
    for name, odd in NOT_SERVED.items():
        odd(srv.maildir(name, [letter(name)] * 2))
    for name, raw in SERVED.items():
        base = srv.maildir(name, [letter(name)])
        with open(os.path.join(os.fsencode(base), b"new", raw), "wb") as f:
            f.write(letter(name))
    halves = ["without-new", "without-cur", "without-tmp", "without-any"]
    for name in halves:
        make_half(srv, name)
    for name in REFUSED:
        srv.maildir(name, [letter(name)] * 2)
    srv.maildir("calm", [letter("calm")] * 2)
    srv.maildir("read-only", [letter("read-only")] * 2)
    srv.give(srv.path("mail"))
    os.chmod(srv.path("mail", "read-only"), 0o555)
    if srv.root:
        os.chown(srv.path("mail", "read-only"), 0, 0)
    for name, (spoil, _) in REFUSED.items():
        spoil(srv, srv.path("mail", name))
    return list(NOT_SERVED) + list(SERVED) + halves + list(REFUSED) + ["calm", "nobodys", "read-only"]


def maildirs(tap):
    with Server() as srv:
        if srv.root:
            REFUSED["of-root"] = (of_root, "/of-root'")
        users = prepare_mail(srv)
        srv.passwd({u: "restante" for u in users})
        os.symlink(srv.path("mail"), srv.path("by-link"))  # the fixed part is the administrator's
        srv.configure(accounts(srv) + store(srv, "maildir", path=srv.path("by-link", "%n")))
        srv.start()
        try:
            for step in (entries, strange_names, no_maildirs, repaired, read_only, half_maildirs):
                step(tap, srv)
        finally:
            os.chmod(srv.path("mail", "read-only"), 0o700)
        srv.ends(tap)


def main():
    tap = Tap()
    maildirs(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
