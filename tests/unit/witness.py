#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The judge of tests/lib/witness.py itself: it accepts correct runs, and finds each kind of fault. TAP."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Tap  # noqa: E402
from witness import Session, Witness  # noqa: E402


def session(w, asked, seen, marked=(), outcome="none", left=None, ended=None, host="a"):
    s = Session("ann", host, asked, asked + 1)
    s.seen, s.marked, s.outcome = frozenset(seen), frozenset(marked), outcome
    s.left = asked + 5 if left is None else left
    s.ended = s.left + 1 if ended is None else ended
    w.session(s)


def case(tap, name, fill, final, finds, fresh_s=0):
    w = Witness()
    fill(w)
    bad = w.judge({"ann": {u: "id-" + u for u in final}}, lease_s=10, fresh_s=fresh_s)
    tap.ok(len(bad) == 0 if finds is None else len(bad) > 0 and all(finds in b for b in bad), name, bad)


def main():
    tap = Tap()

    def right(w):
        session(w, 0, "xyz", "x", "committed")
        session(w, 10, "yz", "y", "refused")
        session(w, 20, "yz", "yz", "unknown")
        session(w, 30, "", host="b")
    case(tap, "a history that is right", right, "", None)
    case(tap, "a committed deletion undone, at the end", lambda w: session(w, 0, "xy", "x", "committed"), "xy", "undone")

    def back(w):
        session(w, 0, "xy", "x", "committed")
        session(w, 10, "xy")
    case(tap, "or for the next session", back, "y", "undone")
    for outcome in ("refused", "none"):
        case(tap, "a deletion that was %s is done" % outcome, lambda w, o=outcome: session(w, 0, "xy", "x", o), "y",
             "without a committed deletion")
        case(tap, "a deletion that was %s is not" % outcome, lambda w, o=outcome: session(w, 0, "xy", "x", o), "xy", None)
    case(tap, "a message vanished", lambda w: session(w, 0, "xy", "", "committed"), "y", "without a committed deletion")
    case(tap, "unknown: not done", lambda w: session(w, 0, "xyz", "xy", "unknown"), "xyz", None)
    case(tap, "unknown: done", lambda w: session(w, 0, "xyz", "xy", "unknown"), "z", None)
    case(tap, "unknown: half done", lambda w: session(w, 0, "xyz", "xy", "unknown"), "yz", "half")

    def accepted(w):
        w.delivered("id-x", "ann", "accepted", 5)
        session(w, 0, "")
    case(tap, "accepted and there", accepted, "x", None)
    case(tap, "accepted and lost", accepted, "", "not there at the end")

    def stale(w):
        w.delivered("id-x", "ann", "accepted", 5)
        session(w, 10, "")
    case(tap, "accepted, and the next session did not see it", stale, "x", "for the next session")

    case(tap, "it may be under way for a while", stale, "x", None, fresh_s=6)
    case(tap, "but not for longer", stale, "x", "for the next session", fresh_s=4)
    case(tap, "nor at the end", stale, "", "at the end", fresh_s=6)

    def broken(w):
        stale(w)
        w.sessions[0].seen = None
    case(tap, "or it saw nothing at all, its connection was broken", broken, "x", None)

    def deleted(w):
        w.delivered("id-x", "ann", "accepted", 5)
        w.named("ann", "x", "id-x")
        session(w, 10, "x", "x", "committed")
    case(tap, "accepted and deleted", deleted, "", None)
    case(tap, "cut off, and there all the same", lambda w: w.delivered("id-x", "ann", "none", 5), "x", "never ended")
    case(tap, "refused, and there (a sender tries again)", lambda w: w.delivered("id-x", "ann", "refused", 5), "x", None)

    def twice(w):
        w.named("ann", "other", "id-x")
    case(tap, "one message twice", twice, "x", "2 times")

    def both(w):
        session(w, 0, "xy", left=30)
        session(w, 10, "xy", host="b")
    case(tap, "two sessions at once", both, "xy", "at once")

    def lapsed(w, outcome="refused"):
        w.outage("a", 2, 20)
        session(w, 0, "xy", "x", outcome, left=30)
        session(w, 15, "xy", host="b")
    case(tap, "the first one's host was away for long", lapsed, "xy", None)

    def brief(w):
        w.outage("a", 12, 14)
        session(w, 0, "xy", left=30)
        session(w, 15, "xy", host="b")
    case(tap, "not for long enough", brief, "xy", "at once")
    case(tap, "it came back and deleted", lambda w: lapsed(w, "committed"), "y", "had lost its maildrop")

    def renamed(w):
        w.named("ann", "x", "id-x")
        w.named("ann", "x", "id-z")
    case(tap, "a unique-id became another message", renamed, "x", "unique-id x")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
