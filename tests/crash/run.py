#!/usr/bin/env python3
"""Crashes servers under load and checks what they kept: kill -9, and power cuts of a recorded disk.

Environment: COLDPLATE_BIN (redis-server shows what Redis does), SEED (default: drawn, and printed), ONLY (a shell
pattern over case names), QUICK=1, CORES (default 2), CLIENTS (24); ROUNDS of kill -9 (default 5, quick 2), CUTS a run
(default 120, xfs 60, quick 30; `all` cuts at each boundary of a write or flush), WAYS=all (each cut loses in all
ways), SECONDS of load a run (2; 0.4 with CUTS=all), POSITIONS of flipped bytes (300, quick 12) and TAILS (40, quick 2)
a log, SEGMENT_BYTES (1mb), FS (default "ext4 xfs", quick "ext4"), CASE_S (3600), the seconds that a case may take. A
seed repeats all choices; the moments at which a kill meets the server it cannot repeat, so a recording that shows a
loss is kept.

    tests/crash/run.py                             short
    ROUNDS=50 CUTS=all tests/crash/run.py          long
    POSITIONS=3000 ONLY='damaged*' tests/crash/run.py
    tests/crash/run.py replay FOLDER [CUT...]      a kept run once more, or some of its cuts
"""

import gc
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crash import damage, faults, loading, planted, planted_damage, promises, rounds, switching, cuts  # noqa: F401  (their cases register themselves)
from crash.stage import SEED, suite


def end(_signal, _frame):
    """SIGTERM leaves by the way of an error, so that what was mounted is unmounted."""
    sys.exit(143)


def main():
    signal.signal(signal.SIGTERM, end)
    gc.disable()
    print(f"SEED={SEED}", flush=True)
    if sys.argv[1:2] == ["replay"]:
        return cuts.replay(*sys.argv[2:])
    # First the proof that what is wrong shows.
    for label, function, _traits in sorted(suite.chosen(), key=lambda case: not case[0].startswith("planted")):
        suite.record(label, function)
    return suite.close()


if __name__ == "__main__":
    sys.exit(main())
