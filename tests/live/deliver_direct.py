#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restante-deliver without a server, where accounts and mail are in databases, and where disks are full, read-only or not
mounted: exit codes, words, the mail that is stored, and nothing else. A restanted that only serves POP3 shows the mail.

With --all: every case of deliver.py on mysql, and accounts in PostgreSQL. Needs root or user namespaces."""
import os
import re
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from databases import PASSWORD, Maria, Postgres, Sqlite, queries  # noqa: E402
from deliver import DOMAIN, MAIL, NOHOST, NOUSER, OK, TEMPFAIL, USERS, Cases, Rig  # noqa: E402
from disk import Disk  # noqa: E402
from mailstore import MailStore  # noqa: E402
from mounts import own_namespace  # noqa: E402
from pop import Pop  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

ALL = os.environ.get("ALL") == "yes"
ANN = ["-a", "ann@" + DOMAIN]
LIMITS = "delivery {\n max_size = 10m\n}\n"


def accounts(db):
    """The tables that people copy, with our users and an alias."""
    rows = ", ".join("('%s@%s', '{PLAIN}restante')" % (u.replace("'", "''"), DOMAIN) for u in USERS)
    db.sql("INSERT INTO domains (name) VALUES ('%s'); INSERT INTO accounts (name, password) VALUES %s;"
           "INSERT INTO aliases (name, target) VALUES ('two@%s', 'ann@%s'), ('two@%s', 'ben@%s');"
           % (DOMAIN, rows, DOMAIN, DOMAIN, DOMAIN, DOMAIN))


def auth_sql(db):
    lines = ["module = sql", "storage = mail", "domains = " + DOMAIN]
    own = Maria.settings(db) if isinstance(db, Maria) else db.settings()  # those of a MailStore are for its mail
    settings = dict(own, **queries(db.driver))
    lines += ['%s = "%s"' % (k, v.replace("\\", "\\\\").replace('"', '\\"')) for k, v in settings.items()]
    return "auth accounts {\n %s\n}\n" % "\n ".join(lines)


def auth_passwd(server):
    return "auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n domains = %s\n}\n" % (
        server.path("passwd"), DOMAIN)


class Direct(Rig):
    """A configuration whose LMTP socket nobody listens on. sections(): auth and storage."""

    def __init__(self, sections):
        self.server = s = Server()
        s.passwd({"%s@%s" % (u, DOMAIN): "restante" for u in USERS})
        for d in ("mail", "sock"):
            os.mkdir(s.path(d), 0o755)
            s.give(s.path(d))
        self.socket, self.seen, self.sections = s.path("sock", "lmtp"), set(), sections
        self.configure()

    def configure(self, more=LIMITS):
        s = self.server
        s.extra_listeners = "listener lmtp {\n protocol = lmtp\n path = %s\n}\n" % self.socket
        s.configure(self.sections(s) + more, default_domain=DOMAIN)


class InTables(Direct):
    """Mail is in MariaDB; `reader` fetches and deletes it."""

    def __init__(self, db, sections):
        super().__init__(sections)
        self.db, self.reader = db, Server()
        self.reader.passwd({"%s@%s" % (u, DOMAIN): "restante" for u in USERS})
        self.reader.configure(auth_passwd(self.reader) + db.section(breaker_open_ms="200"), max_per_address="0")
        self.reader.start()

    def new(self):
        out = {}
        for user in USERS:
            with Pop(self.reader.clear_port) as p:
                if not p.plain("%s@%s" % (user, DOMAIN), "restante").startswith(b"+OK"):
                    raise RuntimeError("the reader cannot log in: " + self.reader.log()[-1000:])
                for n in range(1, int(p.say("STAT").split()[1]) + 1):
                    raw = b"".join(x[1:] if x.startswith(b".") else x for x in p.lines("RETR %d" % n))
                    out.setdefault(user, []).append(raw)
                    p.say("DELE %d" % n)
                p.say("QUIT")
        return out

    def left(self):
        return self.db.sql("SELECT body FROM mail_incoming")

    def close(self):
        self.server.close()
        return self.reader.close()


def killed(tap, rig, sig):
    """In the middle of the message. A SIGKILL leaves nothing that is served; the store's own sweep removes it, an hour later."""
    p = subprocess.Popen(rig.cmd(*ANN), stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdin.write(MAIL + b"more\r\n" * 30000)
    p.stdin.flush()
    wait_until(rig.left, 60, "a body that is coming in")
    p.send_signal(sig)
    err = p.communicate(timeout=60)[1]
    good = p.returncode == -sig if sig == signal.SIGKILL else p.returncode == TEMPFAIL and b"signal" in err
    left = len(rig.left())
    tap.ok(good and not rig.new() and left == (1 if sig == signal.SIGKILL else 0),
           "mysql: %s while the message comes: nothing is delivered" % signal.Signals(sig).name, (p.returncode, err, left))


def login(server):
    """A session of ann's that is over when this returns; returns the answer to her password."""
    with Pop(server.clear_port) as p:
        reply = p.plain("ann@" + DOMAIN, "restante")
        p.say("QUIT")
    return reply


def crash(tap, rig):
    """A server dies with a session open, and mail is delivered before it is started again."""
    reader = rig.reader
    with Pop(reader.clear_port) as p:
        p.plain("ann@" + DOMAIN, "restante")
        reader.proc.kill()
        reader.proc.wait()
    done = rig.run(cmd=[reader.bin("restante-deliver"), "-c", reader.path("restante.conf"), *ANN])
    reader.start()
    reply = login(reader)
    tap.ok(done.returncode == OK and reply.startswith(b"+OK") and rig.new().keys() == {"ann"},
           "mysql: killed, delivered without it, started again: its maildrops are free at once", (done, reply))


def outage(tap, rig, db, what):
    c = Cases(tap, rig, what)
    db.stop()
    done = rig.run(*ANN)
    tap.ok(done.returncode == TEMPFAIL and re.search(rb"^4\.[34]\.\d <ann@example\.test> ", done.stderr) and
           PASSWORD.encode() not in done.stderr, "%s: MariaDB is down: 75, %s" % (what, done.stderr.decode().strip()), done)
    db.start()
    wait_until(lambda: login(rig.reader).startswith(b"+OK"), 60, "the reader")
    c.case("it is back", ANN, OK, gets={"ann": 1})


def tables(tap, db):
    """Accounts and mail in MariaDB, then mail alone."""
    rig = InTables(db, lambda s: auth_sql(db) + db.section())
    try:
        c = Cases(tap, rig, "sql and mysql")
        c.case("a message", ANN + ["-f", "a@example.org"], OK, gets={"ann": 1}, sender=b"a@example.org")
        c.case("an alias", ["-a", "two@" + DOMAIN], OK, gets={"ann": 1, "ben": 1})
        c.case("an apostrophe", ["-a", "o'hara@" + DOMAIN], OK, gets={"o'hara": 1})
        if ALL:
            c.envelope()
            c.content()
            c.size_of_a_file()
        c.refusals()
        killed(tap, rig, signal.SIGTERM)
        killed(tap, rig, signal.SIGKILL)
        crash(tap, rig)
        outage(tap, rig, db, "sql and mysql")
        rig.sections = lambda s: auth_passwd(s) + db.section()
        rig.configure()
        outage(tap, rig, db, "passwd and mysql")
        db.sql("RENAME TABLE mail_version TO away")
        c.case("a database without our tables", ANN, TEMPFAIL, rb"^4\.3\.\d ")
        db.sql("RENAME TABLE away TO mail_version")
        c.case("and with them", ANN, OK, gets={"ann": 1})
        tap.ok(not rig.db.sql("SELECT name FROM mail_server WHERE until > UTC_TIMESTAMP(6) LIMIT 1, 1"),
               "mysql: who delivered alone holds nothing afterwards", rig.db.sql("SELECT name, until FROM mail_server"))
    finally:
        rig.close()


def accounts_elsewhere(tap, db):
    """Accounts in another database, mail in maildirs."""
    accounts(db)
    rig = Direct(lambda s: auth_sql(db) + "storage mail {\n module = maildir\n path = %s/%%n\n}\n" % s.path("mail"))
    try:
        if db.driver == "sqlite":
            os.chmod(db.dir, 0o755)
            rig.server.give(db.dir)
        c = Cases(tap, rig, db.driver + " and maildir")
        c.case("a message", ANN, OK, gets={"ann": 1})
        c.case("an alias", ["-a", "two@" + DOMAIN], OK, gets={"ann": 1, "ben": 1})
        c.case("unknown user", ["-a", "nobody@" + DOMAIN], NOUSER, rb"^5\.1\.1 ")
        c.case("unknown domain", ["-a", "ann@elsewhere.example"], NOHOST, rb"^5\.1\.2 ")
    finally:
        rig.server.close()
        db.close()


# ---- volumes ---------------------------------------------------------------------------------------

ON_DISK = """storage mail {
 module = maildir
 path = %(dir)s/mail/box/%%n
 volume = disk
}
volume disk {
 path = %(dir)s/mail/box
 mount = %(dir)s/mail
 reserve_percent = 0
 reserve_octets = 1m
 reserve_file = 256k
}
"""
KEPT = """delivery {
 unknown_recipient = badmail
}
badmail {
 path = %(dir)s/mail/box/bad
 volume = disk
}
"""


def beneath(rig):
    return [n for _, dirs, files in os.walk(rig.server.path("mail", "box")) for n in dirs + files]


def volumes(tap):
    rig = Direct(lambda s: auth_passwd(s) + ON_DISK % {"dir": s.dir})
    os.rmdir(rig.server.path("mail"))
    disk = Disk(rig.server)
    c = Cases(tap, rig, "a volume")
    nobody = ["-a", "nobody@" + DOMAIN]
    try:
        c.case("mounted", ANN, OK, gets={"ann": 1})
        disk.unplug()
        os.mkdir(os.path.join(disk.place, "box"))
        rig.server.give(disk.place)
        c.case("not mounted", ANN, TEMPFAIL, rb"^4\.3\.0 [^\n]*the mail volume is not there")
        rig.configure(KEPT % {"dir": rig.server.dir})
        c.case("not mounted, and Badmail is on it", nobody, TEMPFAIL, rb"^4\.3\.\d ")
        tap.ok(not beneath(rig), "a volume: not mounted: nothing is written beneath", beneath(rig))
        os.rmdir(os.path.join(disk.place, "box"))
        disk.plug()
        c.case("mounted again", ANN, OK, gets={"ann": 1})
        c.case("mounted again, Badmail", nobody, OK)
        kept = [n for _, _, files in os.walk(os.path.join(disk.place, "box", "bad", "refused")) for n in files]
        tap.ok(sorted(os.path.splitext(n)[1] for n in kept) == [".eml", ".json"], "a volume: mail to unknown users is kept in Badmail", kept)
        disk.read_only(True)
        c.case("read-only", ANN, TEMPFAIL, rb"^4\.3\.1 ")
        disk.read_only(False)
        disk.fill()
        c.case("full", ANN, TEMPFAIL, rb"^4\.3\.1 ")
        c.case("full, and Badmail is on it", nobody, TEMPFAIL, rb"^4\.3\.1 ")
        disk.clear()
        c.case("room again", ANN, OK, gets={"ann": 1})
    finally:
        disk.gone()
        rig.server.close()


def main():
    tap = Tap()
    own_namespace()
    volumes(tap)
    accounts_elsewhere(tap, Sqlite())
    if ALL:
        accounts_elsewhere(tap, Postgres())
    db = MailStore()
    try:
        Maria.schema(db)
        accounts(db)
        tables(tap, db)
    finally:
        db.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
