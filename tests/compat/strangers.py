"""Servers behind Coldplate that break the protocol, or say nothing: the connection is closed, clients get an error, others
are served, and memory stays bounded.
"""

import contextlib
import socket
import tempfile
import threading
import time
from pathlib import Path

from compat.suite import suite
from lib import resp
from lib.cases import check, check_equal
from lib.server import Server

MIB = 1 << 20
TIMEOUT_S = 0.5


class Stranger:
    """A listening socket whose connections a function plays, each in a thread."""

    def __init__(self, play):
        self.play = play
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.open = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        [sock.close() for sock in self.open]

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.connections += 1
                self.open.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with contextlib.suppress(OSError):
            self.play(sock)


@contextlib.contextmanager
def before(play, kind="single", cores=1):
    """A stranger, and Coldplate in front of it, which does not wait for long."""
    with Stranger(play) as stranger, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coldplate.toml"
        path.write_text(
            f'[[upstream]]\nname = "main"\nkind = "{kind}"\nservers = ["127.0.0.1:{stranger.port}"]\n'
            f"connect_timeout_ms = 500\nrequest_timeout_ms = {int(TIMEOUT_S * 1000)}\nin_flight_max = 1000\n"
        )
        with Server(cores=cores, config=path) as router:
            yield stranger, router


def meets(play, wanted, kind="single", memory_bytes_max=64 * MIB, requests=3):
    """Writes are answered `wanted` at last; nobody hangs, and the router grows by no more than that."""
    with before(play, kind) as (stranger, router), resp.connected(router, timeout_s=10) as wire:
        check_equal(wire.ask("PING"), b"+PONG\r\n")
        grown = -router.rss_bytes()
        for _ in range(requests):
            wire.send(resp.encode("SET", "k", "v") * 3)
            answers = [wire.reply() for _ in range(3)]
            check(answers[-1].startswith(wanted), f"{answers}")
        grown += router.rss_bytes()
        check(grown < memory_bytes_max, f"the router grew by {grown / MIB:.0f} MiB")
        with resp.connected(router) as other:
            check_equal(other.ask("PING"), b"+PONG\r\n")
        return f"{stranger.connections} connections, {grown / MIB:.1f} MiB"


def says(reply):
    """Answers whatever comes first with this, then listens on."""

    def play(sock):
        sock.recv(1 << 16)
        sock.sendall(reply)
        while sock.recv(1 << 16):
            pass

    return play


def says_for_ever(head, more):
    def play(sock):
        sock.recv(1 << 16)
        sock.sendall(head)
        while True:
            sock.sendall(more)

    return play


ERROR = b"-ERR upstream "


@suite.case(servers="own")
def strangers_speak_nonsense(_cores):
    return meets(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ERROR)


@suite.case(servers="own")
def strangers_announce_two_billion(_cores):
    return meets(says(b"*2000000000\r\n" * 10), ERROR)


@suite.case(servers="own")
def strangers_nest_for_ever(_cores):
    return meets(says_for_ever(b"", b"*1\r\n" * 1000), ERROR)


@suite.case(servers="own")
def strangers_never_end_a_line(_cores):
    return meets(says_for_ever(b"+", b"a" * 65_536), ERROR)


@suite.case(servers="own")
def strangers_announce_too_much(_cores):
    return meets(says_for_ever(b"$600000000\r\n", b"a" * 65_536), ERROR)


@suite.case(servers="own")
def strangers_answer_too_often(_cores):
    return meets(says(b"+OK\r\n" * 4), b"+OK", requests=1)


@suite.case(servers="own")
def strangers_answer_too_little(_cores):
    return meets(says(b"+OK\r\n"), ERROR, requests=1)


@suite.case(servers="own")
def strangers_say_nothing(_cores):
    return meets(says(b""), ERROR, requests=2)


@suite.case(servers="own")
def strangers_hang_up(_cores):
    """Who closes each connection is not connected to without a pause."""
    with before(lambda sock: sock.close()) as (stranger, router), resp.connected(router) as wire:
        end = time.monotonic() + 1
        answers = 0
        while time.monotonic() < end:
            check(wire.ask("GET", "k").startswith(ERROR), "an error")
            answers += 1
        check(stranger.connections < 60, f"{stranger.connections} connections in a second")
        return f"{answers} errors, {stranger.connections} connections"


@suite.case(servers="own")
def strangers_never_read(_cores):
    """What piles up is bounded, and so is how long clients wait."""
    with before(lambda _sock: time.sleep(30)) as (_, router), resp.connected(router, timeout_s=10) as wire:
        grown = -router.rss_bytes()
        requests = [resp.encode("SET", "k", b"v" * 10_000)] * 20_000
        with contextlib.suppress(resp.Stalled):
            resp.exchange(wire.sock, requests, lambda seen: seen.count(b"\n") >= 20_000, timeout_s=5)
        grown += router.rss_bytes()
        check(grown < 400 * MIB, f"the router grew by {grown / MIB:.0f} MiB")
        with resp.connected(router) as other:
            check_equal(other.ask("PING"), b"+PONG\r\n")
        return f"{grown / MIB:.0f} MiB"


@suite.case(servers="own")
def strangers_send_around(_cores):
    """A cluster whose only server says that another one has each slot, and means itself."""
    def play(sock):
        buffered = b""
        while chunk := sock.recv(1 << 16):
            buffered += chunk
            count = buffered.count(b"SET") + buffered.count(b"CLUSTER")
            buffered = b""
            sock.sendall(b"-MOVED 7629 127.0.0.1:%d\r\n" % sock.getsockname()[1] * count)

    with before(play, kind="cluster") as (_, router):
        with resp.connected(router, timeout_s=10) as wire:
            for _ in range(100):
                answer = wire.ask("SET", "k", "v")
                check(answer.startswith(ERROR), f"{answer}")
