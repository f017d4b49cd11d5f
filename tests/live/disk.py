#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A running server on a disk that fills to its last byte, becomes read-only, goes away and comes back: the replies that
senders and readers get; nothing is lost, deleting works, and service resumes by itself."""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from full import deliver  # noqa: E402
from mounts import MS_BIND, MS_RDONLY, MS_REMOUNT, junk, mount, own_namespace, umount  # noqa: E402
from pop import Pop, mails, session  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from server import Server, Tap, wait_until  # noqa: E402

TIMES = 20 if os.environ.get("ALL") == "yes" else 4


def sections(server):
    disk = server.path("mail")
    return (accounts(server) + maildirs(server, "box/%n", volume="disk") +
            block("volume", "disk", path=os.path.join(disk, "box"), mount=disk, reserve_percent=0, reserve_octets="1m",
                  reserve_file="256k"))


class Disk:
    """A small disk, and the place where the server looks for it."""

    def __init__(self, server):
        self.real, self.place, self.server = server.path("disk"), server.path("mail"), server
        os.makedirs(self.real)
        os.makedirs(self.place)
        mount(b"tmpfs", self.real, b"tmpfs", 0, b"size=4m,mode=755")
        os.makedirs(os.path.join(self.real, "box"))
        server.give(self.real)
        self.plug()

    def plug(self):
        mount(self.real.encode(), self.place, None, MS_BIND)

    def unplug(self):
        umount(self.place)

    def read_only(self, yes):
        mount(None, self.place, None, MS_REMOUNT | MS_BIND | (MS_RDONLY if yes else 0))

    def fill(self):
        junk(self.real)

    def clear(self):
        os.unlink(os.path.join(self.real, "junk"))

    def gone(self):
        self.unplug()
        umount(self.real)


def state(server, name="disk"):
    return next((v for v in server.json("volumes").get("volumes") or [] if v["volume"] == name), {})


def becomes(server, wanted, name="disk"):
    wait_until(lambda: state(server, name).get("state") == wanted, 30, "the volume to be " + wanted)


def full(tap, server, disk, how):
    becomes(server, "ok")
    wait_until(lambda: state(server).get("reserve_file") == 256 * 1024, 30, "the reserve file")
    sent = [deliver(server, "ann", size=2000)["ann"][0] for _ in range(6)]
    before = mails(server, "ann")
    tap.ok(sent == [250] * 6 and len(before) == 6, how + ": with room, six messages are taken", sent)
    disk.fill()
    becomes(server, "low")
    out = deliver(server, "ann")["ann"]
    tap.ok(out[0] == 452 and "4.3.1" in out[1], how + ": full to the last byte: 452 4.3.1", out)
    tap.ok(mails(server, "ann") == before, how + ": POP3 reads all six")
    p = Pop(server.clear_port)
    p.login("ann")
    for n in (1, 2, 3):
        p.say("DELE %d" % n)
    answer = p.say("QUIT")
    p.close()
    tap.ok(answer.startswith(b"+OK") and mails(server, "ann") == before[3:], how + ": three are deleted", answer)
    disk.clear()
    becomes(server, "ok")
    out = deliver(server, "ann")["ann"]
    tap.ok(out[0] == 250 and mails(server, "ann")[:3] == before[3:], how + ": space again: mail is taken, earlier mail is still there", out)
    wait_until(lambda: state(server).get("reserve_file") == 256 * 1024, 30, "the reserve file again")


def read_only(tap, server, disk):
    before = mails(server, "ann")
    disk.read_only(True)
    becomes(server, "read-only")
    out = deliver(server, "ann")["ann"]
    p = Pop(server.clear_port)
    p.login("ann")
    p.say("DELE 1")
    answer = p.say("QUIT")
    p.close()
    tap.ok(out[0] == 452 and "4.3.1" in out[1] and answer.startswith(b"-ERR [SYS/") and mails(server, "ann") == before,
           "read-only: 452 4.3.1; mail is read; a deletion is refused, and did not happen", (out, answer))
    disk.read_only(False)
    becomes(server, "ok")
    tap.ok(deliver(server, "ann")["ann"][0] == 250, "writable again: mail is taken")


def tree(place):
    return sorted(os.path.join(b, n) for b, d, f in os.walk(place) for n in d + f)


def beneath(server, place, *dirs):
    """Directories that an admin, or an old server, left where the disk is mounted now: they could be written to."""
    for d in dirs:
        os.makedirs(os.path.join(place, d), exist_ok=True)
    server.give(place)
    return tree(place)


def unplugged(tap, server, disk):
    """umount -l again and again, with mail at the same moment: at the last look the disk was there."""
    before = mails(server, "ann")
    disk.unplug()
    there = beneath(server, disk.place, "box/ann/tmp", "box/ann/new", "box/ann/cur")
    disk.plug()
    becomes(server, "ok")
    wrong = []
    for k in range(TIMES):
        disk.unplug()
        p = Pop(server.clear_port)
        answer = (p.login("ann") if k % 2 else b"") or b"-ERR [SYS/TEMP]"
        p.close()
        out = deliver(server, "ann")["ann"]
        if out[0] != 451 or not answer.startswith(b"-ERR [SYS/TEMP]") or tree(disk.place) != there:
            wrong.append((k, out, answer, tree(disk.place)))
        disk.plug()
        wait_until(lambda: deliver(server, "ann")["ann"][0] == 250, 30, "mail to be taken again")
    after = mails(server, "ann")
    tap.ok(not wrong and after[:len(before)] == before and len(after) == len(before) + TIMES,
           "umount -l, %d times, and mail at once: 451, logins [SYS/TEMP], nothing is written beneath, nothing is lost" % TIMES, wrong)
    session(server, "ann", *["DELE %d" % (k + 1) for k in range(len(before), len(after))])
    disk.unplug()
    subprocess.check_call(["rm", "-rf", os.path.join(disk.place, "box")])
    disk.plug()
    becomes(server, "ok")


def unmounted(tap, server, disk):
    before = mails(server, "ann")
    disk.unplug()
    os.makedirs(os.path.join(disk.place, "box"))
    server.give(disk.place)
    becomes(server, "not mounted")
    out = deliver(server, "ann")["ann"]
    p = Pop(server.clear_port)
    answer = p.login("ann")
    p.close()
    left = [os.path.join(b, n) for b, d, f in os.walk(disk.place) for n in d + f]
    tap.ok(out[0] == 451 and answer.startswith(b"-ERR [SYS/TEMP]"), "not mounted: 451 to senders, [SYS/TEMP] to readers, not an empty mailbox",
           (out, answer))
    tap.ok(left == [os.path.join(disk.place, "box")], "not mounted: nothing is written into the directory beneath", left)
    disk.plug()
    becomes(server, "ok")
    tap.ok(mails(server, "ann") == before and deliver(server, "ann")["ann"][0] == 250, "mounted again: all is there, mail is taken")


class Others:
    """The state directory and Badmail on disks of their own."""

    def __init__(self):
        self.server = s = Server()
        self.state, self.bad = s.path("state"), s.path("bad")
        for d in ("mail", "bad", "real-state", "real-bad"):
            os.makedirs(s.path(d))
        for real in ("real-state", "real-bad"):
            mount(b"tmpfs", s.path(real), b"tmpfs", 0, b"size=8m,mode=755")
        os.makedirs(s.path("real-bad", "store"))
        for d in ("mail", "real-state", "real-bad"):
            s.give(s.path(d))
        beneath(s, self.bad, "store")
        self.there = {d: tree(d) for d in (self.state, self.bad)}
        s.passwd({"ann@counted.example": "restante"})
        s.lmtp = s.listen("lmtp")
        self.configure()

    def configure(self, reserve=0):
        s, store = self.server, self.server.path("bad", "store")
        s.configure(accounts(s) + maildirs(s, "%d/%n") +
                    block("volume", "state", path=s.path("state"), mount=s.path("state"), reserve_percent=0, reserve_octets=reserve,
                          reserve_file=0) +
                    block("volume", "bad", path=store, mount=s.path("bad"), reserve_percent=0, reserve_file=0) +
                    block("badmail", path=os.path.join(store, "items"), volume="bad") +
                    block("delivery", unknown_recipient="badmail") + block("domain", "counted.example", domain_messages=100),
                    state_volume="state")

    def plug(self, name):
        mount(self.server.path("real-" + name).encode(), self.server.path(name), None, MS_BIND)

    def unplug(self, name):
        umount(self.server.path(name))

    def untouched(self, place):
        return tree(place) == self.there[place]

    def gone(self):
        self.server.stop()
        for d in ("state", "bad", "real-state", "real-bad"):
            umount(self.server.path(d))


def takes(server, who):
    wait_until(lambda: deliver(server, who)[who][0] == 250, 30, "mail to be taken")


def state_and_badmail(tap):
    o = Others()
    s = o.server
    ann, nobody = "ann@counted.example", "nobody@counted.example"
    with s:
        try:
            o.plug("bad")
            said = subprocess.run([s.bin("restanted"), "-c", s.path("restante.conf")], capture_output=True, text=True, timeout=60)
            o.unplug("bad")
            tap.ok(said.returncode == 78 and "state_volume = state: nothing is mounted at" in said.stderr and o.untouched(o.state),
                   "the state directory's disk is not mounted: no start, said in words, nothing is made beneath", said.stderr)
            o.plug("state")
            o.plug("bad")
            s.start()
            takes(s, ann)
            takes(s, nobody)
            tap.ok(os.path.exists(s.path("real-state", "quota", "counted.example")) and
                   os.path.exists(s.path("real-bad", "store", "items", "state")), "mounted: counts and items are on their disks")
            o.unplug("state")
            out = deliver(s, ann)[ann]
            said = s.ctl("reload")
            tap.ok(out[0] == 451 and said.returncode == 1 and "nothing is mounted at" in said.stdout + said.stderr and o.untouched(o.state),
                   "umount -l of the state directory: 451, a reload is refused, nothing is made beneath", (out, said, tree(o.state)))
            again = deliver(s, ann)[ann]
            tap.ok(again[0] == 451 and "4.3.0" in again[1] and len(mails(s, ann)) == 1, "and 4.3.0 at MAIL; mail can be fetched", again)
            o.plug("state")
            takes(s, ann)
            u = s.json("quota", "--domain", "counted.example")
            tap.ok(u.get("domain_used_messages") == 2, "mounted again: mail is taken, and the count goes on", u)
            o.unplug("bad")
            out = deliver(s, nobody)[nobody]
            time.sleep(2.5)  # Badmail looks once a second, and would create its files now
            wait_until(lambda: s.ctl("badmail", "stats").returncode == 1, 60, "Badmail to see it")
            stats = s.ctl("badmail", "stats")
            tap.ok(out[0] == 451 and stats.returncode == 1 and "not mounted" in stats.stderr and o.untouched(o.bad),
                   "umount -l of Badmail's disk: 451 for what it would keep, nothing is made beneath, restantectl says why",
                   (out, stats, tree(o.bad)))
            takes(s, ann)
            o.plug("bad")
            takes(s, nobody)
            t = s.json("badmail", "stats")["totals"]
            tap.ok(t["refused_items"] == 2, "mounted again: nothing is lost, mail is kept again", t)
            o.configure("4000g")
            wait_until(lambda: s.ctl("reload").returncode == 0, 30, "the reload")
            becomes(s, "low", "state")
            out = deliver(s, ann)[ann]
            tap.ok(out[0] == 452 and "4.3.1" in out[1] and len(mails(s, ann)) == 3, "below the state directory's reserve: 452 4.3.1", out)
            s.ends(tap, "the server ends cleanly")
        finally:
            o.gone()


def hangs(tap):
    """One of two disks stops answering: statfs on it takes long. Mail on the other one goes on."""
    with Server() as server:
        server.passwd({"ann": "restante", "ben": "restante"}, ben="storage=other")
        for name in ("a", "b"):
            server.mkdir(name)
        server.lmtp = server.listen("lmtp")
        server.configure(accounts(server) +
                         "".join(block("storage", store, module="maildir", path=server.path(name, "%n"), volume=name) +
                                 block("volume", name, path=server.path(name), reserve_percent=0, reserve_file=0)
                                 for store, name in (("mail", "a"), ("other", "b"))))
        server.start()
        before = deliver(server, "ann")["ann"][0], deliver(server, "ben")["ben"][0]
        slow = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(server.proc.pid), "-P", server.path("b"),
                                 "-e", "trace=statfs", "-e", "inject=statfs:delay_enter=600000000"])
        try:
            wait_until(lambda: [v["state"] for v in server.json("volumes")["volumes"] if v["volume"] == "b"] == ["error"], 60,
                       "disk b to be out of order")
            time.sleep(2)  # two more looks
            states = {v["volume"]: v["state"] for v in server.json("volumes")["volumes"]}
            after = deliver(server, "ann")["ann"], deliver(server, "ben")["ben"]
            tap.ok(before == (250, 250) and states == {"a": "ok", "b": "error"} and after[0][0] == 250 and after[1][0] == 451 and
                   len(mails(server, "ann")) == 2 and len(mails(server, "ben")) == 1,
                   "a disk hangs: its mail is deferred, that of the other disk comes, and all can be fetched", (before, states, after))
        finally:
            slow.kill()
            slow.wait()
        wait_until(lambda: deliver(server, "ben")["ben"][0] == 250, 60, "disk b to be back")
        server.ends(tap, "the server ends after a disk has hung")


def main():
    tap = Tap()
    own_namespace()
    state_and_badmail(tap)
    hangs(tap)
    with Server() as server:
        disk = Disk(server)
        try:
            server.passwd({"ann": "restante"})
            server.lmtp = server.listen("lmtp")
            server.configure(sections(server))
            server.start()
            full(tap, server, disk, "full")
            read_only(tap, server, disk)
            unmounted(tap, server, disk)
            unplugged(tap, server, disk)
            session(server, "ann", *["DELE %d" % (k + 1) for k in range(len(mails(server, "ann")))])
            server.reconfigure(sections(server), undo=3)
            full(tap, server, disk, "full, with undo")
            server.ends(tap, "the server ends cleanly")
        finally:
            server.stop()
            disk.gone()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
