#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restanted dies while deleted mail goes to the undo storage, and while it comes back: at each kill point one after
another. Afterwards each message is where the operator can bring it back from, and comes back once.

--all: also from an mbox, and to one."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from sections import store  # noqa: E402
from server import Tap  # noqa: E402
from undorig import UndoServer, letters  # noqa: E402

MOST = 80
LETTERS = 2
PAIRS = [("maildir", "maildir"), ("mbox", "maildir"), ("maildir", "mbox")]


class Rig:
    def __init__(self, mail, attic):
        self.server, self.kinds = UndoServer(), (mail, attic)
        self.configure(False)
        raw = letters(LETTERS)
        (self.server.maildir if mail == "maildir" else self.server.mbox)("ann", raw)
        self.server.start()
        self.before = self.server.look("ann")
        self.server.delete("ann")
        self.server.stop()
        self.configure(True)

    def configure(self, undo):
        mail, attic = self.kinds
        self.server.write_conf(store(self.server, mail), self.server.attic(attic) if undo else None, ["ann"])

    def run(self, k, *words):
        """Starts, to die at kill point k; True: it did."""
        if k:
            os.environ["RESTANTE_KILL_POINT"] = k
        try:
            self.server.start()
        finally:
            os.environ.pop("RESTANTE_KILL_POINT", None)
        self.server.ctl(*words)
        return self.server.stop() == 99

    def problem(self):
        """What is not as it should be, after all was brought back."""
        self.server.start()
        listed = self.server.listed("ann")
        seen = self.server.look("ann")
        if set(listed) | set(seen) != set(self.before):
            return "lost: listed %s, seen %s, of %s" % (listed, sorted(seen), sorted(self.before))
        out = self.server.json("undelete", "ann", "--all")
        after = self.server.look("ann")
        if after != self.before:
            return "brought back: %s of %s; %s" % (sorted(after), sorted(self.before), out)
        if self.server.listed("ann"):
            return "still to be brought back: %s" % self.server.listed("ann")
        return ""

    def close(self):
        self.server.stop()
        self.server.close()


def one_death(pair, k, back):
    rig = Rig(*pair)
    try:
        if back:
            rig.run("", "expire", "ann")
        died = rig.run(k, *(("undelete", "ann", "--all") if back else ("expire", "ann")))
        return died, rig.problem()
    finally:
        rig.close()


def main():
    tap = Tap()
    for pair in PAIRS if os.environ.get("ALL") == "yes" else PAIRS[:1]:
        for back in (False, True):
            what = "%s to %s, %s" % (*pair, "coming back" if back else "going")
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
            tap.ok(deaths.get("s") == LETTERS * 2 and LETTERS * 3 <= deaths.get("m", 0) < MOST,
                   "%s: it died at kill points of modules and server, one after another: %s" % (what, deaths))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
