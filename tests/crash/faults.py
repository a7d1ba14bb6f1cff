"""A disk that fails under load: what was answered before and after stays, through a power cut at any moment of it.

A write that was answered with an error may be there or not. Redis ends itself when its log cannot be written under
`always`; Coldplate goes on with reads, refuses writes, and takes them again when there is space again.
"""

import contextlib
import time

from crash.cuts import KINDS, hold_up
from crash.disk import Disk, missing
from crash.stage import Subject, need_log, suite
from lib import resp
from lib.cases import Skip, check, check_equal

SECONDS = 3.0
FAULT_S = 1.0
RECOVERY_S_MAX = 15
# The ledger's keys: the log holds them, the file system's journal does not.
MARK = "{c"
CHANGED, OTHER, LATE = MARK + "}changed", MARK + "}other", MARK + "}late"
LEFT_BYTES = 600 << 10
DOUBT = b"-MISCONF Errors writing to the log: whether the last change"


def refuses(subject):
    """Reads go on, and some write has been refused with the error that Redis has for it."""
    if subject.is_redis:
        return
    deadline = time.monotonic() + RECOVERY_S_MAX
    number = 0
    # Another key each time: a log that is cleaned as it grows makes do with the room that it has for one.
    while (reply := subject.ask("SET", f"probe:{MARK}{number}", "x" * 4000)) == b"+OK":
        check(time.monotonic() < deadline, "no write is refused")
        number += 1
    check(reply.startswith(b"-MISCONF"), f"a write is refused with {reply!r}")
    # What was being changed as the log failed is in doubt, and not shown.
    replies = [subject.ask("GET", f"{{c{client}.{group}}}{name}") for client in range(8) for group in range(3) for name in "ab"]
    answers = [reply for reply in replies if reply is None or not reply.startswith(b"-")]
    doubts = [reply for reply in replies if reply is not None and reply.startswith(DOUBT)]
    check(answers and len(answers) + len(doubts) == len(replies), f"reads are answered {sorted(set(map(str, replies)))}")


def takes_again(subject):
    """Writes are taken again without a restart."""
    if subject.is_redis:
        return
    deadline = time.monotonic() + RECOVERY_S_MAX
    while (reply := subject.ask("SET", "probe:back", "1")) != b"+OK":
        check(time.monotonic() < deadline, f"no write is taken when the fault is over: {reply!r}")
        time.sleep(0.05)


def failing(name, error):
    def meddle(disk, subject):
        disk.order(fail={name: {"error": error, "after": 20, "holding": MARK if name == "write" else ""}})
        time.sleep(FAULT_S)
        refuses(subject)
        disk.order(fail={})

    return meddle


def full(disk, subject):
    """The file system fills up, and stays full until the last cut."""
    disk.fill(LEFT_BYTES)
    time.sleep(FAULT_S)
    refuses(subject)


def full_for_a_while(disk, subject):
    ballast = disk.fill(LEFT_BYTES)
    time.sleep(FAULT_S)
    refuses(subject)
    ballast.unlink()
    takes_again(subject)


def slow(disk, _subject):
    disk.order(delay_ms={"flush": 100})
    time.sleep(FAULT_S)
    disk.order(delay_ms={})


FAULTS = {
    "write_eio": failing("write", "EIO"),
    "write_enospc": failing("write", "ENOSPC"),
    "flush_eio": failing("flush", "EIO"),
    "full": full,
    "full_for_a_while": full_for_a_while,
    "slow_flush": slow,
}


def left_of_a_failed_write(meddle):
    """A write fails under `always`, `meddle` goes on from there, and the server is killed: what a start finds of the key
    that was being changed, of the other, and of the late one.
    """
    need_log()
    if lacking := missing(KINDS[0]):
        raise Skip(f"a failing disk needs {lacking}")
    with Disk(KINDS[0]) as disk:
        home = disk.point / "data"
        home.mkdir()
        with Subject(home, appendfsync="always") as subject:
            if subject.is_redis:
                raise Skip("it ends itself")
            for key in (CHANGED, OTHER):
                check_equal(subject.ask("SET", key, "1"), b"+OK", "SET")
            disk.order(fail={"write": {"error": "EIO", "holding": MARK}})
            with contextlib.suppress(resp.Closed):
                raise AssertionError(f"a write that fails is answered {subject.ask('SET', CHANGED, '2')}")
            reply = subject.ask("GET", CHANGED)
            check(reply.startswith(DOUBT), f"what may not last is read as {reply}")
            meddle(disk, subject)
            subject.crash()
        with Subject(home, appendfsync="always") as subject:
            found = [subject.ask("GET", key) for key in (CHANGED, OTHER, LATE)]
            subject.crash()
    return found


@suite.case()
def fault_shows_what_lasts():
    """A change that failed is shown to no reader: it may be gone after a start. All else is."""

    def look(disk, subject):
        check_equal(subject.ask("GET", OTHER), b"1", "what lasts")
        disk.order(fail={})

    changed, other, _ = left_of_a_failed_write(look)
    check(changed in (b"1", b"2"), "it is neither as it was nor as it was to be")
    check_equal(other, b"1", "what lasts")


for _name, _meddle in FAULTS.items():

    @suite.case(f"fault_{_name}")
    def fault(meddle=_meddle):
        return hold_up(KINDS[0], "always", SECONDS, meddle=meddle)
