"""What a case plays on: a server with a log, asked what it kept, and Redis's own tools where the subject is Redis."""

import functools
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from lib import resp
from lib.cases import Skip, Suite, check
from lib.server import IS_CHECKED, Server, ServerError, StartError, default_binary

LOADING_S_MAX = 600 if IS_CHECKED else 120
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
QUICK = os.environ.get("QUICK") == "1"
CORES = int(os.environ.get("CORES") or 2)
CLIENTS = int(os.environ.get("CLIENTS") or 24)
KEYS_AT_ONCE = 512
# Small, so that a run ends and begins many, and that all fit on a small disk.
SEGMENT_BYTES = os.environ.get("SEGMENT_BYTES") or "1mb"
# Keys that nobody checks: of a load beside the ledger's, and of questions whether a write is taken.
IGNORED = (b"press:", b"probe:")
# What `everysec` may lose to a power cut; two seconds are Redis's promise in the worst case.
EVERYSEC_NS = 2_000_000_000
# A server that no longer answers has as long to be gone.
EXIT_S_MAX = 10

suite = Suite("crash", case_s_max=int(os.environ.get("CASE_S") or 3600))


def number(name, full, quick):
    """A bound from the environment, with its defaults for the long and for the quick form."""
    return int(os.environ.get(name) or (quick if QUICK else full))


@functools.cache
def has_log():
    """Whether the binary keeps a log at all."""
    binary = default_binary()
    if Path(binary).name == "redis-server":
        return True
    told = subprocess.run([binary, "serve", "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return "--appendonly" in told.stdout


def need_log():
    if not has_log():
        raise Skip("this binary has no --appendonly")


class Subject(Server):
    """The server under test, with its log in a folder that outlives it. It dies with this process."""

    start_s_max = LOADING_S_MAX

    def __init__(self, folder, appendfsync="always", appendonly="yes", cores=CORES, **options):
        super().__init__(cores=cores, appendonly=appendonly, appendfsync=appendfsync, dir=folder, **options)
        if not self.is_redis:
            self.options.setdefault("log_segment_bytes", SEGMENT_BYTES)

    def command_line(self):
        apart = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        return [*apart, *super().command_line()]

    def __enter__(self):
        try:
            super().__enter__()
            self._await_loaded()
        except BaseException:
            self.kill()
            shutil.rmtree(self.dir, ignore_errors=True)
            raise
        return self

    def _await_loaded(self):
        deadline = time.monotonic() + LOADING_S_MAX
        while time.monotonic() < deadline:
            try:
                with resp.connected(self) as wire:
                    if wire.ask("PING") == b"+PONG\r\n":
                        return
            except (OSError, resp.Closed):
                if self.process.wait(EXIT_S_MAX) is not None:
                    raise StartError(f"exited with {self.process.returncode} while loading:\n{self.log()}") from None
            time.sleep(0.01)
        raise StartError(f"still loading after {LOADING_S_MAX} s:\n{self.log()}")

    def crash(self):
        """kill -9, by pid. What it left in memory is gone, what it wrote is not."""
        self.kill()
        self.stopped = True

    def vanish(self):
        """The same, and the folder of its own goes; its log's stays."""
        self.crash()
        shutil.rmtree(self.dir, ignore_errors=True)

    def kept(self, keys):
        """key -> (value, expiry in ms or -1) of all that is there, keys that nobody asks for included."""
        found = {}
        with resp.connected(self) as wire:
            there = sorted(set(resp.decode(wire.ask("KEYS", "*"))) | set(keys))
            for start in range(0, len(there), KEYS_AT_ONCE):
                part = [key for key in there[start : start + KEYS_AT_ONCE] if not key.startswith(IGNORED)]
                wire.send(b"".join(resp.encode("GET", key) + resp.encode("PEXPIRETIME", key) for key in part))
                for key in part:
                    value, expiry = resp.decode(wire.reply()), resp.decode(wire.reply())
                    if value is not None:
                        found[key] = (value, expiry)
        return found

    def ask(self, *words):
        with resp.connected(self) as wire:
            return resp.decode(wire.ask(*words))


def repair(folder):
    """Cuts the log of Redis where it stops making sense, with Redis's tool; whether that went well.

    The tool cuts only the last file. A power cut during a rewrite can leave an earlier one torn: it is cut here, and
    what comes behind it goes.
    """
    files = sorted((folder / "appendonlydir").glob("*.manifest"))
    if not files:
        return False
    done = subprocess.run(["redis-check-aof", "--fix", files[0]], input=b"y\n", capture_output=True)
    analyzed = re.findall(rb"filename=(\S+), size=\d+, ok_up_to=(\d+)", done.stdout)
    if b"not the last file" not in done.stdout or not analyzed:
        return done.returncode == 0
    torn, good_bytes = analyzed[-1]
    logs = [line.split()[1] for line in files[0].read_bytes().splitlines() if line.endswith(b"type i")]
    for name in logs[logs.index(torn) :]:
        os.truncate(os.fsencode(files[0].parent) + b"/" + name, int(good_bytes) if name == torn else 0)
    return True


def start(folder, notes, **options):
    """A server over what a crash left. Redis refuses a log whose end is zeroed or garbage: its tool may mend that."""
    subject = Subject(folder, **options)
    try:
        return subject.__enter__()
    except ServerError:
        if not subject.is_redis or not repair(folder):
            raise
        notes["repaired"] = notes.get("repaired", 0) + 1
        return Subject(folder, **options).__enter__()


class Home:
    """The folder of a log, over which one server after another is started. It stays if the case fails."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="coldplate-crash-"))
        self.subject = None
        # Of the starts.
        self.notes = {}

    def __enter__(self):
        return self

    def start(self, **options):
        self._clear()
        self.subject = start(self.folder, self.notes, **options)
        return self.subject

    def __exit__(self, kind, _value, _trace):
        # Not the folder before the server is gone: it makes segments.
        self._clear()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"the log is kept in {self.folder}", flush=True)

    def _clear(self):
        if self.subject:
            self.subject.vanish()


def fail_if(complaints, what=""):
    shown = "; ".join(complaints[:3])
    check(not complaints, f"{what + ': ' if what else ''}{len(complaints)} complaints: {shown}")


def draw(*parts):
    """A generator of its own for each part of a run, all from the one seed."""
    return random.Random("/".join(map(str, (SEED, *parts))))


def unexpected(ledger):
    """Errors that no client should have been answered."""
    return [f"answered {count} times: {text}" for text, count in ledger.errors.items()]
