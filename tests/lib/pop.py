# SPDX-License-Identifier: Apache-2.0
"""A plain POP3 client for tests: bytes as they come, no cleverness."""
import base64
import contextlib
import itertools
import socket
import ssl
import threading

PATIENCE = 120  # long enough that slowness is not taken for a hang


def _octets(text):
    return text if isinstance(text, bytes) else text.encode()


# Each from another address: most tests are not about the delays for clients that guess passwords.
STRANGERS = ("127.2.%d.%d" % (i, j) for i in itertools.count() for j in range(1, 250))
LOCK = threading.Lock()


def stranger():
    with LOCK:
        return next(STRANGERS), 0


class Pop:
    def __init__(self, port, ca=None, source=None):
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE, source)
        if ca:
            self.sock = ssl.create_default_context(cafile=ca).wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rwb")
        self.greeting = self.line()

    def line(self):
        """The next line; b"" when the server has closed the connection."""
        try:
            return self.file.readline()
        except (ConnectionResetError, ssl.SSLEOFError):
            return b""

    def say(self, text):
        """One command, one line of answer."""
        self.file.write(_octets(text) + b"\r\n")
        self.file.flush()
        return self.line()

    def lines(self, text):
        """A command with a multi-line answer: the lines as received, without the final dot; None after -ERR."""
        return self.rest() if self.say(text).startswith(b"+OK") else None

    def rest(self):
        """The lines up to the final dot; None: the connection ended before it."""
        out = []
        for line in iter(self.line, b""):
            if line == b".\r\n":
                return out
            out.append(line)
        return None

    def login(self, user, password="restante"):
        self.say(b"USER " + _octets(user))
        return self.say(b"PASS " + _octets(password))

    def plain(self, user, password):
        """Logs in by AUTH PLAIN with an initial response."""
        raw = b"\0" + _octets(user) + b"\0" + _octets(password)
        return self.say(b"AUTH PLAIN " + base64.b64encode(raw))

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def entered(srv, user):
    """A session of this user that must be let in; it ends with QUIT."""
    with Pop(srv.clear_port) as p:
        answer = p.login(user)
        if not answer.startswith(b"+OK"):
            raise RuntimeError("login of %s: %r" % (user, answer))
        yield p
        p.say("QUIT")


def session(srv, user, *commands):
    """The answers to these commands."""
    with entered(srv, user) as p:
        return [p.say(c) for c in commands]


def mails(srv, user):
    """All messages of a user, as they go over the wire."""
    with entered(srv, user) as p:
        n = int(p.say("STAT").split()[1])
        return [b"".join(p.lines("RETR %d" % (k + 1))) for k in range(n)]
