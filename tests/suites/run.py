#!/usr/bin/env python3
"""Other projects' test suites against the server on 1 and 2 cores: Redis's own, redis-py's, redis-rs's, ioredis's. Each is
also played as `routed-` with a redis-server that has the keys behind Coldplate, on 2 cores.

Two of them are played at a time: Redis's mostly waits for time to pass, the others compute.

Environment: CORES ("1 2"), SUITES ("redis redis-rs ioredis redis-py", and each with `routed-` in front), QUICK (a subset of
Redis's), UNITS (of Redis's), WHOLE (of routed suites all units and files, and on 1 core too, about ten minutes),
COLDPLATE_BIN. Needs the network once, for the sources; they stay under target/suites/.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import resp
from lib.server import Server, ServerError, raise_file_limit
from suites import ioredis, redis_py, redis_rs, tcl
from suites.sources import SourceError
from suites.verdicts import ROUTED, Tally, say

FILES_WANTED = 8192
PLAYERS = {"redis": tcl.play, "redis-rs": redis_rs.play, "ioredis": ioredis.play, "redis-py": redis_py.play}
# The same with a redis-server that has the keys, behind Coldplate.
PLAYERS |= {f"{ROUTED}{label}": player for label, player in PLAYERS.items()}


def play(tally, cores, is_quick):
    start = time.monotonic()
    try:
        for count in filter(tally.is_played_on, cores):
            PLAYERS[tally.label](tally, count, is_quick)
    except (SourceError, ServerError, OSError) as error:
        tally.surprise("not played to its end", str(error))
    say(f"{tally.label}: {tally.passed} ok, {tally.listed} fail as listed  {time.monotonic() - start:.0f} s")


def main():
    raise_file_limit(FILES_WANTED)
    is_quick = bool(os.environ.get("QUICK"))
    cores = [int(word) for word in os.environ.get("CORES", "1 2").split()]
    labels = os.environ.get("SUITES", "redis" if is_quick else " ".join(PLAYERS)).split()
    tallies = [Tally(label) for label in labels]
    with Server() as server, resp.connected(server) as wire:
        tallies[0].check_lacks(wire)
    with ThreadPoolExecutor(max_workers=2) as pool:
        for played in [pool.submit(play, tally, cores, is_quick) for tally in tallies]:
            played.result()
    reasons = {}
    for tally in tallies:
        for reason, names in tally.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + len(names)
    for reason, tests in sorted(reasons.items(), key=lambda each: -each[1]):
        say(f"{tests} tests fail or are left out because {reason}")
    failed = [what for tally in tallies for what in tally.failed]
    passed = sum(tally.passed for tally in tallies)
    print(f"{passed} passed, {len(failed)} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
