# SPDX-License-Identifier: Apache-2.0
"""C sources as the lint sees them: comments, code without comments, functions, prototypes. The tree is formatted (format.sh), so a
function's name, its { and its } stand at the beginning of a line."""
import functools
import glob
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOKEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def files(*folders, ends=".[ch]"):
    """The files below these folders of the tree, by their path from the top."""
    return sorted(os.path.relpath(p, TOP) for folder in folders
                  for p in glob.glob(os.path.join(TOP, folder, "**", "*" + ends), recursive=True))


@functools.lru_cache(None)
def text(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


@functools.lru_cache(None)
def code(path):
    """The text without comments and preprocessor lines, strings empty; the number of lines stays."""
    def blank(m):
        return '""' if m.group(0)[0] in "\"'" else "\n" * m.group(0).count("\n")
    plain = TOKEN.sub(blank, text(path))
    return re.sub(r"(?m)^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", lambda m: "\n" * m.group(0).count("\n"), plain)


@functools.lru_cache(None)
def comments(path):
    """(line, the comment's words in one line) for each; in scripts, strings in triple quotes, and runs of lines with #."""
    found = []
    if not path.endswith((".c", ".h")):
        for m in re.finditer(r'"""(.*?)"""|(?m:(?:^[ \t]*#(?!!)[^\n]*\n)+|[ \t]#[ ][^\n]*$)', text(path), re.S):
            words = m.group(1) or re.sub(r"(?m)^[ \t]*#", " ", m.group(0))
            found.append((text(path).count("\n", 0, m.start()) + 1, " ".join(words.split())))
        return found
    for m in TOKEN.finditer(text(path)):
        if m.group(0)[0] == "/":
            words = re.sub(r"^/\*+|\*/$|^//", "", m.group(0))
            words = re.sub(r"(?m)^[ \t]*\*(?!\w)", " ", words)
            found.append((text(path).count("\n", 0, m.start()) + 1, " ".join(words.split())))
    return found


@functools.lru_cache(None)
def strings(path):
    """(line, text) of each string of a C source but the names of its headers."""
    return [(text(path).count("\n", 0, m.start()) + 1, m.group(0)[1:-1]) for m in TOKEN.finditer(text(path))
            if m.group(0)[0] == '"' and not text(path)[:m.start()].endswith("#include ")]


def functions(path):
    """(name, line, number of lines) of each function that is defined here."""
    found, lines = [], code(path).split("\n")
    for k, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        name = next(((m.group(1), j) for j in range(k - 1, -1, -1)
                     for m in [re.match(r"(?:[\w*][\w *]*[ *])?(\w+)\(", lines[j])] if m), None)
        end = next((j for j in range(k, len(lines)) if lines[j].startswith("}")), k)
        if name:
            found.append((name[0], name[1] + 1, end - name[1] + 1))
    return found


def prototypes(path):
    """(name, line) of each function that this header declares."""
    found, depth, start, body = [], 0, 0, code(path)
    for m in re.finditer(r"[{};]", body):
        if m.group(0) == "{":
            depth += 1
            continue
        if m.group(0) == "}":
            depth -= 1
        elif depth == 0:
            words = re.sub(r"__attribute__\s*\(\(.*?\)\)", " ", body[start:m.start()], flags=re.S)
            name = re.match(r"\s*(?!typedef\b)[\w*][\w\s*]*?[\s*](\w+)\s*\(", words)
            if name:
                found.append((name.group(1), body.count("\n", 0, m.start()) + 1))
        if depth == 0:
            start = m.end()
    return found


def includes(path):
    """The headers of the tree it includes, as they are written."""
    return re.findall(r'(?m)^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', text(path))
