#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several callers of the control socket at once: one that waits for a module that hangs, sends nothing, or does not read its
answer, keeps nobody else waiting; all are answered; the server can end while callers still wait."""
import json
import os
import signal
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE, Pop  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

CALLERS = 16


def sections(srv):
    """Accounts whose section hangs until a file named release exists."""
    return (accounts(srv, "inner", storage=None) + maildirs(srv) +
            block("auth", "hangs", module="fault", wrap="inner", rule=["verify * hang", "lookup * hang"], release=srv.path("release"),
                  permits=2, call_ms=30000, storage="mail"))


def start(srv, *args, stdin=None):
    return subprocess.Popen([srv.bin("restantectl"), "-s", srv.path("run", "control"), "--json", *args], stdin=stdin,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def auth_test(srv):
    p = start(srv, "auth", "test", "ann", "--password-stdin", stdin=subprocess.PIPE)
    p.stdin.write("restante\n")
    p.stdin.close()
    p.stdin = None
    return p


def calls(srv):
    return json.loads(srv.ctl("--json", "modules", timeout=60).stdout)["calls"]


def quick(srv):
    """Verbs that need no module: all of them are answered."""
    return all(srv.ctl(*v, timeout=60).returncode == 0 for v in (("status",), ("sessions",), ("modules",), ("volumes",),
                                                                ("metrics",), ("forget", "ann"), ("log-reopen",)))


def hanging(tap, srv):
    waiting = [auth_test(srv), start(srv, "user", "ann"), auth_test(srv)]
    wait_until(lambda: len(calls(srv)) == 2, PATIENCE, "two calls to hang")
    tap.ok(quick(srv) and srv.ctl("reload", timeout=60).returncode == 0,
           "while two auth tests and a user wait for a section that hangs, others are answered")
    tap.ok(all(p.poll() is None for p in waiting), "and they wait still")
    open(srv.path("release"), "w").close()
    said = [p.communicate(timeout=60) for p in waiting]
    tap.ok(all(json.loads(out)["ok"] for out, _ in said) and [p.returncode for p in waiting] == [0, 0, 0],
           "they have their answers when it is back", said)
    os.unlink(srv.path("release"))


def connect(srv):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(srv.path("run", "control"))
    return s


def answer(s):
    try:
        return s.makefile("rb").read()
    except ConnectionError:
        return b""


def silent(tap, srv):
    """Some send nothing, some half a line, some do not read; the last place serves everybody else."""
    held = [connect(srv) for _ in range(CALLERS - 1)]
    for k, s in enumerate(held):
        if k % 3 == 1:
            s.sendall(b'{"verb": "sta')
        elif k % 3 == 2:
            s.sendall(b'{"verb": "metrics"}\n')
    tap.ok(quick(srv), "fifteen callers that are stuck: others are answered")
    full = [connect(srv) for _ in range(3)]
    last = connect(srv)
    last.sendall(b'{"verb": "status"}\n')
    tap.ok(json.loads(answer(last))["ok"] is True, "all places taken: a caller in line is served when they have run out of time")
    tap.ok([answer(s) for k, s in enumerate(held) if k % 3 != 2] == [b""] * 10, "callers that sent nothing were closed")
    for s in held + full + [last]:
        s.close()


def together(tap, srv):
    """Each gets the answer to its own question."""
    good = []

    def ask(k):
        s = connect(srv)
        verb = ("status", "sessions", "volumes", "nonsense-%d" % k)[k % 4]
        line = json.dumps({"verb": verb}).encode() + b"\n"
        for at in range(0, len(line), 5):
            s.sendall(line[at:at + 5])
        got = json.loads(answer(s))
        good.append(got.get("error") == "unknown verb '%s'" % verb if k % 4 == 3 else
                    got["ok"] and {"status": "version", "sessions": "sessions", "volumes": "volumes"}[verb] in got)
        s.close()
    threads = [threading.Thread(target=ask, args=(k,)) for k in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tap.ok(good == [True] * 40, "forty callers at once", good)


def reloads(tap, srv):
    """One after the other: all of them happen."""
    before = json.loads(srv.ctl("--json", "status").stdout)["configuration_serial"]
    all_ = [start(srv, "reload") for _ in range(6)]
    said = [p.communicate(timeout=90) for p in all_]
    after = json.loads(srv.ctl("--json", "status").stdout)["configuration_serial"]
    tap.ok(all(p.returncode == 0 for p in all_) and after == before + 6, "six reloads at once are six reloads",
           (before, after, said))


def gone(tap, srv):
    """A caller that hangs up while it waits does no harm, nor does one that is killed while its answer is made."""
    p = auth_test(srv)
    wait_until(lambda: len(calls(srv)) == 1, PATIENCE, "the call to hang")
    p.kill()
    p.communicate()
    open(srv.path("release"), "w").close()
    wait_until(lambda: not calls(srv), PATIENCE, "the call to come back")
    tap.ok(quick(srv), "a caller that was killed while it waited")
    os.unlink(srv.path("release"))


def ended(tap, srv):
    """The server ends although a caller waits: a call under way may return first."""
    waiting = [auth_test(srv), start(srv, "user", "ann")]
    wait_until(lambda: len(calls(srv)) == 2, PATIENCE, "two calls to hang")
    with Pop(srv.clear_port) as p:
        p.say("NOOP")
        srv.proc.send_signal(signal.SIGTERM)
        tap.ok(p.line() == b"", "at SIGTERM a session that is not logged in ends")
    open(srv.path("release"), "w").close()
    tap.ok(srv.proc.wait(PATIENCE) == 0, "the server ends with 0 although callers wait", srv.log()[-1000:])
    for p in waiting:
        p.communicate(timeout=60)
    tap.ok(all(p.returncode is not None for p in waiting), "and they get an answer either way")


def main():
    tap = Tap()
    with Server() as srv:
        srv.passwd({"ann": "restante"})
        srv.maildir("ann", [b"Subject: a letter\n\nbody\n"])
        srv.configure(sections(srv))
        srv.start()
        for step in (hanging, together, silent, reloads, gone, ended):
            step(tap, srv)
        srv.ends(tap, "cleanly")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
