"""Replies that nobody reads: the server stops building them, keeps the order, and delivers every one when asked to."""

import time

from lib import resp
from lib.cases import check, check_equal
from wire.stage import MIB, suite

QUIET_S = 0.5


def send_until_blocked(sock, data):
    """Sends without ever reading, until the server takes no more for a while; returns how many bytes it took."""
    sock.setblocking(False)
    view, sent, last = memoryview(data), 0, time.monotonic()
    while sent < len(data) and time.monotonic() - last < QUIET_S:
        try:
            sent += sock.send(view[sent : sent + 262_144])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.001)
    sock.setblocking(True)
    return sent


def read_all(sock, rest, bytes_wanted):
    """Sends the rest and counts what comes, keeping only the last piece: replies are too big to hold."""
    got, tail = 0, b""
    sock.setblocking(False)
    view, sent, last = memoryview(rest), 0, time.monotonic()
    while got < bytes_wanted and time.monotonic() - last < 20:
        writable = [sock] if sent < len(rest) else []
        readable, writable, _ = resp.select.select([sock], writable, [], 5)
        if writable:
            sent += sock.send(view[sent : sent + 262_144])
        if readable:
            chunk = sock.recv(4 * MIB)
            check(chunk, f"closed after {got} of {bytes_wanted} bytes")
            got, tail, last = got + len(chunk), chunk, time.monotonic()
    check_equal(got, bytes_wanted, "bytes of replies")
    return tail


@suite.case(rss_mib=160)
def a_million_requests_unread(stage):
    """Each reply is different, so that any loss, double or swap shows."""
    count = 1_000_000
    stream = b"".join(b"*2\r\n$4\r\nECHO\r\n$6\r\n%06d\r\n" % i for i in range(count))
    wanted = b"".join(b"$6\r\n%06d\r\n" % i for i in range(count))
    with stage.sock() as sock:
        taken = send_until_blocked(sock, stream)
        got, closed = resp.exchange(sock, [stream[taken:]], lambda buf: len(buf) >= len(wanted), 60)
    check(bytes(got) == wanted, f"{len(got)} of {len(wanted)} bytes, closed: {closed}")
    return f"{taken * 100 // len(stream)} % taken before reading"


@suite.case(rss_mib=160)
def a_million_writes_unread_over_all_slots(stage):
    """The same with writes that other cores own; the last state tells that all were applied in order."""
    count, keys = 1_000_000, 1000
    stream = b"".join(resp.encode("INCR", f"n:{i % keys}") for i in range(count))
    wanted = b"".join(b":%d\r\n" % (i // keys + 1) for i in range(count))
    with stage.sock() as sock:
        taken = send_until_blocked(sock, stream)
        got, closed = resp.exchange(sock, [stream[taken:]], lambda buf: len(buf) >= len(wanted), 60)
    check(bytes(got) == wanted, f"{len(got)} of {len(wanted)} bytes, closed: {closed}")
    return f"{taken * 100 // len(stream)} % taken before reading"


@suite.case(rss_mib=64)
def gets_of_a_megabyte_unread(stage):
    """A few kilobytes of requests ask for two gigabytes of replies; then all are read."""
    value = bytes(range(256)) * (MIB // 256)
    count = 2000
    with stage.wire() as wire:
        check_equal(wire.ask("SET", "big", value), b"+OK\r\n")
    reply = b"$%d\r\n%b\r\n" % (MIB, value)
    stream = resp.encode("GET", "big") * count
    with stage.sock() as sock:
        taken = send_until_blocked(sock, stream)
        time.sleep(0.5)
        tail = read_all(sock, stream[taken:], len(reply) * count)
        check(reply.endswith(tail) or tail.endswith(reply[-1000:]), "the last reply is torn")


@suite.case(rss_mib=128)
def many_who_do_not_read(stage):
    """The same from 50 connections over both cores, which then leave without reading."""
    with stage.wire() as wire:
        for i in range(8):
            wire.ask("SET", f"big:{i}", b"v" * MIB)
    socks = [stage.sock() for _ in range(50)]
    for sock in socks:
        sock.sendall(b"".join(resp.encode("GET", f"big:{i % 8}") for i in range(40)))
    time.sleep(1)
    for sock in socks:
        sock.close()


@suite.case(rss_mib=96)
def mget_that_multiplies(stage):
    """One short command that names a megabyte 500 times, unread, then read."""
    with stage.wire() as wire:
        check_equal(wire.ask("SET", "big", b"v" * MIB), b"+OK\r\n")
    count = 500
    with stage.sock() as sock:
        sock.sendall(resp.encode("MGET", *["big"] * count))
        time.sleep(1)
        one = len(b"$1048576\r\n") + MIB + 2
        read_all(sock, b"", len(b"*500\r\n") + one * count)


@suite.case()
def deep_pipeline_read_slowly(stage):
    """A reader that takes a little at a time gets every byte in order."""
    count = 5000
    with stage.sock() as sock:
        sock.setsockopt(resp.socket.SOL_SOCKET, resp.socket.SO_RCVBUF, 32_768)
        sock.sendall(b"".join(resp.encode("ECHO", f"{i:050}") for i in range(count)))
        wanted = b"".join(b"$50\r\n%050d\r\n" % i for i in range(count))
        got = bytearray()
        while len(got) < len(wanted):
            chunk = sock.recv(3001)
            check(chunk, "closed early")
            got += chunk
            time.sleep(0.0005)
        check(bytes(got) == wanted, "replies differ")
