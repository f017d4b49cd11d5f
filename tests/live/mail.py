#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real Postfix takes mail by SMTP and hands it to restanted by LMTP, while POP3 clients fetch and delete: every
accepted message is fetched exactly once, byte for byte but for the trace headers on top. On every store.
Then swaks and smtp-source speak to restanted directly.

--all: 20,000 messages to 200 users, 50 clients. Usage: mail.py [STORE...]"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailrig import DOMAIN, Rig, feeders, wait_until  # noqa: E402
from server import Tap, free_port  # noqa: E402

ALL = os.environ.get("ALL") == "yes"
STORES = ["ram", "maildir", "mbox", "mysql"]


def run(tap, store):
    total, users, clients = (20000, 200, 50) if ALL else (150, 16, 6)
    rig = Rig(store, users)
    try:
        rig.server.start()
        with rig.postfix() as postfix:
            postfix.start()
            out = rig.clients(clients)
            join = feeders(6, total, lambda seq: rig.send(postfix, seq))
            try:
                join()
                wait_until(lambda: not rig.missing() or rig.wrong, 3600 if ALL else 900, "all mail to come out")
                postfix.wait_empty()  # it cleans up after the answer
            except RuntimeError as e:
                tap.ok(False, "%s: all messages come out" % store,
                       "%s; %d missing\n%s\n%s" % (e, len(rig.missing()), postfix.log()[-1500:], rig.server.log()[-1500:]))
                return
            finally:
                rig.end(out)
            left = postfix.queued()
        copies = len(rig.wanted())
        twice = {k: v for k, v in rig.copies.items() if sum(v.values()) != 1}
        tap.note("%s: %d messages, %d copies for %d users; fetched %d, deleted %d, duplicates %d, wrong %d" % (
            store, total, copies, users, sum(sum(v.values()) for v in rig.copies.values()), rig.deleted,
            len(rig.duplicates()), len(rig.wrong)))
        tap.ok(not rig.wrong, "%s: every message is as it was sent" % store, rig.wrong[:3])
        tap.ok(not twice and not rig.missing() and left == 0 and rig.deleted == copies,
               "%s: %d copies of %d messages, each fetched exactly once" % (store, copies, total),
               "twice %r, missing %r, in Postfix's queue %d, deleted %d" % (list(twice)[:5], list(rig.missing())[:5], left, rig.deleted))
        tap.ok(rig.server.stop() == 0, "%s: the server ends well" % store, rig.server.log()[-2000:])
    finally:
        rig.close()


def speakers(tap):
    """swaks and smtp-source, to TCP listeners of both protocols."""
    rig = Rig("maildir", 3)
    s = rig.server
    lmtp, smtp = free_port(), free_port()
    s.extra_listeners += ("listener lmtp-tcp {\n protocol = lmtp\n address = 127.0.0.1\n port = %d\n}\n"
                          "listener smtp {\n protocol = smtp\n address = 127.0.0.1\n port = %d\n}\n"
                          "delivery {\n postmaster = user0\n}\n" % (lmtp, smtp))
    s.configure(rig.sections(), default_domain=DOMAIN, max_per_address="0")
    s.start()
    try:
        def count():
            n = sum(len(files) for base, _, files in os.walk(s.path("mail")) if base.endswith(("/new", "/cur")))
            return n

        def speak(name, cmd, more):
            before = count()
            done = subprocess.run(cmd, capture_output=True, text=True, timeout=300)
            tap.ok(done.returncode == 0 and count() - before == more, name,
                   "exit %d, %d messages\n%s%s" % (done.returncode, count() - before, done.stdout[-1500:], done.stderr[-500:]))
        to = "user1@%s,user2@%s" % (DOMAIN, DOMAIN)
        swaks = ["swaks", "--from", "clerk@example.org", "--to", to, "--server", "127.0.0.1", "--port"]
        speak("swaks, LMTP on TCP, two recipients", swaks + [str(lmtp), "--protocol", "LMTP"], 2)
        speak("swaks, LMTP with STARTTLS, pipelined", swaks + [str(lmtp), "--protocol", "LMTP", "--tls", "--pipeline"], 2)
        speak("swaks, LMTP on the unix socket", swaks[:5] + ["--socket", rig.socket, "--protocol", "LMTP"], 2)
        speak("swaks, ESMTP with STARTTLS", swaks + [str(smtp), "--protocol", "ESMTPS"], 2)
        done = subprocess.run(swaks[:3] + ["--to", "x@elsewhere.example", "--server", "127.0.0.1", "--port", str(smtp)],
                              capture_output=True, text=True, timeout=300)
        tap.ok("550 5.1" in done.stdout and done.returncode != 0, "swaks: mail for elsewhere is not relayed", done.stdout)
        n = 300 if ALL else 60
        for name, more in (("LMTP", ["-L", "unix:" + rig.socket]), ("LMTP on TCP", ["-L", "inet:127.0.0.1:%d" % lmtp]),
                           ("SMTP", ["inet:127.0.0.1:%d" % smtp])):
            speak("smtp-source, %s: %d messages on 8 connections" % (name, n),
                  ["smtp-source", "-s", "8", "-m", str(n), "-l", "5000", "-f", "clerk@example.org", "-t", "user1@" + DOMAIN] + more, n)
        tap.ok(s.stop() == 0, "the server ends well", s.log()[-2000:])
    finally:
        rig.close()


def main():
    tap = Tap()
    for store in sys.argv[1:] or STORES:
        run(tap, store)
    if not sys.argv[1:]:
        speakers(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
