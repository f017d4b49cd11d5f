#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A test cannot meet another's server: on the same port of the same address each reaches its own, or none."""
import os
import socket
import subprocess
import sys

LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")
sys.path.insert(0, LIB)
from network import MARK, own_network  # noqa: E402
from server import Tap, free_port, has_ipv6, port_open  # noqa: E402

# another test: listens on the given port, reports that, and stays until its input ends
OTHER = """import socket, sys
sys.path.insert(0, %r)
import server
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    print("listening", flush=True)
    sys.stdin.read()
""" % LIB


def other(port):
    env = {k: v for k, v in os.environ.items() if k != MARK}  # no program of this test: it was started beside it
    p = subprocess.Popen([sys.executable, "-c", OTHER, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
    p.stdout.readline()
    return p


def main():
    tap = Tap()
    tap.ok(own_network(), "tests have networks of their own: they run as root, or user namespaces are allowed")
    port = free_port()
    with other(port) as a, other(port) as b:
        tap.ok(a.poll() is None and b.poll() is None, "two other tests listen on the same port")
        tap.ok(not port_open(port), "a client of this test reaches neither")
        with socket.create_server(("127.0.0.1", port)):
            tap.ok(port_open(port), "it reaches its own server there")
    tap.ok([n for _, n in socket.if_nameindex()] == ["lo"] and has_ipv6() == os.path.exists("/proc/net/if_inet6"),
           "the loopback interface is all there is", socket.if_nameindex())
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
