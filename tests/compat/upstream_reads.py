"""Hot keys that are no strings, which redis-server has, with Coldplate in front of it: copies of its replies say what it
would say, and nobody is told what is no longer so.
"""

import contextlib
import re
import time

from compat.suite import suite
from compat.upstream_hot import benchmark, heated
from lib import backends, resp
from lib.cases import check, check_equal

CLIENTS = 200

# What makes a key of each type, and what is asked of it; the last question keeps it hot.
KEYS = [
    ("HSET h f v n 1 empty \0", """
        HGET h f|HGET h none|HMGET h f none n|HEXISTS h f|HKEYS h|HVALS h|HLEN h|HSTRLEN h f|HGETALL h"""),
    ("RPUSH l a b c b", """
        LLEN l|LINDEX l 1|LINDEX l 9|LPOS l b|LPOS l z|LPOS l b COUNT 0|LPOS l z COUNT 0|LRANGE l 0 -1"""),
    ("SADD s a b c", "SCARD s|SISMEMBER s a|SMISMEMBER s a z|SMEMBERS s"),
    ("ZADD z 1 a 2.5 b inf c -inf d 1e30 e 0.1 f", """
        ZCARD z|ZCOUNT z 0 9|ZLEXCOUNT z - +|ZMSCORE z a none b|ZSCORE z f|ZSCORE z c|ZSCORE z none|ZRANK z b|ZRANK z none|
        ZREVRANK z b|ZRANGE z 0 -1|ZRANGE z 0 -1 REV|ZRANGE z 0 5 BYSCORE WITHSCORES|ZRANGEBYLEX z - +|
        ZREVRANGEBYLEX z + -|ZRANGEBYSCORE z 0 5|ZRANGEBYSCORE z -inf +inf WITHSCORES|ZREVRANGE z 0 -1 WITHSCORES|
        ZREVRANGE z 7 9 WITHSCORES|ZREVRANGEBYSCORE z 9 0 WITHSCORES LIMIT 0 1|ZRANGE z 0 -1 WITHSCORES"""),
    ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", """
        GEODIST g Palermo Catania|GEODIST g Palermo none|GEOHASH g Palermo none|
        GEORADIUS_RO g 15 37 200 km WITHDIST WITHCOORD|GEORADIUSBYMEMBER_RO g Palermo 200 km WITHHASH ASC|
        GEOSEARCH g FROMMEMBER Palermo BYRADIUS 200 km ASC WITHCOORD"""),
    ("XADD x 1-1 f v g w", "XLEN x|XREVRANGE x + -|XRANGE x 5 +|XRANGE x - +"),
    ("DEL none", """
        HGETALL none|SMEMBERS none|LRANGE none 0 -1|HMGET none a b|ZRANGE none 0 -1 WITHSCORES|LINDEX none 0|
        GEOHASH none a|XRANGE none - +|HGET none f"""),
]


def calls(backend):
    """How often the server was asked for anything but what this file asks it of itself."""
    stats = backends.ask(backend, "INFO", "commandstats").decode()
    names = r"cmdstat_([a-z|_]+):calls=(\d+)"
    return sum(int(count) for name, count in re.findall(names, stats) if name not in ("info", "hset", "client|tracking"))


@suite.case(servers="own")
def a_hot_hash_is_read_from_copies(cores):
    with backends.single(cores=cores) as (backend, router):
        backends.ask(backend, "HSET", "famous", "field", "value")
        with heated(router, "HGETALL", "famous"):
            before, count = calls(backend), 100_000
            benchmark(router, count, "HGETALL", "famous", clients=CLIENTS)
            share = (calls(backend) - before) / count
            check(share < 0.05, f"{share} requests of the server's for one of a client's")
        return f"{share:.5f} requests of the server's for one of a client's"


@suite.case(servers="own")
def copies_say_what_the_server_says(cores):
    """Byte for byte, in both versions of the protocol; and it is copies that say it."""
    with backends.single(cores=cores) as (backend, router), contextlib.ExitStack() as stack:
        wires = {}
        for version in (2, 3):
            wires[version] = [stack.enter_context(resp.connected(server)) for server in (backend, router)]
            [wire.ask("HELLO", version) for wire in wires[version]]
        for made, questions in KEYS:
            reply = backends.ask(backend, *(word.replace("\0", "") for word in made.split(" ")))
            check(not reply.startswith(b"-"), reply)
            questions = [words.split() for words in questions.split("|")]
            with heated(router, *questions[-1]):
                asked = before = 0
                for words in questions:
                    direct = {version: wires[version][0].ask(*words) for version in wires}
                    before = calls(backend)
                    for _ in range(20):
                        for version, wanted in direct.items():
                            check_equal(wires[version][1].ask(*words), wanted, f"RESP{version} {' '.join(words)}")
                    asked += calls(backend) - before
                # Each is asked once by itself, then for a copy on each core, and again after a second.
                check(asked < 16 * len(questions), f"{asked} requests of the server's for {40 * len(questions)}")


@suite.case(servers="own")
def a_hot_hash_shows_what_was_acknowledged(cores):
    """Whoever reads behind an acknowledged write sees it, through whichever core; a write past the router is seen soon."""
    writes = [
        [("HSET", "famous", "field", "N")],
        [("HMSET", "famous", "field", "N", "other", 1)],
        [("HINCRBY", "famous", "field", 1)],
        [("DEL", "famous"), ("HSET", "famous", "field", "N")],
        [("EVAL", "redis.call('HSET', KEYS[1], 'field', ARGV[1])", 1, "famous", "N")],
        [("MULTI",), ("HSET", "famous", "field", "N"), ("EXEC",)],
    ]

    def shows(wire, words, number):
        return b"\r\n%d\r\n" % number in wire.ask(*words)

    with backends.single(cores=cores) as (backend, router):
        backends.ask(router, "HSET", "famous", "field", 0)
        with heated(router, "HGETALL", "famous"), contextlib.ExitStack() as stack:
            wires = [stack.enter_context(resp.connected(router)) for _ in range(4)]
            [wire.ask("HELLO", 3) for wire in wires[:2]]
            reads = [("HGETALL", "famous"), ("HGET", "famous", "field")]
            for number in range(1, 2001):
                writer, reader = wires[number % 4], wires[(number // 4) % 4]
                for words in writes[number % len(writes)]:
                    reply = writer.ask(*(number if word == "N" else word for word in words))
                    check(not reply.startswith(b"-"), reply)
                check(shows(reader, reads[number % 2], number), f"{number} is not seen")
            late = []
            for number in range(2001, 2051):
                backends.ask(backend, "HSET", "famous", "field", number)
                began = time.monotonic()
                while not all(shows(wire, words, number) for wire in wires for words in reads):
                    check(time.monotonic() < began + 5, "a write is never seen")
                late.append(time.monotonic() - began)
        return f"a write past the router is seen within {sorted(late)[25] * 1000:.1f} ms (median)"
