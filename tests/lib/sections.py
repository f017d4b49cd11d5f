# SPDX-License-Identifier: Apache-2.0
"""Blocks of restante.conf that most tests use."""


def block(kind, name="", **settings):
    """`kind name { ... }`. A list gives a setting several times, None leaves it out."""
    lines = [" %s = %s\n" % (k, one) for k, v in settings.items() if v is not None for one in (v if isinstance(v, list) else [v])]
    return "%s {\n%s}\n" % (("%s %s" % (kind, name)).strip(), "".join(lines))


def accounts(srv, name="accounts", **more):
    """An auth section on the passwd-file of Server.passwd()."""
    return block("auth", name, **{"module": "passwd", "file": srv.path("passwd"), "allow_plain": "yes", "storage": "mail", **more})


def store(srv, module, box="%n", name="mail", **more):
    """A storage section of files below mail/."""
    return block("storage", name, **{"module": module, "path": srv.path("mail", box), **more})


def maildirs(srv, box="%n", **more):
    return store(srv, "maildir", box, **more)


def faulty(srv, name, file, rules, unknown=None, **settings):
    """An auth section for NAME.test on a passwd-file that fails by these rules."""
    return (accounts(srv, name + "-file", file=srv.path(file), storage=None, unknown=unknown) +
            block("auth", name, module="fault", wrap=name + "-file", storage="mail", domains=name + ".test", rule=list(rules), **settings))


def hurt(srv, *rules):
    """Storage sections `hangs`, until a file named release exists, and `breaks`, whose breaker opens and stays open."""
    return (maildirs(srv, name="one") + maildirs(srv, name="two") +
            block("storage", "hangs", module="fault", wrap="one", rule="mbox_open * hang", release=srv.path("release"), scan_ms=1000,
                  permits=2) +
            block("storage", "breaks", module="fault", wrap="two", rule=["mbox_open * error DOWN", *rules], trip_after=2,
                  breaker_open_ms=3600000, permits=2))


def plain(srv):
    """Accounts of a passwd-file, and their maildirs, which are found by names without a domain."""
    return accounts(srv, name_domain="none") + maildirs(srv)
