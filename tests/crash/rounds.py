"""kill -9 in the middle of full load, a restart over what is left, and on with the same folder.

Some rounds end with SIGTERM instead, some keys get hot in some, and the number of cores changes from round to round.

What write() has taken is the kernel's, and a killed process cannot take it back. So under every policy that writes
before it answers, `everysec` and `no` among them, each answered write has to be there. Redis's `everysec` does not:
while a flush is under way it answers and writes up to two seconds later, so for Redis these two seconds are left out.
"""

import shutil
import subprocess
import time

from crash.ledger import NEVER, Ledger
from crash.load import Load
from crash.stage import CLIENTS, CORES, EVERYSEC_NS, SEED, Home, draw, fail_if, need_log, number, suite, unexpected

ROUNDS = number("ROUNDS", 5, 2)
LOAD_S_MAX = 2.5
PRESS_CLIENTS = 20
SIGTERM_SHARE = 0.15


def press(port, seconds):
    """More load than the ledger's clients make: redis-benchmark on keys that nobody checks."""
    if shutil.which("redis-benchmark") is None:
        return None
    words = ["redis-benchmark", "-p", port, "-c", PRESS_CLIENTS, "-P", 16, "-n", 100_000_000, "-r", 20_000, "-q"]
    words = ["timeout", seconds + 20, *words, "SET", "press:__rand_int__", "x" * 64]
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def one_round(subject, ledger, rng, label, may_rewrite=True):
    """Load, at times a rewrite in the middle of it, and the crash; when it came."""
    seconds = rng.uniform(0.05, LOAD_S_MAX)
    rewrite_s = rng.uniform(0, seconds) if may_rewrite and rng.random() < 0.5 else None
    pressed = press(subject.port, seconds) if rng.random() < 0.5 else None
    load = Load(subject.port, CLIENTS, f"{SEED}.{label}", seconds + 5, hot=rng.random() < 0.3)
    try:
        if rewrite_s is not None:
            time.sleep(rewrite_s)
            subject.ask("BGREWRITEAOF")
        time.sleep(seconds - (rewrite_s or 0))
        if rng.random() < SIGTERM_SHARE:
            subject.stop()
    finally:
        crash_ns = time.monotonic_ns()
        subject.crash()
        if pressed is not None:
            pressed.terminate()
            pressed.wait()
    load.collect(ledger)
    return crash_ns


def kill_rounds(policy):
    need_log()
    ledger, answered = Ledger(), 0
    with Home() as home:
        subject = home.start(appendfsync=policy)
        for turn in range(ROUNDS):
            rng = draw("round", policy, turn)
            crash_ns = one_round(subject, ledger, rng, f"{policy}{turn}")
            is_late = subject.is_redis and policy == "everysec"
            answered_ns = crash_ns - EVERYSEC_NS if is_late else NEVER
            subject = home.start(appendfsync=policy, cores=rng.randrange(1, CORES + 2))
            kept = subject.kept(ledger.keys())
            fail_if(ledger.judge(kept, answered_ns) + unexpected(ledger), f"round {turn} of SEED={SEED}")
            answered += ledger.answered()
            ledger.settle(kept)
    repaired = f", {home.notes['repaired']} logs repaired first" if home.notes else ""
    return f"{ROUNDS} rounds, {answered} answered writes checked, {len(kept)} keys at the end{repaired}"


@suite.case()
def kill_always():
    return kill_rounds("always")


@suite.case()
def kill_everysec():
    return kill_rounds("everysec")


@suite.case()
def kill_no():
    return kill_rounds("no")
