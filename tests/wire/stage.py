"""Where a hostile case plays: a fresh server, a watcher beside it, and the verdict on both when the case is through."""

import json
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

from lib import resp
from lib.cases import Suite, check
from lib.server import ROOT, Server

ANSWER_MS_MAX = 100
WATCHER_CONNECTIONS = 4
# A stall that the server causes shows in every attempt, one that a busy machine causes does not.
ATTEMPTS_MAX = 3
MIB = 1 << 20
CORES = (1, 2, 4)
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))

suite = Suite("wire")


def on_cores(counts=CORES, **traits):
    """Registers a case once for each number of cores; a quick run plays two cores alone."""

    def register(function):
        for cores in counts:
            suite.case(f"{function.__name__} on {cores}", cores=cores, slow=cores != 2, **traits)(function)
        return function

    return register


def faulty_binary():
    """A build with the feature `faults`: $COLDPLATE_FAULTS_BIN, or cargo's usual place for one."""
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    return os.environ.get("COLDPLATE_FAULTS_BIN") or str(Path(target) / "debug" / "coldplate")


def environment(traits):
    """What a server is started with for the faults that a case plants."""
    if "faults" not in traits:
        return {}
    plan = {"COLDPLATE_FAULTS": f"seed={traits.get('seed', SEED)},{traits['faults']}"}
    return {"binary": faulty_binary(), "environment": plan}


class LateAnswer(AssertionError):
    """The watcher waited too long."""


class Stage:
    """What a case gets: `server`, ways to reach it, the seed, and the faults that are planted."""

    def __init__(self, server, faults="", seed=SEED):
        self.server = server
        self.seed = seed
        self.faults = faults

    def wire(self, timeout_s=30.0):
        return resp.Wire(self.server.connect(timeout_s))

    def sock(self, timeout_s=30.0):
        return self.server.connect(timeout_s)

    def info(self, section, field):
        """A number of INFO."""
        with self.wire() as wire:
            text = wire.ask("INFO", section).decode()
        return int(text.split(f"{field}:", 1)[1].split("\r\n", 1)[0])


def reset(sock):
    """Closes with a reset instead of a farewell."""
    sock.setsockopt(resp.socket.SOL_SOCKET, resp.socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Watcher:
    """The watching process; `verdict` ends it and says what it saw."""

    def __init__(self, server):
        command = [
            sys.executable,
            str(Path(__file__).with_name("watcher.py")),
            str(server.port),
            str(server.pid),
            str(WATCHER_CONNECTIONS),
        ]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        check(self.process.stdout.readline() == "ready\n", "the watcher could not connect")
        time.sleep(0.05)

    def end(self):
        try:
            out, _ = self.process.communicate(timeout=30)
            return json.loads(out)
        finally:
            self.process.kill()
            self.process.wait()


def attempt(function, traits):
    """Plays a case once on a server of its own; raises if the case, the server, the watcher or the memory says so."""
    cores = traits.get("cores", int(os.environ.get("CORES", "2").split()[-1]))
    descriptors = traits.get("descriptors")
    with Server(cores=cores, descriptors=descriptors, **environment(traits), **traits.get("options", {})) as server:
        watcher = Watcher(server) if traits.get("watched", True) else None
        try:
            note = function(Stage(server, traits.get("faults", ""), traits.get("seed", SEED)))
        finally:
            seen = watcher.end() if watcher else None
        if not seen:
            return note
        check(seen["error"] is None, f"the watcher: {seen['error']}")
        grown = (seen["rss_peak"] - seen["rss_first"]) / MIB
        bound = traits.get("rss_mib", 64)
        check(grown <= bound, f"RSS grew by {grown:.0f} MiB, allowed are {bound}")
        if seen["worst_ms"] > ANSWER_MS_MAX:
            raise LateAnswer(
                f"another client waited {seen['worst_ms']:.0f} ms ({seen['late']} of {seen['asked']} answers late)"
            )
        return f"worst answer {seen['worst_ms']:.1f} ms, RSS +{grown:.0f} MiB{'; ' + note if note else ''}"


def play(function, traits):
    """With retries for what a noisy machine can do to a latency, and for nothing else."""
    for left in reversed(range(ATTEMPTS_MAX)):
        try:
            return attempt(function, traits)
        except LateAnswer:
            if not left:
                raise


def until(condition, what, seconds_max=5.0):
    """Waits for a state that the server reaches on its own."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        check(time.monotonic() < deadline, f"{what}: not within {seconds_max} s")
        time.sleep(0.01)
