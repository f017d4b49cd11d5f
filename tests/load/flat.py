#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cost of a delivery does not depend on the size of the mailbox: with a quota that is checked at RCPT, the same mail
goes to an empty mailbox, one of 4,000 messages and one of 20,000, and strace counts the server's system calls. The same
when many deliver into one mailbox at once: one delivery makes no other count the mailbox again. And the total that the
quota uses stays right while others deliver, delete and rename in the same maildir."""
import os
import signal
import smtplib
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server, Tap, wait_until  # noqa: E402

HOLDS = {"none": 0, "some": 4000, "many": 20000}
MAILS = 20
CROWD, CROWD_HOLDS = 8, 4000
CALLS = ("openat,openat2,open,stat,lstat,newfstatat,fstat,statx,getdents64,read,pread64,write,writev,pwrite64,lseek,rename,"
         "renameat,renameat2,linkat,unlinkat,unlink,fsync,fdatasync,flock,fcntl,mmap,ftruncate")
OLD = b"Subject: old\n\nold\n"


def fill(server, user, n):
    os.makedirs(server.path("mbox"), exist_ok=True)
    with open(server.path("mbox", user), "wb") as f:
        f.write((b"From a@example.org Mon Nov 23 18:00:00 2026\n" + OLD + b"\n") * n)
    for d in ("tmp", "new", "cur"):
        os.makedirs(server.path("maildir", user, d))
    for k in range(n):
        with open(server.path("maildir", user, "cur", "%d.M%06dP1.old,S=%d,W=%d:2,S" % (1700000000 + k, k, len(OLD), len(OLD) + 3)), "wb") as f:
            f.write(OLD)


def deliver(path, user, n, size=100):
    """The codes of RCPT, or of DATA where RCPT succeeds."""
    codes = []
    with smtplib.LMTP(path, timeout=120) as c:
        c.ehlo("flat")
        for k in range(n):
            c.mail("a@example.org")
            code = c.rcpt(user)[0]
            codes.append(code if code != 250 else c.data(b"Subject: new\r\n\r\n%s\r\n" % (b"x" * size))[0])
            c.rset()
    return codes


def traced(pid, by):
    """Attaches to all its threads; one that has ended meanwhile is left out."""
    for t in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/status" % (pid, t)) as f:
                if "TracerPid:\t%d\n" % by not in f.read():
                    return False
        except (FileNotFoundError, ProcessLookupError):
            pass
    return True


def count_calls(server, name, work):
    """The system calls made while work() runs, by name."""
    out = server.path("strace-" + name)
    p = subprocess.Popen(["strace", "-f", "-c", "-o", out, "-e", "trace=" + CALLS, "-p", str(server.proc.pid)],
                         stderr=subprocess.DEVNULL)
    wait_until(lambda: traced(server.proc.pid, p.pid), 60, "strace to be everywhere")
    try:
        work()
    finally:
        p.send_signal(signal.SIGINT)
        p.wait(60)
    rows = {}
    with open(out) as f:
        for line in f:
            field = line.split()
            if len(field) >= 5 and field[3].isdigit() and field[-1] != "total":
                rows[field[-1]] = int(field[3])
    return rows


def calls(server, path, user):
    """The system calls of MAILS deliveries, in all and by name."""
    def work():
        codes = deliver(path, user, MAILS)
        if set(codes) != {250}:
            raise RuntimeError("%s: %s" % (user, codes))
    rows = count_calls(server, user, work)
    return sum(rows.values()), rows


def flat(tap, server, path, store):
    seen = {}
    for user in HOLDS:
        deliver(path, user + "@" + store, 2)  # the first one counts the mailbox, and learns the sizes
        seen[user] = calls(server, path, user + "@" + store)
        tap.note("%s, %d messages: %.1f calls a mail; %s" % (store, HOLDS[user], seen[user][0] / MAILS, seen[user][1]))
    small = seen["none"][0]
    for user in ("some", "many"):
        tap.ok(0 < seen[user][0] <= small * 1.1 + MAILS, "%s: RCPT and delivery into %d messages take the calls they take into none"
               % (store, HOLDS[user]), seen)


def bytes_read(server):
    with open("/proc/%d/io" % server.proc.pid) as f:
        return int(f.readline().split()[1])


def crowd(tap, server, path, store):
    """CROWD connections deliver into one mailbox. Counting it would read its directories (getdents64), or its index."""
    user, codes = "crowd@" + store, []

    def many():
        def one():
            codes.extend(deliver(path, user, MAILS))
        threads = [threading.Thread(target=one) for _ in range(CROWD)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    once = -bytes_read(server)
    once_rows = count_calls(server, "once-" + store, lambda: codes.extend(deliver(path, user, 1)))
    once += bytes_read(server)
    read = -bytes_read(server)
    rows = count_calls(server, user, many)
    read += bytes_read(server)
    tap.note("%s, the first mail: %d bytes read, %s" % (store, once, once_rows))
    tap.note("%s, %d at once, %d mails: %d bytes read, %s" % (store, CROWD, CROWD * MAILS, read, rows))
    tap.ok(codes == [250] * (CROWD * MAILS + 1), "%s: %d connections deliver into one mailbox" % (store, CROWD), codes)
    # once more after the file system's clock has moved, and once for anything the machine did meanwhile
    if store == "maildir":
        one = once_rows["getdents64"]
        tap.ok(one > 2 and rows.get("getdents64", 0) <= 3 * one, "maildir: and hardly any of them counts it", (once_rows, rows))
    else:
        tap.ok(once > 40 * CROWD_HOLDS and read <= 3 * once + 4096 * CROWD * MAILS, "mbox: and hardly any of them counts it", (once, read))


def truth(tap, server, path):
    """The quota is twelve messages: the point at which the server refuses shows the total it believes."""
    box = server.path("maildir", "true")
    for d in ("tmp", "new", "cur"):
        os.makedirs(os.path.join(box, d))
    server.give(box)

    def put(where, k):
        with open(os.path.join(box, where, "%d.M%dP2.other,S=%d,W=%d" % (1700000000 + k, k, len(OLD), len(OLD) + 3)), "wb") as f:
            f.write(OLD)

    def tick():
        """Waits until the file system's clock has moved since the last delivery: two changes in one tick look like one."""
        at = os.stat(os.path.join(box, "new")).st_mtime
        wait_until(lambda: time.time() - at > 0.05, 10, "the clock")

    def real():
        return sum(len(os.listdir(os.path.join(box, d))) for d in ("new", "cur"))
    most = 12
    codes = []
    for k in range(3):
        codes += deliver(path, "true@few", 2)
        tick()
        put("new", k)  # another MTA
        codes += deliver(path, "true@few", 1)
    tap.ok(codes == [250] * 9 and real() == most, "nine of ours and three of another program's are in", (codes, real()))
    tap.ok(deliver(path, "true@few", 2) == [452] * 2, "which is the quota: one more is refused")
    tick()
    os.rename(os.path.join(box, "new", sorted(os.listdir(os.path.join(box, "new")))[0]), os.path.join(box, "cur", "1.read:2,S"))
    tap.ok(deliver(path, "true@few", 1) == [452], "somebody reads one: it still counts")
    tick()
    os.unlink(os.path.join(box, "cur", "1.read:2,S"))
    tap.ok(deliver(path, "true@few", 2) == [250, 452], "somebody deletes one: there is room for one")
    tick()
    for name in os.listdir(os.path.join(box, "new"))[:4]:
        os.unlink(os.path.join(box, "new", name))
    tap.ok(deliver(path, "true@few", 6) == [250] * 4 + [452] * 2, "four are deleted: four go in, one after the other, no more", real())
    tap.ok(real() == most, "and the mailbox holds what it may", real())


def main():
    tap = Tap()
    s = Server()
    path = s.path("run", "lmtp")
    s.passwd({u: "restante" for u in ["true@few"] + ["%s@%s" % (u, d) for u in [*HOLDS, "crowd"] for d in ("maildir", "mbox")]})
    with open(s.path("passwd")) as f:
        lines = f.read().splitlines()
    with open(s.path("passwd"), "w") as f:
        f.writelines(line + ("::::::storage=mbox\n" if "@mbox:" in line else "\n") for line in lines)
    for user, n in [*HOLDS.items(), ("crowd", CROWD_HOLDS)]:
        fill(s, user, n)
    for store in ("maildir", "mbox"):
        s.give(s.path(store))
    s.extra_listeners = "listener lmtp {\n protocol = lmtp\n path = %s\n mode = 0666\n}\n" % path
    s.configure("auth a {\n module = passwd\n file = %s\n allow_plain = yes\n storage = maildir\n}\n"
                "storage maildir {\n module = maildir\n path = %s/%%n\n}\nstorage mbox {\n module = mbox\n path = %s/%%n\n lock_wait = 120s\n}\n"
                "domain few {\n quota_messages = 12\n}\n"
                % (s.path("passwd"), s.path("maildir"), s.path("mbox")), quota_messages="1000000", quota_warn="0")
    s.start()
    try:
        flat(tap, s, path, "maildir")
        flat(tap, s, path, "mbox")
        crowd(tap, s, path, "maildir")
        crowd(tap, s, path, "mbox")
        truth(tap, s, path)
        tap.ok(s.stop() == 0, "the server ends well", s.log()[-2000:])
    finally:
        s.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
