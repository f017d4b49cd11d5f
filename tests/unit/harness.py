#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The harness itself: which test a name means, in which order tasks run, that a failure is counted, and that an interrupt leaves
nothing behind. TAP."""
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))
from buildtree import BuildTree, counts, failures  # noqa: E402
from one import find  # noqa: E402
from schedule import Schedule, Task  # noqa: E402
from server import Tap, wait_until  # noqa: E402


def names(tap):
    """The names, by the lists of the build this runs in."""
    tree = BuildTree(os.environ["top_builddir"])
    for name, labels in (("tests/live/conf.py", ["tests/live/conf"]), ("live/conf", ["tests/live/conf"]), ("gate", ["unit_gate"]),
                         ("unit_gate", ["unit_gate"]), ("lmtp-quota", ["tests/wire/lmtp-quota"]), ("format", ["tests/lint/format"]),
                         ("fuzz/proxy", ["tests/fuzz/proxy"]), ("layer", []),
                         ("proxy", ["tests/fuzz/proxy", "tests/live/proxy", "unit_proxy"])):
        found = sorted(c.label for c in find(tree, name))
        tap.ok(found == labels, "'%s' means %s" % (name, " or ".join(labels) or "nothing"), found)


def programs(tap):
    """Where a run looks for its test, even before the test is compiled."""
    tree = BuildTree(os.environ["top_builddir"])
    tap.ok(tree.file("unit_that_is_not_built") == os.path.join(tree.path, "unit_that_is_not_built"), "a program is looked for in the build")
    tap.ok(os.path.exists(tree.file("tests/unit/harness.py")), "a script is looked for in the sources")


def results(tap, work):
    trs, log = os.path.join(work, "x.trs"), os.path.join(work, "x.log")
    for text, want in (("PASS\n:test-result: PASS\n", (2, 0)), ("PASS\n:test-result: FAIL\n:test-result: ERROR\n", (1, 2)), ("SKIP\n", (0, 1))):
        with open(trs, "w") as f:
            f.write(":test-result: " + text)
        tap.ok(counts(trs) == want, "%d passed, %d failed" % want, counts(trs))
    os.unlink(trs)
    tap.ok(counts(trs) == (0, 1), "a test without results has failed", counts(trs))
    with open(log, "w") as f:
        f.write("ok 1 - a\nPASS: x 1 - a\nnot ok 2 - b\n# why\n")
    tap.ok(failures(log) == ["not ok 2 - b", "# why"], "a failure is shown with its reason", failures(log))


def order(tap, work):
    ended = []

    def task(name, wall, **more):
        return Task(name, ["sh", "-c", "sleep 0.2; echo %s" % name], os.path.join(work, name), wall, 0.1, **more)

    def ends(t):
        ended.append(t.name)
        return [task("child", 1, done=ends)] if t.name == "first" else []
    tasks = [task(n, wall, done=ends, **more) for n, wall, more in (
        ("short", 1, {}), ("last", 99, {"after": ("first", "child")}), ("first", 1, {"urgent": True}), ("long", 50, {}), ("longer", 60, {}))]
    s = Schedule(tasks)
    tap.ok([t.name for t in s.pending] == ["first", "last", "longer", "long", "short"], "urgent ones first, then the longest",
           [t.name for t in s.pending])
    tap.ok(s.next().name == "first", "a task waits for those before it")
    s.run(lambda: None)
    tap.ok(sorted(ended) == ["child", "first", "last", "long", "longer", "short"] and ended.index("last") > ended.index("first") and
           ended.index("last") > ended.index("child"), "all have run, and what a task brings comes before its followers", ended)
    tap.ok(all(t.rc == 0 and t.took >= 0.2 for t in s.finished), "each with its end and its time")


def interrupt(tap, work):
    """A test that cleans up when it is interrupted, and one that does not."""
    tidy, kind, stubborn = (os.path.join(work, name) for name in ("tidy", "kind", "stubborn"))
    script = "import time\ntry:\n open(%r, 'w').close()\n time.sleep(600)\nfinally:\n open(%r, 'w').close()\n" % (kind, tidy)
    tasks = [Task("kind", [sys.executable, "-c", script], None, 1, 1),
             Task("stubborn", ["sh", "-c", "trap '' INT; echo x >%s; sleep 600; sleep 600" % stubborn], None, 1, 1)]
    s = Schedule(tasks)
    s.fill()
    wait_until(lambda: os.path.exists(kind) and os.path.exists(stubborn), 30, "both to be at work")
    began = time.monotonic()
    s.stop(patience=2)
    tap.ok(os.path.exists(tidy) and all(t.rc for t in tasks), "an interrupted task tidies up; one that goes on is ended",
           (os.path.exists(tidy), [t.rc for t in tasks]))
    tap.note("ended in %.1f s" % (time.monotonic() - began))


def left_behind(tap, work):
    """A task that ends and leaves a server: the last task cleans up; and a daemon that ends by itself does not stay a zombie."""
    pid, other = os.path.join(work, "left"), os.path.join(work, "gone")
    s = Schedule([Task("leaves", ["sh", "-c", "setsid sleep 600 & echo $! >%s; setsid true & echo $! >%s; sleep 0.5" % (pid, other)],
                       None, 1, 1)])
    s.run(lambda: None)
    with open(pid) as f, open(other) as g:
        server, ended = int(f.read()), int(g.read())
    tap.ok(os.path.exists("/proc/%d" % server) and not os.path.exists("/proc/%d" % ended), "a server outlives its test, as ours")
    said = s.tidy()
    tap.ok(said == ["sleep 600"] and not os.path.exists("/proc/%d" % server), "it is named, and ended", said)


def main():
    tap = Tap()
    work = tempfile.mkdtemp(prefix="rst-harness.")
    try:
        names(tap)
        programs(tap)
        results(tap, work)
        order(tap, work)
        interrupt(tap, work)
        left_behind(tap, work)
    finally:
        shutil.rmtree(work)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
