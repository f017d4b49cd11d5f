# SPDX-License-Identifier: Apache-2.0
"""What LeakSanitizer is told to keep quiet about, and whether that can hide a leak of ours.

A suppression hides every block whose stack has a function of that name (LSan looks for the text anywhere in it). The stacks
it has end inside libraries that keep no frame pointers, so who called cannot be read from them; but it is known who can: a
binary that neither has such a function nor imports one is never the one that asked for the block."""
import os
import subprocess

SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lsan.supp")


def options(suppressions=SUPPRESSIONS):
    """LSAN_OPTIONS."""
    return "print_suppressions=0:suppressions=" + suppressions


def symbols(path, *which):
    """Names in the symbol table of an ELF file; none in what is not one."""
    done = subprocess.run(["nm", "--format=posix", *which, path], capture_output=True, text=True, errors="replace")
    return {line.split()[0].split("@")[0] for line in done.stdout.splitlines() if line.strip()}


def concerned(path, function):
    """The functions of this binary, its own and imported ones, whose blocks `leak:function` hides."""
    return sorted(s for s in symbols(path) | symbols(path, "-D") if function in s)


def exports(path, function):
    return function in symbols(path, "-D", "--defined-only")


def libraries(path):
    """What a binary is linked with, and what that is linked with."""
    done = subprocess.run(["ldd", path], capture_output=True, text=True)
    return [w for line in done.stdout.splitlines() for w in line.split() if w.startswith("/")]
