"""kill -9 before, while and after the log is switched, by CONFIG SET appendonly.

A log that begins while the server runs counts from the moment that INFO says that it is whole. Until then a start finds
the last log that was whole, as it was when it was switched off, or nothing. Redis's rewrite keeps the same rules.
"""

import time

from crash.faults import CHANGED, LATE, OTHER, left_of_a_failed_write
from crash.ledger import Ledger
from crash.load import Load
from crash.stage import CLIENTS, CORES, SEED, Home, draw, fail_if, need_log, number, suite, unexpected
from lib import resp
from lib.cases import check, check_equal

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
        ledger = Ledger()
        with Home() as home:
            subject = home.start(appendfsync=policy, appendonly="yes" if begins_on else "no")
            ballast(subject)
            whole, ended = one_round(subject, ledger, rng, f"{policy}{turn}", begins_on)
            subject = home.start(appendfsync=policy, cores=rng.randrange(1, CORES + 2))
            kept = subject.kept(ledger.keys())
            complaints, what = judge(ledger, kept, subject.ask("DBSIZE"), whole, ended)
            fail_if(complaints + unexpected(ledger), f"round {turn} of SEED={SEED}, whole: {whole}, {len(kept)} keys")
            found[what] = found.get(what, 0) + 1
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

    def mend(disk, subject):
        disk.order(fail={})
        check(subject.ask("SET", OTHER, "2").startswith(b"-MISCONF"), "a write is taken")
        switch(subject, "no")
        check_equal(subject.ask("GET", CHANGED), b"2", "what was in doubt is as memory has it")
        check_equal(subject.ask("SET", OTHER, "3"), b"+OK", "a write without a log")
        switch(subject, "yes")
        check(watch(subject, WHOLE_S_MAX), "the log does not become whole")
        check_equal(subject.ask("SET", LATE, "4"), b"+OK", "a write to the new log")

    check_equal(left_of_a_failed_write(mend), [b"2", b"3", b"4"], "what the new log has")
