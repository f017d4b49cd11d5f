# SPDX-License-Identifier: Apache-2.0
"""A build tree and its tests: which tests it has, what they need built, and how one of them is run. The lists are make's own
(make check-list); a test goes through the same driver as under make check and leaves the same .log and .trs."""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SUITES = ("check", "live", "kill", "outage", "threads", "load")
SHELLS = {".py": sys.executable, ".sh": "/bin/sh", ".t": "/bin/sh"}


def make(*args):
    """The command line; a make above this one does not affect it."""
    return ["env", "-u", "MAKEFLAGS", "-u", "MFLAGS", "-u", "MAKELEVEL", "make", "-s", "--no-print-directory", *args]


class BuildTree:
    def __init__(self, path, settings=()):
        """A configured tree; settings: for make, such as "ALL=yes"."""
        self.path = os.path.abspath(path)
        self.name = os.path.basename(self.path)
        out = subprocess.run(make("-C", self.path, "check-list", *settings), check=True, capture_output=True, text=True).stdout
        self.lists, self.env = {}, {}
        for line in out.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "env":
                key, _, value = rest.partition("=")
                if os.environ.get(key) != value and not key.startswith(("MAKE", "MFLAGS", "_", "SHLVL", "PWD")):
                    self.env[key] = value
            elif kind.isalpha() and rest:
                self.lists.setdefault(kind, []).append(rest)

    def tests(self, *suites):
        """The tests of all these suites, each once."""
        return list(dict.fromkeys(t for s in suites for t in self.lists.get(s, [])))

    def tools(self):
        """Programs that tests start, and modules that they load, besides the installed tree."""
        others = {*self.tests(*SUITES), *self.lists.get("fuzz", []), *self.lists.get("stress", [])}
        return [p for p in self.lists.get("program", []) if p not in others] + self.lists.get("module", [])

    def programs(self, tests):
        """The compiled tests among these, and the programs that the others run; without the tools."""
        needs = [t for t in tests if not os.path.splitext(t)[1]]
        for script, kind in (("tests/fuzz/replay.t", "fuzz"), ("tests/load/engine_stress.t", "stress")):
            if script in tests:
                needs += self.lists.get(kind, [])
        return needs

    def build(self, jobs, targets):
        """The command that makes these targets."""
        return make("-C", self.path, "-j%d" % jobs, *targets)

    def file(self, test):
        """A script is in the source tree; a program is, or will be, built."""
        script = os.path.join(TOP, test)
        return script if os.path.exists(script) else os.path.join(self.path, test)

    def log(self, test):
        base, end = os.path.splitext(test)
        return os.path.join(self.path, (base if end in SHELLS else test) + ".log")

    def results(self, test):
        return self.log(test)[:-len("log")] + "trs"

    def command(self, test, *args):
        """Arguments and environment of a run; its directory is the tree's."""
        os.makedirs(os.path.dirname(self.log(test)), exist_ok=True)
        shell = SHELLS.get(os.path.splitext(test)[1])
        return (["/bin/sh", os.path.join(TOP, "build-aux", "tap-driver.sh"), "--merge", "--test-name", test, "--log-file",
                 self.log(test), "--trs-file", self.results(test), "--color-tests", "no", "--enable-hard-errors", "yes",
                 "--expect-failure", "no", "--", *([shell] if shell else []), self.file(test), *args],
                dict(os.environ, **self.env))


def counts(trs):
    """(passed, failed) from a file of results; a test that left none has failed."""
    try:
        with open(trs) as f:
            results = [line.split()[1] for line in f if line.startswith(":test-result: ")]
    except OSError:
        results = []
    failed = sum(r in ("FAIL", "ERROR", "XPASS") for r in results)
    passed = results.count("PASS")
    return passed, failed if passed or failed else 1


def failures(log, most=25):
    """The end of a log, without the tests that passed."""
    try:
        with open(log, errors="replace") as f:
            return [line.rstrip("\n") for line in f if not line.startswith(("ok", "PASS"))][-most:]
    except OSError as e:
        return [str(e)]
