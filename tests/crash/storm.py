#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An mbox whose server dies at every step of a deletion and of a delivery, with both adversaries at work - an identical
message appended, another reader rewriting the end, a third moving messages - and the power cut too; then random runs
of the same, in a PID namespace of their own. The driver (storm.c) loads the module as the server does. SEED and RUNS may
be given."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Tap  # noqa: E402

BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
TREE = os.environ.get("CHECK_TREE", os.path.join(BUILD, "check-tree"))
SEED = os.environ.get("SEED", "20261124")
RUNS = os.environ.get("RUNS", "10000" if os.environ.get("ALL") == "yes" else "400")


# as in a container, where no number tells whose process is gone: what is left is known by itself
CONTAINER = ("unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")


def storm(where, *args, inside=()):
    """Its exit code and output; its last line counts."""
    done = subprocess.run([*inside, os.path.join(BUILD, "tests", "crash", "storm"), TREE + "/lib/restante/modules/mbox.so", where, *args],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=3600,
                          check=False, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    return done.returncode, done.stdout


def main():
    tap = Tap()
    where = tempfile.mkdtemp(prefix="rst-storm.", dir="/tmp")
    try:
        rc, out = storm(where, "sweep")
        m = re.search(r"^sweep: (\d+) deaths at up to (\d+) kill points, (\d+) conflicts, 0 problems$", out, re.M)
        tap.ok(rc == 0 and m, out.splitlines()[-1] if out else "the sweep says nothing", out[-3000:])
        # a deletion has at least 12 points, a delivery 8; with fewer, something was not reached
        tap.ok(m and int(m.group(2)) >= 12 and int(m.group(1)) >= 300 and int(m.group(3)) > 0,
               "every step was one to die at, and conflicts were seen", out[-500:])
        rc, out = storm(where, "random", SEED, RUNS, inside=CONTAINER)
        m = re.search(r"^random: (\d+) runs, (\d+) deaths, \d+ conflicts, 0 problems$", out, re.M)
        tap.ok(rc == 0 and m and m.group(1) == RUNS, "SEED=%s: %s" % (SEED, out.splitlines()[-1] if out else ""), out[-3000:])
        tap.ok(m and int(m.group(2)) > int(RUNS) // 4, "more than a quarter of the runs died", out[-500:])
    finally:
        shutil.rmtree(where, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
