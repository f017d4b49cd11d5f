#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make check-one T=NAME, ./bootstrap test NAME: one test of any kind, after building no more than it needs.

    one.py BUILD NAME [ARGUMENT...]

NAME is a test's path (tests/live/undo.py), its end (live/undo, undo), a unit (unit_gate, gate), a transcript (lmtp-quota) or
a fuzz target (fuzz/parse). If several tests match the name, they are listed. The log is shown when the test fails.
"""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from buildtree import SUITES, TOP, BuildTree, counts  # noqa: E402

JOBS = os.cpu_count() or 1


class One:
    """test: its name in the lists; args: for the test; label: how it was found; programs: to be built for it."""

    def __init__(self, test, label, args=(), programs=None):
        self.test, self.label, self.args, self.programs = test, label, list(args), programs


def candidates(tree):
    for test in tree.tests(*SUITES):
        yield One(test, os.path.splitext(test)[0] if "/" in test else test)
    wire = os.path.join(TOP, "tests", "wire")
    for name in sorted(os.listdir(wire)):
        if name.endswith(".t"):
            yield One("tests/wire/run.py", "tests/wire/" + name[:-2], [name[:-2]])
    for target in tree.lists.get("fuzz", []):
        yield One("tests/fuzz/replay.t", target, [os.path.basename(target)], [target])


def find(tree, name):
    """The tests it may mean: an exact name first, then a path with this end."""
    name = os.path.splitext(name)[0] if name.endswith((".py", ".sh", ".t")) else name
    known = list(candidates(tree))
    for same in (lambda c: c.label in (name, "tests/" + name),
                 lambda c: c.label.endswith("/" + name) or c.label == "unit_" + name):
        found = [c for c in known if same(c)]
        if found:
            return found
    return []


def build(tree, one):
    """A unit needs itself and the modules; a script the installed tree, the tools, and perhaps programs of its own; lint
    reads sources, and measure.py objects."""
    if one.test.startswith("tests/lint/") and one.test.endswith(".sh"):
        return 0
    unit = "." not in os.path.basename(one.test)
    programs = one.programs if one.programs is not None else tree.programs([one.test])
    if one.test.startswith("tests/lint/"):
        targets = ["all"]
    elif unit:
        targets = [*tree.lists.get("module", []), *programs]
    elif programs:
        targets = programs
    else:
        targets = ["check-tree", *tree.tools()]
    return subprocess.run(tree.build(JOBS, targets)).returncode


def main():
    if len(sys.argv) < 3:
        raise SystemExit("say which test: make check-one T=live/undo (tests/README has them by subject)")
    tree = BuildTree(sys.argv[1])
    found = find(tree, sys.argv[2])
    if len(found) != 1:
        raise SystemExit("no test is called %s; ls tests/*, make check-list" % sys.argv[2] if not found else
                         "%s is several: %s" % (sys.argv[2], " ".join(c.label.replace("tests/", "", 1) for c in found)))
    one, start = found[0], time.monotonic()
    if build(tree, one):
        return 1
    built = time.monotonic()
    argv, env = tree.command(one.test, *one.args, *sys.argv[3:])
    os.umask(0o022)
    subprocess.run(argv, cwd=tree.path, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    passed, failed = counts(tree.results(one.test))
    if failed:
        with open(tree.log(one.test), errors="replace") as f:
            sys.stdout.write(f.read())
    print("%s: %d passed, %d failed (%.1f s, built in %.1f s)" % (one.label, passed, failed, time.monotonic() - built, built - start))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
