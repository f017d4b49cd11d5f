#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Badmail in processes that are killed: at every kill point of an insertion and of an eviction (builds with
--enable-kill-points), and at random moments while several insert at once. After each death: totals are exactly what is on
disk, nothing is half there, no item that was acknowledged is lost, RETRY never loses one, the bound holds.

And its bounds at full size: 150,000 refused messages against a bound of 100,000 with ALL=yes (a hundredth of it without);
accepted mail closes the door at half and is never dropped; pages read only what they show."""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from keeper import Keeper  # noqa: E402
from server import Tap  # noqa: E402

CONF = "badmail {\n path = %(dir)s/bad\n max_items = %(items)d\n max_octets = 1g\n}\n"
ALL = os.environ.get("ALL") == "yes"


def keeper(items):
    d = tempfile.mkdtemp(prefix="rst-badmail.", dir="/tmp")
    return Keeper(d, CONF % {"dir": d, "items": items})


def insert(cls, n=1, octets=300, reason="unknown", sender="a@b.example"):
    return "insert %s %d %d %s %s x@y.example" % (cls, n, octets, reason, sender)


def check(k):
    """The faults after a death; empty: none."""
    said, true = k.totals()[:4], k.true_totals()
    halves = k.items("retry")[1] + k.items("refused")[1]
    wrong = []
    if said != true:
        wrong.append("totals %s, on disk %s" % (said, true))
    if halves:
        wrong.append("halves: %s" % halves[:3])
    return wrong


def kill_points(tap, name, prepare, lines, verify):
    """k = 1, 2, 3 ... until a run survives."""
    deaths, wrong = 0, []
    for point in range(1, 200):
        k = keeper(10)
        try:
            before = k.run(prepare)
            out = k.run(lines, kill_point=point, check=False)
            if k.rc == 0:
                break
            if k.rc != 99:
                wrong.append("point %d: exit %d %s" % (point, k.rc, k.said[-500:]))
            deaths += 1
            wrong += ["point %d: %s" % (point, w) for w in check(k) + verify(k, before, out)]
            k.run([insert("refused")])
            wrong += ["point %d, later: %s" % (point, w) for w in check(k)]
        finally:
            shutil.rmtree(k.dir)
    tap.ok(deaths >= 5 and not wrong, "%s: %d deaths, totals right and nothing half there after each" % (name, deaths),
           "\n".join(wrong[:10]) or "%d deaths" % deaths)


def there(k, idents):
    retry, refused = k.items("retry")[0], k.items("refused")[0]
    return [i for i in idents if int(i[1:], 16) not in (retry if i[0] == "r" else refused)]


def at_kill_points(tap):
    kill_points(tap, "insertion", [insert("retry")], [insert("retry")],
                lambda k, before, out: ["lost %s" % there(k, before + out)] if there(k, before + out) else [])
    # the bound is ten: the eleventh takes the place of the oldest refused one, never of a waiting one

    def evicted(k, before, out):
        retry, refused = k.items("retry")[0], k.items("refused")[0]
        wrong = ["lost %s" % there(k, out)] if there(k, out) else []
        if len(retry) != 3:
            wrong.append("%d of 3 that wait are left" % len(retry))
        if len(retry) + len(refused) > 10:
            wrong.append("%d items, the bound is 10" % (len(retry) + len(refused)))
        if len(refused) < 6:
            wrong.append("%d refused ones are left, 6 at least are expected" % len(refused))
        if k.totals()[4] != len(there(k, before)):
            wrong.append("%d counted as dropped, %d are gone" % (k.totals()[4], len(there(k, before))))
        return wrong
    kill_points(tap, "eviction", [insert("retry", 3), insert("refused", 7)], [insert("refused")], evicted)


def at_random(tap, seconds):
    """Four processes insert, and are killed one after another; every item they were promised is there."""
    rnd = random.Random(4711)
    k = keeper(400)
    kept, deaths = [], 0
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end or deaths < 20:
            procs = []
            for cls in ("retry", "refused", "refused", "refused"):
                p = subprocess.Popen([os.path.join(os.environ["top_builddir"], "tests", "crash", "keep"), k.conf],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                p.stdin.write((insert(cls, 3 if cls == "retry" else 2000) + "\n"))
                p.stdin.flush()
                procs.append(p)
            for p in procs:
                time.sleep(rnd.random() * 0.15)
                p.kill()
                out = p.stdout.read().splitlines()
                kept += [o for o in out if o[:1] == "r" and o[1:].strip()]
                p.wait()
                p.stdin.close()
                p.stdout.close()
                deaths += 1
            wrong = check(k)
            if wrong:
                break
        lost = there(k, kept)
        items = len(k.items("retry")[0]) + len(k.items("refused")[0])
        tap.ok(not wrong and not lost and items <= 400,
               "%d deaths at random moments of four processes: totals are exact, none of %d accepted is lost, %d of 400 items"
               % (deaths, len(kept), items), "%s lost %s" % (wrong, lost[:5]))
        # a server sweeps half-received items when it next looks; here it is enough that nobody counts them
        tap.note("%d files were left in tmp/" % len(os.listdir(k.path("bad", "tmp"))))
    finally:
        shutil.rmtree(k.dir)


def page(k, **request):
    return json.loads(k.run(["admin " + json.dumps(dict(request, verb="badmail"))])[0])


def bounds(tap):
    bound = 100000 if ALL else 1000
    extra = bound // 2
    k = keeper(bound)
    most = 0
    try:
        proc = subprocess.Popen([os.path.join(os.environ["top_builddir"], "tests", "crash", "keep"), k.conf],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        step = bound // 20
        for at in range(0, bound + extra, step):
            proc.stdin.write(insert("refused", step, 200, "unknown-recipient", "a%u@spam.example") + "\n")
            proc.stdin.flush()
            ids = [proc.stdout.readline().strip() for _ in range(step)]
            on_disk = int(subprocess.run("find %s -name '*.json' | wc -l" % k.path("bad", "refused"), shell=True,
                                         capture_output=True, text=True).stdout)
            most = max(most, on_disk)
        proc.stdin.close()
        err = proc.stderr.read()
        proc.wait()
        tap.ok(most == bound and proc.returncode == 0, "%d refused messages, a bound of %d: never more on disk (%d at most)"
               % (bound + extra, bound, most), err[-1000:])
        whole, _ = k.items("refused")
        tap.ok(min(whole) == extra and max(whole) == bound + extra - 1 and len(whole) == bound,
               "the oldest are gone, the newest are there", (min(whole), max(whole), len(whole)))
        t = k.totals()
        tap.ok(t[2] == bound and t[4] == extra, "all are counted: %d there, %d dropped" % (t[2], t[4]), t)
        tap.ok(err.count("at 80 percent of its bound") == 1, "one warning at 80 percent", err[-2000:])
        pages(tap, k, bound, ids[-1])
        waiting(tap, k, bound)
    finally:
        shutil.rmtree(k.dir)


def pages(tap, k, bound, newest):
    first = page(k, action="list", limit=50)
    tap.ok(len(first["items"]) == 50 and first["read"] == 50, "a page of 50 reads 50 sidecars", first["read"])
    middle = page(k, action="list", limit=20, after="x%x" % (int(newest[1:], 16) - 10))
    tap.ok(len(middle["items"]) == 10 and middle["read"] == 10 and "next" not in middle,
           "the last page reads the ten that are left", middle.get("read"))
    none = page(k, action="list", reason="something else", limit=50)
    tap.ok(not none["items"] and none["read"] <= 1000 and "next" in none or bound <= 1000,
           "a filter that fits nothing reads a thousand at most, and says where to go on", none["read"])
    out = page(k, action="stats")
    tap.ok(out["totals"]["refused_items"] == bound and out["groups"][0]["sender_domain"] == "spam.example" and
           out["groups"][0]["reason"] == "unknown-recipient" and out["groups"][0]["items"] == out["read"],
           "stats: grouped by reason and sender's domain", out)


def waiting(tap, k, bound):
    """Accepted mail: up to half of the bound, then the door closes; none of it is ever dropped for newer mail."""
    half = bound // 2
    out = k.run([insert("retry", half + 5, 200, "store-down", "b@c.example"), "door 100", "totals"], timeout=3000)
    kept = [o for o in out if o.startswith("r")]
    refused = [o for o in out if o.startswith("! NOSPACE")]
    tap.ok(len(kept) == half and len(refused) == 5, "%d accepted messages wait, five more are not taken on" % len(kept), out[-8:])
    tap.ok(out[-2].startswith("closed"), "the door is closed: " + out[-2])
    k.run([insert("refused", bound // 10, 200)], timeout=3000)
    t = k.totals()
    tap.ok(t[0] == half and t[0] + t[2] == bound, "more refused mail comes: none of the waiting ones is dropped, the bound holds", t)
    tap.ok(not there(k, kept), "each of the waiting ones is there")
    purged = page(k, action="purge", ids=[kept[0]])
    out = k.run([insert("retry"), "door 1"])
    tap.ok(purged["purged"] == 1 and out[0].startswith("r"), "one is taken out by the operator: there is room for one again", out)
    tap.ok(not check(k), "and the totals are exact", check(k))


def octets(tap):
    """The same by octets; and a message that can never fit drops nothing."""
    d = tempfile.mkdtemp(prefix="rst-badmail.", dir="/tmp")
    k = Keeper(d, "badmail {\n path = %s/bad\n max_octets = 1m\n}\n" % d)
    size, bound = 50000, 1 << 20
    fit = bound // (size + 1024)
    most = 0
    try:
        for _ in range(fit + 5):
            k.run([insert("refused", 1, size)])
            most = max(most, k.true_totals()[3])
        t, whole = k.totals(), k.items("refused")[0]
        tap.ok(most <= bound and t[2] == fit == len(whole) and t[4] == 5 and min(whole) == 5,
               "a bound of 1 MiB: %d octets at most, %d items, the oldest five are gone" % (most, t[2]), (t, most))
        out = k.run([insert("refused", 1, bound)])
        tap.ok(out[0].startswith("! NOSPACE") and k.totals()[:5] == t[:5], "one that is larger than the bound is not taken, and drops none", out)
        out = k.run([insert("retry", fit, size), "door %d" % size])
        kept = [o for o in out if o.startswith("r")]
        tap.ok(len(kept) == bound // 2 // (size + 1024) and out[-1].startswith("closed"),
               "half of the octets wait: %d items, the door is closed" % len(kept), out[-3:])
        k.run([insert("refused", 30, size)])
        t = k.totals()
        tap.ok(t[0] == len(kept) and t[1] + t[3] <= bound and not there(k, kept) and not check(k),
               "none of them is dropped for octets either", (t, check(k)))
    finally:
        shutil.rmtree(d)


def age(tap):
    d = tempfile.mkdtemp(prefix="rst-badmail.", dir="/tmp")
    k = Keeper(d, "badmail {\n path = %s/bad\n max_age = 3600\n}\n" % d)
    try:
        k.run([insert("refused", 5), insert("retry", 2)])
        old = time.time() - 7200
        for cls in ("refused", "retry"):
            for base, _, names in os.walk(k.path("bad", cls)):
                for n in sorted(names):
                    if n.endswith(".eml") and (cls == "retry" or int(n[:16], 16) < 3):
                        os.utime(os.path.join(base, n), (old, old))
        out = k.run(["expire 100", "totals"])
        tap.ok(out[0] == "3" and [int(x) for x in out[1].split()][:3:2] == [2, 2],
               "refused mail goes by age, what waits does not", out)
        k.run([insert("refused", 1)])
        tap.ok(not check(k), "totals are exact", check(k))
    finally:
        shutil.rmtree(d)


def restart(tap):
    """Damaged totals, and those of another boot, are counted anew. Half-written items are set aside."""
    k = keeper(50)
    try:
        k.run([insert("refused", 7), insert("retry", 3), "begin 5000"], check=False)
        with open(k.path("bad", "state"), "r+b") as f:
            f.seek(60)
            f.write(b"\xff\xff")
        bucket = k.path("bad", "refused", "0000", "00")
        os.unlink(os.path.join(bucket, "%016x.eml" % 2))
        os.unlink(os.path.join(bucket, "%016x.json" % 3))
        t = k.totals()
        tap.ok(t[:4] == k.true_totals() and t[0] == 3 and t[2] == 5 and not check(k),
               "damaged totals: all is counted anew, halves are no items", t)
        lost = sorted(os.listdir(k.path("bad", "lost")))
        tap.ok(lost == ["refused-%016x.json" % 2, "refused-%016x.eml" % 3], "the halves are kept in lost/", lost)
        ids = k.run([insert("refused")])
        tap.ok(int(ids[0][1:], 16) == 10, "and no ID is given twice", ids)
    finally:
        shutil.rmtree(k.dir)


def main():
    tap = Tap()
    probe = keeper(10)
    probe.run([insert("refused")], kill_point=1, check=False)
    shutil.rmtree(probe.dir)
    if probe.rc == 99:
        at_kill_points(tap)
    at_random(tap, 60 if ALL else 4)
    bounds(tap)
    octets(tap)
    age(tap)
    restart(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
