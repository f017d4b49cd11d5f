#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The credential cache in front of auth sections: whose answers are remembered, for how long, and during an outage.

Every section is a passwd-file wrapped by the fault shim, which counts its calls and fails when its script says so.
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import Pop  # noqa: E402
from sections import faulty, maildirs  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

IN = b"+OK"
DENIED = b"-ERR [AUTH]"
TEMP = b"-ERR [SYS/TEMP]"

# name: (cache settings, the shim's rules)
SECTIONS = {
    "fresh": (dict(cache="1h"), ("verify 2+ error DOWN",)),
    "brief": (dict(cache="1s"), ("verify 2+ error DOWN",)),
    "negative": (dict(cache_negative="1h"), ("verify 5+ error DOWN",)),
    "good": (dict(last_known_good="4h", trip_after=2, breaker_open_ms=600000), ("verify 2+ error DOWN", "probe * error DOWN")),
    "slow": (dict(last_known_good="4h", permits=1, call_ms=1000, wait_ms=300, trip_after=0),
             ("verify 2 sleep 1000", "verify 3 hang", "verify 2+ error TIMEOUT")),
    "hung": (dict(last_known_good="4h", permits=1, call_ms=500, trip_after=5), ("verify 2+ hang",)),
    "temp": (dict(last_known_good="4h", cache_negative="1h"), ("verify 2 error TEMP", "verify 3+ error PERM")),
    "refused": (dict(last_known_good="4h"), ("verify 2 error DENIED", "verify 3+ error DOWN")),
    "gone": (dict(last_known_good="4h"), ("verify 2 error NEXT", "verify 3+ error DOWN")),
    "kept": (dict(cache="1h", cache_negative="1h", last_known_good="4h"), ()),
}


def section(srv, name):
    settings, rules = SECTIONS[name]
    write(srv, name, {"ann": "restante", "bob": "restante"})
    return faulty(srv, name, name, rules, unknown="next",
                  release=srv.path("release-" + name) if name in ("slow", "hung") else None, **settings)


def write(srv, name, users):
    srv.write(name, "".join("%s@%s.test:{PLAIN}%s\n" % (user, name, password) for user, password in users.items()))


def gate(srv, name):
    return [m for m in srv.json("modules")["modules"] if m["kind"] == "auth" and m["section"] == name][0]


def counted(srv, what):
    return srv.json("status")["counters"][what]


def login(srv, name, user="ann", password="restante"):
    """The answer to PASS; an accepted session ends at once."""
    with Pop(srv.clear_port) as pop:
        line = pop.login("%s@%s.test" % (user, name), password)
        if line.startswith(IN):
            pop.say("QUIT")
        return line


def expect(tap, srv, name, answers, what):
    """answers: (user, password, beginning of the answer), in this order."""
    got = [login(srv, name, user, password) for user, password, _ in answers]
    tap.ok(all(g.startswith(a[2]) for g, a in zip(got, answers)), what, got)


def fresh(tap, srv):
    expect(tap, srv, "fresh", [("ann", "restante", IN)] * 4, "an accepted pair is not asked for again")
    tap.ok(srv.said("cached=yes"), "the log says so")
    expect(tap, srv, "fresh", [("ann", "wrong", TEMP), ("bob", "restante", TEMP), ("ann", "restante", IN)],
           "another password or another user is asked for, and an outage is no wrong password")


def brief(tap, srv):
    login(srv, "brief")

    def over():
        return login(srv, "brief").startswith(TEMP)
    wait_until(over, 30, "the answer to be old")
    tap.ok(True, "an answer is old after its time")


def negative(tap, srv):
    start = time.monotonic()
    expect(tap, srv, "negative", [("ann", "wrong", DENIED)] * 3, "a refused pair is refused again")
    tap.ok(time.monotonic() - start >= 3, "a refusal out of the cache waits for its second, as any")
    tap.ok(counted(srv, "credential_cache_lookups_refused") == 2, "two of them came out of the cache")
    expect(tap, srv, "negative", [("eve", "one", DENIED), ("eve", "two", DENIED)],
           "an unknown name stays unknown, whatever the password")
    expect(tap, srv, "negative", [("ann", "restante", IN), ("ann", "wrong", DENIED)],
           "the right password is asked for, then the wrong one anew")
    expect(tap, srv, "negative", [("bob", "restante", TEMP)] * 2,
           "these were four calls; and a failure is not remembered as a refusal")
    tap.ok(counted(srv, "credential_cache_lookups_refused") == 3, "one more came out of the cache")


def good(tap, srv):
    expect(tap, srv, "good", [("ann", "restante", IN), ("ann", "restante", IN), ("bob", "restante", TEMP),
                              ("ann", "wrong", TEMP)], "while it is down the last known good come in, nobody else")
    tap.ok(gate(srv, "good")["breaker"] == "open", "the breaker is open", gate(srv, "good"))
    expect(tap, srv, "good", [("ann", "restante", IN), ("bob", "restante", TEMP)], "so they do while the breaker is open")
    tap.ok(counted(srv, "last_known_good_logins") == 2, "both are counted")
    wait_until(lambda: srv.log().count("auth=good cached=last-known-good") >= 2, 60, "the lines of both logins")
    tap.ok(srv.log().count("auth=good cached=last-known-good") == 2 and srv.log().count("section good cannot be asked") in (1, 2),
           "the log warns once a minute, and every such login says it", srv.log()[-2000:])


def slow(tap, srv):
    login(srv, "slow")
    start = time.monotonic()
    expect(tap, srv, "slow", [("ann", "restante", IN)], "who waited for a module that hangs comes in at its deadline")
    tap.ok(time.monotonic() - start >= 0.9, "it was asked, not passed by")
    with Pop(srv.clear_port) as hog:
        hog.say("USER bob@slow.test")
        hog.file.write(b"PASS restante\r\n")
        hog.file.flush()
        wait_until(lambda: gate(srv, "slow")["in_use"] == 1, 10, "the only permit to be taken")
        expect(tap, srv, "slow", [("ann", "restante", IN)], "and who waits for a permit in vain")
        open(srv.path("release-slow"), "w").close()
        tap.ok(hog.line().startswith(TEMP), "a user who is not in the cache is told to come again")


def hung(tap, srv):
    """A call that never returns holds its worker; the gate's watchdog takes care of everybody else."""
    login(srv, "hung")
    with Pop(srv.clear_port) as lost:
        lost.say("USER bob@hung.test")
        lost.file.write(b"PASS restante\r\n")
        lost.file.flush()
        wait_until(lambda: gate(srv, "hung")["breaker"] == "open", 20, "the watchdog")
        expect(tap, srv, "hung", [("ann", "restante", IN), ("ann", "wrong", TEMP)],
               "a module that does not return keeps nobody out who is known")
        open(srv.path("release-hung"), "w").close()
        tap.ok(lost.line().startswith(IN), "an answer that is late is an answer")


def others(tap, srv):
    login(srv, "temp")
    expect(tap, srv, "temp", [("ann", "restante", TEMP), ("ann", "restante", b"-ERR [SYS/")],
           "trouble with one account is no outage: nobody comes in by it")
    login(srv, "refused")
    expect(tap, srv, "refused", [("ann", "restante", DENIED), ("ann", "restante", TEMP)],
           "a refused password is no longer the last known good")
    login(srv, "gone")
    expect(tap, srv, "gone", [("ann", "restante", DENIED), ("ann", "restante", TEMP)],
           "nor is that of an account that is gone")


def kept(tap, srv):
    name, was = "kept", counted(srv, "credential_cache_lookups_accepted")

    def hits():
        return counted(srv, "credential_cache_lookups_accepted") - was
    expect(tap, srv, name, [("ann", "restante", IN), ("bob", "restante", IN), ("ann", "wrong", DENIED)], "three answers")
    tap.ok(hits() == 0 and login(srv, name).startswith(IN) and hits() == 1, "are remembered")
    tap.ok(srv.ctl("reload").returncode == 0 and login(srv, name).startswith(IN) and hits() == 1,
           "after a reload everybody is asked for again")
    tap.ok(login(srv, name).startswith(IN) and hits() == 2, "and remembered again")
    srv.ctl("forget", "ANN@kept.test")
    tap.ok(login(srv, name).startswith(IN) and hits() == 2, "so is a user who was forgotten")
    tap.ok(srv.ctl("forget").returncode == 0 and login(srv, name).startswith(IN) and hits() == 2, "or all of them")
    tap.ok(login(srv, name).startswith(IN) and hits() == 3, "and remembered again")
    tap.ok(srv.ctl("forget", "a\nb").returncode == 1, "an impossible name is refused")
    write(srv, name, {"ann": "changed", "carl": "restante"})

    def read_again():
        return "enabled" in srv.ctl("user", "carl@kept.test").stdout
    wait_until(read_again, 30, "the file to be read again")
    expect(tap, srv, name, [("ann", "restante", DENIED), ("ann", "changed", IN), ("bob", "restante", DENIED)],
           "a module that knows of a change makes its answers forgotten, through the section that wraps it")


def changed(tap, srv, text):
    """A section that a reload changes starts afresh, even after an outage."""
    tap.ok(login(srv, "good").startswith(IN), "known before the reload")
    with open(srv.path("restante.conf"), "w") as f:
        f.write(text.replace("verify 2+ error DOWN\n rule = probe", "verify 1+ error DOWN\n rule = probe"))
    tap.ok(srv.ctl("reload").returncode == 0 and login(srv, "good").startswith(TEMP), "a changed section knows nobody")


def misplaced(tap, srv, text):
    bad = text.replace("auth fresh-file {", "auth fresh-file {\n cache = 5m").replace("storage mail {", "storage mail {\n cache = 5m")
    with open(srv.path("bad.conf"), "w") as f:
        f.write(bad.replace("cache = 1s", "cache = 400d"))
    said = srv.ctl("check-conf", srv.path("bad.conf"))
    tap.ok(said.returncode == 78 and "belong into the section that wraps" in said.stderr and
           "are settings of auth sections" in said.stderr and "from 0 to 86400 seconds" in said.stderr,
           "misplaced and impossible settings are told, all in one run", said.stderr)


def main():
    tap = Tap()
    with Server() as srv:
        srv.mkdir("mail")
        srv.configure("".join(section(srv, n) for n in SECTIONS) + maildirs(srv, "%d/%n"), workers=64)
        text = open(srv.path("restante.conf")).read()
        srv.start()
        for step in (fresh, brief, negative, good, slow, hung, others):
            step(tap, srv)
        changed(tap, srv, text)
        kept(tap, srv)
        misplaced(tap, srv, text)
        srv.ends(tap, "a clean end")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
