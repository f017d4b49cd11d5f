#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The requests of the control socket, by the table in src/answer/requests.h: restantectl sends each of them, with each of its
keys, the server knows them all, and restantectl(8) has them; a request with any other key, or a value of another type, is refused
and does nothing."""
import json
import os
import re
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from restantectl import letters  # noqa: E402
from sections import block, plain  # noqa: E402
from server import Server, Tap  # noqa: E402

TABLE = os.path.join(HERE, "..", "..", "src", "answer", "requests.h")
MAN = os.path.join(HERE, "..", "..", "doc", "man", "restantectl.8")
PATIENCE = 60
ITEM = "r0000000000000001"
FILTERS = ("--class retry --reason full --code 4.2.2 --sender a@b.test --sender-domain b.test --recipient ann --source lmtp "
           "--since 7d --before 1h")
# All of restantectl: each line is one command; `drain` comes last.
COMMANDS = ("status", "metrics", "clock", "clock accept", "sessions --user ann", "kick 999999", "kick --user nobody", "modules", "user ann",
            "auth test ann --password-stdin --peer 127.0.0.1", "forget ann", "reload", "volumes", "quota ann",
            "quota --domain b.test --recount", "expire ann --unmarked", "expire --domain b.test --dry-run",
            "undelete ann --list", "undelete ann some-uidl", "badmail list --limit 1 --after %s %s" % (ITEM, FILTERS),
            "badmail stats " + FILTERS, "badmail retry " + ITEM, "badmail retry " + FILTERS, "badmail purge " + ITEM,
            "badmail purge " + FILTERS, "badmail show " + ITEM, "log-reopen", "drain")
# Sent when an answer has more pages than one, as badmail.py has them.
PAGES = {("badmail stats", "after"), ("badmail retry", "after"), ("badmail purge", "after")}
WRONG = {"TEXT": 1, "NUMBER": "1", "YESNO": "true", "LIST": "a"}
RIGHT = {"TEXT": "a", "NUMBER": 1, "YESNO": True, "LIST": ["a"]}


def table():
    """({key: type}, {"verb" or "verb action": keys})."""
    text = open(TABLE).read().replace("\\\n", "")
    keys = dict(re.findall(r"\bK\((\w+), ([A-Z]+)\)", text))
    filters = re.findall(r"\bK\((\w+), ", re.search(r"#define REQUEST_FILTERS\(K\)(.*)", text).group(1))
    verbs = {}
    for verb, action, takes in re.findall(r'\bR\(\w+, "([\w-]+)", (NULL|"\w+"), ([^\n]*?)\)(?=\s+R\(|\s*\n)', text):
        name = verb if action == "NULL" else verb + " " + action.strip('"')
        verbs[name] = re.findall(r"TAKES\((\w+)\)", takes) + (filters if "TAKES_FILTERS" in takes else [])
    return keys, verbs


def name_of(request):
    return " ".join(request[k] for k in ("verb", "action") if k in request)


def ask(srv, line):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(srv.path("run", "control"))
        s.sendall(line)
        return s.makefile("rb").read()


def send(srv, request):
    return json.loads(ask(srv, json.dumps(request).encode() + b"\n"))


class Relay:
    """A control socket that hands everything on to the server's, and keeps it."""

    def __init__(self, srv):
        self.srv, self.seen = srv, []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(srv.path("relay"))
        self.socket.listen()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            peer, _ = self.socket.accept()
            with peer:
                line = peer.makefile("rb").readline()
                answer = ask(self.srv, line)
                self.seen.append((json.loads(line), json.loads(answer)))
                peer.sendall(answer)

    def command(self, words):
        subprocess.run([self.srv.bin("restantectl"), "-s", self.srv.path("relay"), "--json", *words.split()], input=b"restante\n",
                       capture_output=True, timeout=PATIENCE)


def reached(tap, relay, verbs):
    """By the commands above; drain is among them."""
    sent = {}
    for words in COMMANDS:
        before = len(relay.seen)
        relay.command(words)
        tap.ok(len(relay.seen) > before, "restantectl %s asks the server" % words)
    for request, _ in relay.seen:
        sent.setdefault(name_of(request), set()).update(request)
    tap.ok(set(sent) == set(verbs), "restantectl sends every request of the table, and no other", set(sent) ^ set(verbs))
    for name, keys in sorted(verbs.items()):
        missing = [k for k in keys if k not in sent.get(name, ()) and (name, k) not in PAGES]
        tap.ok(not missing, "%s: restantectl can send each of its keys" % name, missing)
    refused = [(q, a) for q, a in relay.seen if re.search(r"unknown verb|takes no|: \w+ is not ", a.get("error", ""))]
    tap.ok(not refused, "the server understands all that restantectl sends", refused)


def documented(tap):
    man, named = open(MAN).read(), [words.split() for words in COMMANDS]
    for item in sorted({" Cm ".join(w[:2] if w[0] in ("auth", "badmail") else w[:1]) for w in named}):
        tap.ok(re.search(r"\n\.It Cm %s\b" % item, man), "restantectl(8) has %s" % item.replace(" Cm", ""))
    for option in sorted({w[2:] for words in named for w in words if w.startswith("--")}):
        tap.ok(re.search(r"\bFl -%s\b" % option, man), "restantectl(8) has --%s" % option)


def strange(tap, srv, keys, verbs):
    """None of them does anything: there is mail that expire would delete, a server that drain would end."""
    for name, takes in sorted(verbs.items()):
        request = dict(zip(("verb", "action"), name.split()))
        others = [k for k in keys if k not in takes and k not in request]
        taken = [k for k in others + ["no_such_key"] if "takes no '%s'" % k not in
                 send(srv, dict(request, **{k: RIGHT[keys.get(k, "TEXT")]})).get("error", "")]
        tap.ok(not taken, "%s: a key that it does not take is refused" % name, taken)
        taken = [k for k in takes if ": %s is not " % k not in send(srv, dict(request, **{k: WRONG[keys[k]]})).get("error", "")]
        tap.ok(not taken, "%s: a value of another type is refused" % name, taken)
    for request in ({"verb": "badmail"}, {"verb": "badmail", "action": "dance"}, {"verb": "dance"}):
        said = send(srv, request).get("error", "")
        tap.ok(said == "unknown verb '%s'" % name_of(request), "%s: unknown" % name_of(request), said)
    said = send(srv, {"verb": "badmail", "action": "purge", "class": "refsued"}).get("error", "")
    tap.ok("refsued" in said, "a class that there is none of is refused", said)
    tap.ok(srv.alive() and letters(srv, "ann") == 1, "and nothing was done")


def main():
    tap = Tap()
    keys, verbs = table()
    with Server() as srv:
        srv.passwd({"ann": "restante"})
        srv.maildir("ann", [b"Subject: a letter\n\nbody\n"])
        srv.configure(plain(srv) + block("badmail", path=srv.mkdir("bad")))
        srv.start()
        tap.ok(len(verbs) == open(TABLE).read().count("\tR(") and "user" in verbs["kick"] and "reason" in verbs["badmail list"],
               "the table was read", verbs)
        strange(tap, srv, keys, verbs)
        documented(tap)
        reached(tap, Relay(srv), verbs)
        tap.ok(srv.proc.wait(PATIENCE) == 0, "drain ends the server")
        srv.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
