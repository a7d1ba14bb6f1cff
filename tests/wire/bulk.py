"""Much from little, and much from much: huge values, huge commands, patterns that backtrack."""

import time
import zlib

from lib import resp
from lib.cases import check, check_equal
from wire.stage import MIB, suite

HALF_GIB = 512 * MIB


@suite.case(rss_mib=64)
def setrange_that_asks_for_half_a_gigabyte(stage):
    """Forty bytes of command, a value of 512 MB: it reads as such, but its zeros take no memory."""
    with stage.wire() as wire:
        for key in ("hole:1", "hole:2"):
            check_equal(wire.ask("SETRANGE", key, HALF_GIB - 1, "x"), b":536870912\r\n")
            check_equal(wire.ask("STRLEN", key), b":536870912\r\n")
            check_equal(wire.ask("GETRANGE", key, HALF_GIB - 3, -1), b"$3\r\n\0\0x\r\n")
            check_equal(wire.ask("GETRANGE", key, 0, 4), b"$5\r\n\0\0\0\0\0\r\n")
        refused = wire.ask("SETRANGE", "hole:1", HALF_GIB, "x")
        check_equal(refused, b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n")
        check_equal(wire.ask("SETRANGE", "hole:1", 1000, "middle"), b":536870912\r\n")
        check_equal(wire.ask("GETRANGE", "hole:1", 999, 1006), b"$8\r\n\0middle\0\r\n")
        check_equal(wire.ask("DEL", "hole:1", "hole:2"), b":2\r\n")


@suite.case(rss_mib=1300, slow=True)
def half_a_gigabyte_there_and_back(stage):
    """The largest value that is allowed, sent and read in full; its memory is given back when it goes."""
    piece = zlib.compress(bytes(range(256)) * 64 * 1024, 0)[:MIB]
    digest = 0
    before = stage.server.rss_bytes()
    with stage.wire(60) as wire:
        start = time.monotonic()
        wire.send(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % HALF_GIB)
        for i in range(512):
            # Each piece differs, so that a swap or a loss shows in the checksum.
            part = b"%08d" % i + piece[8:]
            digest = zlib.crc32(part, digest)
            wire.send(part)
        wire.send(b"\r\n")
        check_equal(wire.reply(), b"+OK\r\n")
        set_s = time.monotonic() - start
        stored = (stage.server.rss_bytes() - before) / HALF_GIB
        start = time.monotonic()
        check_equal(read_checksum(wire.sock), digest, "checksum")
        get_s = time.monotonic() - start
        check_equal(wire.ask("GETRANGE", "big", 3 * MIB, 3 * MIB + 7), b"$8\r\n00000003\r\n")
        check_equal(wire.ask("DEL", "big"), b":1\r\n")
    return f"SET {set_s:.1f} s, GET {get_s:.1f} s, RSS {stored:.2f} of the value once stored"


def read_checksum(sock):
    sock.sendall(resp.encode("GET", "big"))
    head = b""
    while b"\r\n" not in head:
        head += sock.recv(1)
    check_equal(head, b"$%d\r\n" % HALF_GIB)
    left, digest, room = HALF_GIB, 0, memoryview(bytearray(MIB))
    while left:
        count = sock.recv_into(room, min(left, MIB))
        check(count, f"closed with {left} bytes to come")
        digest = zlib.crc32(room[:count], digest)
        left -= count
    check_equal(sock.recv(2, resp.socket.MSG_WAITALL), b"\r\n")
    return digest


@suite.case(rss_mib=320)
def mset_of_a_million_arguments(stage):
    """One command of 14 MB that comes in small pieces, over all slots; others are answered while it runs."""
    pairs = 500_000
    parts = [b"*%d\r\n$4\r\nMSET\r\n" % (2 * pairs + 1)]
    parts += [b"$6\r\n%06d\r\n$1\r\nx\r\n" % i for i in range(pairs)]
    stream = b"".join(parts)
    with stage.wire(60) as wire:
        for at in range(0, len(stream), 5000):
            wire.send(stream[at : at + 5000])
        check_equal(wire.reply(), b"+OK\r\n")
        check_equal(wire.ask("EXISTS", *(f"{i:06}" for i in range(0, pairs, 50_000))), b":10\r\n")
        count = wire.ask("DBSIZE")
        check(int(count[1:-2]) >= pairs, f"DBSIZE is {count!r}")


@suite.case(rss_mib=200)
def flushes_of_many_keys(stage):
    """All keys go at once, in the ways there are; nobody waits for the memory to be given back."""
    with stage.wire(60) as wire:
        for command in (("FLUSHALL",), ("FLUSHALL", "SYNC"), ("FLUSHDB", "ASYNC")):
            for base in range(0, 300_000, 10_000):
                wire.ask("MSET", *(word for i in range(base, base + 10_000) for word in (b"%06d" % i, b"v" * 32)))
            check_equal(wire.ask(*command), b"+OK\r\n")


@suite.case()
def patterns_that_backtrack(stage):
    """Patterns whose naive matching takes 2^n steps, against keys made for them."""
    with stage.wire(20) as wire:
        for length in (30, 300, 3000, 30_000):
            wire.ask("SET", "a" * length, "1")
        wire.ask("SET", "[" * 2000, "1")
        patterns = [
            "a*" * 20 + "b",
            "*a" * 30 + "*b",
            "a*?" * 15 + "b",
            "*[a-z]" * 20 + "[^a-z]",
            "*" * 5000 + "b",
            "[" * 5000,
            "[[[[a-z]" * 20 + "*b",
            "*\\[" * 25 + "x",
            "?*" * 25 + "b",
        ]
        for pattern in patterns:
            start = time.monotonic()
            check_equal(wire.ask("KEYS", pattern), b"*0\r\n", pattern[:40])
            wire.ask("SCAN", 0, "COUNT", 1000, "MATCH", pattern)
            wire.ask("CONFIG", "GET", pattern)
            check(time.monotonic() - start < 2, f"{pattern[:40]} took {time.monotonic() - start:.1f} s")


@suite.case(rss_mib=200)
def append_and_getrange_of_large_values(stage):
    """A value grown by appends to 64 MB and read in slices, while others work."""
    with stage.wire() as wire:
        for i in range(64):
            check_equal(wire.ask("APPEND", "grown", b"%08d" % i + b"g" * (MIB - 8)), b":%d\r\n" % ((i + 1) * MIB))
        for i in range(0, 64, 7):
            check_equal(wire.ask("GETRANGE", "grown", i * MIB, i * MIB + 7), b"$8\r\n%08d\r\n" % i)
        check_equal(len(wire.ask("GET", "grown")), 64 * MIB + len(b"$67108864\r\n\r\n"))
