# SPDX-License-Identifier: Apache-2.0
"""Shapes that a client itself alters or cannot handle, with any server, and why.

Measured one shape at a time; each entry was also seen with another server. They are left out of that
client's maildrop, so that one of them cannot hide a fault in the others.
"""
CR_STRIPPED = "strips a CR before CRLF together with the line end"
NO_HEADER = "adds a header or blank line of its own to a message without one"
LINE_BUFFER = "cuts lines at its buffer and writes junk between the pieces"

ALTERS = {
    "curl": {
        "empty": "writes CRLF for an empty message",
    },
    "poplib": {},
    "mpop": {},
    "Net::POP3": {},
    "fetchmail": dict(
        {name: NO_HEADER for name in ("dot-only-message", "empty", "one-lf", "one-octet", "header-only",
                                      "header-only-no-end", "blank-line-first", "no-blank-line")},
        **{name: LINE_BUFFER for name in ("crlf-at-16383", "crlf-at-32767", "line-8192", "line-100k", "line-1m")}),
    "getmail": dict(
        {name: NO_HEADER for name in ("dot-only-message", "empty", "one-octet", "header-only", "header-only-no-end",
                                      "no-blank-line")},
        **{name: "takes a lone CR for a line end" for name in ("dot-after-lone-cr", "lone-cr", "cr-cr-lf",
                                                               "cr-at-end", "lf-cr", "cr-run")},
        **{"long-subject": "folds long header lines", "line-1m": "gives up on lines of 1 MiB"}),
    "mailutils": dict(
        {name: NO_HEADER for name in ("dot-only-message", "empty", "one-octet", "header-only", "header-only-no-end",
                                      "no-blank-line")},
        **{name: CR_STRIPPED for name in ("cr-cr-lf", "cr-at-end", "lf-cr", "cr-run")}),
    "mutt": {name: "ends a line at its first NUL" for name in ("nul", "nul-first", "all-bytes")},
}

# Transports that a client does not support at all.
CANNOT = {
    ("getmail", "stls"): "getmail6 knows TLS from the first octet only",
}
