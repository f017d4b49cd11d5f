#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that hand over mail, cut off after each of their bytes, on the module `ram`: the server lives, a message is
there exactly when its 250 was sent, and every message is whole. Odd cuts close only the sending side and read to the
end; even ones are abrupt, and any message they leave must be whole."""
import os
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop  # noqa: E402
from server import Server, Tap, free_port  # noqa: E402

BODY = b"Subject: cut\r\n\r\n..a dot\r\nend\r\n"
TEXT = b"Subject: cut\r\n\r\n.a dot\r\nend\r\n"
HALF = len(TEXT) // 2
TALKS = {
    "DATA": b"LHLO me\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<%s>\r\nDATA\r\n" + BODY + b".\r\nMAIL FROM:<a@x.org>\r\nRSET\r\nQUIT\r\n",
    "BDAT": b"LHLO me\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<%s>\r\nBDAT " + b"%d\r\n" % HALF + TEXT[:HALF] +
            b"BDAT %d LAST\r\n" % (len(TEXT) - HALF) + TEXT[HALF:] + b"QUIT\r\n",
    "RSET": b"LHLO me\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<%s>\r\nBDAT 4\r\nX: yRSET\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\n"
            b"RCPT TO:<nobody>\r\nDATA\r\n" + BODY + b".\r\nNOOP\r\n",
}


def talk(port, data, orderly):
    """The number of 250s received for messages."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        s.settimeout(30)
        s.sendall(data)
        if orderly:
            s.shutdown(socket.SHUT_WR)
            try:
                while True:
                    got = s.recv(65536)
                    if not got:
                        break
                    heard += got
            except ConnectionError:
                pass
    return heard.count(b" delivered, id ")


def fetch(s, user):
    with Pop(s.clear_port) as p:
        if not p.login(user).startswith(b"+OK"):
            return None
        out = []
        for line in p.lines("LIST") or []:
            raw = b"".join(x[1:] if x.startswith(b".") else x for x in p.lines(b"RETR " + line.split()[0]))
            out.append(raw[raw.index(b"Subject:"):])
        return out


def play(tap, name, template):
    s = Server()
    port = free_port()
    s.extra_listeners = "listener lmtp {\n protocol = lmtp\n address = 127.0.0.1\n port = %d\n tls = none\n}\n" % port
    s.configure("auth a {\n module = ram\n user = odd:restante\n user = even:restante\n storage = m\n}\nstorage m {\n module = ram\n}\n",
                max_per_address="0")
    s.start()
    try:
        heard, cuts, wrong = 0, 0, ""
        whole = template.replace(b"%s", b"even")
        for at in range(len(whole) + 1):
            heard += talk(port, template.replace(b"%s", b"odd")[:max(0, at - 1)], True)
            talk(port, whole[:at], False)
            cuts += 2
            if not s.alive():
                wrong = "the server died at byte %d" % at
                break
        end = time.monotonic() + 60
        while not wrong and "delivery-end" in s.log() and s.log().count("delivery-end") < cuts and time.monotonic() < end:
            time.sleep(0.05)
        odd, even = ([], []) if wrong else (fetch(s, "odd"), fetch(s, "even"))
        if not wrong and len(odd) != heard:
            wrong = "%d messages are there, %d were promised" % (len(odd), heard)
        if any(x != TEXT for x in odd + even):
            wrong = "a message is not whole: %r" % [x for x in odd + even if x != TEXT][0]
        rc = s.stop()
        tap.ok(not wrong and rc == 0 and heard > 0, "%s: %d cuts, %d messages promised and there, %d left by abrupt ends" % (
            name, cuts, heard, len(even)), "%s, exit %s\n%s" % (wrong, rc, s.log()[-1500:]))
    finally:
        s.close()


def main():
    tap = Tap()
    for name, template in TALKS.items():
        play(tap, name, template)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
