#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restanted dies while deleted mail is moved to the undo storage, and while it is brought back, at each kill point in turn;
likewise while it is brought back within its mailbox. Afterwards the operator can bring each message back, it comes back
once, and the domain's count matches the mailboxes, or says that it is doubtful.

--all: also from an mbox, and to one."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from sections import block, store  # noqa: E402
from server import Tap  # noqa: E402
from undorig import UndoServer, letters  # noqa: E402

MOST = 80
LETTERS = 2
PAIRS = [("maildir", "maildir"), ("maildir", None), ("mbox", "maildir"), ("mbox", None), ("maildir", "mbox")]
ANN, DOMAIN = "ann@here.example", "here.example"
POINTS = {"going": 3, "coming back": 7}  # kill points of the server, for each message
POINTS_INSIDE = 5  # and once for all of them


class Rig:
    def __init__(self, mail, attic):
        self.server, self.kinds = UndoServer(), (mail, attic)
        self.configure(False)
        raw = letters(LETTERS)
        (self.server.maildir if mail == "maildir" else self.server.mbox)(ANN, raw)
        self.server.start()
        self.before = self.server.look(ANN)
        self.server.delete(ANN)
        self.server.json("quota", "--domain", DOMAIN, "--recount")
        self.server.stop()
        self.configure(True)

    def configure(self, undo):
        mail, attic = self.kinds
        self.server.write_conf(store(self.server, mail, "%u") + block("domain", DOMAIN, domain_messages=100),
                               self.server.attic(attic) if undo and attic else None, [ANN])

    def run(self, k, *words):
        """Starts a server that is to die at kill point k; True: it did."""
        if k:
            os.environ["RESTANTE_KILL_POINT"] = k
        try:
            self.server.start()
        finally:
            os.environ.pop("RESTANTE_KILL_POINT", None)
        self.server.ctl(*words)
        return self.server.stop() == 99

    def problem(self):
        """The faults that remain after everything was brought back."""
        self.server.start()
        wrong = self.miscounted()
        if wrong:
            return wrong
        listed = self.server.listed(ANN)
        seen = self.server.look(ANN)
        if set(listed) | set(seen) != set(self.before):
            return "lost: listed %s, seen %s, of %s" % (listed, sorted(seen), sorted(self.before))
        out = self.server.json("undelete", ANN, "--all")
        after = self.server.look(ANN)
        if after != self.before:
            return "brought back: %s of %s; %s" % (sorted(after), sorted(self.before), out)
        if self.server.listed(ANN):
            return "still to be brought back: %s" % self.server.listed(ANN)
        return self.miscounted()

    def miscounted(self):
        """Is the domain's count wrong, and not marked doubtful?"""
        counted = self.server.json("quota", "--domain", DOMAIN)
        there = len(self.server.look(ANN))
        if counted.get("domain_doubtful") is False and counted.get("domain_used_messages") != there:
            return "%s messages are counted, %d are there" % (counted.get("domain_used_messages"), there)
        return "" if "domain_doubtful" in counted else "not counted: %s" % counted

    def close(self):
        self.server.stop()
        self.server.close()


def one_death(pair, k, back):
    rig = Rig(*pair)
    try:
        if back:
            rig.run("", "expire", ANN)
        died = rig.run(k, *(("undelete", ANN, "--all") if back else ("expire", ANN)))
        return died, rig.problem()
    finally:
        rig.close()


def main():
    tap = Tap()
    for pair in PAIRS if os.environ.get("ALL") == "yes" else PAIRS[:2]:
        for way in ("going", "coming back") if pair[1] else ("coming back",):
            back = way == "coming back"
            what = "%s to %s, %s" % (*pair, way) if pair[1] else "%s, coming back within" % pair[0]
            points = LETTERS * POINTS[way] if pair[1] else POINTS_INSIDE
            problems, deaths = [], {}
            for whose in "ms":  # the modules' and the server's
                for k in range(1, MOST + 1):
                    died, problem = one_death(pair, "%s%d" % (whose, k), back)
                    if problem:
                        problems.append("kill point %s%d: %s" % (whose, k, problem))
                    if not died:
                        break
                    deaths[whose] = k
            tap.ok(not problems, "%s: nothing is lost, and nothing comes back twice" % what, "\n".join(problems[:5]))
            tap.ok(deaths.get("s") == points and (LETTERS * 3 if pair[1] else 1) <= deaths.get("m", 0) < MOST,
                   "%s: it died at kill points of modules and server, one after another: %s" % (what, deaths))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
