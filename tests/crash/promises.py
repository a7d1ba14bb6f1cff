"""Small writers with a known order of write, flush and promise: the rig tells the sound one from the others.

No server: a preallocated file, O_DIRECT, a block a record, a promise noted after each. It proves what `hold` is for. A
flush covers writes that have been answered; one that is sent beside its write covers it only by luck.
"""

import mmap
import os
import shutil
import threading
import time
from contextlib import closing
from pathlib import Path

from crash.disk import Disk, missing, mounted, scratch
from crash.replay import Cutter, Loss, Recording
from crash.stage import draw, suite
from lib.cases import Skip, check

BLOCK_BYTES = 4096
RECORDS = 60
KIND = "ext4"


class Writer:
    """Writes record after record, and notes when it promised each."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDWR | os.O_DIRECT)
        self.block = mmap.mmap(-1, BLOCK_BYTES)
        self.promised_ns = []

    def sound(self, number):
        self._write(number)
        os.fdatasync(self.file)

    def beside(self, number):
        """Write and flush are under way together; both are waited for."""
        flush = threading.Thread(target=os.fdatasync, args=(self.file,))
        write = threading.Thread(target=self._write, args=(number,))
        flush.start()
        write.start()
        write.join()
        flush.join()

    def hasty(self, number):
        """The promise comes before the flush."""
        self._write(number)
        self._promise()
        os.fdatasync(self.file)

    def _write(self, number):
        self.block[:8] = number.to_bytes(8, "little")
        os.pwrite(self.file, self.block, number * BLOCK_BYTES)

    def _promise(self):
        self.promised_ns.append(time.monotonic_ns())

    def run(self, way):
        for number in range(1, RECORDS):
            getattr(self, way)(number)
            if way != "hasty":
                self._promise()
        os.close(self.file)


def prepare(path):
    """All blocks written once and on the disk, so that a write changes nothing but its block."""
    with open(path, "wb") as file:
        file.write(bytes(RECORDS * BLOCK_BYTES))
        file.flush()
        os.fsync(file.fileno())


def broken_promises(way, hold):
    """In how many of all cuts a promise was broken, when the disk loses all that it may lose."""
    if lacking := missing(KIND):
        raise Skip(f"a disk of its own needs {lacking}")
    place = scratch()
    try:
        with Disk(KIND) as disk:
            prepare(disk.point / "file")
            os.sync()
            begin_ns = time.monotonic_ns()
            disk.order(hold=hold)
            writer = Writer(disk.point / "file")
            writer.run(way)
            disk.order(hold=0)
            recording = Recording(disk.recording)
            (place / "mnt").mkdir()
            cuts = range(recording.first_after(begin_ns), len(recording.steps) + 1)
            with closing(Cutter(disk.base, recording, place / "safe.img", place / "cut.img")) as cutter:
                broken = [is_broken(cutter, recording, at, writer.promised_ns, place / "mnt") for at in cuts]
            return sum(broken), len(cuts)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def is_broken(cutter, recording, at, promised_ns, point):
    cutter.cut(at, Loss("nothing", draw(at)))
    with mounted(cutter.image, point, KIND):
        data = Path(point / "file").read_bytes()
    due = sum(when_ns < recording.acknowledged_ns(at) for when_ns in promised_ns)
    there = [int.from_bytes(data[n * BLOCK_BYTES :][:8], "little") for n in range(1, due + 1)]
    return there != list(range(1, due + 1))


def judge(way, hold, sound):
    broken, cuts = broken_promises(way, hold)
    check((broken == 0) == sound, f"{way}: {broken} of {cuts} cuts break a promise")
    return f"{broken} of {cuts} cuts"


@suite.case()
def planted_sound():
    return judge("sound", 0.3, True)


@suite.case()
def planted_hasty():
    return judge("hasty", 0.0, False)


@suite.case()
def planted_flush_beside_write():
    return judge("beside", 0.6, False)
