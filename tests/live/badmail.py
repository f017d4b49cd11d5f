#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Badmail under a running server: waiting mail is delivered when the store is back, once, byte for byte; a server
that is killed in the middle of retries loses none; restantectl badmail as an operator uses it."""
import ctypes
import json
import os
import signal
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
from keeper import PROGRAM  # noqa: E402
from pop import mails  # noqa: E402
from restantectl import SEEN  # noqa: E402
from sections import block, plain  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)
IN_OPEN, IN_ISDIR = 0x20, 0x40000000

EACH = 240
KILLS = 12 if os.environ.get("ALL") != "yes" else 60


def put(server, lines):
    """Items made by another process, as restante-deliver would."""
    args = [PROGRAM, server.path("restante.conf")]
    if server.root:
        args = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] + args
        if not os.path.exists(server.path("keep")):
            libtool = os.path.join(os.path.dirname(PROGRAM), ".libs", "keep")
            subprocess.check_call(["cp", libtool if os.path.exists(libtool) else PROGRAM, server.path("keep")])
            os.chmod(server.path("keep"), 0o755)
        args[4] = server.path("keep")
    done = subprocess.run(args, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout.splitlines()


def ctl(server, *args):
    out = server.ctl("--json", "badmail", *args, timeout=60)
    try:
        doc = json.loads(out.stdout)
    except ValueError:
        return {}, out
    SEEN.look("badmail " + args[0], doc)
    return doc, out


def totals(server):
    out, said = ctl(server, "stats")
    if "totals" not in out:
        raise RuntimeError("no totals: %s %s" % (said.stdout, said.stderr))
    return out["totals"]


def start(server):
    """Waits for the control socket: the port listens before it does."""
    server.start()
    wait_until(lambda: server.ctl("status").returncode == 0, 30, "the control socket")


def settled(server):
    t = totals(server)
    return t.get("retry_items") == 0


def comes_back(tap, server):
    """The store cannot be written to: mail waits, with back-off; then it comes."""
    os.rename(server.path("mail"), server.path("gone"))
    ids = put(server, ["insert retry 3 2000 store-down sender%u@far.example ann"])
    wait_until(lambda: (ctl(server, "list")[0].get("items") or [{}])[0].get("tries", 0) >= 2, 60, "two tries")
    out, said = ctl(server, "list", "--class", "retry")
    item = (out.get("items") or [{}])[0]
    tap.ok(len(out.get("items", [])) == 3 and item.get("last_error") and item["next_ms"] > item["last_try_ms"],
           "the store is away: three wait, each says why and when it is tried again: %s" % item.get("last_error"), said.stdout)
    os.rename(server.path("gone"), server.path("mail"))
    wait_until(lambda: settled(server), 60, "the mail to be delivered")
    got = mails(server, "ann")
    heads = sorted(m.split(b"\r\n")[0] for m in got)
    tap.ok(heads == [b"Return-Path: <sender%d@far.example>" % k for k in range(3)], "it is back: each is delivered once", heads)
    body = got[0].split(b"\r\n", 2)[2]
    tap.ok(got[0].split(b"\r\n")[1] == b"Delivered-To: ann" and len(body) >= 2000 and body.startswith(b"Subject: number"),
           "as it was written, with Return-Path and Delivered-To before it", got[0][:200])
    tap.ok(totals(server).get("delivered") == 3 and not ctl(server, "show", ids[0])[0].get("item"), "and they are no more in Badmail")


class Opened:
    """Reports every file that any process opens in the directories of a class (inotify)."""

    def __init__(self, server, cls):
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for base, _, names in os.walk(server.path("bad", cls)):
            if libc.inotify_add_watch(self.fd, base.encode(), IN_OPEN) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch")
        self.names()

    def names(self):
        """The names of files opened since the last call, and "/" for each directory."""
        out = []
        while True:
            try:
                data = os.read(self.fd, 1 << 20)
            except BlockingIOError:
                return out
            while data:
                _, mask, _, n = struct.unpack("iIII", data[:16])
                out.append("/" if mask & IN_ISDIR else data[16:16 + n].rstrip(b"\0").decode())
                data = data[16 + n:]

    def close(self):
        os.close(self.fd)


def pages(tap, server):
    """A page opens the sidecars it shows and nothing else, and the server counts them right."""
    seen = Opened(server, "refused")
    out, _ = ctl(server, "list", "--class", "refused", "--limit", "10")
    names = seen.names()
    tap.ok(out["read"] == 10 and len(names) == 10 == len(set(names)) and all(n.endswith(".json") for n in names),
           "list: a page of ten opens ten sidecars, no message, no directory", (out["read"], names))
    out, _ = ctl(server, "list", "--class", "refused", "--limit", "20", "--after", out["next"])
    names = seen.names()
    tap.ok(out["read"] == 20 == len(names) and len(out["items"]) == 20, "list: the next page opens twenty, and none of the first",
           (out["read"], names))
    ctl(server, "stats", "--reason", "none of them")
    out, names = ctl(server, "stats")[0], seen.names()
    tap.ok(len(names) == 2 * out["totals"]["refused_items"], "stats with groups opens each sidecar once", len(names))
    ctl(server, "show", "x0")
    tap.ok(len(seen.names()) <= 2, "show opens one item")
    seen.close()


def by_age(tap, server):
    """In the background, while no mail comes in: last month's refused mail is removed, waiting mail stays."""
    put(server, ["insert refused 4 300 old a@old.example nobody", "insert retry 1 300 no-account a@old.example nobody"])
    old = {i["id"] for i in ctl(server, "list", "--reason", "old")[0]["items"]}
    waits = ctl(server, "list", "--class", "retry")[0]["items"][0]["id"]
    before = totals(server)
    last_month = time.time() - 31 * 86400
    # the oldest come first, so all before them are as old
    for cls in ("refused", "retry"):
        for base, _, names in os.walk(server.path("bad", cls)):
            for n in names:
                if n.endswith(".eml"):
                    os.utime(os.path.join(base, n), (last_month, last_month))
    wait_until(lambda: totals(server)["refused_items"] == 0, 60, "refused mail to go by age")
    t = totals(server)
    tap.ok(len(old) == 4 and t["expired"] - before["expired"] == before["refused_items"] and t["dropped"] >= t["expired"] and
           ctl(server, "show", waits)[0].get("item"), "in the background: refused mail of last month goes, counted; what waits stays", t)
    ctl(server, "purge", waits)


def operator(tap, server):
    put(server, ["insert refused 60 500 unknown-recipient s%u@spam.example nobody", "insert refused 5 500 unknown-recipient o@other.example ben",
                 "insert refused 2 500 too-large - ben"])
    out, _ = ctl(server, "list", "--limit", "10")
    tap.ok(len(out["items"]) == 10 and out["read"] == 10 and out.get("next"), "list: ten items read ten sidecars", out.get("read"))
    pages(tap, server)
    out, _ = ctl(server, "list", "--sender-domain", "other.example")
    tap.ok(len(out["items"]) == 5 and all(i["sender"] == "o@other.example" for i in out["items"]), "list: by the sender's domain")
    out, _ = ctl(server, "list", "--recipient", "ben", "--reason", "too-large", "--since", "1h")
    tap.ok(len(out["items"]) == 2 and out["items"][0]["sender"] == "", "list: filters together", out)
    out, _ = ctl(server, "list", "--before", "1h")
    tap.ok(out.get("items") == [], "list: nothing is an hour old")
    said = server.ctl("badmail", "list", "--limit", "3")
    tap.ok("3 items; more with --after x" in said.stdout, "list: as a table, and how to go on", said.stdout)
    said = server.ctl("badmail", "stats")
    tap.ok("unknown-recipient" in said.stdout and "spam.example" in said.stdout and "1000 items" in said.stdout,
           "stats: by reason and by sender's domain, with the bound", said.stdout)
    out, said = ctl(server, "show", ctl(server, "list", "--reason", "too-large")[0]["items"][0]["id"])
    tap.ok(out["item"]["code"] == "5.1.1" and "Subject: number" in out["head"] and os.path.exists(out["file"]),
           "show: sidecar, header, and where it is", said.stdout)
    out, said = ctl(server, "retry", "--sender-domain", "other.example")
    tap.ok((out.get("asked"), out.get("delivered")) == (5, 5) and len(mails(server, "ben")) == 5,
           "retry: refused mail goes to its mailbox when there is one", said.stdout + said.stderr)
    out, said = ctl(server, "retry", ctl(server, "list", "--recipient", "nobody")[0]["items"][0]["id"])
    tap.ok(out.get("failed") == 1 and said.returncode == 1, "retry: an unknown user is still unknown", said.stdout)
    for args, code, text in ((("purge",), 64, "--all"), (("purge", "--all", "--limit", "1"), 64, "are list's"),
                             (("list", "--since", "soon"), 64, "an age like"), (("list", "--class", "x"), 64, "retry or"),
                             (("show", "zzz"), 1, "ID"), (("what",), 64, "list, show")):
        said = server.ctl("badmail", *args)
        tap.ok(said.returncode == code and text in said.stderr, "badmail %s: refused in words" % " ".join(args), said.stderr)
    put(server, ["insert retry 1 500 no-account a@b.example nobody"])
    out, _ = ctl(server, "purge", "--all")
    left, _ = ctl(server, "list")
    tap.ok(out.get("purged") == 62 and [i["class"] for i in left["items"]] == ["retry"], "purge --all takes the refused ones; waiting mail stays",
           (out, left))
    out, _ = ctl(server, "purge", left["items"][0]["id"])
    tap.ok(out.get("purged") == 1 and ctl(server, "list")[0]["items"] == [], "purge ID takes the item it names")


def killed(tap, server):
    """The server is killed again and again while it retries."""
    before = {u: len(mails(server, u)) for u in ("ann", "ben")}
    server.stop()
    put(server, ["insert retry %d 3000 store-down k%%u@far.example %s" % (EACH, u) for u in ("ann", "ben")])
    deaths = 0
    for _ in range(KILLS):
        start(server)
        left = totals(server).get("retry_items", 0)
        wait_until(lambda n=left: totals(server).get("retry_items", 0) < n or n == 0, 60, "some to be delivered")
        server.proc.send_signal(signal.SIGKILL)
        server.proc.wait()
        server.proc = None
        deaths += 1
        if left == 0:
            break
    start(server)
    wait_until(lambda: settled(server), 60, "the rest")
    subjects = {u: [m.split(b"Return-Path: <")[1].split(b">")[0] for m in mails(server, u)[before[u]:]] for u in before}
    missing = [(u, k) for u in subjects for k in range(EACH) if b"k%d@far.example" % k not in subjects[u]]
    twice = sum(len(s) - len(set(s)) for s in subjects.values())
    tap.ok(not missing and deaths > 3 and twice <= deaths * 16,
           "%d kills amid retries of %d messages: none lost, %d came twice" % (deaths, 2 * EACH, twice), missing)


def damaged(tap, server):
    """A sidecar that cannot be read: its mail waits, is not tried every second, and comes when it can be read."""
    before = len(mails(server, "ann"))
    server.stop()
    ident = put(server, ["insert retry 1 700 store-down d@far.example ann"])[0]
    path = server.path("bad", "retry", "%04x" % (int(ident[1:], 16) >> 16), "%02x" % (int(ident[1:], 16) >> 8 & 255),
                       "%016x.json" % int(ident[1:], 16))
    with open(path, "r+") as f:
        text = f.read()
        f.seek(0)
        f.truncate()
    os.utime(path, (0, 0))
    start(server)
    wait_until(lambda: os.path.getmtime(path) > 0, 30, "the item to be put off")
    said = ctl(server, "show", ident)[1]
    tap.ok(totals(server).get("retry_items") == 1 and "cannot be read" in said.stderr, "a sidecar that cannot be read: its mail waits, put off",
           said.stderr)
    with open(path, "w") as f:
        f.write(text)
    os.utime(path, (2 ** 31, 2 ** 31))  # as noted by a clock that stood in 2038
    wait_until(lambda: settled(server), 30, "the mail to be delivered")
    tap.ok(len(mails(server, "ann")) == before + 1, "it is delivered when it can be read")


def main():
    tap = Tap()
    with Server() as server:
        server.mkdir("mail")
        server.passwd({"ann": "restante", "ben": "restante"})
        server.maildir("ann")
        server.maildir("ben")
        os.chmod(server.dir, 0o755)
        server.configure(plain(server) + block("badmail", path=server.mkdir("bad"), retry_first=1, retry_max=2, max_items=1000))
        os.chmod(server.path("restante.conf"), 0o644)
        server.start()
        for step in (comes_back, operator, by_age, killed, damaged):
            step(tap, server)
        server.ends(tap, "the server ends cleanly")
    SEEN.show(tap, *("badmail " + action for action in ("list", "show", "stats", "retry", "purge")))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
