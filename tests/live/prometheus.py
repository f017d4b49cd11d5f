#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes a server and has figures for all the test did; the rules we ship are loaded, name only metrics
that exist, and one fires when its volume is below the reserve."""
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from metrics import LETTER, lmtp, pop, prepare, sections  # noqa: E402
from scrape import look  # noqa: E402
from server import Server, Tap, free_port, wait_until  # noqa: E402

RULES = os.path.join(os.environ.get("top_srcdir", os.path.join(HERE, "..", "..")), "conf", "examples", "prometheus-alerts.yml")
PATIENCE = 90
CONF = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: [%(rules)s]
scrape_configs:
  - job_name: restante
    static_configs:
      - targets: ["127.0.0.1:%(web)d"]
"""


class Prometheus:
    def __init__(self, srv):
        self.port = free_port()
        self.log = srv.path("prometheus.log")
        with open(srv.path("prometheus.yml"), "w") as f:
            f.write(CONF % {"rules": RULES, "web": srv.web})
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(
                ["prometheus", "--config.file=" + srv.path("prometheus.yml"), "--storage.tsdb.path=" + srv.path("tsdb"),
                 "--web.listen-address=127.0.0.1:%d" % self.port], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, what, **args):
        url = "http://127.0.0.1:%d/api/v1/%s?%s" % (self.port, what, urllib.parse.urlencode(args))
        try:
            with urllib.request.urlopen(url, timeout=60) as r:
                return json.load(r)["data"]
        except OSError:
            if self.proc.poll() is not None:
                raise RuntimeError("prometheus ended:\n" + open(self.log).read()[-2000:])
            return None

    def value(self, query):
        """The value of a query with one result; None: there is none (yet)."""
        data = self.get("query", query=query)
        result = data["result"] if data else []
        return float(result[0]["value"][1]) if len(result) == 1 else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.terminate()
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()


def act(srv):
    for _ in range(3):
        p, said = pop(srv)
        assert said.startswith(b"+OK"), said
        p.lines("RETR 1")
        p.say("QUIT")
        p.close()
    for k in range(4):
        assert lmtp(srv, ["nobody%d" % k]) == [250]


def queries(tap, prom):
    for query, want in (('restante_logins_total{result="accepted"}', 3), ("restante_messages_retrieved_total", 3),
                        ("restante_retrieved_bytes_total", 3 * len(LETTER)),
                        ('restante_badmail_items{class="refused"}', 4), ('restante_badmail_items{class="retry"}', 0),
                        ('restante_volume_state{volume="tight",state="below_reserve"}', 1),
                        ('restante_volume_state{volume="roomy",state="ok"}', 1),
                        ("count(restante_volume_state == 1)", 3), ('restante_sessions_total{protocol="lmtp"}', 4),
                        ('up{job="restante"}', 1), ("sum(restante_gate_breaker_state{state=\"closed\"})", 4),
                        ('histogram_quantile(1, restante_gate_call_duration_seconds_bucket{section="mail"}) < bool 61', 1)):
        seen = []

        def as_wanted():
            seen.append(prom.value(query))
            return seen[-1] == want
        try:
            wait_until(as_wanted, PATIENCE, query)
        except RuntimeError:
            pass
        tap.ok(seen[-1] == want, "%s is %g" % (query, want), seen[-1])


def target(tap, prom):
    seen = []

    def well():
        seen[:] = (prom.get("targets") or {}).get("activeTargets") or []
        return seen and seen[0]["health"] == "up" and not seen[0]["lastError"]
    wait_until(well, PATIENCE, "a scrape that was not late")
    tap.ok(True, "the scrape is well", seen)
    data = prom.get("metadata", metric="restante_logins_total")
    tap.ok(data["restante_logins_total"][0]["type"] == "counter" and "by result" in data["restante_logins_total"][0]["help"],
           "with type and help", data)


def rules(tap, srv, prom):
    p = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True)
    tap.ok(p.returncode == 0 and "SUCCESS" in p.stdout, "promtool check rules", p.stdout + p.stderr)
    used = set(re.findall(r"\brestante_[a-z_]+", open(RULES).read()))
    tap.ok(len(used) > 15 and not used - look(srv.web).names(), "the rules name metrics there are",
           used - look(srv.web).names())
    shape = re.compile(r'(restante_[a-z_]+)\{([a-z_]+)(=|!=)"([a-z_]+)"\}')
    have = {(name, k, v) for name, pairs in look(srv.web).all for k, v in pairs}
    missing = [m for m in shape.findall(open(RULES).read()) if (m[0], m[1], m[3]) not in have]
    tap.ok(not missing and len(shape.findall(open(RULES).read())) >= 8, "and labels there are", missing)

    def firing():
        data = prom.get("alerts")
        return {(a["labels"]["alertname"], a["labels"].get("volume")) for a in data["alerts"]} if data else set()
    wait_until(lambda: {("RestanteVolume", "tight"), ("RestanteVolume", "gone")} <= firing(), PATIENCE, "the alerts of the volumes")
    tap.ok(("RestanteVolume", "gone") in firing() and ("RestanteVolume", "roomy") not in firing(),
           "RestanteVolume: for the volumes that take no mail, and only for them", firing())
    tap.ok(all(g["type"] == "alerting" and g["health"] in ("ok", "unknown") for group in prom.get("rules")["groups"]
               for g in group["rules"]), "every rule can be evaluated")


def main():
    tap = Tap()
    with Server() as srv:
        prepare(srv, sections)
        with Prometheus(srv) as prom:
            act(srv)
            queries(tap, prom)
            target(tap, prom)
            rules(tap, srv, prom)
        srv.ends(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
