"""SIGTERM under load, at 1, 2 and 4 cores: what was asked before it is answered, what is asked later is answered whole or
not at all, and the exit status is 0.
"""

import os
import random
import signal
import threading
import time

from lib import resp
from lib.cases import check, check_equal
from wire.limits import expect, small_receive_buffer
from wire.stage import on_cores
from wire.workload import PATIENCE_S, bulk

TALKERS = 8
# Loopback delivers as it sends; a batch that left so long before the signal had arrived when it came.
ARRIVAL_S = 0.005


class Talker(threading.Thread):
    """Asks, batch after batch, until its connection ends; `last` says of the last one when it had left, and what came."""

    def __init__(self, server, at):
        super().__init__(daemon=True)
        self.sock = server.connect(PATIENCE_S)
        self.sent, self.due = batch(at)
        self.batches = 0
        self.last = None
        self.error = None

    def run(self):
        try:
            with self.sock:
                while self.last is None:
                    self.talk()
        except Exception as error:  # noqa: BLE001 (a thread's failure is the case's)
            self.error = error

    def talk(self):
        got, left_at = bytearray(), None
        try:
            self.sock.sendall(self.sent)
            left_at = time.monotonic()
            while len(got) < len(self.due) and (chunk := self.sock.recv(1 << 20)):
                got += chunk
        except ConnectionError:
            pass
        check(self.due.startswith(got), f"a wrong reply behind {bytes(got[-80:])!r}")
        self.batches += 1
        if got != self.due:
            self.last = (left_at, len(got), len(self.due))


def batch(at):
    """Two thousand requests over all slots, each with a reply of its own, the same however often they are sent."""
    sent, due = [], []
    for i in range(500):
        keys, value = [f"talk:{at}:{i}", f"more:{at}:{i}"], f"{at}:{i}".encode() * (1 + i % 30)
        sent += [resp.encode("MSET", keys[0], value, keys[1], i), resp.encode("GET", keys[0])]
        sent += [resp.encode("MGET", *keys), resp.encode("ECHO", i)]
        due += [b"+OK\r\n", bulk(value), b"*2\r\n", bulk(value), bulk(b"%d" % i), bulk(b"%d" % i)]
    return b"".join(sent), b"".join(due)


@on_cores(watched=False)
def sigterm_under_load(stage):
    return under_load(stage)


def under_load(stage):
    """The signal finds the server in the middle of everything, and sockets full of requests that it has not read: whoever
    has asked by then gets every reply.
    """
    talkers = [Talker(stage.server, at) for at in range(TALKERS)]
    for talker in talkers:
        talker.start()
    time.sleep(random.uniform(0.5, 0.7))
    stage.server.process.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    signalled_at = time.monotonic()
    stage.server.process.send_signal(signal.SIGTERM)
    stage.server.process.send_signal(signal.SIGCONT)
    for talker in talkers:
        talker.join(PATIENCE_S)
        check(not talker.is_alive(), "neither answered nor closed")
        if talker.error:
            raise talker.error
        left_at, got, due = talker.last
        late = left_at is None or left_at > signalled_at - ARRIVAL_S
        check(late, f"asked before the signal, and {got} of {due} bytes answered")
    ended(stage.server)
    return f"{sum(talker.batches for talker in talkers)} batches"


@on_cores(watched=False)
def replies_outlive_the_server(stage):
    """Replies lie in socket buffers, and requests that nobody takes any more: all of the replies can be read. A plain close
    would reset the connection, because of the requests, and destroy them.
    """
    value = os.urandom(300_000)
    with stage.wire() as wire:
        check_equal(wire.ask("SET", "big", value), b"+OK\r\n")
    reply = b"$%d\r\n%b\r\n" % (len(value), value)
    socks = [small_receive_buffer(stage) for _ in range(4)]
    for sock in socks:
        sock.sendall(resp.encode("GET", "big") * 40)
    time.sleep(0.2)
    stage.server.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    for sock in socks:
        sock.sendall(resp.encode("PING") * 100)
    for sock in socks:
        for _ in range(40):
            expect(sock, reply)
        check_equal(sock.recv(100), b"", "behind the last reply")
        sock.close()
    ended(stage.server)


def ended(server):
    server.stopped = True
    check_equal(server.exit_status(), 0, "exit status")
    check("panicked" not in server.log(), server.log())
