# SPDX-License-Identifier: Apache-2.0
"""Mutt as a client: its own <fetch-mail>, which sends RETR for one message after the other, into an MH folder.

An MH folder numbers its files in the order of arrival and needs no From_ line, so nothing is quoted. Mutt
draws on a terminal and is given one; its screen matters only when something went wrong.
"""
import os
import pty
import re
import select
import subprocess
import time

# Anything less than what is asked for must fail: ssl_force_tls makes a missing STLS an error.
TLS = {"plain": "ssl_starttls=no ssl_force_tls=no", "stls": "ssl_starttls=yes ssl_force_tls=yes",
       "tls": "ssl_starttls=no ssl_force_tls=yes"}


def _on_terminal(cmd, home, key, timeout):
    """Runs a program on a terminal of its own until it ends: its exit status, and its last screen.

    The key is typed whenever the program falls silent, and waits there while it is busy.
    """
    ours, its = pty.openpty()
    env = dict(os.environ, HOME=home, LC_ALL="C.UTF-8", TERM="vt100")
    try:
        p = subprocess.Popen(cmd, cwd=home, env=env, stdin=its, stdout=its, stderr=its, start_new_session=True)
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(its)
    end, drawn, status = time.monotonic() + timeout, b"", "timeout"
    try:
        while time.monotonic() < end:
            try:
                if select.select([ours], [], [], 0.2)[0]:
                    drawn = (drawn + os.read(ours, 65536))[-8000:]
                else:
                    os.write(ours, key)
            except OSError:  # EIO: nobody has the terminal open any more
                break
        status = p.wait(max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        pass
    finally:
        p.kill()  # does nothing to a program that has ended
        p.wait()
        os.close(ours)
    text = re.sub(rb"\x1b(\[[0-9;?]*[A-Za-z]|[()].|[=>78])|[\x0e\x0f]", b" ", drawn).decode(errors="replace")
    return status, " ".join(text.split())[-800:]


def mutt(a, transport, home):
    box = os.path.join(home, "box")
    rc = os.path.join(home, "muttrc")
    with open(rc, "w") as f:
        # sleep_time: the pauses for a reader's sake; pop_reconnect: no question when the connection is lost
        f.write("set pop_host='%s://127.0.0.1:%d' pop_user='%s' pop_pass='%s' pop_authenticators=user\n"
                "set pop_delete=no pop_reconnect=no certificate_file='%s' %s\n"
                "set folder='%s' spoolfile='%s' mbox_type=MH sleep_time=0\n"
                "push '<fetch-mail>'\n"
                % ("pops" if transport == "tls" else "pop", a.ports[transport], a.user, a.password, a.cafile,
                   TLS[transport], home, box))
    # q: leave; at a question about a certificate, reject it
    status, drawn = _on_terminal(["mutt", "-n", "-F", rc, "-f", "/dev/null"], home, b"q",
                                 int(os.environ.get("CLIENT_TIMEOUT", "600")))
    numbers = sorted(int(n) for n in os.listdir(box) if n.isdigit()) if os.path.isdir(box) else []
    if status != 0 or len(numbers) != a.count:
        raise RuntimeError("mutt: exit %s, %d of %d messages; on the screen: %s" % (
            status, len(numbers), a.count, drawn))
    mail = []
    for n in numbers:
        with open(os.path.join(box, str(n)), "rb") as f:
            # it writes LF for the CRLF of the wire; a CR before that is the message's own
            mail.append(f.read().replace(b"\n", b"\r\n"))
    return mail
