# SPDX-License-Identifier: Apache-2.0
"""Real POP3 clients from Debian's packages, each fetching a whole maildrop.

Every function takes an Account and returns the messages in maildrop order, as bytes. Changes
that a client itself makes are in ALTERS, by name, with the reason; it makes them with any server.
Transports: "plain" (clear text), "stls", "tls" (implicit).
"""
import email.utils  # noqa: F401  (poplib's own dependency, named so that a bare python3 fails early)
import glob
import os
import poplib
import ssl
import subprocess
import tempfile

from mutt import mutt

HERE = os.path.dirname(os.path.abspath(__file__))
TRANSPORTS = ("plain", "stls", "tls")


class Account:
    def __init__(self, ports, user, password, cafile, count):
        self.ports = ports  # transport -> port
        self.user, self.password, self.cafile = user, password, cafile
        self.count = count  # messages in the maildrop


class ClientFailed(Exception):
    pass


def _run(cmd, home, timeout=int(os.environ.get("CLIENT_TIMEOUT", "600")), stdin=None, ok=(0,), env=None):
    e = dict(os.environ, HOME=home, LC_ALL="C.UTF-8", **(env or {"TERM": "dumb"}))
    p = subprocess.run(cmd, cwd=home, env=e, input=stdin, capture_output=True, timeout=timeout)
    if p.returncode not in ok:
        raise ClientFailed("%s: exit %d\n%s\n%s" % (cmd[0], p.returncode, p.stdout[-800:].decode(errors="replace"),
                                                    p.stderr[-800:].decode(errors="replace")))
    return p.stdout


def _mda(home, last=""):
    """A delivery command: each message from standard input into out/000001, 000002, ...; then `last`."""
    out = os.path.join(home, "out")
    os.mkdir(out)
    path = os.path.join(home, "mda")
    with open(path, "w") as f:
        f.write("#!/bin/sh\nn=$(cat %s/n 2>/dev/null || echo 0)\nn=$((n + 1))\n"
                "cat >%s/$(printf %%06d $n) || exit 75\necho $n >%s/n\n%s" % (home, out, home, last))
    os.chmod(path, 0o755)
    return path, out


def _collect(out):
    return [open(p, "rb").read() for p in sorted(glob.glob(os.path.join(out, "*")))]


def curl(a, transport, home):
    url = "%s://127.0.0.1:%d/" % ("pop3s" if transport == "tls" else "pop3", a.ports[transport])
    conf = os.path.join(home, "curlrc")
    with open(conf, "w") as f:
        f.write('user = "%s:%s"\nsilent\nshow-error\ncacert = "%s"\n' % (a.user, a.password, a.cafile))
        if transport == "stls":
            f.write("ssl-reqd\n")
        for i in range(1, a.count + 1):
            f.write('url = "%s%d"\noutput = "%s/%06d"\n' % (url, i, home, i))
    _run(["curl", "-K", conf], home)
    # curl makes no file for an empty message
    return [open(p, "rb").read() if os.path.exists(p) else b""
            for p in ("%s/%06d" % (home, i) for i in range(1, a.count + 1))]


def fetchmail(a, transport, home):
    mda, out = _mda(home)
    rc = os.path.join(home, "fetchmailrc")
    tls = {"plain": "sslproto ''", "stls": "sslproto 'TLS1.2+' sslcertck sslcertfile '%s'" % a.cafile,
           "tls": "ssl sslcertck sslcertfile '%s'" % a.cafile}[transport]
    with open(rc, "w") as f:
        f.write("set invisible\nset no bouncemail\n"
                "poll localhost protocol POP3 port %d auth password no dns no uidl\n"
                "  user '%s' password '%s' is '%s' here %s no rewrite pass8bits nodropstatus forcecr no stripcr\n"
                "  keep fetchall mda '%s'\n"
                % (a.ports[transport], a.user, a.password, "root", tls, mda))
    os.chmod(rc, 0o600)
    _run(["fetchmail", "-f", rc, "--nosyslog", "--pidfile", os.path.join(home, "pid")], home, ok=(0,))
    return _collect(out)


def _wire_ends(messages):
    """For clients that write each CRLF as LF and leave a CR in the line itself alone."""
    return [m.replace(b"\n", b"\r\n") for m in messages]


def mpop(a, transport, home):
    mda, out = _mda(home)
    rc = os.path.join(home, "mpoprc")
    tls = {"plain": "tls off", "stls": "tls on\ntls_starttls on\ntls_trust_file %s" % a.cafile,
           "tls": "tls on\ntls_starttls off\ntls_trust_file %s" % a.cafile}[transport]
    with open(rc, "w") as f:
        f.write("account t\nhost 127.0.0.1\nport %d\nuser %s\npassword %s\nauth user\n%s\nkeep on\npipelining on\n"
                "received_header off\nuidls_file %s/uidls\ndelivery mda %s\n"
                % (a.ports[transport], a.user, a.password, tls, home, mda))
    os.chmod(rc, 0o600)
    _run(["mpop", "-C", rc, "-q", "t"], home)
    return _wire_ends(_collect(out))


# getmail6 sets up its handler for SIGCHLD only after it has started the child: if the child is quicker, getmail6 waits
# until its time-out. So the child ends when its parent catches SIGCHLD (17) and sleeps.
AWAITED = """until grep -q '^SigCgt:.*[13579bdf]....$' /proc/$PPID/status && grep -q '^State:.S' /proc/$PPID/status; do
	sleep 0.01
done
"""


def getmail(a, transport, home):
    """getmail6 has no STLS for POP3: see alters.py."""
    mda, out = _mda(home, AWAITED)
    rc = os.path.join(home, "getmailrc")
    kind = "SimplePOP3SSLRetriever" if transport == "tls" else "SimplePOP3Retriever"
    with open(rc, "w") as f:
        f.write("[retriever]\ntype = %s\nserver = 127.0.0.1\nport = %d\nusername = %s\npassword = %s\n"
                "timeout = 600\n" % (kind, a.ports[transport], a.user, a.password))
        if transport == "tls":
            f.write("ca_certs = %s\n" % a.cafile)
        f.write("[destination]\ntype = MDA_external\npath = %s\nallow_root_commands = true\n"
                "[options]\nread_all = true\ndelete = false\ndelivered_to = false\nreceived = false\nverbose = 0\n" % mda)
    _run(["getmail", "--rcfile", rc, "--getmaildir", home], home)
    # its own trace line, always first, whatever the destination
    head = b"Return-Path: <unknown>\n"
    return [m[len(head):] if m.startswith(head) else m for m in _collect(out)]


def python_poplib(a, transport, home):
    context = ssl.create_default_context(cafile=a.cafile)
    context.check_hostname = False  # the certificate names 127.0.0.1 as an address; poplib is given one
    limit = poplib._MAXLINE
    poplib._MAXLINE = 64 * 1024 * 1024  # its own limit of 2,048 octets a line is not what is tested
    try:
        if transport == "tls":
            p = poplib.POP3_SSL("127.0.0.1", a.ports[transport], context=context, timeout=60)
        else:
            p = poplib.POP3("127.0.0.1", a.ports[transport], timeout=60)
        if transport == "stls":
            p.stls(context)
        p.user(a.user)
        p.pass_(a.password)
        sizes = [int(x.split()[1]) for x in p.list()[1]]
        mail = []
        for i in range(1, len(sizes) + 1):
            lines = p.retr(i)[1]
            raw = b"".join(line + b"\r\n" for line in lines)
            if len(raw) != sizes[i - 1]:
                raise ClientFailed("message %d: LIST says %d octets, RETR sent %d" % (i, sizes[i - 1], len(raw)))
            mail.append(raw)
        p.quit()
        return mail
    finally:
        poplib._MAXLINE = limit


PERL = r"""
use strict; use Net::POP3; use IO::Socket::SSL;
my ($port, $transport, $user, $pass, $ca, $out) = @ARGV;
my %ssl = (SSL_ca_file => $ca, SSL_verifycn_scheme => 'none');
my $p = Net::POP3->new('127.0.0.1', Port => $port, Timeout => 120, $transport eq 'tls' ? (SSL => 1, %ssl) : ())
    or die "connect: $@";
if ($transport eq 'stls') { $p->starttls(%ssl) or die 'starttls: ' . $p->message; }
defined $p->login($user, $pass) or die 'login: ' . $p->message;
my $list = $p->list;
for my $n (sort { $a <=> $b } keys %$list) {
    open my $fh, '>:raw', sprintf('%s/%06d', $out, $n) or die $!;
    $p->get($n, $fh) or die "get $n: " . $p->message;
    close $fh or die $!;
}
$p->quit or die 'quit';
"""


def net_pop3(a, transport, home):
    out = os.path.join(home, "out")
    os.mkdir(out)
    _run(["perl", "-e", PERL, str(a.ports[transport]), transport, a.user, a.password, a.cafile, out], home)
    got = _collect(out)
    return _wire_ends(got) if transport == "plain" else got  # over TLS it hands on CRLF


def _read_ahead(home):
    """Lets movemail read more than one octet at a time from a connection in clear: see readahead.c."""
    lib = os.path.join(home, "readahead.so")
    _run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-o", lib, os.path.join(HERE, "readahead.c")], home)
    return {"TERM": "dumb", "LD_PRELOAD": lib}


def mailutils(a, transport, home):
    """movemail into a maildir, messages in order. It uses STLS where it is offered, unless told not to."""
    box = os.path.join(home, "box")
    scheme = "pops" if transport == "tls" else "pop"
    url = "%s://%s:%s@127.0.0.1:%d" % (scheme, a.user, a.password, a.ports[transport]) + (";notls" if transport == "plain" else "")
    cmd = ["movemail", "--preserve", "--emacs"]
    _run(cmd + [url, "maildir:" + box], home, env=_read_ahead(home) if transport == "plain" else None)
    files = glob.glob(os.path.join(box, "new", "*")) + glob.glob(os.path.join(box, "cur", "*"))
    return [open(p, "rb").read() for p in sorted(files, key=lambda p: (os.stat(p).st_mtime_ns, p))]


CLIENTS = {
    "curl": curl, "fetchmail": fetchmail, "mpop": mpop, "getmail": getmail, "poplib": python_poplib,
    "Net::POP3": net_pop3, "mailutils": mailutils, "mutt": mutt,
}
