"""Frames that lie: wrong types, impossible lengths, ends that never come. Redis's own words for each, then the
close.
"""

import random
import time

from lib import resp
from lib.cases import check, check_equal
from wire.stage import suite

ERROR = b"-ERR Protocol error: %b\r\n"
LIES = (
    (b"*abc\r\n", b"invalid multibulk length"),
    (b"*2147483648\r\n", b"invalid multibulk length"),
    (b"*4294967297\r\n", b"invalid multibulk length"),
    (b"*9223372036854775807\r\n", b"invalid multibulk length"),
    (b"*9223372036854775808\r\n", b"invalid multibulk length"),
    (b"*18446744073709551617\r\n", b"invalid multibulk length"),
    (b"*-9223372036854775809\r\n", b"invalid multibulk length"),
    (b"*1x\r\n", b"invalid multibulk length"),
    (b"*\r\n", b"invalid multibulk length"),
    (b"*1\r\n$-1\r\n", b"invalid bulk length"),
    (b"*1\r\n$-2147483649\r\n", b"invalid bulk length"),
    (b"*1\r\n$536870913\r\n", b"invalid bulk length"),
    (b"*1\r\n$2147483648\r\n", b"invalid bulk length"),
    (b"*1\r\n$4294967296\r\n", b"invalid bulk length"),
    (b"*1\r\n$9223372036854775807\r\n", b"invalid bulk length"),
    (b"*1\r\n$9223372036854775808\r\n", b"invalid bulk length"),
    (b"*1\r\n$\r\n", b"invalid bulk length"),
    (b"*1\r\n$1 \r\n", b"invalid bulk length"),
    (b"*2\r\n$3\r\nGET\r\n$-1\r\n", b"invalid bulk length"),
    (b"*1\r\n*1\r\n$4\r\nPING\r\n", b"expected '$', got '*'"),
    (b"*2\r\n$3\r\nGET\r\n*-1\r\n", b"expected '$', got '*'"),
    (b"*2\r\n$3\r\nGET\r\n_\r\n", b"expected '$', got '_'"),
    (b"*2\r\n$3\r\nGET\r\n:1\r\n", b"expected '$', got ':'"),
    (b"*2\r\n$3\r\nGET\r\n%1\r\n", b"expected '$', got '%'"),
    (b'SET "a\r\n', b"unbalanced quotes in request"),
    (b'SET "a"b c\r\n', b"unbalanced quotes in request"),
    (b"A" * 65537, b"too big inline request"),
    (b"*" + b"1" * 65536, b"too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 65536, b"too big bulk count string"),
)


@suite.case()
def lies_get_redis_words_then_the_close(stage):
    for lie, words in LIES:
        with stage.wire(5) as wire:
            wire.send(resp.encode("PING") + lie)
            check_equal(wire.until_close(), b"+PONG\r\n" + ERROR % words, repr(lie[:40]))
    return f"{len(LIES)} lies"


@suite.case()
def lies_behind_a_deep_pipeline(stage):
    """The error stays behind the replies that were due before it."""
    for lie, words in LIES[:12]:
        with stage.wire(10) as wire:
            wire.send(b"".join(resp.encode("ECHO", i) for i in range(2000)) + lie)
            wanted = b"".join(b"$%d\r\n%d\r\n" % (len(str(i)), i) for i in range(2000))
            check_equal(wire.until_close(), wanted + ERROR % words, repr(lie[:40]))


@suite.case()
def empty_requests_are_passed_over(stage):
    for nothing in (b"*0\r\n", b"*-1\r\n", b"*-1000\r\n", b"\r\n", b"\n", b"   \r\n", b"*0\r\n\r\n*-1\r\n"):
        with stage.wire(5) as wire:
            wire.send(nothing * 100 + b"PING\r\n")
            check_equal(wire.reply(), b"+PONG\r\n", repr(nothing))


@suite.case()
def an_inline_of_70_kb(stage):
    """With more behind it than the server reads: the close may come as a reset, but it comes, and soon."""
    for line in (b"SET k " + b"x" * 70_000, b"\x80" * 1_000_000):
        with stage.wire(5) as wire:
            start = time.monotonic()
            try:
                wire.send(line)
                answer = wire.until_close()
                check(answer in (b"", ERROR % b"too big inline request"), f"answered {answer[:80]!r}")
            except (BrokenPipeError, ConnectionResetError):
                pass
            check(time.monotonic() - start < 2, "the connection was not closed")


@suite.case()
def truncated_frames(stage):
    """Every prefix of a pipeline, then the close: what is whole is answered, what is not leaves no trace."""
    stream = (
        resp.encode("SET", "truncated", "value")
        + resp.encode("GET", "truncated")
        + b'set "in line" 1\r\n'
        + resp.encode("PING")
    )
    for length in range(len(stream) + 1):
        with stage.sock(5) as sock:
            sock.sendall(stream[:length])
    with stage.wire() as wire:
        check_equal(wire.ask("GET", "truncated"), b"$5\r\nvalue\r\n")
        check_equal(wire.ask("EXISTS", "truncate", "truncate\r"), b":0\r\n")


@suite.case()
def frames_split_at_every_byte(stage):
    stream = (
        resp.encode("SET", "split", b"\r\n$3\r\n")
        + resp.encode("GET", "split")
        + b"PING hello\r\n"
        + resp.encode("STRLEN", "split")
    )
    wanted = b"+OK\r\n$6\r\n\r\n$3\r\n\r\n$5\r\nhello\r\n:6\r\n"
    for cut in range(1, len(stream)):
        with stage.wire(5) as wire:
            wire.send(stream[:cut])
            time.sleep(0.0005)
            wire.send(stream[cut:])
            got = b"".join(wire.reply() for _ in range(4))
            check_equal(got, wanted, f"cut at {cut}")


@suite.case()
def binary_junk(stage):
    rng = random.Random(7)
    for _ in range(400):
        junk = rng.choice((b"", b"*", b"*3\r\n$", b"$5\r\n", b"GET ")) + rng.randbytes(
            rng.choice((1, 10, 1000, 100_000))
        )
        with stage.sock(5) as sock:
            try:
                sock.sendall(junk)
                sock.shutdown(resp.socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            except OSError:
                # Closed on us in the middle of it: as it should be.
                pass
    with stage.wire() as wire:
        check_equal(wire.ask("PING"), b"+PONG\r\n")


@suite.case(rss_mib=48)
def announced_half_gigabytes(stage):
    """200 connections announce 512 MB each and send a few bytes: no more than a first buffer each, not 100 GB."""
    socks = [stage.sock() for _ in range(200)]
    for sock in socks:
        sock.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n" + b"x" * 100)
    time.sleep(1)
    for sock in socks:
        sock.close()
    until_free(stage)


@suite.case(rss_mib=32)
def announced_millions_of_arguments(stage):
    """200 connections announce two thousand million arguments each."""
    socks = [stage.sock() for _ in range(200)]
    for sock in socks:
        sock.sendall(b"*2147483647\r\n$3\r\nDEL\r\n$1\r\na\r\n")
    time.sleep(1)
    for sock in socks:
        sock.close()
    until_free(stage)


def until_free(stage):
    with stage.wire() as wire:
        check_equal(wire.ask("PING"), b"+PONG\r\n")


@suite.case(watched=False, options={"requirepass": "secret"})
def strangers_may_announce_little(stage):
    """Before AUTH ten arguments of 16 KiB are the most."""
    for lie, words in (
        (b"*11\r\n", b"unauthenticated multibulk length"),
        (b"*2\r\n$3\r\nGET\r\n$16385\r\n", b"unauthenticated bulk length"),
    ):
        with stage.wire(5) as wire:
            wire.send(lie)
            check_equal(wire.until_close(), ERROR % words, repr(lie))
    with stage.wire(5) as wire:
        check_equal(wire.ask("GET", "k"), b"-NOAUTH Authentication required.\r\n")
        check_equal(wire.ask("AUTH", "secret"), b"+OK\r\n")
        check_equal(wire.ask("SET", "k", b"x" * 20_000), b"+OK\r\n")
