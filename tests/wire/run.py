#!/usr/bin/env python3
"""Hostile input over real sockets, and a kernel that fails: the server must not fall, must not store what was only
announced, and must answer others meanwhile.

Each case has a fresh server and a watching client (stage.py). Environment: ONLY (a shell pattern over case names),
CORES (default 2), QUICK=1 (leaves out what moves gigabytes, and other core counts than two), COLDPLATE_BIN. With
COLDPLATE_BIN=redis-server it shows what Redis does. SEED, COLDPLATE_FAULTS_BIN, FAULT_SECONDS and FAULT_DRAWS are for
the cases of faults.py. A soak: `FAULT_DRAWS=100 ONLY='schedule_drawn*' tests/wire/run.py`.
"""

import os
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.server import raise_file_limit
from wire import backlog, bulk, crowd, farewell, faults, framing, hangup, limits, startup, startup_log  # noqa: F401  (their cases register themselves)
from wire.stage import SEED, play, suite

FILES_WANTED = 25_000


def main():
    raise_file_limit(FILES_WANTED)
    print(f"SEED={SEED}", flush=True)
    quick = os.environ.get("QUICK") == "1"
    for label, function, traits in suite.chosen():
        if not (quick and traits.get("slow")):
            suite.record(label, partial(play, function, traits))
    return suite.close()


if __name__ == "__main__":
    sys.exit(main())
