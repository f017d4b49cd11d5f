#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""undo_storage where it should not be: on mailboxes that clients open, spelt in another way. Mail that was only retrieved
is never deleted there, whatever the sections look like; where it can be known, the log names them, and deleted mail
stays hidden where it was. And mail that was moved before messages were marked is kept until the operator says so."""
import os
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailstore import MailStore  # noqa: E402
from sections import block, store  # noqa: E402
from server import Tap, wait_until  # noqa: E402
from undorig import UndoServer, letters  # noqa: E402

DAY_MS = 86400 * 1000
MARK_MS = 10 ** 14  # upkeep/undo.h


def by_lmtp(server, user, n):
    import smtplib
    with smtplib.LMTP("127.0.0.1", server.lmtp) as c:
        for raw in letters(n):
            c.sendmail("clerk@example.org", [user], raw.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n"))


def retrieved_stays(tap, server, what):
    """Three messages are retrieved and left; both clean-ups run."""
    before = server.look("ann")
    server.stop()
    server.start()
    wait_until(lambda: "messages whose time was over" in server.log() or "in the same place" in server.log(), 60,
               "the background to look at the undo storage")
    server.json("expire", "--all")
    after = server.look("ann")
    tap.ok(len(before) == 3 and after == before, "%s: three messages that were retrieved are still there" % what,
           (sorted(before), sorted(after), server.log()[-1500:]))


def said_so(tap, server, what):
    """... and deleted mail is neither lost nor gone for good: it can be brought back from where it was."""
    before = server.look("ann")
    tap.ok(server.said("undo_storage = attic: its mail is in the same place as that of storage section mail"),
           "%s: the log names the sections" % what, server.log()[-1500:])
    gone = sorted(before)[0]
    server.delete("ann", gone)
    done = server.json("expire", "ann")
    tap.ok(not done.get("succeeded") and "in the same place" in done.get("detail", "") and server.hidden("ann") == 1,
           "%s: deleted mail stays hidden, and restantectl expire tells why" % what, done)
    server.json("expire", "ann", "--unmarked")
    server.json("undelete", "ann", gone)
    tap.ok(server.look("ann") == before, "%s: it can be brought back" % what, server.log()[-1500:])
    server.ends(tap, "%s: the server ends cleanly" % what)


# ---- one place, spelt in two ways ----------------------------------------------------------------

def files(tap):
    for module in ("maildir", "mbox"):
        for what, link in (("%u beside %n", False), ("a symbolic link", True)):
            what = "%s, %s" % (module, what)
            with UndoServer() as server:
                server.mkdir("mail")
                if link:
                    os.symlink(server.path("mail"), server.path("linked"))
                more = {"mark_seen": "no"} if module == "maildir" else {"lock_wait": "9s"}
                undo = block("storage", "attic", module=module, path=server.path("linked" if link else "mail", "%u"), **more)
                server.write_conf(store(server, module), undo, ["ann"])
                (server.maildir if module == "maildir" else server.mbox)("ann", letters(3))
                server.start()
                retrieved_stays(tap, server, what)
                said_so(tap, server, what)


def rows(tap, db):
    """A second section on the same database."""
    with UndoServer() as server:
        server.lmtp = server.listen("lmtp")
        server.write_conf(db.section(), db.section("attic", query_timeout="17s"), ["ann"])
        server.start()
        by_lmtp(server, "ann", 3)
        retrieved_stays(tap, server, "MariaDB, another query_timeout")
        said_so(tap, server, "MariaDB, another query_timeout")


def nobody_can_tell(tap):
    """A store that does not tell where its mail is: the marks on the messages themselves are enough."""
    what = "a store that does not say where its mail is"
    with UndoServer() as server:
        undo = (block("storage", "shelf", module="maildir", path=server.path("mail", "%u")) +
                block("storage", "attic", module="fault", wrap="shelf", rule="box_place * error UNSUPPORTED"))
        server.write_conf(store(server, "maildir"), undo, ["ann"])
        server.maildir("ann", letters(3))
        server.start()
        retrieved_stays(tap, server, what)
        before = server.look("ann")
        server.delete("ann", sorted(before)[0])
        server.json("expire", "ann")
        server.json("expire", "--all")
        server.json("undelete", "ann", "--all")
        server.json("expire", "ann", "--unmarked")
        tap.ok(server.look("ann") == before, "%s: deleted mail can be brought back" % what, server.log()[-1500:])
        server.ends(tap, "%s: the server ends cleanly" % what)


# ---- moved before messages were marked -----------------------------------------------------------

def forget_marks(server, days):
    """As if restante 0.1.0 had moved them, so that their time was over `days` ago."""
    ledger = server.path("attic", "ann", "restante-ledger")
    with open(ledger, "rb") as f:
        lines = f.read().split(b"\n")
    for k, line in enumerate(lines):
        words = line.split(b" ")
        if len(words) > 6 and words[1] == b"M":
            words[6] = b"%d" % (int(words[6]) - MARK_MS - days * DAY_MS)
            lines[k] = b"%08x " % zlib.crc32(b" ".join(words[1:])) + b" ".join(words[1:])
    with open(ledger, "wb") as f:
        f.write(b"\n".join(lines))


def unmarked(tap):
    with UndoServer() as server:
        server.write_conf(store(server, "maildir"), server.attic(), ["ann"])
        server.maildir("ann", letters(6))
        server.start()
        before = server.look("ann")
        ids = sorted(before)
        server.delete("ann", *ids[:4])
        server.moved("ann")
        server.stop()
        forget_marks(server, 8)
        server.start()
        tap.ok(server.said("4 messages there do not say that restante moved them: they are kept", 60) and server.listed("ann") == ids[:4],
               "moved without a mark: kept, and the log says so", server.log()[-1500:])
        done = server.json("expire", "--all")
        tap.ok(done.get("messages") == 0 and done.get("unmarked") == 4 and server.listed("ann") == ids[:4],
               "restantectl expire keeps and counts them", done)
        server.json("undelete", "ann", ids[0])
        tap.ok(server.look("ann")[ids[0]] == before[ids[0]] and server.listed("ann") == ids[1:4], "one is brought back")
        dry = server.json("expire", "ann", "--unmarked", "--dry-run")
        tap.ok(dry.get("succeeded") and server.listed("ann") == ids[1:4], "--unmarked --dry-run deletes nothing", dry)
        every = server.json("expire", "--all", "--unmarked")
        tap.ok("needs a user" in every.get("error", "") and server.listed("ann") == ids[1:4], "--unmarked goes with one user only", every)
        done = server.json("expire", "ann", "--unmarked")
        tap.ok(done.get("succeeded") and done.get("messages") == 3 and server.listed("ann") == [] and sorted(server.look("ann")) == ids[:1] + ids[4:],
               "restantectl expire --unmarked deletes them, and only them", (done, server.log()[-1500:]))
        server.ends(tap, "without a mark: the server ends cleanly")


def main():
    tap = Tap()
    files(tap)
    db = MailStore()
    try:
        rows(tap, db)
    finally:
        db.close()
    nobody_can_tell(tap)
    unmarked(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
