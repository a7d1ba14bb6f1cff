"""Ways to leave: half-closed, reset in the middle, and the server's own farewell on SIGTERM."""

import signal
import time

from lib import resp
from lib.cases import check, check_equal
from wire.stage import MIB, reset, suite, until


def echoes(count, width=6):
    stream = b"".join(resp.encode("ECHO", f"{i:0{width}}") for i in range(count))
    replies = b"".join(b"$%d\r\n%0*d\r\n" % (width, width, i) for i in range(count))
    return stream, replies


@suite.case()
def half_closed_still_gets_every_reply(stage):
    stream, wanted = echoes(3000)
    for tail in (b"", b"*2\r\n$3\r\nGE", b"PI"):
        for _ in range(20):
            with stage.wire(10) as wire:
                wire.send(stream + tail)
                wire.sock.shutdown(resp.socket.SHUT_WR)
                got = wire.until_close()
                check(got == wanted, f"{len(got)} of {len(wanted)} bytes after the half close, tail {tail!r}")


@suite.case(rss_mib=96)
def half_closed_with_replies_that_do_not_fit(stage):
    """The replies exceed every socket buffer when the other half closes."""
    with stage.wire() as wire:
        wire.ask("SET", "big", b"v" * MIB)
    for _ in range(3):
        with stage.sock(10) as sock:
            sock.sendall(resp.encode("GET", "big") * 100)
            sock.shutdown(resp.socket.SHUT_WR)
            time.sleep(0.3)
            got = 0
            while chunk := sock.recv(MIB):
                got += len(chunk)
            check_equal(got, 100 * (MIB + len(b"$1048576\r\n") + 2), "bytes after the half close")


@suite.case(rss_mib=96)
def resets_mid_request_and_mid_reply(stage):
    with stage.wire() as wire:
        wire.ask("SET", "big", b"v" * MIB)
    before = stage.info("clients", "connected_clients")
    for i in range(600):
        sock = stage.sock()
        if i % 3 == 0:
            sock.sendall(b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$100000\r\n" + b"x" * 50_000)
        elif i % 3 == 1:
            sock.sendall(resp.encode("GET", "big") * 20)
            sock.recv(10_000)
        else:
            sock.sendall(b"".join(resp.encode("INCR", f"reset:{n}") for n in range(500)))
        reset(sock)
    until(lambda: stage.info("clients", "connected_clients") <= before, "the dead connections are gone")
    with stage.wire() as wire:
        check_equal(wire.ask("EXISTS", "half"), b":0\r\n")


@suite.case()
def connect_and_vanish(stage):
    """Connections that end before the server has seen them."""
    for i in range(2000):
        sock = stage.sock()
        if i % 2:
            reset(sock)
        else:
            sock.close()
    until(lambda: stage.info("clients", "connected_clients") <= 6, "the dead connections are gone")


@suite.case(watched=False)
def sigterm_answers_what_was_received(stage):
    """Replies stand in buffers when the signal comes; they arrive whole, and the exit status is 0."""
    stream, wanted = echoes(10_000)
    wires = [stage.wire(10) for _ in range(8)]
    for wire in wires:
        wire.send(stream)
    time.sleep(0.3)
    stage.server.process.send_signal(signal.SIGTERM)
    for wire in wires:
        got = wire.until_close()
        check(got == wanted, f"{len(got)} of {len(wanted)} bytes before the close")
    check_equal(stage.server.exit_status(), 0, "exit status")
    stage.server.stopped = True


@suite.case(watched=False)
def sigterm_never_tears_a_reply(stage):
    """The signal comes in the middle of a long pipeline: what arrives is a whole number of replies, in order."""
    stream, wanted = echoes(200_000, width=60)
    with stage.wire(20) as wire:
        wire.sock.setblocking(False)
        sent, got, signalled = 0, bytearray(), False
        while True:
            writing = [wire.sock] if sent < len(stream) and not signalled else []
            readable, writable, _ = resp.select.select([wire.sock], writing, [], 15)
            check(readable or writable, "no reply and no close")
            try:
                if writable:
                    sent += wire.sock.send(stream[sent : sent + 65536])
                if readable:
                    chunk = wire.sock.recv(65536)
                    if not chunk:
                        break
                    got += chunk
            except (ConnectionResetError, BrokenPipeError):
                break
            if not signalled and len(got) > 200_000:
                stage.server.process.send_signal(signal.SIGTERM)
                signalled = True
    check(wanted.startswith(bytes(got)), "replies out of order")
    check(len(got) % len(b"$60\r\n\r\n" + b"0" * 60) == 0, f"a reply was torn: {bytes(got[-30:])!r}")
    check_equal(stage.server.exit_status(), 0, "exit status")
    stage.server.stopped = True
    return f"{len(got) * 100 // len(wanted)} % answered"


@suite.case(watched=False)
def sigterm_beside_a_client_that_never_reads(stage):
    """Someone who reads nothing cannot keep the server from ending."""
    with stage.wire() as wire:
        wire.ask("SET", "big", b"v" * MIB)
    sock = stage.sock()
    sock.sendall(resp.encode("GET", "big") * 500)
    time.sleep(0.3)
    stage.server.stop()
    sock.close()
