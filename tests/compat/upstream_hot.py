"""Hot keys that redis-server has, with Coldplate in front of it: what it still sees of them, and that nobody is told what is
no longer so.
"""

import contextlib
import re
import subprocess
import threading
import time

from compat.suite import suite
from lib import backends, resp
from lib.cases import check, check_equal

KEY = "famous"
CLIENTS = 200


# Ways to write N, each of which goes another way to the server.
WRITES = [
    [("SET", KEY, "N")],
    [("SET", KEY, "N", "KEEPTTL")],
    [("MSET", KEY, "N")],
    [("GETSET", KEY, "N")],
    [("EVAL", "redis.call('SET', KEYS[1], ARGV[1])", 1, KEY, "N")],
    [("MULTI",), ("SET", KEY, "N"), ("EXEC",)],
]


def benchmark(router, count, *words, clients=CLIENTS):
    command = ["redis-benchmark", "-p", str(router.port), "-q", "-c", str(clients), "-n", str(count), *words]
    done = subprocess.run(command, capture_output=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
    check_equal(done.returncode, 0, done.stderr.decode()[-300:])


@contextlib.contextmanager
def heated(router, *words):
    """A key is hot for the length of a `with`, read by many."""
    command = ["redis-benchmark", "-p", str(router.port), "-q", "-c", "20", "-n", "100000000", *(words or ("GET", KEY))]
    load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_hot(router)
        yield
        check(load.poll() is None, "the load has ended")
    finally:
        load.kill()
        load.wait()


def await_hot(router):
    deadline = time.monotonic() + 20
    while b"hot_keys:0" in backends.ask(router, "INFO", "hot"):
        check(time.monotonic() < deadline, "nothing turns hot")
        time.sleep(0.02)
    # Every core has heard of it.
    time.sleep(0.2)


def calls(backend):
    """How often the server was asked for strings."""
    stats = backends.ask(backend, "INFO", "commandstats").decode()
    names = r"cmdstat_(?:get|set|incr|incrby|pttl):calls=(\d+)"
    return sum(int(count) for count in re.findall(names, stats))


def value_of(reply):
    return int(reply.split(b"\r\n")[1])


@suite.case(servers="own")
def a_hot_key_is_read_from_copies(cores):
    with backends.single(cores=cores) as (backend, router):
        backends.ask(backend, "SET", KEY, "v")
        with heated(router):
            before, count = calls(backend), 100_000
            benchmark(router, count, "GET", KEY)
            share = (calls(backend) - before) / count
            check(share < 0.05, f"{share} requests of the server's for one of a client's")
        return f"{share:.5f} requests of the server's for one of a client's"


@suite.case(servers="own")
def hot_increments_are_folded_and_exact(cores):
    """Each client gets a number of its own, and none is missing."""
    each, seen, failures = 400, [], []

    def count(server):
        try:
            with resp.connected(server, timeout_s=30) as wire:
                seen.extend([int(wire.ask("INCR", KEY)[1:]) for _ in range(each)])
        except Exception as error:
            failures.append(repr(error))

    with backends.single(cores=cores) as (backend, router), heated(router):
        before = calls(backend)
        threads = [threading.Thread(target=count, args=(router,)) for _ in range(16)]
        [thread.start() for thread in threads]
        [thread.join(60) for thread in threads]
        check_equal(failures, [])
        check_equal(sorted(seen), list(range(1, 16 * each + 1)))
        asked, total = calls(backend), 100_000
        benchmark(router, total, "INCR", KEY)
        share = (calls(backend) - asked) / total
        check_equal(value_of(backends.ask(backend, "GET", KEY)), total + 16 * each)
        # How many wait together hangs on how many there are for each core, and on how soon the server answers.
        check(share < 0.5, f"{share} requests of the server's for one of a client's")
        return f"{share:.4f} requests of the server's for one of a client's; {asked - before} for {16 * each} by threads"


@suite.case(servers="own")
def a_hot_key_shows_what_was_acknowledged(cores):
    """Whoever reads behind an acknowledged write sees it, through whichever core; a write past the router is seen soon."""
    with backends.single(cores=cores) as (backend, router):
        backends.ask(router, "SET", KEY, 0)
        with heated(router), contextlib.ExitStack() as stack:
            wires = [stack.enter_context(resp.connected(router)) for _ in range(4)]
            for number in range(1, 2001):
                writer, reader = wires[number % 4], wires[(number // 4) % 4]
                for words in WRITES[number % len(WRITES)]:
                    reply = writer.ask(*(number if word == "N" else word for word in words))
                    check(not reply.startswith(b"-"), reply)
                check_equal(value_of(reader.ask("GET", KEY)), number)
            late = []
            for number in range(2001, 2051):
                backends.ask(backend, "SET", KEY, number)
                began = time.monotonic()
                while any(value_of(wire.ask("GET", KEY)) != number for wire in wires):
                    check(time.monotonic() < began + 5, "a write is never seen")
                late.append(time.monotonic() - began)
        return f"a write past the router is seen within {sorted(late)[25] * 1000:.1f} ms (median)"


@suite.case(servers="own")
def a_hot_key_outlives_its_links(cores):
    """The server ends all connections again and again: errors for writes alone, and no read of what is no longer so."""
    with backends.single(cores=cores) as (backend, router):
        backends.ask(router, "SET", KEY, 0)
        with heated(router), resp.connected(router) as wire:
            for number in range(1, 31):
                backends.ask(backend, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                backends.ask(backend, "SET", KEY, number)
                deadline = time.monotonic() + 5
                while wire.ask("GET", KEY) != b"$%d\r\n%d\r\n" % (len(str(number)), number):
                    check(time.monotonic() < deadline, f"{number} is never seen")
                time.sleep(0.02)


@suite.case(servers="own")
def a_hot_key_moves_in_a_cluster(cores):
    """Its slot goes from server to server under load; increments stay exact, and the value is never an older one."""
    with backends.cluster(cores=cores) as (behind, router), heated(router):
        wrong, ends, counted = [], threading.Event(), []

        def count():
            with resp.connected(router, timeout_s=20) as wire:
                last = 0
                while not ends.is_set():
                    for words in (("INCR", KEY), ("GET", KEY)):
                        reply = wire.ask(*words)
                        number = int(reply[1:]) if reply[:1] == b":" else value_of(reply) if reply[:1] == b"$" else None
                        if number is None or number < last:
                            wrong.append((words, reply, last))
                        else:
                            last = number
                    counted.append(1)

        threads = [threading.Thread(target=count, daemon=True) for _ in range(8)]
        [thread.start() for thread in threads]
        for _ in range(3):
            (_, one), (_, two), (_, three) = behind.primaries()
            slot = int(backends.ask(behind.nodes[0], "CLUSTER", "KEYSLOT", KEY)[1:])
            owner = next(name for node, name in behind.primaries() if has(node, slot))
            target = next(name for name in (one, two, three) if name != owner)
            move(behind, slot, owner, target)
            time.sleep(0.3)
        ends.set()
        [thread.join(30) for thread in threads]
        check_equal(wrong[:3], [])
        check_equal(value_of(backends.ask(router, "GET", KEY)), len(counted))
        return f"{len(counted)} increments"


def has(node, slot):
    own = next(line for line in backends.ask(node, "CLUSTER", "NODES").decode().split("\n") if "myself" in line)
    ranges = [part for part in own.split()[8:] if not part.startswith("[")]
    return any(int(part.split("-")[0]) <= slot <= int(part.split("-")[-1]) for part in ranges)


def move(behind, slot, source, target):
    """Moves one slot as redis-cli does, with its key between the two states."""
    nodes = {name: node for node, name in behind.primaries()}
    backends.ask(nodes[target], "CLUSTER", "SETSLOT", slot, "IMPORTING", source)
    backends.ask(nodes[source], "CLUSTER", "SETSLOT", slot, "MIGRATING", target)
    time.sleep(0.1)
    backends.ask(nodes[source], "MIGRATE", "127.0.0.1", nodes[target].port, KEY, 0, 5000)
    time.sleep(0.1)
    for name in (target, source, *(name for name in nodes if name not in (source, target))):
        backends.ask(nodes[name], "CLUSTER", "SETSLOT", slot, "NODE", target)
