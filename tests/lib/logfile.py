"""The log as src/log/FORMAT.md has it, read by a second hand: which byte is what, which frames vouch for which, and
what keys a log comes to, whole or cut short.

Nothing here is shared with the server, so that a mistake of one shows in the other.
"""

import re
import struct
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

FOLDER = "coldplate-log"
NAME = re.compile(r"(\d{10,})-(\d{4,})-(\d{12,})\.log")

HEADER_BYTES = 4096
HEADER = struct.Struct("<8sII10QHH")
# What a header holds, and how many bytes each takes. The rest is zeros.
HEADER_FIELDS = (
    ("magic", 8),
    ("version", 4),
    ("crc", 4),
    ("run", 8),
    ("number", 8),
    ("first_sequence", 8),
    ("durable", 8),
    ("oldest_run", 8),
    ("oldest", 8),
    ("runs_from", 8),
    ("layout", 8),
    ("secret", 8),
    ("segment_bytes", 8),
    ("core", 2),
    ("cores", 2),
    ("zeros", HEADER_BYTES - 100),
)
VERSION_AT, HEADER_CRC_AT = 8, 12

FRAME = struct.Struct("<IIQQII")
FRAME_ALIGN, FRAME_CRC_AT = 16, 28
FRAME_FIELDS = (("mark", 4), ("bytes", 4), ("sequence", 8), ("durable", 8), ("records", 4), ("crc", 4))

RECORD = struct.Struct("<BBHIIQ")
RECORD_FIELDS = (("kind", 1), ("flags", 1), ("slot", 2), ("key_bytes", 4), ("value_bytes", 4), ("expiry", 8))
PUT, REMOVE, CLEAR = 1, 2, 3

MASK = (1 << 64) - 1
CRC32C = [0] * 256
for _byte in range(256):
    _crc = _byte
    for _ in range(8):
        _crc = _crc >> 1 ^ (0x82F63B78 if _crc & 1 else 0)
    CRC32C[_byte] = _crc


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def mix(number):
    number = (number + 0x9E3779B97F4A7C15) & MASK
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & MASK
    return number ^ number >> 31


@dataclass(slots=True)
class Record:
    offset: int
    kind: int
    slot: int
    key: bytes
    value: bytes
    expiry: int

    def act(self, state):
        """What it does to a state: key -> (slot, value, expiry in ms or -1)."""
        if self.kind == PUT:
            state[self.key] = (self.slot, self.value, self.expiry or -1)
        elif self.kind == REMOVE:
            state.pop(self.key, None)
        else:
            bits = int.from_bytes(self.value, "little")
            for key in [key for key, (slot, *_) in state.items() if bits >> slot & 1]:
                del state[key]


@dataclass(slots=True)
class Frame:
    name: str
    offset: int
    end: int
    sequence: int
    durable: int
    records: list


@dataclass
class Segment:
    """A file: its header, if it was begun, and its frames as far as they follow each other."""

    name: str
    data: bytes
    run: int = 0
    core: int = 0
    header: dict = None
    nonce: int = 0
    frames: list = field(default_factory=list)

    @property
    def end(self):
        """Where its last frame ends."""
        return self.frames[-1].end if self.frames else HEADER_BYTES


def read_header(data):
    values = HEADER.unpack_from(data)
    if data[:8] != b"COLDPLOG" or crc32c(data[:12] + data[16:HEADER_BYTES]) != values[2]:
        return None
    return dict(zip((name for name, _ in HEADER_FIELDS), values))


def nonce_of(header):
    return mix(mix(header["secret"] ^ mix(header["run"]) ^ header["core"]) + header["number"] & MASK)


def read_segment(path):
    run, core, _ = map(int, NAME.fullmatch(path.name).groups())
    segment = Segment(path.name, path.read_bytes(), run, core)
    segment.header = read_header(segment.data) if len(segment.data) >= HEADER_BYTES else None
    if segment.header is None:
        return segment
    segment.nonce = nonce_of(segment.header)
    mark, at, sequence = segment.nonce >> 32 | 1, HEADER_BYTES, segment.header["first_sequence"]
    while at + FRAME.size <= len(segment.data):
        found, size, number, durable, count, _ = FRAME.unpack_from(segment.data, at)
        end = at + -(-(FRAME.size + size) // FRAME_ALIGN) * FRAME_ALIGN
        if (found, number) != (mark, sequence) or end > len(segment.data):
            break
        records = read_records(segment.data, at + FRAME.size, at + FRAME.size + size)
        assert len(records) == count, f"{path.name}: at {at}: {len(records)} records of {count}"
        segment.frames.append(Frame(path.name, at, end, number, durable, records))
        at, sequence = end, sequence + 1
    return segment


def read_records(data, at, end):
    records = []
    while at < end:
        kind, _, slot, key_bytes, value_bytes, expiry = RECORD.unpack_from(data, at)
        key_at = at + RECORD.size
        value_at = key_at + key_bytes
        value = bytes(data[value_at : value_at + value_bytes])
        records.append(Record(at, kind, slot, bytes(data[key_at:value_at]), value, expiry))
        at = value_at + value_bytes
    return records


class Log:
    """A sound log with all its segments: none of them was cleaned."""

    def __init__(self, folder):
        self.folder = Path(folder) / FOLDER
        unfinished = {path.stem for path in self.folder.glob("*.unfinished")}
        names = (path for path in self.folder.iterdir() if NAME.fullmatch(path.name))
        paths = sorted(path for path in names if path.name.split("-")[0] not in unfinished)
        self.segments = {path.name: read_segment(path) for path in paths}
        # Of each run and core, in the order in which they are replayed.
        self.chains = defaultdict(list)
        for segment in self.segments.values():
            self.chains[segment.run, segment.core].append(segment)

    @cached_property
    def frames(self):
        """Of each chain, those of all its segments."""
        return {
            chain: [frame for segment in segments for frame in segment.frames]
            for chain, segments in self.chains.items()
        }

    def replay(self, ends=None):
        """key -> (value, expiry) of all frames, or of only so many of some chains."""
        state = {}
        for chain, frames in self.frames.items():
            for frame in frames[: (ends or {}).get(chain)]:
                for record in frame.records:
                    record.act(state)
        return {key: (value, expiry) for key, (_, value, expiry) in state.items()}

    def first_hit(self, name, begin, end):
        """The first frame that changed bytes from `begin` to `end` belong to: its chain and its place there, or None.

        Without its header no frame of a segment is found.
        """
        segment = self.segments[name]
        chain = segment.run, segment.core
        hits = (n for n, frame in enumerate(self.frames[chain]) if frame.name == name and frame.end > begin)
        at = next(hits, None)
        if at is None or begin >= HEADER_BYTES and self.frames[chain][at].offset >= end:
            return None
        return chain, at

    def is_vouched(self, chain, at, begin, end):
        """Whether a frame is said to be durable by a frame or header that has no byte from `begin` to `end` of its own
        segment.
        """
        frame = self.frames[chain][at]
        later = self.frames[chain][at + 1 :]
        if any(other.durable >= frame.sequence and not overlap(frame, other, begin, end) for other in later):
            return True
        segments = [segment for segment in self.chains[chain] if segment.header and segment.name > frame.name]
        return any(segment.header["durable"] >= frame.sequence for segment in segments)

    def pieces(self):
        """What the log is made of: what -> all the places of it, (file, begin, end)."""
        places = defaultdict(list)
        for segment in self.segments.values():
            if segment.header is None:
                places["spare"].append((segment.name, 0, len(segment.data)))
                continue
            lay(places, "header", segment.name, 0, HEADER_FIELDS)
            for frame in segment.frames:
                lay(places, "frame", segment.name, frame.offset, FRAME_FIELDS)
                at = frame.offset + FRAME.size
                for record in frame.records:
                    at = lay(places, "record", segment.name, record.offset, RECORD_FIELDS)
                    for what in ("key", "value"):
                        size = len(getattr(record, what))
                        places[what] += [(segment.name, at, at + size)] if size else []
                        at += size
                places["padding"] += [(segment.name, at, frame.end)] if at < frame.end else []
            places["tail"].append((segment.name, segment.end, len(segment.data)))
        return {what: those for what, those in places.items() if those}


def lay(places, what, name, at, fields):
    for label, size in fields:
        places[f"{what} {label}"].append((name, at, at + size))
        at += size
    return at


def overlap(frame, other, begin, end):
    return frame.name == other.name and other.offset < end and other.end > begin


def forge(data, frame, nonce, change):
    """A segment's bytes with a frame changed, `change(bytearray)`, and sealed as the server seals it."""
    data = bytearray(data)
    body = data[frame.offset : frame.end]
    change(body)
    sealed = nonce.to_bytes(8, "little") + body[:FRAME_CRC_AT] + body[FRAME_CRC_AT + 4 :]
    body[FRAME_CRC_AT : FRAME_CRC_AT + 4] = crc32c(sealed).to_bytes(4, "little")
    data[frame.offset : frame.end] = body
    return bytes(data)


def forge_header(data, at, field_bytes):
    """A segment's bytes with some of its header changed, and the right checksum."""
    data = bytearray(data)
    data[at : at + len(field_bytes)] = field_bytes
    sealed = data[:HEADER_CRC_AT] + data[HEADER_CRC_AT + 4 : HEADER_BYTES]
    data[HEADER_CRC_AT : HEADER_CRC_AT + 4] = crc32c(sealed).to_bytes(4, "little")
    return bytes(data)
