"""kill -9 before, while and after the log is switched, by CONFIG SET appendonly.

A log that begins while the server runs counts from the moment that INFO says that it is whole. Until then a start finds
the last log that was whole, as it was when it was switched off, or nothing. Redis's rewrite keeps the same rules.
"""

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

from crash.disk import Disk, missing
from crash.faults import DOUBT, MARK
from crash.ledger import Ledger
from crash.load import Load
from crash.stage import CLIENTS, CORES, SEED, Subject, draw, fail_if, need_log, number, start, suite, unexpected
from lib import resp
from lib.cases import Skip, check, check_equal

ROUNDS = number("ROUNDS", 5, 2)
PHASE_S_MAX = 0.6
WHOLE_S_MAX = 60
LOOK_S = 0.005
# Keys from before, so that a new log takes a while.
BALLAST_KEYS, BALLAST_BYTES = 30_000, 200
# A core that syncs ends its log when that is done.
LATE_NS = 1_000_000_000


def switch(subject, value):
    check_equal(subject.ask("CONFIG", "SET", "appendonly", value), b"+OK", f"CONFIG SET appendonly {value}")


def is_whole(subject):
    told = subject.ask("INFO", "persistence")
    return b"aof_enabled:1\r" in told and b"aof_rewrite_in_progress:0\r" in told and b"aof_rewrite_scheduled:0\r" in told


def watch(subject, seconds):
    """Looks at INFO for so long; whether the log is whole in the end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_whole(subject):
            return True
        time.sleep(LOOK_S)
    return False


def ballast(subject):
    with resp.connected(subject) as wire:
        for first in range(0, BALLAST_KEYS, 1000):
            lines = [resp.encode("SET", f"press:{n}", "x" * BALLAST_BYTES) for n in range(first, first + 1000)]
            wire.send(b"".join(lines))
            for _ in lines:
                wire.reply()


def one_round(subject, ledger, rng, label, begins_on):
    """Load, the switches, and the crash: whether the log was seen whole, and the span in which the last whole one ended."""
    ended, whole = None, False
    load = Load(subject.port, CLIENTS, f"{SEED}.{label}", 4 * PHASE_S_MAX + 20)
    try:
        time.sleep(rng.uniform(0, PHASE_S_MAX))
        if begins_on:
            asked_ns = time.monotonic_ns()
            switch(subject, "no")
            ended = (asked_ns, time.monotonic_ns() + LATE_NS)
            time.sleep(rng.uniform(0, PHASE_S_MAX))
        roll = rng.random()
        if roll < 0.85:
            switch(subject, "yes")
            # Before it is whole, about then, or well after.
            whole = watch(subject, rng.choice((0.001, 0.02, 0.1, 0.3, WHOLE_S_MAX, WHOLE_S_MAX)))
            if whole:
                time.sleep(rng.uniform(0, PHASE_S_MAX))
    finally:
        subject.crash()
    load.collect(ledger)
    return whole, ended


def judge(ledger, kept, keys, whole, ended):
    """What is there is all of it, unless the log was never seen whole: then it may be what the last whole one had."""
    complaints = ledger.judge(kept)
    if whole or not complaints:
        return complaints, "whole"
    if ended is None:
        return [f"{keys} keys of a log that was never whole", *complaints] if keys else [], "nothing"
    return ledger.judge(kept, answered_ns=ended[0], sent_ns=ended[1]), "older"


def rounds(policy):
    need_log()
    found = {}
    for turn in range(2 * ROUNDS):
        rng, begins_on = draw("switch", policy, turn), turn % 2 == 1
        folder, ledger = Path(tempfile.mkdtemp(prefix="coldplate-crash-")), Ledger()
        subject = start(folder, {}, appendfsync=policy, appendonly="yes" if begins_on else "no")
        try:
            ballast(subject)
            whole, ended = one_round(subject, ledger, rng, f"{policy}{turn}", begins_on)
            shutil.rmtree(subject.dir, ignore_errors=True)
            subject = start(folder, {}, appendfsync=policy, cores=rng.randrange(1, CORES + 2))
            kept = subject.kept(ledger.keys())
            complaints, what = judge(ledger, kept, subject.ask("DBSIZE"), whole, ended)
            fail_if(complaints + unexpected(ledger), f"round {turn} of SEED={SEED}, whole: {whole}, {len(kept)} keys")
            found[what] = found.get(what, 0) + 1
        except BaseException:
            print(f"the log is kept in {folder}", flush=True)
            raise
        finally:
            subject.crash()
            shutil.rmtree(subject.dir, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    return f"{2 * ROUNDS} rounds: {', '.join(f'{count} {what}' for what, count in sorted(found.items()))}"


@suite.case()
def switch_always():
    return rounds("always")


@suite.case()
def switch_everysec():
    return rounds("everysec")


@suite.case()
def switch_mends_a_failed_disk():
    """After a write that failed the log is switched off and on: nothing is in doubt, writes are taken, all of it lasts."""
    need_log()
    kind = "ext4"
    if lacking := missing(kind):
        raise Skip(f"a failing disk needs {lacking}")
    changed, other = MARK + "}changed", MARK + "}other"
    with Disk(kind) as disk:
        home = disk.point / "data"
        home.mkdir()
        with Subject(home, appendfsync="always") as subject:
            if subject.is_redis:
                raise Skip("it ends itself")
            for key in (changed, other):
                check_equal(subject.ask("SET", key, "1"), b"+OK", "SET")
            disk.order(fail={"write": {"error": "EIO", "holding": MARK}})
            with contextlib.suppress(resp.Closed):
                raise AssertionError(f"a write that fails is answered {subject.ask('SET', changed, '2')}")
            disk.order(fail={})
            check(subject.ask("GET", changed).startswith(DOUBT), "what may not last is shown")
            check(subject.ask("SET", other, "2").startswith(b"-MISCONF"), "a write is taken")
            switch(subject, "no")
            check_equal(subject.ask("GET", changed), b"2", "what was in doubt is as memory has it")
            check_equal(subject.ask("SET", other, "3"), b"+OK", "a write without a log")
            switch(subject, "yes")
            check(watch(subject, WHOLE_S_MAX), "the log does not become whole")
            check_equal(subject.ask("SET", MARK + "}late", "4"), b"+OK", "a write to the new log")
            subject.crash()
        with Subject(home, appendfsync="always") as subject:
            kept = {key: subject.ask("GET", key) for key in (changed, other, MARK + "}late")}
            check_equal(list(kept.values()), [b"2", b"3", b"4"], "what the new log has")
            subject.crash()
