#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restantectl auth test: each outcome of a login in words, even while modules fail and hang; and no secret anywhere."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop  # noqa: E402
from restantectl import SEEN  # noqa: E402
from sections import accounts, faulty, maildirs  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

RIGHT = "restante-6f1c"
WRONG = "mistaken-90ab"

# domain: (settings of the shim's section, its rules)
SHIMS = {
    "down": (dict(trip_after=0), ("verify * error DOWN", "lookup * error DOWN")),
    "temp": (dict(trip_after=0), ("verify * error TEMP",)),
    "late": (dict(trip_after=0), ("verify * error TIMEOUT",)),
    "open": (dict(trip_after=1, breaker_open_ms=600000), ("verify * error DOWN", "probe * error DOWN")),
    "hung": (dict(permits=1, call_ms=500, wait_ms=300, trip_after=0), ("verify 1 hang",)),
    "full": (dict(permits=1, queue_max=0, call_ms=60000, trip_after=0), ("verify 1 hang",)),
    "cold": (dict(cache="1h", cache_negative="1h", last_known_good="4h", trip_after=0), ("verify 2+ error DOWN",)),
    "off": (dict(cache="1h", last_known_good="4h"), ()),
}


def shim(srv, name):
    settings, rules = SHIMS[name]
    srv.write("passwd-" + name, "ann@%s.test:{PLAIN}%s\n" % (name, RIGHT))
    return faulty(srv, name, "passwd-" + name, rules, release=srv.path("release"), **settings)


class Test:
    """Runs one auth test, as JSON and as text."""

    def __init__(self, srv, name, password=None, *more):
        args = [srv.bin("restantectl"), "-s", srv.path("run", "control")]
        tail = ["auth", "test", name, *more] + (["--password-stdin"] if password is not None else [])
        given = (password + "\n").encode() if password is not None else None
        one = subprocess.run(args + ["--json"] + tail, input=given, capture_output=True, timeout=90)
        self.rc, self.raw = one.returncode, one.stdout + one.stderr
        try:
            self.doc = json.loads(one.stdout)
        except ValueError:
            self.doc = {}
        SEEN.look("auth test", self.doc)
        self.tail, self.args, self.given = tail, args, given

    def text(self):
        two = subprocess.run(self.args + self.tail, input=self.given, capture_output=True, timeout=90)
        self.raw += two.stdout + two.stderr
        return two.stdout.decode()

    def step(self, section):
        return [s for s in self.doc.get("chain", []) if s["section"] == section][0]

    def __str__(self):
        return "%d\n%s" % (self.rc, self.raw.decode("utf-8", "replace"))


def refused(tap, t, section, answer, reply, what):
    tap.ok(t.rc == 1 and answer in t.step(section)["answer"] and t.doc["reply"] == reply and not t.doc["accepted"], what, t)


def plain(tap, srv):
    t = Test(srv, "ANN", RIGHT)
    want = {"name": "ann", "user": "ann", "state": "enabled", "rights": "pop3 delete deliver", "storage": "mail",
            "key": "ann", "reply": "+OK", "accepted": True, "mailbox": "none yet: nothing was delivered"}
    tap.ok(t.rc == 0 and {k: t.doc.get(k) for k in want} == want, "the right password: let in, all of the account", t)
    tap.ok(t.step("accounts")["answer"] == "accepted: the password is right" and
           t.step("more")["answer"] == "not asked: section accounts has decided" and
           "serves names of down.test only" in t.step("down")["answer"] and
           "section down wraps it" in t.step("down-file")["answer"], "each section: asked, or why not", t)
    text = t.text()
    tap.ok("asked for ann, password given" in text and "a login is let in" in text and
           "auth section accounts: accepted: the password is right" in text, "and for people", text)
    refused(tap, Test(srv, "ann", WRONG), "accounts", "refused: wrong password", "-ERR [AUTH]", "a wrong password")
    t = Test(srv, "moe", RIGHT)
    tap.ok(t.rc == 0 and t.step("accounts")["answer"].startswith("not its user") and t.doc["user"] == "moe",
           "the next section's user", t)
    t = Test(srv, "nobody", RIGHT)
    tap.ok(t.rc == 1 and "no section knows this name" in t.doc["result"], "a user no section knows", t)
    t = Test(srv, "ann")
    tap.ok(t.rc == 0 and "no password was given" in t.doc["result"] and t.step("accounts")["answer"] == "has this user",
           "without a password: looked up", t)
    t = Test(srv, "nobody")
    tap.ok(t.rc == 1 and t.step("accounts")["answer"] == "does not have this user", "and not found", t)
    t = Test(srv, "off", RIGHT)
    tap.ok(t.rc == 1 and t.doc["result"] == "account is disabled" and t.doc["state"] == "disabled" and
           t.step("accounts")["answer"].startswith("accepted"), "disabled: the password is right, and yet", t)
    t = Test(srv, "meek", RIGHT)
    tap.ok(t.rc == 1 and "no right to POP3" in t.doc["result"] and t.doc["rights"] == "deliver", "no right to POP3", t)
    t = Test(srv, "lost", RIGHT)
    tap.ok(t.rc == 1 and "storage section that is not there" in t.doc["result"], "mail nowhere", t)
    t = Test(srv, "rich", RIGHT)
    tap.ok(t.doc.get("quota_octets") == 5 << 20 and "5242880" in t.text(), "quota", t)
    with Pop(srv.clear_port) as pop:
        pop.login("ann", RIGHT)
        t = Test(srv, "ann", RIGHT)
        tap.ok(t.doc["open"] is True, "the mailbox is open just now", t)
    t = Test(srv, "a\nb", RIGHT)
    tap.ok(t.rc == 1 and "not a possible user name" in t.doc.get("error", ""), "no name a login could have", t)


def failures(tap, srv):
    t = Test(srv, "ann@down.test", RIGHT)
    refused(tap, t, "down", "is down", "-ERR [SYS/TEMP]", "down")
    tap.ok("by its script" in t.step("down")["detail"] and "nobody can tell" in t.doc["result"], "with the module's words", t)
    refused(tap, Test(srv, "ann@down.test"), "down", "is down", "-ERR [SYS/TEMP]", "down for a lookup")
    refused(tap, Test(srv, "ann@temp.test", RIGHT), "temp", "could not answer now", "-ERR [SYS/TEMP]", "temporary trouble")
    refused(tap, Test(srv, "ann@late.test", RIGHT), "late", "did not answer in time", "-ERR [SYS/TEMP]", "timed out")
    Test(srv, "eve@open.test", RIGHT)
    with Pop(srv.clear_port) as pop:
        pop.login("ann@open.test", RIGHT)  # the second name: now the breaker opens
    refused(tap, Test(srv, "ann@open.test", RIGHT), "open", "not asked: its breaker is", "-ERR [SYS/TEMP]", "breaker open")


def hanging(tap, srv):
    """The first call of each of these sections never returns; the question is answered all the same."""
    refused(tap, Test(srv, "ann@hung.test", RIGHT), "hung", "no answer within 2000 ms: 1 of 1 permits are in use",
            "-ERR [SYS/TEMP]", "a module that hangs")
    refused(tap, Test(srv, "ann@hung.test", RIGHT), "hung", "no permit within 300 ms, all 1 are in use",
            "-ERR [SYS/TEMP]", "no permit, because another call hangs")
    with Pop(srv.clear_port) as pop:
        answer = pop.login("ann@hung.test", RIGHT)
    tap.ok(b"[SYS/TEMP]" in answer and srv.said("section hung: waited too long for one of its 1 permits"), "and the log of a login says so", answer)
    with Pop(srv.clear_port) as hog:
        hog.file.write(b"USER ann@full.test\r\nPASS %s\r\n" % RIGHT.encode())
        hog.file.flush()

        def taken():
            doc = json.loads(srv.ctl("--json", "modules").stdout)
            return [m for m in doc["modules"] if m["section"] == "full"][0]["in_use"] == 1
        wait_until(taken, 20, "the permit to be taken")
        refused(tap, Test(srv, "ann@full.test", RIGHT), "full", "its line is full", "-ERR [SYS/TEMP]", "the line is full")
    t = Test(srv, "ann", RIGHT)
    tap.ok(t.rc == 0, "users of other sections are told at once", t)
    open(srv.path("release"), "w").close()


def cached(tap, srv):
    t = Test(srv, "ann@cold.test", RIGHT)
    tap.ok(t.rc == 0 and "does not know" in t.step("cold")["cache"], "a cache that knows nothing", t)
    t = Test(srv, "ann@cold.test", RIGHT)
    refused(tap, t, "cold", "is down", "-ERR [SYS/TEMP]", "a test is no login: nothing was remembered")
    with Pop(srv.clear_port) as pop:
        pop.login("ann@off.test", RIGHT)
        pop.say("QUIT")
    # clear text and TLS are two questions: the test asks as over TLS
    with Pop(srv.tls_port, srv.path("cert.pem")) as pop:
        pop.login("ann@off.test", RIGHT)
        pop.say("QUIT")
    t = Test(srv, "ann@off.test", RIGHT)
    tap.ok(t.rc == 0 and t.step("off")["cache"] == "a login is answered from it: accepted" and
           "lets in while" in t.step("off")["last_known_good"] and t.step("off")["answer"].startswith("accepted"),
           "what the cache would say, and what the section says", t)
    tap.ok("its cache: a login is answered" in t.text() and "last known good: accepted" in t.text(), "and for people")
    srv.write("passwd-off", "ann@off.test:{PLAIN}%s::::::disabled\n" % RIGHT)

    def seen():
        return "disabled" in srv.ctl("user", "ann@off.test").stdout
    wait_until(seen, 30, "the file to be read again")
    t = Test(srv, "ann@off.test", RIGHT)
    tap.ok(t.rc == 1 and "last_known_good" not in t.step("off") and t.doc["result"] == "account is disabled",
           "disabled meanwhile: forgotten", t)


def secrets(tap, srv):
    """Passwords are read from standard input only, and are shown nowhere."""
    p = subprocess.run([srv.bin("restantectl"), "-s", srv.path("run", "control"), "auth", "test", "ann", RIGHT],
                       capture_output=True, timeout=30)
    tap.ok(p.returncode == 64, "a password as an argument is a usage error")
    for given in (b"", b"\n"):
        p = subprocess.run([srv.bin("restantectl"), "-s", srv.path("run", "control"), "auth", "test", "ann",
                            "--password-stdin"], input=given, capture_output=True, timeout=30)
        tap.ok(p.returncode == 64 and b"no password" in p.stderr, "no password where one was promised", p)
    odd = "pa\"ss\\w \u00fc\t\x01"
    t = Test(srv, "odd", odd)
    tap.ok(t.rc == 0, "any octets are a password", t)
    t = Test(srv, "ann", "x" * 4097)
    tap.ok(t.rc == 64, "but not too many of them", t)
    t = Test(srv, "ann", WRONG)
    text = t.raw.decode() + t.text()
    tap.ok(WRONG not in text and RIGHT not in text, "the answer holds no password", text)
    log = srv.log()
    tap.ok(WRONG not in log and RIGHT not in log and "auth-test" not in log, "nor does the log")


def offline(tap, srv):
    absent = srv.path("run", "absent")
    p = subprocess.run([srv.bin("restantectl"), "-s", absent, "auth", "test", "ann", "--password-stdin"],
                       input=b"x\n", capture_output=True, timeout=30)
    tap.ok(p.returncode == 69 and absent.encode() in p.stderr and not p.stdout, "without a server: 69, and which", p)
    for args in (("auth",), ("auth", "test"), ("auth", "ann"), ("auth", "show", "ann"), ("auth", "test", "a", "b")):
        tap.ok(srv.ctl(*args).returncode == 64, "'%s' is a usage error" % " ".join(args))


def main():
    tap = Tap()
    with Server() as srv:
        srv.mkdir("mail")
        srv.passwd({**{name: RIGHT for name in ("ann", "off", "meek", "lost", "rich")}, "odd": "pa\"ss\\w \u00fc\t\x01"},
                   off="disabled", meek="nopop3 nodelete", lost="storage=nowhere", rich="quota_octets=5m")
        srv.write("more", "moe:{PLAIN}%s\n" % RIGHT)
        srv.configure("".join(shim(srv, n) for n in SHIMS) + accounts(srv, unknown="next") +
                      accounts(srv, "more", file=srv.path("more"), unknown="next") + maildirs(srv, "%u"), workers=64)
        srv.start()
        for step in (plain, failures, hanging, cached, secrets, offline):
            step(tap, srv)
        srv.ends(tap, "a clean end")
    SEEN.show(tap, "auth test")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
