#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad configuration, bad command lines, reload, restantectl: exit codes and words."""
import os
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from sections import block, plain  # noqa: E402
from server import Server, Tap, free_port, has_ipv6, wait_until  # noqa: E402

BAD = """config_version = 1
workers = many
idle_timout = 5
state_dir = relative
bogus {
}
tls {
  certificate = /nonexistent.pem
  key = /nonexistent.key
}
listener a {
  address = 300.1.1.1
  port = 70000
  tls = perhaps
}
module_dir = @MODULES@
auth one {
  module = passwd
  fil = /etc/passwd
  storage = nowhere
}
storage two {
  module = nosuchmodule
}
storage three {
  module = maildir
  path = /var/mail/everybody
"""

EXPECTED = [
    ":2:1: workers = many: expected a number from 4 to 1024",
    ":3:1: unknown setting 'idle_timout'; did you mean 'idle_timeout'?",
    ":4:1: state_dir = relative: expected an absolute file name",
    ":5:1: unknown block 'bogus'",
    "address = 300.1.1.1: expected an IPv4 or IPv6 address",
    ":13:3: port = 70000: expected a number from 0 to 65535",
    ":14:3: tls = perhaps: expected one of none|starttls|implicit",
    "storage = nowhere: there is no such storage section",
    "knows no setting 'fil'; did you mean 'file'?",
    "file is missing",
    "nosuchmodule.so",
    "this block is not closed: expected '}'",
    "every user would share it",
    "/nonexistent.pem",
]


def run(*cmd, **kw):
    return subprocess.run(cmd, capture_output=True, text=True, timeout=120, **kw)


def bad_configuration(tap, srv):
    path = srv.path("bad.conf")
    with open(path, "w") as f:
        f.write(BAD.replace("@MODULES@", os.path.join(srv.tree, "lib", "restante", "modules")))
    for name, cmd in (("restanted -t", (srv.bin("restanted"), "-t", "-c", path)),
                      ("restanted", (srv.bin("restanted"), "-c", path)),
                      ("restantectl check-conf", (srv.bin("restantectl"), "check-conf", path))):
        p = run(*cmd)
        tap.ok(p.returncode == 78, "%s ends with 78 on a bad configuration" % name, p.returncode)
        missing = [e for e in EXPECTED if e not in p.stderr]
        tap.ok(not missing, "%s reports all errors in one run" % name, "missing: %s\ngot:\n%s" % (missing, p.stderr))


def command_lines(tap, srv):
    for cmd in (("restanted", "--nonsense"), ("restanted", "argument"), ("restantectl",), ("restantectl", "dance"),
                ("restantectl", "kick"), ("restantectl", "kick", "x"), ("restantectl", "user")):
        p = run(srv.bin(cmd[0]), *cmd[1:])
        tap.ok(p.returncode == 64 and p.stderr, "'%s' is a usage error, 64" % " ".join(cmd), "%s %s" % (p.returncode, p.stderr))
    p = run(srv.bin("restantectl"), "-s", "/nonexistent/control", "status")
    tap.ok(p.returncode == 69 and "/nonexistent/control" in p.stderr, "no server: 69, and which socket was tried", p.stderr)


def talk(port, text, lines, host="127.0.0.1"):
    with socket.create_connection((host, port), 120) as s:
        f = s.makefile("rwb")
        out = [f.readline()]
        for line in text:
            f.write(line + b"\r\n")
            f.flush()
            out.append(f.readline())
        return out[:lines]


def reload_and_ctl(tap, srv):
    srv.passwd({"ann": "restante"})
    srv.maildir("ann", [b"Subject: x\n\nbody\n"])
    srv.configure(plain(srv))
    srv.start()
    held = socket.create_connection(("127.0.0.1", srv.clear_port), 120)
    f = held.makefile("rwb")
    f.readline()
    for line in (b"USER ann", b"PASS restante"):
        f.write(line + b"\r\n")
        f.flush()
        reply = f.readline()
    tap.ok(reply.startswith(b"+OK"), "login", reply)
    got = talk(srv.clear_port, [b"USER ann", b"PASS restante"], 3)
    tap.ok(got[2].startswith(b"-ERR [IN-USE]"), "a second session gets [IN-USE]", got)
    p = srv.ctl("sessions", "--json")
    tap.ok('"user": "ann"' in p.stdout, "restantectl sessions shows it", p.stdout)
    p = srv.ctl("user", "ann")
    tap.ok("has this user" in p.stdout and "messages" in p.stdout, "restantectl user explains", p.stdout + p.stderr)
    for verb in (("status",), ("modules",), ("modules", "doc", os.path.join(srv.tree, "lib/restante/modules/maildir.so"))):
        p = srv.ctl(*verb)
        tap.ok(p.returncode == 0 and p.stdout, "restantectl %s" % " ".join(verb[:2]), p.stderr)
    good = open(srv.path("restante.conf")).read()
    open(srv.path("restante.conf"), "w").write(good + "nonsense = 1\n")
    p = srv.ctl("reload")
    tap.ok(p.returncode == 1 and "nonsense" in p.stderr, "a bad reload is refused with its errors", p.stderr)
    f.write(b"STAT\r\n")
    f.flush()
    tap.ok(f.readline().startswith(b"+OK 1 "), "the open session did not notice")
    open(srv.path("restante.conf"), "w").write(good)
    tap.ok(srv.ctl("reload").returncode == 0, "a good reload is taken")
    f.write(b"DELE 1\r\n")
    f.flush()
    f.readline()
    sid = [x for x in srv.ctl("sessions").stdout.splitlines() if " ann " in x][0].split()[0]
    tap.ok(srv.ctl("kick", sid).returncode == 0, "kick")
    held.settimeout(120)
    tap.ok(f.readline() == b"", "a kicked session is closed without a word")
    wait_until(lambda: "deletions-dropped" in srv.log(), 60, "the warning about deletions")
    wait_until(lambda: '"user": "ann"' not in srv.ctl("sessions", "--json").stdout, 60, "its mailbox to be closed")
    tap.ok(talk(srv.clear_port, [b"USER ann", b"PASS restante", b"STAT"], 4)[3].startswith(b"+OK 1 "),
           "and nothing of it was deleted")
    tap.ok("restante" not in srv.log().replace("restante.conf", "").replace("restanted", ""), "no password in the log")
    tap.ok(srv.ctl("drain").returncode == 0, "drain")
    tap.ok(srv.proc.wait(120) == 0, "the server ends with 0")


def odd_mailboxes(tap, srv):
    """FIFO, dangling link, garbage names, no permission: the log names them, the rest is served."""
    base = srv.maildir("ann", [b"Subject: good\n\nbody\n"])
    os.mkfifo(os.path.join(base, "new", "1700000001.fifo"))
    os.symlink("/nonexistent", os.path.join(base, "new", "1700000002.link"))
    open(os.path.join(base, "cur", "bad name"), "w").close()
    os.mkdir(os.path.join(base, "cur", "1700000003.dir"))
    srv.maildir("ben", [b"Subject: x\n\n"])
    srv.give(srv.path("mail"))
    os.chmod(srv.path("mail", "ben"), 0)
    srv.passwd({"ann": "restante", "ben": "restante", "new": "restante"})
    srv.configure(plain(srv))
    srv.start()
    got = talk(srv.clear_port, [b"USER ann", b"PASS restante", b"STAT"], 4)
    tap.ok(got[3].startswith(b"+OK 1 "), "a FIFO, a dangling link, a directory, a bad name: the rest is served", got)
    for name in ("1700000001.fifo", "1700000002.link", "1700000003.dir"):
        tap.ok(srv.said(name), "the log names %s" % name, srv.log())
    got = talk(srv.clear_port, [b"USER ben", b"PASS restante"], 3)
    tap.ok(got[2].startswith(b"-ERR [SYS/PERM]") and srv.said("Permission denied"),
           "a maildir without permission: [SYS/PERM], and the path in the log", "%s\n%s" % (got, srv.log()[-800:]))
    got = talk(srv.clear_port, [b"USER new", b"PASS restante", b"STAT"], 4)
    tap.ok(got[3] == b"+OK 0 0\r\n", "a user without a maildir has no mail", got)
    tap.ok(not os.path.exists(srv.path("mail", "new")), "and nothing was made")


def both_families(tap, srv):
    """Listeners on ::1 and :: beside those on 127.0.0.1. The log has the address in brackets."""
    srv.maildir("ann", [b"Subject: six\n\nbody\n"])
    srv.passwd({"ann": "restante"})
    six, every = free_port(), free_port()
    srv.extra_listeners = "".join(block("listener", name, address=address, port=port, tls="none", plaintext_login="allow")
                                  for name, address, port in (("six", "::1", six), ("every", "::", every)))
    conf = srv.configure(plain(srv))
    if not has_ipv6():
        p = run(srv.bin("restanted"), "-c", conf)
        tap.ok(p.returncode == 78 and "cannot bind ::1 port %d" % six in p.stderr, "a machine without IPv6: said, and not started", p)
        return
    srv.start()
    login = [b"USER ann", b"PASS restante", b"STAT", b"QUIT"]
    for port, host in ((six, "::1"), (every, "::1")):
        got = talk(port, login, 5, host)
        tap.ok(got[3].startswith(b"+OK 1 ") and got[4] == b"+OK bye\r\n", "a session to %s, from %s" % (
            "::1" if port == six else "::", host), got)
    tap.ok(srv.said("peer=[::1]:"), "the log knows IPv6 peers", srv.log()[-800:])


def main():
    tap = Tap()
    with Server() as srv:
        bad_configuration(tap, srv)
        command_lines(tap, srv)
        reload_and_ctl(tap, srv)
    with Server() as srv:
        odd_mailboxes(tap, srv)
        srv.ends(tap)
    with Server() as srv:
        both_families(tap, srv)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
