#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A file system that is not what it should be: odd maildirs and odd passwd-files. The log names what is odd, the
rest of the mail is served, nobody else is disturbed, nothing hangs, and a passwd-file that was repaired is used.
"""
import os
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE, SECTIONS, Pop  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

LETTER = b"Subject: a letter\n\nbody of %s\n"
LEDGER = "restante-ledger"
DOMAINS = ("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
           "storage mail {\n module = maildir\n path = %s/%%d/%%n\n}\n")


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
    """All messages of a session by number; None: one could not be had."""
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


# ---- maildirs that are none ----

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
    """Refused, permanently, with the reason in the log; the operator's `user` knows it, too."""
    for name, (_, word) in REFUSED.items():
        at = len(srv.log())
        with Pop(srv.clear_port) as p:
            reply = p.login(name)
            alive = p.say("NOOP")
        tap.ok(reply.startswith(b"-ERR [SYS/PERM]") and alive != b"", "%s: [SYS/PERM]" % name, reply)
        in_log(srv, "user=%s " % name, at)
        line = [text for text in srv.log()[at:].splitlines() if "module-call" in text and "user=%s " % name in text]
        tap.ok(len(line) == 1 and word in line[0], "%s: the log says whose, what and why" % name, srv.log()[at:])
        said = srv.ctl("user", name)
        tap.ok(said.returncode == 0 and word in said.stdout, "%s: restantectl user says it, too" % name, said)
    calm(tap, srv, "no maildirs")


def repaired(tap, srv):
    """What was in the way is taken away: the mail is there, with no restart."""
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
    """new/, cur/ or tmp/ is missing: what is there is served, and what is deleted is gone."""
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
    srv = Server()
    if srv.root:
        REFUSED["of-root"] = (of_root, "/of-root'")
    try:
        users = prepare_mail(srv)
        srv.passwd({u: "restante" for u in users})
        os.symlink(srv.path("mail"), srv.path("by-link"))  # the fixed part is the administrator's
        srv.configure(SECTIONS % (srv.path("passwd"), srv.path("by-link")))
        srv.start()
        for step in (entries, strange_names, no_maildirs, repaired, read_only, half_maildirs):
            step(tap, srv)
    finally:
        os.chmod(srv.path("mail", "read-only"), 0o700)
        rc = srv.close()
    tap.ok(rc == 0, "the server ended cleanly", rc)


# ---- passwd-files ----

def put(srv, name, text, mode=0o600, give=True):
    """A new version takes the place of the old one at once, as an editor or a script does it."""
    tmp = srv.path(name + ".tmp")
    with open(tmp, "w") as f:
        f.write(text)
    os.chmod(tmp, mode)
    if give:
        srv.give(tmp)
    os.rename(tmp, srv.path(name))


def may(srv, user, password="restante"):
    with Pop(srv.clear_port) as p:
        reply = p.login(user, password)
        p.say("QUIT")
    return reply.startswith(b"+OK")


def spoilt(tap, srv, name, word, change):
    """The file is spoilt: the log names it (a login makes the server look), and the old accounts stay."""
    at = len(srv.log())
    change()

    logins = []

    def said():
        logins.append(may(srv, "ann"))
        return [text for text in srv.log()[at:].splitlines() if srv.path("passwd") in text and word in text]
    wait_until(said, PATIENCE, "'%s' of the passwd-file in the log" % word)
    tap.ok(all(logins) and may(srv, "ann"), "passwd-file %s: the old accounts stay" % name, logins)
    line = said()[0]
    tap.ok("error" in line and "accounts read before stay" in line, "passwd-file %s: the log says which and why" % name,
           line)
    tap.ok("Geheim" not in srv.log(), "passwd-file %s: and not what is in it" % name)


def repair(tap, srv, name):
    put(srv, "passwd", "ann:{PLAIN}restante\n%s:{PLAIN}restante\n" % name)
    wait_until(lambda: may(srv, name), PATIENCE, "the repaired passwd-file to be used")
    tap.ok(may(srv, "ann"), "passwd-file %s: repaired, and used" % name)


def a_directory(srv):
    os.unlink(srv.path("passwd"))
    os.mkdir(srv.path("passwd"), 0o700)
    srv.give(srv.path("passwd"))


def a_pipe(srv):
    os.unlink(srv.path("passwd"))
    os.mkfifo(srv.path("passwd"))
    srv.give(srv.path("passwd"))


def passwd_files(tap, srv):
    start = "ann:{PLAIN}restante\n"
    tap.ok(may(srv, "ann"), "a passwd-file that is as it should be")
    spoilt(tap, srv, "broken", "line 3",
           lambda: put(srv, "passwd", start + "# a remark\nGeheim\nben:{PLAIN}restante\n"))
    tap.ok(not may(srv, "ben"), "none of the broken file's accounts is used")
    repair(tap, srv, "one")
    spoilt(tap, srv, "with NUL", "line 2", lambda: put(srv, "passwd", start + "ben:{PLAIN}Geh\0eim\n"))
    repair(tap, srv, "two")
    spoilt(tap, srv, "with an account twice", "'ben' is there twice",
           lambda: put(srv, "passwd", start + "ben:{PLAIN}Geheim\nben:{PLAIN}Geheim2\n"))
    repair(tap, srv, "three")
    spoilt(tap, srv, "without a name", "line 1", lambda: put(srv, "passwd", ":{PLAIN}Geheim\n"))
    repair(tap, srv, "four")
    spoilt(tap, srv, "missing", "No such file", lambda: os.unlink(srv.path("passwd")))
    repair(tap, srv, "five")
    spoilt(tap, srv, "a directory", "not a regular file", lambda: a_directory(srv))
    os.rmdir(srv.path("passwd"))
    repair(tap, srv, "six")
    spoilt(tap, srv, "a FIFO", "not a regular file", lambda: a_pipe(srv))
    repair(tap, srv, "seven")
    spoilt(tap, srv, "unreadable", "Permission denied",
           lambda: put(srv, "passwd", start + "ben:{PLAIN}Geheim\n", 0, give=False))
    repair(tap, srv, "eight")
    changed(tap, srv)


def changed(tap, srv):
    """A good new version: a new password, an account less; open sessions stay."""
    with Pop(srv.clear_port) as p:
        p.login("ann")
        put(srv, "passwd", "ann:{PLAIN}another\n")
        wait_until(lambda: not may(srv, "eight"), PATIENCE, "an account to be gone")
        tap.ok(p.say("NOOP").startswith(b"+OK"), "an account's change does not end its session")
        p.say("QUIT")
    tap.ok(may(srv, "ann", "another") and not may(srv, "ann"), "the new password counts, the old one does not")
    in_log(srv, "was read again: 1 accounts")


def not_started(tap):
    """Without a readable passwd-file the server does not start, and says which and why."""
    srv = Server()
    try:
        srv.configure(SECTIONS % (srv.path("passwd"), srv.path("mail")))
        for name, text, word in (("missing", None, "No such file"), ("broken", "ann:{PLAIN}x\nGeheim\n", "line 2")):
            if text:
                put(srv, "passwd", text)
            p = subprocess.run([srv.bin("restanted"), "-c", srv.path("restante.conf")], capture_output=True, text=True,
                               timeout=60)
            said = srv.path("passwd") in p.stderr and word in p.stderr and "Geheim" not in p.stderr
            tap.ok(p.returncode == 78 and said, "passwd-file %s at the start: 78, which and why" % name, p)
    finally:
        srv.close()


def passwd(tap):
    srv = Server()
    try:
        srv.passwd({"ann": "restante"})
        srv.maildir("ann", [letter("ann")])
        srv.configure(SECTIONS % (srv.path("passwd"), srv.path("mail")))
        srv.start()
        passwd_files(tap, srv)
    finally:
        rc = srv.close()
    tap.ok(rc == 0, "the server ended cleanly", rc)


def domain_files(tap, srv):
    put(srv, "passwd.one.example", "ann:{PLAIN}restante\n")
    put(srv, "passwd.two.example", "ann@two.example:{PLAIN}other\n")
    tap.ok(may(srv, "ann@one.example") and may(srv, "ann@two.example", "other"), "a file for each domain")
    tap.ok(not may(srv, "ann@one.example", "other") and not may(srv, "ann@two.example"), "and none for the other")
    tap.ok(may(srv, "ann@ONE.Example"), "a domain in any case")
    tap.ok(not may(srv, "ann") and not may(srv, "ann@three.example"), "no domain, or one without a file: nobody")
    for name in ("ann@../passwd", "ann@.hidden", "ann@a/b", "ann@", "ann@%d", "ann@" + "x" * 300, "ann@one.example/"):
        tap.ok(not may(srv, name), "'%s' leads nowhere" % name[:20])
    put(srv, "passwd.three.example", "ann:{PLAIN}restante\n")
    wait_until(lambda: may(srv, "ann@three.example"), PATIENCE, "a new domain's file")
    tap.ok(True, "the file of a new domain is found without a reload")
    put(srv, "passwd.two.example", "ann@two.example\n")
    wait_until(lambda: may(srv, "ann@two.example", "other") and "passwd.two.example': line 1" in srv.log(), PATIENCE,
               "the broken file in the log")
    tap.ok(may(srv, "ann@two.example", "other") and may(srv, "ann@one.example"), "a broken one: old accounts stay")
    put(srv, "passwd.two.example", "ann:{PLAIN}third\n")
    wait_until(lambda: may(srv, "ann@two.example", "third"), PATIENCE, "the repaired file")
    tap.ok(may(srv, "ann@one.example"), "repaired, and used; other domains do not notice")
    first_broken(tap, srv)


def first_broken(tap, srv):
    """A domain's file that was never good: temporary, not a wrong password; the others are served."""
    put(srv, "passwd.four.example", "Geheim\n")
    with Pop(srv.clear_port) as p:
        reply = p.login("ann@four.example")
    tap.ok(reply.startswith(b"-ERR [SYS/TEMP]") and may(srv, "ann@one.example"), "broken from the start: [SYS/TEMP]",
           reply)
    put(srv, "passwd.four.example", "ann:{PLAIN}restante\n")
    wait_until(lambda: may(srv, "ann@four.example"), PATIENCE, "the repaired file")
    tap.ok("Geheim" not in srv.log(), "repaired, and used")


def domains(tap):
    srv = Server()
    try:
        os.makedirs(srv.path("mail"))
        srv.give(srv.path("mail"))
        put(srv, "hidden", "ann:{PLAIN}restante\n")
        srv.configure(DOMAINS % (srv.path("passwd.%d"), srv.path("mail")))
        srv.start()
        domain_files(tap, srv)
    finally:
        rc = srv.close()
    tap.ok(rc == 0, "the server ended cleanly", rc)


def main():
    tap = Tap()
    maildirs(tap)
    not_started(tap)
    passwd(tap)
    domains(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
