#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Figures about the source tree: each is measured and printed, and may not get worse. TAP; -v lists every place that counts.

    make check-one T=measure           python3 tests/lint/measure.py -v circles
"""
import functools
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import csource  # noqa: E402
from csource import code, comments, files, functions, includes, prototypes, strings, text  # noqa: E402
from links import Links, circles  # noqa: E402

# Measure, part of the tree, aim, bound. The bound is the figure when somebody last looked: lower it here when you get below
# it; never raise one.
TABLE = [
    ("folders over 4,000 lines", "src", 0, 0),
    ("functions over 50 lines", "src", 0, 0),
    ("functions over 50 lines", "plugins", 0, 0),
    ("functions over 50 lines", "backends", 0, 0),
    ("circles of more than two files", "src", 0, 0),
    ("circles of more than two files", "plugins", 0, 0),
    ("circles of more than two files", "backends", 0, 0),
    ("prototypes in another file's header", "src", 0, 0),
    ("prototypes in another file's header", "plugins", 0, 0),
    ("prototypes in another file's header", "backends", 0, 0),
    ("pairs of headers that clash", "src", 0, 0),
    ("pairs of headers that clash", "plugins", 0, 0),
    ("pairs of headers that clash", "backends", 0, 0),
    ("globals no other file uses", "src", 0, 0),
    ("globals no other file uses", "plugins", 0, 0),
    ("globals no other file uses", "backends", 0, 0),
    ("globals only tests use", "src", 0, 0),
    ("lines over 100 columns", "src", 0, 0),
    ("lines over 100 columns", "plugins", 0, 0),
    ("lines over 100 columns", "backends", 0, 0),
    ("lines over 100 columns", "tests", 0, 0),
    ("comments that open with What, Who, Whose", "src", 0, 0),
    ("comments that open with What, Who, Whose", "plugins", 0, 0),
    ("comments that open with What, Who, Whose", "backends", 0, 0),
    ("comments that open with What, Who, Whose", "tests", 0, 0),
    ("'behind' for 'after'", "src", 0, 0),
    ("'behind' for 'after'", "plugins", 0, 0),
    ("'behind' for 'after'", "backends", 0, 0),
    ("'behind' for 'after'", "tests", 0, 0),
    ("tests that tests/README does not name", "tests", 0, 0),
]
PUBLIC = ("plugins/sdk/", "plugins/include/")  # for modules that are not here
ENTRIES = {"main", "pm_module_v1"}


# ---- folders, functions, lines -------------------------------------------------------------------

def folders(area):
    lines = {}
    for path in files(area):
        lines[os.path.dirname(path)] = lines.get(os.path.dirname(path), 0) + text(path).count("\n")
    return ["%s: %d lines" % (d, n) for d, n in sorted(lines.items()) if n > 4000]


def long_functions(area):
    return ["%s:%d: %s: %d lines" % (path, line, name, n) for path in files(area, ends=".c")
            for name, line, n in functions(path) if n > 50]


def long_lines(area):
    return ["%s:%d: %d columns" % (path, k + 1, len(line.expandtabs(8))) for path in files(area)
            for k, line in enumerate(text(path).split("\n")) if len(line.expandtabs(8)) > 100]


@functools.lru_cache(None)
def links_of_the_tree():
    return Links("src", "plugins", "backends")


# ---- files that belong together ------------------------------------------------------------------

def rooms(area):
    """Parts of an area with circles of their own: src is one, each backend, each folder of plugins."""
    if area == "src":
        return ["src/"]
    return sorted({os.path.dirname(p) + "/" for p in files(area, ends=".c")})


def all_circles(area):
    found = []
    for room in rooms(area):
        for group in circles(links_of_the_tree().graph(lambda p, r=room: p.startswith(r))):
            found.append("%d files: %s" % (len(group), " ".join(group)))
    return found


def foreign_prototypes(area):
    """By the names in the sources: a function belongs in the header with the name of its file."""
    homes, found = {}, []
    for path in files(area, ends=".c"):
        for name, _, _ in functions(path):
            homes.setdefault(name, []).append(path)
    for header in files(area, ends=".h"):
        if header.startswith(PUBLIC[1]):
            continue
        for name, line in prototypes(header):
            near = sorted(homes.get(name, []), key=lambda h: -len(os.path.commonprefix([h, header])))
            if near and near[0][:-2] != header[:-2]:
                found.append("%s:%d: %s, of %s" % (header, line, name, near[0]))
    return found


# ---- headers together ----------------------------------------------------------------------------

def search_path(room):
    """The include path that the makefiles give."""
    if room.startswith(("src/", "plugins/host/", "plugins/conform/")):
        return ["src", "plugins", "plugins/include"]
    return ["plugins/include", "plugins/sdk", room]


def closure(header, path, known):
    """The header and all it includes."""
    if header not in known:
        known[header] = {header}
        for name in includes(header):
            for d in [os.path.dirname(header)] + path:
                found = os.path.normpath(os.path.join(d, name))
                if os.path.exists(os.path.join(csource.TOP, found)):
                    known[header] |= closure(found, path, known)
                    break
    return known[header]


def quarrels(headers, path):
    """Pairs of files that define one name twice, as the compiler finds them when all are included."""
    with tempfile.TemporaryDirectory() as work:
        unit = os.path.join(work, "all.c")
        with open(unit, "w") as f:
            f.writelines('#include "%s"\n' % os.path.join(csource.TOP, h) for h in headers)
        done = subprocess.run([os.environ.get("CC", "gcc").split()[0], "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Werror", unit,
                               "-fmax-errors=0", *["-I" + os.path.join(csource.TOP, d) for d in path]],
                              capture_output=True, text=True, env=dict(os.environ, LC_ALL="C"))
    pairs, at = set(), None
    for line in done.stderr.splitlines():
        m = re.match(r"(\S+?):\d+:\d+: (error|note): ", line)
        if m and m.group(2) == "error":
            at = os.path.relpath(m.group(1), csource.TOP)
        elif m and at and os.path.relpath(m.group(1), csource.TOP) != at:
            pairs.add(frozenset((at, os.path.relpath(m.group(1), csource.TOP))))
    if done.returncode and not pairs:
        raise SystemExit("the headers do not compile together, and it is not said why:\n" + done.stderr[:2000])
    return pairs


def clashes(area):
    found = []
    for room in rooms(area):
        headers, path, known = files(room, ends=".h"), search_path(room), {}
        pairs = quarrels(headers, path)
        for k, one in enumerate(headers if pairs else ()):
            for other in headers[k + 1:]:
                if any(len(p & closure(one, path, known)) == 1 and p <= closure(one, path, known) | closure(other, path, known)
                       for p in pairs):
                    found.append("%s and %s" % (one, other))
    return found


# ---- globals -------------------------------------------------------------------------------------

def unused(area, by_tests):
    """Names that no other file of the server, the plugins and the modules uses; by_tests: whether tests use them."""
    links = links_of_the_tree()
    used = {(links.home(n, s), n) for s, names in links.wants.items() for n in names}
    tests = set(re.findall(r"\w+", "\n".join(code(p) for p in files("tests"))))
    return ["%s: %s" % (path, name) for path in files(area, ends=".c") if not path.startswith(PUBLIC)
            for name in sorted(links.defines.get(path, ()))
            if name not in ENTRIES and (path, name) not in used and (name in tests) == by_tests]


# ---- English -------------------------------------------------------------------------------------

AFTER = re.compile(r"\bbehind\b", re.I)
# where the word is right: of a place, of being late, of a thing that stays
PLACE = re.compile(r"\b(left|leave|leaves|leaving|stays?|fall|falls|lags?)( \S+){0,4} behind\b|\bbehind( an?| the| its?| his| that| our)?"
                   r" (\w+ )?(prox\w+|haproxy|nat|gates?|back|names?|descriptors?|balancers?|listeners?|tls|scenes)\b", re.I)


def all_comments(area):
    """(path, line, words) of each comment but the licence; in tests, those of scripts, too."""
    for end in (".[ch]", ".py", ".sh", ".t", ".inc") if area == "tests" else (".[ch]",):
        for path in files(area, ends=end):
            for line, words in comments(path):
                yield path, line, words.replace("SPDX-License-Identifier: Apache-2.0", "").lstrip(" -")


def free_relatives(area):
    """Comments that open with a free relative; a question may."""
    return ["%s:%d: %s" % (path, line, words[:70]) for path, line, words in all_comments(area)
            if re.match(r"(What|Who|Whose)\b(?![^.:;]*\?)", words)]


def behind(area):
    """In comments, and in what people read while the server runs."""
    read = [] if area == "tests" else [(path, line, words) for path in files(area) for line, words in strings(path)]
    return ["%s:%d: %s" % (path, line, words[max(0, m.start() - 30):m.end() + 30]) for path, line, words in [*all_comments(area), *read]
            for m in AFTER.finditer(PLACE.sub(lambda m: "-" * len(m.group(0)), words))]


# ---- the list of tests ---------------------------------------------------------------------------

def unlisted(area):
    """Tests that tests/README does not name."""
    named = set(re.findall(r"[\w/-]+", text("tests/README")))
    tests = {p[len("tests/"):].rsplit(".", 1)[0]: p for end in (".py", ".sh", ".t") for p in files(area, ends=end)
             if not p.startswith(("tests/bench/", "tests/corpus/", "tests/harness/", "tests/lib/")) and
             (end != ".py" or '__name__ == "__main__"' in text(p))}
    for end, kind in (("_test.c", "unit_"), (".c", "fuzz/")):
        folder = os.path.join(area, kind.strip("_/"))
        tests.update({kind + os.path.basename(p)[:-len(end)]: p for p in files(folder, ends=end)})
    return [p for name, p in sorted(tests.items()) if name not in named and name != "fuzz/replay" and
            not (name.startswith("wire/") and p.endswith(".t") and name[len("wire/"):] in named)]


# ---- all of it -----------------------------------------------------------------------------------

MEASURES = {
    "folders over 4,000 lines": folders,
    "functions over 50 lines": long_functions,
    "circles of more than two files": all_circles,
    "prototypes in another file's header": foreign_prototypes,
    "pairs of headers that clash": clashes,
    "globals no other file uses": lambda area: unused(area, False),
    "globals only tests use": lambda area: unused(area, True),
    "lines over 100 columns": long_lines,
    "comments that open with What, Who, Whose": free_relatives,
    "'behind' for 'after'": behind,
    "tests that tests/README does not name": unlisted,
}


BAD = {
    "one/one.c": "/* What it does. */\n#include \"one.h\"\nint\none_long(void)\n{\n" + "\tone();\n" * 60 + "}\n",
    "one/one.h": "#pragma once\nstruct one {\n\tint a; /* behind b */\n};\nint one_long(void);\nint two_act(const char *s);\n",
    "one/two.h": "#pragma once\nstruct one {\n\tint b; /* left behind by two */\n};\nstatic const char *b = \"behind b\";\n",
    "one/two.c": "/* What is it? */\nint two_act(const char *s)\n{\n\treturn \"{;\"[0]; // " + "long " * 20 + "\n}\n" + "\n" * 4000,
}
SEEN = [(folders, 1), (long_functions, 1), (long_lines, 1), (foreign_prototypes, 1), (clashes, 1), (free_relatives, 1), (behind, 2)]


def sees(work):
    """The measures that do not find exactly the faults of a tree with one of each kind."""
    for path, content in BAD.items():
        os.makedirs(os.path.join(work, "bad", os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(work, "bad", path), "w") as f:
            f.write(content)
    here, csource.TOP = csource.TOP, work
    wrong = ["%s: %s" % (measure.__name__, measure("bad")) for measure, n in SEEN if len(measure("bad")) != n]
    csource.TOP = here
    ring = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}}
    return wrong + ([] if circles(ring) == [["a", "b", "c"]] else ["circles: %s" % circles(ring)])


def main():
    verbose, wanted = "-v" in sys.argv[1:], " ".join(a for a in sys.argv[1:] if a != "-v")
    bad = count = 0
    for name, area, aim, bound in TABLE:
        if wanted not in name:
            continue
        found = MEASURES[name](area)
        good = len(found) <= bound
        count += 1
        bad += not good
        print("%s %d - %s: %s: %d, %d at most%s" % ("ok" if good else "not ok", count, area, name, len(found), bound,
                                                   "" if aim == bound else ", the aim is %d" % aim))
        if good and len(found) < bound:
            print("# better than it was: the bound in tests/lint/measure.py can be %d" % len(found))
        for line in found if verbose or not good else ():
            print("#   " + line)
    with tempfile.TemporaryDirectory() as work:
        wrong = sees(work)
    count, bad = count + 1, bad + bool(wrong)
    print("%s %d - the measures see what they look for\n%s" % ("not ok" if wrong else "ok", count,
                                                              "".join("#   %s\n" % w for w in wrong)), end="")
    for path in links_of_the_tree().missing if not wanted else ():
        print("# %s is not in this build: its links are not measured" % path)
    print("1..%d" % count)
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())
