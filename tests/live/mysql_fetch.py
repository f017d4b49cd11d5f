#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fetch.py on the storage module mysql: the same transports and corpus, delivered by the module itself, and with ALL=yes
all clients: the way they treat a message does not depend on the store."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import fetch  # noqa: E402
from databases import arguments  # noqa: E402
from mailstore import TREE, MailStore  # noqa: E402
from shapes import wire  # noqa: E402

ACT = os.path.join(os.environ["top_builddir"], "tests/crash/act")


class Tables:
    def __init__(self):
        self.db = MailStore()

    def put(self, srv, user, messages):
        with tempfile.TemporaryDirectory(dir="/tmp") as d:
            files = []
            for k, raw in enumerate(messages):
                files.append(os.path.join(d, "%04d" % k))
                with open(files[-1], "wb") as f:
                    f.write(wire(raw))
            out = subprocess.run([ACT, os.path.join(TREE, "lib/restante/modules/mysql.so"),
                                  *arguments(self.db.settings()), "deliver", user, *files],
                                 capture_output=True, text=True)
        if out.returncode or out.stdout.count("delivery OK") != len(messages):
            raise SystemExit("%d of %d delivered:\n%s%s" % (out.stdout.count("delivery OK"), len(messages), out.stdout,
                                                            out.stderr))

    def section(self, srv):
        return self.db.section()

    def close(self):
        self.db.close()


if __name__ == "__main__":
    if len(sys.argv) == 1 and os.environ.get("ALL") != "yes":
        sys.argv += ["curl", "poplib"]
    sys.exit(fetch.main(Tables()))
