#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The suppressions of ThreadSanitizer and LeakSanitizer: client libraries only, each with its reason. And the checks that
find anything of ours that they hide (tests/lib/tsan.py, lsan.py), on programs with a race and a leak of their own. TAP."""
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Tap  # noqa: E402
import lsan  # noqa: E402
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
# The same race as if it were somebody else's: in a shared library of its own.
CALLER = """
int race_of_a_library(void);
int main(void) { return race_of_a_library(); }
"""

# A leak of its own, in a function whose name a list may have.
LEAKY = """
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) void *lose_it(void) { return malloc(77); }
int main(void) {
    char *volatile p = lose_it();
    memset(p, 1, 77);
    p = NULL;
    return 0;
}
"""


def entries(path, shared=False):
    """(line, whether there is a reason above it); shared: several lines may have one reason."""
    reason = False
    with open(path) as f:
        for line in f.read().splitlines():
            if line.startswith("#"):
                reason = True
            elif line:
                yield line, reason
                reason = reason and shared
            else:
                reason = False


def binaries():
    """Every installed file that is a program or a library."""
    tree = os.environ["CHECK_TREE"]
    found = glob.glob(tree + "/lib/**/*.so", recursive=True) + glob.glob(tree + "/*bin/*")
    return [p for p in found if os.path.isfile(p)]


def leaks_listed(tap):
    """Each entry is a function that a client library has, and nothing of ours has or calls."""
    ours = binaries()
    linked = {lib for p in ours for lib in lsan.libraries(p)}
    for line, reason in entries(lsan.SUPPRESSIONS, shared=True):
        m = re.fullmatch(r"leak:([a-z0-9_]{8,})", line)
        who = [(os.path.basename(p), s) for p in ours for s in lsan.concerned(p, m.group(1))] if m else ["not a function"]
        where = [os.path.basename(lib) for lib in linked if m and lsan.exports(lib, m.group(1))]
        tap.ok(reason and not who and where and all(w.startswith("lib") for w in where),
               "'%s' is a client library's own, with its reason above, and nothing of ours calls it" % line, (who, where))


def leaks_hidden(tap):
    """A leak of ours that a suppression hides is found all the same."""
    work = tsan.scratch()
    program = compiled(work, "leaky", LEAKY, sanitizer="address")
    quiet = os.path.join(work, "supp")
    with open(quiet, "w") as f:
        f.write("leak:lose_it\n")

    def leaks(suppressions):
        done = subprocess.run([program], env=dict(os.environ, LSAN_OPTIONS=lsan.options(suppressions), ASAN_OPTIONS="detect_leaks=1"),
                              capture_output=True, text=True)
        return done.returncode != 0 and "in lose_it" in done.stderr, done.stderr
    tap.ok(leaks(lsan.SUPPRESSIONS)[0], "our list hides no leak of another function", leaks(lsan.SUPPRESSIONS)[1])
    tap.ok(not leaks(quiet)[0], "a suppression hides a leak", leaks(quiet)[1])
    tap.ok(lsan.concerned(program, "lose_it") == ["lose_it"], "its own function is found all the same", lsan.concerned(program, "lose_it"))
    compiled(work, "liblosing.so", "#include <stdlib.h>\nvoid *lose_it(void) { return malloc(77); }", "-shared", "-fPIC", sanitizer="address")
    caller = compiled(work, "leak_caller", LEAKY.replace("{ return malloc(77); }", ";"), "-L" + work, "-llosing", sanitizer="address")
    tap.ok(lsan.concerned(caller, "lose_it") == ["lose_it"], "and so is a caller of it in a library", lsan.concerned(caller, "lose_it"))
    shutil.rmtree(work)


def listed(tap):
    """Each entry names a library, none that we build."""
    n = 0
    own = [os.path.basename(p) for p in binaries()]
    for line, reason in entries(tsan.SUPPRESSIONS):
        n += 1
        m = re.fullmatch(r"(race|race_top|mutex|deadlock|called_from_lib):(lib[a-z0-9_+-]+\\.so)", line)
        tap.ok(m and reason and not any(m.group(2) in o for o in own),
               "'%s' is a client library, with its reason above" % line)
    tap.note("%d suppressions of races" % n)


def compiled(directory, name, text, *args, sanitizer="thread"):
    path = os.path.join(directory, name)
    subprocess.run([*os.environ.get("CC", "cc").split(), "-x", "c", "-", "-x", "none", "-g", "-O0", "-fsanitize=" + sanitizer, "-o", path, *args],
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
    leaks_listed(tap)
    leaks_hidden(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
