#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Independent clients for each extension we announce: swaks for STARTTLS, XCLIENT and PIPELINING, curl for SIZE, and
Exim, which sends by BDAT wherever CHUNKING is offered. Judged by their transcripts and by the mail in the maildir."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mtabox import Exim  # noqa: E402
from server import Server, Tap, free_port, wait_until  # noqa: E402

DOMAIN = "example.test"
ANN, BEN = "ann@" + DOMAIN, "ben@" + DOMAIN
CHUNKS = """chunks:
  driver = manualroute
  domains = %s
  transport = chunks
  route_list = * 127.0.0.1
  self = send
""" % DOMAIN
CHUNKS_TRANSPORT = """chunks:
  driver = smtp
  protocol = lmtp
  port = %d
  allow_localhost
  hosts_avoid_tls = *
"""


class Rig:
    def __init__(self):
        self.server = s = Server()
        s.passwd({ANN: "restante", BEN: "restante"})
        os.mkdir(s.path("mail"), 0o755)
        s.give(s.path("mail"))
        self.ports = {name: free_port() for name in ("lmtp", "smtp", "smtps", "strict")}
        for name, port in self.ports.items():
            s.extra_listeners += "listener in-%s {\n protocol = %s\n address = 127.0.0.1\n port = %d\n tls = %s\n%s}\n" % (
                name, "lmtp" if name == "lmtp" else "smtp", port, "implicit" if name == "smtps" else "starttls",
                "" if name == "strict" else " xclient = 127.0.0.1\n")
        s.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n domains = %s\n}\n"
                    "storage mail {\n module = maildir\n path = %s/%%n\n}\ndelivery {\n max_size = 200k\n postmaster = ann\n}\n" % (
                        s.path("passwd"), DOMAIN, s.path("mail")), default_domain=DOMAIN, max_per_address="0")
        s.start()
        self.seen = set()

    def new(self):
        out = []
        for base, _, files in os.walk(self.server.path("mail")):
            for name in files:
                path = os.path.join(base, name)
                if os.path.basename(base) in ("new", "cur") and path not in self.seen:
                    self.seen.add(path)
                    with open(path, "rb") as f:
                        out.append(f.read().replace(b"\r\n", b"\n"))
        return out

    def half(self):
        return [n for base, _, files in os.walk(self.server.path("mail")) if os.path.basename(base) == "tmp" for n in files]


class Cases:
    def __init__(self, tap, rig):
        self.tap, self.rig = tap, rig

    def run(self, name, cmd, says, gets, holds=b"", good=True):
        """says: patterns of the transcript, in this order; gets: the number of messages; holds: a pattern for each."""
        done = subprocess.run(cmd, capture_output=True, text=True, errors="replace", timeout=120, stdin=subprocess.DEVNULL)
        text, at = done.stdout + done.stderr, 0
        for pattern in says:
            m = re.search(pattern, text[at:])
            if not m:
                break
            at += m.end()
        got = self.rig.new()
        self.tap.ok(m and len(got) == gets and all(re.search(holds, raw) for raw in got) and (done.returncode == 0) == good,
                    name, "exit %d, %d messages, at %r\n%s\n%.800r" % (done.returncode, len(got), text[at:at + 80], text[-2500:], got))

    def swaks(self, name, listener, options, says, gets, holds=b"", good=True):
        protocol = "LMTP" if listener == "lmtp" else "ESMTP"
        to = [] if "--to" in options else ["--to", ANN]
        self.run("swaks: " + name, ["swaks", "--server", "127.0.0.1", "--port", str(self.rig.ports[listener]), "--protocol", protocol,
                                    "--helo", "client.example.net", "--from", "clerk@example.org", *to, *options], says, gets, holds, good)

    def tls(self):
        ca = ["--tls-verify", "--tls-ca-path", self.rig.server.path("cert.pem")]
        started = [r"<-  250-STARTTLS", r"-> STARTTLS", r"<-  220 2\.0\.0", r"=== TLS started", r"~> [EL]HLO", r"<~  250 2\.0\.0"]
        self.swaks("STARTTLS on LMTP", "lmtp", ["--tls", *ca], started, 1, rb"with LMTPS id")
        self.swaks("STARTTLS on SMTP", "smtp", ["--tls", *ca], started, 1, rb"with ESMTPS id")
        self.swaks("implicit TLS", "smtps", ["--tls-on-connect", *ca], [r"=== TLS started", r"<~  220 ", r"<~  250 2\.0\.0"], 1,
                   rb"with ESMTPS id")
        self.swaks("in clear, for comparison", "smtp", [], [r"<-  250 2\.0\.0"], 1, rb"with ESMTP id")

    def xclient(self):
        addr = ["--xclient-addr", "192.0.2.7", "--xclient-name", "mx.example.net"]
        self.swaks("XCLIENT on LMTP", "lmtp", addr, [r"<-  250-XCLIENT .*ADDR", r"-> XCLIENT .*ADDR=192\.0\.2\.7", r"<-  220 ", r"-> LHLO",
                                                     r"<-  250 2\.0\.0"], 1, rb"Received: from \S+ \(\[192\.0\.2\.7\]\)")
        self.swaks("XCLIENT with IPv6", "smtp", ["--xclient-addr", "IPV6:2001:db8::7"],
                   [r"<-  250-XCLIENT", r"<-  220 ", r"-> EHLO", r"<-  250 2\.0\.0"], 1, rb"\(\[IPv6:2001:db8::7\]\)")
        self.swaks("XCLIENT inside STARTTLS", "lmtp", ["--tls", *addr], [r"=== TLS started", r"~> XCLIENT", r"<~  220 ", r"<~  250 2\.0\.0"],
                   1, rb"\(\[192\.0\.2\.7\]\)")
        self.swaks("XCLIENT from a host that is not listed", "strict", [*addr], [r"(?i)xclient"], 0, good=False)

    def envelopes(self):
        two = ["--to", "%s,%s" % (ANN, BEN)]
        self.swaks("PIPELINING", "lmtp", ["--pipeline", *two], [r"250-PIPELINING", r"-> MAIL FROM:", r"-> RCPT TO:", r"-> RCPT TO:", r"-> DATA",
                                                              r"<-  250 2\.1\.0", r"<-  250 2\.1\.5", r"<-  250 2\.1\.5", r"<-  354 "], 2)
        self.swaks("one recipient of two is unknown", "lmtp", ["--pipeline", "--to", "%s,nobody@%s" % (ANN, DOMAIN)],
                   [r"<\*\* 550 5\.1\.1 <nobody@example\.test>", r"<-  250 2\.0\.0 <ann@"], 1)
        self.swaks("QUIT after RCPT", "lmtp", ["--quit-after", "RCPT"], [r"-> QUIT", r"<-  221 2\.0\.0"], 0)
        self.swaks("it hangs up after DATA", "lmtp", ["--drop-after", "DATA"], [r"<-  354 "], 0)
        self.tap.ok(not self.rig.half(), "swaks: and nothing is left of that", self.rig.half())

    def size(self):
        path = self.rig.server.path("large")
        for name, lines, says, gets, good in (("that fits", 2000, [r"< 250[- ]SIZE 204800", r"> MAIL FROM:<clerk@example\.org> SIZE=\d+",
                                                                  r"< 250 2\.0\.0"], 1, True),
                                              ("too large: refused at MAIL", 5000, [r"> MAIL FROM:\S+ SIZE=\d+", r"< 552 5\.3\.4"], 0, False)):
            with open(path, "w") as f:
                f.write("Subject: size\r\n\r\n" + ("x" * 70 + "\r\n") * lines)
            self.run("curl: SIZE, " + name, ["curl", "-sv", "smtp://127.0.0.1:%d/client.example.net" % self.rig.ports["smtp"], "--mail-from",
                                             "clerk@example.org", "--mail-rcpt", ANN, "-T", path], says, gets, good=good)
        with open(path, "w") as f:
            f.write("Subject: size\n\n" + ("x" * 70 + "\n") * 5000)
        self.swaks("too large, unannounced: refused after the message", "smtp", ["--data", "@" + path, "--suppress-data"],
                   [r"250[- ]SIZE 204800", r"<\*\* 552 5\.3\.4"], 0, good=False)

    def chunking(self):
        """Exim's K in its log is a message that went by BDAT."""
        text = b"Subject: chunks\r\n\r\n.dot\r\n..\r\n" + b"y" * 70 + b"\r\n" + (b"z" * 70 + b"\r\n") * 1500 + b".\x20\r\nend\r\n"
        with Exim(CHUNKS, CHUNKS_TRANSPORT % self.rig.ports["lmtp"]) as m:
            m.start()
            m.send("clerk@example.org", [ANN, BEN], text)
            got = []

            def all_there():
                got.extend(self.rig.new())
                return len(got) == 2
            try:
                wait_until(all_there, 60, "two copies")
            except RuntimeError:
                pass
            self.tap.ok(len(got) == 2 and all(raw.endswith(text.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]) for raw in got),
                        "Exim: a message by BDAT, two recipients", "%d\n%s" % (len(got), m.log()[-2000:]))
            bdat = re.compile(r"=> \S+.* K C=\"250 2\.0\.0|[-=]> .* K ")
            wait_until(lambda: bdat.search(m.log()) or len(got) != 2, 60, "Exim's line, which comes after the answer")
            self.tap.ok(bdat.search(m.log()), "Exim: it was CHUNKING", m.log()[-2000:])


def main():
    tap = Tap()
    rig = Rig()
    try:
        c = Cases(tap, rig)
        for part in (c.tls, c.xclient, c.envelopes, c.size, c.chunking):
            part()
        tap.ok(rig.server.stop() == 0, "the server ends well", rig.server.log()[-2000:])
    finally:
        rig.server.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
