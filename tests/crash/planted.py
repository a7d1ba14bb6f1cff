"""Faults that the rig has to notice: in what a server kept, in the ledger, in the server's settings, in the disk."""

import errno
import os
import tempfile
import time
from pathlib import Path

from crash.cuts import KINDS, SECONDS, power_cuts
from crash.disk import Disk, missing
from crash.ledger import Counter, Group, Ledger, Step, act
from crash.rounds import one_round
from crash.stage import Subject, draw, need_log, suite
from lib.cases import Skip, check

NAME = b"{g}"
KEYS = (b"{g}a", b"{g}b", b"{g}c")


def story():
    """Six steps, four of them answered; sent at 10, 20, ... and answered 5 later."""
    deeds = [
        (("set", KEYS[0], (b"one", -1)),),
        (("set", KEYS[0], (b"two", -1)), ("set", KEYS[1], (b"both", -1))),
        (("append", KEYS[0], b"+"),),
        (("set", KEYS[2], (b"late", -1)), ("expire", KEYS[2], 99)),
        (("set", KEYS[0], (b"five", -1)), ("del", KEYS[1], None)),
        (("set", KEYS[1], (b"six", -1)),),
    ]
    steps = [Step(deed, 10 * n + 10, 10 * n + 15 if n < 4 else None) for n, deed in enumerate(deeds)]
    group = Group(NAME, KEYS, steps=steps)
    states = [{}]
    for step in steps:
        states.append(act(states[-1], step))
    return group, states


def verdict(group, kept, word, **times):
    found = group.judge(kept, **times)
    check(len(found) == bool(word) and all(word in text for text in found), f"wanted {word!r}, got {found}")


@suite.case()
def planted_states():
    """What may be and what may not be found of one group."""
    group, states = story()
    for good in (4, 5, 6):
        verdict(group, states[good], "")
    for lost in range(4):
        verdict(group, states[lost], "LOST")
    verdict(group, {**states[4], KEYS[0]: (b"five", -1)}, "HALF")
    verdict(group, {**states[4], KEYS[1]: (b"six", -1)}, "HALF")
    verdict(group, {**states[4], KEYS[0]: (b"tw", -1)}, "NEVER SO")
    verdict(group, {**states[4], KEYS[2]: (b"late", -1)}, "NEVER SO")
    # A cut between the third answer and the fifth send.
    verdict(group, states[3], "", answered_ns=40, sent_ns=40)
    verdict(group, states[2], "LOST", answered_ns=40, sent_ns=40)
    verdict(group, states[5], "FUTURE", answered_ns=40, sent_ns=40)


@suite.case()
def planted_sightings():
    """What a reader was answered stays, answered to its writer or not."""
    group, states = story()
    group.sightings[KEYS[0], b"five"] = 70
    verdict(group, states[5], "")
    verdict(group, states[4], "LOST")
    verdict(group, states[4], "", answered_ns=70)
    group, states = story()
    group.sightings[KEYS[0], b"nobody's"] = 70
    verdict(group, states[4], "never sent")


@suite.case()
def planted_refusals():
    """A step that was answered with an error may have happened or not, and neither breaks the order of the others."""
    group, states = story()
    group.steps[3].refused = True
    group.steps[3].answered_ns = None
    verdict(group, states[3], "")
    verdict(group, states[4], "")
    verdict(group, act(states[3], group.steps[4]), "")
    verdict(group, states[2], "LOST")


@suite.case()
def planted_many_refusals():
    """Too many refused steps to follow each: what was answered before them still binds."""
    group, states = story()
    for number in range(20):
        group.steps.append(Step((("append", KEYS[2], b"%d" % number),), 100 + number, refused=True))
    verdict(group, states[6], "")
    verdict(group, {**states[6], KEYS[2]: (b"late3", 99)}, "")
    verdict(group, states[3], "", answered_ns=40, sent_ns=50)
    verdict(group, states[2], "LOST", answered_ns=40, sent_ns=50)


@suite.case()
def planted_counters():
    steps = [Step((), 10 * n, 10 * n + 5 if n < 3 else None) for n in range(5)]
    counter = Counter(b"{n}", base=7, steps=steps, sightings={11: 60})
    for kept, good in ((9, False), (10, False), (11, True), (12, True), (13, False)):
        check(bool(counter.judge(kept)) != good, f"{kept} after 7 and three to five more")
    check(not counter.judge(10, answered_ns=50), "a sighting later than the cut binds")
    ledger = Ledger()
    check(ledger.judge({b"stranger": (b"x", -1)}), "a key that nobody sent is passed over")


@suite.case()
def planted_claims():
    """A ledger with one answer more than there was, and values changed behind its back, after a real crash."""
    need_log()
    ledger = Ledger()
    with tempfile.TemporaryDirectory(prefix="coldplate-crash-") as folder:
        with Subject(Path(folder)) as subject:
            one_round(subject, ledger, draw("claims"), "claims")
        with Subject(Path(folder)) as subject:
            kept = subject.kept(ledger.keys())
    check(not ledger.judge(kept), "an honest ledger is not believed")
    group = next(group for group in ledger.groups.values() if len(group.steps) > 20 and group.keys[0] in kept)
    key, found = group.keys[0], kept[group.keys[0]]
    torn = {**kept, key: (found[0][:-3], found[1])}
    check("NEVER SO" in str(ledger.judge(torn)) and "TORN" in str(ledger.judge(torn)), "a torn value is believed")
    check(ledger.judge({k: v for k, v in kept.items() if k != key}), "a key may go")
    check(ledger.judge({**kept, key: (found[0], 4)}), "an expiry may change")
    group.steps.append(Step((("set", key, (b"never", -1)),), 1, 2))
    group.replayed = None
    check("LOST" in str(ledger.judge(kept)), "a write that was never answered is not missed")


@suite.case()
def planted_no_log():
    """A server that keeps nothing, taken for one that does."""
    need_log()
    ledger = Ledger()
    with tempfile.TemporaryDirectory(prefix="coldplate-crash-") as folder:
        with Subject(Path(folder), appendonly="no") as subject:
            one_round(subject, ledger, draw("nothing"), "nothing", may_rewrite=False)
        with Subject(Path(folder), appendonly="no") as subject:
            found = ledger.judge(subject.kept(ledger.keys()))
    check(any("LOST" in text for text in found), "nothing is missed of a server that kept nothing")
    return f"{len(found)} complaints"


def caught(policy, **orders):
    complaints, note, _ = power_cuts(KINDS[0], policy, SECONDS, judged_as="always", **orders)
    check(any("LOST" in text for text in complaints), f"no loss was found: {complaints[:2]}; {note}")
    return f"{note}; {complaints[0][:160]}"


@suite.case()
def planted_no_fsync():
    """A server that does not flush, judged as if it did."""
    return caught("no")


@suite.case()
def planted_lying_disk():
    """A disk that answers flushes and does not flush, under a server that trusts it."""
    return caught("always", lie=True)


@suite.case()
def planted_disk_faults():
    """The faults that the medium can be told to have reach the one who writes."""
    if lacking := missing(KINDS[0]):
        raise Skip(f"a disk of its own needs {lacking}")
    with Disk(KINDS[0]) as disk:
        path = disk.point / "file"
        check(attempt(path, b"first") is None, "a sound disk fails")
        disk.order(fail={"write": {"error": "EIO", "holding": "MARKED"}})
        check(attempt(path, b"plain") is None, "a write fails that does not hold what was named")
        check("EIO" in str(attempt(path, b"MARKED")), "a write does not fail")
        disk.order(fail={"write": {"error": "ENOSPC", "holding": "MARKED"}})
        check("ENOSPC" in str(attempt(disk.point / "other", b"MARKED")), "ENOSPC from below does not come through")
        disk.order(fail={})
        check(attempt(path, b"MARKED") is None, "a fault does not end")
        ballast = disk.fill(64 << 10)
        check("ENOSPC" in str(attempt(disk.point / "large", bytes(1 << 20))), "a full disk takes more")
        ballast.unlink()
        check(attempt(disk.point / "large", bytes(1 << 20)) is None, "space does not come back")
        disk.order(delay_ms={"flush": 300})
        check(timed(path) > 0.25, "a slow flush is not slow")
        disk.order(delay_ms={}, fail={"flush": {"error": "EIO"}})
        check("EIO" in str(attempt(path, b"last")), "a flush does not fail")
        check(disk.order()["failed"] >= 3, "faults are not counted")


def attempt(path, data):
    """Writes and flushes; the error's name, or None."""
    try:
        with open(path, "ab", buffering=0) as file:
            file.write(data)
            os.fsync(file.fileno())
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


def timed(path):
    begin = time.monotonic()
    attempt(path, b"slow")
    return time.monotonic() - begin
