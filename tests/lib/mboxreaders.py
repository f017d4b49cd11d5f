# SPDX-License-Identifier: Apache-2.0
"""Mail programs that people run on an mbox beside a server: each takes all messages as seen and deletes those whose subject
begins with "mutt-", in place. neomutt and alpine are fetched and unpacked as the servers of mtabox.py are, never installed."""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "live"))
import mutt  # noqa: E402
from mtabox import fetch  # noqa: E402

PATIENCE = 120
LIBRARIES = ("libnotmuch5", "libgmime-3.0-0", "libsexp1", "libtalloc2", "libxapian30")  # what neomutt needs beside mutt's


class Mutt:
    """It notices when another program changes the file, and reads it again."""
    name, alone = "mutt", False

    def __init__(self, box):
        self.box, self.home = box, tempfile.mkdtemp(prefix="rst-reader.", dir="/tmp")
        self.prepare()

    def program(self):
        return ["mutt"]

    def prepare(self):
        with open(os.path.join(self.home, "rc"), "w") as f:
            f.write("set folder='%s' spoolfile='%s' quit=yes delete=yes move=no sleep_time=0 mark_old=no\n"
                    "push '<tag-pattern>~A<enter><tag-prefix><clear-flag>N<delete-pattern>~s mutt-<enter><sync-mailbox>'\n"
                    % (self.home, self.box))

    def run(self):
        """Its exit status, and the last it drew."""
        return mutt._on_terminal([*self.program(), "-n", "-F", os.path.join(self.home, "rc"), "-f", self.box], self.home, b"q",
                                 PATIENCE)

    def close(self):
        shutil.rmtree(self.home, ignore_errors=True)


class Neomutt(Mutt):
    name = "neomutt"

    def prepare(self):
        super().prepare()
        for deb in fetch(("neomutt", *LIBRARIES)):
            subprocess.check_call(["dpkg-deb", "-x", deb, os.path.join(self.home, "pkg")])

    def program(self):
        pkg = os.path.join(self.home, "pkg", "usr")
        return ["env", "LD_LIBRARY_PATH=" + os.path.join(pkg, "lib", "x86_64-linux-gnu"), os.path.join(pkg, "bin", "neomutt")]


class Alpine(Mutt):
    """c-client wants the file for itself, but for mail that is appended: a file that another program changes while it is open
    is written back as it was. It leaves its internal message in a mailbox that it empties."""
    name, alone = "alpine", True

    def prepare(self):
        with open(os.path.join(self.home, "rc"), "w") as f:
            f.write("last-version-used=6.26\nfolder-collections=\ninbox-path=/nonexistent/inbox\n"
                    "feature-list=expunge-without-confirm,expunge-without-confirm-everywhere,quit-without-confirm,"
                    "enable-aggregate-command-set\n")
        for deb in fetch(("alpine",)):
            subprocess.check_call(["dpkg-deb", "-x", deb, os.path.join(self.home, "pkg")])

    def run(self):
        with open(self.box, "rb") as f:
            some = b"\nSubject: mutt-" in f.read()
        # index; select: text, subject; apply: delete. With nothing selected, d would take the message at the cursor.
        keys = "i," + (';,t,s,"mutt-",CR,a,d,' if some else "") + "q"
        return mutt._on_terminal([os.path.join(self.home, "pkg", "usr", "bin", "alpine"), "-p", os.path.join(self.home, "rc"),
                                  "-f", self.box, "-I", keys], self.home, b"", PATIENCE)
