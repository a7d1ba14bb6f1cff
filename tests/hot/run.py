#!/usr/bin/env python3
"""Hot keys over real sockets: default thresholds, hundreds of connections, and checkers of what they were answered.

Environment: SEED (default: drawn, and printed), CORES (default "2 4"), ONLY (a shell pattern over case names), QUICK=1
(two cores, shorter), COLDPLATE_BIN. A seed repeats the choice of operations; timing, and so what they meet, it cannot.
The planted cases come first: they prove that each checker notices what it is for. All but those about memory are played once
more in front of a redis-server that has the keys.
"""

import gc
import os
import random
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hot import coherence, counters, ends, foreign, mixed, planted, pressure  # noqa: F401  (their cases register themselves)
from hot.stage import play, suite, total
from lib.server import raise_file_limit

FILES_WANTED = 4000


def main():
    raise_file_limit(FILES_WANTED)
    # Histories are many small objects and no cycles; looking for some takes longer than all else.
    gc.disable()
    seed = os.environ.get("SEED") or str(random.SystemRandom().randrange(1 << 32))
    quick = os.environ.get("QUICK") == "1"
    cores = [int(word) for word in os.environ.get("CORES", "2" if quick else "2 4").split()]
    print(f"SEED={seed}", flush=True)
    chosen = suite.chosen()
    for label, function, traits in chosen:
        if traits.get("planted"):
            suite.record(label, partial(function, random.Random(seed)))
    played = [case for case in chosen if not case[2].get("planted")]
    for count in cores:
        for label, function, traits in played:
            # What no shard here runs is another server's.
            if not traits.get("foreign"):
                suite.record(f"{label} on {count}", partial(play, function, traits, count, seed))
    for label, function, traits in played:
        # Memory is another server's there.
        for count in [] if traits.get("memory") else cores if traits.get("foreign") else cores[:1]:
            routed = f"{label} on {count} before redis-server"
            suite.record(routed, partial(play, function, traits, count, seed, routed=True))
    print(f"{total['asked']} operations on hot keys, {total['hot']} of them without a letter of their own")
    return suite.close()


if __name__ == "__main__":
    sys.exit(main())
