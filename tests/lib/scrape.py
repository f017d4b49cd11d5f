# SPDX-License-Identifier: Apache-2.0
"""GET /metrics by hand, and its text as numbers."""
import http.client
import re
import socket
import subprocess

PATIENCE = 120
SAMPLE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def connection(where):
    """where: a port of 127.0.0.1, or a path."""
    return UnixConnection(where) if isinstance(where, str) else http.client.HTTPConnection("127.0.0.1", where, timeout=PATIENCE)


def request(where, method="GET", path="/metrics", body=None, headers=None):
    """Status, headers, body."""
    c = connection(where)
    try:
        c.request(method, path, body, headers or {})
        r = c.getresponse()
        return r.status, r.headers, r.read()
    finally:
        c.close()


def samples(text):
    """(name, labels) -> value; labels as a sorted tuple of pairs. Raises at a line that is neither sample nor comment."""
    out = {}
    for line in text.splitlines():
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            continue
        m = SAMPLE.match(line)
        if not m:
            raise ValueError("not a sample: %r" % line)
        key = (m.group(1), tuple(sorted(LABEL.findall(m.group(2) or ""))))
        if key in out:
            raise ValueError("twice: %r" % line)
        out[key] = float(m.group(3))
    return out


class Numbers:
    """All samples of one moment."""

    def __init__(self, text):
        self.text = text
        self.all = samples(text)

    def get(self, name, **labels):
        return self.all[(name, tuple(sorted(labels.items())))]

    def names(self):
        return {name for name, _ in self.all}


def look(where):
    status, headers, body = request(where)
    if status != 200:
        raise RuntimeError("GET /metrics: %d %r" % (status, body[:200]))
    return Numbers(body.decode())


def promtool(text):
    """The complaints of the real promtool about this text; "" for none."""
    p = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    return "" if p.returncode == 0 and not p.stdout and not p.stderr else "%d\n%s%s" % (p.returncode, p.stdout, p.stderr)
