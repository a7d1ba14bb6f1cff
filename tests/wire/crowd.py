"""Many connections: idle, slow, more than the descriptors allow, more than the configuration allows, and evenly on
the cores.
"""

import time

from lib import resp
from lib.cases import Skip, check, check_equal
from lib.server import raise_file_limit
from wire.stage import suite

IDLE_COUNT = 10_000
IDLE_BYTES_MAX = 16 * 1024


@suite.case(rss_mib=200, options={"maxclients": 12_000})
def ten_thousand_idle_connections(stage):
    if raise_file_limit(IDLE_COUNT + 100) < IDLE_COUNT + 100:
        raise Skip("the descriptor limit is too low, and may not be raised")
    before = stage.server.rss_bytes()
    socks = [stage.sock() for _ in range(IDLE_COUNT)]
    each = (stage.server.rss_bytes() - before) / IDLE_COUNT
    check(each <= IDLE_BYTES_MAX, f"{each:.0f} bytes for each idle connection")
    cpu_s = stage.server.cpu_s()
    time.sleep(1)
    cpu_share = stage.server.cpu_s() - cpu_s
    for sock in socks:
        sock.sendall(b"PING\r\n")
    for sock in socks:
        check_equal(sock.recv(64), b"+PONG\r\n")
    used = (stage.server.rss_bytes() - before) / IDLE_COUNT
    for sock in socks:
        sock.close()
    return f"{each:.0f} bytes each while idle, {used:.0f} once used; {cpu_share:.2f} s CPU in 1 s beside the watcher"


@suite.case(watched=False)
def idle_costs_no_cpu(stage):
    socks = [stage.sock() for _ in range(100)]
    time.sleep(0.2)
    cpu_s = stage.server.cpu_s()
    time.sleep(2)
    used = stage.server.cpu_s() - cpu_s
    check(used <= 0.10, f"{used:.2f} s CPU in 2 s of silence")
    for sock in socks:
        sock.close()
    return f"{used:.2f} s CPU in 2 s"


@suite.case()
def slow_senders(stage):
    """A hundred connections send a byte at a time, about one a millisecond each."""
    request = resp.encode("SET", "slow", b"s" * 100) + resp.encode("STRLEN", "slow")
    socks = [stage.sock() for _ in range(100)]
    for at in range(len(request)):
        for sock in socks:
            sock.send(request[at : at + 1])
    for sock in socks:
        wire = resp.Wire(sock)
        check_equal(wire.reply() + wire.reply(), b"+OK\r\n:100\r\n")
        sock.close()


@suite.case(watched=False, descriptors=60, options={"maxclients": 200})
def out_of_descriptors(stage):
    """Accept fails; those inside are served, the CPU rests, and those outside get in when others leave."""
    inside = [stage.wire(3) for _ in range(10)]
    for wire in inside:
        check_equal(wire.ask("PING"), b"+PONG\r\n")
    outside = [stage.sock(3) for _ in range(60)]
    time.sleep(0.3)
    cpu_s = stage.server.cpu_s()
    time.sleep(1)
    used = stage.server.cpu_s() - cpu_s
    start = time.monotonic()
    for wire in inside:
        check_equal(wire.ask("PING"), b"+PONG\r\n")
    check(time.monotonic() - start < 1, "those inside had to wait")
    check(used <= 0.3, f"{used:.2f} s CPU in 1 s without descriptors")
    check(stage.server.is_redis or "accept: Too many open" in stage.server.log(), "there were descriptors enough")
    for sock in outside[:30]:
        sock.close()
    for wire in inside:
        wire.sock.close()
    served = sum(answers_or_closed(sock) for sock in outside[30:])
    with stage.wire(5) as wire:
        check_equal(wire.ask("PING"), b"+PONG\r\n", "a newcomer after others left")
    for sock in outside[30:]:
        sock.close()
    return f"{used:.2f} s CPU in 1 s; {served} of 30 who waited were served"


def answers_or_closed(sock):
    """Whether one who waited is served in the end; being turned away is allowed, hanging for ever is not."""
    try:
        sock.sendall(b"PING\r\n")
        return sock.recv(64) == b"+PONG\r\n"
    except TimeoutError:
        raise AssertionError("a connection hangs after descriptors came free") from None
    except OSError:
        return False


@suite.case(watched=False, options={"maxclients": 50})
def more_than_maxclients(stage):
    # By then the server knows that whoever looked whether it is up has gone.
    time.sleep(0.2)
    inside = [stage.wire(5) for _ in range(50)]
    for wire in inside:
        check_equal(wire.ask("PING"), b"+PONG\r\n")
    for _ in range(20):
        with stage.wire(5) as wire:
            check_equal(wire.until_close(), b"-ERR max number of clients reached\r\n")
    for wire in inside[:25]:
        wire.sock.close()
    time.sleep(0.2)
    for _ in range(25):
        inside.append(stage.wire(5))
        check_equal(inside[-1].ask("PING"), b"+PONG\r\n")
    for wire in inside:
        wire.sock.close()


@suite.case(watched=False, cores=2)
def connections_land_evenly(stage):
    if stage.server.is_redis:
        raise Skip("redis-server has one core")
    with stage.wire() as asker:
        socks = [stage.sock() for _ in range(49)]
        time.sleep(0.2)
        check_equal(core_counts(asker), [25, 25], "50 connections on two cores")
        # Leaving does not spoil it: newcomers fill the emptier core first.
        for sock in socks[:20]:
            sock.close()
        time.sleep(0.2)
        socks = socks[20:] + [stage.sock() for _ in range(20)]
        time.sleep(0.2)
        counts = core_counts(asker)
        check(sum(counts) == 50 and abs(counts[0] - counts[1]) <= 1, f"after 20 left and 20 came: {counts}")
        for sock in socks:
            sock.close()


def core_counts(asker):
    """Connections of each core, from INFO's section of that name: `core0:connections=25,...`."""
    lines = asker.ask("INFO", "cores").decode().split("\r\n")
    rows = [line.split(":", 1)[1] for line in lines if line.startswith("core")]
    return [int(dict(pair.split("=") for pair in row.split(","))["connections"]) for row in rows]
