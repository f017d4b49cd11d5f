#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An operator's means to govern stored mail: retention and undo at QUIT and by restantectl, EXPIRE in CAPA, quotas and
their counts, volumes, each on a real server with maildirs; and configurations that are refused."""
import json
import os
import signal
import smtplib
import subprocess
import sys
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop  # noqa: E402
from restantectl import SEEN  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

MESSAGES = [b"Subject: number %d\n\nline %d\n" % (k, k) for k in range(6)]
DAY = 86400

USERS = ["ann@zero.example", "ben@keep.example", "cat@client.example", "dan@counted.example", "eve@counted.example"]


def sections(server):
    return (accounts(server) + maildirs(server, "%d/%n", volume="disk") +
            block("volume", "disk", path=server.path("mail"), reserve_percent=0, reserve_octets=0, reserve_file="64k") +
            block("domain", "zero.example", expire=0) +
            block("domain", "keep.example", expire=30, undo=7) +
            block("domain", "counted.example", domain_messages=10, domain_octets=100000))


def box(server, user):
    local, domain = user.split("@")
    return server.path("mail", domain, local)


def fill(server, user, messages=MESSAGES):
    for d in ("tmp", "new", "cur"):
        os.makedirs(os.path.join(box(server, user), d), exist_ok=True)
    for k, raw in enumerate(messages):
        with open(os.path.join(box(server, user), "new", "17000000%02d.M1P1.test" % k), "wb") as f:
            f.write(raw)
    server.give(server.path("mail"))


def files_of(maildir):
    return sum(len(os.listdir(os.path.join(maildir, d))) for d in ("new", "cur"))


def files(server, user):
    return files_of(box(server, user))


class Box:
    """A session of this user."""

    def __init__(self, server, user):
        wait_until(lambda: self.enter(server, user), 30, user + " to get in")

    def enter(self, server, user):
        self.p = Pop(server.clear_port)
        answer = self.p.login(user, "restante")
        if not answer.startswith(b"-ERR [IN-USE]"):  # a session that was left without QUIT is on its way out
            assert answer.startswith(b"+OK"), answer
            return True
        self.p.close()
        return False

    def count(self):
        return int(self.p.say("STAT").split()[1])

    def quit(self):
        answer = self.p.say("QUIT")
        self.p.close()
        return answer


def count(server, user):
    b = Box(server, user)
    n = b.count()
    b.quit()
    return n


def capa(p):
    return [line.strip().decode() for line in p.lines("CAPA")]


def ctl(server, *args):
    out = server.ctl("--json", *args, timeout=60)
    try:
        doc = json.loads(out.stdout)
    except ValueError:
        return {}, out
    SEEN.look(args[0], doc)
    return doc, out


def say_expire(tap, server):
    p = Pop(server.clear_port)
    before = capa(p)
    p.login("ben@keep.example", "restante")
    ben = capa(p)
    p.say("QUIT")
    p = Pop(server.clear_port)
    p.login("cat@client.example", "restante")
    cat = capa(p)
    p.say("QUIT")
    tap.ok("EXPIRE 0 USER" in before, "CAPA before login: the most restrictive of all, USER", before)
    tap.ok("EXPIRE 30" in ben and "EXPIRE NEVER" in cat, "CAPA after login: the values for this user", (ben, cat))


def expire_zero(tap, server):
    user = "ann@zero.example"
    fill(server, user)
    b = Box(server, user)
    b.p.lines("RETR 1")
    b.p.lines("RETR 3")
    b.p.lines("TOP 4 0")
    b.p.close()
    tap.ok(count(server, user) == 6, "expire = 0: retrieved, and no QUIT: all is still there")
    b = Box(server, user)
    b.p.lines("RETR 1")
    b.p.lines("RETR 3")
    b.p.lines("TOP 4 0")
    tap.ok(b.count() == 6 and b.quit().startswith(b"+OK"), "expire = 0: nothing is deleted before QUIT")
    tap.ok(count(server, user) == 4 and files(server, user) == 4, "expire = 0: QUIT deletes messages retrieved whole, not those seen by TOP")
    out, _ = ctl(server, "expire", user)
    tap.ok(out.get("messages") == 0 and count(server, user) == 4, "expire = 0: restantectl expire deletes nothing", out)


def ledger_older(server, user, days):
    """As if all retrieved mail had been retrieved earlier: F lines with another time."""
    name = os.path.join(box(server, user), "restante-ledger")
    lines = open(name, "rb").read().split(b"\n")
    out = []
    for line in lines:
        words = line.split(b" ")
        if len(words) == 4 and words[1] == b"F":
            words[3] = b"%d" % (int(words[3]) - days * DAY * 1000)
            body = b" ".join(words[1:])
            line = b"%08x %s" % (zlib.crc32(body), body)
        out.append(line)
    with open(name, "wb") as f:
        f.write(b"\n".join(out))


def expire_days(tap, server):
    user = "ben@keep.example"
    fill(server, user)
    b = Box(server, user)
    b.p.lines("RETR 1")
    b.p.lines("RETR 2")
    b.quit()
    tap.ok(count(server, user) == 6, "expire = 30: nothing goes at once")
    ledger_older(server, user, 31)
    out, _ = ctl(server, "expire", "--domain", "keep.example", "--dry-run")
    tap.ok(out.get("messages") == 2 and count(server, user) == 6, "expire = 30: a dry run counts two and touches none", out)
    tap.ok(count(server, user) == 4, "expire = 30: the next QUIT has let them go")
    return user


def undo(tap, server, user):
    out, _ = ctl(server, "undelete", user, "--list")
    hidden = out.get("hidden", [])
    tap.ok(len(hidden) == 2 and all(h["first_retrieved_ms"] > 0 for h in hidden), "undo: expired mail can be brought back", out)
    b = Box(server, user)
    b.p.say("DELE 4")
    b.quit()
    tap.ok(count(server, user) == 3 and files(server, user) == 6, "undo: deleted mail is hidden, not gone")
    out, _ = ctl(server, "undelete", user, hidden[0]["uidl"] if hidden else "x")
    tap.ok(out.get("messages") == 1 and count(server, user) == 4, "undo: one is brought back", out)
    wrong = [server.ctl("undelete", user, "x" * 71), server.ctl("undelete", "a\x01b", "--all"),
             server.ctl("expire", "--domain", "d" * 300, "--dry-run")]
    tap.ok(all(w.returncode and text in w.stderr for w, text in zip(
        wrong, ("'" + "x" * 71 + "' is not a possible unique-id", "' is not a possible user name", "is longer than 255 octets"))), "undo: what cannot be asked for is named", [w.stderr for w in wrong])
    expired, _ = ctl(server, "expire", user)
    tap.ok(expired.get("messages") == 0 and count(server, user) == 4 and count(server, user) == 4,
           "undo: its age begins anew: neither restantectl expire nor the next QUITs let go of it again", expired)
    b = Box(server, user)
    listed = b.p.lines("UIDL")
    at = next((line.split()[0] for line in listed if line.split()[1].decode() == hidden[0]["uidl"]), b"1")
    b.p.lines(b"RETR " + at)
    b.quit()
    again = count(server, user)
    ledger_older(server, user, 31)
    count(server, user)
    tap.ok(again == 4 and count(server, user) == 3, "undo: retrieved once more, it goes when it is thirty days old again", again)
    out, said = ctl(server, "undelete", user, "--all")
    tap.ok(out.get("messages") == 3, "undo: all are brought back", said.stdout + said.stderr)
    out, _ = ctl(server, "quota", user)
    tap.ok(out.get("used_messages") == 6 and out.get("hidden_messages") == 0, "undo: usage counts them again", out)
    b = Box(server, user)
    out, said = ctl(server, "undelete", user, "--all")
    tap.ok(not out.get("succeeded") and out.get("busy") == 1 and said.returncode != 0,
           "undo: not while somebody is logged in, and that is said", out)
    b.quit()
    said = server.ctl("undelete", user)
    tap.ok(said.returncode == 64, "undo: without unique-ids it asks for --all or --list")


def expire_all(tap, server):
    """Through all mailboxes, including busy ones and those without an account; progress on standard error."""
    user = "ben@keep.example"
    b = Box(server, user)
    b.p.lines("RETR 1")
    b.quit()
    ledger_older(server, user, 31)
    fill(server, "ghost@keep.example", MESSAGES[:1])
    free = Box(server, "cat@client.example")  # nothing is to be done there
    held = Box(server, user)
    said = server.ctl("expire", "--all", timeout=60)
    out, _ = ctl(server, "expire", "--all")
    held.quit()
    free.quit()
    tap.ok(said.returncode == 0 and "mailboxes" in said.stderr and "passed over" in said.stdout and "no account" in said.stdout,
           "expire --all: progress is shown, who was passed over is told", said.stdout + said.stderr)
    tap.ok(out.get("busy") == 1 and out.get("without_account") == 1 and out.get("mailboxes", 0) >= 5,
           "expire --all: one busy in which something is over, one without an account", out)
    tap.ok(files(server, "ghost@keep.example") == 1, "expire --all: mail without an account is left alone")
    said = server.ctl("expire")
    tap.ok(said.returncode == 64 and "--all" in said.stderr, "expire: not without naming a user")


def domain_counts(tap, server):
    fill(server, "dan@counted.example")
    fill(server, "eve@counted.example", MESSAGES[:3])
    out, said = ctl(server, "quota", "--domain", "counted.example", "--recount")
    octets = sum(len(m) + m.count(b"\n") for m in MESSAGES + MESSAGES[:3])
    tap.ok(out.get("messages") == 9 and out.get("octets") == octets and said.returncode == 0,
           "quota --recount: nine messages in two mailboxes", said.stdout + said.stderr)
    b = Box(server, "dan@counted.example")
    for n in (1, 2):
        b.p.say("DELE %d" % n)
    b.quit()
    out, _ = ctl(server, "quota", "--domain", "counted.example")
    octets -= sum(len(m) + m.count(b"\n") for m in MESSAGES[:2])
    tap.ok((out.get("domain_used_messages"), out.get("domain_used_octets"), out.get("domain_doubtful")) == (7, octets, False),
           "QUIT takes from the domain's count what it deleted", out)
    out, said = ctl(server, "quota", "dan@counted.example")
    tap.ok(out.get("used_messages") == 4 and out.get("domain_quota_messages") == 10 and out.get("domain_used_messages") == 7,
           "quota USER: the user's and the domain's usage", said.stdout)
    said = server.ctl("quota", "dan@counted.example")
    tap.ok("7 of 10 (70 %)" in said.stdout, "quota USER: in words", said.stdout)
    for args in (("quota", "who@counted.example"), ("expire", "who@counted.example")):
        said = server.ctl(*args)
        tap.ok(said.returncode != 0 and "knows an account 'who@counted.example'" in said.stderr + said.stdout,
               "%s of nobody: in words" % args[0], (said.returncode, said.stdout, said.stderr))
    said = server.ctl("quota", "--domain", "nowhere.example")
    tap.ok(said.returncode == 1 and "not counted" in said.stderr, "a domain without limits is not counted, and that is said", said.stderr)


def after_a_crash(tap, server):
    """The next server counts again if a count was left doubtful."""
    name = server.path("state", "quota", "counted.example")
    server.proc.send_signal(signal.SIGKILL)
    server.proc.wait()
    server.proc = None
    with open(name, "r+b") as f:
        f.seek(40)
        f.write(b"\xff")
    server.start()
    out = {}

    def right():
        out.clear()
        out.update(ctl(server, "quota", "--domain", "counted.example")[0])
        return out.get("domain_used_messages") == 7 and not out.get("domain_doubtful")
    wait_until(right, 60, "the damaged count to be made anew: %r" % out)
    tap.ok(True, "the next server rebuilds a damaged count by itself")


def volumes(tap, server):
    out, said = ctl(server, "volumes")
    v = (out.get("volumes") or [{}])[0]
    tap.ok(v.get("state") == "ok" and v.get("reserve_file") == 65536 and v.get("octets", 0) > 0, "volumes: ok, its reserve file is there",
           said.stdout)
    said = server.ctl("volumes")
    tap.ok("disk" in said.stdout and "64.0K" in said.stdout, "volumes: as a table", said.stdout)


def reserves(server, *names, remove=False):
    """Which of them have their reserve file, or had."""
    there = [n for n in names if os.path.exists(server.path(n, ".restante-reserve"))]
    for n in there if remove else ():
        os.unlink(server.path(n, ".restante-reserve"))
    return there


def a_volume_goes(tap):
    """A reload removes the block while a session of the older snapshot still delivers to it; another brings it back."""
    def configure(server, *names):
        server.configure(accounts(server) + maildirs(server, volume="mail" if "mail" in names else None) +
                         "".join(block("volume", n, path=server.path(n), reserve_percent=0, reserve_file="64k") for n in names))

    def shown(server):
        return sorted(v["volume"] + " " + v["state"] for v in server.json("volumes").get("volumes") or [])

    with Server() as server:
        for n in ("mail", "other"):
            server.mkdir(n)
        server.passwd({"ann": "restante"})
        lmtp = server.listen("lmtp")
        configure(server, "mail", "other")
        server.start()
        wait_until(lambda: shown(server) == ["mail ok", "other ok"], 30, "both volumes")
        with smtplib.LMTP("127.0.0.1", lmtp) as c:
            c.ehlo("test")
            configure(server, "other")
            said = server.ctl("reload")
            tap.ok(said.returncode == 0 and shown(server) == ["other ok"], "a volume whose block is gone is not shown",
                   (said, shown(server)))
            said = server.ctl("metrics").stdout
            tap.ok('volume="other"' in said and 'volume="mail"' not in said, "nor measured")
            time.sleep(11)  # a disk that has not answered a look for ten seconds is out of order
            reserves(server, "mail", "other", remove=True)
            for _ in range(2):  # the second look began after both
                wait_until(lambda: reserves(server, "other", remove=True), 30, "a look at the volumes")
            tap.ok(not reserves(server, "mail"), "nor looked at: its reserve file is not made again")
            refused = c.sendmail("sender@far.example", ["ann"], "Subject: x\r\n\r\nx\r\n")
            tap.ok(not refused and files_of(server.path("mail", "ann")) == 1, "a session that began with it delivers", refused)
        configure(server, "mail", "other")
        said = server.ctl("reload")
        wait_until(lambda: shown(server) == ["mail ok", "other ok"] and reserves(server, "mail"), 30, "the volume again")
        tap.ok(said.returncode == 0, "brought back, it is shown, looked at and has its reserve file", said)
        server.ends(tap, "the server ends cleanly")


def wrong_configurations(tap):
    enough = block("storage", "mail", module="ram") + block("auth", "a", module="passwd", file="/p")
    cases = ((block("volume", "v", path="/a", mount="/b"), "is not below mount"),
             (block("storage", "other", module="ram", volume="nothing"), "no such volume block"),
             (block("badmail"), "path is missing"),
             (block("badmail", path="/b", permits=64), "permits add up"),
             ("listener in {\n protocol = smtp\n port = 1\n tls = none\n}\n" + block("badmail", path="/b") +
              block("delivery", unknown_recipient="badmail", postmaster="ann"), "mail to any would be kept: set domains"),
             ("expire = soon", "expected client or a number"),
             (block("domain", "a.example") + block("domain", "A.example"), "there is another block of it"))
    sql = (block("auth", "b", module="sql", driver="sqlite", database="/d", query_user="SELECT :user") + cases[4][0],
           "query_domain: is missing")
    with Server() as server:
        if os.path.exists(os.path.join(server.modules, "sql.so")):
            cases += (sql,)
        for text, expected in cases:
            conf = server.configure(enough + text)
            said = subprocess.run([server.bin("restanted"), "-t", "-c", conf], capture_output=True, text=True, timeout=30)
            tap.ok(said.returncode == 78 and expected in said.stderr, "refused: " + expected, said.stderr)


def main():
    tap = Tap()
    with Server() as server:
        server.mkdir("mail")
        server.passwd({u: "restante" for u in USERS})
        for u in USERS:
            fill(server, u, [])
        server.configure(sections(server))
        server.start()
        say_expire(tap, server)
        expire_zero(tap, server)
        undo(tap, server, expire_days(tap, server))
        domain_counts(tap, server)
        expire_all(tap, server)
        volumes(tap, server)
        after_a_crash(tap, server)
        server.ends(tap, "the server ends cleanly")
    a_volume_goes(tap)
    wrong_configurations(tap)
    SEEN.show(tap, "expire", "undelete", "quota", "volumes")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
