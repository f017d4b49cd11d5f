#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The run of ./bootstrap test: builds, all tests of each, and single checks, in parallel. It prints a line of progress every
20 seconds, failures as they happen, and the counts at the end. The last line is "N passed, N failed".

    suites.py [--all] [WHAT...]

WHAT: only this build (tsan), or these tests of it (asan:tests/live/sql_). Each result goes to build/logs/results, and each
test's time to build/logs/times, in the form of tests/harness/times, which gives the order and the estimate.
"""
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from buildtree import TOP, BuildTree, counts, failures, make  # noqa: E402
from schedule import CPUS, Schedule, Task  # noqa: E402

LOGS = os.path.join(TOP, "build", "logs")
PROGRESS_S = 20
GUESS_S = 120  # up to here the first guess of the speed counts as much as the run
UNKNOWN = (10, 3)  # seconds and processor seconds of a test that is not in the table

# The builds and their suites: in every run, and with --all. No two sanitizers cover the same ground.
SUITES = {"asan": (["check", "live", "kill"], ["check", "live", "outage"]), "tsan": (["threads"], ["threads", "check"]),
          "plain": (["load"], ["load"]), "clang": ([], []), "least": ([], [])}
FILLERS = ("clang", "least")  # only built: no test waits for them


class Times:
    """The seconds each task took in an earlier run: they give the order and the estimate."""

    def __init__(self, path=os.path.join(HERE, "times")):
        self.table = {}
        with open(path) as f:
            for line in f:
                w = line.split()
                if w and w[0] != "#":
                    self.table[w[2]] = float(w[0]), float(w[1])

    def of(self, name):
        return self.table.get(name, UNKNOWN)

    @staticmethod
    def write(path, tasks):
        with open(path, "w") as f:
            f.write("# seconds, processor seconds, build:test\n")
            for t in sorted(tasks, key=lambda t: -t.took):
                f.write("%.1f %.1f %s\n" % (t.took, t.used, t.name))


def say(text):
    print("bootstrap: " + text, flush=True)


def clock(seconds):
    return "%d:%02d" % divmod(max(0, round(seconds)), 60)


class Run:
    def __init__(self, everything, only=()):
        self.everything, self.only, self.times = everything, only, Times()
        self.passed, self.failed, self.said = {}, {}, []
        self.t0 = self.reported = time.monotonic()
        self.trees = {}
        # tests of builds that do not exist yet, for the estimate
        self.unseen = {k for k in self.times.table if k.partition(":")[0] in SUITES and self.wanted(k)}
        self.results = open(os.path.join(LOGS, "results"), "w")
        self.schedule = Schedule(self.first())

    # ---- the tasks --------------------------------------------------------------------------------

    def wanted(self, name):
        """BUILD: or BUILD:TEST, selected by WHAT on the command line."""
        return not self.only or any(name.startswith(o + ":" if ":" not in o else o) or
                                    name.endswith(":") and o.startswith(name) for o in self.only)

    def task(self, name, argv, done, **more):
        wall, cpu = self.times.of(name)
        self.unseen.discard(name)
        log = os.path.join(LOGS, name.replace(":", "-").replace("/", "-") + ".log")
        return Task(name, argv, log, wall, cpu, done=done, **more)

    def step(self, name, *argv, then=None, **more):
        """A check that holds or does not; then(): the tasks after it, if it does."""
        def done(task):
            self.count("steps", *(1, 0) if task.rc == 0 else (0, 1))
            self.results.write("%s: %s\n" % ("PASS" if task.rc == 0 else "FAIL", name))
            if task.rc != 0:
                self.show("FAILED: %s; the end of %s:" % (name, task.log), failures(task.log))
                return []
            return then() if then else []
        return self.task(name, list(argv), done, **more)

    def first(self):
        """The builds, one after another: the tests of the first one run during the second."""
        boot, tasks, last = os.path.join(TOP, "bootstrap"), [], ()
        for build in SUITES:
            if self.wanted(build + ":"):
                tasks.append(self.step("build-" + build, boot, "build", build, then=lambda b=build: self.built(b),
                                       urgent=build not in FILLERS, after=last))
                last = ("build-" + build,)
        return tasks

    def built(self, build):
        more, tree = [], os.path.join(TOP, "build", build)
        if build == "least":
            more.append(self.step("least-metrics", "/bin/sh", os.path.join(TOP, "tests", "live", "without_metrics.sh"), tree, cwd=TOP))
        if build == "plain" and not self.only:
            dist = ("distcheck", "DISTCHECK_CONFIGURE_FLAGS=--enable-werror") if self.everything else ("dist",)
            more.append(self.step(dist[0], *make("-C", tree, "-j%d" % len(CPUS), *dist), cwd=TOP))
        suites = SUITES[build][self.everything]
        return more + (self.prepare(build, suites) if suites else [])

    def prepare(self, build, suites):
        """The installed tree and the programs that tests start; then the tests that are scripts, and those that are programs."""
        tree = self.trees[build] = BuildTree(os.path.join(TOP, "build", build), ["ALL=yes"] if self.everything else [])
        tests = [t for t in tree.tests(*suites) if self.wanted(build + ":" + t)]
        programs = tree.programs(tests)

        def ready():
            compiled = "programs-" + build
            more = [self.step(compiled, *tree.build(len(CPUS), programs), urgent=True)] if programs else []
            return more + [self.test(tree, t, (compiled,) if programs and tree.programs([t]) else ()) for t in tests]
        self.unseen -= {k for k in self.unseen if k.startswith(build + ":") and k[len(build) + 1:] not in tests}
        return [self.step("tree-" + build, *tree.build(len(CPUS), ["check-tree", *tree.tools()]), then=ready, urgent=True)]

    def test(self, tree, name, after):
        argv, env = tree.command(name)

        def done(task):
            passed, failed = counts(tree.results(name))
            self.count(tree.name, passed, failed)
            with open(task.log, errors="replace") as f:
                lines = [line for line in f if line.startswith(("PASS", "FAIL", "ERROR", "XPASS", "SKIP", "XFAIL"))]
            self.results.writelines("%s: %s" % (tree.name, line) for line in lines)
            os.unlink(task.log)
            if failed:
                self.show("FAILED: %s in build/%s; the end of %s:" % (name, tree.name, tree.log(name)), failures(tree.log(name)))
        if os.path.exists(tree.results(name)):
            os.unlink(tree.results(name))
        return self.task(tree.name + ":" + name, argv, done, env=env, cwd=tree.path, after=after)

    # ---- reports ----------------------------------------------------------------------------------

    def count(self, what, passed, failed):
        self.passed[what] = self.passed.get(what, 0) + passed
        self.failed[what] = self.failed.get(what, 0) + failed

    def show(self, head, lines):
        self.said.append(head.split(";")[0])
        say(head)
        for line in lines:
            print("    " + line, flush=True)

    def left(self):
        """The seconds left: by the share of the expected time that is done - at first, by the speed of an idle machine - and no
        less than the longest running task needs."""
        s, now = self.schedule, time.monotonic()
        done = sum(t.cpu for t in s.finished)
        left = sum(t.cpu for t in s.pending) + sum(self.times.of(k)[1] for k in self.unseen)
        long = [t.wall for t in s.pending]
        for t in s.running:
            part = min(0.95, (now - t.began) / max(t.wall, 0.1))
            done, left = done + part * t.cpu, left + (1 - part) * t.cpu
            long.append((1 - part) * t.wall)
        rate = (done + GUESS_S * 0.8 * len(CPUS)) / (now - self.t0 + GUESS_S)
        return max([left / rate, *long])

    def progress(self):
        now = time.monotonic()
        if now - self.reported < PROGRESS_S:
            return
        self.reported = now
        s = self.schedule
        running = sorted(s.running, key=lambda t: t.began)
        say("%s  %d done, %d failed; %d running: %s%s; %d left, about %s" % (
            clock(now - self.t0), len(s.finished), sum(self.failed.values()), len(running),
            ", ".join("%s %d s" % (t.name.replace("tests/", ""), now - t.began) for t in running[:4]),
            ", ..." if running[4:] else "", len(s.pending) + len(self.unseen), clock(self.left())))

    @staticmethod
    def left_behind(commands):
        for command in commands:
            say("a test left this behind, and it was ended: " + command[:150])

    def end(self):
        for build in SUITES:
            if build not in self.trees and SUITES[build][self.everything] and self.wanted(build + ":"):
                self.count(build, 0, 1)
                self.show("FAILED: the tests of build/%s did not run: it was not built" % build, [])
        for what in sorted(self.passed):
            say("%s: %d passed, %d failed" % (what, self.passed[what], self.failed[what]))
        for line in self.said:
            say(line)
        Times.write(os.path.join(LOGS, "times"), self.schedule.finished)
        say("%s in all; each result is in %s" % (clock(time.monotonic() - self.t0), self.results.name))
        print("%d passed, %d failed" % (sum(self.passed.values()), sum(self.failed.values())), flush=True)
        return 1 if any(self.failed.values()) else 0


def main():
    os.umask(0o022)
    args = [a for a in sys.argv[1:] if a != "--all"]
    run = Run("--all" in sys.argv[1:], args)

    def interrupted(number, _):
        run.left_behind(run.schedule.stop())
        sys.exit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    run.schedule.run(run.progress)
    run.left_behind(run.schedule.tidy())
    return run.end()


if __name__ == "__main__":
    sys.exit(main())
