# SPDX-License-Identifier: Apache-2.0
"""A server whose deleted mail goes to an undo storage, and a way to see where a user's mail is."""
from pop import entered
from sections import accounts, block
from server import Server, wait_until
from shapes import SHAPES

# Messages that a store must return unchanged: dots, long lines, 8-bit, no end of the last line, From_ lines, large.
NAMES = ["plain", "from-line-in-body", "many-headers", "trailing-blank-lines", "spaces-at-end"]
EXTRA = [b"Subject: dots\r\n\r\n.\r\n..\r\n.two\r\nFrom me\r\n",
         b"Subject: eight\r\n\r\n\xc3\xa9\xff\x80 and a CR\rin it\r\n",
         b"Subject: large\r\n\r\n" + b"".join(b"%07d " % k + b"x" * 60 + b"\r\n" for k in range(9000)),
         b"Subject: no end\r\n\r\nhere it ends"]


def letters(n):
    """n different messages; the odd shapes come first."""
    odd = EXTRA + [SHAPES[k] for k in NAMES]
    return (odd + [b"Subject: %d\n\nnumber %d\n" % (k, k) for k in range(n)])[:n]


class UndoServer(Server):
    """mail: storage sections of users (one is called mail), undo: the text of section `attic`."""

    def write_conf(self, mail, undo, users, days=7, **fields):
        self.mkdir("mail")
        self.mkdir("attic")
        self.passwd({u: "restante" for u in users}, **fields)
        self.configure(accounts(self) + mail + (undo or ""), undo=days, **({"undo_storage": "attic"} if undo else {}))

    def attic(self, module="maildir", **more):
        return block("storage", "attic", module=module, path=self.path("attic", "%u"), **more)

    def hidden(self, user):
        """The messages that are hidden in the user's own store."""
        return self.json("quota", user).get("hidden_messages")

    def listed(self, user):
        """Unique-ids that can be brought back."""
        return sorted(m["uidl"] for m in self.json("undelete", user, "--list").get("hidden", []))

    def moved(self, user):
        wait_until(lambda: self.hidden(user) == 0, 60, "hidden mail of %s to be moved" % user)

    def look(self, user):
        """unique-id -> message, for everything that a client sees."""
        with entered(self, user) as p:
            ids = [line.split()[1].decode() for line in p.lines("UIDL")]
            return {uidl: b"".join(p.lines("RETR %d" % (k + 1))) for k, uidl in enumerate(ids)}

    def delete(self, user, *uidls):
        """Deletes these, or all."""
        with entered(self, user) as p:
            for line in p.lines("UIDL"):
                number, uidl = line.decode().split()
                if not uidls or uidl in uidls:
                    p.say("DELE " + number)
