"""Coldplate in front of redis-server, and clients that need a connection of their own there: transactions, requests that
block, messages, MONITOR. What they see is what they would see without it, and what they held is given back.
"""

import contextlib
import tempfile
import threading
import time
from pathlib import Path

import redis
from redis.cluster import RedisCluster

from compat.suite import suite
from lib import backends, resp
from lib.cases import check, check_equal
from lib.server import Server

# A bit longer than a connection that was given back is kept.
KEPT_S = 8.0
KINDS = {"single": backends.single, "pool": backends.pool, "cluster": backends.cluster}


def on_each_kind(function):
    """The case in front of a single server, a pool and a cluster, with a way to write past the router."""
    for kind, started in KINDS.items():

        def play(cores, kind=kind, started=started):
            with started(cores=cores) as (behind, router):
                return function(router, lambda *words: past(kind, behind, *words))

        play.__name__, play.__doc__ = f"{kind}_{function.__name__}", function.__doc__
        suite.case(servers="own")(play)
    return function


def past(kind, behind, *words):
    """A request about one key, on each server that may have the key."""
    if kind == "cluster":
        with RedisCluster(port=behind.nodes[0].port, host="127.0.0.1") as client:
            return client.execute_command(*words)
    servers = [behind] if kind == "single" else behind
    return [redis.Redis(port=server.port).execute_command(*words) for server in servers]


def client(router, protocol=2, **options):
    return redis.Redis(port=router.port, protocol=protocol, **options)


def base_of(router):
    """How many connections there are that all share, once each core has one to each server in both versions."""
    with contextlib.ExitStack() as stack:
        for number in range(16):
            stack.enter_context(client(router, 2 + number // 8)).dbsize()
    return connections(router)


def connections(router):
    """To all servers, of all cores."""
    rows = client(router).info("upstream")
    return sum(row["connections"] for name, row in rows.items() if name.startswith("server"))


def await_that(condition, what, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        check(time.monotonic() < deadline, what)
        time.sleep(0.02)


def await_base(router, base):
    await_that(lambda: connections(router) <= base, f"more connections than {base}", KEPT_S + 10)


@on_each_kind
def runs_transactions(router, _past):
    """They are whole: nobody sees half of one, though many increment two counters that have to stay equal."""
    wrong, steps, ends = [], 60, threading.Event()

    def writer(number):
        with client(router, 2 + number % 2) as it:
            for step in range(steps):
                pipe = it.pipeline(transaction=True)
                pipe.incr("{t}a").incr("{t}b").lpush("{t}l", f"{number}:{step}").llen("{t}l")
                one, two, added, length = pipe.execute()
                if one != two or added != length:
                    wrong.append((one, two, added, length))

    def reader():
        with client(router) as it:
            while not ends.is_set():
                one, two = it.pipeline(transaction=True).get("{t}a").get("{t}b").execute()
                if one != two:
                    wrong.append((one, two))

    writers = [threading.Thread(target=writer, args=(number,)) for number in range(12)]
    watching = threading.Thread(target=reader)
    [thread.start() for thread in (*writers, watching)]
    [thread.join() for thread in writers]
    ends.set()
    watching.join()
    check_equal(wrong[:3], [])
    check_equal(client(router).get("{t}a"), str(12 * steps).encode())


@on_each_kind
def notices_what_was_watched(router, write_past):
    """A watched key that anybody changes, through the router or past it, ends the transaction; another key does not."""
    other = client(router)
    for protocol in (2, 3):
        with client(router, protocol) as it:
            for change in (lambda: other.set("{w}k", "x"), lambda: write_past("SET", "{w}k", "y"), None):
                it.set("{w}k", 1)
                with it.pipeline() as pipe:
                    pipe.watch("{w}k")
                    value = pipe.get("{w}k")
                    check_equal(value, b"1")
                    other.set("another", "x")
                    if change:
                        change()
                    pipe.multi()
                    pipe.set("{w}k", int(value) + 1)
                    try:
                        check_equal(pipe.execute(), [True])
                        check(change is None, "the change was not noticed")
                    except redis.WatchError:
                        check(change is not None, "nothing has changed")


@on_each_kind
def adds_up_watched_counters(router, _past):
    """Clients that read, compute and write behind a watch, and try again: no increment is lost."""
    clients, steps = 8, 15

    def count():
        with client(router) as it:
            for _ in range(steps):
                it.transaction(lambda pipe: (value := int(pipe.get("n") or 0), pipe.multi(), pipe.set("n", value + 1)), "n")

    threads = [threading.Thread(target=count) for _ in range(clients)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    check_equal(client(router).get("n"), str(clients * steps).encode())


@on_each_kind
def wakes_who_blocks(router, write_past):
    """A push through the router or past it wakes who waits for it, a timeout ends the wait, and others are served."""
    it, base = client(router), base_of(router)
    for push in (lambda: it.rpush("{l}q", "v"), lambda: write_past("RPUSH", "{l}q", "v")):
        it.delete("{l}q")
        got = []
        with client(router) as waiter:
            thread = threading.Thread(target=lambda: got.append(waiter.blpop("{l}q", 20)))
            thread.start()
            time.sleep(0.2)
            check(it.set("{l}other", 1) and not got, "others are served meanwhile")
            push()
            thread.join(10)
            check_equal(got, [(b"{l}q", b"v")])
        # In a pool each server has had the push.
        write_past("DEL", "{l}q")
    with client(router, 3) as waiter:
        start = time.monotonic()
        check_equal(waiter.blpop("{l}none", 1), None)
        check_equal(waiter.bzpopmin("{l}none", 1), None)
        check_equal(waiter.blmove("{l}none", "{l}none", 1), None)
        check_equal(waiter.xread({"{l}s": "$"}, block=500), {})
        check(3 < time.monotonic() - start < 10, "the waits end when they should")
        it.xadd("{l}s", {"f": "v"})
        check(waiter.xread({"{l}s": "0"}, block=1000), "what is there is answered at once")
    await_base(router, base)


@on_each_kind
def takes_nothing_for_the_dead(router, _past):
    """Of clients that wait and are gone, none takes an element."""
    it = client(router)
    for _ in range(5):
        wires = [resp.connected(router) for _ in range(10)]
        with contextlib.ExitStack() as stack:
            for wire in map(stack.enter_context, wires):
                wire.send(resp.encode("BLPOP", "queue", "0"))
            time.sleep(0.2)
        time.sleep(0.3)
        it.rpush("queue", *range(10))
        time.sleep(0.1)
        check_equal(it.llen("queue"), 10)
        it.delete("queue")


def messages(pubsub, count):
    """The next ones, confirmations among them."""
    got, deadline = [], time.monotonic() + 20
    while len(got) < count and time.monotonic() < deadline:
        message = pubsub.get_message(timeout=1)
        if message:
            got.append((message["type"], message["channel"], message["data"]))
    check_equal(len(got), count, f"messages: {got[-3:]}")
    return got


@on_each_kind
def hears_messages(router, _past):
    """redis-py's PubSub in both versions: each message once and in order, large ones whole."""
    it = client(router)
    payloads = [b"%d" % number for number in range(300)] + [b"x" * 200_000]
    for protocol in (2, 3):
        with contextlib.ExitStack() as stack:
            listeners = [stack.enter_context(client(router, protocol)).pubsub() for _ in range(6)]
            # In a cluster, channels of this kind have servers of their own.
            sharded = stack.enter_context(client(router, protocol)).pubsub()
            sharded.ssubscribe("news")
            check_equal(messages(sharded, 1), [("ssubscribe", b"news", 1)])
            for listener in listeners:
                listener.subscribe("news")
                check_equal(messages(listener, 1), [("subscribe", b"news", 1)])
            for payload in payloads:
                it.publish("news", payload)
            it.spublish("news", "s")
            check_equal(messages(sharded, 1), [("smessage", b"news", b"s")])
            for listener in listeners:
                got = messages(listener, len(payloads))
                check(got == [("message", b"news", data) for data in payloads], "another order, or other messages")
                listener.unsubscribe()
                check_equal(messages(listener, 1), [("unsubscribe", b"news", 0)])
            it.publish("news", "late")
            for listener in listeners:
                check(listener.get_message(timeout=0.05) is None, "nothing comes any more")


@suite.case(servers="own")
def tied_subscribers_see_what_the_server_says(cores):
    """Byte for byte: patterns, errors, PING, bare UNSUBSCRIBE, and requests behind the last."""
    script = [
        ("SUBSCRIBE", "a", "b", "a"), ("PSUBSCRIBE", "a*", "?"), ("PING",), ("PING", "x"), ("GET", "k"), ("SET", "k"),
        ("UNSUBSCRIBE", "a", "none"), ("UNSUBSCRIBE",), ("CLIENT", "ID"), ("PUNSUBSCRIBE",), ("PUNSUBSCRIBE",), ("GET", "k"),
        ("SSUBSCRIBE", "s", "t"), ("SUNSUBSCRIBE", "s"), ("SUNSUBSCRIBE",), ("UNSUBSCRIBE", "x", "y"), ("LRANGE", "l", "0", "-1"),
        ("MULTI",), ("GET", "k"), ("LPUSH", "k", "x"), ("EXEC",), ("MULTI",), ("NONSENSE",), ("EXEC",), ("EXEC",), ("DISCARD",),
        ("WATCH", "k"), ("UNWATCH",), ("MULTI",), ("MULTI",), ("WATCH", "k"), ("EXEC",), ("MULTI",), ("GET",), ("EXEC",),
        ("BLPOP", "l", "nonsense"), ("BLPOP", "k", "1"), ("BRPOP", "l", "1"), ("BLMPOP", "0.1", "1", "l", "LEFT"),
        ("MULTI",), ("BLPOP", "nothing", "0"), ("PUBLISH", "a", "x"), ("EXEC",), ("MULTI",), ("EXEC",), ("PING",), ("QUIT",),
    ]  # fmt: skip
    with backends.single(cores=cores) as (backend, router):
        for version in ("2", "3"):
            seen = []
            for server in (backend, router):
                it = redis.Redis(port=backend.port)
                it.flushall()
                it.set("k", "v")
                it.rpush("l", "message", "subscribe", "x")
                with resp.connected(server) as wire:
                    wire.ask("HELLO", version)
                    # CLIENT ID differs, where it is answered at all.
                    said = [words for words in script if words[0] != "CLIENT" or version == "2"]
                    wire.send(b"".join(resp.encode(*words) for words in said))
                    seen.append(wire.until_close())
            check_equal(seen[1], seen[0], f"RESP{version}")


@suite.case(servers="own")
def tied_monitors_see_requests(cores):
    """MONITOR shows what the server is asked, through the router and past it."""
    with backends.single(cores=cores) as (backend, router):
        base = base_of(router)
        with client(router).monitor() as monitor:
            redis.Redis(port=backend.port).set("past", "x")
            client(router).set("through", "y")
            shown = [monitor.next_command()["command"] for _ in range(2)]
            wanted = {"SET past x", "SET through y"}
            while not wanted <= set(shown) and len(shown) < 20:
                shown.append(monitor.next_command()["command"])
            check(wanted <= set(shown), f"{shown}")
        await_base(router, base)


@suite.case(servers="own")
def tied_clients_are_bounded(cores):
    """Past own_connections_max a client gets an error, and goes on when another one has given its connection back."""
    with backends.redis_server() as backend, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coldplate.toml"
        path.write_text(
            f'[[upstream]]\nname = "main"\nkind = "single"\nservers = ["127.0.0.1:{backend.port}"]\n'
            "own_connections_max = 3\n"
        )
        with Server(cores=cores, config=path) as router, contextlib.ExitStack() as stack:
            wires = [stack.enter_context(resp.connected(router)) for _ in range(3 * cores + 8)]
            answers = [wire.ask("WATCH", "k") for wire in wires]
            full = [wire for wire, answer in zip(wires, answers, strict=True) if answer != b"+OK\r\n"]
            check(8 <= len(full) < len(wires), f"{answers}")
            check(all(b"own_connections_max" in answer for answer in answers if answer != b"+OK\r\n"), f"{answers}")
            check_equal(full[0].ask("SET", "k", "v"), b"+OK\r\n")
            [check_equal(wire.ask("UNWATCH"), b"+OK\r\n") for wire in wires]
            check_equal(full[0].ask("WATCH", "k"), b"+OK\r\n")


@suite.case(servers="own")
def tied_clients_lose_their_server(cores):
    """Who blocks gets an error, who listens is closed, and a transaction is not run in half."""
    with backends.redis_server() as backend:
        port = backend.port
        with backends.before("single", backend, cores=cores) as router, contextlib.ExitStack() as stack:
            blocked, listening, queued = (stack.enter_context(resp.connected(router)) for _ in range(3))
            blocked.send(resp.encode("BLPOP", "l", "0"))
            check(b"subscribe" in listening.ask("SUBSCRIBE", "c"), "it listens")
            check_equal([queued.ask("MULTI"), queued.ask("SET", "k", "half")], [b"+OK\r\n", b"+QUEUED\r\n"])
            backends.crash(backend)
            check_equal(blocked.reply(), b"-ERR upstream 127.0.0.1:%d lost: outcome unknown\r\n" % port)
            check_equal(listening.until_close(), b"")
            with backends.redis_at(port):
                check(queued.ask("EXEC").startswith(b"-EXECABORT"), "half of it is lost")
                await_that(lambda: queued.ask("SET", "k", "v") == b"+OK\r\n", "it is served again")
                check_equal([queued.ask("MULTI"), queued.ask("GET", "k")], [b"+OK\r\n", b"+QUEUED\r\n"])
                check_equal(queued.ask("EXEC"), b"*1\r\n$1\r\nv\r\n")


@suite.case(servers="own")
def tied_clients_follow_a_slot(cores):
    """In a cluster whose slots move: transactions that are tried again succeed, and no increment is lost."""
    with backends.cluster(cores=cores) as (behind, router):
        done, ends, wrong = [0], threading.Event(), []

        def count(number):
            with client(router) as it:
                while not ends.is_set():
                    try:
                        key = "{%d}" % (number * 31 + done[0] % 7)
                        one, two = it.pipeline(transaction=True).incr(key + "a").incr(key + "b").execute()
                        if one != two:
                            wrong.append((key, one, two))
                        done[0] += 1
                    except redis.exceptions.ExecAbortError:
                        pass
                    except redis.RedisError as error:
                        if "TRYAGAIN" not in str(error):
                            wrong.append(repr(error))

        threads = [threading.Thread(target=count, args=(number,)) for number in range(6)]
        [thread.start() for thread in threads]
        (_, one), (_, two), (_, three) = behind.primaries()
        behind.move_slots(one, two, 300)
        behind.move_slots(two, three, 300)
        before = done[0]
        time.sleep(0.5)
        ends.set()
        [thread.join(20) for thread in threads]
        check_equal(wrong[:3], [])
        check(done[0] > before, "transactions go on")
        return f"{done[0]} transactions"
