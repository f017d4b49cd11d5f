#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restanted is killed (-9) at seeded moments of a long run: a real Postfix brings mail by LMTP and SMTP, restante-deliver
by its socket, and POP3 clients fetch and delete. It is restarted at once, or after restante-deliver has delivered
without it; some restante-deliver processes are killed as well. Some mail is for unknown users and kept (REFUSED); the store of
every tenth user fails every third time, so that accepted mail waits in Badmail (RETRY).

Nothing accepted is lost: each copy is fetched or was put into Badmail. A copy comes again only as often as the reply to it
was lost, by Postfix's or restante-deliver's own account. Mail that waits in Badmail comes once, however often its retries
are interrupted. Badmail's totals match the disk. A server that ends by itself is a failure.

--all: 20,000 messages, 200 users, 50 clients and 100 kills on each store. Usage: mail_kill.py [STORE... [KILLS]]"""
import collections
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from badbox import BadBox  # noqa: E402
from mailrig import DOMAIN, Rig, feeders, wait_until  # noqa: E402
from server import Tap, free_port  # noqa: E402

ALL = os.environ.get("ALL") == "yes"
SEED = int(os.environ.get("SEED", "20261124"))
PATIENCE = int(os.environ.get("PATIENCE", "1800" if ALL else "600"))
# kills, messages for each, users, clients, feeders, items in Badmail
SIZE = (100, 200, 200, 50, 6, 500) if ALL else (4, 30, 12, 4, 4, 100)
SECTIONS = """
listener smtp {
 protocol = smtp
 address = 127.0.0.1
 port = %(port)d
 tls = none
}
storage late {
 module = fault
 wrap = frail
 script = %(dir)s/late.rules
}
delivery {
 unknown_recipient = badmail
 postmaster = user1
}
badmail {
 path = %(dir)s/bad
 max_items = %(items)d
 retry_first = 1
 retry_max = 2
}
"""


class KillRig(Rig):
    def __init__(self, store, users, items):
        self.smtp, self.items = free_port(), items
        self.late = {"user%d" % i for i in range(0, users, 10)}
        super().__init__(store, users, SEED)
        self.box = BadBox(self.server.path("bad"))
        self.kept = {}                          # seq -> recipient that does not exist
        self.killed = set()                     # seq: these may come or not
        self.retried = set()                    # (seq, user): it waited when the server died

    def passwords(self):
        self.server.passwd({"%s@%s" % (u, DOMAIN): "restante" + ("::::::storage=late" if u in self.late else "")
                            for u in self.users})

    def sections(self):
        s = self.server
        os.mkdir(s.path("bad"))
        s.give(s.path("bad"))
        with open(s.path("late.rules"), "w") as f:
            f.writelines("dlv_prepare %d error TEMP\n" % n for n in range(2, 600, 3))
        os.chmod(s.path("late.rules"), 0o644)
        text = super().sections()
        frail = text[text.index("storage mail {"):].replace("storage mail {", "storage frail {")
        return text + frail + SECTIONS % {"port": self.smtp, "dir": s.dir, "items": self.items}

    def postfix(self):
        by_smtp = "regexp:{{/\\+smtp@/ smtp:[127.0.0.1]:%d}}" % self.smtp
        return super().postfix(("smtp unix - - n - - smtp",), transport_maps=by_smtp, smtp_line_length_limit="0",
                               smtp_destination_concurrency_failed_cohort_limit="100", smtp_connect_timeout="5s",
                               smtp_data_done_timeout="60s")

    # ---- in -------------------------------------------------------------------------------------

    def nobody(self, seq):
        with self.lock:
            self.kept[seq] = "nobody%d" % seq
        return self.kept[seq]

    def mail(self, postfix, seq):
        """By Postfix: one in four goes on by SMTP, also to somebody whose store fails; one in six goes to an unknown user as well."""
        to, raw = self.message(seq)
        tag = "+smtp" if seq % 4 == 1 else ""
        if tag:
            to = sorted(set(to) | {self.rng.choice(sorted(self.late))})
        with self.lock:
            self.sent[seq] = (to, raw)
        to = to + [self.nobody(seq)] if seq % 6 == 2 else to
        postfix.send("clerk@example.org", ["%s%s@%s" % (u, tag, DOMAIN) for u in to], raw)

    def pipe(self, seq):
        to, raw = self.message(seq)
        to = [] if seq % 4 == 3 else to[:1]
        with self.lock:
            self.sent[seq] = (to, raw)
        self.pipe_until(seq, "%s@%s" % ((to or [self.nobody(seq)])[0], DOMAIN), raw)

    def deliver_killed(self, seq, rng, args, most_s):
        """A restante-deliver that is killed itself: its message may come or not."""
        to, raw = self.message(seq)
        with self.lock:
            self.sent[seq] = (to[:1], raw)
            self.killed.add(seq)
        p = subprocess.Popen([self.server.bin("restante-deliver"), *args, "-a", "%s@%s" % (to[0], DOMAIN)],
                             stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        whole = rng.random() < 0.7
        try:
            p.stdin.write(raw if whole else raw[:rng.randrange(len(raw))])
            p.stdin.flush()
            if whole:
                p.stdin.close()  # it runs to its end
            time.sleep(rng.random() * most_s)
        except BrokenPipeError:
            pass
        p.kill()
        try:
            p.stdin.close()
        except BrokenPipeError:
            pass
        p.wait()

    def feed(self, postfix, seq, rng):
        if seq % 17 == 0:
            self.deliver_killed(seq, rng, ["-s", self.socket], 0.05)
        elif seq % 5 == 0:
            self.pipe(seq)
        else:
            self.mail(postfix, seq)

    # ---- out ------------------------------------------------------------------------------------

    def out(self):
        """The number of messages that came out somewhere."""
        with self.lock:
            return len({seq for seq, _ in self.copies})

    def missing(self):
        """Copies that should have been fetched and were not."""
        return {x for x in super().missing() if x[0] not in self.killed}

    def numbered(self, item):
        at = item.raw.find(b"X-Seq: ")
        seq = int(item.raw[at + 7:item.raw.find(b"\r\n", at)]) if at >= 0 else -1
        with self.lock:
            if seq not in self.sent or item.raw[at:] != self.sent[seq][1]:
                self.wrong.append(("badmail", seq, item.raw[:300]))
            m = re.search(rb"by mx.example.test \(Postfix\) with E?SMTP id (\w+)", item.raw)
            if m:
                self.queue_ids[seq] = m.group(1).decode()
        return seq

    def refused(self):
        """(seq, nobody) -> the items that were ever in Badmail for it."""
        out = collections.defaultdict(set)
        with self.box.lock:
            items = list(self.box.items["refused"].values())
        for item in items:
            for user in item.users():
                out[self.numbered(item), user].add(item.ident)
        return out

    def unkept(self):
        return set(self.kept.items()) - set(self.refused())


class Death:
    """Kills the server throughout the run; restante-deliver works in between."""

    def __init__(self, rig, total, kills):
        self.rig, self.total, self.kills = rig, total, kills
        self.rng = random.Random("%d death" % SEED)
        self.fed = self.done = self.direct = self.direct_killed = 0
        self.seqs = itertools.count(total)
        self.error, self.where = None, []
        self.meant = threading.Event()  # this time the test ends the server
        self.thread = threading.Thread(target=self.run)
        self.watcher = threading.Thread(target=self.watch)

    def progress(self):
        return (self.fed + self.rig.out()) / (2 * self.total)

    def run(self):
        try:
            while self.done < self.kills and not self.rig.stop.is_set():
                due, end = 0.9 * (self.done + self.rng.random()) / self.kills, time.monotonic() + 60
                wait_until(lambda due=due, end=end: self.progress() >= due or time.monotonic() > end or self.rig.stop.is_set(),
                           120, "progress")
                time.sleep(self.rng.uniform(0, 0.3))
                self.where.append(self.progress())
                self.kill()
        except Exception as e:  # the test reports it
            self.give_up(e)

    def give_up(self, error):
        self.error = self.error or error
        self.rig.stop.set()  # do not wait for mail that will not come

    def watch(self):
        """Until the run is over, only the test may end the server."""
        while not self.rig.stop.wait(0.2):
            proc = self.rig.server.proc
            ended = proc.poll() is not None
            if ended and not self.meant.is_set() and proc is self.rig.server.proc:
                self.give_up(RuntimeError("the server ended by itself with %s:\n%s" % (
                    proc.returncode, self.rig.server.log()[-3000:])))

    def kill(self):
        server = self.rig.server
        if server.proc.poll() is not None:
            return  # that was not us: see watch()
        self.meant.set()
        server.proc.send_signal(signal.SIGKILL)
        server.proc.wait()
        self.done += 1
        late = []
        if self.done % 4 in (1, 3):
            late = self.without_server()
        if self.done % 4 in (2, 3):
            self.killed_without_server()
        for item in self.rig.box.waiting():
            for user in item.users():
                self.rig.retried.add((self.rig.numbered(item), user))
        server.start(120)
        self.meant.clear()
        for seq, address, raw in late:
            self.rig.pipe_until(seq, address, raw)

    def without_server(self):
        """One message by a restante-deliver of its own; returns what it could not deliver yet."""
        rig, seq = self.rig, next(self.seqs)
        to, raw = rig.message(seq)
        to = [] if seq % 4 == 3 else to[:1]
        address = "%s@%s" % ((to or [rig.nobody(seq)])[0], DOMAIN)
        with rig.lock:
            rig.sent[seq] = (to, raw)
        done = subprocess.run([rig.server.bin("restante-deliver"), "-c", rig.server.path("restante.conf"), "-a", address],
                              input=raw, capture_output=True, timeout=300)
        self.direct += done.returncode == 0
        if done.returncode not in (0, 75):
            raise RuntimeError("restante-deliver without a server: %d %r" % (done.returncode, done.stderr))
        return [(seq, address, raw)] if done.returncode else []

    def killed_without_server(self):
        self.rig.deliver_killed(next(self.seqs), self.rng, ["-c", self.rig.server.path("restante.conf")], 0.6)
        self.direct_killed += 1


def lost_replies(log):
    """(queue id, user) -> how often Postfix missed the reply."""
    return collections.Counter(re.findall(r"(\w+): to=<([^@+>]*)[^\n]*(?:may be sent more than once|"
                                          r"timed out while sending end of data)", log))


def unexplained(rig, lost, twice):
    """Copies that came more often than replies were lost."""
    def excuses(seq, user):
        return lost[rig.queue_ids.get(seq), user] + rig.doubted[seq]
    return {k: len(v) for k, v in twice.items() if len(v) - 1 > excuses(*k)}


def all_out(rig, postfix):
    """Asks Postfix to try again now: deferred mail would wait for seconds."""
    end = time.monotonic() + PATIENCE
    while rig.missing() and not rig.wrong:
        if rig.stop.is_set():
            raise RuntimeError("the run was given up")
        if time.monotonic() > end:
            raise RuntimeError("timeout waiting for all mail to come out")
        postfix.flush()
        time.sleep(1)


def bring(rig, death, postfix, feeding, clients):
    """The run. Raises when mail does not come out."""
    rng = random.Random("%d feed" % SEED)

    def feed(seq):
        death.fed += 1
        rig.feed(postfix, seq, rng)
    out = rig.clients(clients)
    rig.box.start()
    death.thread.start()
    death.watcher.start()
    join = feeders(feeding, death.total, feed)
    try:
        join()
        death.thread.join(PATIENCE)
        all_out(rig, postfix)
        wait_until(lambda: postfix.queued() == 0, 120, "Postfix to be done")
        wait_until(lambda: not rig.box.waiting(), 120, "what waits in Badmail to be delivered")
        wait_until(lambda: not rig.unkept(), 30, "what is refused to be in Badmail")
        time.sleep(1)  # copies that come twice come now
    finally:
        rig.end(out)
        death.thread.join()
        death.watcher.join()
        rig.box.end()


def check_badmail(tap, rig, store):
    rig.box.look()
    done = rig.server.ctl("--json", "badmail", "stats", timeout=60)
    said = json.loads(done.stdout or "{}").get("totals", {})
    true, halves = rig.box.on_disk()
    inserted = len(rig.box.items["refused"])
    gone = inserted - true["refused_items"]
    tap.note("%s: Badmail: %d refused items came, %d were dropped, %d are there (bound %d); %d accepted ones were seen waiting, "
             "%d were delivered" % (store, inserted, gone, true["refused_items"], rig.items, len(rig.box.items["retry"]),
                                  said.get("delivered", -1)))
    tap.ok(said and {k: said[k] for k in true} == true and not halves, "%s: Badmail's totals are what is on disk" % store,
           "%s %s %s" % (done.stdout, true, halves[:5]))
    tap.ok(not rig.box.bad, "%s: each item has its sidecar" % store, rig.box.bad[:3])
    tap.ok(true["refused_items"] <= rig.items and said.get("dropped") == gone,
           "%s: refused mail stays within its bound, what was dropped is counted" % store, "%s, %d inserted" % (said, inserted))
    waited = len(rig.box.items["retry"])  # except for items that came and went between two looks
    tap.ok(waited > 0 and true["retry_items"] == 0 and said.get("delivered", 0) >= waited,
           "%s: accepted mail waited, was delivered and counted" % store, said)


def check(tap, rig, store, death, log):
    missing, lost = rig.missing(), lost_replies(log)
    twice, refused = rig.duplicates(), rig.refused()
    refused_twice = {k: v for k, v in refused.items() if len(v) > 1}
    odd = unexplained(rig, lost, twice), unexplained(rig, lost, refused_twice)
    tap.note("%s: %d kills between %d %% and %d %% of the run; %d messages, %d copies: %d missing, %d twice; replies lost: %d by "
             "Postfix's log, %d by restante-deliver's; %d wrong; without a server: %d delivered, %d killed; seed %d" % (
                 store, death.done, 100 * min(death.where or [0]), 100 * max(death.where or [0]), len(rig.sent), len(rig.wanted()),
                 len(missing), len(twice), sum(lost.values()), sum(rig.doubted.values()), len(rig.wrong), death.direct,
                 death.direct_killed, SEED))
    tap.note("%s: twice: %d by a lost reply; %d of %d refused copies; %d copies waited in Badmail when the server died" % (
        store, len([k for k in twice if lost[rig.queue_ids.get(k[0]), k[1]] or rig.doubted[k[0]]]),
        len(refused_twice), len(rig.kept), len(rig.retried)))
    tap.ok(death.done == death.kills and not death.error, "%s: killed %d times" % (store, death.kills), death.error)
    tap.ok(not missing, "%s: nothing accepted is lost" % store, "%r\n%s" % (sorted(missing)[:5], log[-1500:]))
    tap.ok(not rig.unkept(), "%s: all %d for nobody were in Badmail" % (store, len(rig.kept)), sorted(rig.unkept())[:5])
    tap.ok(not rig.wrong, "%s: what comes out is what was sent" % store, rig.wrong[:3])
    tap.ok(not any(odd), "%s: twice only where the reply was lost (%d of %d copies)" % (store, len(twice), len(rig.wanted())),
           [(k, n, rig.queue_ids.get(k[0])) for o in odd for k, n in list(o.items())[:5]])
    check_badmail(tap, rig, store)
    tap.ok(death.direct > 0 and death.direct_killed > 0, "%s: restante-deliver worked without a server, and was killed" % store)


def run(tap, store, kills):
    _, each, users, clients, feeding, items = SIZE
    rig = KillRig(store, users, items)
    death = Death(rig, kills * each, kills)
    began = time.monotonic()
    try:
        rig.server.start()
        with rig.postfix() as postfix:
            postfix.start()
            try:
                bring(rig, death, postfix, feeding, clients)
            except RuntimeError as e:
                tap.note(str(e))
            log = postfix.log()
        check(tap, rig, store, death, log)
        tap.ok(rig.server.stop() == 0, "%s: the server ends well" % store, rig.server.log()[-2000:])
        tap.note("%s: %d s" % (store, time.monotonic() - began))
    finally:
        rig.close()


def main():
    tap = Tap()
    names = [a for a in sys.argv[1:] if not a.isdigit()]
    kills = [int(a) for a in sys.argv[1:] if a.isdigit()]
    for store in names or ["maildir", "mbox", "mysql"]:
        run(tap, store, kills[0] if kills else SIZE[0])
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
