#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs of restantectl that steer a server: reload, drain, log-reopen, and how they compare with signals; checking a
configuration, the modules' own manual; usage errors, and nonsense on the control socket."""
import json
import os
import pwd
import signal
import socket
import stat
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE, Pop  # noqa: E402
from restantectl import Out, alone, answer, ended, letters, sessions  # noqa: E402
from sections import plain  # noqa: E402
from server import SERVICE_USER, Server, Tap, wait_until  # noqa: E402

LETTER = b"Subject: a letter\n\nbody\n"
BAD = "nonsense = 1\nworkers = many\nstorage third {\n module = nosuchmodule\n}\n"
BAD_SAYS = ("unknown setting 'nonsense'", "workers = many", "nosuchmodule.so")


def modules_doc(tap, srv):
    """Needs no server."""
    conf = ["-c", srv.path("restante.conf")]
    for name, kind, settings in (("maildir", "storage", ("path (", "fsync (", "mark_seen (")),
                                 ("passwd", "auth", ("file (", "strip_domain (", "allow_plain (")),
                                 (os.path.join(srv.tree, "lib/restante/modules/fault.so"), "storage", ("rule (",))):
        p = Out(srv, "modules", "doc", name, at=conf)
        tap.ok(p.rc == 0 and p.said(kind, *settings), "modules doc %s: its settings" % os.path.basename(name), p)
    p = Out(srv, "modules", "doc", "nosuchmodule", at=conf)
    tap.ok(p.rc == 1 and p.said("nosuchmodule.so"), "modules doc of a module that does not exist", p)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def counted(srv, word):
    return len([line for line in srv.log().splitlines() if word in line])


def in_force(srv, box):
    """Whether a new session of `reader` sees this many letters, which shows the path it was configured with."""
    with Pop(srv.clear_port) as p:
        p.login("reader")
        stat_ = p.say("STAT").split()
        p.say("QUIT")
    return stat_[1] == box


def good_reload(tap, srv, other, how, name):
    """An open session keeps what it began with; a new one sees the new file."""
    with Pop(srv.clear_port) as ann:
        ann.login("ann")
        tap.ok(in_force(srv, b"1"), "%s: before, the old path" % name)
        write(srv.path("restante.conf"), other)
        how()
        tap.ok(in_force(srv, b"3"), "%s: new sessions see the new file" % name)
        tap.ok(ann.say("STAT").startswith(b"+OK 2 ") and ann.lines("RETR 2") is not None and
               ann.say("QUIT").startswith(b"+OK"), "%s: the open session does not notice" % name)


def by_hangup(srv):
    serial = json.loads(Out(srv, "--json", "status").out)["configuration_serial"]
    srv.proc.send_signal(signal.SIGHUP)
    wait_until(lambda: json.loads(Out(srv, "--json", "status").out)["configuration_serial"] > serial, PATIENCE,
               "the reload")


def bad_reload(tap, srv, good):
    """All errors at once, and the old one stays."""
    serial = json.loads(Out(srv, "--json", "status").out)["configuration_serial"]
    write(srv.path("restante.conf"), good + BAD)
    with Pop(srv.clear_port) as ann:
        ann.login("ann")
        p = Out(srv, "reload")
        tap.ok(p.rc == 1 and not p.out and p.said("the old configuration stays in force", *BAD_SAYS),
               "reload of a bad file: 1, and every error is said", p)
        p = Out(srv, "--json", "reload")
        doc = json.loads(p.out)
        tap.ok(p.rc == 1 and doc["ok"] is False and doc["error"] and all(w in doc["errors"] for w in BAD_SAYS) and
               all(line.startswith(srv.path("restante.conf") + ":") for line in doc["errors"].splitlines()),
               "and as JSON, each with file and line", p)
        said = counted(srv, "the old configuration stays")
        srv.proc.send_signal(signal.SIGHUP)
        wait_until(lambda: counted(srv, "the old configuration stays") > said, PATIENCE, "the refusal of the reload")
        tap.ok(all(counted(srv, w) >= 3 for w in BAD_SAYS), "by SIGHUP the log has every error", srv.log()[-2000:])
        tap.ok(ann.say("STAT").startswith(b"+OK 2 ") and in_force(srv, b"1"), "the old configuration stays in force")
        tap.ok(json.loads(Out(srv, "--json", "status").out)["configuration_serial"] == serial, "status tells that, too")
        ann.say("QUIT")


def reload(tap, srv):
    good = open(srv.path("restante.conf")).read()
    other = good.replace(srv.path("mail") + "/", srv.path("mail", "second") + "/", 1)
    tap.ok(other != good, "the second configuration has another path")
    good_reload(tap, srv, other, lambda: answer(tap, srv, {"errors"}, "reload"), "reload")
    write(srv.path("restante.conf"), good)
    p = Out(srv, "reload")
    tap.ok(p.rc == 0 and p.out == b"ok\n", "reload, for people", p)
    good_reload(tap, srv, other, lambda: by_hangup(srv), "SIGHUP")
    write(srv.path("restante.conf"), good)
    by_hangup(srv)
    bad_reload(tap, srv, good)
    write(srv.path("restante.conf"), good)
    tap.ok(Out(srv, "reload").rc == 0, "the repaired file is taken")


def check_conf(tap, srv):
    """Needs no server, and does not disturb one."""
    conf, bad = srv.path("restante.conf"), srv.path("bad.conf")
    write(bad, open(conf).read() + BAD)
    for args, at in ((("check-conf", conf), []), (("check-conf",), ["-c", conf])):
        p = Out(srv, *args, at=at)
        tap.ok(p.rc == 0 and p.said(conf + ": ok"), "%s of a good file: 0" % (" ".join(at[:1] + ["check-conf"])), p)
    for args, at in ((("check-conf", bad), []), (("check-conf",), ["-c", bad])):
        p = Out(srv, *args, at=at)
        tap.ok(p.rc == 78 and p.said(*BAD_SAYS) and p.said("3 errors in " + bad),
               "of a bad file: 78, all errors counted", p)
    p = Out(srv, "check-conf", srv.path("absent.conf"), at=[])
    tap.ok(p.rc == 78 and p.said("absent.conf"), "of no file: 78", p)


def wrong(tap, srv):
    for args in (("dance",), ("status", "x"), ("sessions", "x"), ("kick",), ("kick", "x"), ("kick", ""),
                 ("kick", "1", "2"), ("kick", "99999999999999999999"), ("modules", "x"), ("modules", "doc"),
                 ("modules", "doc", "a", "b"), ("user",), ("user", "a", "b"), ("reload", "x"), ("drain", "x"),
                 ("log-reopen", "x"), ("--nonsense",), ("check-conf", "a", "b"), ()):
        p = Out(srv, *args)
        tap.ok(p.rc == 64 and p.err and not p.out, "'%s' is a usage error: 64" % " ".join(args), p)
    tap.ok(srv.alive() and Out(srv, "status").rc == 0, "and the server did not notice")
    absent = srv.path("run", "absent")
    for args in (("status",), ("sessions",), ("kick", "1"), ("modules",), ("user", "ann"), ("reload",), ("drain",),
                 ("log-reopen",), ("--json", "status")):
        p = Out(srv, *args, at=["-s", absent])
        tap.ok(p.rc == 69 and p.said(absent) and not p.out,
               "%s without a server: 69, and which socket was tried" % " ".join(args), p)
    p = Out(srv, "status", at=["-c", srv.path("absent.conf")])
    tap.ok(p.rc == 78 and p.said("absent.conf"), "without a configuration: 78", p)
    p = Out(srv, "status", at=["-c", srv.path("restante.conf")])
    tap.ok(p.rc == 0, "the socket is found by the configuration", p)
    for verb in ("help", "--help", "--version"):
        tap.ok(Out(srv, verb).rc == 0 and Out(srv, verb, at=[]).out, "%s needs no server" % verb)


def raw_socket(tap, srv):
    """A client that talks to the socket by hand gets JSON or nothing; the next one is served."""
    mode = os.stat(srv.path("run", "control"))
    tap.ok(stat.S_IMODE(mode.st_mode) == 0o600 and
           (not srv.root or mode.st_uid == pwd.getpwnam(SERVICE_USER).pw_uid), "the socket is the service user's alone")
    for text in (b"", b"status\n", b"[]\n", b"{}\n", b'{"verb":1}\n', b'{"verb":"dance"}\n', b"\xff\xfe\n",
                 b'{"verb":"status","verb":"drain"}\n', b'{"verb":"kick"}\n', b'{"verb":"kick","id":"1"}\n',
                 b'{"verb":"user"}\n', b"[" * 60000 + b"\n", b"x" * 70000):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE)
            s.connect(srv.path("run", "control"))
            try:
                s.sendall(text)
                s.shutdown(socket.SHUT_WR)
                got = s.makefile("rb").read()
            except OSError:
                got = b""  # closed with our bytes unread
        good = not got or json.loads(got)["ok"] is False
        tap.ok(good and Out(srv, "status").rc == 0,
               "%d bytes of %r: refused, and the next one is served" % (len(text), text[:34]), got)


def log_reopen(tap, srv):
    """With the log on standard error there is nothing to reopen, and no harm is done (files: logs.py)."""
    answer(tap, srv, {"ok"}, "log-reopen")
    tap.ok(Out(srv, "log-reopen").out == b"ok\n", "log-reopen, for people")


def drain(tap, srv):
    """Sessions may reach their QUIT; nobody new is let in; then the server ends with 0."""
    before = letters(srv, "ann")
    with Pop(srv.clear_port) as ann, Pop(srv.clear_port) as nobody:
        ann.login("ann")
        ann.say("DELE 1")
        answer(tap, srv, {"ok"}, "drain")
        tap.ok(ended(nobody), "a client that is not logged in is closed at once")

        def closed():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", srv.clear_port)) != 0
        wait_until(closed, PATIENCE, "the listeners to close")
        tap.ok(ann.say("NOOP").startswith(b"+OK"), "the open session goes on")
        tap.ok([s["user"] for s in sessions(srv)] == ["ann"], "sessions shows the one it waits for")
        tap.ok(Out(srv, "drain").rc == 0, "a second drain changes nothing")
        tap.ok(ann.say("QUIT").startswith(b"+OK"), "and comes to its QUIT")
    tap.ok(srv.proc.wait(PATIENCE) == 0, "the server ends with 0")
    tap.ok(letters(srv, "ann") == before - 1, "with the deletion done")
    tap.ok(not os.path.exists(srv.path("run", "control")) and Out(srv, "status").rc == 69, "and the socket is gone")


def cut_short(tap, srv):
    """A second SIGTERM does not wait for the sessions; messages they marked stay."""
    before = letters(srv, "ben")
    srv.start()
    with Pop(srv.clear_port) as ben:
        ben.login("ben")
        ben.say("DELE 1")
        tap.ok(Out(srv, "drain").out == b"ok\n", "drain, for people")
        wait_until(lambda: "stopping" in srv.log().rsplit(" started ", 1)[1], PATIENCE, "the drain to begin")
        srv.proc.send_signal(signal.SIGTERM)
        tap.ok(srv.proc.wait(PATIENCE) == 0 and ended(ben), "a second signal ends it: 0")
    tap.ok(letters(srv, "ben") == before, "and nothing is deleted")


def main():
    tap = Tap()
    with Server() as srv:
        srv.passwd({n: "restante" for n in ("ann", "ben", "reader")})
        for name, n in (("ann", 2), ("ben", 2), ("reader", 1), ("second/reader", 3)):
            srv.maildir(name, [LETTER] * n)
        srv.configure(plain(srv), drain=60)
        srv.start()
        for step in (wrong, raw_socket, log_reopen, modules_doc, check_conf, reload, drain, cut_short):
            if srv.alive():
                alone(srv)
            step(tap, srv)
        srv.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
