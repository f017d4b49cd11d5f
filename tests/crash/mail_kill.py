#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restanted is killed (-9) at seeded moments while Postfix and restante-deliver bring mail and POP3 clients take it
away; it is started again at once. Nothing that was accepted is lost, and a copy comes twice only where the reply
to it was lost: Postfix, or restante-deliver, says so itself. Some restante-deliver are killed as well.

--all: 100 kills on each store. Usage: mail_kill.py [STORE... [KILLS]]"""
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailrig import DOMAIN, Rig, feeders, wait_until  # noqa: E402
from server import Tap  # noqa: E402

ALL = os.environ.get("ALL") == "yes"
SEED = int(os.environ.get("SEED", "20261124"))
PATIENCE = int(os.environ.get("PATIENCE", "600"))


def killed_pipe(rig, seq, rng):
    """A restante-deliver that is killed itself; nobody answers for it, so its message may come or not."""
    to, raw = rig.message(seq)
    with rig.lock:
        rig.sent[seq] = (to[:1], raw)
        rig.doubted.add(seq)
        rig.killed.add(seq)
    p = subprocess.Popen([rig.server.bin("restante-deliver"), "-s", rig.socket, "-a", "%s@%s" % (to[0], DOMAIN)],
                         stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        p.stdin.write(raw[:rng.randrange(len(raw))] if rng.random() < 0.5 else raw)
        p.stdin.flush()
        time.sleep(rng.random() * 0.02)
    except BrokenPipeError:
        pass
    p.kill()
    try:
        p.stdin.close()
    except BrokenPipeError:
        pass
    p.wait()


def lost_replies(log):
    """Queue ids whose reply Postfix did not get."""
    return set(re.findall(r"(\w+): to=<[^\n]*(?:may be sent more than once|while sending end of data|"
                          r"while sending message body|timed out while sending end of data)", log))


def run(tap, store, kills):
    total, users, clients = (kills * 30, 40, 12) if ALL else (kills * 40, 12, 4)
    rng = random.Random(SEED)
    rig = Rig(store, users, SEED)
    rig.killed = set()
    done_feeding = threading.Event()
    done = [0]

    fed = [0]

    def feed(postfix, seq):
        fed[0] += 1
        if seq % 17 == 0:
            killed_pipe(rig, seq, rng)
        elif seq % 5 == 0:
            rig.pipe(seq)
        else:
            rig.send(postfix, seq)

    def killer():
        while done[0] < kills:
            due, end = total * (done[0] + rng.random()) / kills, time.monotonic() + 10
            while fed[0] < due and time.monotonic() < end and not done_feeding.is_set():
                time.sleep(0.01)  # over the whole run
            time.sleep(rng.uniform(0, 0.3))
            rig.server.proc.send_signal(signal.SIGKILL)
            rig.server.proc.wait()
            rig.server.start(120)
            done[0] += 1
        done_feeding.wait(PATIENCE)
    try:
        rig.server.start()
        with rig.postfix() as postfix:
            postfix.start()
            out = rig.clients(clients)
            death = threading.Thread(target=killer)
            death.start()
            join = feeders(3, total, lambda seq: feed(postfix, seq))
            try:
                join()
                done_feeding.set()
                death.join(PATIENCE)
                postfix.flush()
                wait_until(lambda: not [x for x in rig.missing() if x[0] not in rig.killed] or rig.wrong, PATIENCE,
                           "all mail to come out")
                wait_until(lambda: postfix.queued() == 0, 60, "Postfix to be done")
                time.sleep(1)  # what comes twice comes now
            except RuntimeError as e:
                tap.note(str(e))
            finally:
                done_feeding.set()
                rig.end(out)
            log = postfix.log()
        missing = [x for x in rig.missing() if x[0] not in rig.killed]
        lost = lost_replies(log)
        twice = rig.duplicates()
        unexplained = [k for k in twice if k[0] not in rig.doubted and rig.queue_ids.get(k[0]) not in lost]
        tap.note("%s: %d kills, %d messages, %d copies: %d missing, %d twice (%d replies lost by Postfix's log, %d by "
                 "restante-deliver's), %d wrong; seed %d" % (store, done[0], total, len(rig.wanted()), len(missing), len(twice),
                                                           len(lost), len(rig.doubted), len(rig.wrong), SEED))
        tap.ok(done[0] == kills, "%s: killed %d times" % (store, kills))
        tap.ok(not missing, "%s: nothing accepted is lost" % store, "%r\n%s" % (missing[:5], log[-1500:]))
        tap.ok(not rig.wrong, "%s: what comes out is what was sent" % store, rig.wrong[:3])
        tap.ok(not unexplained, "%s: twice only where the reply was lost (%d of %d copies)" % (store, len(twice), len(rig.wanted())),
               [(k, rig.queue_ids.get(k[0])) for k in unexplained[:5]])
        tap.ok(rig.server.stop() == 0, "%s: the server ends well" % store, rig.server.log()[-2000:])
    finally:
        rig.close()


def main():
    tap = Tap()
    names = [a for a in sys.argv[1:] if not a.isdigit()]
    kills = [int(a) for a in sys.argv[1:] if a.isdigit()]
    for store in names or ["maildir", "mbox", "mysql"]:
        run(tap, store, kills[0] if kills else 100 if ALL else 5)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
