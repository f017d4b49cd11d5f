#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mail in a Galera cluster: two restanted behind a real HAProxy (PROXY version 2), clients that fetch and delete,
deliverers that speak LMTP, while nodes and hosts are killed and frozen. Every answer to a client is compared with
the rows that are there afterwards; tests/lib/witness.py has the rules.

  galera.py            two nodes, one of which is killed and frozen under load: the quick tier
  ALL=yes galera.py    three nodes, GALERA_ROUNDS (20) rounds of kill and stop on each, 50 clients, 10 deliverers
"""
import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from galera import Beside, Galera, catch_commit  # noqa: E402
from galera_clients import PATIENCE, SECRET, Clients, Lost, enter, leave, look, now  # noqa: E402
from haproxy import HAProxy  # noqa: E402
from server import Server, Tap, free_port, wait_until  # noqa: E402
from witness import Witness  # noqa: E402

LEASE_S = 30  # the shortest lease_time allowed


# ---- the two hosts and the proxy in front of them --------------------------------------------------

class Site:
    def __init__(self, cluster, users):
        self.cluster, self.users = cluster, users
        self.hosts = {}
        orders = {"a": [n.number for n in cluster.nodes], "b": [n.number for n in reversed(cluster.nodes)]}
        for name, order in orders.items():
            srv = self.hosts[name] = Server()
            srv.behind, srv.lmtp = free_port(), free_port()
            srv.extra_listeners = "".join(
                "listener %s {\n %saddress = 127.0.0.1\n port = %d\n tls = none\n%s proxy = required\n proxy_from = 127.0.0.2\n}\n"
                % (n, p, port, q) for n, p, port, q in (("behind", "", srv.behind, " plaintext_login = allow\n"),
                                                        ("lmtp", "protocol = lmtp\n ", srv.lmtp, "")))
            accounts = srv.passwd({u: SECRET for u in users})
            srv.configure("auth accounts {\n module = passwd\n file = %s\n allow_plain = yes\n storage = mail\n}\n"
                          % accounts + cluster.section(order=order, lease_time="%ds" % LEASE_S, breaker_open_ms="1s",
                                                       query_timeout="3s", permits=12),
                          hostname=name, apop="yes", workers=32, takeover=86400)
            srv.start()
        self.pop, self.lmtp = free_port(), free_port()
        text = ""
        for name, port, attr in (("pop", self.pop, "behind"), ("lmtp", self.lmtp, "lmtp")):
            text += "listen %s\n bind 127.0.0.1:%d\n balance roundrobin\n option tcp-check\n tcp-check expect rstring %s\n" % (
                name, port, "^\\+OK" if name == "pop" else "^220")
            text += "".join(" server %s 127.0.0.1:%d send-proxy-v2 source 127.0.0.2 check check-send-proxy inter 500ms"
                            " fall 2 rise 1\n" % (h, getattr(s, attr)) for h, s in self.hosts.items())
        self.proxy = HAProxy(self.hosts["a"].dir, text)
        wait_until(self.both_up, 30, "HAProxy to see both hosts")

    def both_up(self):
        rows = self.proxy.servers()
        return len(rows) == 4 and all(r["status"] == "UP" for r in rows.values())

    def close(self):
        """Whether both hosts ended cleanly."""
        codes = [s.stop(60) for s in self.hosts.values()]
        self.proxy.close()
        for s in self.hosts.values():
            s.close()
        return codes == [0, 0]


# ---- nodes and hosts fail ----------------------------------------------------------------------------

def disturb(cluster, node, how, rng):
    """One node is killed or frozen, when a COMMIT is under way there if one comes; then the cluster is whole again.
    Whether a COMMIT was seen."""
    hit = catch_commit(node, 2)
    if how == "kill":
        node.kill()
        time.sleep(rng.random())  # for how long it is away, not a wait for anything
        node.start()
    else:
        node.freeze()
        try:
            time.sleep(rng.choice((0.3, 1.5, 4, 8)))  # shorter and longer than the group's patience
        finally:
            node.thaw()
    cluster.whole()
    return hit


class Holder:
    """A session that has marked everything, and sends QUIT only when told."""

    def __init__(self, site, witness, user, want):
        self.witness = witness

        def inside():
            try:
                line, s = enter(site, user)
                if line and s.host != want:
                    line.say("QUIT")
                    line.close()
                    return False
            except Lost:
                return False
            self.line, self.s = line, s
            return line is not None
        wait_until(inside, PATIENCE, "a session on host " + want)
        numbers = look(witness, self.line, self.s, random.Random(0))
        self.s.marked = frozenset(u for k, u in numbers.items() if self.line.say("DELE %d" % k).startswith(b"+OK"))

    def end(self):
        try:
            leave(self.line, self.s)
        except Lost:
            pass  # QUIT was sent, and no answer came
        self.witness.session(self.s)
        return self.s.outcome


def freeze_host(tap, site, witness, name, user, node, rng):
    """A host is frozen for longer than its lease; its maildrop is taken over on the other one, a node is killed in
    that moment; then the host goes on and its client says QUIT."""
    srv = site.hosts[name]
    other = next(h for h in site.hosts if h != name)
    holder = Holder(site, witness, user, name)
    begin = now()
    srv.proc.send_signal(signal.SIGSTOP)
    try:
        taken = []

        def take():
            try:
                taken[:] = [Holder(site, witness, user, other)]
            except RuntimeError:
                pass  # asked again
            return bool(taken)
        time.sleep(LEASE_S)
        killer = Beside(disturb, site.cluster, node, "kill", rng)
        wait_until(take, 240, "the maildrop to be taken over")
        killer.join(240)
    finally:
        srv.proc.send_signal(signal.SIGCONT)
    witness.outage(name, begin, now())
    stale = holder.end()
    tap.ok(stale != "committed" or not holder.s.marked, "%s: a frozen host's maildrop was taken over; its client deletes nothing"
           % user, stale)
    fresh = taken[0].end()
    tap.ok(fresh in ("committed", "unknown"), "%s: the new holder can" % user, fresh)
    wait_until(site.both_up, 60, "HAProxy to see both hosts")


def kill_host(site, witness, name):
    srv = site.hosts[name]
    begin = now()
    srv.proc.kill()
    srv.proc.wait()
    srv.start(60)
    # its maildrops are free at once, not only after the lease: its clients may notice late
    witness.outage(name, begin - LEASE_S, now() + 5)
    wait_until(site.both_up, 60, "HAProxy to see both hosts")


# ---- afterwards ---------------------------------------------------------------------------------------

ROWS = ("SELECT b.user_key, m.uidl, SUBSTRING_INDEX(SUBSTRING_INDEX(CONVERT(c.data USING latin1), 'X-Id: ', -1), '\\r', 1)"
        " FROM mail_message m JOIN mail_box b ON b.id = m.mailbox LEFT JOIN mail_chunk c ON c.body = m.body AND c.seq ="
        " (SELECT MIN(seq) FROM mail_chunk WHERE body = m.body) ORDER BY 1, 2")


def rows_of(node, users):
    found = {u: {} for u in users}
    for key, uidl, ident in node.sql(ROWS, timeout=120):
        found.setdefault(key, {})[uidl] = ident
    return found


def fetch_rows(site, witness, user):
    """The same by POP3."""
    got = {}

    def once():
        try:
            line, s = enter(site, user)
            if not line:
                return False
            look(witness, line, s, random.Random(1))
            leave(line, s)
        except Lost:
            return False
        got.update({u: witness.name(user, u) for u in s.seen})
        return True
    wait_until(once, 120, "the maildrop of " + user)
    return got


def judge(tap, site, witness, users, clients):
    cluster = site.cluster
    cluster.whole()
    tables = [rows_of(n, users) for n in cluster.nodes]
    tap.ok(all(t == tables[0] for t in tables), "all nodes have the same mail")
    got = {u: fetch_rows(site, witness, u) for u in users}
    tap.ok(got == tables[0], "POP3 shows the same", [u for u in users if got[u] != tables[0][u]])
    counted = cluster.sql("SELECT b.user_key, b.messages, COUNT(m.pos) AS n FROM mail_box b LEFT JOIN mail_message m"
                          " ON m.mailbox = b.id AND m.hidden_until IS NULL GROUP BY b.id HAVING b.messages <> n")
    tap.ok(counted == [], "the counters are right", counted)
    bad = witness.judge(tables[0], LEASE_S)
    tap.note("refused to read: %s" % {k.decode(errors="replace"): n for k, n in sorted(witness.refusals.items())})
    tap.note("seen: " + ", ".join("%d %s" % (n, w) for w, n in sorted(clients.counts.items(), key=lambda x: x[0])))
    tap.ok(not bad, "every reply agrees with the rows: %d sessions, %d messages" % (
        len(witness.sessions), len(witness.deliveries)), "\n".join(bad[:30]))
    there = {i for rows in tables[0].values() for i in rows.values()}
    again = sum(1 for (i, u), (o, w) in witness.deliveries.items() if o == "refused" and i in there)
    tap.note("%d messages are there though the sender was told to try again" % again)
    tap.ok(clients.counts.get("session committed", 0) > 0 and clients.counts.get("message accepted", 0) > 0,
           "there was something to compare", clients.counts)


def run(tap, nodes, users, clients, deliverers, pause, rounds):
    cluster = Galera(nodes)
    site = None
    try:
        site = Site(cluster, users)
        witness, rng = Witness(), random.Random(4711)
        load = Clients(site, witness, users, clients, deliverers, pause)
        wait_until(lambda: load.counts.get("session committed", 0) > 20 and load.counts.get("message accepted", 0) > 20,
                   60, "the load")
        try:
            rounds(tap, site, witness, rng, load)
        finally:
            load.end()
        judge(tap, site, witness, users, load)
        clean = site.close()
        site = None
        tap.ok(clean, "both hosts end cleanly")
    finally:
        if site:
            for name, s in site.hosts.items():
                tap.note("log of %s:\n%s" % (name, "\n# ".join(s.log().splitlines()[-15:])))
            site.close()
        cluster.close()


def quick(tap, site, witness, rng, load):
    node = site.cluster.nodes[1]
    for how in ("kill", "freeze"):
        disturb(site.cluster, node, how, rng)
        tap.ok(True, "a node that was hit by %s is back" % how)


def long(tap, site, witness, rng, load):
    rounds, hits, tries = int(os.environ.get("GALERA_ROUNDS") or 20), 0, 0
    holders = ["h%d" % i for i in range(8)]
    for r in range(rounds):
        start = now()
        for node in site.cluster.nodes:
            for how in ("kill", "freeze"):
                hits += disturb(site.cluster, node, how, rng)
                tries += 1
        if r % 4 == 1:
            freeze_host(tap, site, witness, "ab"[r // 4 % 2], holders[r % 8], rng.choice(site.cluster.nodes), rng)
        if r % 2 == 0:
            kill_host(site, witness, "ab"[r // 2 % 2])
        tap.ok(True, "round %d: %d s" % (r + 1, now() - start))
    tap.note("%d of %d times a COMMIT was under way on the node that was hit" % (hits, tries))


def main():
    tap = Tap()
    users = ["u%d" % i for i in range(20)]
    if os.environ.get("ALL") == "yes":
        run(tap, 3, users + ["h%d" % i for i in range(8)], 50, 10, 1.5, long)
    else:
        run(tap, 2, users[:6], 8, 3, 0.5, quick)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
