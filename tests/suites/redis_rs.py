"""redis-rs's own suite, of the version that tests/compat uses: its published package holds it.

The package's development dependencies name two crates of its repository. One is published; the other, a macro, has a
replacement in rust/macros. Each test starts a `redis-server` of its own, which is stand_in.py. Where it stands in front of
a redis-server, that one is there for the length of the test.
"""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib import backends
from lib.server import ServerError, cpu_list, default_binary
from suites import sources
from suites.verdicts import BEHIND, Outcome

PROJECT = Path(__file__).with_name("rust")
STAND_IN = Path(__file__).with_name("stand_in.py")
QUICK = "test_basic test_async".split()
# With a redis-server behind Coldplate alone: they ask for types that Coldplate has not itself. And what is left out there:
# it asks a server for nothing, or for HOTKEYS, which is Coldplate's own.
ROUTED_ONLY = set("test_geospatial test_streams".split())
ROUTED_NOT = set("test_bignum test_hotkeys test_support test_types".split())
BEHIND_START_S_MAX = 10
TEST_S_MAX = 60
# Most of a test is waiting for its server to start and to end.
TESTS_AT_ONCE = 4
LINE = re.compile(r"^test result: ok\. (?:1 passed|0 passed; 0 failed; 1 (ignored))", re.MULTILINE)


def prepare():
    """Puts the suite together and builds it; answers each test program by its name."""
    folder = sources.CACHE / "redis-rs"
    manifest = folder / "Cargo.toml"
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    (folder / "tests").mkdir(exist_ok=True)
    for name in re.findall(r'name = "(test_\w+)"', manifest.read_text()):
        (folder / "tests" / f"{name}.rs").touch()
    shutil.copytree(package(manifest) / "tests", folder / "tests", dirs_exist_ok=True)
    command = ["cargo", "test", "--locked", "--no-run", "--message-format", "json", "--manifest-path", manifest]
    built = subprocess.run(
        [*map(str, command), "--target-dir", str(sources.TARGET / "suites-rust")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if built.returncode != 0:
        raise sources.SourceError(f"redis-rs's tests do not build: {built.stderr[-600:]}")
    artifacts = [json.loads(line) for line in built.stdout.split("\n") if line.startswith("{")]
    return {each["target"]["name"]: each["executable"] for each in artifacts if is_test(each)}


def package(manifest):
    """Where cargo keeps the package's source."""
    command = ["cargo", "metadata", "--locked", "--quiet", "--format-version", "1"]
    said = sources.call([*command, "--manifest-path", manifest])
    described = json.loads(said[said.index("{") :])
    (redis,) = [each for each in described["packages"] if each["name"] == "redis"]
    return Path(redis["manifest_path"]).parent


def is_test(artifact):
    return artifact.get("executable") and artifact["target"]["kind"] == ["test"]


def play(tally, cores, is_quick):
    programs = prepare()
    shims = sources.CACHE / "redis-rs-bin"
    shims.mkdir(exist_ok=True)
    (shims / "redis-server").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    (shims / "redis-server").chmod(0o755)
    environment = {"PATH": f"{shims}:{os.environ['PATH']}", "COLDPLATE_CORES": cpu_list(cores), "RUST_BACKTRACE": "0"}
    for name in QUICK if is_quick else sorted(programs.keys() - (ROUTED_NOT if tally.is_routed else ROUTED_ONLY)):
        for protocol in ("RESP2", "RESP3"):
            start = time.monotonic()
            outcomes = run(tally, cores, name, programs[name], {**environment, "PROTOCOL": protocol})
            tally.take(f"{name} over {protocol}", cores, outcomes, time.monotonic() - start)


def run(tally, cores, name, program, environment):
    """Plays each test in a process of its own: the suite takes a panic of one for a panic of the next."""
    environment = {**os.environ, **environment, "COLDPLATE_BIN": default_binary()}
    lines = sources.call([program, "--list"]).split("\n")
    alone = on_its_own_network()

    def outcome(test):
        label = f"{name}: {test}"
        if tally.expected.why_skipped(label, cores):
            return Outcome(label, "skipped")
        with behind(tally) as server:
            return judged(label, printed_by([*alone, program, "--exact", test], {**environment, **server}))

    with ThreadPoolExecutor(max_workers=TESTS_AT_ONCE) as pool:
        return list(pool.map(outcome, [line.removesuffix(": test") for line in lines if line.endswith(": test")]))


@contextlib.contextmanager
def behind(tally):
    """A redis-server for the length of a `with`, if Coldplate is to stand in front of one: what the stand-in has to know. It
    has no port, which some test might be given at the same time.
    """
    if not tally.is_routed:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="coldplate-test-") as folder:
        path = Path(folder, "s.sock")
        command = [backends.REDIS, "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", "--databases", "1"]
        command += [word for name, value in BEHIND.items() for word in (f"--{name.replace('_', '-')}", value)]
        nothing = subprocess.DEVNULL
        process = subprocess.Popen([str(word) for word in command], stdin=nothing, stdout=nothing, stderr=nothing)
        try:
            for _ in range(BEHIND_START_S_MAX * 200):
                if path.exists():
                    break
                time.sleep(0.005)
            else:
                raise ServerError("redis-server does not start")
            yield {"BEHIND": f"single://unix:{path}"}
        finally:
            process.kill()
            process.wait()


@functools.cache
def on_its_own_network():
    """What stands before a command that is to have all ports for itself. A test chooses a free one a while before its server
    takes it, and gives it up in the middle to take it again. Nothing, where namespaces are not to be had.
    """
    for flags in ("-n", "-rn"):
        apart = ["unshare", flags, "sh", "-c", 'PATH=$PATH:/sbin:/usr/sbin ip link set lo up && exec "$@"', "sh"]
        if shutil.which("unshare") and subprocess.call([*apart, "true"], stderr=subprocess.DEVNULL) == 0:
            return apart
    return []


def printed_by(command, environment):
    """What a program printed until it ended; its servers go with it."""
    process = subprocess.Popen(
        command,
        cwd=sources.CACHE / "redis-rs",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=TEST_S_MAX)
        return printed.decode(errors="replace")
    except subprocess.TimeoutExpired:
        return f"hangs: it took longer than {TEST_S_MAX} s"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def judged(label, printed):
    match = LINE.search(printed)
    if match:
        return Outcome(label, "skipped" if match.group(1) else "ok")
    return Outcome(label, "failed", printed.split(" stdout ----")[-1])
