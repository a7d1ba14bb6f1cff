"""Where a case plays: a server with default thresholds, a seeded choice of operations, and proof that keys got hot."""

import contextlib
import os
import random
import re
import sys
import time
from pathlib import Path

from hot.drive import Crowd, Op
from lib import backends, resp
from lib.cases import Suite, check
from lib.server import IS_CHECKED, Server

HEAT_S_MAX = 6.0
# Letters for each that a cold key costs.
SHARE_MAX = 0.7
# A case whose keys cool because the machine is busy with other things takes its path another time.
ATTEMPTS_MAX = 3

suite = Suite("hot")
# Of all cases: operations, and those that the hot path spared a letter.
total = {"asked": 0, "hot": 0}


def full(long, short):
    """A bound for the whole suite or for `tests/run quick`."""
    return short if os.environ.get("QUICK") == "1" else long


class Cooled(AssertionError):
    """Keys fell below the thresholds while they were played with."""


class Stage:
    """What a case gets: `server`, `rng`, and what it knows about heat."""

    def __init__(self, server, rng, backend=None):
        self.server = server
        # Who has the keys, if the server is in front of another one.
        self.backend = backend
        self.rng = rng
        self.notes = []

    def crowd(self, count):
        return Crowd(self.server, count)

    def info(self, section):
        with resp.connected(self.server) as wire:
            text = wire.ask("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)

    def log_of_heat(self):
        return re.findall(r"\b(hot|cool): (\S+) \(", self.server.log_path.read_text(errors="replace"))

    def hot_keys(self):
        """Keys that have become hot and have not cooled since, as the server's log says."""
        hot = set()
        for what, key in self.log_of_heat():
            (hot.add if what == "hot" else hot.discard)(key.encode())
        return hot

    def turns(self):
        """How often keys became hot, and how often they cooled."""
        words = [what for what, _ in self.log_of_heat()]
        return words.count("hot"), words.count("cool")

    def heat(self, crowd, keys, seconds_max=HEAT_S_MAX, name=b"GET"):
        """Reads until the server says that these keys are hot."""
        reads = [Op(name, key).words for key in keys]

        def pipeline(_):
            return [Op(*self.rng.choice(reads)) for _ in range(8)]

        end_s = time.monotonic() + seconds_max
        while not set(keys) <= self.hot_keys():
            check(time.monotonic() < end_s, f"not hot in {seconds_max} s: {sorted(set(keys) - self.hot_keys())[:3]}")
            crowd.run(0.1, pipeline, lambda op: None)

    def measured(self, crowd, keys, play):
        """Plays, and notes how many operations needed no letter of their own: they went by copies and folds.

        Cold, all operations of connections on cores that do not own the key cost a letter each; connections and keys
        are spread evenly, so that is (cores - 1) / cores of all. In front of another server each costs a request there.
        """
        first, letters = crowd.asked, self.letters()
        play()
        asked = crowd.asked - first
        letters = self.letters() - letters
        cold = asked if self.backend else asked * (self.server.cores - 1) / self.server.cores
        by_copy = max(0, int(cold - letters))
        total["asked"] += asked
        total["hot"] += by_copy
        self.notes.append(
            f"{asked} operations, {letters / max(1, asked):.3f} letters each (cold {cold / max(1, asked):.2f}): "
            f"{by_copy} by copies and folds; {len(set(keys) & self.hot_keys())} of {len(keys)} keys hot at the end"
        )
        return letters / max(1, cold)

    def letters(self):
        if self.backend:
            return int(re.search(r"requests=(\d+)", self.info("upstream")["server0"])[1])
        return int(self.info("stats")["letters_sent"])

    def check_hot(self, share):
        """Most operations have to have gone without a letter of their own; of keys that cooled, a busy machine may be the
        reason, and a build that takes a few times as long is it for sure.
        """
        if share < SHARE_MAX:
            return
        cooled = self.turns()[1]
        message = f"the hot path was not taken: {share:.2f} letters for each that a cold key costs, {cooled} cooled"
        if not cooled:
            raise AssertionError(message)
        if not IS_CHECKED:
            raise Cooled(message)
        self.notes.append(message)


def play(function, traits, cores, seed, routed=False):
    """With retries for what a busy machine does to rates, and for nothing else."""
    for left in reversed(range(ATTEMPTS_MAX)):
        try:
            return attempt(function, traits, cores, seed, routed)
        except Cooled:
            if not left:
                raise


def attempt(function, traits, cores, seed, routed):
    """A case on a server of its own. What a failure needs to be understood is in its message."""
    rng = random.Random(f"{seed}/{function.__name__}/{cores}")
    with contextlib.ExitStack() as stack:
        backend = stack.enter_context(backends.redis_server()) if routed else None
        options = {"upstream": f"single://127.0.0.1:{backend.port}"} if routed else {}
        server = stack.enter_context(Server(cores=cores, log_level="debug", **options))
        stage = Stage(server, rng, backend)
        try:
            note = function(stage)
        except AssertionError as error:
            again = f"SEED={seed} CORES={cores} ONLY='{function.__name__}*' {sys.argv[0]}"
            raise type(error)(f"{error}\n      the same choices (not the same timing): {again}") from None
        return "; ".join([*stage.notes, *([note] if note else [])])


def fail_if(wrong):
    """Raises for the first of the complaints that a checker collected."""
    check(not wrong, f"{len(wrong)} violations, the first: {wrong[0]}" if wrong else "")
