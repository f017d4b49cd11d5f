#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The list of what ThreadSanitizer keeps quiet about: client libraries only, each with its reason. And the check that
finds what a suppression hides (tests/lib/tsan.py) on a program with a race of its own. TAP."""
import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Tap  # noqa: E402
import tsan  # noqa: E402

RACY = """
#include <pthread.h>
#include <string.h>
static char shared[64];
static void *spoil(void *arg) { memset(shared, *(char *)arg, sizeof(shared)); return NULL; }
int main(void) {
    pthread_t t[2];
    char a = 1, b = 2;
    pthread_create(&t[0], NULL, spoil, &a);
    pthread_create(&t[1], NULL, spoil, &b);
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    return 0;
}
"""
# The same race as somebody else's: inside a shared library of its own.
CALLER = """
int race_of_a_library(void);
int main(void) { return race_of_a_library(); }
"""


def listed(tap):
    """Each entry names a library, none that we build."""
    reason, n = False, 0
    tree = os.environ["CHECK_TREE"]
    own = [os.path.basename(p) for p in glob.glob(tree + "/lib/**/*", recursive=True) + glob.glob(tree + "/*bin/*")]
    with open(tsan.SUPPRESSIONS) as f:
        for line in f.read().splitlines():
            if not line or line.startswith("#"):
                reason = line.startswith("#")
                continue
            n += 1
            m = re.fullmatch(r"(race|race_top|mutex|deadlock|called_from_lib):(lib[a-z0-9_+-]+\\.so)", line)
            tap.ok(m and reason and not any(m.group(2) in o for o in own),
                   "'%s' is a client library, with its reason above" % line)
            reason = False
    tap.note("%d suppressions" % n)


def compiled(directory, name, text, *args):
    path = os.path.join(directory, name)
    subprocess.run([*os.environ.get("CC", "cc").split(), "-x", "c", "-", "-x", "none", "-g", "-O0", "-fsanitize=thread", "-o", path, *args],
                   input=text.encode(), check=True)
    return path


def hidden(tap):
    """A race of ours is found although a suppression hides it; a library's own is not held against us."""
    work = tsan.scratch()
    program = compiled(work, "racy", RACY)
    quiet = os.path.join(work, "supp")
    with open(quiet, "w") as f:
        f.write("race:spoil\n")
    shown = subprocess.run([program], env=tsan.environment(work, quiet), capture_output=True)
    tap.ok(shown.returncode == 0 and not tsan.reports(work), "a suppression hides a race", shown.stderr)
    done = tsan.run([program], capture_output=True)
    tap.ok(len(done.ours) == 1 and "spoil" in done.ours[0], "which is found all the same", done.ours)
    compiled(work, "libracy.so", RACY.replace("int main", "int race_of_a_library"), "-shared", "-fPIC")
    program = compiled(work, "caller", CALLER, "-L" + work, "-lracy", "-Wl,-rpath," + work)
    done = subprocess.run([program], env=tsan.environment(work), capture_output=True)
    tap.ok(tsan.reports(work), "a race inside a library is reported", done.stderr)
    tap.ok(not tsan.judge(work), "and is the library's")


def main():
    tap = Tap()
    listed(tap)
    hidden(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
