# SPDX-License-Identifier: Apache-2.0
"""The program keep (keep.c), asked line by line; and a look at its files behind its back."""
import os
import subprocess

PROGRAM = os.path.join(os.environ.get("top_builddir", "."), "tests", "crash", "keep")


class Keeper:
    def __init__(self, directory, conf):
        self.dir = directory
        self.conf = os.path.join(directory, "conf")
        os.makedirs(self.path("state"), exist_ok=True)
        with open(self.conf, "w") as f:
            f.write("config_version = 1\nstate_dir = %s\n%s\n" % (self.path("state"), conf))
        self.proc = None

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def run(self, lines, kill_point=0, timeout=600, check=True):
        """All lines in one process: its output lines; its exit code is in self.rc."""
        env = dict(os.environ)
        env.pop("RESTANTE_KILL_POINT", None)
        if kill_point:
            env["RESTANTE_KILL_POINT"] = str(kill_point)
        done = subprocess.run([PROGRAM, self.conf], input="\n".join(lines) + "\n", capture_output=True, text=True, env=env,
                              timeout=timeout)
        self.rc = done.returncode
        self.said = done.stderr
        if check and self.rc != 0:
            raise RuntimeError("keep ended with %d\n%s\n%s" % (self.rc, done.stdout[-500:], done.stderr[-3000:]))
        return done.stdout.splitlines()

    def start(self, env=None):
        """A process that stays; feed() it."""
        self.proc = subprocess.Popen([PROGRAM, self.conf], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True, env=env or os.environ)
        return self

    def ask(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()
        return self.proc.stdout.readline().rstrip("\n")

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()
        self.proc = None

    def items(self, cls):
        """id -> size, of complete items; and the names of incomplete ones."""
        whole, halves, found = {}, [], {}
        for base, _, names in os.walk(self.path("bad", cls)):
            for n in names:
                found.setdefault(n.split(".")[0], {})[n.rsplit(".", 1)[1]] = os.path.join(base, n)
        for ident, parts in found.items():
            if set(parts) == {"eml", "json"}:
                whole[int(ident, 16)] = os.path.getsize(parts["eml"])
            else:
                halves += parts.values()
        return whole, halves

    def totals(self):
        return [int(x) for x in self.run(["totals"])[0].split()]

    def true_totals(self):
        """The totals to expect: [retry items, octets, refused items, octets]."""
        out = []
        for cls in ("retry", "refused"):
            whole, _ = self.items(cls)
            out += [len(whole), sum(s + 1024 for s in whole.values())]
        return out
