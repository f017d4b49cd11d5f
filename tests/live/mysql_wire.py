#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The transcripts of tests/wire on the storage module mysql: all that do not look into a maildir. ALL=yes: one byte per
segment, too. TAP."""
import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "wire"))
import run  # noqa: E402
from mysql_fetch import Tables  # noqa: E402
from server import Tap  # noqa: E402

LEAST = 15


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


def main():
    tap = Tap()
    store = Emptied()
    n = 0
    try:
        for path in sorted(glob.glob(os.path.join(HERE, "..", "wire", "*.t"))):
            t = run.Transcript(path)
            if not applies(path) or (sys.argv[1:] and t.name not in sys.argv[1:]):
                continue
            n += 1
            for mode in ("whole", "trickle") if os.environ.get("ALL") == "yes" else ("whole",):
                store.empty()
                run.run_one(tap, t, mode, store)
    finally:
        store.close()
    tap.ok(n >= (LEAST if not sys.argv[1:] else 1), "%d transcripts, %d at least" % (n, LEAST))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
