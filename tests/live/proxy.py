#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol: headers of both versions in any segments, which peers are trusted, whose address counts; and a real
HAProxy in front, with its health checks. Connections from 127.0.0.2 are trusted, strangers come from 127.0.0.3.
"""
import json
import os
import re
import socket
import ssl
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from haproxy import HAProxy  # noqa: E402
from pop import PATIENCE, Pop  # noqa: E402
from sections import block, plain  # noqa: E402
from server import Server, Tap, free_port, wait_until  # noqa: E402

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
GREETING = b"+OK restante ready\r\n"
PER_ADDRESS = 6


def v1(host, port=4711):
    return b"PROXY TCP%d %s %s %d 110\r\n" % (6 if ":" in host else 4, host.encode(),
                                             b"::1" if ":" in host else b"127.0.0.1", port)


def v2(host, port=4711, tlvs=b""):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    to = socket.inet_pton(family, "::1" if ":" in host else "127.0.0.1")
    body = socket.inet_pton(family, host) + to + struct.pack(">HH", port, 110) + tlvs
    return SIGNATURE + b"\x21" + (b"\x21" if ":" in host else b"\x11") + struct.pack(">H", len(body)) + body


LOCAL = SIGNATURE + b"\x20\0\0\0"
TLS_AT_PROXY = b"\x20\0\5\1\0\0\0\0"  # the SSL TLV: the client came over TLS


class Proxied(Pop):
    """A client whose bytes begin with what `first` says, from an address of our choice."""

    def __init__(self, port, first=b"", source="127.0.0.2", pieces=None, ca=None):
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE, source_address=(source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces if pieces is not None else [first]:
            self.sock.sendall(piece)
        if ca:
            self.sock = ssl.create_default_context(cafile=ca).wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rwb")
        self.greeting = self.line()


def listeners(srv, trusted):
    srv.behind, srv.behind_tls, srv.behind_strict = (free_port() for _ in range(3))
    for name, port, tls, login in (("behind", srv.behind, "starttls", "allow"), ("behindtls", srv.behind_tls, "implicit", "refuse"),
                                   ("strict", srv.behind_strict, "none", "refuse")):
        srv.extra_listeners += block("listener", name, address="127.0.0.1", port=port, tls=tls, plaintext_login=login,
                                     proxy="required", proxy_from=trusted)
    srv.behind_lmtp = srv.listen("lmtp", proxy="required", proxy_from=trusted)


def peers(srv):
    return re.findall(r" login user=\S+ session=\d+ peer=(\S+) ", srv.log())


def headers(tap, srv):
    logins = len(peers(srv))
    for name, first, peer in (("version 1", v1("192.0.2.7"), "192.0.2.7:4711"),
                              ("version 1, IPv6", v1("2001:db8::7", 12), "[2001:db8::7]:12"),
                              ("version 2", v2("192.0.2.8"), "192.0.2.8:4711"),
                              ("version 2, IPv6, TLVs", v2("2001:db8::8", 13, b"\4\0\2xx\2\0\1a"), "[2001:db8::8]:13")):
        for how, pieces in (("whole", [first]), ("byte by byte", [bytes([b]) for b in first])):
            with Proxied(srv.behind, pieces=pieces) as pop:
                good = pop.greeting == GREETING and pop.login("ann").startswith(b"+OK")
                rows = json.loads(srv.ctl("--json", "sessions").stdout)["sessions"]
                # the last one's session may be in the list until its socket is closed
                good = good and peer in [r["peer"] for r in rows if r["user"] == "ann"]
                pop.say("QUIT")
            logins += 1
            wait_until(lambda: not good or len(peers(srv)) == logins, PATIENCE, "the line of this login")
            tap.ok(good and peers(srv)[-1:] == [peer],
                   "%s, %s: the client's address is in session list and log" % (name, how), (rows, srv.log()[-1500:]))
    good = True
    for first in (v1("192.0.2.7"), v2("192.0.2.7", tlvs=b"\4\0\1x")):
        text = first + b"CAPA\r\nQUIT\r\n"
        for cut in range(len(text) + 1):
            with Proxied(srv.behind, pieces=[text[:cut], text[cut:]]) as pop:
                said = pop.greeting + pop.file.read()
            good = good and said.startswith(GREETING + b"+OK") and said.endswith(b".\r\n+OK bye\r\n")
    tap.ok(good, "cut anywhere, with commands after it: the same answers", said)


def encrypted(tap, srv):
    with Proxied(srv.behind_tls, v2("192.0.2.9"), ca=srv.path("cert.pem")) as pop:
        tap.ok(pop.greeting == GREETING and pop.login("ann").startswith(b"+OK") and pop.say("QUIT").startswith(b"+OK"),
               "the header comes before TLS on a TLS port")
    tap.ok(srv.said("peer=192.0.2.9:4711 tls=TLSv1.3"), "and both are in the log")
    with Proxied(srv.behind_strict, v2("192.0.2.9")) as pop:
        tap.ok(not pop.login("ann").startswith(b"+OK"), "without TLS no password is taken")
    with Proxied(srv.behind_strict, v2("192.0.2.9", tlvs=TLS_AT_PROXY)) as pop:
        tap.ok(b"STLS" not in b"".join(pop.lines("CAPA")) and pop.login("ann").startswith(b"+OK"),
               "but where the proxy says that its client speaks TLS")
        pop.say("QUIT")
    tap.ok(srv.said("peer=192.0.2.9:4711 tls=proxy"), "which the log tells, too")


def checks(tap, srv):
    """Health checks speak for nobody, and often end with a reset; they must not fill the log."""
    was = len(srv.log())
    for first in (LOCAL, SIGNATURE + b"\x20\x11\0\x0c" + b"x" * 12, b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x21\0\0\0"):
        with Proxied(srv.behind, first) as pop:
            tap.ok(pop.greeting == GREETING, "%r: greeted" % first[:20])
    for first in (LOCAL, b""):
        for _ in range(10):
            s = socket.create_connection(("127.0.0.1", srv.behind), PATIENCE, source_address=("127.0.0.2", 0))
            s.sendall(first)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
    wait_until(lambda: json.loads(srv.ctl("--json", "status").stdout)["connections"] == 0, PATIENCE, "them to be gone")
    tap.ok(not re.search(r"^\S+ (warning|error) ", srv.log()[was:], re.M), "resets are no errors", srv.log()[was:])


def refusals(tap, srv):
    with Proxied(srv.behind, v1("192.0.2.7"), source="127.0.0.3") as pop:
        tap.ok(pop.greeting == b"", "a stranger is not believed, and not greeted")
    tap.ok(srv.said("listener behind is for proxies"), "the log says so")
    for first, why in ((b"USER ann\r\n", "begins like no PROXY header"), (b"PROXY TCP4 a b 1 2\r\n", "two addresses"),
                       (SIGNATURE + b"\x21\x11\xff\xff", "longer than 4096"), (v2("192.0.2.7", tlvs=b"\3\0\4abcd"), "CRC32c")):
        with Proxied(srv.behind, first) as pop:
            tap.ok(pop.greeting == b"", "no header, no session: " + why)
    tap.ok(srv.said("no PROXY header: it begins like no PROXY header; is send-proxy"), "the first one gets an answer in words")
    with Proxied(srv.clear_port, source="127.0.0.2") as pop:
        tap.ok(pop.greeting == GREETING and not pop.say("PROXY TCP4 192.0.2.7 192.0.2.1 1 2").startswith(b"+OK"),
               "elsewhere it is a bad command")
    with Proxied(srv.behind, b"PROXY TCP4 192.0.2") as pop:
        tap.ok(pop.greeting == b"", "a header that does not go on ends the connection")


def delivery(tap, srv):
    """Any protocol can follow the header."""
    with Proxied(srv.behind_lmtp, v2("192.0.2.80", 25)) as lmtp:
        rows = json.loads(srv.ctl("--json", "sessions").stdout)["sessions"]
        tap.ok(lmtp.greeting.startswith(b"220 ") and "192.0.2.80:25" in [r["peer"] for r in rows] and
               lmtp.say("QUIT").startswith(b"221 "), "LMTP after a header", (lmtp.greeting, rows))
    with Proxied(srv.behind_lmtp, b"LHLO x\r\n") as lmtp:
        tap.ok(lmtp.greeting == b"", "and not without one")


def limits(tap, srv):
    """Caps and penalties are the client's, not the proxy's."""
    inside = [Proxied(srv.behind, v2("192.0.2.50", 1000 + i)) for i in range(PER_ADDRESS)]
    tap.ok(all(p.greeting == GREETING for p in inside), "as many as one address may have")
    with Proxied(srv.behind, v2("192.0.2.50")) as pop:
        tap.ok(pop.greeting.startswith(b"-ERR [SYS/TEMP]"), "one more is turned away", pop.greeting)
    with Proxied(srv.behind_tls, v2("192.0.2.50")) as pop:
        tap.ok(pop.greeting == b"", "without a word where TLS comes first", pop.greeting)
    others = [Proxied(srv.behind, v2("192.0.2.51", 1000 + i)) for i in range(PER_ADDRESS)]
    tap.ok(all(p.greeting == GREETING for p in others), "another address by the same proxy is not concerned")
    for pop in inside + others:
        pop.close()
    with Proxied(srv.behind, v2("192.0.2.60")) as pop:
        for _ in range(2):
            pop.login("bob", "wrong")
        pop.say("USER bob")
        start = time.monotonic()  # the third one costs two seconds from its refusal on
        pop.say("PASS wrong")
    with Proxied(srv.behind, v2("192.0.2.60")) as pop:
        good = pop.login("bob").startswith(b"+OK")
        pop.say("QUIT")
    tap.ok(good and time.monotonic() - start >= 1.9, "a penalty follows the client")
    wait_until(lambda: json.loads(srv.ctl("--json", "status").stdout)["connections"] == 0, PATIENCE, "the end of all")
    with Proxied(srv.behind, v2("192.0.2.50")) as pop:
        tap.ok(pop.greeting == GREETING, "clients that have left are not counted any more")


def real(tap, srv):
    """HAProxy: clients from 127.0.0.9, to the server from 127.0.0.2, checks ten times a second."""
    ports = {name: free_port() for name in ("one", "two", "tls", "ends")}
    with open(srv.path("both.pem"), "w") as f:
        f.write(open(srv.path("cert.pem")).read() + open(srv.path("key.pem")).read())
    text, was = "", len(srv.log())
    for name, options, port in (("one", "send-proxy", srv.behind), ("two", "send-proxy-v2 proxy-v2-options crc32c,unique-id",
                                                                       srv.behind),
                                ("tls", "send-proxy-v2", srv.behind_tls), ("ends", "send-proxy-v2-ssl", srv.behind_strict)):
        crypt = " ssl crt " + srv.path("both.pem") if name == "ends" else ""
        # a check speaks as the real connections do; on the TLS port it ends before TLS begins
        text += ("listen %s\n bind 127.0.0.1:%d%s\n unique-id-format %%pid\n %s server pop 127.0.0.1:%d %s source 127.0.0.2"
                 " check check-send-proxy inter 100ms\n"
                 % (name, ports[name], crypt, "" if name == "tls" else "option tcp-check\n tcp-check expect rstring ^\\+OK\n",
                    port, options))
    proxy = HAProxy(srv.dir, text)
    try:
        def checked():
            rows = proxy.servers()
            # while a check is under way HAProxy puts a star before the last result
            return len(rows) == 4 and all(r["status"] == "UP" and r["check_status"].lstrip("* ") in ("L7OK", "L4OK", "L6OK")
                                          for r in rows.values())
        wait_until(checked, PATIENCE, "HAProxy to be content: %s" % proxy.ask("show stat"))
        for name in ports:
            ca = srv.path("cert.pem") if name in ("tls", "ends") else None
            with Proxied(ports[name], source="127.0.0.9", ca=ca) as pop:
                mine = "127.0.0.9:%d" % pop.sock.getsockname()[1]
                good = pop.login("ann").startswith(b"+OK") and pop.say("QUIT").startswith(b"+OK")
            tap.ok(good and srv.said("peer=" + mine), "a client by HAProxy's '%s'" % name, srv.log()[-1500:])
        before = proxy.servers()
        wait_until(lambda: all(int(r["lastchg"]) >= 1 for r in proxy.servers().values()), PATIENCE, "a second of checks")
        tap.ok(checked() and all(r["chkfail"] == before[k]["chkfail"] for k, r in proxy.servers().items()),
               "its health checks go on well", proxy.ask("show stat"))
        tap.ok(not re.search(r"^\S+ (warning|error) ", srv.log()[was:], re.M), "and nothing is wrong in the log",
               srv.log()[was:][-2000:])
    finally:
        proxy.close()


def reload(tap, srv):
    path = srv.path("restante.conf")
    good = open(path).read()
    with open(path, "w") as f:
        f.write(good.replace("proxy_from = 127.0.0.2\n", "proxy_from = 127.0.0.2, 127.0.0.3/32\n"))
    tap.ok(srv.ctl("reload").returncode == 0, "another proxy is named")
    with Proxied(srv.behind, v1("192.0.2.70"), source="127.0.0.3") as pop:
        tap.ok(pop.greeting == GREETING, "and believed at once")
    bad = good.replace("proxy_from = 127.0.0.2\n", "proxy_from = 127.0.0.2/33\n", 1)
    bad = bad.replace(" proxy_from = 127.0.0.2\n", "", 1)
    with open(srv.path("bad.conf"), "w") as f:
        f.write(bad.replace(" proxy = required\n proxy_from = 127.0.0.2\n", " proxy_from = 127.0.0.2\n"))
    said = srv.ctl("check-conf", srv.path("bad.conf"))
    tap.ok(said.returncode == 78 and "proxy_from = 127.0.0.2/33: expected an address, a network" in said.stderr and
           "needs proxy_from" in said.stderr and "does nothing without" in said.stderr, "wrong settings are told", said.stderr)


def leaving(tap, srv):
    waiting = [socket.create_connection(("127.0.0.1", srv.behind), PATIENCE, source_address=("127.0.0.2", 0))
               for _ in range(3)]
    wait_until(lambda: json.loads(srv.ctl("--json", "status").stdout)["connections"] >= 3, PATIENCE, "the guests")
    rows = json.loads(srv.ctl("--json", "sessions").stdout)["sessions"]
    tap.ok([r["state"] for r in rows] == ["proxy"] * 3, "connections that wait for a header are in the list", rows)
    start = time.monotonic()
    tap.ok(srv.stop() == 0 and time.monotonic() - start < 80, "nobody without a header keeps the server from ending",
           srv.log()[-2000:])
    for s in waiting:
        s.close()


def main():
    tap = Tap()
    with Server() as srv:
        listeners(srv, "127.0.0.2")
        for user in ("ann", "bob"):
            srv.maildir(user, [b"Subject: x\n\nx\n"])
        srv.passwd({"ann": "restante", "bob": "restante"})
        srv.configure(plain(srv), max_per_address=PER_ADDRESS, drain=90)
        srv.start()
        for step in (headers, encrypted, checks, refusals, delivery, limits, real, reload, leaving):
            step(tap, srv)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
