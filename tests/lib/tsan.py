# SPDX-License-Identifier: Apache-2.0
"""ThreadSanitizer's reports when nothing is suppressed, and whose frames they are about.

Client libraries are not built with the sanitizer, so it may complain about what they do among themselves. Our own
frames are never forgiven: a report passes only if each access, or each lock, in it is in a client library.
Programs of other builds report nothing, so the same test runs with both."""
import glob
import os
import re
import shutil
import subprocess
import tempfile

SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tsan.supp")
# Stacks that a report is not about: where a thread, a block, a lock came from.
ORIGIN = re.compile(r"  (Location is|Thread T\d+|Mutex M\d+ .*created at)")
FRAME = re.compile(r"    #\d+ (.*)")
MODULE = re.compile(r"\(([^()+]+)\+0x[0-9a-f]+\)")
RUNTIME = re.compile(r"lib(tsan|c|pthread)[.-]")


def environment(directory, suppressions=None):
    """The options for a program whose reports go to files in this directory."""
    kept = [o for o in os.environ.get("TSAN_OPTIONS", "").split() if not o.startswith("suppressions=")]
    kept += ["log_path=" + os.path.join(directory, "tsan"), "exitcode=0"]
    if suppressions:
        kept.append("suppressions=" + suppressions)
    return dict(os.environ, TSAN_OPTIONS=" ".join(kept))


def reports(directory):
    found = []
    for name in glob.glob(os.path.join(directory, "tsan.*")):
        with open(name, errors="replace") as f:
            found += [part for part in f.read().split("==================\n") if ": ThreadSanitizer" in part]
    return found


def subjects(report):
    """The first frame, in each stack that the report is about, that is not the sanitizer's or libc's; None: there is none."""
    found, stack, about = [], None, False
    for line in report.splitlines() + ["  "]:
        frame = FRAME.match(line)
        if frame and about:
            stack.append(frame.group(1))
        elif not frame:
            if stack:
                found.append(next((f for f in stack if not RUNTIME.match(module_of(f))), None))
            stack, about = [], line.startswith("  ") and not ORIGIN.match(line)
    return found


def module_of(frame):
    m = MODULE.search(frame)
    return os.path.basename(m.group(1)) if m else ""


def of_ours(report):
    """The frames in it that nothing may hide: those outside the system's shared libraries; all of them if there are none."""
    found = subjects(report)
    ours = [f or "no frame but the runtime's" for f in found if not f or not re.match(r"lib.+\.so", module_of(f))]
    return ours or ([] if found else ["a report without a stack"])


def judge(directory):
    """Reports about frames of ours, shortened; reading them removes the directory."""
    bad = []
    for r in reports(directory):
        ours = of_ours(r)
        if ours:
            bad.append("%s\n%s" % ("; ".join(ours), r[:3000]))
    shutil.rmtree(directory, ignore_errors=True)
    return bad


def scratch():
    directory = tempfile.mkdtemp(prefix="rtsan.", dir="/tmp")
    os.chmod(directory, 0o777)
    return directory


def run(cmd, **kwargs):
    """subprocess.run without suppressions; .ours are the reports about frames of ours."""
    directory = scratch()
    done = subprocess.run(cmd, env=environment(directory), **kwargs)
    done.ours = judge(directory)
    return done
