"""ioredis's own suite. Its package holds the tests up to version 2.0.0, so that is the client that is played.

Those of test/functional are played, except for what talks to servers of its own, on fixed ports; those of test/unit talk
to no server.
"""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from suites import sources
from suites.verdicts import Outcome

PROJECT = Path(__file__).with_name("node")
SUITE_S_MAX = 240
OWN_SERVERS = {"cluster.js", "sentinel.js"}


def change(folder):
    """Its tests connect to the default port, which becomes the server's."""
    sources.replaced(folder / "lib/redis.js", "  port: 6379,", "  port: Number(process.env.COLDPLATE_PORT),")


def prepare():
    folder = sources.CACHE / "ioredis-node"
    lock = PROJECT / "package-lock.json"
    installed = folder / "installed"
    if not installed.exists() or installed.read_text() != lock.read_text():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PROJECT / name, folder)
        sources.call(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder)
        shutil.copy(lock, installed)
    return sources.unpacked("ioredis-node/ioredis", sources.archive(sources.IOREDIS, sources.from_npm), change)


def play(tally, cores, _is_quick):
    folder = prepare()
    start = time.monotonic()
    with tally.served(cores) as server:
        outcomes = run(tally.expected.left_out(cores), folder, server)
    tally.take("test/functional", cores, outcomes, time.monotonic() - start)


def expression(pattern):
    """A listed name as an expression of JavaScript's; a `*` stands for any text."""
    return ".*".join(re.sub(r"[^\w ]", r"\\\g<0>", part) for part in pattern.split("*"))


def run(left_out, folder, server):
    mocha = folder.parent / "node_modules" / "mocha" / "bin" / "_mocha"
    command = ["node", str(mocha), "--opts", "/dev/null", "--recursive", "--reporter", "json", "--timeout", "5000"]
    names = [name for name in left_out if ":" not in name]
    if names:
        command += ["--grep", "|".join(map(expression, names)), "--invert"]
    files = sorted(path for path in (folder / "test/functional").glob("*.js") if path.name not in OWN_SERVERS)
    try:
        done = subprocess.run(
            [*command, "test/helpers/global.js", *map(str, files)],
            cwd=folder,
            env={**os.environ, "NODE_ENV": "test", "COLDPLATE_PORT": str(server.port)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=SUITE_S_MAX,
        )
    except subprocess.TimeoutExpired:
        return [Outcome("all of it", "failed", f"took longer than {SUITE_S_MAX} s")]
    text = done.stdout.decode(errors="replace")
    try:
        report = json.loads(text[text.index("{\n  \"stats\"") :])
    except ValueError:
        return [Outcome("start", "failed", (text + done.stderr.decode(errors="replace"))[-2000:])]
    failed = [Outcome(each["fullTitle"], "failed", each["err"].get("message", "")) for each in report["failures"]]
    skipped = [Outcome(name, "skipped") for name in names]
    return [Outcome(each["fullTitle"], "ok") for each in report["passes"]] + failed + skipped
