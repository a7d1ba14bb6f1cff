#!/usr/bin/env python3
"""Other projects' test suites against the server on 1 and 2 cores: Redis's own, redis-py's, redis-rs's, ioredis's.

Environment: CORES ("1 2"), SUITES ("redis redis-py redis-rs ioredis"), QUICK (a subset), COLDPLATE_BIN. Needs the
network once, for the sources; they stay under target/suites/.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import resp
from lib.server import Server, ServerError, raise_file_limit
from suites import ioredis, redis_py, redis_rs, tcl
from suites.sources import SourceError
from suites.verdicts import Tally

FILES_WANTED = 8192
PLAYERS = {"redis": tcl.play, "redis-py": redis_py.play, "redis-rs": redis_rs.play, "ioredis": ioredis.play}


def main():
    raise_file_limit(FILES_WANTED)
    is_quick = bool(os.environ.get("QUICK"))
    cores = [int(word) for word in os.environ.get("CORES", "1 2").split()]
    tallies = []
    for label in os.environ.get("SUITES", " ".join(PLAYERS)).split():
        start = time.monotonic()
        tally = Tally(label)
        tallies.append(tally)
        if tally is tallies[0]:
            with Server() as server, resp.connected(server) as wire:
                tally.check_lacks(wire)
        try:
            for count in cores:
                PLAYERS[label](tally, count, is_quick)
        except (SourceError, ServerError, OSError) as error:
            tally.surprise("not played to its end", str(error))
        took = f"{time.monotonic() - start:.0f} s"
        print(f"{label}: {tally.passed} ok, {tally.listed} fail as listed  {took}", flush=True)
    failed = [what for tally in tallies for what in tally.failed]
    passed = sum(tally.passed for tally in tallies)
    print(f"{passed} passed, {len(failed)} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
