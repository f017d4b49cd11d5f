# SPDX-License-Identifier: Apache-2.0
"""The fields of restantectl's answers, as restantectl(8) names them; unit_answer compares that with the tables in the source."""
import os
import re

MAN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "man", "restantectl.8")
KINDS = {"text": str, "number": int, "boolean": bool, "object": dict, "list": list}


def manual():
    """Heading -> key -> type."""
    out = {}
    for line in open(MAN).read().partition("\n.Sh ANSWERS\n")[2].splitlines():
        if line.startswith(".Ss "):
            heading = out.setdefault(line[4:], {})
        elif line.startswith(".It Li "):
            key, kind = re.match(r"\.It Li (\S+) Pq (\w+)", line).groups()
            heading[key] = KINDS[kind]
        elif line.startswith(".Sh "):
            break
    return out


def paths(heading):
    """Verb and path of each object that a heading is for; a path at its end applies to all its verbs."""
    parts = [part.partition(" .")[::2] for part in heading.split(", ")]
    return [(verb, path or parts[-1][1]) for verb, path in parts]


def below(path, doc):
    """The objects that a path like `sessions[]` leads to."""
    got = doc.get(path.strip("[]"))
    return [] if got is None else got if path.endswith("[]") else [got]


def strange(verb, doc):
    """The fields in an answer of this verb that are not in the manual, or of another type; nested objects included."""
    man, known, wrong = manual(), {}, []
    for heading, fields in man.items():
        if any(not path and v in ("every verb", verb, verb.split()[0]) for v, path in paths(heading)):
            known.update(fields)
    wrong = ["%s: %s = %r" % (verb, k, v) for k, v in doc.items() if k not in known or type(v) is not known[k]]
    for heading, fields in man.items():
        for path in [path for v, path in paths(heading) if v == verb and path]:
            for o in below(path, doc):
                wrong += ["%s .%s: %s = %r" % (verb, path, k, v) for k, v in o.items()
                          if k not in fields or type(v) is not fields[k]]
    return wrong


class Seen:
    """Compares every answer in a test with the manual as it comes."""

    def __init__(self):
        self.wrong, self.verbs = [], {}

    def look(self, verb, doc):
        self.verbs[verb] = self.verbs.get(verb, 0) + 1
        self.wrong += strange(verb, doc)

    def show(self, tap, *verbs):
        missing = [v for v in verbs if v not in self.verbs]
        tap.ok(not self.wrong and not missing, "answers have the fields of the manual, and no others: " + ", ".join(verbs),
               (self.wrong[:10], missing))
