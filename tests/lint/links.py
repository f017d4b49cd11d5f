# SPDX-License-Identifier: Apache-2.0
"""Which file of the tree uses which other: by the symbols and relocations of its object in a build (nm, readelf)."""
import glob
import os
import re
import subprocess

from csource import TOP, files


def build_tree():
    """The build this test runs in, or that of ./bootstrap test."""
    for path in (os.environ.get("top_builddir"), os.path.join(TOP, "build", "asan")):
        if path and os.path.exists(os.path.join(path, "config.status")):
            return path
    raise SystemExit("the lint looks into objects: make check-one T=measure, in a build")


def built(tree, source):
    """The object of a source; None: this build leaves it out."""
    folder, stem = os.path.split(os.path.join(tree, source[:-2]))
    found = [o for d in (os.path.join(folder, ".libs"), folder) for pattern in ("*-" + stem + ".o", stem + ".o")
             for o in glob.glob(os.path.join(d, pattern))]
    return max(found, key=os.path.getmtime) if found else None


class Links:
    """defines: source -> its global names; wants: source -> names it takes from elsewhere; calls: those it calls, if the
    machine's relocations tell a call from an address; missing: sources that are not in this build."""

    def __init__(self, *folders):
        tree, objects = build_tree(), {}
        self.defines, self.wants, self.missing = {}, {}, []
        for source in files(*folders, ends=".c"):
            found = built(tree, source)
            if found:
                objects[found] = source
            else:
                self.missing.append(source)
        out = subprocess.run(["nm", "-A", "-P", *objects], check=True, capture_output=True, text=True).stdout
        for line in out.splitlines():
            path, _, rest = line.partition(": ")
            name, kind = rest.split()[:2]
            where = objects[path]
            if kind == "U":
                self.wants.setdefault(where, set()).add(name)
            elif kind in "TDBRGSCVW" and not name.startswith("__"):
                self.defines.setdefault(where, set()).add(name)
        self.calls = self.called(objects) or self.wants
        self.homes = {}
        for source, names in self.defines.items():
            for name in names:
                self.homes.setdefault(name, []).append(source)

    @staticmethod
    def called(objects):
        out = subprocess.run(["readelf", "-rW", *objects], check=True, capture_output=True, text=True).stdout
        calls, where = {}, None
        for line in out.splitlines():
            if line.startswith("File: "):
                where = objects[line[len("File: "):]]
            m = re.search(r" R_(?:X86_64_PLT32|AARCH64_(?:CALL|JUMP)26) +[0-9a-f]+ +(\w+)", line)
            if m:
                calls.setdefault(where, set()).add(m.group(1))
        return calls

    def home(self, name, user):
        """The file a name comes from; of several, the nearest."""
        near = sorted(self.homes.get(name, []), key=lambda h: -len(os.path.commonprefix([h, user])))
        return near[0] if near else None

    def graph(self, inside):
        """file -> the files it calls, among those for which inside(file)."""
        return {s: {h for h in (self.home(n, s) for n in names) if h and h != s and inside(h)}
                for s, names in self.calls.items() if inside(s)}


def circles(graph, most=2):
    """Groups of more than `most` files in which each leads to every other (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in sorted(graph.get(v, ())):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            group = stack[stack.index(v):]
            del stack[stack.index(v):]
            if len(group) > most:
                found.append(sorted(group))
    for v in sorted(graph):
        if v not in index:
            visit(v)
    return sorted(found, key=lambda g: (-len(g), g))
