#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Messages that cannot be read, among others: the others are served, and the unreadable one stays in LIST and UIDL, so that no
client forgets its unique-id; RETR, TOP and DELE of it give -ERR [SYS/TEMP], the log names its file once a session, and when
it can be read again it is served. On maildirs, whether or not its size was known before."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from pop import entered, session  # noqa: E402
from sections import plain  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402
from shapes import wire  # noqa: E402

TEMP = b"-ERR [SYS/TEMP]"
LETTERS = [b"Subject: %d\n\nbody of %d\n%s" % (k, k, b"line\n" * (10 * k)) for k in range(5)]
MANY = 40  # messages that cannot be read, of one mailbox


def path_of(srv, user, k):
    """The file of message k, wherever it was moved."""
    for d in ("new", "cur"):
        for name in os.listdir(srv.path("mail", user, d)):
            if ".M%06dP" % k in name:
                return srv.path("mail", user, d, name)
    raise RuntimeError("no file of message %d of %s" % (k, user))


def lock_away(srv, path):
    """Makes it unreadable for the server."""
    os.chmod(path, 0)
    if srv.root:
        os.chown(path, 0, 0)


def give_back(srv, path):
    os.chmod(path, 0o600)
    srv.give(path)


def text(lines):
    """A reply's lines without dot-stuffing; None stays None."""
    return None if lines is None else b"".join(x[1:] if x.startswith(b".") else x for x in lines)


def numbers(lines):
    return [int(x.split()[1]) for x in lines or ()]


def others_served(p, bad):
    """The faults of the others, which must have the size in LIST, and their text."""
    wrong = []
    sizes = numbers(p.lines("LIST"))
    for k, letter in enumerate(LETTERS):
        if k == bad:
            continue
        got = text(p.lines("RETR %d" % (k + 1)))
        if got != wire(letter) or sizes[k] != len(got):
            wrong.append((k, sizes, got))
    return wrong


def ends(srv, user):
    """Sessions of this user that ended, by the log; what they logged stands before that."""
    return sum(" session-end user=%s " % user in line for line in srv.log().splitlines())


def refused(p, bad):
    """RETR, TOP and DELE of it, and STAT and LIST afterwards."""
    answers = [p.say(c % (bad + 1)) for c in ("RETR %d", "TOP %d 0", "DELE %d", "RETR %d")]
    stat, listed = p.say("STAT").split(), numbers(p.lines("LIST"))
    return all(a.startswith(TEMP) for a in answers) and stat[1:] == [b"%d" % len(listed), b"%d" % sum(listed)], (answers, stat, listed)


def one(tap, srv, user, first, what, size, known):
    """A session with message 3 unreadable; `first` is its first command."""
    path = path_of(srv, user, 2)
    lock_away(srv, path)
    before, ended = srv.log().count(os.path.basename(path).split(":")[0]), ends(srv, user)
    with entered(srv, user) as p:
        p.say(first) if first in ("STAT", "TOP 3 0", "RETR 3") else p.lines(first)
        stat, sizes, ids = p.say("STAT").split(), numbers(p.lines("LIST") or [b"1 0"]), p.lines("UIDL") or []
        tap.ok(stat[:2] == [b"+OK", b"5"] and len(sizes) == 5 and int(stat[2]) == sum(sizes) and len(ids) == 5,
               "%s: STAT, LIST and UIDL have all five and agree" % what, (stat, sizes, ids))
        tap.ok(len(sizes) == 5 and sizes[2] == size, "%s: listed with %s" % (what, known), sizes)
        wrong = others_served(p, 2) if len(sizes) == 5 else "no list"
        tap.ok(not wrong, "%s: the other four are served" % what, wrong)
        good, why = refused(p, 2)
        tap.ok(good, "%s: RETR, TOP and DELE of it are %s" % (what, TEMP.decode()), why)
        one_size = p.say("LIST 3").split()
        tap.ok(one_size[:1] == [b"+OK"] and int(one_size[2]) == size, "%s: LIST 3 says the same" % what, one_size)
    wait_until(lambda: ends(srv, user) > ended, 60, "the end of the session")
    times = srv.log().count(os.path.basename(path).split(":")[0]) - before
    tap.ok(os.path.exists(path) and times == 1, "%s: its file is still there, and the log named it once" % what,
           "%d times\n%s" % (times, srv.log()[-2500:]))
    give_back(srv, path_of(srv, user, 2))
    with entered(srv, user) as p:
        got, sizes, again = text(p.lines("RETR 3")), numbers(p.lines("LIST")), p.lines("UIDL")
        tap.ok(got == wire(LETTERS[2]) and sizes[2] == len(got) and again == ids, "%s: read again, it is served under its unique-id" % what,
               (got, sizes, again, ids))


def never_seen(tap, srv, user, first):
    srv.maildir(user, LETTERS)
    one(tap, srv, user, first, "never seen, %s first" % first, len(LETTERS[2]), "the size of its file")


def known(tap, srv, user):
    srv.maildir(user, LETTERS)
    session(srv, user, "STAT")
    one(tap, srv, user, "STAT", "size known", len(wire(LETTERS[2])), "the size that is known")


def quota(tap, srv):
    """Counting still works: usage, and so deliveries with a quota."""
    srv.maildir("quota", LETTERS)
    lock_away(srv, path_of(srv, "quota", 2))
    u = srv.json("quota", "quota")
    tap.ok(u.get("used_messages") == 5, "restantectl quota counts it", u)


def many(tap, srv):
    """All unreadable: the log names some, is not flooded, and the next session reports it again."""
    srv.maildir("many", [b"Subject: %d\n\n%d\n" % (k, k) for k in range(MANY)])
    for k in range(MANY):
        lock_away(srv, path_of(srv, "many", k))
    for turn in (1, 2):
        before, ended = srv.log().count("/mail/many:"), ends(srv, "many")
        stat, = session(srv, "many", "STAT")
        wait_until(lambda: ends(srv, "many") > ended, 60, "the end of the session")
        n = srv.log().count("/mail/many:") - before
        tap.ok(stat.startswith(b"+OK %d " % MANY) and 0 < n < MANY, "%d that cannot be read, session %d: %d lines in the log" % (MANY, turn, n), stat)


def main():
    tap = Tap()
    firsts = ["STAT", "LIST", "UIDL", "RETR 3", "TOP 3 0"]
    users = ["u%d" % k for k in range(len(firsts))] + ["known", "quota", "many"]
    with Server() as srv:
        srv.passwd({u: "restante" for u in users})
        srv.mkdir("mail")
        srv.configure(plain(srv))
        srv.start()
        for k, first in enumerate(firsts):
            never_seen(tap, srv, "u%d" % k, first)
        known(tap, srv, "known")
        quota(tap, srv)
        many(tap, srv)
        srv.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
