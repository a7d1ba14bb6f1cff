"""Coldplate in front of redis-server: what clients see is what they would see without it."""

import os
import signal
import threading
import time

import redis

from compat.suite import suite
from lib import backends, resp
from lib.cases import check, check_equal

LOST = b"-ERR upstream "

# Each type, each way to answer, in an order that means something.
SCRIPT = """
SET s hello|GET s|APPEND s !|STRLEN s|GETRANGE s 1 3|SET s x NX|GET none|INCR n|INCRBYFLOAT n 1.5|SETBIT b 7 1|BITCOUNT b
HSET h a 1 b 2|HGETALL h|HINCRBY h a 5|HMGET h a none b|HRANDFIELD none|HSCAN h 0
RPUSH l 1 2 3 4|LRANGE l 0 -1|LPOP l 2|LMOVE l m LEFT RIGHT|LPOS l 4|LINDEX l 9|LLEN l
SADD t a b c|SCARD t|SISMEMBER t a|SMISMEMBER t a z|SINTERSTORE u t t|SINTERCARD 2 t u
ZADD z 1 a 2 b 3 c|ZRANGE z 0 -1 WITHSCORES|ZSCORE z a|ZINCRBY z 1.5 a|ZUNIONSTORE y 2 z z WEIGHTS 1 2|ZPOPMIN z
XADD x 1-1 f v|XADD x 2-1 f w|XRANGE x - +|XLEN x|XGROUP CREATE x g 0|XREADGROUP GROUP g c COUNT 1 STREAMS x >|XREAD STREAMS x 0
PFADD p a b c|PFCOUNT p|GEOADD g 13.361389 38.115556 Palermo|GEOPOS g Palermo|GEODIST g Palermo Rome
EVAL return\\ {KEYS[1],ARGV[1],1.5,{1,{2}}} 1 k v|EVALSHA 0000000000000000000000000000000000000000 0|SCRIPT EXISTS 00
EXPIRE s 100|TTL s|PERSIST s|TYPE z|OBJECT ENCODING h|RENAME s r|COPY r q|DEL r q|EXISTS n n h|UNLINK h none|DBSIZE|KEYS no*
MSET a 1 b 2 c 3|MGET a none c|SORT l DESC|SORT_RO l LIMIT 0 1|GET l|HGET s|NONSENSE x y|LPUSH|SCAN 0 MATCH zz*|TOUCH a b
BITFIELD bf SET u8 0 255 GET u4 0|BITOP AND bb b bf|SETRANGE sr 5 x|GETDEL sr|LCS a b LEN|DUMP a|RANDOMKEY|PUBLISH c m
"""


def script():
    for line in SCRIPT.strip().splitlines():
        for command in line.split("|"):
            yield [word.replace("\0", " ") for word in command.replace("\\ ", "\0").split(" ")]


def play(server, version):
    """All replies to the script, raw."""
    with resp.connected(server) as wire:
        if version == 3:
            wire.ask("HELLO", "3")
        wire.ask("FLUSHALL")
        return [wire.ask(*words) for words in script()]


@suite.case(servers="own")
def single_answers_as_the_server(cores):
    """Byte for byte, in both versions of the protocol."""
    with backends.single(cores=cores) as (backend, router):
        for version in (2, 3):
            direct, routed = play(backend, version), play(router, version)
            for words, wanted, got in zip(script(), direct, routed, strict=True):
                if words[0] != "RANDOMKEY":
                    check_equal(got, wanted, f"RESP{version} {' '.join(words)}")


@suite.case(servers="own")
def single_keeps_the_order(cores):
    """A deep pipeline with answers of the router among those of the server, and values too large for a buffer."""
    with backends.single(cores=cores) as (_, router), resp.connected(router) as wire:
        large = b"v" * 300_000
        requests, wanted = [], []
        for number in range(5000):
            requests.append(resp.encode("SET", f"k{number % 7}", number) + resp.encode("GET", f"k{number % 7}"))
            wanted += [b"+OK\r\n", b"$%d\r\n%d\r\n" % (len(str(number)), number)]
            if number % 500 == 0:
                requests.append(resp.encode("ECHO", number) + resp.encode("SET", "large", large) + resp.encode("GET", "large"))
                wanted += [b"$%d\r\n%d\r\n" % (len(str(number)), number), b"+OK\r\n", b"$%d\r\n%b\r\n" % (len(large), large)]
        expected = b"".join(wanted)
        got, _ = resp.exchange(wire.sock, requests, lambda seen: len(seen) >= len(expected))
        check(bytes(got) == expected, "replies differ from what was asked")


@suite.case(servers="own")
def single_serves_a_crowd(cores):
    """Clients that share a link get their own replies."""
    with backends.single(cores=cores) as (_, router):
        failures = []

        def client(name):
            try:
                with redis.Redis(port=router.port, protocol=2 + name % 2) as it:
                    for number in range(30):
                        pipe = it.pipeline(transaction=False)
                        for step in range(20):
                            pipe.set(f"{name}:{step}", f"{name}-{number}-{step}")
                            pipe.get(f"{name}:{step}")
                        got = pipe.execute()
                        check_equal(got[1::2], [f"{name}-{number}-{step}".encode() for step in range(20)])
            except Exception as error:
                failures.append(f"{name}: {error!r}")

        threads = [threading.Thread(target=client, args=(name,)) for name in range(60)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        check_equal(failures, [])
        info = redis.Redis(port=router.port).info("upstream")
        check(info["server0"]["requests"] >= 60 * 30 * 40, f"{info}")
        check(info["server0"]["connections"] <= 2 * cores, f"a crowd shares links: {info}")


@suite.case(servers="own")
def single_waits_for_a_slow_server(cores):
    """A server that stands still for a second delays everything and loses nothing."""
    with backends.single(cores=cores) as (backend, router), resp.connected(router) as wire:
        check_equal(wire.ask("SET", "k", "v"), b"+OK\r\n")
        os.kill(backend.pid, signal.SIGSTOP)
        try:
            wire.send(resp.encode("INCR", "n") * 100 + resp.encode("PING"))
            time.sleep(1)
        finally:
            os.kill(backend.pid, signal.SIGCONT)
        check_equal([wire.reply() for _ in range(101)][-2:], [b":100\r\n", b"+PONG\r\n"])


@suite.case(servers="own")
def single_survives_its_server(cores):
    """While the server is gone clients get errors at once; when it is back they are served, on the same connections."""
    with backends.redis_server() as backend:
        port = backend.port
        with backends.before("single", backend, cores=cores) as router, resp.connected(router) as wire:
            check_equal(wire.ask("SET", "k", "v"), b"+OK\r\n")
            backends.crash(backend)
            answers = [wire.ask("GET", "k") for _ in range(50)]
            check(all(answer.startswith(LOST) for answer in answers[1:]), f"{answers}")
            with backends.redis_at(port):
                deadline = time.monotonic() + 10
                while (answer := wire.ask("SET", "k", "w")) != b"+OK\r\n":
                    check(answer.startswith(LOST) and time.monotonic() < deadline, f"{answer}")
                    time.sleep(0.01)
                check_equal(wire.ask("GET", "k"), b"$1\r\nw\r\n")


@suite.case(servers="own")
def single_drains(cores):
    """What was asked before SIGTERM is answered."""
    with backends.single(cores=cores) as (backend, router), resp.connected(router) as wire:
        check_equal(wire.ask("SET", "k", "v"), b"+OK\r\n")
        os.kill(backend.pid, signal.SIGSTOP)
        try:
            wire.send(resp.encode("GET", "k") * 100)
            time.sleep(0.2)
            ending = threading.Thread(target=router.stop)
            ending.start()
            time.sleep(0.2)
        finally:
            os.kill(backend.pid, signal.SIGCONT)
        check_equal(wire.until_close(), b"$1\r\nv\r\n" * 100)
        ending.join()
