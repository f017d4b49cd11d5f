#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Passwd-files that are not as they should be, at the start and later, one for all and one for each domain: the log names
the fault, accounts read before stay, nobody else is disturbed, and a repaired file is used.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE, Pop  # noqa: E402
from sections import accounts, maildirs, plain  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402


def may(srv, user, password="restante"):
    with Pop(srv.clear_port) as p:
        reply = p.login(user, password)
        p.say("QUIT")
    return reply.startswith(b"+OK")


def spoilt(tap, srv, name, word, change):
    """The file is spoilt: the log names it (a login makes the server look), and the old accounts stay."""
    at, counted = len(srv.log()), srv.events("accounts")["file_errors"]
    change()

    logins = []

    def said():
        logins.append(may(srv, "ann"))
        return [text for text in srv.log()[at:].splitlines() if srv.path("passwd") in text and word in text]
    wait_until(said, PATIENCE, "'%s' of the passwd-file in the log" % word)
    tap.ok(all(logins) and may(srv, "ann"), "passwd-file %s: the old accounts stay" % name, logins)
    line = said()[0]
    tap.ok(srv.events("accounts")["file_errors"] > counted, "passwd-file %s: it is counted" % name)
    tap.ok("error" in line and "accounts read before stay" in line, "passwd-file %s: the log reports which and why" % name,
           line)
    tap.ok("Geheim" not in srv.log(), "passwd-file %s: and none of its content" % name)


def repair(tap, srv, name):
    srv.write("passwd", "ann:{PLAIN}restante\n%s:{PLAIN}restante\n" % name)
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


def unreadable(srv, text):
    path = srv.write("unreadable", text)
    if srv.root:
        os.chown(path, 0, 0)
    os.chmod(path, 0)
    os.rename(path, srv.path("passwd"))


def passwd_files(tap, srv):
    start = "ann:{PLAIN}restante\n"
    tap.ok(may(srv, "ann"), "a passwd-file that is as it should be")
    spoilt(tap, srv, "broken", "line 3",
           lambda: srv.write("passwd", start + "# a remark\nGeheim\nben:{PLAIN}restante\n"))
    tap.ok(not may(srv, "ben"), "none of the broken file's accounts is used")
    repair(tap, srv, "one")
    spoilt(tap, srv, "with NUL", "line 2", lambda: srv.write("passwd", start + "ben:{PLAIN}Geh\0eim\n"))
    repair(tap, srv, "two")
    spoilt(tap, srv, "with an account twice", "'ben' is there twice",
           lambda: srv.write("passwd", start + "ben:{PLAIN}Geheim\nben:{PLAIN}Geheim2\n"))
    repair(tap, srv, "three")
    spoilt(tap, srv, "without a name", "line 1", lambda: srv.write("passwd", ":{PLAIN}Geheim\n"))
    repair(tap, srv, "four")
    spoilt(tap, srv, "missing", "No such file", lambda: os.unlink(srv.path("passwd")))
    repair(tap, srv, "five")
    spoilt(tap, srv, "a directory", "not a regular file", lambda: a_directory(srv))
    os.rmdir(srv.path("passwd"))
    repair(tap, srv, "six")
    spoilt(tap, srv, "a FIFO", "not a regular file", lambda: a_pipe(srv))
    repair(tap, srv, "seven")
    spoilt(tap, srv, "unreadable", "Permission denied",
           lambda: unreadable(srv, start + "ben:{PLAIN}Geheim\n"))
    repair(tap, srv, "eight")
    changed(tap, srv)


def changed(tap, srv):
    """A good new version: a new password, one account less; open sessions stay."""
    with Pop(srv.clear_port) as p:
        p.login("ann")
        srv.write("passwd", "ann:{PLAIN}another\n")
        wait_until(lambda: not may(srv, "eight"), PATIENCE, "an account to be gone")
        tap.ok(p.say("NOOP").startswith(b"+OK"), "an account's change does not end its session")
        p.say("QUIT")
    tap.ok(may(srv, "ann", "another") and not may(srv, "ann"), "the new password counts, the old one does not")
    wait_until(lambda: "was read again: 1 accounts" in srv.log(), PATIENCE, "the new file in the log")


def not_started(tap):
    """Without a readable passwd-file the server does not start, and reports which one and why."""
    with Server() as srv:
        srv.configure(plain(srv))
        for name, text, word in (("missing", None, "No such file"), ("broken", "ann:{PLAIN}x\nGeheim\n", "line 2")):
            if text:
                srv.write("passwd", text)
            p = subprocess.run([srv.bin("restanted"), "-c", srv.path("restante.conf")], capture_output=True, text=True,
                               timeout=60)
            said = srv.path("passwd") in p.stderr and word in p.stderr and "Geheim" not in p.stderr
            tap.ok(p.returncode == 78 and said, "passwd-file %s at the start: 78, which and why" % name, p)


def passwd(tap):
    with Server() as srv:
        srv.passwd({"ann": "restante"})
        srv.maildir("ann", [b"Subject: a letter\n\nbody of ann\n"])
        srv.configure(plain(srv))
        srv.start()
        passwd_files(tap, srv)
        srv.ends(tap)


def domain_files(tap, srv):
    srv.write("passwd.one.example", "ann:{PLAIN}restante\n")
    srv.write("passwd.two.example", "ann@two.example:{PLAIN}other\n")
    tap.ok(may(srv, "ann@one.example") and may(srv, "ann@two.example", "other"), "a file for each domain")
    tap.ok(not may(srv, "ann@one.example", "other") and not may(srv, "ann@two.example"), "and none for the other")
    tap.ok(may(srv, "ann@ONE.Example"), "a domain in any case")
    tap.ok(not may(srv, "ann") and not may(srv, "ann@three.example"), "no domain, or one without a file: nobody")
    for name in ("ann@../passwd", "ann@.hidden", "ann@a/b", "ann@", "ann@%d", "ann@" + "x" * 300, "ann@one.example/"):
        tap.ok(not may(srv, name), "'%s' leads nowhere" % name[:20])
    srv.write("passwd.three.example", "ann:{PLAIN}restante\n")
    wait_until(lambda: may(srv, "ann@three.example"), PATIENCE, "a new domain's file")
    tap.ok(True, "the file of a new domain is found without a reload")
    srv.write("passwd.two.example", "ann@two.example\n")
    wait_until(lambda: may(srv, "ann@two.example", "other") and "passwd.two.example': line 1" in srv.log(), PATIENCE,
               "the broken file in the log")
    tap.ok(may(srv, "ann@two.example", "other") and may(srv, "ann@one.example"), "a broken one: old accounts stay")
    srv.write("passwd.two.example", "ann:{PLAIN}third\n")
    wait_until(lambda: may(srv, "ann@two.example", "third"), PATIENCE, "the repaired file")
    tap.ok(may(srv, "ann@one.example"), "repaired, and used; other domains do not notice")
    first_broken(tap, srv)


def first_broken(tap, srv):
    """A domain's file that was never good: temporary, not a wrong password; the others are served."""
    srv.write("passwd.four.example", "Geheim\n")
    with Pop(srv.clear_port) as p:
        reply = p.login("ann@four.example")
    tap.ok(reply.startswith(b"-ERR [SYS/TEMP]") and may(srv, "ann@one.example"), "broken from the start: [SYS/TEMP]",
           reply)
    srv.write("passwd.four.example", "ann:{PLAIN}restante\n")
    wait_until(lambda: may(srv, "ann@four.example"), PATIENCE, "the repaired file")
    tap.ok("Geheim" not in srv.log(), "repaired, and used")


def domains(tap):
    with Server() as srv:
        srv.mkdir("mail")
        srv.write("hidden", "ann:{PLAIN}restante\n")
        srv.configure(accounts(srv, file=srv.path("passwd.%d")) + maildirs(srv, "%d/%n"))
        srv.start()
        domain_files(tap, srv)
        srv.ends(tap)


def main():
    tap = Tap()
    not_started(tap)
    passwd(tap)
    domains(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
