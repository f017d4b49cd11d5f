#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every real mail program and the whole corpus, as fetch.py has them, out of mboxes: in clear; with --all by STLS and
TLS as well."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import clients  # noqa: E402
import fetch  # noqa: E402

class Mboxes:
    def put(self, srv, user, messages):
        srv.mbox(user, messages)

    def section(self, srv):
        return "storage mail {\n module = mbox\n path = %s/%%n\n}\n" % srv.path("mail")

    def close(self):
        pass


if __name__ == "__main__":
    sys.exit(fetch.main(Mboxes(), clients.TRANSPORTS if os.environ.get("ALL") == "yes" else ("plain",)))
