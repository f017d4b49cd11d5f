#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes what an old version leaves behind, for versions.py: VERSION.tar.xz, and VERSION.json, what that version's own server tells
of a copy of it. Run once for each release, by hand:

    make.py VERSION TREE KEEP

TREE: that version, configured with --enable-kill-points and installed; KEEP: its tests/crash/keep. CHECK_TREE is TREE, too."""
import contextlib
import glob
import json
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import zlib
from contextlib import closing

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from mailstore import MailStore  # noqa: E402
from mounts import own_namespace  # noqa: E402
from oldsite import GONE, KEPT, LATE, MOVED, PARTS, PLACE, YEARS, OldSite  # noqa: E402
from pop import Pop  # noqa: E402
from server import mboxrd, wait_until  # noqa: E402

JOURNAL = PLACE + "/state/mbox/journal"


def letter(k, more=b""):
    return b"From: a@example.org\nSubject: letter %d\nMessage-ID: <%d@example.org>\n%s\n.dot %d\nline\n" % (k, k, more, k)


def at(path, raw, k=0, folder="new", name=None, flags=""):
    """One file of a maildir."""
    for d in ("tmp", "new", "cur"):
        os.makedirs("%s/mail/%s/%s" % (PLACE, path, d), exist_ok=True)
    name = name or "%d.M%06dP1.host" % (1790000000 + k, k)
    with open("%s/mail/%s/%s/%s%s" % (PLACE, path, folder, name, flags), "wb") as f:
        f.write(raw)


def maildir(user, n):
    for k in range(n):
        raw = letter(k)
        if k % 3 == 1:  # as Dovecot names them
            at(user, raw, k, "cur", "%d.M%06dP1.host,S=%d,W=%d" % (1790000000 + k, k, len(raw), len(raw) + raw.count(b"\n")), ":2,S")
        else:
            at(user, raw, k, "cur" if k % 3 else "new", None, ":2,RS" if k % 3 else "")


def mbox(user, raws, before=b"", after=b""):
    with open("%s/box/%s" % (PLACE, user), "wb") as f:
        f.write(before + b"".join(mboxrd(raw, b"clerk@example.org", k) for k, raw in enumerate(raws)) + after)


def visit(srv, user, retrieve=(), delete=(), end="QUIT"):
    with Pop(srv.clear_port) as p:
        if not p.login(user).startswith(b"+OK"):
            raise SystemExit("login of %s" % user)
        for k in retrieve:
            p.lines("RETR %d" % k)
        for k in delete:
            p.say("DELE %d" % k)
        return p.say(end) if end else None


def deliver(srv, user, *raws):
    with smtplib.LMTP("127.0.0.1", srv.lmtp) as c:
        for raw in raws:
            c.sendmail("clerk@example.org", [user], raw.replace(b"\n", b"\r\n"))


@contextlib.contextmanager
def dying(srv, point):
    """A server that ends at that point of a module, in what is done meanwhile."""
    os.environ["RESTANTE_KILL_POINT"] = "m%d" % point
    srv.start()
    del os.environ["RESTANTE_KILL_POINT"]
    with contextlib.suppress(smtplib.SMTPException, ConnectionError, OSError):
        yield
    try:
        code = srv.proc.wait(30)
    except subprocess.TimeoutExpired:
        srv.proc.send_signal(signal.SIGKILL)
        code = srv.proc.wait()
    srv.proc = None
    if code != 99:
        raise SystemExit("point %d: the server ended with %d\n%s" % (point, code, srv.log()[-2000:]))


def ledger_line(text):
    return b"%08x %s\n" % (zlib.crc32(text), text)


# ---- each store ----------------------------------------------------------------------------------


def usual(srv, user, hidden):
    """Listed, in part retrieved, in part deleted, in part brought back; mail comes in between."""
    visit(srv, user, (1, 2, 5))
    deliver(srv, user, letter(50), letter(51))
    visit(srv, user, (6,), (2, 3, 4))
    if hidden:
        ids = sorted(m["uidl"] for m in srv.json("undelete", user, "--list")["hidden"])
        srv.json("undelete", user, ids[0])
    deliver(srv, user, letter(52))
    visit(srv, user)
    deliver(srv, user, letter(53))


def maildirs(srv, users):
    maildir("m-kept", 9)
    maildir("m-gone", 9)
    maildir("m-odd", 6)
    maildir("m-same", 3)
    for folder, raw in (("new", letter(7)), ("cur", letter(8))):  # files of one name: another message, and the same once more
        at("m-same", raw, 1, folder, flags=":2,F" if folder == "cur" else "")
    at("m-same", letter(0), 0, "cur", flags=":2,S")
    maildir("m-cut1", 5)
    maildir("m-cut2", 5)
    users.update({n + "@" + (GONE if n == "m-gone" else KEPT): "mail" for n in ("m-kept", "m-gone", "m-odd", "m-same", "m-none")})
    users.update({"m-cut1@" + GONE: "mail", "m-cut2@" + GONE: "mail"})


def odd_ledger():
    """Damage in the midst, a mark of each kind, a group without its end and one that lacks lines, a torn tail."""
    path = PLACE + "/mail/m-odd/restante-ledger"
    with open(path, "rb") as f:
        lines = f.read().splitlines(keepends=True)
    names = [line.split()[2] for line in lines if line[9:11] == b"M "]
    if any(line[:8] != b"%08x" % zlib.crc32(line[9:-1]) for line in lines[1:]):
        raise SystemExit("the ledger's checksum is not the one this script writes")
    op, other = b"0" * 31 + b"1", b"0" * 31 + b"2"
    lines.insert(2, b"00000000 M damaged.line uid 1 2 0 0\n")
    lines += [ledger_line(b"F %s 1700000000000" % names[0]), ledger_line(b"H %s 4000000000000" % names[1]),
              ledger_line(b"H %s 1700000000000" % names[2]), ledger_line(b"D %s %s" % (op, names[3])),
              ledger_line(b"C %s 2 1700000000000" % op), ledger_line(b"D %s %s" % (other, names[4])),
              ledger_line(b"Z unknown %s" % names[4]), ledger_line(b"F %s 1700000000001" % names[5])[:20]]
    with open(path, "wb") as f:
        f.write(b"".join(lines))
    at("m-odd", letter(90), folder="cur", name="1790000090.M1P1.host,S=1,W=2", flags=":2,")  # a lying name
    at("m-odd", letter(91), folder="cur", name=".hidden")
    at("m-odd", b"no header at all", folder="new", name="1790000091.M1P1.host")
    os.mkdir(PLACE + "/mail/m-odd/cur/directory")


def commits_cut(srv):
    """After the commit point, and when one file of three is gone."""
    for point, user in ((1, "m-cut1"), (2, "m-cut2")):
        with dying(srv, point):
            visit(srv, user + "@" + GONE, (1,), (1, 3, 5))


IMAP = (b"Status: RO\n", b"X-Status: A\nX-Keywords: $label1                \nX-UID: 7                   \n",
        b"Content-Length: 21\nLines: 2\n", b"X-UIDL: abc\n")

PSEUDO = (b"From: Mail System Internal Data <MAILER-DAEMON@host>\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
          b"X-IMAP: 1790000000 0000000009\nStatus: RO\n\nThis text is part of the internal format of your mail folder.\n")


def mboxes(srv, users):
    nine = [letter(k) for k in range(9)]
    mbox("b-kept", nine)
    mbox("b-gone", nine)
    mbox("b-twins", [letter(1), letter(2), letter(1), letter(1), letter(2)])
    mbox("b-imap", [letter(k, more) for k, more in enumerate(IMAP)])
    mbox("b-pseudo", [PSEUDO, letter(1), letter(2)])
    mbox("b-odd", nine[:4], before=b"text before the first\n\n", after=b"From cut@example.org Tue Sep 22 10:00:00 2026\nSubject: cut off\n\nno end")
    users.update({n + "@" + (GONE if n == "b-gone" else KEPT): "box" for n in ("b-kept", "b-gone", "b-twins", "b-imap", "b-pseudo", "b-odd", "b-none")})


def boxes_cut(srv, users):
    """Deletions and deliveries that end at each durable step. What a later server would carry out is put aside meanwhile."""
    aside = srv.mkdir("aside")
    for point in range(4, 12):
        user = "b-cut%d" % point
        mbox(user, [letter(k) for k in range(7)])
        users[user + "@" + GONE] = "box"
    for point in range(2, 9):
        user = "b-in%d" % point
        mbox(user, [letter(k) for k in range(3)])
        users[user + "@" + GONE] = "box"
    srv.own()
    srv.serve(users, srv.db)
    for point in range(4, 12):
        with dying(srv, point):
            visit(srv, "b-cut%d@%s" % (point, GONE), (1,), (2, 4))
        for path in glob.glob(JOURNAL + "/*"):
            shutil.move(path, aside)
    for point in range(2, 9):
        with dying(srv, point):
            deliver(srv, "b-in%d@%s" % (point, GONE), letter(99, b"X-Long: " + b"x" * 900 + b"\n"))
        for path in glob.glob(JOURNAL + "/*"):
            shutil.move(path, aside)
    return lambda: [shutil.move(path, JOURNAL) for path in glob.glob(aside + "/*")]


def rows(srv, users):
    users.update({"q-kept@" + KEPT: "rows", "q-gone@" + GONE: "rows", "q-none@" + KEPT: "rows", "q-leased@" + GONE: "rows",
                  "q-in@" + GONE: "rows"})


def rows_cut(srv):
    """A session whose server is killed, and a delivery that ends before it is visible."""
    srv.start()
    deliver(srv, "q-leased@" + GONE, letter(1), letter(2))
    with Pop(srv.clear_port) as p:
        p.login("q-leased@" + GONE)
        p.lines("RETR 1")
        srv.proc.kill()
        srv.proc.wait()
        srv.proc = None
    with dying(srv, 1):
        deliver(srv, "q-in@" + GONE, letter(3))


# ---- beside the stores ---------------------------------------------------------------------------


def moved(srv, db):
    """Deleted mail in another storage, as `undo_storage` moves it."""
    maildir("moved", 4)
    srv.own()
    srv.serve({MOVED: "mail"}, db, undo=YEARS, undo_storage="attic").start()
    visit(srv, MOVED, (1,), (1, 2, 3))
    wait_until(lambda: srv.json("quota", MOVED).get("hidden_messages") == 0, 60, "mail to be moved")
    srv.stop()


def badmail(srv, keep):
    """Mail that waits for its store, and mail that was refused."""
    shutil.copy(keep, srv.path("keep"))
    os.chmod(srv.path("keep"), 0o755)
    os.chmod(srv.path("restante.conf"), 0o644)
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if srv.root else []
    subprocess.run([*as_user, srv.path("keep"), srv.path("restante.conf")], check=True, text=True, stdout=subprocess.DEVNULL,
                   input="insert retry 3 600 store-down s%%u@far.example %s\n"
                         "insert refused 2 400 unknown-recipient r%%u@far.example nobody@%s\n" % (LATE, KEPT))


def dump(srv, db):
    done = subprocess.run(["mariadb-dump", "--defaults-file=" + db.path("my.cnf"), "--socket=" + db.path("run", "sock"), "--user=root",
                           "--hex-blob", "--skip-dump-date", "--skip-comments", "mail"], capture_output=True, check=True)
    with open(PLACE + "/mysql.sql", "wb") as f:
        f.write(done.stdout)


def make(version, keep):
    with closing(MailStore()) as db, OldSite() as srv:
        srv.db, users = db, {LATE: "mail"}
        os.makedirs(PLACE + "/mail/late/new")
        moved(srv, db)
        for store in (maildirs, mboxes, rows):
            store(srv, users)
        for user in ("q-kept@" + KEPT, "q-gone@" + GONE):
            users[user] = "rows"
        srv.own()
        srv.serve(users, db).start()
        for user in ("q-kept@" + KEPT, "q-gone@" + GONE):
            deliver(srv, user, *[letter(k) for k in range(9)])
        for user in users:
            name = user.split("@")[0]
            if name.endswith(("-kept", "-gone")):
                usual(srv, user, name.endswith("-kept"))
            elif name != "late":
                visit(srv, user)
        visit(srv, "b-twins@" + KEPT, (), (3,))
        visit(srv, "b-imap@" + KEPT, (1, 2))
        srv.stop()
        commits_cut(srv)
        rows_cut(srv)
        put_back = boxes_cut(srv, users)
        odd_ledger()
        badmail(srv, keep)
        put_back()
        dump(srv, db)
        users[MOVED] = "mail"
        with open(PLACE + "/users.json", "w") as f:
            json.dump(users, f, indent=0, sort_keys=True)
        archive = os.path.join(HERE, version + ".tar.xz")
        subprocess.check_call(["tar", "-C", PLACE, "--sort=name", "--format=posix", "--owner=0", "--group=0", "-cJf", archive,
                               "users.json", "mysql.sql", *PARTS], env=dict(os.environ, XZ_OPT="-9e"))
        print("%s: %d users, %d octets" % (archive, len(users), os.path.getsize(archive)))


def record(version):
    with closing(MailStore()) as db, OldSite() as srv:
        told = srv.copy(os.path.join(HERE, version + ".tar.xz"), db).look()
        with open(os.path.join(HERE, version + ".json"), "w") as f:
            json.dump(told, f, indent=1)
            f.write("\n")
        print(srv.log())


if __name__ == "__main__":
    own_namespace()
    make(sys.argv[1], sys.argv[3])
    record(sys.argv[1])
