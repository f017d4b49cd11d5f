#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs of restantectl that look at a running server, and kick: the table for people, the JSON for programs, the exit codes
of the manual; and they do not disturb other sessions. The verbs that steer the server: steer.py."""
import json
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE, Pop  # noqa: E402
from restantectl import SEEN, Out, alone, answer, ended, is_plain, letters, pairs, session_of, sessions, table  # noqa: E402
from sections import accounts, hurt, maildirs, plain  # noqa: E402
from server import Server, Tap, has_ipv6, wait_until  # noqa: E402

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
LONG = "y" * 62 + "\u00eb"


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
               doc["counters"]["retrieved_bytes"] == len(b"".join(got)), "status counts what was retrieved", doc)
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
        docs = answer(tap, srv, {"sessions"}, "sessions")["sessions"]
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
    tap.ok(p.rc == 0 and p.said("asked for ann", "auth section accounts: has this user") and
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
    """This verb is for calls that hang and breakers that have opened."""
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


def cut_name(tap, srv):
    """The table of sessions holds 63 octets of a name: the last letter of this one does not fit."""
    with Pop(srv.clear_port) as p:
        tap.ok(p.login(LONG).startswith(b"+OK"), "a name whose 63rd octet is in the middle of a letter logs in")
        got = Out(srv, "--json", "sessions")
        tap.ok(got.rc == 0 and [s["user"] for s in json.loads(got.out or b'{"sessions": []}')["sessions"]] == [LONG[:-1]],
               "sessions shows it as far as it goes, and all others", got)
        p.say("QUIT")


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


def prepare(srv):
    srv.passwd({n: "restante" for n in NAMES + [LONG, "ben", "new", "off", "meek", "hung", "brk", "brk2", "lost"]}, off="disabled",
               meek="nopop3 nodelete", hung="storage=hangs", brk="storage=breaks", brk2="storage=breaks", lost="storage=nowhere")
    for i, name in enumerate(NAMES + ["ben", "brk", "hung"]):
        srv.maildir(name, [LETTER] * (2 if i == 0 or name == "ben" else 1))


def at_work(tap):
    steps = [status, who_is_there, kick, odd_names, cut_name]
    with Server() as srv:
        prepare(srv)
        if has_ipv6():
            srv.six_port = srv.clear_port
            srv.extra_listeners = "listener six {\n address = ::1\n port = %d\n}" % srv.six_port
            steps.append(odd_peers)
        else:
            tap.ok(True, "peers by IPv6 # SKIP there is no ::1")
        srv.configure(plain(srv), drain=60)
        srv.start()
        for step in steps:
            alone(srv)
            step(tap, srv)
        srv.ends(tap)


def in_need(tap):
    with Server() as srv:
        prepare(srv)
        srv.write("more", "late:{PLAIN}restante\n")
        srv.configure(accounts(srv, unknown="next") + accounts(srv, "more", file=srv.path("more")) + maildirs(srv) +
                      hurt(srv, "box_stat * error DOWN", "tick * error DOWN"), drain=60)
        srv.start()
        for step in (user, modules):
            alone(srv)
            step(tap, srv)
        lines = [line for line in srv.log().splitlines() if " tick " in line and "section breaks" in line]
        tap.ok(len(lines) == 1, "a tick that fails ten times a second is one line in the log", lines)
        srv.ends(tap)


def main():
    tap = Tap()
    at_work(tap)
    in_need(tap)
    SEEN.show(tap, "status", "sessions", "kick", "modules", "user")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
