# SPDX-License-Identifier: Apache-2.0
"""Helpers for the tests of the module ldap: a server with a section `dir` on slapd and one on a passwd-file."""
import concurrent.futures
import itertools
import os
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from server import Server, Tap  # noqa: E402,F401
import lsan  # noqa: E402
import slapd  # noqa: E402
import tsan  # noqa: E402

os.environ["LSAN_OPTIONS"] = lsan.options()

# Each login from another address: the delays for clients that guess passwords are not tested here.
ADDRESSES = ("127.1.%d.%d" % (i, j) for i in itertools.count() for j in range(1, 250))
LOCK = threading.Lock()

MODULE = os.path.join(os.environ.get("CHECK_TREE", ""), "lib/restante/modules/ldap.so")
ALL = os.environ.get("ALL") == "yes"
AUTH = b"-ERR [AUTH]"
TEMP = b"-ERR [SYS/TEMP]"
OK = b"+OK"
LOCAL = ["local", "local1", "local2", "local3"]  # users of the other section

SECTIONS = """
auth dir {
    module = ldap
    storage = mail
    domains = ldap.test
%s
}
auth others {
    module = passwd
    file = %s
    allow_plain = yes
    storage = mail
}
storage mail {
    module = maildir
    path = %s/%%u
}
"""


def chosen(more):
    """The settings of the module, with defaults for these tests; None takes a default out."""
    s = {"starttls": "no", "base": slapd.PEOPLE, "bind_dn": slapd.SERVICE, "bind_password": slapd.SERVICE_PASSWORD,
         "connect_timeout": "3s", "timeout": "3s"}  # for hangs; slowness must not be taken for one
    s.update(more)
    return {k: v for k, v in s.items() if v is not None}


def ask_settings(*servers, **more):
    """For tests/live/ask: without the host's settings."""
    return dict(chosen(more), server=list(servers))


def settings(*servers, **more):
    """The lines of the section."""
    s = chosen(dict({"permits": 4, "trip_after": 0, "call_ms": "15s"}, **more))
    lines = ["    server = " + u for u in servers]
    lines += ["    %s = %s" % (k, one) for k, v in s.items() for one in (v if isinstance(v, list) else [v])]
    return "\n".join(lines)


def configure(srv, *servers, **more):
    srv.configure(SECTIONS % (settings(*servers, **more), srv.passwd({u: "restante" for u in LOCAL}), srv.path("mail")))
    os.makedirs(srv.path("mail"), exist_ok=True)
    srv.give(srv.path("mail"))


def apply(srv, *servers, **more):
    """Reloads the running server with other settings."""
    configure(srv, *servers, **more)
    done = srv.ctl("reload")
    if done.returncode != 0:
        raise RuntimeError("reload: " + done.stderr)


def next_address():
    with LOCK:
        return next(ADDRESSES)


def login(srv, name, password="restante", timeout=120, address=None):
    """The answer to PASS, and the seconds it took."""
    raw = name if isinstance(name, bytes) else name.encode()
    secret = password if isinstance(password, bytes) else password.encode()
    with socket.create_connection(("127.0.0.1", srv.clear_port), timeout, (address or next_address(), 0)) as s:
        f = s.makefile("rwb")
        f.readline()
        f.write(b"USER " + raw + b"\r\n")
        f.flush()
        f.readline()
        start = time.monotonic()
        f.write(b"PASS " + secret + b"\r\n")
        f.flush()
        answer = f.readline()
        took = time.monotonic() - start
        f.write(b"QUIT\r\n")
        f.flush()
        f.readline()
        return answer, took


def quick(tap, srv, what, name, wanted, limit_s=3):
    """A login that does not wait for a server known not to answer: of a few tries one is quicker, on any machine."""
    took = []
    while len(took) < 5 and min(took, default=limit_s + 1) > limit_s:
        got, s = login(srv, name)
        took.append(s)
        if not got.startswith(wanted):
            break
    tap.ok(got.startswith(wanted) and min(took) <= limit_s, what, "%r, seconds %s\n%s" % (got, took, srv.log()[-1500:]))
    return min(took)


def says(srv, since, text, seconds=60):
    """Whether the log holds this after its first `since` characters, now or soon."""
    end = time.monotonic() + seconds
    while text not in srv.log()[since:]:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def expect(tap, srv, what, name, wanted, password="restante", said=None, within=None):
    before = len(srv.log())
    got, took = login(srv, name, password)
    good = got.startswith(wanted) and (within is None or took <= within)
    good = good and (said is None or says(srv, before, said))
    tap.ok(good, what, "got %r after %.1f s; %s\n%s" % (got, took, said or "", srv.log()[-1500:]))
    return took


def returns(tap, srv, what):
    """Logins work again, by themselves; reports how soon."""
    start = time.monotonic()
    while time.monotonic() < start + 120:
        if login(srv, "ann@ldap.test")[0].startswith(OK):
            tap.ok(True, "%s after %.1f s" % (what, time.monotonic() - start))
            return
        time.sleep(0.2)
    tap.ok(False, what, srv.log()[-1500:])


def ended(tap, srv):
    """It ends as it should; its log has the sanitizers' reports."""
    rc = srv.stop()
    tap.ok(rc == 0, "the server ended cleanly", "%s\n%s" % (rc, srv.log()[-6000:]))
    srv.close()


def at_once(fn, calls):
    """The results of fn for each of these arguments, all at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda args: fn(*args), calls))


def conform(tap, srv, name, account, *given):
    """restante-conform on the module with these settings; each check that applies is a point."""
    cmd = [srv.bin("restante-conform"), "--user", account[0], "--password", account[1],
           os.path.join(srv.tree, "lib/restante/modules/ldap.so"), *given]
    done = tsan.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)
    lines = done.stdout.splitlines()
    bad = [x for x in lines if x.startswith("not ok")]
    applied = sum(x.startswith("ok") and " # SKIP " not in x for x in lines)
    tap.ok(done.returncode == 0 and not bad and applied >= 25, "%s: the kit (%d checks)" % (name, applied), done.stdout)
    tap.ok(not done.ours, "%s: nothing of ours hides behind a suppression" % name, "\n".join(done.ours))
