# SPDX-License-Identifier: Apache-2.0
"""Tasks in parallel: enough to keep the processors busy. Most tests wait more than they compute, some compute all the
time. So the next task starts when the running ones are not expected to fill the processors, judging by earlier runs, or
when a processor has in fact been idle. The longest tasks start first."""
import ctypes
import os
import signal
import subprocess
import time

CPUS = sorted(os.sched_getaffinity(0))
LEAST = len(CPUS) + 1  # always run, whatever else the machine does
MOST = 6 * len(CPUS)
LOOK_S = 0.4  # between one more task and the next: time to see what it costs
IDLE = 0.12  # of a processor
PR_SET_CHILD_SUBREAPER = 36
ROOM = 1500  # MB of memory that must be free before more than those few run


class Task:
    """name: unique. wall, cpu: the seconds it is expected to take. after: names of tasks that must end first. done: called with
    the task when it has ended; it may return more tasks. urgent: starts before all that are not."""

    def __init__(self, name, argv, log, wall, cpu, env=None, cwd=None, after=(), done=None, urgent=False):
        self.name, self.argv, self.log, self.env, self.cwd = name, argv, log, env, cwd
        self.wall, self.cpu, self.after, self.done, self.urgent = wall, cpu, set(after), done, urgent
        self.proc, self.began, self.took, self.used, self.rc = None, None, None, None, None

    def start(self):
        with open(self.log, "wb") if self.log else open(os.devnull, "wb") as out:
            self.proc = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                         cwd=self.cwd, env=self.env, start_new_session=True)
        self.began = time.monotonic()

    def ended(self):
        if self.rc is not None:
            return True
        pid, status, usage = os.wait4(self.proc.pid, os.WNOHANG)
        if not pid:
            return False
        self.rc = self.proc.returncode = os.waitstatus_to_exitcode(status)
        self.took, self.used = time.monotonic() - self.began, usage.ru_utime + usage.ru_stime
        return True


class Idle:
    """How much processor time was idle since the last call; 1 is one processor."""

    def __init__(self):
        self.before = self.read()

    @staticmethod
    def read():
        idle = total = 0
        with open("/proc/stat") as f:
            for line in f:
                w = line.split()
                if w[0][3:].isdigit() and w[0].startswith("cpu") and int(w[0][3:]) in CPUS:
                    ticks = [int(x) for x in w[1:9]]
                    idle += ticks[3] + ticks[4]
                    total += sum(ticks)
        return idle, total

    def look(self):
        now = self.read()
        idle, total = now[0] - self.before[0], now[1] - self.before[1]
        self.before = now
        return len(CPUS) * idle / total if total else 0


def free_mb():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) // 1024 for line in f if line.startswith("MemAvailable"))


def children():
    found = []
    for thread in os.listdir("/proc/self/task"):
        with open("/proc/self/task/%s/children" % thread) as f:
            found += [int(pid) for pid in f.read().split()]
    return found


def command(pid):
    """The program that a process runs; "": it has ended."""
    try:
        with open("/proc/%d/cmdline" % pid, errors="replace") as f:
            return f.read().replace("\0", " ").strip()
    except OSError:
        return ""


class Schedule:
    """Adopts processes that a task leaves behind: they are ended, and waited for, with the last task."""

    def __init__(self, tasks):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.pending, self.running, self.finished = [], [], []
        self.add(tasks)

    def add(self, tasks):
        self.pending += tasks
        self.pending.sort(key=lambda t: (not t.urgent, -t.wall))

    def next(self):
        """The first task that may start."""
        open_ = {t.name for t in self.pending + self.running}
        return next((t for t in self.pending if not t.after & open_), None)

    def fill(self, look=False, idle=0):
        """Starts tasks up to the least number; at a look, one more."""
        expected = sum(min(len(CPUS), t.cpu / max(t.wall, 0.1)) for t in self.running)
        more = (idle > IDLE or look and expected < len(CPUS)) and len(self.running) < MOST and free_mb() > ROOM
        while len(self.running) < LEAST or more:
            task = self.next()
            if not task:
                return
            more = False
            self.pending.remove(task)
            task.start()
            self.running.append(task)

    def run(self, each_look):
        """Runs until all is done; calls each_look() in between."""
        idle, last = Idle(), 0
        while self.pending or self.running:
            self.strays()
            for task in [t for t in self.running if t.ended()]:
                self.running.remove(task)
                self.finished.append(task)
                self.add(task.done(task) or [] if task.done else [])
            now = time.monotonic()
            if now - last >= LOOK_S:
                last = now
                self.fill(True, idle.look())
            else:
                self.fill()
            each_look()
            time.sleep(0.05)

    def strays(self):
        """Running processes that are no task's first one; those that have ended are waited for."""
        alive = []
        for pid in set(children()) - {t.proc.pid for t in self.running if t.rc is None}:
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    alive.append(pid)
            except ChildProcessError:
                pass  # a task that has been waited for meanwhile
        return alive

    def tidy(self, patience=5):
        """Ends the processes that tasks left behind; returns their commands."""
        left = [command(pid) for pid in self.strays()]
        for number in (signal.SIGTERM, signal.SIGKILL):
            end = time.monotonic() + patience
            for pid in self.strays():
                os.kill(pid, number)
            while time.monotonic() < end and self.strays():
                time.sleep(0.05)
        return left

    def stop(self, patience=20):
        """Ends the tasks by their process groups: first as Ctrl-C does, so that a test ends its servers; then for good."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            for task in [t for t in self.running if not t.ended()]:
                os.killpg(task.proc.pid, number)  # not yet waited for, so the group exists
            end = time.monotonic() + patience
            while time.monotonic() < end and not all([t.ended() for t in self.running]):
                time.sleep(0.05)
        return self.tidy()
