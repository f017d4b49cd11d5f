#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real mail programs fetch the whole corpus, in clear, by STLS and by TLS, and every message is compared byte
for byte (line ends aside where a client writes files with its own). Counts what was compared, and fails below
60 shapes x clients x 3, less the shapes a client is known to alter (alters.py). A missing client fails.
"""
import functools
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server, Tap  # noqa: E402
from shapes import SHAPES, wire  # noqa: E402
from alters import ALTERS, CANNOT  # noqa: E402
import clients  # noqa: E402

EXACT = ("curl", "poplib", "mpop", "Net::POP3", "mutt")  # CRLF as it came, or where the client wrote LF
FLOOR = 60


def first_difference(a, b):
    k = 0
    while k < min(len(a), len(b)) and a[k] == b[k]:
        k += 1
    return "%d against %d bytes, first difference at %d: got %r, expected %r" % (len(a), len(b), k, a[k:k + 40], b[k:k + 40])


@functools.lru_cache(None)
def wanted(name, exact):
    raw = wire(SHAPES[name])
    return raw if exact else raw.replace(b"\r\n", b"\n")


def compare(client, names, got):
    """How many of the messages are the same, and the difference in the first one that is not."""
    good, why = 0, ""
    for i, name in enumerate(names):
        have = got[i] if i < len(got) else None
        want = wanted(name, client in EXACT)
        if have is not None and client not in EXACT:
            have = have.replace(b"\r\n", b"\n")
        if have == want:
            good += 1
        elif not why:
            why = "%s: %s" % (name, "missing" if have is None else first_difference(have, want))
    return good, why


class Maildirs:
    """Where the corpus is kept; other stores have a class like it, perhaps with `skip`: client -> shapes left out."""

    def put(self, srv, user, messages):
        srv.maildir(user, messages)

    def section(self, srv):
        return "storage mail {\n module = maildir\n path = %s/%%n\n}\n" % srv.path("mail")

    def close(self):
        pass


def main(store, transports=clients.TRANSPORTS):
    tap = Tap()
    srv = Server()
    only = sys.argv[1:] or list(clients.CLIENTS)
    plan = {c: [n for n in SHAPES if n not in ALTERS[c] and n not in getattr(store, "skip", {}).get(c, ())] for c in only}
    users = {c: "user%d" % i for i, c in enumerate(only)}
    srv.passwd({u: "restante" for u in users.values()})
    for c in only:
        store.put(srv, users[c], [SHAPES[n] for n in plan[c]])
    srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n%s"
                  % (srv.path("passwd"), store.section(srv)))
    srv.start()
    compared = 0
    try:
        for c in only:
            for transport in transports:
                if (c, transport) in CANNOT:
                    tap.note("%s, %s: not possible: %s" % (c, transport, CANNOT[c, transport]))
                    continue
                account = clients.Account({"plain": srv.clear_port, "stls": srv.port, "tls": srv.tls_port},
                                          users[c], "restante", srv.path("cert.pem"), len(plan[c]))
                home = tempfile.mkdtemp(dir="/tmp")
                started = time.monotonic()
                try:
                    got = clients.CLIENTS[c](account, transport, home)
                    good, why = compare(c, plan[c], got)
                except (clients.ClientFailed, OSError, RuntimeError, ValueError) as e:
                    good, why = 0, str(e)
                except Exception as e:  # a client library's own exceptions: reported, and counted as a failure
                    good, why = 0, "%s: %s" % (type(e).__name__, e)
                shutil.rmtree(home, ignore_errors=True)
                compared += good
                tap.ok(good == len(plan[c]), "%s, %s: %d of %d messages (%.1f s)" % (
                    c, transport, good, len(plan[c]), time.monotonic() - started), why)
        floor = sum(min(FLOOR, len(SHAPES) - len(ALTERS[c])) for c in only
                    for transport in transports if (c, transport) not in CANNOT)
        tap.ok(compared >= floor, "%d messages compared, %d at least" % (compared, floor))
        for c in only:
            tap.note("%s: left out %d of %d shapes: %s" % (c, len(ALTERS[c]), len(SHAPES), ", ".join(sorted(ALTERS[c]))))
        tap.ok("size-mismatch" not in srv.log(), "every message had the size LIST announced", srv.log()[-2000:])
    finally:
        rc = srv.close()
        store.close()
    tap.ok(rc == 0, "the server ended cleanly", rc)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main(Maildirs()))
