"""Runs the load generator against one server and turns the samples around it into costs an operation."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

from . import proc

# Beyond the run itself: connecting, draining, and a machine that does other things too.
GRACE_SECS = 30
FILL_SECS_MAX = 600
# strace says nothing when it has attached to every thread.
ATTACH_SECS = 0.5
# Past this share of the server's core taken by others, a round says more about them.
FOREIGN_BUSY_MAX = 0.05
CALM_WINDOW_SECS = 0.25


@dataclass
class Load:
    """What is asked of a server; the pipeline differs from point to point."""

    binary: str
    keys: int
    conns: int
    mix: str
    dist: str
    value_bytes: int = 32
    cpus: str = "1"
    key_prefix: str = "memtier-"
    # More flags of the generator.
    more: tuple = ()

    def argv(self, server, *options):
        argv = ["taskset", "-c", self.cpus, self.binary, "--port", str(server.port), "--proto", server.protocol]
        argv += ["--keys", str(self.keys), "--key-prefix", self.key_prefix]
        argv += ["--value-bytes", str(self.value_bytes), *map(str, self.more)]
        return [*argv, *map(str, options)]

    def fill(self, server):
        """Sets all keys once; the generator fails when the server's own count is not theirs."""
        _checked(self.argv(server, "--fill", "--secs", 0), server, FILL_SECS_MAX)

    def run(self, server, pipeline, secs, seed, wrapper=()):
        options = ["--conns", self.conns, "--mix", self.mix, "--dist", self.dist, "--pipeline", pipeline]
        argv = [*wrapper, *self.argv(server, *options, "--secs", secs, "--seed", seed, "--json")]
        outturn = json.loads(_checked(argv, server, secs + GRACE_SECS).splitlines()[-1])
        if outturn["errors"]:
            raise SystemExit(f"bench: {server.name} answered {outturn['errors']} errors: {outturn['first_error']}")
        if outturn["misses"]:
            raise SystemExit(f"bench: {server.name} has lost {outturn['misses']} of the keys filled")
        return outturn


def _checked(argv, server, secs_max):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=secs_max)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"bench: the load on {server.name} did not end within {secs_max} s") from None
    if done.returncode != 0:
        raise SystemExit(f"bench: the load on {server.name} failed: {done.stderr.strip()}")
    return done.stdout


def point(load, server, pipeline, secs, seed):
    """One timed run. The generator answers for every request it sent, so CPU time and operations match exactly."""
    cpu, switches = proc.cpu_secs(server.pid), proc.voluntary_switches(server.pid)
    threads, busy = proc.thread_cpu_secs(server.pid), proc.busy_secs(0)
    load_cpu = children_cpu_secs()
    found = load.run(server, pipeline, secs, seed)
    after = proc.thread_cpu_secs(server.pid)
    cpu_secs = proc.cpu_secs(server.pid) - cpu
    found["cpu_us_op"] = cpu_secs * 1e6 / found["ops"]
    found["switches_op"] = (proc.voluntary_switches(server.pid) - switches) / found["ops"]
    found["server_busy"] = cpu_secs / found["secs"]
    found["load_busy"] = (children_cpu_secs() - load_cpu) / found["secs"]
    found["thread_cpu_secs"] = sorted((after[tid] - threads.get(tid, 0.0) for tid in after), reverse=True)
    # Only a server alone on CPU 0 tells its own use of it from that of others.
    alone = "0" not in load.cpus.split(",")
    found["foreign_busy"] = max(0.0, proc.busy_secs(0) - busy - cpu_secs) / found["secs"] if alone else None
    return found


def children_cpu_secs():
    """Of children that have ended: the generator's, since a server is not waited for while it is measured."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Calm:
    """Points measured while nobody else uses the two CPUs, as far as a budget of waiting and repeating goes.

    What is looked at is the others' CPU time, never the result, so choosing among runs does not choose the result.
    """

    def __init__(self, budget_secs):
        self.left_secs = budget_secs

    def point(self, load, server, pipeline, secs, seed):
        self._wait()
        found = point(load, server, pipeline, secs, seed)
        while found["foreign_busy"] > FOREIGN_BUSY_MAX and self.left_secs > secs:
            self.left_secs -= secs
            self._wait()
            again = point(load, server, pipeline, secs, seed)
            found = min(found, again, key=lambda one: one["foreign_busy"])
        return found

    def _wait(self):
        while self.left_secs > 0:
            busy = proc.busy_secs(0) + proc.busy_secs(1)
            time.sleep(CALM_WINDOW_SECS)
            self.left_secs -= CALM_WINDOW_SECS
            if proc.busy_secs(0) + proc.busy_secs(1) - busy <= 2 * FOREIGN_BUSY_MAX * CALM_WINDOW_SECS:
                return


class SyscallCounter:
    """Counts a server's system calls in runs of their own: tracing slows each call, so no timed run is traced."""

    def __init__(self):
        self.instructions = False
        if self._perf_works():
            self.method = "perf stat -e raw_syscalls:sys_enter"
        elif shutil.which("strace"):
            self.method = "strace -c -f"
        else:
            self.method = None

    def _perf_works(self):
        if shutil.which("perf") is None:
            return False
        probe = ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter,instructions", "true"]
        text = subprocess.run(probe, capture_output=True, text=True).stderr
        counts = _perf_counts(text)
        self.instructions = "instructions" in counts
        return counts.get("raw_syscalls:sys_enter", 0) > 0

    def per_op(self, load, server, pipeline, secs, seed):
        """System calls and, where the processor shows its counters, instructions an operation."""
        if self.method is None:
            return {}
        if self.method.startswith("perf"):
            return self._by_perf(load, server, pipeline, secs, seed)
        return self._by_strace(load, server, pipeline, secs, seed)

    def _by_perf(self, load, server, pipeline, secs, seed):
        with tempfile.NamedTemporaryFile("r") as report:
            events = "raw_syscalls:sys_enter" + (",instructions" if self.instructions else "")
            wrapper = ["perf", "stat", "-x,", "-o", report.name, "-e", events, "-p", str(server.pid), "--"]
            ops = load.run(server, pipeline, secs, seed, wrapper)["ops"]
            counts = _perf_counts(report.read())
        costs = {"syscalls_op": counts["raw_syscalls:sys_enter"] / ops}
        if self.instructions:
            costs["instructions_op"] = counts["instructions"] / ops
        return costs

    def _by_strace(self, load, server, pipeline, secs, seed):
        with tempfile.TemporaryDirectory() as scratch:
            path = os.path.join(scratch, "counts")
            tracer = subprocess.Popen(["strace", "-c", "-f", "-o", path, "-p", str(server.pid)],
                                      stderr=subprocess.DEVNULL)
            time.sleep(ATTACH_SECS)
            try:
                ops = load.run(server, pipeline, secs, seed)["ops"]
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.wait(GRACE_SECS)
            with open(path) as report:
                total = re.search(r"^100\.00\s+\S+\s+\S+\s+(\d+).*total$", report.read(), re.MULTILINE)
        return {"syscalls_op": int(total.group(1)) / ops} if total else {}


def _perf_counts(text):
    """perf's comma-separated lines; an event the machine does not have is left out."""
    counts = {}
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[0].isdigit():
            counts[fields[2]] = int(fields[0])
    return counts
