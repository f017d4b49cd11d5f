#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Metrics count exactly what the test did: sessions, logins, cache, TLS, mail fetched, deleted, delivered, kept and dropped
by Badmail, volumes, gates, breakers, overdue calls; the same text by HTTP and by restantectl; promtool has no complaint."""
import os
import re
import smtplib
import socket
import ssl
import sys

HERE_DIR = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE_DIR, "..", "lib"))
from pop import PATIENCE, Pop, stranger  # noqa: E402
from scrape import Numbers, look, promtool  # noqa: E402
from sections import accounts, block, maildirs  # noqa: E402
from sections import hurt as storages_in_need  # noqa: E402
from server import Server, Tap, free_port, wait_until  # noqa: E402

HERE = "here.example"
LETTER = b"Subject: a letter\r\n\r\nbody\r\n.dot\r\n"


def sections(srv):
    srv.lmtp, srv.smtp = srv.listen("lmtp", tls=None), srv.listen("smtp", tls=None)
    return (accounts(srv, cache=60, cache_negative=60, domains=HERE, strip_domain="yes") + maildirs(srv, volume="roomy") +
            block("volume", "roomy", path=srv.path("state"), reserve_percent=0, reserve_octets="1m", reserve_file="64k") +
            block("volume", "tight", path=srv.path("state"), reserve_octets=8000000000000000, reserve_file=0) +
            block("volume", "gone", path=srv.path("nowhere")) +
            block("delivery", unknown_recipient="badmail", postmaster="ann") +
            block("badmail", path=srv.path("state", "bad"), max_items=10, retry_first=1, retry_max=1) +
            block("metrics", port=srv.web))


def in_need(srv):
    return accounts(srv, storage="hangs", strip_domain="yes") + storages_in_need(srv) + block("metrics", port=srv.web)


def prepare(srv, text):
    """text(srv): the sections."""
    srv.web = free_port()
    srv.passwd({u: "restante" for u in ("ann", "ben", "brk", "brk2")}, brk="storage=breaks", brk2="storage=breaks")
    for user in ("ann", "ben", "brk", "brk2"):
        srv.maildir(user, [LETTER.replace(b"\r\n", b"\n")] * 3)
    srv.configure(text(srv), default_domain=HERE)
    srv.start()


class Changes:
    """The counters a step changes, polled until they are right: a session's end is counted a moment after the client sees it."""

    def __init__(self, tap, srv):
        self.tap, self.web = tap, srv.web
        self.before = look(self.web)

    def show(self, what, rows):
        """rows: (growth, name, labels). All of them must hold at the same time."""
        def wrong():
            now = look(self.web)
            return [(name, labels, now.get(name, **labels) - self.before.get(name, **labels), growth)
                    for growth, name, labels in rows
                    if now.get(name, **labels) - self.before.get(name, **labels) != growth]
        try:
            wait_until(lambda: not wrong(), PATIENCE, what)
            self.tap.ok(True, what)
        except RuntimeError:
            self.tap.ok(False, what, "\n".join("%s%s grew by %g, not %g" % w for w in wrong()))


def pop(srv, user="ann", password="restante"):
    p = Pop(srv.clear_port, source=stranger())
    return p, p.login(user, password)


def nobody_yet(tap, srv):
    """Counters must start at 0: starting a server connects to none of its ports."""
    n = look(srv.web)
    counted = {k: v for k, v in n.all.items() if v and k[0] in ("restante_sessions_total", "restante_connections_total",
                                                                 "restante_tls_handshakes_total")}
    tap.ok(not counted, "before the first client there was none", counted)


def fetching(tap, srv):
    c = Changes(tap, srv)
    p, said = pop(srv)
    octets = sum(len(b"".join(p.lines("RETR %d" % n)).replace(b"\r\n..", b"\r\n.")) for n in (1, 2))
    p.lines("TOP 3 1")
    p.say("DELE 1")

    def parked():
        now = look(srv.web)
        return now.get("restante_sessions", protocol="pop3", state="trans", where="parked") == 1 and \
            now.get("restante_sessions_logged_in") == 1
    wait_until(parked, PATIENCE, "the session to be parked, which happens after its answer")
    tap.ok(True, "one session is parked in the TRANSACTION state")
    busy, said = pop(srv)
    tap.ok(b"[IN-USE]" in said, "a second one finds the mailbox in use", said)
    busy.close()
    p.say("QUIT")
    p.close()
    c.show("a session: fetched, deleted, another that found it in use", [
        (2, "restante_sessions_total", {"protocol": "pop3"}),
        (2, "restante_connections_total", {"result": "accepted"}),
        (1, "restante_logins_total", {"result": "accepted"}),
        (1, "restante_logins_total", {"result": "in_use"}),
        (0, "restante_logins_total", {"result": "denied"}),
        (1, "restante_credential_cache_lookups_total", {"result": "unknown"}),
        (1, "restante_credential_cache_lookups_total", {"result": "accepted"}),
        (1, "restante_credential_cache_entries", {"section": "accounts", "result": "accepted"}),
        (0, "restante_credential_cache_entries", {"section": "accounts", "result": "refused"}),
        (2, "restante_messages_retrieved_total", {}), (octets, "restante_retrieved_bytes_total", {}),
        (1, "restante_messages_deleted_total", {}), (1, "restante_commits_total", {"result": "ok"}),
        (0, "restante_sessions_without_quit_total", {}), (0, "restante_sessions", {"protocol": "pop3", "state": "trans",
                                                                                   "where": "parked"})])


def refused(tap, srv):
    c = Changes(tap, srv)
    for word in ("wrong", "wrong"):
        p, said = pop(srv, "ben", word)
        assert said.startswith(b"-ERR"), said
        p.say("XYZZY")
        p.close()
    p, said = pop(srv)
    p.say("DELE 1")
    p.close()
    c.show("wrong passwords, bad commands, and a session without QUIT", [
        (2, "restante_logins_total", {"result": "denied"}), (1, "restante_logins_total", {"result": "accepted"}),
        (2, "restante_credential_cache_entries", {"section": "accounts", "result": "refused"}),
        (2, "restante_bad_commands_total", {}), (1, "restante_sessions_without_quit_total", {}),
        (0, "restante_messages_deleted_total", {}), (0, "restante_commits_total", {"result": "ok"})])


def traffic(tap, srv):
    c = Changes(tap, srv)
    with Pop(srv.clear_port) as p:
        got = len(p.greeting) + len(p.say("NOOP")) + len(p.say("QUIT"))
    c.show("octets of a session, both ways", [(len(b"NOOP\r\nQUIT\r\n"), "restante_session_received_bytes_total", {}),
                                              (got, "restante_session_sent_bytes_total", {})])


def tls(tap, srv):
    c = Changes(tap, srv)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3):
        ctx = ssl.create_default_context(cafile=srv.path("cert.pem"))
        ctx.minimum_version = ctx.maximum_version = version
        with socket.create_connection(("127.0.0.1", srv.tls_port), PATIENCE) as s:
            with ctx.wrap_socket(s, server_hostname="localhost") as t:
                assert t.recv(100).startswith(b"+OK")
    with socket.create_connection(("127.0.0.1", srv.tls_port), PATIENCE) as s:
        s.sendall(b"USER ann\r\n")
        while s.recv(100):
            pass
    c.show("TLS by version, and one that was none", [
        (1, "restante_tls_handshakes_total", {"result": "completed", "version": "1.2"}),
        (2, "restante_tls_handshakes_total", {"result": "completed", "version": "1.3"}),
        (1, "restante_tls_handshakes_total", {"result": "failed", "version": "none"})])


def lmtp(srv, rcpts, body=LETTER):
    with smtplib.LMTP("127.0.0.1", srv.lmtp) as c:
        c.ehlo("test")
        c.mail("sender@far.example")
        took = [r for r in rcpts if c.rcpt(r)[0] == 250]
        if took:
            c.putcmd("data")
            c.getreply()
            c.send(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            return [c.getreply()[0] for _ in took]
        return []


def delivering(tap, srv):
    c = Changes(tap, srv)
    tap.ok(lmtp(srv, ["ann", "ben", "x@[127.0.0.1]"]) == [250, 250], "a message is delivered to two, the third is not one of our users")
    os.rename(srv.path("mail"), srv.path("away"))
    tap.ok(lmtp(srv, ["ann"]) == [451], "and deferred when the store fails")
    os.rename(srv.path("away"), srv.path("mail"))
    c.show("what came in", [
        (2, "restante_sessions_total", {"protocol": "lmtp"}), (2, "restante_delivery_messages_total", {}),
        (2 * len(LETTER), "restante_delivery_received_bytes_total", {}),
        (3, "restante_delivery_recipients_total", {"result": "accepted"}),
        (1, "restante_delivery_recipients_total", {"result": "refused"}),
        (2, "restante_delivery_copies_total", {"result": "accepted"}),
        (1, "restante_delivery_copies_total", {"result": "deferred"}),
        (0, "restante_delivery_copies_total", {"result": "refused"}), (0, "restante_badmail_items", {"class": "retry"})])


def kept_sizes(srv):
    """The octets each item counts for, in the order of arrival: its message and 1024 more."""
    files = sorted(os.path.join(d, f) for d, _, names in os.walk(srv.path("state", "bad", "refused")) for f in names)
    return [os.path.getsize(f) + 1024 for f in files if f.endswith(".eml")]


def bounded(tap, srv):
    refused_ = {"class": "refused"}
    c = Changes(tap, srv)
    for k in range(10):
        assert lmtp(srv, ["nobody%d" % k]) == [250]
    first = kept_sizes(srv)
    for k in range(3):
        assert lmtp(srv, ["somebody%d" % k]) == [250]
    c.show("thirteen to nobody: all kept, three dropped for their number", [
        (10, "restante_badmail_items", refused_), (sum(kept_sizes(srv)), "restante_badmail_bytes", refused_),
        (13, "restante_badmail_kept_total", refused_), (3, "restante_badmail_dropped_total", {"reason": "count"}),
        (0, "restante_badmail_dropped_total", {"reason": "size"}), (0, "restante_badmail_dropped_total", {"reason": "age"}),
        (sum(first[:3]), "restante_badmail_dropped_bytes_total", {})])
    now = look(srv.web)
    tap.ok(now.get("restante_badmail_max_items") == 10 and now.get("restante_badmail_max_bytes") == 1 << 30,
           "its bounds are those of the configuration")
    wait_until(lambda: look(srv.web).get("restante_badmail_oldest_age_seconds", **refused_) > 0, PATIENCE,
               "the age of the oldest")
    tap.ok(look(srv.web).get("restante_badmail_oldest_age_seconds", **refused_) < 3600, "the oldest has an age")


def waiting(tap, srv):
    """Mail that SMTP accepted and the store did not take waits; five of ten close the door."""
    retry = {"class": "retry"}
    c = Changes(tap, srv)
    os.rename(srv.path("mail"), srv.path("away"))
    said = []
    for _ in range(7):
        with smtplib.SMTP("127.0.0.1", srv.smtp) as s:
            s.ehlo("test")
            code = s.mail("sender@far.example")[0]
            if code == 250:
                s.rcpt("ann")
                code = s.data(LETTER)[0]
            said.append(code)
    tap.ok(said == [250] * 5 + [451] * 2, "five wait, then the door is closed", said)
    c.show("mail that waits", [(5, "restante_badmail_items", retry), (5, "restante_badmail_kept_total", retry),
                               (1, "restante_badmail_door_closed", {}), (2, "restante_badmail_door_closed_total", {}),
                               (0, "restante_badmail_retries_total", {"result": "delivered"})])

    def tried():
        n = look(srv.web)
        return n.get("restante_badmail_retries_total", result="failed") >= 5 and \
            n.get("restante_badmail_oldest_age_seconds", **retry) > 1
    wait_until(tried, PATIENCE, "five retries")
    os.rename(srv.path("away"), srv.path("mail"))
    c.show("and is delivered when the store is back", [
        (5, "restante_badmail_retries_total", {"result": "delivered"}), (0, "restante_badmail_items", retry),
        (0, "restante_badmail_door_closed", {})])
    wait_until(lambda: look(srv.web).get("restante_badmail_oldest_age_seconds", **retry) == 0, PATIENCE, "nothing to be old")


def volumes(tap, srv):
    n = look(srv.web)
    fs = os.statvfs(srv.path("state"))

    def state(volume):
        return [s for s in ("ok", "below_reserve", "read_only", "not_mounted", "error")
                if n.get("restante_volume_state", volume=volume, state=s) == 1]
    tap.ok(state("roomy") == ["ok"] and state("tight") == ["below_reserve"] and state("gone") == ["error"],
           "volumes: one is well, one is below its reserve, one is not there")
    tap.ok(n.get("restante_volume_size_bytes", volume="roomy") == fs.f_blocks * fs.f_frsize and
           n.get("restante_volume_reserve_bytes", volume="roomy") == 1 << 20 and
           n.get("restante_volume_reserve_bytes", volume="tight") == 8e15 and
           n.get("restante_volume_reserve_file_bytes", volume="roomy") == 65536 and
           n.get("restante_volume_refused_total", volume="roomy") == 0, "sizes are those of the disk and of the configuration")


def events(tap, srv):
    """Modules have counters of their own, which start at 0."""
    ledger = srv.path("mail", "ben", "restante-ledger")
    c = Changes(tap, srv)
    tap.ok('restante_module_events_total{section="mail",counter="commits_finished"} 0\n' in look(srv.web).text,
           "what has not happened yet is 0, not missing")
    with open(ledger, "rb") as f:
        lines = f.readlines()
    with open(ledger, "ab") as f:
        f.write(b"nonsense\n" + lines[-1])
    p, _ = pop(srv, "ben")
    p.say("QUIT")
    p.close()
    c.show("a damaged line of a ledger", [(1, "restante_module_events_total", {"section": "mail", "counter": "ledger_damaged"})])
    tap.ok(srv.events("mail")["ledger_damaged"] == 1, "restantectl modules shows it")


def caches(tap, srv):
    n = look(srv.web)
    m = next(m for m in srv.json("modules")["modules"] if m["section"] == "accounts")
    tap.ok(n.get("restante_credential_cache_places", section="accounts") == m["cache_size"] == 10000 and
           n.get("restante_credential_cache_entries", section="accounts", result="accepted") == m["cached"] == 2 and
           n.get("restante_credential_cache_entries", section="accounts", result="refused") == m["cached_refusals"],
           "caches: places, and what is in them; restantectl modules says the same", m)
    said = srv.ctl("modules").stdout
    tap.ok(re.search(r"mail +ledger_damaged +1\n", said) and "CACHED" in said and "commits_stuck" not in said,
           "as a table: what is cached, and events that happened", said)


def values(srv):
    return {v for _, pairs in look(srv.web).all for _, v in pairs}


def reloads(tap, srv):
    c = Changes(tap, srv)
    conf = srv.path("restante.conf")
    good = open(conf).read()
    tap.ok(srv.ctl("reload").returncode == 0, "a reload")
    with open(conf, "a") as f:
        f.write("nonsense = 1\n")
    tap.ok(srv.ctl("reload").returncode == 1, "a refused one")
    with open(conf, "w") as f:
        f.write(good)
    c.show("reloads", [(1, "restante_reloads_total", {"result": "ok"}), (1, "restante_reloads_total", {"result": "failed"})])
    with open(conf, "w") as f:
        f.write(re.sub(r"volume gone \{[^}]*\}", "auth late {\nmodule = passwd\nfile = %s\nstorage = mail\ndomains = here.example\n}" %
                       srv.path("passwd"), good))
    tap.ok(srv.ctl("reload").returncode == 0 and "late" in values(srv) and "gone" not in values(srv),
           "a section that was added is there, a volume that was removed is gone", values(srv))
    with open(conf, "w") as f:
        f.write(good)
    tap.ok(srv.ctl("reload").returncode == 0 and "gone" in values(srv) and "late" not in values(srv), "and back again")


def gates(tap, srv):
    auth, mail = {"kind": "auth", "section": "accounts"}, {"kind": "storage", "section": "mail"}
    c = Changes(tap, srv)
    p, _ = pop(srv, "ben")
    p.say("QUIT")
    p.close()
    c.show("a login is one call of its auth section", [(1, "restante_gate_calls_total", auth),
                                                       (1, "restante_gate_call_duration_seconds_count", auth)])
    n = look(srv.web)
    buckets = [v for (name, labels), v in n.all.items()
               if name == "restante_gate_call_duration_seconds_bucket" and set(mail.items()) <= set(labels)]
    tap.ok(buckets == sorted(buckets) and len(buckets) == 14 and
           buckets[-1] == n.get("restante_gate_call_duration_seconds_count", **mail) > 0 and
           n.get("restante_gate_call_duration_seconds_bucket", le="+Inf", **mail) == buckets[-1],
           "buckets are sums, the last one is all", buckets)
    tap.ok(n.get("restante_gate_breaker_state", state="closed", **mail) == 1 and
           n.get("restante_gate_breaker_state", state="open", **mail) == 0, "its breaker is closed")
    tap.ok(n.get("restante_workers") == 32 and n.get("restante_workers_busy") <= 32, "workers")


def text(tap, srv):
    by_http, by_ctl = look(srv.web), Numbers(srv.ctl("metrics").stdout)
    tap.ok(promtool(by_http.text) == "", "promtool check metrics is content", promtool(by_http.text))
    tap.ok(set(by_http.all) == set(by_ctl.all) and
           [line for line in by_http.text.splitlines() if line.startswith("#")] ==
           [line for line in by_ctl.text.splitlines() if line.startswith("#")],
           "restantectl metrics has the same families and series", set(by_http.all) ^ set(by_ctl.all))
    kinds = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", by_http.text))
    tap.ok(all(name.endswith("_total") == (kind == "counter") for name, kind in kinds.items()),
           "counters end in _total, nothing else does", kinds)
    helps = re.findall(r"(?m)^# HELP (\S+) \S", by_http.text)
    tap.ok(sorted(helps) == sorted(kinds), "each has HELP and TYPE, once")
    labels = {k for _, pairs in by_http.all for k, _ in pairs}
    values = {v for _, pairs in by_http.all for _, v in pairs}
    tap.ok(labels == {"version", "protocol", "state", "where", "result", "reason", "kind", "section", "line", "le", "volume",
                      "class", "counter"} and not [v for v in values if re.search(r"\bann\b|ben|body\d|example|127|@|/", v)],
           "labels are fixed words and names of the configuration: nobody's name or address", (labels, values))


def documented(tap, srv):
    """doc/admin.md has each family with its type and labels, and no other."""
    with open(os.path.join(HERE_DIR, "..", "..", "doc", "admin.md")) as f:
        rows = re.findall(r"(?m)^\| `(\w+)(?:\{([\w,]+)\})?` \| (counter|gauge|histogram) \|", f.read())
    kinds = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", look(srv.web).text))
    labels = {name: set() for name in kinds}
    for sample, pairs in look(srv.web).all:
        name = sample if sample in kinds else sample.rpartition("_")[0]
        labels[name] |= {k for k, _ in pairs}
    served = {(name, kind, frozenset(labels[name])) for name, kind in kinds.items()}
    told = {(name, kind, frozenset(keys.split(",") if keys else ())) for name, keys, kind in rows}
    tap.ok(served == told and len(told) == len(rows), "doc/admin.md explains each family, with its type and labels, and no other",
           sorted(map(str, served ^ told)))


def hurt(tap, srv):
    """A module that hangs, and one whose backend is down."""
    c = Changes(tap, srv)
    hangs, breaks = {"kind": "storage", "section": "hangs"}, {"kind": "storage", "section": "breaks"}
    for name in ("brk", "brk2"):
        p, said = pop(srv, name)
        tap.ok(b"[SYS/TEMP]" in said, "%s: the store is down" % name, said)
        p.close()
    c.show("the breaker opens after two failures", [
        (2, "restante_gate_backend_failures_total", breaks), (1, "restante_gate_breaker_trips_total", breaks),
        (1, "restante_gate_breaker_state", dict(state="open", **breaks)),
        (-1, "restante_gate_breaker_state", dict(state="closed", **breaks)),
        (2, "restante_logins_total", {"result": "backend_failed"})])
    p, said = pop(srv, "brk")
    p.close()
    c.show("and refuses the next", [(1, "restante_gate_refused_total", breaks)])
    p = Pop(srv.clear_port, source=stranger())
    p.say("USER ann")
    p.file.write(b"PASS restante\r\n")
    p.file.flush()
    c.show("a call that hangs is overdue, and metrics still come", [
        (1, "restante_calls", {}), (1, "restante_calls_overdue", {}), (1, "restante_gate_overdue_calls_total", hangs),
        (1, "restante_gate_in_use", hangs)])
    open(srv.path("release"), "w").close()
    c.show("it comes back", [(0, "restante_calls_overdue", {}), (1, "restante_gate_overdue_calls_total", hangs),
                             (0, "restante_gate_in_use", hangs)])
    p.close()


def text_of_hurt(tap, srv):
    said = promtool(look(srv.web).text)
    tap.ok(said == "", "promtool is content with a server in need", said)


def run(tap, steps, text):
    with Server() as srv:
        prepare(srv, text)
        for step in steps:
            step(tap, srv)
        srv.ends(tap)


def main():
    tap = Tap()
    run(tap, [nobody_yet, fetching, refused, traffic, tls, delivering, bounded, volumes, gates, events, caches, reloads, text, waiting, documented], sections)
    run(tap, [hurt, text_of_hurt], in_need)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
