# SPDX-License-Identifier: Apache-2.0
"""A witness of every answer that clients got, and a judge of whether the mail that is there afterwards agrees.

Times are time.monotonic(). A session saw a snapshot of its maildrop, marked some of it, and ended one of four ways:
  committed  QUIT was answered +OK             refused  QUIT was answered: not changed
  unknown    QUIT was sent, no answer came, or it was: the outcome is not known
  none       it ended without QUIT
A message is named by an id of the test's own, one per message and recipient; accepted, refused, unknown, or none
(its end was never sent)."""
import bisect
import threading


class Session:
    def __init__(self, user, host, asked, entered):
        self.user, self.host = user, host
        self.asked, self.entered = asked, entered  # the password was sent; +OK came
        self.seen = None         # unique-ids of the snapshot; None: it did not get that far
        self.marked = frozenset()
        self.outcome = "none"
        self.left = None     # QUIT was sent, or the connection ended
        self.ended = None    # the answer came, or the connection ended

    def __str__(self):
        if self.host is None:
            return "the end"
        return "on %s, asked %.3f, entered %.3f, left %.3f, ended %.3f, %d seen, %d marked, %s" % (
            self.host, self.asked, self.entered, self.left, self.ended, len(self.seen or ()), len(self.marked), self.outcome)


def takers_of(sessions):
    """{unique-id: those who may have deleted it}"""
    takers = {}
    for s in sessions:
        for uidl in s.marked if s.outcome in ("committed", "unknown") else ():
            takers.setdefault(uidl, []).append(s)
    return takers


def between(observers, entered, begin, takers):
    """The sessions that came in after begin, and before any taker can have taken it; in the order of `entered`."""
    end = min((p.left for p in takers), default=float("inf"))
    for t in observers[bisect.bisect_left(entered, begin):]:
        if t.entered > end:
            break
        yield t


class Witness:
    def __init__(self):
        self.mutex = threading.Lock()
        self.sessions = []
        self.deliveries = {}  # (id, user): (outcome, when the answer was there)
        self.ids = {}         # (user, unique-id): id
        self.outages = []     # (host, from, to): it was frozen or dead
        self.faults = []      # faults seen at once: a body that is another message's, ...
        self.refusals = {}    # reply instead of a message: how often
        self.fresh_s = 0      # younger mail may still be on its way from node to node
        self.late = 0         # how often it was

    def session(self, s):
        with self.mutex:
            self.sessions.append(s)

    def delivered(self, ident, user, outcome, when):
        with self.mutex:
            self.deliveries[ident, user] = (outcome, when)

    def named(self, user, uidl, ident):
        with self.mutex:
            was = self.ids.setdefault((user, uidl), ident)
        if was != ident:
            self.fault("%s: unique-id %s is message %s, and was %s" % (user, uidl, ident, was))

    def name(self, user, uidl):
        with self.mutex:
            return self.ids.get((user, uidl))

    def outage(self, host, begin, end):
        with self.mutex:
            self.outages.append((host, begin, end))

    def fault(self, text):
        with self.mutex:
            self.faults.append(text)

    def refused(self, reply):
        reply = reply.strip()
        with self.mutex:
            self.refusals[reply] = self.refusals.get(reply, 0) + 1

    # ---- the judgement ----

    def judge(self, final, lease_s=0, fresh_s=0):
        """final: {user: {unique-id: id}} at the end, all sessions over. A list of sentences; empty: all is well.
        fresh_s: mail accepted less than so long before a session began may be missing in it, and is counted as late;
        at the end nothing may."""
        self.fresh_s = fresh_s
        bad = list(self.faults)
        for user, rows in final.items():
            for uidl, ident in rows.items():
                if self.ids.setdefault((user, uidl), ident) != ident:
                    bad.append("%s: %s is %s at the end, and was %s" % (user, uidl, ident, self.ids[user, uidl]))
        for user in sorted(set(final) | {s.user for s in self.sessions}):
            mine = sorted((s for s in self.sessions if s.user == user), key=lambda s: s.entered)
            end = Session(user, None, float("inf"), float("inf"))
            end.seen, end.left, end.ended = frozenset(final.get(user, {})), float("inf"), float("inf")
            observers = [s for s in mine if s.seen is not None] + [end]
            bad += self._deletions(user, mine, observers)
            bad += self._halves(user, mine, observers)
            bad += self._arrivals(user, mine, observers)
            bad += self._exclusive(user, mine, lease_s)
        return bad

    def _deletions(self, user, mine, observers):
        bad = set()
        first, seen_by, takers = {}, {}, takers_of(mine)
        for s in observers:
            for uidl in s.seen:
                first[uidl] = min(first.get(uidl, s.left), s.left)
                seen_by.setdefault(uidl, []).append(s)
        entered = [t.entered for t in observers]
        for uidl, known in first.items():
            by = takers.get(uidl, ())
            for t in seen_by[uidl]:
                if any(p.outcome == "committed" and p.ended <= t.asked for p in by):
                    bad.add("%s: a committed deletion was undone: %s" % (user, uidl))
            for t in between(observers, entered, known, by):
                if known <= t.asked - self.fresh_s and uidl not in t.seen:
                    bad.add("%s: gone without a committed deletion: %s; for who was %s" % (user, uidl, t))
        return sorted(bad)

    def _halves(self, user, mine, observers):
        bad = []
        for p in mine:
            if p.outcome != "unknown" or len(p.marked) < 2:
                continue
            t = next(t for t in observers if t is not p and t.asked >= p.ended)
            others = set().union(*(q.marked for q in mine if q is not p and q.outcome in ("committed", "unknown") and
                                   q.left < t.entered))
            own = p.marked - others
            if own & t.seen and own - t.seen:
                bad.append("%s: half of a deletion was done: %s" % (user, sorted(own)))
        return bad

    def _arrivals(self, user, mine, observers):
        bad, of, takers = [], {}, takers_of(mine)
        entered = [t.entered for t in observers]
        for (u, uidl), ident in self.ids.items():
            if u == user:
                of.setdefault(ident, set()).add(uidl)
        for ident, uidls in of.items():
            if len(uidls) > 1:
                bad.append("%s: message %s is there %d times" % (user, ident, len(uidls)))
        for (ident, u), (outcome, when) in self.deliveries.items():
            uidls = of.get(ident, set()) if u == user else set()
            if outcome == "none" and uidls:
                bad.append("%s: message %s was never ended, and is there" % (user, ident))
            if u != user or outcome != "accepted":
                continue
            by = [p for uidl in uidls for p in takers.get(uidl, ())]
            for t in between(observers, entered, when, by):
                if when > t.asked or uidls & t.seen:
                    continue
                if when > t.asked - self.fresh_s:
                    self.late += 1
                    continue
                bad.append("%s: message %s, accepted at %.3f, is not there %s" % (
                    user, ident, when, "at the end" if t is observers[-1] else "for the next session: " + str(t)))
                break
        return bad

    def _exclusive(self, user, mine, lease_s):
        """Two sessions may be inside at once only if the first one's host was away for longer than its lease, and then
        the first one must change nothing."""
        bad = []
        for i, s in enumerate(mine):
            for t in mine[i + 1:]:
                if s.left is not None and s.left <= t.entered:
                    continue
                away = any(h == s.host and begin < t.entered and end > s.entered and
                           min(end, t.entered) - begin >= lease_s * 0.5 for h, begin, end in self.outages)
                if not away:
                    bad.append("%s: two sessions at once: %s and %s" % (user, s, t))
                elif s.outcome == "committed" and s.marked:
                    bad.append("%s: a session that had lost its maildrop deleted from it" % user)
        return bad
