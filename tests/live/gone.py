#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that are gone before they are answered: their commands are carried out all the same, everything that was held for
them is released, and no worker is busy with them any longer."""
import os
import socket
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE, Pop, session  # noqa: E402
from restantectl import sessions  # noqa: E402
from sections import plain  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

LETTER = b"Subject: letter\r\n\r\nA line.\r\n"
NAME = "n" * 250


def reset(sock):
    """Makes the peer's next send fail: the connection is gone at once, whatever was under way."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def gone(srv):
    """Whether the server has no session any more."""
    try:
        wait_until(lambda: not sessions(srv), PATIENCE, "all sessions to end")
    except RuntimeError:
        return False
    return True


class Mail:
    """A client of LMTP."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.file = self.sock.makefile("rb")
        self.file.readline()

    def say(self, text):
        """The last line of the answer; b"" when the server has closed the connection."""
        self.sock.sendall(text.encode() + b"\r\n")
        line = self.file.readline()
        while line[3:4] == b"-":
            line = self.file.readline()
        return line

    def all_of(self, *texts):
        return [self.say(text)[:3] for text in texts]


def quits(tap, srv):
    """DELE and QUIT in one segment, and nobody reads the answers."""
    for name, port, ca in (("clear", srv.clear_port, None), ("TLS", srv.tls_port, srv.path("cert.pem"))):
        p = Pop(port, ca)
        p.login("ann")
        before = int(p.say("STAT").split()[1])
        p.file.close()
        p.sock.sendall(b"DELE 1\r\nQUIT\r\n")
        reset(p.sock)
        tap.ok(gone(srv), "%s: a client that is gone after QUIT has no session" % name, sessions(srv))
        answer = session(srv, "ann", "STAT")[0].split() if gone(srv) else []
        tap.ok(answer[1:2] == [b"%d" % (before - 1)], "%s: and its deletions are done" % name, (before, answer))


def delivers(tap, srv):
    """The final dot, and nobody reads the replies."""
    m = Mail(srv.lmtp)
    codes = m.all_of("LHLO a", "MAIL FROM:<>", "RCPT TO:<bob>", "RCPT TO:<cid>", "DATA")
    m.file.close()
    m.sock.sendall(LETTER + b".\r\n")
    reset(m.sock)
    tap.ok(codes[-1] == b"354" and gone(srv), "a client that is gone after the last dot has no session", (codes, sessions(srv)))
    got = [session(srv, user, "STAT")[0].split()[1] for user in ("bob", "cid")]
    tap.ok(got == [b"1", b"1"], "each recipient has the message once", got)
    tap.ok(srv.said("messages=1 accepted=2"), "and the log counts it", srv.log()[-1000:])


def halfway(tap, srv):
    """A session that ends for lack of memory while a store holds half a message for it."""
    m, names = Mail(srv.lmtp), 0
    while m.say("LHLO " + NAME):
        names += 1
    gone(srv)
    m = Mail(srv.lmtp)
    codes = m.all_of(*["LHLO " + NAME] * names, "MAIL FROM:<>", "RCPT TO:<bob>")
    m.sock.sendall(b"BDAT 100000\r\n" + b"A line of text, as letters have them, of fifty octets.\r\n"[-50:] * 2000)
    codes.append(m.file.readline()[:3])
    tmp = srv.path("mail", "bob", "tmp")
    tap.ok(codes[-3:] == [b"250"] * 3 and len(os.listdir(tmp)) == 1, "the store has half of it", (codes[-3:], os.listdir(tmp)))
    tap.ok(m.say("LHLO " + NAME) == b"" and gone(srv), "the session ends without memory", sessions(srv))
    tap.ok(os.listdir(tmp) == [], "and the store holds nothing any more", os.listdir(tmp))
    tap.ok(srv.said("how=\"out of memory\""), "and the log says why", srv.log()[-1000:])


def main():
    tap = Tap()
    with Server() as srv:
        srv.passwd({"ann": "restante", "bob": "restante", "cid": "restante"})
        srv.maildir("ann", [b"Subject: %d\n\nA line.\n" % k for k in range(4)])
        for user in ("bob", "cid"):
            srv.maildir(user)
        srv.lmtp = srv.listen("lmtp")
        srv.configure(plain(srv))
        srv.start()
        for case in (delivers, halfway, quits):
            case(tap, srv)
        srv.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
