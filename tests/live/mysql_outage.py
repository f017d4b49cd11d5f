#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real restanted on the storage module mysql while its MariaDB is killed, frozen, restarted, or out of disk; and while
restanted itself is killed, restarted and reloaded. The replies to clients and senders are compared with the rows; and
a mailbox of another store answers all the while. TAP."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
from mailbed import Bed, Lmtp  # noqa: E402
from mailstore import MailStore  # noqa: E402
from mounts import MS_REMOUNT, mount, own_namespace  # noqa: E402
from pop import Pop  # noqa: E402
from server import Tap  # noqa: E402

PATIENCE = 60


def login(bed, user):
    p = Pop(bed.srv.clear_port)
    return p, p.login(user)


def served(bed, user, n, seconds=PATIENCE):
    """Whether this mailbox opens with n messages, within a time."""
    end = time.monotonic() + seconds
    while True:
        p, r = login(bed, user)
        stat = p.say("STAT") if r.startswith(b"+OK") else r
        p.say("QUIT")
        p.close()
        if stat.startswith(b"+OK %d " % n):
            return True, stat
        if time.monotonic() > end:
            return False, stat
        time.sleep(0.2)


def killed(tap, bed):
    """kill -9 during a session: its replies meanwhile are [SYS/TEMP], and afterwards it goes on."""
    user = bed.user()
    bed.fill(user, 3)
    p, _ = login(bed, user)
    p.say("DELE 2")
    bed.db.kill()
    r = p.say("RETR 1")
    tap.ok(r.startswith(b"-ERR [SYS/TEMP]"), "killed: RETR is [SYS/TEMP]", r)
    q, r = login(bed, bed.user())
    tap.ok(r.startswith(b"-ERR [SYS/TEMP]"), "killed: a login is [SYS/TEMP], never a wrong password", r)
    q.close()
    replies = Lmtp(bed.lmtp_port).send(user)
    tap.ok(replies[0].startswith(b"4"), "killed: mail is put off", replies)
    bed.db.start()
    end = time.monotonic() + PATIENCE
    got = None
    while got is None and time.monotonic() < end:
        got = p.lines("RETR 1")
    tap.ok(got and b"the body\r\n" in got, "restarted: the same session goes on", got)
    r = p.say("QUIT")
    tap.ok(r.startswith(b"+OK") and bed.rows(user) == (2, 2, 0), "restarted: and deletes", (r, bed.rows(user)))
    p.close()
    good, why = served(bed, user, 2)
    tap.ok(good, "restarted: new sessions are served", why)


def frozen(tap, bed):
    user = bed.user()
    bed.fill(user, 3)
    p, _ = login(bed, user)
    p.say("DELE 2")
    bed.db.freeze()
    try:
        began = time.monotonic()
        q, r = login(bed, bed.user())
        took = time.monotonic() - began
        tap.ok(r.startswith(b"-ERR [SYS/TEMP]") and took < 40, "frozen: a login is told so (%.1f s)" % took, r)
        q.close()
        q, r = login(bed, "m1")
        tap.ok(r.startswith(b"+OK"), "frozen: another store's mailbox opens", r)
        q.close()
        r = p.say("QUIT")
        tap.ok(r.startswith(b"-ERR"), "frozen: QUIT with deletions is an error", r)
        p.close()
    finally:
        bed.db.thaw()
    good, why = served(bed, user, 3)
    rows = bed.rows(user)
    tap.ok(good and rows == (3, 3, 0), "thawed: nothing was deleted, the maildrop is free", (why, rows))


def frozen_in_commit(tap, bed):
    """The server stands still at COMMIT, and goes on: every reply was true."""
    for k in range(3):
        user = bed.user()
        bed.fill(user, 4)
        p, _ = login(bed, user)
        p.say("DELE 1")
        p.say("DELE 4")
        p.file.write(b"QUIT\r\n")
        p.file.flush()
        bed.db.freeze()
        time.sleep(0.3 * k)  # the outcome differs, the rule does not
        bed.db.thaw()
        r = p.line()
        p.close()
        left = 2 if r.startswith(b"+OK") else 4
        good, why = served(bed, user, left)
        tap.ok(good, "frozen about a COMMIT: %s, and %d are left" % (r.decode().strip()[:40], left), (r, why))


def failover(tap, bed):
    """The first server of the list refuses; the second serves, and the first again when it is back."""
    user = bed.user()
    bed.fill(user, 1)
    bed.cutter.block()
    good, why = served(bed, user, 1, 20)
    tap.ok(good, "the first server is away: the second one serves", why)
    tap.ok(bed.srv.said("the others are asked first now"), "one line says so")
    bed.cutter.unblock()
    tap.ok(bed.srv.said("serves again", 30), "and another that it is back", bed.srv.log()[-500:])
    good, why = served(bed, user, 1)
    tap.ok(good, "and it serves", why)


def restanted_killed(tap, bed):
    """A server that is killed and started again has its maildrops back at once; a reload frees none."""
    user = bed.user()
    bed.fill(user, 2)
    p, r = login(bed, user)
    done = bed.srv.ctl("reload", timeout=90)
    q, r = login(bed, user)
    tap.ok(done.returncode == 0 and b"[IN-USE]" in r, "a reload frees nobody's maildrop", (done.stderr, r))
    q.close()
    tap.ok(p.lines("RETR 1") is not None, "and the session lives on")
    bed.srv.proc.kill()
    bed.srv.proc.wait()
    p.close()
    bed.srv.start()
    good, why = served(bed, user, 2, 20)
    tap.ok(good, "killed and started again: its maildrops are free at once", why)
    rows = bed.db.sql("SELECT COUNT(*) FROM mail_server")
    tap.ok(rows == [["1"]], "its earlier row is gone", rows)


def two_hosts(tap, bed):
    """Another server on the same tables: busy is busy; a host that vanished holds its maildrops for lease_time."""
    other = Bed(bed.db, lease_time="30s")
    try:
        user = bed.user()
        bed.fill(user, 2)
        p, _ = login(other, user)
        q, r = login(bed, user)
        tap.ok(b"[IN-USE]" in r, "a maildrop that another host's session holds is in use here", r)
        q.close()
        other.srv.proc.kill()
        other.srv.proc.wait()
        p.close()
        q, r = login(bed, user)
        tap.ok(b"[IN-USE]" in r, "the host is gone: still in use for a while", r)
        q.close()
        good, why = served(bed, user, 2, 60)
        tap.ok(good, "then it is free", why)
    finally:
        other.srv.proc = None
        other.srv.close()
        other.cutter.close()


class SmallDisk(MailStore):
    """Its data directory is a tmpfs. MariaDB 10.11 exits when there is no room for a large value on the disk."""
    name, accepts = "a full disk", 20

    def own(self, *paths):
        if self.path("data") in paths:
            mount(b"tmpfs", self.path("data"), b"tmpfs", 0, b"size=260m")
        super().own(*paths)

    def enlarge(self):
        mount(b"tmpfs", self.path("data"), b"tmpfs", MS_REMOUNT, b"size=800m")
        self.kill()
        self.start()


class SmallTablespace(MailStore):
    """All tables in one file that may not grow: the server lives, and says that its tables are full."""
    name, accepts = "a full tablespace", 20
    PATH = "innodb_data_file_path=ibdata1:12M:autoextend:max:%dM"

    def __init__(self, **extra):
        super().__init__(innodb_file_per_table=0, **dict([(self.PATH % 120).split("=", 1)]), **extra)

    def enlarge(self):
        with open(self.path("my.cnf")) as f:
            text = f.read()
        with open(self.path("my.cnf"), "w") as f:
            f.write(text.replace(self.PATH % 120, self.PATH % 600))
        self.stop()
        self.start()


def wait_for(seconds, check):
    end = time.monotonic() + seconds
    while not check() and time.monotonic() < end:
        time.sleep(0.5)
    return check()


def full(tap, db):
    """Mail is deferred; once there is room, all accepted mail is there, is deleted, and its space is used again."""
    bed = Bed(db, query_timeout="3s")
    text = b"Subject: fills\r\n\r\n" + b"f" * 78 * 12000 + b"\r\n"
    try:
        lmtp = Lmtp(bed.lmtp_port)
        accepted, reply = 0, b"250"
        while accepted < 600 and (reply := lmtp.send("u1", text=text)[0]).startswith(b"250"):
            accepted += 1
        tap.ok(reply.startswith(b"4") and accepted >= db.accepts, "%s puts mail off: %d were accepted" % (db.name, accepted),
               reply)
        p, r = login(bed, "u1")
        stat = p.say("STAT") if r.startswith(b"+OK") else r
        tap.ok(stat.startswith(b"+OK %d " % accepted) or b"[SYS/TEMP]" in stat, "%s: a session sees all, or is put off" % db.name,
               stat)
        p.close()
        db.enlarge()
        good, why = served(bed, "u1", accepted)
        tap.ok(good and bed.rows("u1") == (accepted, accepted, 0), "with room again: all that was accepted is there, no more",
               (why, bed.rows("u1")))
        p, _ = login(bed, "u1")
        for k in range(1, accepted + 1):
            p.say("DELE %d" % k)
        r = p.say("QUIT")
        p.close()
        tap.ok(r.startswith(b"+OK") and bed.rows("u1") == (0, 0, 0), "they are deleted", (r, bed.rows("u1")))
        done = wait_for(120, lambda: bed.db.sql("SELECT COUNT(*) FROM mail_chunk c LEFT JOIN mail_incoming i"
                                                " ON i.body = c.body WHERE i.body IS NULL") == [["0"]])
        tap.ok(done, "their bodies are removed in the background", bed.srv.log()[-1500:])
        reply = Lmtp(bed.lmtp_port).send("u2", text=text)[0]
        tap.ok(reply.startswith(b"250"), "and mail comes again", reply)
    finally:
        rc = bed.close()
    tap.ok(rc == 0, "the server ended cleanly", "%s\n%s" % (rc, bed.end))


def main():
    tap = Tap()
    own_namespace()
    db = MailStore(innodb_flush_log_at_trx_commit=1)
    bed = Bed(db, second=True, call_ms="6s", commit_ms="12s", query_timeout="3s", permits=2, breaker_open_ms="1s",
              trip_after=1000000)
    try:
        failover(tap, bed)
        killed(tap, bed)
        frozen(tap, bed)
        frozen_in_commit(tap, bed)
        restanted_killed(tap, bed)
        two_hosts(tap, bed)
    finally:
        rc = bed.close()
    tap.ok(rc == 0, "the server ended cleanly", "%s\n%s" % (rc, bed.end))
    for kind in (SmallTablespace, SmallDisk):
        full(tap, kind(innodb_flush_log_at_trx_commit=1))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
