# SPDX-License-Identifier: Apache-2.0
"""Servers that misbehave, on a loopback port, in threads of the test."""
import itertools
import os
import random
import socket
import threading
import time


class Odd:
    """mode
         silent   accepts connections and sends nothing
         close    closes each connection when the first bytes arrive
         garbage  answers with random bytes
         huge     answers with the head of a message of 2 GB
         drip     answers with a message that has no end, a byte at a time
         slow     passes everything on to `target` and answers back after 0 to `delay` seconds
         hook     passes on what `hook(data, answer, nth)` makes of it, the nth piece of the connection
                  (answer: from `target`); a list of pieces slowly
       mode may be changed at any time; connections that are open keep theirs."""

    def __init__(self, mode, target=None, delay=1.5, hook=None):
        self.mode, self.target, self.delay, self.hook = mode, target, delay, hook
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.sock.getsockname()[1]
        self.uri = "ldap://127.0.0.1:%d" % self.port
        self.connections = 0
        self.open = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(conn)
            threading.Thread(target=self.one, args=(conn,), daemon=True).start()

    def one(self, conn):
        try:
            if self.mode in ("slow", "hook"):
                self.proxy(conn)
                return
            if not conn.recv(4096):
                return
            if self.mode == "garbage":
                conn.sendall(os.urandom(2000))
            elif self.mode == "huge":
                conn.sendall(b"\x30\x84\x7f\xff\xff\xf0" + b"\x02\x01\x01" * 100)
            elif self.mode == "drip":
                conn.sendall(b"\x30\x81\x80\x02\x01\x01")
                while True:
                    time.sleep(0.2)
                    conn.sendall(b"\x04")
            if self.mode != "close":
                while conn.recv(4096):
                    pass
        except OSError:
            pass
        finally:
            conn.close()

    def passed(self, data, answer, nth):
        if self.mode == "hook":
            return self.hook(data, answer, nth)
        if answer:
            time.sleep(random.uniform(0, self.delay))
        return data

    def proxy(self, conn):
        nth = itertools.count()
        with socket.create_connection(("127.0.0.1", self.target)) as back:
            def forth():
                try:
                    while True:
                        data = conn.recv(65536)
                        if not data:
                            break
                        back.sendall(self.passed(data, False, next(nth)))
                    back.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            threading.Thread(target=forth, daemon=True).start()
            while True:
                data = back.recv(65536)
                if not data:
                    return
                made = self.passed(data, True, next(nth))
                for piece in made if isinstance(made, list) else [made]:
                    conn.sendall(piece)
                    time.sleep(0.05 if isinstance(made, list) else 0)

    def close(self):
        self.sock.close()
        for conn in self.open:
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
