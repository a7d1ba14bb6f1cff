"""The machine's own limits, met for real: receive buffers, completion queue, descriptors, socket buffers, and crowds that
come and go. The shell's answer is to wait, never to lose a byte.
"""

import os
import select
import signal
import socket
import threading
import time
from pathlib import Path

from lib import resp
from lib.cases import check, check_equal
from lib.server import raise_file_limit
from wire.stage import MIB, LateAnswer, on_cores, reset, until
from wire.workload import PATIENCE_S

STORM = 10_000


def small_receive_buffer(stage):
    """A connection whose kernel takes a few kilobytes ahead: the window is agreed on when it connects."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(PATIENCE_S)
    sock.connect(("127.0.0.1", stage.server.port))
    return sock


@on_cores(rss_mib=128, options={"ring_buffers": 16, "ring_buffer_bytes": "1kb"})
def sixteen_buffers_for_two_hundred_senders(stage):
    """Each sends more than all buffers hold, all at once: receives end for want of buffers, and go on."""
    values = [bytes([65 + i % 26]) * 50_000 + b"%06d" % i for i in range(200)]
    wires = [stage.wire() for _ in values]
    for number in range(3):
        for i, wire in enumerate(wires):
            wire.send(resp.encode("SET", f"full:{i}", values[i - number]) + resp.encode("GET", f"full:{i}"))
        for i, wire in enumerate(wires):
            value = values[i - number]
            check_equal(wire.reply(), b"+OK\r\n")
            check(wire.reply() == b"$%d\r\n%b\r\n" % (len(value), value), f"connection {i} got something else")
    for wire in wires:
        wire.sock.close()


@on_cores(watched=False, options={"ring_entries": 64})
def two_thousand_completions_in_a_queue_of_256(stage):
    """The server is stopped while all ask, so that everything completes in its next enter."""
    raise_file_limit(2500)
    wires = [stage.wire() for _ in range(2000)]
    for number in range(3):
        stage.server.process.send_signal(signal.SIGSTOP)
        for i, wire in enumerate(wires):
            wire.send(resp.encode("ECHO", f"{number}:{i}") + resp.encode("INCR", f"over:{i}"))
        stage.server.process.send_signal(signal.SIGCONT)
        for i, wire in enumerate(wires):
            echo = f"{number}:{i}".encode()
            check_equal(wire.reply() + wire.reply(), b"$%d\r\n%b\r\n:%d\r\n" % (len(echo), echo, number + 1))
    # All leave in one turn as well.
    stage.server.process.send_signal(signal.SIGSTOP)
    for wire in wires:
        wire.sock.close()
    stage.server.process.send_signal(signal.SIGCONT)
    until(lambda: stage.info("clients", "connected_clients") <= 1, "those who left are gone")


@on_cores(watched=False, descriptors=60, options={"maxclients": 200})
def a_storm_with_few_descriptors(stage):
    """More come than there are descriptors for, again and again; whoever keeps asking is served in the end."""
    before, served = descriptors(stage.server.pid), 0
    for _ in range(3):
        socks = [stage.sock(PATIENCE_S) for _ in range(100)]
        for sock in socks:
            sock.sendall(resp.encode("ECHO", "here"))
        waiting = set(socks)
        while waiting:
            readable, _, _ = select.select(list(waiting), [], [], PATIENCE_S)
            check(readable, f"{len(waiting)} of 100 are neither served nor closed")
            # They leave together, so that the descriptors stay in use for a while.
            time.sleep(0.05)
            for sock in readable:
                check_equal(sock.recv(64), b"$4\r\nhere\r\n")
                (reset if served % 2 else socket.socket.close)(sock)
                waiting.remove(sock)
                served += 1
    until(lambda: descriptors(stage.server.pid) <= before, "descriptors left")
    check("accept: Too many open files" in stage.server.log(), "there were descriptors enough")


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@on_cores(rss_mib=96)
def ten_thousand_come_and_go(stage):
    """A connect and a close each; every other one is reset, some have asked something."""
    before = descriptors(stage.server.pid)
    for i in range(STORM):
        # Addresses in turn, so that no port has to serve twice while the kernel remembers it.
        sock = socket.create_connection(("127.0.0.1", stage.server.port), PATIENCE_S, (f"127.0.0.{2 + i % 50}", 0))
        if i % 5 == 0:
            sock.sendall(resp.encode("INCR", f"storm:{i % 100}"))
        (reset if i % 2 else socket.socket.close)(sock)
    until(lambda: descriptors(stage.server.pid) <= before, "the descriptors of those who left")
    until(lambda: stage.info("clients", "connected_clients") <= 5, "the dead connections are gone")


def values_read_slowly(stage):
    """Megabytes through a socket that takes four kilobytes at a time: every send is short or waits."""
    values = [os.urandom(1000) * 1049 for _ in range(4)]
    with stage.wire() as wire:
        for i, value in enumerate(values):
            check_equal(wire.ask("SET", f"slow:{i}", value), b"+OK\r\n")
    readers = [Reader(small_receive_buffer(stage), values, at) for at in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
        if reader.error:
            raise reader.error


class Reader(threading.Thread):
    """Asks for large values with small ones in between, and reads in bites."""

    def __init__(self, sock, values, first):
        super().__init__(daemon=True)
        self.sock, self.values, self.first, self.error = sock, values, first, None

    def run(self):
        try:
            with self.sock as sock:
                order = [(self.first + i) % len(self.values) for i in range(len(self.values))]
                sock.sendall(b"".join(resp.encode("GET", f"slow:{i}") + resp.encode("ECHO", i) for i in order))
                for i in order:
                    expect(sock, b"$%d\r\n%b\r\n$1\r\n%d\r\n" % (len(self.values[i]), self.values[i], i))
        except Exception as error:  # noqa: BLE001 (a thread's failure is the case's)
            self.error = error


def expect(sock, due):
    """Reads in bites, and compares."""
    at = 0
    while at < len(due):
        got = sock.recv(min(30_000, len(due) - at))
        check(got and due.startswith(got, at), f"byte {at} of {len(due)}: got {got[:40]!r}")
        at += len(got)


@on_cores(rss_mib=96)
def large_values_read_slowly(stage):
    values_read_slowly(stage)


@on_cores(rss_mib=96, options={"zero_copy_min_bytes": "64kb"})
def large_values_read_slowly_without_copies(stage):
    values_read_slowly(stage)


@on_cores(watched=False, options={"zero_copy_min_bytes": "16kb"})
def large_values_without_copies_at_once(stage):
    """Neither the end of a value is held back for what follows it, nor what follows until the peer has acknowledged the value:
    both would take 40 ms or more.
    """
    sizes = (40_000, 65_000, 150_000)
    with stage.wire() as wire:
        for size in sizes:
            check_equal(wire.ask("SET", f"large:{size}", b"v" * size), b"+OK\r\n")
        start = time.monotonic()
        for i in range(60):
            size = sizes[i % len(sizes)]
            check_equal(len(wire.ask("GET", f"large:{size}")), len(b"$%d\r\n\r\n" % size) + size)
        took_s = time.monotonic() - start
    if took_s > 1:
        raise LateAnswer(f"60 values took {took_s:.1f} s, one by one")


@on_cores(watched=False)
def readers_that_vanish(stage):
    """They ask for much, read a bite and reset; what the server held for them comes back, each time another value."""
    before = descriptors(stage.server.pid)
    rss = []
    with stage.wire() as wire:
        for _ in range(2):
            for i in range(100):
                check_equal(wire.ask("SET", "slow:0", os.urandom(MIB // 2)), b"+OK\r\n")
                sock = small_receive_buffer(stage)
                sock.sendall(resp.encode("GET", "slow:0") * 16)
                sock.recv(1000)
                (reset if i % 2 else socket.socket.close)(sock)
            until(lambda: descriptors(stage.server.pid) <= before + 1, "descriptors left")
            rss.append(stage.server.rss_bytes())
    check(rss[1] - rss[0] <= 24 * MIB, f"RSS grew from {rss[0] / MIB:.0f} to {rss[1] / MIB:.0f} MiB")
    return f"RSS {rss[0] / MIB:.0f}, then {rss[1] / MIB:.0f} MiB"
