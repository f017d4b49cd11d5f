#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""restante-conform on every module we ship, through the shim too - and the kit itself: each lie that the shim can
tell has to be found by the check that exists for it. CHECK_TREE is the installed tree. TAP."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TREE = pathlib.Path(os.environ["CHECK_TREE"])
# Under ThreadSanitizer only checks with several threads add anything: the rest runs under the other sanitizers, and with --all.
THREADS = ["threads.*", "lock.threads", "close.threads"]
ONLY_THREADS = "thread" in os.environ.get("SANITIZE", "") and os.environ.get("ALL") != "yes"
KIT = TREE / "bin/restante-conform"
MODULES = TREE / "lib/restante/modules"
count = failed = 0


def point(ok, name, text=""):
    global count, failed
    count += 1
    failed += not ok
    print(f"{'ok' if ok else 'not ok'} {count} - {name}")
    if not ok:
        for line in text.splitlines()[-40:]:
            print("#", line)
    sys.stdout.flush()


def kit(module, *settings, wrap=None, inner=(), account=None, memory=False, only=()):
    """The kit's exit code and output."""
    args = [str(KIT), "--seconds", "300"]  # for hangs: under a sanitizer, beside other tests, a check takes a minute
    if wrap:
        args += ["--wrap", str(MODULES / f"{wrap}.so")]
    for s in inner:
        args += ["--inner", s]
    if account:
        args += ["--user", account[0], "--password", account[1]]
    if memory:
        args += ["--in-memory"]
    for o in only:
        args += ["--only", o]
    args += [str(MODULES / f"{module}.so"), *settings]
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=1800, check=False)
    return done.returncode, done.stdout


def results(out):
    """id -> 'ok', 'not ok', 'skip', in order; and the comments after each."""
    found, notes, last = {}, {}, None
    for line in out.splitlines():
        m = re.match(r"(ok|not ok) \d+ - ([a-z.-]+): ", line)
        if m:
            last = m.group(2)
            found[last] = "skip" if " # SKIP " in line else m.group(1)
            notes[last] = ""
        elif last:
            notes[last] += line + "\n"
    return found, notes


def conforms(name, least, *args, **kwargs):
    """Each check that applies is a point; at least `least` of them have to apply."""
    if ONLY_THREADS:
        kwargs["only"], least = THREADS, 2
    rc, out = kit(*args, **kwargs)
    found, notes = results(out)
    for check, how in found.items():
        if how != "skip":
            point(how == "ok", f"{name}: {check}", notes[check])
    applied = sum(how != "skip" for how in found.values())
    point(rc == 0 and applied >= least, f"{name}: all that applies holds ({applied} checks)",
          out if applied == 0 else f"exit code {rc}, {applied} applied, expected {least} at least")


# A lie of the shim, and the check that has to see it.
LIES = [
    ("mbox_info * lie octets +1", "octets.sizes"),
    ("mbox_info 2+ lie octets -1", "octets.law"),
    ("mbox_info 3 lie octets +1", "octets.open"),
    ("mbox_info * unreadable 3", "octets.readable"),
    ("msg_read 3 after error END", "octets.large"),
    ("mbox_commit * error OK", None),  # not a rule of the contract: the shim itself refuses it
    ("mbox_commit 1 after error TEMP", "commit.exact"),
    ("mbox_commit * badcode", "commit.exact"),
    ("mbox_open 3 error TEMP", "snapshot.closed"),
    ("mbox_open 2 error BUSY", "lock.released"),
    ("msg_open 1 error GONE", "read.early-close"),
    ("dlv_prepare 1 error NOSPACE", "delivery.several"),
    ("dlv_commit 1 after error UNKNOWN", "delivery.held"),
    ("dlv_rcpt 2 error QUOTA", "delivery.several"),
    ("box_stat 1 error TEMP", "boxes.stat"),
    ("box_stat 4 error TEMP", "boxes.stat-grows"),
    ("box_stat 5 error TEMP", "boxes.recount"),
    ("mbox_info 6 lie octets +1", "boxes.recount"),
    ("dlv_commit 1 again 2000", "delivery.slices"),
    ("dlv_rcpt 3 error EXISTS", "import.restored"),  # a caller that believes it gives up the last copy
    ("dlv_rcpt 1 error EXISTS", "import.once"),
    ("dlv_rcpt 2 error EXISTS", "import.cut"),
    ("dlv_commit 1 after error EXISTS", "import.cut"),
    ("box_list 2 error DOWN", "boxes.list"),
    ("box_delete 2 error BUSY", "boxes.delete"),
    ("box_place 3 error TEMP", "boxes.place"),
    ("verify 1 error TEMP", "auth.wrong"),
    ("verify * error DOWN", "auth.names"),
    ("lookup * error DENIED", "auth.unknown"),
    ("mbox_open 2 hang", "lock.released"),
]


def liars():
    for rule, check in LIES:
        only = [check] if check else ["descriptor.names"]
        seconds = ["--seconds", "3"] if rule.endswith("hang") else []
        args = [str(KIT), "--wrap", str(MODULES / "ram.so"), "--inner", "user=ann:restante", "--user", "ann",
                "--password", "restante", "--in-memory", *seconds, "--only", *only, str(MODULES / "fault.so"),
                f"rule={rule}"]
        done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=120, check=False)
        if check is None:
            point(done.returncode == 78, f"the shim refuses '{rule}'", done.stdout)
            continue
        point(done.returncode == 1 and results(done.stdout)[0].get(check) == "not ok",
              f"{check} sees '{rule}'", done.stdout)


def command_line(work):
    def run(*args):
        done = subprocess.run([str(KIT), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    rc, out, _ = run("--list")
    lines = out.splitlines()
    point(rc == 0 and len(lines) >= 60 and all(re.match(r"[a-z.-]+ +.+ \[.+\]$", x) for x in lines),
          f"--list: {len(lines)} checks, each with a promise and its clause", out)
    rc, out, err = run()
    point(rc == 64 and "no module" in err, "without a module: usage, 64", err)
    rc, out, err = run(str(work / "none.so"))
    point(rc == 78 and "none.so: no such file" in err, "a file that is not there: 78 and its name", err)
    rc, out, err = run(str(MODULES / "maildir.so"), "pth=/x/%u")
    point(rc == 78 and "did you mean 'path'" in err and "1.." not in out, "a wrong setting: 78 before the first check", err)
    rc, out, err = run("--only", "no.such", str(MODULES / "maildir.so"), f"path={work}/%u")
    point(rc == 1 and "1..0" in out, "no check chosen is no success", out)


def main():
    work = pathlib.Path(tempfile.mkdtemp(prefix="rst-conform."))
    try:
        table = work / "passwd"
        # crypt(3)'s MD5 is quick: the kit asks some hundred times
        table.write_text("# accounts\nann:{SSHA256}" + ssha256("restante") + ":::::: \nben:{SHA}nothing\n")
        account = ("ann", "restante")
        conforms("ram", 72, "ram", "user=ann:restante", account=account, memory=True)
        conforms("fault, ram", 72, "fault", wrap="ram", inner=["user=ann:restante"], account=account, memory=True)
        slow = [f"rule={fn} {n} again 3" for fn in ("mbox_open", "mbox_info", "mbox_commit", "dlv_prepare")
                for n in (1, 5, 17)]
        conforms("fault that takes turns, ram", 72, "fault", *slow, "rule=msg_read * short 200", wrap="ram",
                 inner=["user=ann:restante"], account=account, memory=True)
        for end in ("lf", "crlf"):
            (work / end).mkdir()
            conforms(f"maildir, {end}", 67, "maildir", f"path={work}/{end}/%d/%n", f"line_end={end}")
        for kind in ("mboxrd", "mboxo"):
            (work / kind).mkdir()
            quoted = ["descriptor.*", "open.*", "close.*", "process.*", "snapshot.*", "info.*", "uidl.*", "read.*",
                      "commit.*", "lock.*", "boxes.*", "limits.*", "threads.*"] if kind == "mboxo" else []
            conforms(kind, 67 if kind == "mboxrd" else 52, "mbox", f"path={work}/{kind}/%d/%n", f"format={kind}",
                     only=quoted)
        (work / "wrapped").mkdir()
        conforms("fault, maildir", 67, "fault", wrap="maildir", inner=[f"path={work}/wrapped/%u"])
        conforms("passwd", 22, "passwd", f"file={table}", account=account)
        if not ONLY_THREADS:
            liars()
            command_line(work)
    finally:
        shutil.rmtree(work)
    print(f"1..{count}")
    return failed != 0


def ssha256(password):
    import base64
    import hashlib
    salt = b"saltsalt"
    return base64.b64encode(hashlib.sha256(password.encode() + salt).digest() + salt).decode()


if __name__ == "__main__":
    sys.exit(main())
