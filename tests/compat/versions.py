#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Today's server on mail that earlier versions left on disk and in tables: each mailbox has the messages, the order, the
unique-ids, the sizes and the marks that the old server itself told of a copy (make.py), odd files and work that a crash cut
included. Differences that are meant are listed here, and in NEWS."""
import glob
import json
import os
import sys
from contextlib import closing

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailstore import MailStore  # noqa: E402
from mounts import own_namespace  # noqa: E402
from oldsite import OldSite  # noqa: E402
from server import Tap  # noqa: E402


def host(*messages):
    """Messages of make.py's maildirs: number, end of the unique-id, octets, hash or mark."""
    return [["%d.M%06dP1.host%s" % (1790000000 + k, k, end), octets, last] for k, end, octets, last in messages]


# (version, account, field) -> (what is told now in place of it, why); NEWS, Upgrades, has the same
TWINS = "files of one name that differ are each a message"
TORN = "a deletion that lacks lines in the ledger was never made"
LYING = TORN + "; a size that a name only pretends is corrected at RETR"
PSEUDO = "a mailbox's internal data, which c-client and Dovecot keep as its first message, are none"
MEANT = {
    ("0.1", "m-same@undo.test", "messages"): (host(
        (0, "", 85, "4a0c854842e3683c"), (1, "", 85, "4c2fb8b66562a212"), (1, ",2", 85, "855d569d179aa380"),
        (1, ",3", 85, "9a75e903b6c6517a"), (2, "", 85, "a720e1e7c8eb36ca")), TWINS),
    ("0.1", "m-same@undo.test", "marks"): (host(
        (0, "", 85, 0), (1, "", 85, 0), (1, ",2", 85, 0), (1, ",3", 85, 0), (2, "", 85, 0)), TWINS),
    ("0.1", "m-odd@undo.test", "messages"): (host(
        (0, "", 85, "4a0c854842e3683c"), (3, "", 85, "6e6995086961fd06"), (4, "", 85, "abb7ccd0c25b434e"),
        (5, "", 85, "2c5d1fd5b26b3a17")) + [["1790000090.M1P1.host", 2, "8b148e57163df800"],
                                            ["1790000091.M1P1.host", 18, "cdfc90e969316bd8"]], LYING),
    ("0.1", "m-odd@undo.test", "marks"): (host(
        (0, "", 85, 1700000000000), (1, "", 85, 0), (3, "", 85, 0), (4, "", 85, 0), (5, "", 85, 0)) +
        [["1790000090.M1P1.host", 88, 0], ["1790000091.M1P1.host", 18, 0]], TORN),
    ("0.1", "b-pseudo@undo.test", "messages"): (
        [["a3548d94232cdefbd5938831745389c7bb1a8b17", 85, "4c2fb8b66562a212"],
         ["edecf2eab70bcab105c0bb2c24a9dca39c316179", 85, "a720e1e7c8eb36ca"]], PSEUDO),
    ("0.1", "b-pseudo@undo.test", "marks"): (
        [["a3548d94232cdefbd5938831745389c7bb1a8b17", 85, 0], ["edecf2eab70bcab105c0bb2c24a9dca39c316179", 85, 0]], PSEUDO),
}


def compared(tap, version, user, old, new):
    for field, said in old.items():
        now = new.get(field)
        instead, why = MEANT.get((version, user, field), (said, ""))
        tap.ok(now == instead, "%s: %s: %s%s" % (version, user, field, ", changed: " + why if why else ""),
               "then %s\nnow  %s" % (json.dumps(said), json.dumps(now)))


def main():
    tap = Tap()
    own_namespace()
    with closing(MailStore()) as db:
        for archive in sorted(glob.glob(os.path.join(HERE, "*.tar.xz"))):
            version = os.path.basename(archive)[:-len(".tar.xz")]
            with open(os.path.join(HERE, version + ".json")) as f:
                old = json.load(f)
            with OldSite() as srv:
                new = srv.copy(archive, db).look()
                tap.ok(sorted(new["users"]) == sorted(old["users"]) and len(old["users"]) > 20, "%s: all accounts" % version)
                for user, told in old["users"].items():
                    compared(tap, version, user, told, new["users"][user])
                for what in ("domains", "moved", "refused"):
                    tap.ok(new[what] == old[what] and old[what], "%s: %s" % (version, what), "then %s\nnow  %s" % (old[what], new[what]))
                srv.ends(tap, "%s: the server ends cleanly" % version)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
