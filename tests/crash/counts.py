#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A domain's count in processes that are killed: its limit is never passed; a count that may be wrong says so, and can only
be too high; if nobody dies it is exact, however many processes take and give back at once."""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from keeper import Keeper, PROGRAM  # noqa: E402
from server import Tap  # noqa: E402

CONF = "domain example.org {\n domain_messages = %d\n domain_octets = 100000\n}\n"
DOMAIN = "example.org"


def keeper(limit=10):
    d = tempfile.mkdtemp(prefix="rst-counts.", dir="/tmp")
    k = Keeper(d, CONF % limit)
    k.run(["set %s 0 0" % DOMAIN])
    return k


def usage(k):
    octets, msgs, sure, under_way = k.run(["usage " + DOMAIN])[0].split()
    return int(octets), int(msgs), sure, int(under_way)


def limits(tap):
    k = keeper(3)
    try:
        out = k.run(["take example.org 10", "keep", "take example.org 10", "back", "take example.org 10", "keep", "take example.org 10",
                     "keep", "take example.org 10", "usage example.org"])
        tap.ok(out[-1].startswith("30 3 sure") and out[-2].startswith("QUOTA"), "three of three, then PM_QUOTA; what came back is free", out)
        out = k.run(["drop example.org 20 2", "keep", "take example.org 99991", "take example.org 99990", "back"])
        tap.ok(out[2].startswith("QUOTA") and out[3].startswith("OK"), "octets are exact to one", out)
        out = k.run(["drop example.org 500 50", "keep", "usage example.org"])
        tap.ok(out[-1].startswith("0 0 doubtful"), "more goes than was counted: never below zero, and doubtful", out)
    finally:
        shutil.rmtree(k.dir)


def at_once(tap):
    """Four processes, a thousand times each: nothing is left over; and a limit of one means one."""
    k = keeper(10000)
    try:
        procs = [subprocess.Popen([PROGRAM, k.conf], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        outs = [p.communicate("hold 500\n")[0] for p in procs]
        tap.ok(outs == ["0\n"] * 4 and usage(k) == (0, 0, "sure", 0), "four processes take and give back: the count is exact",
               (outs, usage(k)))
    finally:
        shutil.rmtree(k.dir)
    k = keeper(7)
    try:
        procs = [subprocess.Popen([PROGRAM, k.conf], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        for p in procs:
            p.stdin.write("take example.org 1\nkeep\n" * 5)
            p.stdin.close()
        taken = sum(p.stdout.read().count("OK") for p in procs)
        for p in procs:
            p.wait()
            p.stdout.close()
        tap.ok(taken == 7 and usage(k)[:3] == (7, 7, "sure"), "four processes race for seven places: seven have one", (taken, usage(k)))
    finally:
        shutil.rmtree(k.dir)


def killed(tap, name, prepare, lines, least, most):
    """A message is there or not: the count is between `least` and `most`, and is doubtful unless it is exact."""
    deaths, wrong = 0, []
    for point in range(1, 60):
        k = keeper()
        try:
            k.run(prepare)
            k.run(lines, kill_point=point, check=False)
            if k.rc == 0:
                break
            deaths, rc = deaths + 1, k.rc
            octets, msgs, sure, under_way = usage(k)
            if rc != 99 or not least <= msgs <= most or octets != msgs * 10 or under_way:
                wrong.append("point %d: exit %d, %d messages, %d octets, %s" % (point, rc, msgs, octets, sure))
            if sure == "sure" and msgs not in (least, most):
                wrong.append("point %d: sure of %d" % (point, msgs))
            k.run(["take example.org 10", "keep"])
            if usage(k)[1] != msgs + 1:
                wrong.append("point %d: the next one is not counted" % point)
        finally:
            shutil.rmtree(k.dir)
    tap.ok(deaths >= 3 and not wrong, "%s: %d deaths" % (name, deaths), "\n".join(wrong) or deaths)


def no_disk(tap):
    k = keeper()
    try:
        shutil.rmtree(k.path("state", "quota"))
        os.rmdir(k.path("state"))
        with open(k.path("state"), "w") as f:
            f.write("in the way")
        out = k.run(["take example.org 10", "drop example.org 10 1", "keep"])
        tap.ok(out == ["TEMP the count of domain example.org cannot be kept", "ok", "ok"],
               "the count cannot be kept: mail is not taken on, deleting goes on", out)
        tap.ok("cannot be kept" in k.said and "quota/example.org" in k.said, "and the log says which file", k.said)
    finally:
        shutil.rmtree(k.dir)


def main():
    tap = Tap()
    limits(tap)
    at_once(tap)
    probe = keeper()
    probe.run(["take example.org 1"], kill_point=1, check=False)
    shutil.rmtree(probe.dir)
    if probe.rc == 99:
        five = ["take example.org 10", "keep"] * 5
        killed(tap, "a delivery dies", five, ["take example.org 10", "keep"], 5, 6)
        killed(tap, "a deletion dies", five, ["drop example.org 20 2", "keep"], 3, 5)
    no_disk(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
