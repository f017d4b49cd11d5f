# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy in front of a MySQL server that breaks connections at a chosen command: counted in commands (COM_...
packets of the client), so that each run is the same however fast the machine is. Connections in clear only."""
import socket
import threading


class Cutter:
    """arm(k, "before"): the k-th command from now on (1 = the next) does not reach the server; "after": it does, and the
    server answers, but the answer is lost. Each of `times` connections in turn is broken at its k-th command.
    text: count only commands that contain these bytes. block(): nothing gets through until unblock()."""

    def __init__(self, server_port):
        self.server_port = server_port
        self.lock = threading.Lock()
        self.blocked = False
        self.pairs = set()
        self.commands = []  # all of them, as bytes, since the last arm
        self.cuts = 0
        self.disarm()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def disarm(self):
        self.left, self.k, self.mode, self.text, self.then_block, self.seen = 0, 0, "", b"", False, 0

    def arm(self, k, mode, times=1, text=b"", then_block=False):
        with self.lock:
            self.left, self.k, self.mode, self.text, self.then_block, self.seen = times, k, mode, text, then_block, 0
            self.commands, self.cuts = [], 0

    def block(self):
        with self.lock:
            self.blocked = True
            pairs = list(self.pairs)
        for pair in pairs:
            self.drop(pair)

    def unblock(self):
        with self.lock:
            self.blocked = False

    def close(self):
        self.block()
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = None if self.blocked else socket.create_connection(("127.0.0.1", self.server_port), 10)
            except OSError:
                server = None
            if not server:
                client.close()
                continue
            server.settimeout(None)
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            state = {"mute": False}
            with self.lock:
                self.pairs.add(pair)
            threading.Thread(target=self.from_client, args=(pair, state), daemon=True).start()
            threading.Thread(target=self.from_server, args=(pair, state), daemon=True).start()

    def drop(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @staticmethod
    def exactly(sock, n):
        data = b""
        while len(data) < n:
            piece = sock.recv(n - len(data))
            if not piece:
                raise OSError("closed")
            data += piece
        return data

    def verdict(self, payload):
        """How to break this command: "before", "after", or "" for not at all."""
        with self.lock:
            self.commands.append(payload[:200])
            if not self.left or self.text not in payload:
                return ""
            self.seen += 1
            if self.seen < self.k:
                return ""
            self.left -= 1
            self.seen = 0
            self.cuts += 1
            if self.then_block:
                self.blocked = True
            return self.mode

    def from_client(self, pair, state):
        client, server = pair
        try:
            while True:
                head = self.exactly(client, 4)
                payload = self.exactly(client, int.from_bytes(head[:3], "little"))
                # sequence 0 begins a command; COM_STMT_CLOSE (25) and COM_QUIT (1) have no answer
                counted = head[3] == 0 and payload[:1] not in (b"\x19", b"\x01")
                do = self.verdict(payload) if counted else ""
                if do == "before":
                    break
                state["mute"] = do == "after"
                server.sendall(head + payload)
                if do == "after":
                    return  # the other direction cuts when the answer comes
        except OSError:
            pass
        self.drop(pair)

    def from_server(self, pair, state):
        client, server = pair
        try:
            while True:
                data = server.recv(65536)
                if not data or state["mute"]:
                    break
                client.sendall(data)
        except OSError:
            pass
        self.drop(pair)
