# SPDX-License-Identifier: Apache-2.0
"""A private MariaDB for the storage module mysql; restantectl makes its tables, as for an administrator."""
import os
import subprocess
import tempfile

from databases import PASSWORD, Maria

TREE = os.environ["CHECK_TREE"]


class MailStore(Maria):
    """settings() gives those of a storage section; packets are small, so that nothing depends on large ones."""

    def __init__(self, tls=True, **extra):
        extra.setdefault("max_allowed_packet", "16M")
        super().__init__(tls=tls, **extra)

    def schema(self):
        done = self.schema_tool()
        if done.returncode:
            raise SystemExit("restantectl mysql-schema: %s%s" % (done.stdout, done.stderr))

    def settings(self, tls=True, server=None):
        s = {"server": server or "127.0.0.1:%d" % self.port, "database": "mail", "user": "restante", "password": PASSWORD}
        s.update({"tls_ca": self.ca} if tls else {"tls": "off"})
        return s

    def section(self, name="mail", **more):
        """The section's text in restante.conf; a list gives several."""
        settings = dict(self.settings(), **more)
        lines = []
        for k, v in settings.items():
            lines += [" %s = %s" % (k, one) for one in (v if isinstance(v, list) else [v])]
        return "storage %s {\n module = mysql\n%s\n}\n" % (name, "\n".join(lines))

    def schema_tool(self, *words, **settings):
        """restantectl mysql-schema WORDS with a configuration of its own."""
        fd, conf = tempfile.mkstemp(prefix="schema.", suffix=".conf", dir=self.dir)
        with os.fdopen(fd, "w") as f:
            f.write("config_version = 1\nstate_dir = %s\nrun_dir = %s\nmodule_dir = %s/lib/restante/modules\n"
                    "listener pop3 {\n address = 127.0.0.1\n port = 2110\n tls = none\n plaintext_login = allow\n}\n"
                    "auth none {\n module = ram\n storage = mail\n}\n%s"
                    % (self.dir, self.dir, TREE, self.section(**settings)))
        done = subprocess.run([os.path.join(TREE, "bin/restantectl"), "-c", conf, "mysql-schema", *words],
                              capture_output=True, text=True, timeout=120)
        os.unlink(conf)
        return done
