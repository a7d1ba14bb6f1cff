"""From a recording to the disk as it would be after a power cut at any point of it.

A write is safe from the next flush on. What came after the last flush before the cut is in the disk's cache: any part
of it may have reached the disk, in any order, and a write may have stopped between two sectors.
"""

import mmap
import os
from dataclasses import dataclass

from crash.medium import KIND_FLUSH, KIND_ZERO, RECORD

# What a disk writes whole. File systems that trust in 4,096 bytes are mounted again with that if they must.
SECTOR_BYTES = 512
COPY_BYTES = 1 << 20


@dataclass(slots=True)
class Step:
    """One record: a write, a range of zeroes or a flush, and when it had arrived."""

    kind: int
    length: int
    offset: int
    time_ns: int
    # Where its bytes lie in the recording.
    at: int

    @property
    def is_flush(self):
        return self.kind == KIND_FLUSH


class Recording:
    def __init__(self, path):
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.bytes = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
        self.steps = []
        at = 0
        while at + RECORD.size <= len(self.bytes):
            kind, length, offset, time_ns = RECORD.unpack_from(self.bytes, at)
            at += RECORD.size
            self.steps.append(Step(kind, length, offset, time_ns, at))
            if kind not in (KIND_FLUSH, KIND_ZERO):
                at += length

    def data(self, step):
        return bytes(step.length) if step.kind == KIND_ZERO else self.bytes[step.at : step.at + step.length]

    def first_after(self, time_ns):
        """The first step that arrived later."""
        return next((n for n, step in enumerate(self.steps) if step.time_ns > time_ns), len(self.steps))

    def acknowledged_ns(self, cut):
        """A reply that came before this is the doing of steps before the cut: no later one had arrived."""
        return self.steps[cut].time_ns if cut < len(self.steps) else float("inf")

    def sent_ns(self, cut):
        """Nothing sent after this can be on the disk."""
        return self.steps[cut - 1].time_ns if cut else 0


class Loss:
    """Which part of the cache reaches the disk: a way, and a generator of random numbers."""

    WAYS = ("nothing", "everything", "some", "torn", "last torn")

    def __init__(self, way, rng):
        self.way = way
        self.rng = rng

    def pieces(self, pending, data, sector_bytes=SECTOR_BYTES):
        """(offset, bytes) of what survives, in order of writing: a sector is left at any of its versions."""
        keep = self.rng.random()
        for number, step in enumerate(pending):
            is_last = number == len(pending) - 1
            if self.way == "nothing" or self.way in ("some", "torn") and self.rng.random() >= keep:
                continue
            raw = data(step)
            if self.way == "torn" or self.way == "last torn" and is_last:
                yield from self._sectors(step.offset, raw, sector_bytes)
            else:
                yield step.offset, raw

    def _sectors(self, offset, raw, sector_bytes):
        """A beginning, an end, or sectors here and there."""
        count = -(-len(raw) // sector_bytes)
        shape, cut = self.rng.randrange(3), self.rng.randrange(count + 1)
        for n in range(count):
            if (n < cut, n >= cut, self.rng.random() < 0.5)[shape]:
                yield offset + n * sector_bytes, raw[n * sector_bytes : (n + 1) * sector_bytes]


class Cutter:
    """Makes the image of one cut after the other; cuts must not go back."""

    def __init__(self, base, recording, safe, image):
        copy_sparse(base, safe)
        self.recording = recording
        self.safe_path, self.image = safe, image
        self.safe = open(safe, "r+b")
        # All steps before this are in the safe image.
        self.safe_end = 0

    def cut(self, at, loss, sector_bytes=SECTOR_BYTES):
        """Writes the image as of the first `at` steps."""
        steps = self.recording.steps
        flushed = next((n for n in range(at - 1, self.safe_end - 1, -1) if steps[n].is_flush), self.safe_end)
        for step in steps[self.safe_end : flushed]:
            if not step.is_flush:
                self._put(self.safe, step.offset, self.recording.data(step))
        self.safe_end = max(self.safe_end, flushed)
        self.safe.flush()
        copy_sparse(self.safe_path, self.image)
        pending = [step for step in steps[self.safe_end : at] if not step.is_flush]
        with open(self.image, "r+b") as image:
            for offset, raw in loss.pieces(pending, self.recording.data, sector_bytes):
                self._put(image, offset, raw)
        return len(pending)

    @staticmethod
    def _put(file, offset, raw):
        file.seek(offset)
        file.write(raw)

    def close(self):
        self.safe.close()


def copy_sparse(source, target):
    """Copies what a file has data for; by way of a buffer, since in memory copy_file_range goes page by page."""
    buffer = memoryview(bytearray(COPY_BYTES))
    with open(source, "rb") as file, open(target, "wb") as copy:
        size = os.fstat(file.fileno()).st_size
        copy.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            while at < end:
                count = os.preadv(file.fileno(), [buffer[: min(len(buffer), end - at)]], at)
                at += os.pwrite(copy.fileno(), buffer[:count], at)
