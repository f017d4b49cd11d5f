#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every transcript's client, cut off after each of its bytes, on the module `ram`: the server lives, releases every
maildrop, and deletes nothing unless a whole QUIT arrived. Half of the cuts are an abrupt close, half close only
the sending side and read the rest of the server's replies."""
import glob
import os
import shutil
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from run import Client, Mismatch, Transcript, unescape  # noqa: E402
from server import Server, Tap  # noqa: E402
from shapes import SHAPES  # noqa: E402

WAIT = 60


def connections(t):
    """The client's bytes, connection by connection: only connections in clear, and nothing beyond QUIT's last byte."""
    if t.delivery is not None or any(line.startswith("!use ") or "\\m{" in line for _, line in t.lines):
        return [] # cut_mail.py does this for incoming mail
    out, port, data, tls = [], "clear", b"", False
    for _, line in t.lines + [(0, "!again")]:
        if line.startswith("!port "):
            port = line.split()[1]
        elif line.startswith("C: ") and not tls:
            text = line[3:]
            data += unescape(text[:-2]) if text.endswith("\\c") else unescape(text) + b"\r\n"
        elif line == "!tls":
            tls = True
        elif line in ("!again", "!close"):
            if data and port != "tls":
                out.append((port, data))
            data, tls = b"", False
    return [(p, d[:d.index(b"QUIT\r\n") + 5] if b"QUIT\r\n" in d else d) for p, d in out]


def server_for(t):
    """The transcript's users and mail, in memory."""
    s = Server()
    s.mail_ports = {}
    load = s.path("load")
    for user in t.users:
        os.makedirs(os.path.join(load, user))
        for i, name in enumerate(t.mail.get(user, [])):
            with open(os.path.join(load, user, "%03d" % i), "wb") as f:
                f.write(SHAPES[name])
    s.give(load)
    settings = dict(t.settings, max_bad_commands="1000", max_failed_logins="100")
    users = "".join(" user = %s:%s\n" % u for u in t.users.items())
    s.configure("auth accounts {\n module = ram\n%s storage = mail\n}\nstorage mail {\n module = ram\n load = %s\n}\n"
                % (users, load), **settings)
    return s.start()


def cut_at(s, port, data, cut, abrupt):
    c = Client(s, port, False)
    c.line()
    c.send(data[:cut])
    if not abrupt:
        c.sock.shutdown(socket.SHUT_WR)
        try:
            while c.sock.recv(65536):
                pass
        except (ConnectionError, socket.timeout):
            pass
    c.close()


def count(s, user, password):
    """The number of messages that a whole session finds, as soon as the cut ones are over."""
    end = time.monotonic() + WAIT
    while True:
        c = Client(s, "clear", False)
        try:
            c.sock.settimeout(WAIT)
            c.line()
            c.send(b"USER %s\r\nPASS %s\r\nQUIT\r\n" % (user.encode(), password.encode()))
            c.line()
            got = c.line()
        finally:
            c.close()
        if got.startswith(b"+OK"):
            return int(got.split()[1])
        if time.monotonic() > end:
            raise Mismatch("%s cannot log in afterwards: %r" % (user, got))
        time.sleep(0.05)


def cut(t, serve=server_for):
    """(cuts made, faults)"""
    cuts = 0
    s = serve(t)
    try:
        for port, data in connections(t):
            # a wrong password is answered on a grid of seconds: those are cut without waiting for it
            slow = any("AUTH" in line or "PASS x" in line for _, line in t.lines if line[0] in "CS")
            for at in range(len(data)):
                cut_at(s, port, data, at, slow or at % 2)
                cuts += 1
                if not s.alive():
                    return cuts, "the server died at byte %d: %s" % (at, s.log()[-1500:])
        for user, password in t.users.items():
            n = count(s, user, password)
            if n != len(t.mail.get(user, [])):
                return cuts, "%s had %d messages and has %d" % (user, len(t.mail.get(user, [])), n)
        rc = s.stop()
        return cuts, "" if rc == 0 else "exit code %s: %s" % (rc, s.log()[-1500:])
    except (Mismatch, OSError) as e:
        return cuts, "%s\n%s" % (e, s.log()[-1500:])
    finally:
        s.close()
        shutil.rmtree(s.dir, ignore_errors=True)


def main():
    tap = Tap()
    total = 0
    for path in sorted(glob.glob(os.path.join(HERE, "*.t"))):
        t = Transcript(path)
        if (sys.argv[1:] and t.name not in sys.argv[1:]) or not connections(t):
            continue
        cuts, wrong = cut(t)
        total += cuts
        tap.ok(cuts and not wrong, "%s: cut at each of %d bytes" % (t.name, cuts), wrong)
    tap.ok(sys.argv[1:] or total > 1000, "%d cuts in all" % total)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
