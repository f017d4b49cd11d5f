#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every verb of restantectl as an operator uses it, on a server at work: the table for people, the JSON for
programs, the exit codes of the manual, and what a verb does to the sessions of others (nothing).
"""
import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE, SECTIONS, Pop  # noqa: E402
from server import SERVICE_USER, Server, Tap, has_ipv6, wait_until  # noqa: E402

LETTER = b"Subject: a letter\n\nbody\n"

STATUS = {"ok", "version", "pid", "uptime_s", "configuration", "configuration_serial", "workers", "connections",
          "logged_in", "sessions", "queue_depth", "queue_head_age_ms", "calls", "calls_overdue", "log_lines_dropped",
          "certificate_not_after", "door", "counters"}
SESSION = {"id", "where", "state", "user", "peer", "tls", "age_s", "idle_s", "messages", "deleted_pending",
           "octets_out"}
MODULE = {"kind", "section", "module", "version", "path", "gate", "permits", "in_use", "waiting", "breaker", "calls",
          "refused", "timeouts", "failures", "trips", "overdue", "average_us", "slowest_ms", "counters"}
CALL = {"gate", "method", "session", "for_ms", "overdue"}
USER = {"ok", "name", "chain", "user", "key", "state", "pop3", "delete", "storage", "open"}

# Names a login may have: text of any kind (control characters are refused at the door).
NAMES = ["ann", 'quo"te', "back\\slash", '{"ok",false}', "%s%n%x", "<b>&amp;", "a|b;c`d`$e", "zo\u00eb", "\u65e5\u672c",
         "\u202etxt", "-", "--json", "x" * 63]

HURT = """
auth accounts {
 module = passwd
 file = @/passwd
 allow_plain = yes
 unknown = next
 storage = mail
}
auth more {
 module = passwd
 file = @/more
 allow_plain = yes
 storage = mail
}
storage mail {
 module = maildir
 path = @/mail/%n
}
storage one {
 module = maildir
 path = @/mail/%n
}
storage two {
 module = maildir
 path = @/mail/%n
}
storage hangs {
 module = fault
 wrap = one
 rule = mbox_open * hang
 release = @/release
 scan_ms = 1000
 permits = 2
}
storage breaks {
 module = fault
 wrap = two
 rule = mbox_open * error DOWN
 rule = box_stat * error DOWN
 rule = tick * error DOWN
 trip_after = 2
 breaker_open_ms = 3600000
 permits = 2
}
"""

BAD = "nonsense = 1\nworkers = many\nstorage third {\n module = nosuchmodule\n}\n"
BAD_SAYS = ("unknown setting 'nonsense'", "workers = many", "nosuchmodule.so")


class Out:
    """What restantectl did, in bytes."""

    def __init__(self, srv, *args, at=None):
        cmd = [srv.bin("restantectl")] + (["-s", srv.path("run", "control")] if at is None else at)
        p = subprocess.run(cmd + list(args), capture_output=True, timeout=90)
        self.rc, self.out, self.err = p.returncode, p.stdout, p.stderr

    def __str__(self):
        return "%d\n%s\n%s" % (self.rc, self.out.decode("utf-8", "replace"), self.err.decode("utf-8", "replace"))

    def said(self, *words):
        return all(w.encode() in self.out + self.err for w in words)


def table(raw):
    """The rows of a table as dicts; cells are cut where the header's titles begin."""
    lines = raw.decode().encode().split(b"\n")  # must be UTF-8
    head, at, titles = lines[0], [], []
    for word in head.replace(b"AVG us", b"AVG_us").replace(b"MAX ms", b"MAX_ms").replace(b"FOR ms", b"FOR_ms").split():
        titles.append(word.decode())
        at.append(head.index(word.replace(b"_", b" "), at[-1] if at else 0))
    ends = at[1:] + [None]
    return [{t: line[a:e].strip().decode() for t, a, e in zip(titles, at, ends)} for line in lines[1:] if line]


def pairs(raw):
    """`key   value` lines as a dict; of a status all keys are different."""
    return dict(line.strip().split(None, 1) for line in raw.decode().splitlines() if len(line.split(None, 1)) == 2)


def is_plain(raw):
    """Nothing a terminal would obey, and no line that was not meant."""
    return all(c >= 0x20 and c != 0x7f for c in raw.replace(b"\n", b""))


def answer(tap, srv, fields, *args):
    """The JSON answer of a verb that must succeed, with these fields at least."""
    p = Out(srv, "--json", *args)
    try:
        doc = json.loads(p.out)
    except ValueError as e:
        tap.ok(False, "%s --json is JSON" % args[0], "%s\n%s" % (e, p))
        return {}
    good = p.rc == 0 and doc.get("ok") is True and fields <= set(doc)
    tap.ok(good, "%s --json is JSON with the fields of its verb" % " ".join(args[:2]),
           "missing %s in\n%s" % (sorted(fields - set(doc)), p))
    return doc


def sessions(srv, *args):
    return json.loads(Out(srv, "--json", "sessions", *args).out)["sessions"]


def session_of(srv, user):
    return [s for s in sessions(srv) if s["user"] == user]


def letters(srv, user):
    return len([1 for d in ("new", "cur") for _ in os.listdir(srv.path("mail", user, d))])


def status(tap, srv):
    with Pop(srv.clear_port) as ann, Pop(srv.clear_port) as nobody:
        ann.login("ann")
        got = ann.lines("RETR 1")
        doc = answer(tap, srv, STATUS, "status")
        tap.ok(doc["pid"] == srv.proc.pid and doc["configuration"] == srv.path("restante.conf"),
               "status names the process and its configuration", doc)
        tap.ok(doc["connections"] == 2 and doc["logged_in"] == 1 and sum(doc["sessions"].values()) == 2,
               "status counts connections and logins", doc)
        tap.ok(doc["counters"]["messages_retrieved"] == 1 and doc["counters"]["logins_accepted"] == 1 and
               doc["counters"]["octets_retrieved"] == len(b"".join(got)), "status counts what was retrieved", doc)
        p = Out(srv, "status")
        seen = pairs(p.out)
        tap.ok(p.rc == 0 and seen["pid"] == str(srv.proc.pid) and seen["logged_in"] == "1" and
               seen["connections"] == "2" and seen["messages_retrieved"] == "1", "and the table says the same", p)
        tap.ok("certificate valid until  2" in p.out.decode(), "until when the certificate is valid", p)
        nobody.say("QUIT")


def who_is_there(tap, srv):
    with Pop(srv.clear_port) as ann, Pop(srv.tls_port, srv.path("cert.pem")) as ben, Pop(srv.clear_port) as nobody:
        ann.login("ann")
        ben.login("ben")
        ann.say("DELE 1")
        rows = table(Out(srv, "sessions").out)
        docs = sessions(srv)
        tap.ok(len(docs) == 3 and all(SESSION <= set(d) for d in docs), "sessions --json has all of them", docs)
        tap.ok(sorted(r["ID"] for r in rows) == sorted(str(d["id"]) for d in docs), "and so has the table", rows)
        ours = [r for r in rows if r["USER"] == "ann"][0]
        tap.ok(ours["PEER"] == "127.0.0.1:%d" % ann.sock.getsockname()[1] and ours["MSGS"] == "2" and
               ours["DELE"] == "1" and ours["STATE"] == "trans" and ours["TLS"] == "none",
               "who, from where, how far, and what is marked as deleted", rows)
        tap.ok([r["TLS"] for r in rows if r["USER"] == "ben"] == ["1.3"], "TLS and its version", rows)
        tap.ok([r["STATE"] for r in rows if r["USER"] == "-"] == ["auth"], "a connection without a login is listed",
               rows)
        tap.ok([s["user"] for s in sessions(srv, "--user", "ben")] == ["ben"] and not sessions(srv, "--user", "cay"),
               "sessions --user NAME")
        tap.ok([r["USER"] for r in table(Out(srv, "sessions", "--user", "ann").out)] == ["ann"], "and as a table")
        for p in (ann, ben):
            tap.ok(p.say("RSET").startswith(b"+OK") and p.say("QUIT").startswith(b"+OK"),
                   "a session that was looked at goes on")
        nobody.say("QUIT")


def ended(pop):
    """The server closed without a word."""
    return pop.line() == b""


def kick(tap, srv):
    before = letters(srv, "ann")
    with Pop(srv.clear_port) as ann, Pop(srv.clear_port) as ben, Pop(srv.clear_port) as nobody:
        ann.login("ann")
        ben.login("ben")
        ann.say("DELE 1")
        p = Out(srv, "kick", str(session_of(srv, "ann")[0]["id"]))
        tap.ok(p.rc == 0 and p.out == b"ok\n", "kick ID", p)
        tap.ok(ended(ann), "the session ends without a word")
        wait_until(lambda: not session_of(srv, "ann"), PATIENCE, "its mailbox to be closed: the connection is closed first")
        tap.ok(letters(srv, "ann") == before, "and nothing of its is deleted")
        tap.ok(ben.say("NOOP").startswith(b"+OK"), "another's session goes on")
        with Pop(srv.clear_port) as again:
            tap.ok(again.login("ann").startswith(b"+OK 2 "), "the mailbox is free, with all its mail")
            again.say("DELE 2")
            doc = answer(tap, srv, {"kicked"}, "kick", "--user", "ann")
            tap.ok(doc.get("kicked") == 1 and ended(again), "kick --user NAME", doc)
        anon = [s for s in sessions(srv) if s["user"] == ""]
        tap.ok(Out(srv, "kick", str(anon[0]["id"])).rc == 0 and ended(nobody), "kick before the login")
        tap.ok(ben.say("QUIT").startswith(b"+OK"), "the other one comes to its QUIT")
    tap.ok(letters(srv, "ann") == before, "still nothing is deleted")
    p = Out(srv, "kick", "999999")
    tap.ok(p.rc == 1 and p.said("no such session"), "kick of a session that is not there: 1", p)
    p = Out(srv, "--json", "kick", "--user", "cay")
    tap.ok(p.rc == 1 and json.loads(p.out)["ok"] is False and json.loads(p.out)["error"], "and as JSON", p)


def user(tap, srv):
    doc = answer(tap, srv, USER | {"messages", "octets", "last_delivery"}, "user", "ann")
    octets = len(LETTER.replace(b"\n", b"\r\n"))
    tap.ok([doc[k] for k in ("messages", "octets", "storage", "state", "pop3", "delete", "open")] ==
           [2, 2 * octets, "mail", "enabled", True, True, False],
           "user: account, rights and mailbox", doc)
    p = Out(srv, "user", "ann")
    tap.ok(p.rc == 0 and p.said("asked for ann", "auth section accounts has this user") and
           pairs(p.out)["messages"] == "2" and pairs(p.out)["state"] == "enabled", "and for people", p)
    with Pop(srv.clear_port) as ann:
        ann.login("ann")
        tap.ok(answer(tap, srv, USER, "user", "ann").get("open") is True, "user: the mailbox is open now")
        ann.say("QUIT")
    doc = answer(tap, srv, USER | {"mailbox"}, "user", "new")
    tap.ok(doc["mailbox"] == "none yet: nothing was delivered", "user: an account without a mailbox", doc)
    doc = answer(tap, srv, USER, "user", "off")
    tap.ok(doc["state"] == "disabled" and pairs(Out(srv, "user", "off").out)["state"] == "disabled", "user: disabled",
           doc)
    doc = answer(tap, srv, USER, "user", "meek")
    tap.ok(doc["pop3"] is False and doc["delete"] is False, "user: no right to POP3 or to delete", doc)
    doc = answer(tap, srv, USER, "user", "late")
    tap.ok([(s["section"], s["answer"]) for s in doc["chain"]] ==
           [("accounts", "does not have this user"), ("more", "has this user")],
           "user: section after section is asked", doc)
    doc = answer(tap, srv, {"name", "chain"}, "user", "cay")
    tap.ok([s["answer"] for s in doc["chain"]] == ["does not have this user"] * 2 and "user" not in doc,
           "user: nobody has it", doc)
    p = Out(srv, "user", "cay")
    tap.ok(p.rc == 0 and p.out.count(b"does not have this user") == 2, "and for people", p)
    p = Out(srv, "user", "lost")
    tap.ok(p.rc == 0 and p.said("(no such section)"), "user: its storage section is not there", p)
    p = Out(srv, "user", "two\nlines")
    tap.ok(p.rc == 1 and p.said("is not a possible user name"), "user: no name a login could have: 1", p)


def modules_in_need(tap, srv):
    """One section is broken, a call of another one hangs."""
    doc = answer(tap, srv, {"modules", "calls"}, "modules")
    tap.ok(all(MODULE <= set(m) for m in doc["modules"] if m["section"] not in ("one", "two")) and
           all(CALL <= set(c) for c in doc["calls"]), "each section and each call with its fields", doc)
    by_name = {m["section"]: m for m in doc["modules"]}
    tap.ok(by_name["breaks"]["breaker"] != "closed" and by_name["breaks"]["trips"] == 1 and
           by_name["breaks"]["failures"] >= 2 and by_name["mail"]["breaker"] == "closed",
           "modules: the breaker of the broken section is open, the others' closed", doc)
    tap.ok([(c["method"], "hangs" in c["gate"]) for c in doc["calls"]] == [("mbox_open", True)] and
           by_name["hangs"]["overdue"] == 1, "modules: which call of which section hangs", doc)
    p = Out(srv, "modules")
    first, _, second = p.out.partition(b"\n\n")
    row = {r["SECTION"]: r for r in table(first)}
    calls = table(second)
    tap.ok(row["breaks"]["BREAKER"] != "closed" and row["hangs"]["OVERDUE"] == "1" and row["mail"]["OVERDUE"] == "0" and
           [(c["METHOD"], c["OVERDUE"]) for c in calls] == [("mbox_open", "yes")], "and for people", p)


def modules(tap, srv):
    """A call that hangs and a breaker that opened are what this verb is for."""
    rows = table(Out(srv, "modules").out)
    tap.ok([(r["KIND"], r["SECTION"], r["MODULE"]) for r in rows] ==
           [("auth", "accounts", "passwd"), ("auth", "more", "passwd"), ("storage", "mail", "maildir"),
            ("storage", "one", "maildir"), ("storage", "two", "maildir"), ("storage", "hangs", "fault"),
            ("storage", "breaks", "fault")],
           "modules: a line for each section", rows)
    with Pop(srv.clear_port) as p:
        replies = [p.login(n) for n in ("brk", "brk2", "brk")]
        tap.ok(all(r.startswith(b"-ERR [SYS/TEMP]") for r in replies), "a broken store is temporary to the client",
               replies)
    hung = Pop(srv.clear_port)
    hung.say("USER hung")
    hung.file.write(b"PASS restante\r\n")
    hung.file.flush()

    def overdue():
        doc = json.loads(Out(srv, "--json", "modules").out)
        return [c for c in doc["calls"] if c["overdue"]] and sum(m.get("overdue", 0) for m in doc["modules"])
    wait_until(overdue, PATIENCE, "the hanging call to be overdue")
    modules_in_need(tap, srv)
    tap.ok(answer(tap, srv, {"calls_overdue"}, "status").get("calls_overdue") == 1, "status counts it, too")
    p = Out(srv, "user", "brk")
    tap.ok(p.rc == 0 and pairs(p.out).get("mailbox"), "user says why a mailbox cannot be looked at", p)
    with Pop(srv.clear_port) as ann:
        tap.ok(ann.login("ann").startswith(b"+OK 2 "), "users of the other section log in meanwhile")
        ann.say("QUIT")
    open(srv.path("release"), "w").close()
    wait_until(lambda: not overdue(), PATIENCE, "the call to come back")
    hung.close()


def modules_doc(tap, srv):
    """Needs no server."""
    conf = ["-c", srv.path("restante.conf")]
    for name, kind, settings in (("maildir", "storage", ("path (", "fsync (", "mark_seen (")),
                                 ("passwd", "auth", ("file (", "strip_domain (", "allow_plain (")),
                                 (os.path.join(srv.tree, "lib/restante/modules/fault.so"), "storage", ("rule (",))):
        p = Out(srv, "modules", "doc", name, at=conf)
        tap.ok(p.rc == 0 and p.said(kind, *settings), "modules doc %s: its settings" % os.path.basename(name), p)
    p = Out(srv, "modules", "doc", "nosuchmodule", at=conf)
    tap.ok(p.rc == 1 and p.said("nosuchmodule.so"), "modules doc of what is not there", p)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def counted(srv, word):
    return len([line for line in srv.log().splitlines() if word in line])


def in_force(srv, box):
    """How many letters a new session of `reader` sees: the configuration's path tells."""
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
    """Whoever talks to the socket by hand gets JSON or nothing; the next one is served."""
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


def odd_names(tap, srv):
    pops = [Pop(srv.clear_port) for _ in NAMES]
    replies = [p.login(n) for p, n in zip(pops, NAMES)]
    tap.ok(all(r.startswith(b"+OK") for r in replies), "names of all kinds log in", replies)
    p = Out(srv, "sessions")
    rows = table(p.out)
    tap.ok(is_plain(p.out) and len(rows) == len(NAMES) and sorted(r["USER"] for r in rows) == sorted(NAMES),
           "the table holds: a line for each", p)
    tap.ok(all(r["PEER"].startswith("127.0.0.1:") and r["ID"].isdigit() for r in rows),
           "with every cell in its column", p)
    doc = answer(tap, srv, {"sessions"}, "sessions")
    tap.ok(sorted(s["user"] for s in doc["sessions"]) == sorted(NAMES), "JSON has each name as it is", doc)
    for name, pop in zip(NAMES, pops):
        doc = json.loads(Out(srv, "--json", "user", "--", name).out)
        seen = Out(srv, "user", "--", name)
        tap.ok(doc.get("user") == name and doc.get("messages") == letters(srv, name) and is_plain(seen.out) and
               pairs(seen.out)["user"] == name, "user %s" % name[:20].encode("unicode_escape").decode(), seen)
        k = Out(srv, "kick", "--user=" + name)
        tap.ok(k.rc == 0 and ended(pop), "kick it by name", k)
        pop.close()
    with Pop(srv.clear_port) as p:
        for name in (b"tab\tname", b"\x1b[31mred", b"bad\xffbyte", b"del\x7f", b"c1\xc2\x9bx"):
            tap.ok(p.say(b"USER " + name).startswith(b"-ERR") or p.say(b"PASS restante").startswith(b"-ERR"),
                   "%r is nobody's name" % name)
        tap.ok(is_plain(Out(srv, "sessions").out) and Out(srv, "--json", "sessions").rc == 0,
               "and does no harm to the table")


def odd_peers(tap, srv):
    with socket.socket(socket.AF_INET6) as s:
        s.settimeout(PATIENCE)
        s.connect(("::1", srv.six_port))
        s.makefile("rb").readline()
        port = s.getsockname()[1]
        rows = [r["PEER"] for r in table(Out(srv, "sessions").out)]
        docs = [d["peer"] for d in sessions(srv)]
        tap.ok(rows == docs and len(docs) == 1 and "::1" in docs[0] and docs[0].endswith(":%d" % port),
               "a peer by IPv6 in table and JSON", (rows, docs))


def log_reopen(tap, srv):
    """With the log on standard error there is nothing to open, and no harm done (files: logs.py)."""
    answer(tap, srv, {"ok"}, "log-reopen")
    tap.ok(Out(srv, "log-reopen").out == b"ok\n", "log-reopen, for people")


def drain(tap, srv):
    """Sessions come to their QUIT; nobody new is let in; then the server ends with 0."""
    before = letters(srv, "ann")
    with Pop(srv.clear_port) as ann, Pop(srv.clear_port) as nobody:
        ann.login("ann")
        ann.say("DELE 1")
        answer(tap, srv, {"ok"}, "drain")
        tap.ok(ended(nobody), "who is not logged in goes at once")

        def closed():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", srv.clear_port)) != 0
        wait_until(closed, PATIENCE, "the listeners to close")
        tap.ok(ann.say("NOOP").startswith(b"+OK"), "the open session goes on")
        tap.ok([s["user"] for s in sessions(srv)] == ["ann"], "sessions shows who is waited for")
        tap.ok(Out(srv, "drain").rc == 0, "a second drain changes nothing")
        tap.ok(ann.say("QUIT").startswith(b"+OK"), "and comes to its QUIT")
    tap.ok(srv.proc.wait(PATIENCE) == 0, "the server ends with 0")
    tap.ok(letters(srv, "ann") == before - 1, "with the deletion done")
    tap.ok(not os.path.exists(srv.path("run", "control")) and Out(srv, "status").rc == 69, "and the socket is gone")


def cut_short(tap, srv):
    """A second SIGTERM does not wait for the sessions; what they marked stays."""
    before = letters(srv, "ben")
    start(srv)
    with Pop(srv.clear_port) as ben:
        ben.login("ben")
        ben.say("DELE 1")
        tap.ok(Out(srv, "drain").out == b"ok\n", "drain, for people")
        wait_until(lambda: "stopping" in srv.log().rsplit(" started ", 1)[1], PATIENCE, "the drain to begin")
        srv.proc.send_signal(signal.SIGTERM)
        tap.ok(srv.proc.wait(PATIENCE) == 0 and ended(ben), "a second signal ends it: 0")
    tap.ok(letters(srv, "ben") == before, "and nothing is deleted")


def start(srv):
    """The ports are open a little before the control socket is."""
    srv.start()
    wait_until(lambda: Out(srv, "status").rc == 0, PATIENCE, "the control socket")


def alone(srv):
    """Whoever was there is gone: a connection that its client has closed is counted until the server has, too."""
    wait_until(lambda: json.loads(Out(srv, "--json", "status").out)["connections"] == 0, PATIENCE, "the last ones to be gone")


def prepare(srv):
    text = "".join("%s:{PLAIN}restante\n" % n for n in NAMES + ["ben", "new", "reader"])
    text += "off:{PLAIN}restante::::::disabled\nmeek:{PLAIN}restante::::::nopop3 nodelete\n"
    text += "hung:{PLAIN}restante::::::storage=hangs\n"
    text += "brk:{PLAIN}restante::::::storage=breaks\nbrk2:{PLAIN}restante::::::storage=breaks\n"
    text += "lost:{PLAIN}restante::::::storage=nowhere\n"
    for name, lines in (("passwd", text), ("more", "late:{PLAIN}restante\n")):
        with open(srv.path(name), "w", encoding="utf-8") as f:
            f.write(lines)
        os.chmod(srv.path(name), 0o600)
        srv.give(srv.path(name))
    for i, name in enumerate(NAMES + ["ben", "brk", "hung"]):
        srv.maildir(name, [LETTER] * (2 if i == 0 or name == "ben" else 1))
    srv.maildir("reader", [LETTER])
    srv.maildir("second/reader", [LETTER] * 3)


def run(tap, steps, sections, six=False):
    srv = Server()
    try:
        prepare(srv)
        if six:
            srv.six_port = srv.clear_port
            srv.extra_listeners = "listener six {\n address = ::1\n port = %d\n}" % srv.six_port
        srv.configure(sections(srv), drain=60)
        start(srv)
        for step in steps:
            if srv.alive():
                alone(srv)
            step(tap, srv)
    finally:
        if srv.alive():
            open(srv.path("release"), "w").close()
        rc = srv.close()
    tap.ok(rc == 0, "the server ended cleanly", rc)


def main():
    tap = Tap()
    plain = [status, who_is_there, kick, odd_names, wrong, raw_socket, log_reopen, modules_doc, check_conf, reload,
             drain, cut_short]
    if has_ipv6():
        plain.insert(4, odd_peers)
    else:
        tap.ok(True, "peers by IPv6 # SKIP there is no ::1")
    run(tap, plain, lambda srv: SECTIONS % (srv.path("passwd"), srv.path("mail")), has_ipv6())
    run(tap, [user, modules], lambda srv: HURT.replace("@", srv.dir))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
