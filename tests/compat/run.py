#!/usr/bin/env python3
"""Real clients against the server on 1, 2 and 4 cores: redis-cli, redis-benchmark, redis-py, redis-rs, ioredis; and
`coldplate import` of what redis-server saves; and where other routers place keys.

Needs what tests/run prepares (a Python environment with redis-py, the Rust program, ioredis). Environment: CORES ("1
2 4"), ONLY (a shell pattern over case names), COLDPLATE_BIN.
"""

import os
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# Cases register themselves.
from compat import benchmark, cli, cluster, foreign, placement, pubsub, rdb, redis_py, tracking  # noqa: F401
from compat import metrics, one_node, strangers, tied, upstream, upstream_hot, upstream_reads, upstream_tls, upstreams  # noqa: F401
from compat.suite import suite
from lib import resp
from lib.cases import check
from lib.server import Server, raise_file_limit

# redis-benchmark opens a thousand connections, on top of what the server holds.
FILES_WANTED = 8192


class Shared:
    """The server that most cases of one core count share; one that died is replaced once its case has failed."""

    def __init__(self, cores):
        self.cores = cores
        self.server = None

    def play(self, function):
        if self.server is None or not self.server.is_alive():
            self.server = Server(cores=self.cores).__enter__()
        with resp.connected(self.server) as wire:
            wire.ask("FLUSHALL")
        note = function(self.server)
        check(self.server.is_alive(), f"the server died: {self.server.log()}")
        return note

    def farewell(self):
        if self.server:
            self.server.__exit__(None, None, None)


def play_alone(function, cores, options):
    with Server(cores=cores, **options) as server:
        return function(server)


def on_cores(cores):
    shared = Shared(cores)
    for label, function, traits in suite.chosen():
        # What a lone core does in front of servers is what each of several does, and starting them takes long.
        if traits.get("once") or traits.get("servers") == "own" and cores == 1 and len(cores_played()) > 1:
            continue
        options = traits.get("options")
        if traits.get("servers") == "own":
            call = partial(function, cores)
        else:
            call = partial(play_alone, function, cores, options) if options else partial(shared.play, function)
        suite.record(f"{label} [{cores} cores]", call)
    suite.record(f"farewell [{cores} cores]", shared.farewell)


def cores_played():
    return [int(word) for word in os.environ.get("CORES", "1 2 4").split()]


def main():
    raise_file_limit(FILES_WANTED)
    for label, function, traits in suite.chosen():
        if traits.get("once"):
            suite.record(label, function)
    for cores in cores_played():
        on_cores(cores)
    return suite.close()


if __name__ == "__main__":
    sys.exit(main())
