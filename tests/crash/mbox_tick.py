#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restanted dies at each kill point of a QUIT that deletes from an mbox (builds with --enable-kill-points) and starts
again. The background work alone carries out a journal that was left, before anybody logs in: then the file
holds the messages that were kept, and no others. With --all also: a rewrite that takes minutes keeps its dotlock fresh."""
import glob
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop  # noqa: E402
from server import Server, Tap, mboxrd, wait_until  # noqa: E402
from store import Store  # noqa: E402

MESSAGES = [b"Subject: %d\n\n%s\n" % (k, b"y" * (100 * k)) for k in range(4)]
MOST = 60  # no run has more kill points


def texts(path):
    with open(path, "rb") as f:
        lines = f.read().split(b"\n")
    return [k for k in range(len(MESSAGES)) if b"Subject: %d" % k in lines]


def journals(srv):
    return [p for p in glob.glob(srv.path("state", "mbox", "journal", "*")) if not p.endswith(".new")]


def delete_second(port):
    try:
        with Pop(port) as p:
            p.login("ann")
            p.say("DELE 2")
            return p.say("QUIT")
    except OSError:
        return b""


def one_death(k):
    """(died, a journal was left, problem)"""
    srv = Server()
    box = srv.path("mail", "ann")
    try:
        srv.passwd({"ann": "restante"})
        srv.mbox("ann", MESSAGES)
        srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                      "storage mail {\n module = mbox\n path = %s/%%n\n}\n" % (srv.path("passwd"), srv.path("mail")))
        os.environ["RESTANTE_KILL_POINT"] = str(k)
        srv.start()
        del os.environ["RESTANTE_KILL_POINT"]
        answer = delete_second(srv.clear_port)
        rc = srv.stop()
        left = bool(journals(srv))
        if os.path.exists(box + ".lock"):
            os.unlink(box + ".lock")  # its process may belong to this test
        srv.start()
        if left:
            wait_until(lambda: not journals(srv), 60, "the journal to be carried out")
        there = texts(box)
        wanted = ([0, 2, 3],) if left or answer.startswith(b"+OK") else ([0, 1, 2, 3], [0, 2, 3])
        return rc == 99, left, "" if there in wanted else "messages %s, %r was the answer\n%s" % (there, answer, srv.log()[-800:])
    finally:
        os.environ.pop("RESTANTE_KILL_POINT", None)
        srv.close()


def ticks(tap):
    deaths = carried_out = 0
    for k in range(1, MOST + 1):
        died, left, problem = one_death(k)
        if problem:
            tap.ok(False, "death at kill point %d" % k, problem)
        if not died:
            break
        deaths += 1
        carried_out += left
    tap.ok(3 <= carried_out <= deaths < MOST, "%d deaths, %d journals carried out by the background work" % (deaths, carried_out))


def fresh(tap):
    """Each piece of a rewrite takes a second; a program that waits for the dotlock can see that it is not stale."""
    store = Store(kind="mbox")
    try:
        path = os.path.join(store.dir, "mail", "ann")
        with open(path, "wb") as f:
            for k in range(3):
                f.write(mboxrd(b"Subject: %d\n\n%s" % (k, b"z" * 70 + b"\n") * (1 if k == 0 else 15000), b"a@b", k))
        slow = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:delay_enter=1000000"]
        out, seen = [], set()
        session = threading.Thread(target=lambda: out.append(store.run("session", "ann", "0", wrap=slow)))
        session.start()
        while session.is_alive():
            try:
                seen.add(os.stat(path + ".lock").st_mtime_ns)
            except FileNotFoundError:
                pass
            time.sleep(0.2)
        tap.ok(out and out[0].commit == "OK" and len(seen) >= 2, "a dotlock held long was touched: %d times seen" % len(seen),
               out and out[0].text[-500:])
    finally:
        store.close()


def main():
    tap = Tap()
    ticks(tap)
    if os.environ.get("ALL") == "yes":
        fresh(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
