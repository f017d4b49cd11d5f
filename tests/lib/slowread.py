# SPDX-License-Identifier: Apache-2.0
"""A client that stops reading in the middle of a reply, so that a test can change the message that is being sent."""
import socket

from pop import PATIENCE


class SlowPop:
    """Its window is small: the server has read no more of a large message than fits between the two."""

    def __init__(self, port):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        self.buf = b""
        self.line()

    def line(self):
        while b"\n" not in self.buf:
            if not self._more():
                return b""
        line, self.buf = self.buf.split(b"\n", 1)
        return line + b"\n"

    def _more(self):
        try:
            got = self.sock.recv(65536)
        except ConnectionResetError:
            got = b""
        self.buf += got
        return bool(got)

    def say(self, text):
        self.send(text)
        return self.line()

    def send(self, text):
        self.sock.sendall(text.encode() + b"\r\n")

    def login(self, user, password="restante"):
        self.say("USER " + user)
        return self.say("PASS " + password)

    def begin(self, command, least=65536):
        """The first line of the answer; so much of the rest has come, and is kept."""
        answer = self.say(command)
        while len(self.buf) < least and self._more():
            pass
        return answer

    def rest(self):
        """The rest of a multi-line reply, and whether it ended with the dot; anything after the dot stays in buf."""
        parts, tail = [self.buf], self.buf[-4:]
        while b"\n.\r\n" not in tail:
            self.buf = b""
            if not self._more():
                return b"".join(parts), False
            parts.append(self.buf)
            tail = tail[-4:] + self.buf
        whole = b"".join(parts)
        at = whole.index(b"\n.\r\n") + 1
        self.buf = whole[at + 3:]
        return whole[:at], True

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
