"""redis-py's own suite, of the version that tests/compat uses, from its source package.

Left out by mark: what needs a cluster of servers, TLS, replicas, modules or a cloud. Most asynchronous tests come
twice, on a single connection and on a pool's; the second is left out. They ask the same of the server as the others do,
so on one core they are left out whole, and with a redis-server behind Coldplate unless WHOLE is set.
"""

import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from suites import sources
from suites.verdicts import IS_WHOLE, Outcome

FILES = """
    tests/test_commands.py tests/test_connection.py tests/test_connection_pool.py tests/test_encoding.py
    tests/test_pipeline.py tests/test_pubsub.py tests/test_keyspace_notifications.py tests/test_monitor.py
    tests/test_cache.py tests/test_command_parser.py tests/test_multiprocessing.py
    tests/test_asyncio/test_commands.py tests/test_asyncio/test_connection.py tests/test_asyncio/test_connection_pool.py
    tests/test_asyncio/test_encoding.py tests/test_asyncio/test_pipeline.py tests/test_asyncio/test_pubsub.py
    tests/test_asyncio/test_monitor.py tests/test_asyncio/test_cwe_404.py
""".split()
QUICK = "tests/test_commands.py tests/test_pipeline.py tests/test_pubsub.py".split()
# With a redis-server behind Coldplate, and what is left out unless WHOLE is set.
ROUTED = """
    tests/test_pubsub.py tests/test_commands.py tests/test_pipeline.py tests/test_encoding.py tests/test_scripting.py
    tests/test_function.py tests/test_lock.py tests/test_keyspace_notifications.py tests/test_monitor.py
    tests/test_cache.py tests/test_command_parser.py
""".split()
ROUTED_WHOLE = """
    tests/test_connection.py tests/test_connection_pool.py tests/test_multiprocessing.py
    tests/test_asyncio/test_commands.py tests/test_asyncio/test_connection.py tests/test_asyncio/test_connection_pool.py
    tests/test_asyncio/test_encoding.py tests/test_asyncio/test_pipeline.py tests/test_asyncio/test_pubsub.py
    tests/test_asyncio/test_monitor.py tests/test_asyncio/test_scripting.py tests/test_asyncio/test_lock.py
""".split()
MARKS = "not onlycluster and not redismod and not ssl and not replica and not experimental and not cp_integration"
TEST_S_MAX = 60
FILE_S_MAX = 400
FILES_AT_ONCE = 2
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def change(folder):
    """The library comes from the environment; the copy's own would be imported in its place. To those who ask, Coldplate
    in front of a server is a node of a cluster; the tests that are played are those of one server.
    """
    shutil.rmtree(folder / "redis")
    sources.replaced(folder / "tests/conftest.py", 'cluster_enabled = info["cluster_enabled"]', "cluster_enabled = 0")


def prepare():
    """The environment's Python and the folder of the tests."""
    venv = sources.CACHE / "redis-py-venv"
    installed = venv / "installed"
    if not installed.exists() or installed.read_text() != REQUIREMENTS.read_text():
        sources.call(["python3", "-m", "venv", venv])
        sources.call([venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS])
        shutil.copy(REQUIREMENTS, installed)
    download = partial(sources.from_pypi, venv / "bin" / "pip")
    folder = sources.unpacked("redis-py", sources.archive(sources.REDIS_PY, download), change)
    return venv / "bin" / "python", folder


def play(tally, cores, is_quick):
    python, folder = prepare()

    def play_file(file):
        start = time.monotonic()
        with tally.served(cores) as server:
            return file, run(tally.expected.left_out(cores), python, folder, file, server), time.monotonic() - start

    files = ROUTED + (ROUTED_WHOLE if IS_WHOLE else []) if tally.is_routed else FILES
    files = QUICK if is_quick else [file for file in files if cores > 1 or "asyncio" not in file]
    with ThreadPoolExecutor(max_workers=FILES_AT_ONCE) as pool:
        for file, outcomes, took_s in pool.map(play_file, files):
            tally.take(file, cores, outcomes, took_s)


def run(left_out, python, folder, file, server):
    report = server.dir / "report.xml"
    command = [python, "-m", "pytest", file, "-q", "-m", MARKS, "-k", "not pool]", "--timeout", TEST_S_MAX]
    # Any other style of traceback takes a second a failure.
    command += ["-p", "no:cacheprovider", "--tb=native"]
    command += ["-o", "addopts=", "-o", "junit_family=xunit1", "--junit-xml", report, "-W", "ignore"]
    command += [word for name in left_out for word in ("--deselect", name.removesuffix("*"))]
    command += ["--redis-url", f"redis://127.0.0.1:{server.port}/0"]
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=FILE_S_MAX,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except subprocess.TimeoutExpired:
        return [Outcome(f"{file}: all of it", "failed", f"took longer than {FILE_S_MAX} s")]
    if not report.exists():
        return [Outcome(f"{file}: start", "failed", done.stdout.decode(errors="replace")[-2000:])]
    skipped = [Outcome(name, "skipped") for name in left_out if name.startswith(f"{file}::")]
    return [outcome(case) for case in xml.parse(report).iter("testcase")] + skipped


def outcome(case):
    """A test's name is pytest's own address of it."""
    file = case.get("file") or case.get("classname").replace(".", "/") + ".py"
    classes = case.get("classname").removeprefix(file.removesuffix(".py").replace("/", ".")).strip(".")
    name = "::".join(part for part in (file, *classes.split("."), case.get("name")) if part)
    for kind in ("failure", "error"):
        if (problem := case.find(kind)) is not None:
            return Outcome(name, "failed", f"{problem.get('message')}\n{problem.text or ''}")
    return Outcome(name, "ok" if case.find("skipped") is None else "skipped")
