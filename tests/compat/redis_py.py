"""redis-py, blocking and asyncio, over RESP2 and RESP3, TCP and the Unix socket."""

import asyncio
import os
import random
import threading
import time

import redis
import redis.asyncio

from compat.suite import suite
from lib.cases import check, check_equal

MIB = 1 << 20


def client(server, protocol=2, **options):
    options.setdefault("socket_timeout", 60)
    return redis.Redis(host="127.0.0.1", port=server.port, protocol=protocol, **options)


def both_protocols(function):
    """Registers a case for each protocol version."""
    for protocol in (2, 3):
        suite.case(f"py_{function.__name__}_resp{protocol}")(lambda server, p=protocol: function(server, p))
    return function


@both_protocols
def strings(server, protocol):
    with client(server, protocol) as r:
        check_equal(r.set("k", "v"), True)
        check_equal(r.get("k"), b"v")
        check_equal(r.get("none"), None)
        check_equal(r.set("k", "w", nx=True), None)
        check_equal(r.set("k", "w", xx=True, get=True), b"v")
        check_equal(r.append("k", "xyz"), 4)
        check_equal(r.strlen("k"), 4)
        check_equal(r.getrange("k", 1, 2), b"xy")
        check_equal(r.setrange("k", 6, "!"), 7)
        check_equal(r.get("k"), b"wxyz\0\0!")
        check_equal(r.getset("k", "1"), b"wxyz\0\0!")
        check_equal(r.incr("k", 9), 10)
        check_equal(r.decr("k", 20), -10)
        check_equal(r.incrbyfloat("k", 0.25), -9.75)
        check_equal(r.getdel("k"), b"-9.75")
        check_equal(r.setnx("k", "x"), True)
        check_equal(r.exists("k", "k", "none"), 2)
        check_equal(r.type("k"), b"string")
        check_equal(r.touch("k"), 1)
        check_equal(r.unlink("k", "none"), 1)
        check_equal(r.echo("hello"), b"hello")
        check_equal(r.ping(), True)


@both_protocols
def looking_inside(server, protocol):
    with client(server, protocol) as r:
        r.config_resetstat()
        check_equal([r.set("k", "v"), r.get("k"), r.get("k")], [True, b"v", b"v"])
        try:
            r.incr("k")
        except redis.ResponseError as error:
            check_equal(str(error), "value is not an integer or out of range")
        stats = r.info("commandstats")
        check_equal([stats[f"cmdstat_{name}"]["calls"] for name in ("set", "get", "incrby")], [1, 2, 1])
        check_equal(stats["cmdstat_incrby"]["failed_calls"], 1)
        check_equal(r.info("errorstats")["errorstat_ERR"], {"count": 1})
        check("p50" in r.info("latencystats")["latency_percentiles_usec_get"], "INFO latencystats has percentiles")
        check_equal(r.info("everything")["role"], "master")
        histogram = r.execute_command("LATENCY HISTOGRAM", "get")
        flat = histogram[b"get"] if protocol == 3 else dict(zip(histogram[1][::2], histogram[1][1::2], strict=True))
        check_equal(flat[b"calls"], 2)
        check_equal([r.latency_latest(), r.latency_reset()], [[], 0])
        check(20 <= r.memory_usage("k") < 100, "MEMORY USAGE of a small key")
        check_equal(r.memory_usage("nosuch"), None)
        check_equal(r.memory_stats()["keys.count"], 1)
        check_equal(r.role()[0], b"master")
        check(r.lastsave() is not None, "LASTSAVE answers a time")
        check(b"Redis ver." in r.lolwut(), "LOLWUT names the version")
        check_equal([r.wait(0, 0), r.wait(1, 5)], [0, 0])
        check_equal([r.client_pause(5, all=False), r.set("k", "w"), r.client_unpause()], [True, True, b"OK"])
        check_equal(r.client_unblock(999_999), False)
        try:
            r.config_rewrite()
        except redis.ResponseError as error:
            check_equal(str(error), "The server is running without a config file")


@both_protocols
def slow_and_hot(server, protocol):
    with client(server, protocol) as r:
        r.config_set("slowlog-log-slower-than", 0)
        r.mget(*(f"k{i}" for i in range(40)))
        entry = next(entry for entry in r.slowlog_get(100) if entry["command"].startswith(b"MGET"))
        check(entry["command"].endswith(b"k29 ... (10 more arguments)"), entry)
        r.config_set("slowlog-log-slower-than", 10_000)
        check_equal(r.slowlog_reset(), True)
        r.set("k", 12)
        check_equal(r.object("encoding", "k"), b"int")
        explained = r.execute_command("HOTKEYS", "EXPLAIN", "k")
        mode = explained[b"mode"] if protocol == 3 else explained[explained.index(b"mode") + 1]
        check(mode in (b"cool", b"warm"), explained)
        check_equal(r.info("hotkeys")["hot"], "on")


@both_protocols
def expiry(server, protocol):
    with client(server, protocol) as r:
        r.set("k", "v", ex=1000)
        check(990 <= r.ttl("k") <= 1000, "ttl")
        check(990_000 <= r.pttl("k") <= 1_000_000, "pttl")
        check_equal(r.expire("k", 500, gt=True), False)
        check_equal(r.expire("k", 5000, gt=True), True)
        when = int(time.time()) + 12_345
        check_equal(r.expireat("k", when), True)
        check_equal(r.expiretime("k"), when)
        check_equal(r.pexpiretime("k"), when * 1000)
        check_equal(r.persist("k"), True)
        check_equal(r.ttl("k"), -1)
        check_equal(r.getex("k", px=40), b"v")
        r.psetex("soon", 40, "x")
        check_equal(r.dbsize(), 2)
        time.sleep(0.06)
        check_equal(r.get("k"), None)
        check_equal(r.ttl("soon"), -2)
        # Nobody asks for these; the server finds them itself.
        for i in range(1000):
            r.set(f"short:{i}", i, px=50)
        deadline = time.monotonic() + 5
        while r.dbsize() and time.monotonic() < deadline:
            time.sleep(0.05)
        check_equal(r.dbsize(), 0, "expired keys that nobody touches")


@both_protocols
def pipelines(server, protocol):
    with client(server, protocol) as r:
        pipe = r.pipeline(transaction=False)
        for i in range(100_000):
            pipe.set(f"p:{i}", i) if i % 2 else pipe.incr("count")
        replies = pipe.execute()
        check_equal(len(replies), 100_000)
        check(all(reply is True for reply in replies[1::2]), "a SET was not answered with OK")
        check_equal(replies[0::2], list(range(1, 50_001)), "INCR in order")
        pipe = r.pipeline(transaction=False)
        pipe.set("word", "x").incr("word").get("word")
        replies = pipe.execute(raise_on_error=False)
        check(isinstance(replies[1], redis.ResponseError), "the error stays in its place")
        check_equal((replies[0], replies[2]), (True, b"x"))


@both_protocols
def many_keys_over_all_slots(server, protocol):
    with client(server, protocol) as r:
        pairs = {f"m:{i}".encode(): b"%d" % i for i in range(20_000)}
        check_equal(r.mset(pairs), True)
        check_equal(r.mget(list(pairs)), list(pairs.values()))
        check_equal(r.dbsize(), 20_000)
        check_equal(sorted(r.scan_iter(match="m:1*", count=500)), sorted(k for k in pairs if k.startswith(b"m:1")))
        check_equal(len(set(r.scan_iter(count=10_000))), 20_000)
        check_equal(len(r.keys("m:*9")), 2000)
        check(r.randomkey() in pairs, "randomkey")
        check_equal(r.exists(*pairs), 20_000)
        check_equal(r.delete(*pairs), 20_000)
        check_equal(r.dbsize(), 0)


@both_protocols
def scan_keeps_what_stays(server, protocol):
    """Keys that exist during the whole scan are returned, whatever comes and goes beside them."""
    with client(server, protocol) as r:
        r.mset({f"stay:{i}": i for i in range(3000)})
        seen, cursor, turn = set(), None, 0
        while cursor != 0:
            cursor, keys = r.scan(cursor or 0, count=100)
            seen.update(keys)
            r.mset({f"come:{turn}:{i}": i for i in range(100)})
            r.delete(*(f"come:{turn - 1}:{i}" for i in range(100)))
            turn += 1
            check(turn < 20_000, "the scan does not end")
        check({f"stay:{i}".encode() for i in range(3000)} <= seen, "a key was missed")


@both_protocols
def binary_and_large(server, protocol):
    rng = random.Random(3)
    with client(server, protocol) as r:
        for key in (b"", b"\r\n", bytes(range(256)), rng.randbytes(5000), "ключ".encode()):
            value = rng.randbytes(1000)
            r.set(key, value)
            check_equal(r.get(key), value)
        for size in (0, 1, 511, 512, 65_535, 65_536, MIB, 64 * MIB):
            value = rng.randbytes(min(size, MIB)) * max(1, size // MIB)
            r.set("large", value[:size])
            check(r.get("large") == value[:size], f"a value of {size} bytes came back changed")
            check_equal(r.strlen("large"), size)


@both_protocols
def connection(server, protocol):
    with (
        client(server, protocol, client_name="me") as r,
        client(server, protocol, single_connection_client=True) as other,
    ):
        check_equal(r.client_getname(), "me" if isinstance(r.client_getname(), str) else b"me")
        names = [row["name"] for row in r.client_list()]
        check("me" in names, f"CLIENT LIST names {names}")
        other_id = other.client_id()
        check_equal(str(other.client_info()["id"]), str(other_id))
        check_equal(len(r.client_list(client_id=[other_id])), 1)
        check_equal(r.client_kill_filter(_id=str(other_id)), 1)
        try:
            other.connection.send_command("PING")
            check(False, f"the killed connection says {other.connection.read_response()!r}")
        except redis.ConnectionError:
            pass
        check_equal(r.config_get("maxmemory"), {"maxmemory": "0"})
        check("maxmemory-policy" in r.config_get("maxmemory*"), "CONFIG GET with a pattern")
        info = r.info()
        check("redis_version" in info and info["connected_clients"] >= 1, "INFO")
        r.set("k", "x" * 10_000)
        check(r.info("memory")["used_memory"] >= 10_000, "INFO memory counts what is stored")
        check(abs(r.time()[0] - time.time()) < 5, "TIME")
        check(r.command_count() > 50, "COMMAND COUNT")
        check_equal(r.command_getkeys("MSET", "a", 1, "b", 2) in ([b"a", b"b"], ["a", "b"]), True)
        check("get" in r.command(), "COMMAND")


@both_protocols
def decoded(server, protocol):
    with client(server, protocol, decode_responses=True) as r:
        r.set("k", "värde")
        check_equal(r.get("k"), "värde")
        check_equal(r.mget("k", "none"), ["värde", None])
        check_equal(list(r.scan_iter()), ["k"])


@both_protocols
def errors(server, protocol):
    with client(server, protocol) as r:
        r.set("word", "x")
        for args, words in (
            (("INCR", "word"), "value is not an integer or out of range"),
            (("GET",), "wrong number of arguments for 'get' command"),
            (("NOSUCH", "x"), "unknown command 'NOSUCH'"),
            (("SET", "k", "v", "EX", "0"), "invalid expire time in 'set' command"),
            (("SELECT", "77"), "DB index is out of range"),
        ):
            try:
                check(False, f"{args} was answered with {r.execute_command(*args)!r}")
            except redis.ResponseError as error:
                check(words in str(error), f"{args}: {error}")
        check_equal(r.ping(), True)


@suite.case()
def py_unix_socket(server):
    with redis.Redis(unix_socket_path=server.unixsocket, protocol=3) as r:
        r.set("k", os.urandom(MIB))
        check_equal(r.strlen("k"), MIB)


@suite.case(options={"requirepass": "sesame"})
def py_auth(server):
    for protocol in (2, 3):
        with client(server, protocol, password="sesame") as r:
            check_equal(r.ping(), True)
        with client(server, protocol, username="default", password="sesame") as r:
            check_equal(r.ping(), True)
        for options in ({}, {"password": "wrong"}):
            with client(server, protocol, retry=None, **options) as r:
                try:
                    check(False, f"served {r.get('k')!r} without the password")
                except (redis.AuthenticationError, redis.ResponseError):
                    pass


@suite.case()
def py_connection_pool(server):
    """Thirty-two threads over one pool; the sum tells that no increment was lost or done twice."""
    pool = redis.ConnectionPool(host="127.0.0.1", port=server.port, max_connections=40, protocol=3)
    r = redis.Redis(connection_pool=pool)
    failures = []

    def work(number):
        for i in range(200):
            r.incr("total")
            r.set(f"own:{number}", i)
            if r.get(f"own:{number}") != b"%d" % i:
                failures.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_equal(failures, [], "threads that read another's value")
    check_equal(r.get("total"), b"6400")
    pool.disconnect()


@suite.case()
def py_asyncio(server):
    async def play(protocol):
        async with redis.asyncio.Redis(host="127.0.0.1", port=server.port, protocol=protocol, max_connections=60) as r:
            await r.flushall()

            async def one(number):
                for i in range(50):
                    await r.set(f"a:{number}:{i}", number * i)
                    check_equal(await r.get(f"a:{number}:{i}"), b"%d" % (number * i))
                    await r.incr("total")

            await asyncio.gather(*(one(number) for number in range(50)))
            check_equal(await r.get("total"), b"2500")
            async with r.pipeline(transaction=False) as pipe:
                for i in range(10_000):
                    pipe.echo(i)
                check_equal(await pipe.execute(), [b"%d" % i for i in range(10_000)])

    for protocol in (2, 3):
        asyncio.run(play(protocol))
