# SPDX-License-Identifier: Apache-2.0
"""A restanted on the storage module mysql with POP3 and LMTP, in front of a private MariaDB, with a cutter between them."""
import socket

from cutter import Cutter
from mailstore import MailStore
from server import Server, free_port

TEXT = b"Subject: one of them\r\n\r\nthe body\r\n"


class Lmtp:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.file = self.sock.makefile("rwb")
        self.reply()
        self.say(b"LHLO test.example.org")

    def reply(self):
        while True:
            line = self.file.readline()
            if line[3:4] != b"-":
                return line

    def say(self, text):
        self.file.write(text + b"\r\n")
        self.file.flush()
        return self.reply()

    def send(self, *users, text=TEXT):
        """The replies, one per recipient."""
        if not self.say(b"MAIL FROM:<a@example.org>").startswith(b"250"):
            return [b"mail"]
        for u in users:
            r = self.say(b"RCPT TO:<%s>" % u.encode())
            if not r.startswith(b"250"):
                self.say(b"RSET")
                return [r]
        r = self.say(b"DATA")
        if not r.startswith(b"354"):
            self.say(b"RSET")
            return [r]
        self.file.write(text + b".\r\n")
        self.file.flush()
        return [self.reply() for _ in users]

    def close(self):
        self.file.close()
        self.sock.close()


class Bed:
    """MariaDB, the cutter in front of it, and a restanted that knows only the cutter, or with `second` also the way around it;
    settings are those of the storage section. User m1 has a maildir."""

    def __init__(self, db=None, second=False, **settings):
        self.db = db or MailStore()
        self.cutter = Cutter(self.db.port)
        self.srv = Server()
        self.lmtp_port = free_port()
        self.srv.passwd({"u%d" % k: "restante" for k in range(400)})
        self.srv.extra_listeners = ("delivery {\n postmaster = u0\n max_size = 64m\n}\nlistener lmtp {\n protocol = lmtp\n"
                                    " address = 127.0.0.1\n port = %d\n tls = none\n}\n" % self.lmtp_port)
        servers = ["127.0.0.1:%d" % p for p in [self.cutter.port] + [self.db.port] * second]
        self.srv.maildir("m1", [TEXT])
        with open(self.srv.path("side"), "w") as f:
            f.write("m1:{PLAIN}restante\n")
        self.srv.give(self.srv.path("side"))
        section = dict({"server": servers, "tls": "off", "tls_ca": self.db.ca,
                        "permits": 1, "trip_after": 1000000, "call_ms": "10s", "commit_ms": "10s"}, **settings)
        self.srv.configure("auth few {\n module = passwd\n file = %s\n allow_plain = yes\n unknown = next\n storage = side\n}\n"
                           "storage side {\n module = maildir\n path = %s/%%n\n}\n"
                           "auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n%s"
                           % (self.srv.path("side"), self.srv.path("mail"), self.srv.path("passwd"),
                              self.db.section(**section)), takeover="0s")
        self.srv.start()
        self.next = 0

    def user(self):
        self.next += 1
        return "u%d" % self.next

    def fill(self, user, n):
        lmtp = Lmtp(self.lmtp_port)
        for _ in range(n):
            replies = lmtp.send(user)
            if not replies[0].startswith(b"250"):
                raise RuntimeError("delivery: %r\n%s" % (replies, self.srv.log()[-2000:]))
        lmtp.close()

    def rows(self, user):
        """The messages in the mailbox, and the figures of its counters."""
        r = self.db.sql("SELECT (SELECT COUNT(*) FROM mail_message m WHERE m.mailbox = b.id), messages,"
                        " octets - (SELECT COALESCE(SUM(octets), 0) FROM mail_message m WHERE m.mailbox = b.id)"
                        " FROM mail_box b WHERE user_key = '%s'" % user)
        return tuple(int(x) for x in r[0]) if r else (0, 0, 0)

    def close(self):
        rc, self.end = self.srv.stop(), self.srv.log()[-4000:]
        self.srv.close()
        self.cutter.close()
        self.db.close()
        return rc
