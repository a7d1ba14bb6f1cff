"""While keys are loaded: what clients are answered, and what INFO, the terminal and systemd are told. The disk is so
slow that all of it can be looked at.
"""

import os
import re
import signal
import socket
import time
from contextlib import contextmanager

from crash.cuts import KINDS
from crash.disk import Disk, missing
from crash.stage import LOADING_S_MAX, Subject, draw, need_log, suite
from lib import resp
from lib.cases import Skip, check, check_equal
from lib.logfile import FOLDER

LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
ABORT = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
# So the log takes longer than anybody looks; then the disk gets quick. An answer takes a few reads of each core.
READ_MS = 60
ROWS = 3
KEYS, VALUE_BYTES = 600, 40_000
FIELDS = ("start_time", "total_bytes", "rdb_used_mem", "loaded_bytes", "loaded_perc", "eta_seconds")


def keys():
    rng = draw("loading")
    return {b"key:%d" % n: rng.randbytes(VALUE_BYTES) for n in range(KEYS)}


@contextmanager
def slow_log():
    """A folder with a log of known keys that is read slowly."""
    need_log()
    if lacking := missing(KINDS[0]):
        raise Skip(f"a slow disk needs {lacking}")
    with Disk(KINDS[0]) as disk:
        home = disk.point / "data"
        home.mkdir()
        with Subject(home, appendfsync="no") as subject:
            check(not subject.is_redis, "about this server's own log")
            with resp.connected(subject) as wire:
                wire.send(b"".join(resp.encode("SET", *pair) for pair in keys().items()))
                check_equal({wire.reply() for _ in range(KEYS)}, {b"+OK\r\n"}, "replies")
        forget(home / FOLDER)
        slow = Slow(disk)
        try:
            yield home, slow
        finally:
            slow.hurry()


class Slow:
    """A disk that reads slowly until it is told to hurry."""

    def __init__(self, disk):
        self.disk = disk
        self.is_quick = False
        disk.order(delay_ms={"read": READ_MS})

    def hurry(self):
        if not self.is_quick:
            self.is_quick = True
            self.disk.order(delay_ms={})


def forget(folder):
    """Takes files out of the page cache."""
    for path in folder.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Started(Subject):
    """A server that is not waited for, and says all it has to say to a log and to a systemd of the case's own."""

    def __init__(self, folder, **options):
        super().__init__(folder, appendfsync="no", **options)
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.systemd.bind(str(self.dir / "systemd"))
        self.environment["NOTIFY_SOCKET"] = str(self.dir / "systemd")

    def command_line(self):
        line = super().command_line()
        line[line.index("--log-level") + 1] = "info"
        return line

    def __enter__(self):
        self.begin()
        deadline = time.monotonic() + LOADING_S_MAX
        while not os.path.exists(self.unixsocket):
            check(self.is_alive() and time.monotonic() < deadline, f"no socket: {self.log()}")
            time.sleep(0.001)
        return self

    def __exit__(self, *exit):
        self.systemd.close()
        super().__exit__(*exit)

    def told(self):
        """What systemd was told since it was last asked, a message each."""
        messages = []
        while True:
            try:
                messages.append(self.systemd.recv(4096).decode())
            except BlockingIOError:
                return messages

    def persistence(self, wire):
        text = wire.ask("INFO", "persistence").decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def refused_meanwhile(wire):
    """As Redis has it: what needs no keys is answered, and a transaction that asks for some is spoiled."""
    exchange = (
        (("PING",), LOADING),
        (("GET", "key:1"), LOADING),
        (("SET", "key:1", "x"), LOADING),
        (("DBSIZE",), LOADING),
        (("MULTI",), b"+OK\r\n"),
        (("GET", "key:1"), LOADING),
        (("EXEC",), ABORT),
        (("SELECT", "0"), b"+OK\r\n"),
        (("CONFIG", "GET", "appendonly"), b"*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n"),
        (("SUBSCRIBE", "a"), b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"),
        (("RESET",), b"+RESET\r\n"),
    )
    # At once, since a core that waits for the disk looks at its clients now and then.
    wire.send(b"".join(resp.encode(*words) for words, _ in exchange))
    for words, reply in exchange:
        check_equal(wire.reply(), reply, f"{words} while keys are loaded")


def follow(subject, wire, disk):
    """Follows INFO until all is loaded: the rows that it showed, and what systemd was told meanwhile."""
    rows, told, deadline = [], [], time.monotonic() + LOADING_S_MAX
    while True:
        told += subject.told()
        is_said = " serves on " in subject.log()
        found = subject.persistence(wire)
        if found["loading"] == "0":
            break
        check(not is_said, "it is said to serve before it does")
        rows.append(tuple(float(found["loading_" + field]) for field in FIELDS))
        check_equal(found["async_loading"], "0", "async_loading")
        check(time.monotonic() < deadline, f"still loading: {found}")
        if len(rows) >= ROWS and told:
            disk.hurry()
    check(not any(field.startswith("loading_") for field in found), f"all is loaded, and INFO shows {found}")
    return rows, told


def judge_rows(rows):
    check(len(rows) > 1, f"INFO showed loading {len(rows)} times")
    check(len({row[:3] for row in rows}) == 1, "when it began, or how much there is, changes meanwhile")
    began_s, total, memory, *_ = rows[0]
    check(0 <= time.time() - began_s < LOADING_S_MAX and memory == 0, f"it began at {began_s}")
    check(total > KEYS * VALUE_BYTES, f"{total} bytes to load")
    loaded = [row[3] for row in rows]
    check(loaded == sorted(loaded) and len(set(loaded)) > 1 and loaded[-1] <= total, f"it goes on like this: {loaded}")
    for _, _, _, bytes_, percent, eta_s in rows:
        check(abs(percent - 100 * bytes_ / total) < 0.01, f"{bytes_} of {total} are {percent} %")
        check(0 <= eta_s < LOADING_S_MAX, f"{eta_s} seconds are left")


def judge_told(before, last):
    """Not ready while keys are loaded, but told how far it is, and to be patient."""
    check(before, "systemd was told nothing meanwhile")
    for text in before:
        lines = dict(line.split("=", 1) for line in text.splitlines())
        check(re.match(r"loading: \d+ %, ", lines["STATUS"]), f"a status: {text}")
        check(int(lines["EXTEND_TIMEOUT_USEC"]) >= 10_000_000, f"patience: {text}")
    check("READY=1" in last and "STATUS=serving" in last, f"systemd was told behind it: {last}")


@suite.case()
def loading():
    with slow_log() as (home, disk), Started(home) as subject:
        with resp.connected(subject) as wire:
            refused_meanwhile(wire)
            rows, told = follow(subject, wire, disk)
            check_equal(wire.ask("PING"), b"+PONG\r\n", "PING behind it")
        kept = subject.kept([])
        check_equal({key: value for key, (value, _) in kept.items()}, keys(), "what was loaded")
        wait(lambda: " serves on " in subject.log(), "it is not said to serve")
        wait(lambda: told.extend(subject.told()) or any("READY=1" in text for text in told), "systemd is not told")
        judge_told(told[:-1], told[-1])
        lines = re.findall(r"loading: \d+ %, \d+ of \d+ MiB of the log, \d+ keys", subject.log())
        check(lines, f"nothing was said on the terminal: {subject.log()}")
    judge_rows(rows)
    return f"INFO showed it {len(rows)} times, systemd was told {len(told)} times, the terminal {len(lines)}"


def wait(condition, what):
    deadline = time.monotonic() + LOADING_S_MAX
    while not condition():
        check(time.monotonic() < deadline, what)
        time.sleep(0.01)


@suite.case()
def loading_ends_early():
    """SIGTERM while keys are loaded: it ends with 0, was never ready, and the next start finds everything."""
    with slow_log() as (home, disk):
        with Started(home) as subject:
            with resp.connected(subject) as wire:
                check_equal(wire.ask("PING"), LOADING, "PING")
            subject.process.send_signal(signal.SIGTERM)
            check_equal(subject.exit_status(), 0, "exit status")
            subject.stopped = True
            check("READY=1" not in "".join(subject.told()), "systemd was told that it is ready")
        disk.hurry()
        with Subject(home, appendfsync="no") as subject:
            kept = {key: value for key, (value, _) in subject.kept([]).items()}
            check_equal(kept, keys(), "what is there afterwards")
