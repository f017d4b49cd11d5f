#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SMTP smuggling: whatever another server may take for the end of DATA, for us only CRLF.CRLF is. Each false end is
followed by a whole second message, which must never become one. LMTP and SMTP, with bare CR and LF refused and accepted,
in one piece and byte by byte. The true end is one of the cases, to show that this test can see the difference."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from run import Client, Mismatch, Transcript, mailbox, server_for  # noqa: E402
from server import Tap  # noqa: E402

ALL = os.environ.get("ALL") == "yes"
TRUE_END = b"\r\n.\r\n"
FALSE_ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\n\n.\n", b"\n\n.\r\n",
    b"\r\r\n.\r\r\n", b"\r\n.\r\r\n", b"\r\n.\n\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n..\r\n", b"\r\n. \r\n", b"\r\n.\t\r\n",
    b"\r\n .\r\n", b"\n\r\n.\n", b"\r\n.\r\0\n", b"\n.\n\r\n", b"\x0b\r\n.\n", b"\xc2\x85.\xc2\x85", b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\r\n.\r\x0b\n", b"\r\n\x1a", b"\r\n.\n.\r.\n", b"\n..\n", b"\r\n=2E\r\n", b"\r\n.\r\r.\r\n",
]
SECOND = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<ben>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n"


def replies(client, port, n):
    for _ in range(n):
        client.line()


def one(server, port, end, trickle):
    """The number of replies to the text after DATA."""
    c = Client(server, port, False)
    try:
        c.line()
        c.send(b"%s me\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<ann>\r\nDATA\r\n" % (b"LHLO" if port == "lmtp" else b"EHLO"))
        while not c.line().startswith(b"354"):
            pass
        c.trickle = trickle
        c.send(b"Subject: first\r\n\r\nbody" + end + SECOND)
        c.trickle = False
        c.send(b"NOOP\r\nVRFY x\r\n")
        n, last = 0, b""
        while not last.startswith(b"252"):
            last = c.line()
            n += 1
        return n - 2
    finally:
        c.close()


def play(tap, accept, port, trickle):
    t = Transcript(os.devnull)
    t.users = {"ann": "restante", "ben": "restante", "postmaster": "restante"}
    t.delivery = " max_errors = 1000\n" + (" bare_lf = accept\n bare_cr = accept\n nul = accept\n" if accept else "")
    s = server_for(t)
    wrong = []
    try:
        try:
            for end in FALSE_ENDS:
                n = one(s, port, end, trickle)
                if n != 1 or mailbox(s, "ben"):
                    wrong.append((end, n, len(mailbox(s, "ben"))))
                    break
            got = len(mailbox(s, "ann"))
            n = one(s, port, TRUE_END, trickle)
            if n != 5 or len(mailbox(s, "ben")) != 1:
                wrong.append(("the true end", n))
        except (Mismatch, OSError) as e:
            wrong.append(e)
            got = -1
        rc = s.stop()
        tap.ok(not wrong and rc == 0, "%s, bare CR and LF %s, %s: %d false ends, %d kept as text of one message" % (
            port, "accepted" if accept else "refused", "byte by byte" if trickle else "whole", len(FALSE_ENDS), got),
            "%r\n%s" % (wrong, s.log()[-1500:]))
    finally:
        s.close()


def main():
    tap = Tap()
    for accept in (False, True):
        for port in ("lmtp", "smtp"):
            for trickle in (False, True):
                if ALL or trickle == (accept == (port == "lmtp")):  # each of the three, both ways
                    play(tap, accept, port, trickle)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
