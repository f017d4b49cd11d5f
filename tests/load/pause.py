#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client stops reading in the middle of a message for longer than a minute - its filter is busy, its disk slow - and
then reads on: it gets the whole message. Only the idle timer ends a session, no timer of the kernel."""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from server import Server, Tap  # noqa: E402

PAUSE_S = 75
LINE = b"0123456789abcdef" * 4 + b"\n"
LINES = 16 * 1024 * 1024 // len(LINE)


def read_until(s, end):
    got = b""
    while not got.endswith(end):
        more = s.recv(1 << 20)
        if not more:
            break
        got += more
    return got


def main():
    tap = Tap()
    srv = Server()
    try:
        srv.passwd({"ann": "restante"})
        srv.maildir("ann", [b"Subject: long\n\n" + LINE * LINES])
        srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                      "storage mail {\n module = maildir\n path = %s/%%n\n}\n" % (srv.path("passwd"), srv.path("mail")))
        srv.start()
        with socket.create_connection(("127.0.0.1", srv.clear_port), timeout=300) as s:
            for command in (None, b"USER ann\r\n", b"PASS restante\r\n"):
                if command:
                    s.sendall(command)
                read_until(s, b"\r\n")
            s.sendall(b"RETR 1\r\n")
            time.sleep(PAUSE_S)
            try:
                got = read_until(s, b"\r\n.\r\n")
            except OSError as e:
                got = str(e).encode()
            tap.ok(got.count(LINE.replace(b"\n", b"\r\n")) == LINES and got.endswith(b"\r\n.\r\n"),
                   "a pause of %d s, then the rest of the message" % PAUSE_S, "%d octets, %r" % (len(got), got[-40:]))
            try:
                s.sendall(b"QUIT\r\n")
                bye = read_until(s, b"\r\n")
            except OSError as e:
                bye = str(e).encode()
            tap.ok(bye.startswith(b"+OK"), "and the session goes on", bye)
    finally:
        rc = srv.close()
    tap.ok(rc == 0, "the server ended cleanly", rc)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
