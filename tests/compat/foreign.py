"""Clients in other languages: each is a program of its own that checks and exits; run.py builds nothing, tests/run
does.
"""

import os
import subprocess
from pathlib import Path

from compat.suite import suite
from lib.cases import check
from lib.server import ROOT

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def play(command, **settings):
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, stdin=subprocess.DEVNULL, **settings
    )
    printed = done.stdout.decode(errors="replace")
    check(done.returncode == 0, f"exit status {done.returncode}: {printed[-600:]}")
    return printed.strip()


@suite.case()
def redis_rs(server):
    binary = Path(os.environ.get("COMPAT_RUST_BIN", TARGET / "compat-rust" / "debug" / "coldplate-compat"))
    return play([str(binary), str(server.port), server.unixsocket])


@suite.case()
def ioredis(server):
    modules = os.environ.get("COMPAT_NODE_MODULES", str(TARGET / "compat-node" / "node_modules"))
    script = Path(__file__).with_name("node") / "ioredis.js"
    return play(["node", str(script), str(server.port), server.unixsocket], env={**os.environ, "NODE_PATH": modules})
