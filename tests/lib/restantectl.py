# SPDX-License-Identifier: Apache-2.0
"""Runs restantectl, and reads its output for people and for programs."""
import json
import os
import subprocess

from fields import Seen
from server import wait_until

PATIENCE = 30
SEEN = Seen()


class Out:
    """A finished restantectl, its output in bytes."""

    def __init__(self, srv, *args, at=None):
        cmd = [srv.bin("restantectl")] + (["-s", srv.path("run", "control")] if at is None else at)
        p = subprocess.run(cmd + list(args), capture_output=True, timeout=90)
        self.rc, self.out, self.err = p.returncode, p.stdout, p.stderr

    def __str__(self):
        return "%d\n%s\n%s" % (self.rc, self.out.decode("utf-8", "replace"), self.err.decode("utf-8", "replace"))

    def said(self, *words):
        return all(w.encode() in self.out + self.err for w in words)


def table(raw):
    """The rows of a table as dicts; columns begin where the titles in the header begin."""
    lines = raw.decode().encode().split(b"\n")  # must be UTF-8
    head, at, titles = lines[0], [], []
    for word in head.replace(b"AVG us", b"AVG_us").replace(b"MAX ms", b"MAX_ms").replace(b"FOR ms", b"FOR_ms").split():
        titles.append(word.decode())
        at.append(head.index(word.replace(b"_", b" "), at[-1] if at else 0))
    ends = at[1:] + [None]
    return [{t: line[a:e].strip().decode() for t, a, e in zip(titles, at, ends)} for line in lines[1:] if line]


def pairs(raw):
    """`key   value` lines as a dict; in a status all keys are different."""
    return dict(line.strip().split(None, 1) for line in raw.decode().splitlines() if len(line.split(None, 1)) == 2)


def is_plain(raw):
    """Nothing that a terminal would obey, and no line that should not be there."""
    return all(c >= 0x20 and c != 0x7f for c in raw.replace(b"\n", b""))


def answer(tap, srv, fields, *args):
    """The JSON answer of a verb that must succeed, with at least these fields."""
    p = Out(srv, "--json", *args)
    try:
        doc = json.loads(p.out)
    except ValueError as e:
        tap.ok(False, "%s --json is JSON" % args[0], "%s\n%s" % (e, p))
        return {}
    SEEN.look(args[0], doc)
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


def ended(pop):
    """The server closed without an answer."""
    return pop.line() == b""


def alone(srv):
    """All clients are gone: a connection that its client has closed counts until the server has closed it, too."""
    wait_until(lambda: json.loads(Out(srv, "--json", "status").out)["connections"] == 0, PATIENCE, "the last ones to be gone")
