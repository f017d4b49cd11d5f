#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TLS clients that send without a pause, four of them against four workers: others are served all the same, and a flooder is
kicked, if late, and listened to no longer than anybody else. Endless key updates and renegotiations are cut off; a client that
changes keys in honest work is not. All of this before a login or without one: it costs nothing to try."""
import os
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE  # noqa: E402
from restantectl import Out, sessions  # noqa: E402
from sections import plain  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

WORKERS = 4
LIMIT_S = int(os.environ.get("FLOOD_LIMIT_S", PATIENCE))  # for things that must not happen
LINE = "A line of text, as letters have them.\r\n"
LHLO = ["clear:LHLO a", "clear:STARTTLS", "LHLO a"]
MAIL = LHLO + ["MAIL FROM:<>", "RCPT TO:<ann>"]
BAD_COMMANDS = 20  # max_bad_commands


class Flood:
    """tests/live/flood, which says when it begins."""

    def __init__(self, port, kind, unit, lines=(), count=0):
        self.proc = subprocess.Popen([os.path.join(os.environ.get("top_builddir", "."), "tests", "live", "flood"), str(port), kind,
                                      str(count), unit, *lines], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.proc.stdout.readline() != "flooding\n":
            raise RuntimeError("flood %s did not begin" % kind)

    def goes_on(self):
        return self.proc.poll() is None

    def end(self):
        """How it ended: "cut", "well", or "told", after LIMIT_S."""
        timer = threading.Timer(LIMIT_S, self.proc.stdin.close)
        timer.start()
        how = self.proc.stdout.readline().strip()
        timer.cancel()
        self.stop()
        return how

    def stop(self):
        self.proc.stdin.close()
        self.proc.stdout.read()
        return self.proc.wait()


def floods(srv):
    """name: (port, unit, lines). All are of records of TLS."""
    starttls = ["clear:STLS"]
    return {"commands": (srv.tls_port, "USER x\r\n", []), "commands after STLS": (srv.clear_port, "USER x\r\n", starttls),
            "a line without an end": (srv.tls_port, "x", []), "LMTP commands": (srv.lmtp, "NOOP\r\n", LHLO),
            "DATA": (srv.lmtp, LINE, MAIL + ["DATA"]), "DATA, an octet a record": (srv.lmtp, "x", MAIL + ["DATA"]),
            "BDAT, an octet a record": (srv.lmtp, "x", MAIL + ["send:BDAT 9000000000 LAST"])}


def answered(srv):
    """Whether a newcomer gets an answer. (The greeting comes from the acceptor, and proves nothing.)"""
    try:
        with socket.create_connection(("127.0.0.1", srv.clear_port), LIMIT_S) as s:
            s.sendall(b"CAPA\r\nQUIT\r\n")
            got = b"".join(iter(lambda: s.recv(4096), b""))
    except OSError:
        return False
    return b"\r\n.\r\n+OK" in got


def gone(srv):
    wait_until(lambda: not sessions(srv), PATIENCE, "all sessions to end")


def others(tap, srv):
    for name, (port, unit, lines) in floods(srv).items():
        all_of_them = [Flood(port, "records", unit, lines) for _ in range(WORKERS)]
        good = all([answered(srv) for _ in range(5)])
        going = [f.goes_on() for f in all_of_them]
        tap.ok(good and all(going), "%s: a newcomer is answered while %d flood" % (name, WORKERS), (good, going))
        for f in all_of_them:
            f.stop()
        gone(srv)


def kicked(tap, srv):
    for name, (port, unit, lines) in floods(srv).items():
        f = Flood(port, "records", unit, lines)
        ids = [s["id"] for s in sessions(srv)]
        tap.ok(len(ids) == 1 and Out(srv, "kick", str(ids[0])).rc == 0 and f.end() == "cut", "%s: a kick ends it in the middle" % name, ids)
        tap.ok(srv.said("session=%d " % ids[0]) and srv.said("kicked"), "%s: and the log says so" % name)
        gone(srv)


def said_more(srv, text, before):
    """Whether the log gets more of these lines than before."""
    try:
        wait_until(lambda: srv.log().count(text) > before, PATIENCE, text)
    except RuntimeError:
        return False
    return True


def closing(tap, srv):
    """The server has sent its last reply, and the client goes on sending."""
    bad = ["X"] * BAD_COMMANDS
    for name, port, lines in (("pop3s", srv.tls_port, bad), ("STLS", srv.clear_port, ["clear:STLS"] + bad),
                              ("LMTP", srv.lmtp, LHLO + ["QUIT"])):
        tap.ok(Flood(port, "records", "x", lines).end() == "cut", "%s: after the last reply it is not listened to for ever" % name)
        gone(srv)


def barren(tap, srv):
    """Records without data: each costs the server more than the client."""
    places = (("pop3s", srv.tls_port, []), ("STLS", srv.clear_port, ["clear:STLS"]), ("LMTP", srv.lmtp, LHLO),
              ("DATA", srv.lmtp, MAIL + ["DATA"]), ("closing", srv.tls_port, ["X"] * BAD_COMMANDS))
    for kind in ("updates", "hellos"):
        for name, port, lines in places:
            before = srv.log().count("TLS records without data")
            tap.ok(Flood(port, kind, "", lines, 5000).end() == "cut", "%s: 5000 %s are cut off" % (name, kind))
            gone(srv)
            if name != "closing":
                tap.ok(said_more(srv, "TLS records without data", before), "%s: and the log says why" % name, srv.log()[-500:])
    for kind in ("updates", "hellos"):
        f = Flood(srv.tls_port, kind, "", [], 32)
        gone_on = [answered(srv), len(sessions(srv)) == 1]
        tap.ok(all(gone_on) and f.goes_on(), "32 %s are not" % kind, gone_on)
        f.stop()
        gone(srv)


def honest(tap, srv):
    tap.ok(Flood(srv.tls_port, "rekey", "USER ann", [], 300).end() == "well", "a key update before each of 300 commands: all are answered")
    tap.ok(Flood(srv.lmtp, "rekey", "NOOP", LHLO, 300).end() == "well", "by LMTP, too")
    login = ["USER ann", "PASS restante"]
    tap.ok(Flood(srv.tls_port, "fetch", "RETR 1", login, 200000).end() == "well",
           "a key update for every 200,000 octets of a long message: the next command is answered")
    gone(srv)


def late(tap, srv):
    """With login_timeout = 3."""
    for name, (port, unit, lines) in floods(srv).items():
        if port == srv.lmtp:
            continue  # nobody logs in there
        before = srv.log().count("login timeout")
        tap.ok(Flood(port, "records", unit, lines).end() == "cut", "%s: a client that does not log in in time is late" % name)
        gone(srv)
        tap.ok(said_more(srv, "login timeout", before), "%s: and the log says why" % name)


def main():
    tap = Tap()
    with Server() as srv:
        srv.passwd({"ann": "restante"})
        srv.maildir("ann", [b"Subject: long\n\n" + b"A line of text, as letters have them.\n" * 400000])
        srv.lmtp = srv.listen("lmtp", tls="starttls")
        srv.configure(plain(srv), workers=WORKERS, login_timeout=3600, max_bad_commands=BAD_COMMANDS)
        srv.start()
        for case in (others, kicked, closing, barren, honest):
            case(tap, srv)
        tap.ok(srv.stop() == 0, "the server ended cleanly", srv.log()[-4000:])
        srv.configure(plain(srv), workers=WORKERS, login_timeout=3)
        srv.start()
        late(tap, srv)
        srv.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
