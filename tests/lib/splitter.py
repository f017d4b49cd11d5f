# SPDX-License-Identifier: Apache-2.0
"""A small read/write splitter for MariaDB: what is read outside of a transaction goes to another connection than the rest, as
proxies do that spread reads over replicas. Both lead to the same server here, so nothing else differs. It speaks as much of the
protocol as one client needs that asks and waits."""
import hashlib
import select
import socket
import struct
import threading

from databases import PASSWORD

QUERY, PREPARE, EXECUTE, LONG_DATA, CLOSE, RESET, QUIT = 3, 0x16, 0x17, 0x18, 0x19, 0x1a, 1
DEPRECATE_EOF = 1 << 24


def exactly(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def packet(sock):
    """(header, body)"""
    head = exactly(sock, 4)
    return head, exactly(sock, head[0] | head[1] << 8 | head[2] << 16)


def native(scramble):
    """mysql_native_password"""
    one = hashlib.sha1(PASSWORD.encode()).digest()
    two = hashlib.sha1(scramble + hashlib.sha1(one).digest()).digest()
    return bytes(a ^ b for a, b in zip(one, two))


def scramble(greeting):
    at = greeting.index(b"\0", 1) + 5
    length = greeting[at + 8 + 1 + 2 + 1 + 2 + 2]
    rest = at + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10
    return greeting[at:at + 8] + greeting[rest:rest + max(13, length - 8) - 1]


class Way:
    """One client, the connection that takes everything, and the one for reads."""

    def __init__(self, splitter, client):
        self.splitter, self.client = splitter, client
        self.main, self.reads = (socket.create_connection(("127.0.0.1", splitter.server), 60) for _ in range(2))
        self.inside = False
        self.texts, self.twins = {}, {}  # of prepared statements, by the main connection's number
        self.last = self.main

    def login(self):
        head, body = packet(self.main)
        self.client.sendall(head + body)
        head, answer = packet(self.client)
        self.main.sendall(head + answer)
        self.capabilities = struct.unpack("<I", answer[:4])[0]
        at = answer.index(b"\0", 32) + 1  # after the user's name: the length of the proof, and the proof
        mine = answer[:at + 1] + native(scramble(packet(self.reads)[1])) + answer[at + 21:]
        self.reads.sendall(head + mine)
        if answer[at] != 20 or packet(self.reads)[1][0] != 0:
            raise EOFError
        head, body = packet(self.main)
        self.client.sendall(head + body)

    def prepared(self, sock):
        """The whole answer to PREPARE, and the statement's number."""
        head, body = packet(sock)
        out = head + body
        if body[0] != 0:
            return out, None
        number, columns, parameters = struct.unpack("<IHH", body[1:9])
        eof = 0 if self.capabilities & DEPRECATE_EOF else 1
        for n in (parameters, columns):
            for _ in range(n + eof if n else 0):
                out += b"".join(packet(sock))
        return out, number

    def is_read(self, text):
        return self.splitter.splits and not self.inside and text.startswith(b"SELECT") and b"FOR UPDATE" not in text

    def query(self, raw, text):
        if text.startswith((b"START", b"COMMIT", b"ROLLBACK")):
            self.inside = text.startswith(b"START")
        if text.startswith(b"SET"):
            self.reads.sendall(raw)
            packet(self.reads)
        (self.reads if self.is_read(text) else self.main).sendall(raw)

    def command(self):
        head, body = packet(self.client)
        raw, kind = head + body, body[0]
        if kind == QUERY:
            self.query(raw, body[1:].upper())
        elif kind == PREPARE:
            for s in (self.main, self.reads):
                s.sendall(raw)
            out, number = self.prepared(self.main)
            _, twin = self.prepared(self.reads)
            self.texts[number], self.twins[number] = body[1:].upper(), twin
            self.client.sendall(out)
        elif kind in (EXECUTE, LONG_DATA, CLOSE, RESET):
            number = struct.unpack("<I", body[1:5])[0]
            twin = raw[:5] + struct.pack("<I", self.twins[number]) + raw[9:]
            if kind == EXECUTE:
                self.last = self.reads if self.is_read(self.texts[number]) else self.main
            if kind == CLOSE or self.last is self.reads:
                self.reads.sendall(twin)
            if kind == CLOSE or self.last is self.main:
                self.main.sendall(raw)
        else:
            self.main.sendall(raw)
        return kind != QUIT

    def run(self):
        try:
            self.login()
            more = True
            while more:
                for s in select.select([self.client, self.main, self.reads], [], [])[0]:
                    if s is self.client:
                        more = self.command()
                        continue
                    data = s.recv(65536)
                    if not data:
                        return
                    self.client.sendall(data)
        except (EOFError, OSError):
            pass
        finally:
            for s in (self.client, self.main, self.reads):
                s.close()


class Splitter:
    """splits = False: everything goes one way."""

    def __init__(self, server, splits=True):
        self.server, self.splits = server, splits
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=Way(self, client).run, daemon=True).start()

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
