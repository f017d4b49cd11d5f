# SPDX-License-Identifier: Apache-2.0
"""A private slapd for one test: its own directory, its own ports, ended by pid. A missing slapd is a failure."""
import base64
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile

from databases import stopped
from server import free_port, port_open, wait_until

BASE = "dc=test,dc=local"
PEOPLE = "ou=people," + BASE
GROUPS = "ou=groups," + BASE
ODD = "cn=odd," + BASE  # Slapd(odd=...) gives the answers to binds as entries below it
SERVICE = "cn=pop3d,ou=services," + BASE
SERVICE_PASSWORD = "service"
STRING = "EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15"

CONFIG = """dn: cn=config
objectClass: olcGlobal
cn: config
olcPidFile: {dir}/slapd.pid
olcThreads: 4
olcLogLevel: stats
{tls}
dn: cn=module{{0}},cn=config
objectClass: olcModuleList
cn: module{{0}}
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb
olcModuleLoad: ppolicy
olcModuleLoad: retcode

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif
include: file:///etc/ldap/schema/cosine.ldif
include: file:///etc/ldap/schema/inetorgperson.ldif
include: file:///etc/ldap/schema/nis.ldif
include: file://{dir}/msuser.ldif

dn: cn=restante,cn=schema,cn=config
objectClass: olcSchemaConfig
cn: restante
{schema}
dn: olcDatabase={{-1}}frontend,cn=config
objectClass: olcDatabaseConfig
objectClass: olcFrontendConfig
olcDatabase: {{-1}}frontend
olcAccess: to dn.base="" by * read

dn: olcDatabase={{1}}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {{1}}mdb
olcSuffix: {base}
olcRootDN: cn=admin,{base}
olcRootPW: admin
olcDbDirectory: {dir}/db
olcDbMaxSize: {size}
olcDbNoSync: TRUE
olcDbIndex: objectClass eq
olcDbIndex: uid,mail,loginName eq
olcAccess: {{0}}to attrs=userPassword by anonymous auth by * none
olcAccess: {{1}}to * by dn.base="{service}" read by dn.regex="^gidNumber=.*,cn=peercred,cn=external,cn=auth$" read
  by dn.base="cn=restante-client" read by self read by * {others}

dn: olcOverlay={{0}}ppolicy,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcPPolicyConfig
olcOverlay: {{0}}ppolicy
olcPPolicyUseLockout: TRUE

dn: olcOverlay={{1}}retcode,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcRetcodeConfig
olcOverlay: {{1}}retcode
olcRetcodeParent: cn=odd,{base}
{odd}"""

ATTRIBUTES = [("mailKey", STRING), ("mailSection", STRING), ("mailQuota", STRING), ("mailExpire", STRING),
              ("mailRight", STRING), ("mailCount", STRING), ("nsAccountLock", STRING),
              ("loginName", "EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40")]


def ssha(password):
    raw = password if isinstance(password, bytes) else password.encode()
    return "{SSHA}" + base64.b64encode(hashlib.sha1(raw + b"saltsalt").digest() + b"saltsalt").decode()


def line(key, value):
    """One line of LDIF; in base64 what needs it."""
    raw = value if isinstance(value, bytes) else str(value).encode()
    return "%s:: %s\n" % (key, base64.b64encode(raw).decode())


def entry(dn, classes, **attrs):
    text = line("dn", dn) + "".join(line("objectClass", c) for c in classes)
    for key, value in attrs.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            text += line(key.replace("_", "-"), one)
    return text + "\n"


def user(uid, password="restante", dn=None, **attrs):
    return entry(dn or "uid=%s,%s" % (uid, PEOPLE), ["inetOrgPerson", "extensibleObject"], uid=uid, cn=uid, sn=uid,
                 userPassword=ssha(password), **attrs)


def group(name, members):
    return entry("cn=%s,%s" % (name, GROUPS), ["groupOfNames"], cn=name, member=members)


def tree(*more):
    text = entry(BASE, ["dcObject", "organization"], dc="test", o="test")
    for ou in ("people", "groups", "services", "policies"):
        text += entry("ou=%s,%s" % (ou, BASE), ["organizationalUnit"], ou=ou)
    text += entry(SERVICE, ["organizationalRole", "simpleSecurityObject"], cn="pop3d",
                  userPassword=ssha(SERVICE_PASSWORD))
    text += entry(ODD, ["organizationalRole"], cn="odd")
    return text + "".join(more)


class Authority:
    """A certificate authority for one test. libldap asks for the machine's own name where the URI has `localhost`."""

    def __init__(self, name="test"):
        self.dir = tempfile.mkdtemp(prefix="rst-ca.", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.cert = self.path("ca.pem")
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", "/CN=%s authority" % name, "-keyout", self.path("ca.key"), "-out", self.cert, "-addext",
                 "keyUsage=critical,keyCertSign,cRLSign")

    def path(self, name):
        return os.path.join(self.dir, name)

    @staticmethod
    def run(*args):
        subprocess.run(["openssl", *args], check=True, stderr=subprocess.DEVNULL)

    def issue(self, name, alt="IP:127.0.0.1"):
        """(certificate, key)"""
        cert, key, req, ext = (self.path(name + end) for end in (".pem", ".key", ".csr", ".ext"))
        self.run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                 "/CN=" + name, "-keyout", key, "-out", req)
        with open(ext, "w") as f:
            f.write("subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n" % alt)
        self.run("x509", "-req", "-in", req, "-CA", self.cert, "-CAkey", self.path("ca.key"), "-CAcreateserial",
                 "-days", "2", "-extfile", ext, "-out", cert)
        os.chmod(key, 0o644)  # the server under test runs as another user; it is only a test's key
        return cert, key

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Slapd:
    def __init__(self, ldif, authority=None, certificate=None, client="never", odd=(), debug=256, size=64 << 20,
                 ciphers=None, others="none"):
        """authority: signs the certificates of clients, and the server's unless certificate = (certificate, key) is given.
        others: the access that users whom no rule names have to an entry. ciphers: a GnuTLS priority string.
        odd: (RDN, result code, diagnostic text) of binds below ODD. debug: the log's level; 256 is one line an operation."""
        self.debug = debug
        self.dir = tempfile.mkdtemp(prefix="rst-slapd.", dir="/tmp")
        os.chmod(self.dir, 0o711)
        self.proc = None
        self.frozen = False
        self.port, self.tls_port = free_port(), free_port()
        self.socket = os.path.join(self.dir, "ldapi")
        self.tls = authority is not None
        tls = ""
        if authority:
            cert, key = certificate or authority.issue("server")
            tls = ("olcTLSCACertificateFile: %s\nolcTLSCertificateFile: %s\nolcTLSCertificateKeyFile: %s\n"
                   "olcTLSVerifyClient: %s\n" % (authority.cert, cert, key, client))
            tls += "olcTLSCipherSuite: %s\n" % ciphers if ciphers else ""
        schema = "".join("olcAttributeTypes: {%d}( 1.3.6.1.4.1.99999.1.%d NAME '%s' %s )\n" % (i, i, name, kind)
                         for i, (name, kind) in enumerate(ATTRIBUTES))
        with open("/etc/ldap/schema/msuser.ldif") as f, open(os.path.join(self.dir, "msuser.ldif"), "w") as copy:
            # names of accounts compare in Active Directory; this schema tells slapd of no way how
            copy.write(f.read().replace("NAME 'sAMAccountName'\n", "NAME 'sAMAccountName'\n  EQUALITY caseIgnoreMatch\n"))
        os.mkdir(os.path.join(self.dir, "conf"))
        os.mkdir(os.path.join(self.dir, "db"))
        self.add(0, CONFIG.format(dir=self.dir, tls=tls, schema=schema, base=BASE, service=SERVICE, size=size, others=others, odd="".join(
            'olcRetcodeItem: "%s" %d op=bind text="%s"\n' % one for one in odd)))
        self.add(1, ldif)

    def add(self, n, ldif):
        done = subprocess.run([self.tool("slapadd"), "-q", "-n", str(n), "-F", os.path.join(self.dir, "conf")], input=ldif,
                              text=True, capture_output=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError("slapadd: " + done.stderr)

    @staticmethod
    def tool(name):
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not path:
            raise RuntimeError("%s is not installed (Debian: slapd)" % name)
        return path

    @property
    def uri(self):
        return "ldap://127.0.0.1:%d" % self.port

    @property
    def tls_uri(self):
        return "ldaps://127.0.0.1:%d" % self.tls_port

    @property
    def unix_uri(self):
        return "ldapi://" + self.socket.replace("/", "%2F")

    def start(self):
        uris = [self.uri, self.unix_uri] + ([self.tls_uri] if self.tls else [])
        log = open(os.path.join(self.dir, "log"), "ab")
        # -d keeps it in the foreground
        self.proc = subprocess.Popen([self.tool("slapd"), "-h", " ".join(uris), "-F", os.path.join(self.dir, "conf"),
                                      "-d", str(self.debug)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        log.close()

        def up():
            if self.proc.poll() is not None:
                raise RuntimeError("slapd ended: " + self.log()[-2000:])
            return port_open(self.port)
        wait_until(up, 120, "slapd to listen")
        return self

    def log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()

    def freeze(self):
        """Returns when each of its threads has stopped: until then some of them still answer."""
        self.proc.send_signal(signal.SIGSTOP)
        self.frozen = True
        wait_until(lambda: stopped(self.proc.pid), 60, "slapd to stop")

    def thaw(self):
        self.proc.send_signal(signal.SIGCONT)
        self.frozen = False

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.proc = None

    def stop(self):
        if not self.proc:
            return
        self.thaw()
        self.proc.terminate()
        try:
            self.proc.wait(60)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.proc = None

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def modify(self, ldif):
        subprocess.run([self.tool("ldapmodify"), "-x", "-H", self.uri, "-D", "cn=admin," + BASE, "-w", "admin"],
                       input=ldif, text=True, capture_output=True, timeout=120, check=True)
