#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The transcripts of tests/wire on the storage module mysql: all those that do not look into a maildir. ALL=yes: one byte per
segment, too, and the clients of some cut off after each of their bytes. TAP."""
import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "wire"))
import cut  # noqa: E402
import run  # noqa: E402
from mysql_fetch import Tables  # noqa: E402
from server import Tap  # noqa: E402

LEAST = 15
CUT = ("session", "delete")


class Emptied(Tables):
    """One database for all: emptied before each."""

    def empty(self):
        self.db.sql("DELETE FROM mail_message; DELETE FROM mail_chunk; DELETE FROM mail_box; DELETE FROM mail_incoming;"
                    "DELETE FROM mail_garbage; DELETE FROM mail_domain; DELETE FROM mail_lease WHERE mailbox > 0")

    def put(self, srv, user, messages):
        if messages:
            super().put(srv, user, messages)

    def settings(self, srv):
        lines = self.db.section().splitlines()
        return "\n".join(lines[1:-1]) + "\n"


def applies(path):
    with open(path) as f:
        return not any(line.startswith(("M: ", "M~ ", "B: ", "B~ ")) for line in f)


def cut_off(tap, t, store):
    t.settings.update(max_bad_commands="1000", max_failed_logins="100")
    store.empty()
    cuts, wrong = cut.cut(t, lambda t: run.server_for(t, store))
    tap.ok(cuts and not wrong, "%s: cut at each of %d bytes" % (t.name, cuts), wrong)
    held = store.db.sql("SELECT COUNT(*) FROM mail_lease WHERE owner IS NOT NULL")
    tap.ok(held == [["0"]], "%s: no lease is left" % t.name, held)


def main():
    tap = Tap()
    store = Emptied()
    n, long = 0, os.environ.get("ALL") == "yes"
    try:
        for path in sorted(glob.glob(os.path.join(HERE, "..", "wire", "*.t"))):
            t = run.Transcript(path)
            if not applies(path) or (sys.argv[1:] and t.name not in sys.argv[1:]):
                continue
            n += 1
            for mode in ("whole", "trickle") if long else ("whole",):
                store.empty()
                run.run_one(tap, t, mode, store)
            if long and t.name in CUT:
                cut_off(tap, t, store)
    finally:
        store.close()
    tap.ok(n >= (LEAST if not sys.argv[1:] else 1), "%d transcripts, %d at least" % (n, LEAST))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
