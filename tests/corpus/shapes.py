# SPDX-License-Identifier: Apache-2.0
"""The message shapes every client test uses: name -> bytes as they lie in a store.

A store keeps lines that end in LF or CRLF; wire() says what a client must receive (RFC 1939 section 11
and the ABI's "mail as bytes"): every line end as CRLF, a missing last one supplied, all else untouched.
Large shapes are made here rather than committed; they are the same bytes on every machine.
"""
import hashlib


def wire(raw):
    """The octets a client must get, before dot-stuffing, without the final dot."""
    out = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    # a lone CR is data; only a CR directly before LF belongs to the line end
    if out and not out.endswith(b"\r\n"):
        out += b"\r\n"
    return out


def _head(name, *more):
    lines = [
        b"From: Clerk <clerk@example.org>",
        b"To: Ann <ann@example.org>",
        b"Date: Mon, 23 Nov 2026 18:00:00 +0000",
        b"Message-ID: <%s@shapes.example.org>" % name.encode(),
        b"Subject: " + name.encode(),
    ]
    return b"".join(line + b"\n" for line in lines + list(more)) + b"\n"


def _noise(name, n):
    """n bytes of printable text without line ends, the same on every run."""
    out = bytearray()
    i = 0
    while len(out) < n:
        out += hashlib.sha256(b"%s %d" % (name.encode(), i)).hexdigest().encode()
        i += 1
    return bytes(out[:n])


def _shapes():
    s = {}

    def add(name, body, *head):
        s[name] = _head(name, *head) + body

    # plain ones
    add("plain", b"Hello,\nthis is a letter.\n")
    add("two-lines", b"one\ntwo\n")
    add("blank-lines", b"\n\n\nafter three blank lines\n\n\n")
    add("trailing-blank-lines", b"text\n\n\n\n")
    add("spaces-at-end", b"text   \n\t\n   \n")
    add("tabs", b"\tone\t\ttwo\n")
    add("long-subject", b"body\n", b"X-Long: " + b"word " * 180)
    add("folded-header", b"body\n", b"X-Folded: one\n two\n\tthree")
    add("many-headers", b"body\n", *[b"X-H%d: value %d" % (i, i) for i in range(300)])
    add("from-line-in-body", b"From the start of a line\n>From quoted\n")
    add("header-like-body", b"Subject: not a header\nContent-Length: 5\n\nmore\n")
    add("mime", b"--b\nContent-Type: text/plain\n\npart one\n--b\n\npart two\n--b--\n",
        b'Content-Type: multipart/mixed; boundary="b"')
    add("base64", b"SGVsbG8sIHdvcmxkIQ==\n" * 40, b"Content-Transfer-Encoding: base64")

    # dots
    add("dot-line", b".\n")
    add("dot-lines", b".\n..\n...\n....\n")
    add("dot-first-body", b".begins with a dot\n")
    add("dot-dot-text", b"..two dots\n.one\n")
    add("dot-last", b"text\n.\n")
    add("dot-last-no-lf", b"text\n.")
    add("dot-cr", b".\r\nnext\n.\r\n.\n")
    add("dot-every-line", b".x\n" * 2000)
    add("only-dots", b".\n" * 3000)
    add("dot-after-lone-cr", b"a\r.b\n\r.\n")
    s["dot-first-octet"] = b".X-Dot: first octet\nSubject: dot-first-octet\n\nbody\n"
    s["dot-only-message"] = b"."
    for edge in (511, 512, 1023, 1024, 4095, 4096, 8191, 8192, 16383, 16384, 32767, 32768, 65535, 65536):
        head = _head("dot-at-%d" % edge)
        pad = edge - len(head) - 1
        body = b""
        while pad > 900:
            body += _noise("edge", 899) + b"\n"
            pad -= 900
        body += _noise("edge", pad) + b"\n"
        s["dot-at-%d" % edge] = head + body + b".dot at offset %d\n.\nend\n" % edge

    # line ends
    add("crlf", b"")
    s["crlf"] = (s["plain"] + b"third\n").replace(b"plain", b"crlf").replace(b"\n", b"\r\n")
    add("mixed-ends", b"lf\ncrlf\r\nlf\ncrlf\r\n")
    add("no-last-end", b"the last line has no end")
    add("no-last-end-crlf", b"")
    s["no-last-end-crlf"] = _head("no-last-end-crlf").replace(b"\n", b"\r\n") + b"one\r\ntwo"
    add("lone-cr", b"one\rtwo\rthree\n")
    add("cr-cr-lf", b"one\r\r\ntwo\n")
    add("cr-at-end", b"text\r")
    add("lf-cr", b"one\n\rtwo\n\r")
    add("cr-run", b"\r\r\r\r\n\r\r\n")
    for edge in (4095, 4096, 8191, 16383, 32767):
        head = _head("crlf-at-%d" % edge).replace(b"\n", b"\r\n")
        s["crlf-at-%d" % edge] = head + _noise("crlf", edge - len(head)) + b"\r\n.next\r\n"

    # bytes
    add("nul", b"before\0after\n\0\n")
    add("nul-first", b"\0\n")
    add("eight-bit", bytes(range(128, 256)) + b"\n", b"Content-Transfer-Encoding: 8bit")
    add("latin1", "Grüße\n".encode("latin-1"))
    add("utf8", "Grüße aus dem Postamt — ✉\n".encode())
    add("utf8-header", b"body\n", "X-Name: Jürgen Müller".encode())
    add("control", bytes(b for b in range(1, 32) if b not in (10, 13)) + b"\n")
    add("all-bytes", bytes(b for b in range(256) if b not in (10, 13)) + b"\n")
    add("escape", b"\x1b[31mred\x1b[0m\n")

    # sizes and structure
    s["empty"] = b""
    s["one-lf"] = b"\n"
    s["one-octet"] = b"x"
    s["header-only"] = _head("header-only")[:-1]
    s["header-only-no-end"] = _head("header-only-no-end")[:-2]
    s["blank-line-first"] = b"\nbody without a header\n"
    s["no-blank-line"] = b"Subject: no-blank-line\nthis is not a header line\n"
    add("line-998", _noise("998", 998) + b"\n")
    add("line-1000", _noise("1000", 1000) + b"\n")
    add("line-2047", _noise("2047", 2047) + b"\n")
    add("line-8192", _noise("8192", 8192) + b"\n")
    add("line-100k", _noise("100k", 100 * 1024) + b"\n")
    add("line-1m", _noise("1m", 1024 * 1024) + b"\n")
    add("lines-1m", (_noise("l", 70) + b"\n") * 15000)
    add("short-lines", b"x\n" * 50000)
    add("empty-lines", b"\n" * 20000)
    # 50 MiB: one block repeated; each line tells where it is
    block = b"".join(b"%07d %s\n" % (i, _noise("big%d" % (i % 7), 91)) for i in range(5243))
    add("fifty-mib", block * 100)
    return s


SHAPES = _shapes()

if __name__ == "__main__":
    for name, raw in SHAPES.items():
        print("%-22s %9d stored %9d octets" % (name, len(raw), len(wire(raw))))
    print(len(SHAPES), "shapes")
