# SPDX-License-Identifier: Apache-2.0
"""The suppressions of LeakSanitizer, and whether they can hide a leak of ours.

A suppression hides every block whose stack has a function of that name (LSan looks for the text anywhere in it). Its
stacks end inside libraries without frame pointers, so they do not show the caller; but it is known who can be one: a
binary that neither has such a function nor imports one never asked for the block."""
import os
import subprocess

SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lsan.supp")


def options(suppressions=SUPPRESSIONS):
    """LSAN_OPTIONS."""
    return "print_suppressions=0:suppressions=" + suppressions


def symbols(path, *which):
    """The names in the symbol table of an ELF file; of any other file, none."""
    done = subprocess.run(["nm", "--format=posix", *which, path], capture_output=True, text=True, errors="replace")
    return {line.split()[0].split("@")[0] for line in done.stdout.splitlines() if line.strip()}


def concerned(path, function):
    """The functions of this binary, defined or imported, whose blocks `leak:function` hides."""
    return sorted(s for s in symbols(path) | symbols(path, "-D") if function in s)


def exports(path, function):
    return function in symbols(path, "-D", "--defined-only")


def libraries(path):
    """The libraries a binary is linked with, directly or not."""
    done = subprocess.run(["ldd", path], capture_output=True, text=True)
    return [w for line in done.stdout.splitlines() for w in line.split() if w.startswith("/")]
