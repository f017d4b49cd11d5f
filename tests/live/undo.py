#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""undo_storage: deleted mail goes to a store of its own, on a disk of its own, and comes back from there with its
unique-ids, byte for byte; the disk is away, or full; the time is over; with every store on either side."""
import os
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from mailstore import MailStore  # noqa: E402
from mounts import MS_BIND, junk, mount, own_namespace, umount  # noqa: E402
from pop import Pop  # noqa: E402
from sections import block, store  # noqa: E402
from server import Tap, wait_until  # noqa: E402
from undorig import UndoServer, letters  # noqa: E402

DAY_MS = 86400 * 1000


def there_and_back(tap, server, user, what):
    before = server.look(user)
    ids = sorted(before)
    gone = ids[:len(ids) // 2]
    server.delete(user, *gone)
    server.moved(user)
    dates = {m["first_retrieved_ms"] for m in server.json("undelete", user, "--list")["hidden"]}
    tap.ok(dates == {0} and server.listed(user) == gone and sorted(server.look(user)) == sorted(set(ids) - set(gone)),
           "%s: %d deleted messages are moved, and can be brought back" % (what, len(gone)), server.log()[-1500:])
    one = server.json("undelete", user, gone[0])
    now = server.look(user)
    tap.ok(one.get("messages") == 1 and now.get(gone[0]) == before[gone[0]] and server.listed(user) == gone[1:],
           "%s: one is back, with its unique-id, byte for byte" % what, (one, sorted(now), gone))
    rest = server.json("undelete", user, "--all")
    tap.ok(rest.get("messages") == len(gone) - 1 and server.look(user) == before and server.listed(user) == [],
           "%s: all are back" % what, (rest, server.log()[-1500:]))
    server.delete(user)
    server.moved(user)
    tap.ok(server.listed(user) == ids and server.look(user) == {}, "%s: deleted once more, all are moved once more" % what,
           server.log()[-1500:])
    rest = server.json("undelete", user, "--all")
    tap.ok(rest.get("messages") == len(ids) and server.look(user) == before, "%s: and come back once more" % what,
           (rest, server.log()[-1500:]))


def by_lmtp(server, user, n):
    import smtplib
    with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
        for raw in letters(n):
            c.sendmail("clerk@example.org", [user], raw.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n"))


# ---- every store on either side ------------------------------------------------------------------

def from_all_stores(tap, db):
    """Users of three stores, the undo storage is a maildir."""
    with UndoServer() as server:
        server.lmtp = server.listen("lmtp")
        mail = store(server, "maildir") + store(server, "mbox", "%n.box", name="boxes") + db.section("rows")
        server.write_conf(mail, server.attic(), ["ann", "ben", "cat"], ben="storage=boxes", cat="storage=rows")
        server.maildir("ann", letters(9))
        server.mbox("ben.box", letters(9))
        server.start()
        by_lmtp(server, "cat", 9)
        for user, what in (("ann", "maildir to maildir"), ("ben", "mbox to maildir"), ("cat", "MariaDB to maildir")):
            there_and_back(tap, server, user, what)
        server.ends(tap, "from all stores: the server ends cleanly")


def to_other_stores(tap, db):
    for what, undo in (("maildir to mbox", None), ("maildir to MariaDB", db.section("attic"))):
        with UndoServer() as server:
            server.write_conf(store(server, "maildir"), undo or server.attic("mbox"), ["ann"])
            server.maildir("ann", letters(9))
            server.start()
            there_and_back(tap, server, "ann", what)
            server.ends(tap, "%s: the server ends cleanly" % what)


# ---- its disk ------------------------------------------------------------------------------------

class Disk:
    """A small disk for the undo storage, and the place where the server looks for it."""

    def __init__(self, server):
        self.real, self.place = server.path("disk"), server.path("attic")
        os.makedirs(self.real)
        os.makedirs(self.place, exist_ok=True)
        mount(b"tmpfs", self.real, b"tmpfs", 0, b"size=6m,mode=755")
        os.makedirs(os.path.join(self.real, "box"))
        server.give(self.real)

    def plug(self):
        mount(self.real.encode(), self.place, None, MS_BIND)

    def unplug(self):
        umount(self.place)


def state_of(server):
    return {v["volume"]: v["state"] for v in server.json("volumes")["volumes"]}.get("cold")


def disk_away(tap, server, disk):
    ids = sorted(server.look("ann"))
    disk.unplug()
    wait_until(lambda: state_of(server) == "not mounted", 30, "the server to see it")
    server.delete("ann", *ids[:4])
    listed = server.json("undelete", "ann", "--list")
    tap.ok(server.hidden("ann") == 4 and sorted(m["uidl"] for m in listed.get("hidden", [])) == ids[:4] and
           not listed.get("succeeded") and "not mounted" in listed.get("detail", ""),
           "its disk is away: QUIT works, deleted mail stays hidden where it was, and undelete says what it could not see", listed)
    back = server.json("undelete", "ann", ids[0])
    tap.ok(back.get("messages") == 1 and sorted(server.look("ann")) == [ids[0]] + ids[4:], "the mail that is there comes back all the same", back)
    tap.ok(os.listdir(disk.place) == [], "nothing is written beneath the mount point", os.listdir(disk.place))
    disk.plug()
    server.moved("ann")
    tap.ok(server.listed("ann") == ids[1:4] and len(os.listdir(os.path.join(disk.place, "box", "ann", "new"))) == 3,
           "it is back: they are moved", server.log()[-1500:])
    server.json("undelete", "ann", "--all")


def disk_full(tap, server, disk):
    before = server.look("ann")
    ids = sorted(before)
    name = junk(disk.real)
    wait_until(lambda: state_of(server) == "low", 30, "the server to see it")
    server.delete("ann", *ids)
    done = server.json("expire", "ann")
    tap.ok(server.look("ann") == {} and server.hidden("ann") == len(ids) and server.listed("ann") == ids and
           not done.get("succeeded") and "cold" in done.get("detail", ""),
           "its disk is full: QUIT works, deleted mail stays hidden where it was, restantectl says why", done)
    os.unlink(name)
    server.moved("ann")
    tap.ok(server.listed("ann") == ids, "there is room again: it is moved", server.log()[-1500:])
    server.json("undelete", "ann", "--all")
    tap.ok(server.look("ann") == before, "nothing was lost")


def logged_in(tap, server):
    """A client is at work in the maildrop: it is not taken away, and nothing waits for the client."""
    ids = sorted(server.look("ann"))
    server.delete("ann", *ids[:2])
    with Pop(server.clear_port) as p:
        p.login("ann")
        wait_until(lambda: len(os.listdir(server.path("attic", "box", "ann", "new"))) == 2, 60, "copies to be made")
        busy = p.say("STAT")
        p.say("QUIT")
    tap.ok(busy.startswith(b"+OK"), "copies are made while somebody is logged in", busy)
    done = server.json("expire", "ann")
    tap.ok(done.get("succeeded") and server.hidden("ann") == 0 and server.listed("ann") == ids[:2],
           "restantectl expire ends the move", (done, server.log()[-1500:]))
    server.json("undelete", "ann", "--all")


def older(server, uidl):
    """Moves the time until which this one is kept eight days back."""
    ledger = server.path("attic", "box", "ann", "restante-ledger")
    with open(ledger, "rb") as f:
        lines = f.read().split(b"\n")
    for k, line in enumerate(lines):
        words = line.split(b" ")
        if len(words) > 6 and words[1] == b"M" and words[3].decode() == uidl:
            words[6] = b"%d" % (int(words[6]) - 8 * DAY_MS)
            lines[k] = b"%08x " % zlib.crc32(b" ".join(words[1:])) + b" ".join(words[1:])
    with open(ledger, "wb") as f:
        f.write(b"\n".join(lines))


def over(tap, server):
    """Their time is over: makes the dates in the undo storage older."""
    ids = sorted(server.look("ann"))
    server.delete("ann", *ids[:3])
    server.moved("ann")
    tap.ok(server.json("expire", "--all").get("messages") == 0 and server.listed("ann") == ids[:3], "before its time nothing goes")
    older(server, ids[0])
    dry = server.json("expire", "--all", "--dry-run")
    kept = server.listed("ann")
    done = server.json("expire", "--all")
    tap.ok(kept == ids[:3] and done.get("succeeded") and dry.get("succeeded") and server.listed("ann") == ids[1:3] and
           len(os.listdir(server.path("attic", "box", "ann", "new"))) == 2,
           "restantectl expire deletes what is over there, and only that", (kept, done, server.listed("ann")))
    older(server, ids[1])
    server.stop()
    server.start()
    wait_until(lambda: server.listed("ann") == ids[2:3], 60, "the background to delete what is over")
    tap.ok(server.said("1 messages whose time was over were deleted"), "the background does it as well, by itself")
    server.json("undelete", "ann", "--all")
    tap.ok(sorted(server.look("ann")) == ids[2:], "the other one comes back")


def its_disk(tap):
    own_namespace()
    with UndoServer() as server:
        disk = Disk(server)
        disk.plug()
        cold = (block("storage", "attic", module="maildir", path=server.path("attic", "box", "%u"), volume="cold") +
                block("volume", "cold", path=os.path.join(disk.place, "box"), mount=disk.place, reserve_percent=0,
                      reserve_octets="64k", reserve_file=0))
        server.write_conf(store(server, "maildir"), cold, ["ann"])
        server.maildir("ann", letters(12))
        server.start()
        disk_away(tap, server, disk)
        disk_full(tap, server, disk)
        logged_in(tap, server)
        over(tap, server)
        server.ends(tap, "its disk: the server ends cleanly")
        disk.unplug()
        umount(disk.real)


# ---- clients that must not notice ----------------------------------------------------------------

def it_hangs(tap):
    """The undo storage hangs while it is looked at: the maildrop is not locked meanwhile, and everything goes on afterwards."""
    with UndoServer() as server:
        undo = (block("storage", "shelf", module="maildir", path=server.path("attic", "%u")) +
                block("storage", "attic", module="fault", wrap="shelf", rule="mbox_open * hang", release=server.path("release"),
                      scan_ms=60000))
        server.write_conf(store(server, "maildir"), undo, ["ann"])
        server.maildir("ann", letters(6))
        server.start()
        ids = sorted(server.look("ann"))
        server.delete("ann", *ids[:2])
        wait_until(lambda: [c for c in server.json("modules")["calls"] if "attic" in str(c)], 60, "the undo storage to be opened")
        new = os.path.join(server.path("attic"), "ann", "new")
        seen = [sorted(server.look("ann")) for _ in range(3)]
        tap.ok(len(os.listdir(new)) == 2 and seen == [ids[2:]] * 3 and server.hidden("ann") == 2,
               "the undo storage hangs: clients come and go", (os.listdir(new), seen))
        server.release()
        server.moved("ann")
        tap.ok(server.listed("ann") == ids[:2], "it goes on: the mail is moved", server.log()[-1500:])
        server.ends(tap, "it hangs: the server ends cleanly")


def many_wait(tap):
    """More accounts wait than undo_waiting: nobody's mail stays behind."""
    with UndoServer() as server:
        users = ["u%d" % k for k in range(6)]
        server.write_conf("undo_waiting = 1\n" + store(server, "maildir"), server.attic(), users)
        for user in users:
            server.maildir(user, letters(2))
        server.start()
        for user in users:
            server.delete(user)
        for user in users:
            server.moved(user)
        tap.ok([len(server.listed(user)) for user in users] == [2] * 6 and server.said("all mailboxes are walked"),
               "more accounts wait than undo_waiting: all is moved", server.log()[-1500:])
        server.ends(tap, "many wait: the server ends cleanly")


def it_ends(tap):
    """The server is told to end while mail is on its way: it does, and no message is lost or doubled."""
    with UndoServer() as server:
        server.write_conf(store(server, "maildir"), server.attic(), ["ann"])
        server.maildir("ann", letters(900))
        server.start()
        before = sorted(server.look("ann"))
        server.delete("ann")
        new = os.path.join(server.path("attic"), "ann", "new")
        wait_until(lambda: os.path.isdir(new) and len(os.listdir(new)) > 300, 60, "a third of them to be copied")
        server.ends(tap, "it ends in the middle of a move")
        moved = len(os.listdir(new))
        server.start()
        tap.ok(300 < moved < 900 and server.listed("ann")[:200] and server.look("ann") == {},
               "a part of it is there (%d of 900), the rest where it was" % moved)
        back = server.json("undelete", "ann", "--all")
        tap.ok(sorted(server.look("ann")) == before and os.listdir(new) == [], "all come back, once", back)
        server.ends(tap, "it ends: the server ends cleanly")


# ---- mistakes ------------------------------------------------------------------------------------

def mistakes(tap):
    with UndoServer() as server:
        mail = store(server, "maildir")
        for undo, name, says in ((server.attic(), "cellar", "there is no such storage section"),
                                 ("", "mail", "it is the only storage section"),
                                 (store(server, "maildir", name="attic"), "attic", "the same place as storage section mail")):
            server.write_conf(mail, undo, ["ann"])
            with open(server.path("restante.conf")) as f:
                text = f.read().replace("undo_storage = attic\n", "")
            with open(server.path("restante.conf"), "w") as f:
                f.write("undo_storage = %s\n%s" % (name, text))
            done = server.ctl("check-conf", server.path("restante.conf"))
            tap.ok(done.returncode == 78 and says in done.stderr, "undo_storage = %s: %s" % (name, says), done)


def main():
    tap = Tap()
    db = MailStore()
    try:
        from_all_stores(tap, db)
        to_other_stores(tap, db)
    finally:
        db.close()
    it_hangs(tap)
    many_wait(tap)
    it_ends(tap)
    its_disk(tap)
    mistakes(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
