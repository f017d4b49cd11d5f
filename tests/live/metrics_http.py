#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The metrics listener: requests that it answers or refuses; scrapers that are slow, stuck, many or mad delay nobody; the
unix socket; configurations that are refused."""
import os
import re
import socket
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import PATIENCE, Pop  # noqa: E402
from scrape import connection, look, request  # noqa: E402
from sections import block, plain  # noqa: E402
from server import Server, Tap, free_port  # noqa: E402

TYPE = "text/plain; version=0.0.4; charset=utf-8"
CONNECTIONS = 16
GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


def raw(port, text, seconds=PATIENCE):
    """The answer to these bytes, until the end; b"" for a reset, too."""
    with socket.create_connection(("127.0.0.1", port), seconds) as s:
        try:
            s.sendall(text)
            return b"".join(iter(lambda: s.recv(65536), b""))
        except ConnectionError:
            return b""


def status_of(answer):
    m = re.match(rb"HTTP/1\.1 (\d+) ", answer)
    return int(m.group(1)) if m else None


def manners(tap, srv):
    status, headers, body = request(srv.web)
    tap.ok(status == 200 and headers["Content-Type"] == TYPE and body.startswith(b"# HELP ") and body.endswith(b"\n") and
           int(headers["Content-Length"]) == len(body) and headers["Connection"] == "close", "GET /metrics", headers)
    head = request(srv.web, "HEAD")
    tap.ok(head[0] == 200 and head[1]["Content-Type"] == TYPE and head[2] == b"", "HEAD /metrics", head)
    tap.ok(request(srv.web, path="/metrics?x=1")[0] == 200, "a query is left alone")
    for path in ("/", "/metrics/", "/metricsx", "/Metrics", "//metrics", "/metrics/../x", "/../etc/passwd"):
        got = request(srv.web, path=path)
        tap.ok(got[0] == 404 and b"/metrics" in got[2], "%s: 404" % path, got)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "DANCE"):
        got = request(srv.web, method)
        tap.ok(got[0] == 405 and got[1]["Allow"] == "GET, HEAD", "%s: 405" % method, got)
    tap.ok(status_of(raw(srv.web, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100000)) in
           (405, None), "a body is not waited for")


def mad(tap, srv):
    many = b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % k for k in range(5000)) + b"\r\n"
    for name, text in (("a long path", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
                       ("a long header", b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"b" * 100000 + b"\r\n\r\n"),
                       ("many headers", many), ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00" + b"\x00" * 500),
                       ("no Host", b"GET /metrics HTTP/1.1\r\n\r\n"), ("a NUL", b"GET /met\x00rics HTTP/1.1\r\nHost: x\r\n\r\n"),
                       ("a mad length", b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")):
        got = raw(srv.web, text)
        tap.ok(status_of(got) != 200 and (not got or 400 <= status_of(got) < 500), "%s: refused" % name, got[:200])
    for n in range(len(GET)):
        with socket.create_connection(("127.0.0.1", srv.web), PATIENCE) as s:
            s.sendall(GET[:n])
    tap.ok(look(srv.web).get("restante_build_info", version=version(srv)) == 1, "cut at every octet: the next one is served")


def version(srv):
    return subprocess.run([srv.bin("restantectl"), "--version"], capture_output=True, text=True).stdout.split()[1]


def others_are_served(srv):
    with Pop(srv.clear_port) as p:
        return p.login("ann").startswith(b"+OK") and p.lines("RETR 1") is not None and p.say("QUIT").startswith(b"+OK") and \
            srv.ctl("status").returncode == 0


def stuck(tap, srv):
    """Half of a request, nothing at all, an answer that nobody reads."""
    held = []
    for text in (b"", b"GET /metr", GET) * 5:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        s.settimeout(PATIENCE)
        s.connect(("127.0.0.1", srv.web))
        s.sendall(text)
        held.append(s)
    tap.ok(others_are_served(srv), "fifteen stuck scrapers: POP3 and restantectl go on")
    tap.ok(request(srv.web)[0] == 200, "and the sixteenth place serves a scraper")
    more = [socket.create_connection(("127.0.0.1", srv.web), PATIENCE) for _ in range(20)]
    tap.ok(others_are_served(srv), "twenty more: they go on")
    for s in more:
        s.close()
    tap.ok(request(srv.web)[0] == 200, "when the stuck ones have been silent for too long, scrapers are served again")
    for s in held:
        s.close()


def dripping(tap, srv):
    """One octet now and then is never silence; the whole request gets a quarter of a minute."""
    held = [socket.create_connection(("127.0.0.1", srv.web), PATIENCE) for _ in range(CONNECTIONS)]
    long = b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 4000
    at = 0
    c = connection(srv.web)
    try:
        c.request("GET", "/metrics")
        c.sock.settimeout(2)
        answer = b""
        while not answer and at < 60:
            for s in held:
                try:
                    s.send(long[at:at + 1])
                except OSError:
                    pass  # it was ended
            at += 1
            try:
                answer = c.sock.recv(100)
            except TimeoutError:
                pass
        tap.ok(answer.startswith(b"HTTP/1.1 200 "), "sixteen that drip: they are ended, whoever waited is served",
               (at, answer))
        tap.ok(others_are_served(srv), "nobody else noticed")
    finally:
        c.close()
    for s in held:
        s.close()


def unix_socket(tap, srv):
    path = srv.path("run", "metrics")
    st = os.stat(path)
    tap.ok(stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o640, "the unix socket has its mode", oct(st.st_mode))
    tap.ok(look(path).get("restante_workers") == 32, "and serves the same text")
    tap.ok(srv.said("metrics on " + path), "the log says where")


def new_place(tap, srv):
    conf = srv.path("restante.conf")
    text = open(conf).read()
    with open(conf, "w") as f:
        f.write(text.replace(srv.path("run", "metrics"), srv.path("run", "other")))
    tap.ok(srv.ctl("reload").returncode == 0 and srv.said("metrics: another place takes effect at the next restart") and
           look(srv.path("run", "metrics")).get("restante_workers") == 32, "a reload keeps the place, and says so")


def dumped(tap, srv):
    """The output of -T is a valid configuration."""
    p = subprocess.run([srv.bin("restanted"), "-T", "-c", srv.path("restante.conf")], capture_output=True, text=True)
    tap.ok(re.search(r"(?m)^metrics \{$", p.stdout) and "mode = 0640" in p.stdout, "-T prints the block", p.stdout + p.stderr)
    with open(srv.path("dump.conf"), "w") as f:
        f.write(re.sub(r"(?m)^    # (file|path|allow_plain): .*$", lambda m: {
            "file": "file = " + srv.path("passwd"), "path": srv.path("mail", "%n").join(("path = ", "")),
            "allow_plain": "allow_plain = yes"}[m.group(1)], p.stdout))
    p = subprocess.run([srv.bin("restanted"), "-t", "-c", srv.path("dump.conf")], capture_output=True, text=True)
    tap.ok(p.returncode == 0, "and its output is a valid configuration", p.stderr)


def refused(tap, srv):
    """Every mistake in one run, in words."""
    good = open(srv.path("restante.conf")).read()
    bad = srv.path("bad.conf")
    cases = (("address = 0.0.0.0\nport = 9144", "metrics: address = 0.0.0.0: expected a loopback address, 127.0.0.1 or ::1"),
             ("address = ::\nport = 9144", "metrics: address = ::: expected a loopback address"),
             ("address = 192.0.2.1\nport = 9144", "expected a loopback address"),
             ("address = 127.1\nport = 9144", "expected a loopback address"),
             ("address = localhost\nport = 9144", "expected a loopback address"), ("", "metrics: port is missing"),
             ("address = ::1", "metrics: port is missing"), ("port = 70000", "port = 70000: expected"),
             ("path = /tmp/x\nport = 9144", "metrics: either path, or address and port"),
             ("path = x", "expected an absolute file name"), ("path = /%s" % ("x" * 120), "has at most 107 octets"),
             ("port = 9144\nmode = 999", "expected permissions in octal"),
             ("port = %d" % srv.clear_port, "metrics: this place is listener clear's already"),
             ("prot = 9144", "did you mean 'port'"), ("port = 1\n}\nmetrics {\nport = 2", "there is another metrics block"))
    for inside, says in cases:
        with open(bad, "w") as f:
            f.write(re.sub(r"metrics \{[^}]*\}", lambda _: "metrics {\n%s\n}" % inside, good))
        p = subprocess.run([srv.bin("restanted"), "-t", "-c", bad], capture_output=True, text=True)
        tap.ok(p.returncode == 78 and says in p.stderr and p.stderr.startswith("restanted: %s:" % bad),
               "%s: %s" % (" ".join(inside.split())[:60], says), p.stderr)
    with open(bad, "w") as f:
        f.write(re.sub(r"metrics \{[^}]*\}", "metrics {\naddress = ::1\nport = 9144\n}", good))
    p = subprocess.run([srv.bin("restanted"), "-t", "-c", bad], capture_output=True, text=True)
    tap.ok(p.returncode == 0, "::1 is as good", p.stderr)
    with socket.socket() as s:
        s.bind(("127.0.0.1", srv.web))
        s.listen()
        with open(bad, "w") as f:
            f.write(re.sub(r"metrics \{[^}]*\}", "metrics {\nport = %d\n}" % srv.web, good))
        p = subprocess.run([srv.bin("restanted"), "-c", bad], capture_output=True, text=True, timeout=PATIENCE)
        tap.ok(p.returncode == 78 and "metrics: cannot bind 127.0.0.1 port %d" % srv.web in p.stderr and
               "another program listens there" in p.stderr, "a port that is taken", p.stderr)


def off(tap, srv):
    """Without the block nobody listens."""
    n = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout
    mine = [line for line in n.splitlines() if "pid=%d," % srv.proc.pid in line]
    tap.ok(len(mine) == 3, "without a block there are the three listeners of POP3", n)
    tap.ok(srv.ctl("metrics").stdout.startswith("# HELP "), "and restantectl prints them")


def run(tap, steps, metrics):
    """metrics(srv): the block."""
    with Server() as srv:
        srv.web = free_port()
        srv.passwd({"ann": "restante"})
        srv.maildir("ann", [b"Subject: a letter\n\nbody\n"])
        srv.configure(plain(srv) + metrics(srv))
        srv.start()
        for step in steps:
            step(tap, srv)
        srv.ends(tap)


def main():
    tap = Tap()
    run(tap, [manners, mad, stuck, dripping], lambda srv: block("metrics", port=srv.web))
    run(tap, [unix_socket, new_place, dumped, refused], lambda srv: block("metrics", path=srv.path("run", "metrics"), mode="0640"))
    run(tap, [off], lambda srv: "")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
