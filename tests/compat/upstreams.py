"""Coldplate in front of several redis-servers: a pool of independent ones, and a cluster that changes under load."""

import contextlib
import hashlib
import tempfile
import threading
import time
from pathlib import Path

import redis

from compat.suite import suite
from lib import backends, resp
from lib.cases import check, check_equal
from lib.server import Server

CLIENTS = 16
# How much later than the cluster itself the router may be well again.
FOLLOWS_S_MAX = 1.0


def keys(count, prefix="k"):
    return [f"{prefix}:{number}" for number in range(count)]


def play_many_keys(client):
    """Requests on many keys, which are taken apart; what is about all keys."""
    names = keys(500)
    check(client.mset({name: name.upper() for name in names}), "MSET")
    check_equal(client.mget(["none", *reversed(names)])[1:], [name.upper().encode() for name in reversed(names)])
    check_equal(client.dbsize(), 500)
    check_equal(sorted(client.scan_iter(count=50)), sorted(name.encode() for name in names))
    check_equal(len(client.keys("k:1*")), 111)
    check_equal(client.exists("k:1", "k:1", "none", *names[:50]), 52)
    check_equal(client.touch(*names[:10]), 10)
    check_equal(client.delete(*names[:100]), 100)
    check_equal(client.unlink(*names), 400)
    check_equal(client.dbsize(), 0)
    for number in range(100):
        client.hset(f"h:{number}", mapping={"a": number})
        client.rpush(f"l:{number}", *range(5))
    check_equal(client.hgetall("h:7"), {b"a": b"7"})
    check_equal(client.eval("return redis.call('HGET', KEYS[1], 'a')", 1, "h:9"), b"9")
    check(client.flushall(), "FLUSHALL")
    check_equal(client.dbsize(), 0)


@suite.case(servers="own")
def pool_spreads_keys(cores):
    with backends.pool(cores=cores) as (servers, router):
        client = redis.Redis(port=router.port)
        play_many_keys(client)
        # FNV-1a puts keys that differ in their last character only close together.
        client.mset({hashlib.md5(name.encode()).hexdigest(): "v" for name in keys(300)})
        shares = [redis.Redis(port=server.port).dbsize() for server in servers]
        check(sum(shares) == 300 and min(shares) > 20, f"{shares}")
        with check_refused("lie on different servers"):
            client.sunion([hashlib.md5(name.encode()).hexdigest() for name in keys(30)])


@suite.case(servers="own")
def pool_outlives_a_server(cores):
    """The keys of a server that is gone are errors, all others are served."""
    with backends.pool(cores=cores) as (servers, router):
        client = redis.Redis(port=router.port)
        client.mset({name: "v" for name in keys(300)})
        own = set(redis.Redis(port=servers[1].port).keys())
        backends.crash(servers[1])
        for name in keys(300):
            try:
                check_equal(client.get(name), b"v")
                check(name.encode() not in own, f"{name} is gone")
            except redis.ResponseError as error:
                check(name.encode() in own and "upstream" in str(error), f"{name}: {error}")


@suite.case(servers="own")
def pool_replaces_a_server(cores):
    """With auto_eject the keys of a server that is gone are on the others until it is back; all keys are asked for by all."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(backends.redis_server()) for _ in range(3)]
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "c.toml"
        listed = ", ".join(f'"127.0.0.1:{server.port}"' for server in servers[:2])
        path.write_text(
            f'[[upstream]]\nname = "pool"\nkind = "pool"\nservers = [{listed}]\nauto_eject = true\neject_ms = 200\n'
            f'[[upstream]]\nname = "other"\nkind = "single"\nservers = "127.0.0.1:{servers[2].port}"\n'
            '[[route]]\nmatch = "o:*"\npool = "other"\n[[route]]\nmatch = "here:*"\npool = "embedded"\n'
        )
        router = stack.enter_context(Server(cores=cores, config=path))
        client = redis.Redis(port=router.port)
        names = [hashlib.md5(name.encode()).hexdigest() for name in keys(200)]
        others = [*keys(20, "o"), *keys(30, "here")]
        for name in [*names, *others]:
            client.set(name, "v")
        check_equal((client.dbsize(), len(set(client.scan_iter(count=7))), len(client.keys())), (250, 250, 250))
        check(client.randomkey() is not None, "a key")
        own = [redis.Redis(port=server.port).dbsize() for server in servers]
        check(min(own[:2]) > 20 and own[2] == 20, f"{own}")
        backends.crash(servers[1])
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            # Each core finds out by itself.
            with contextlib.suppress(redis.ResponseError), redis.Redis(port=router.port) as another:
                if all(another.set(name, "w") for name in names):
                    break
        check_equal(redis.Redis(port=servers[0].port).dbsize(), 200)
        stack.enter_context(backends.redis_at(servers[1].port))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and redis.Redis(port=servers[1].port).dbsize() < own[1]:
            for name in names:
                client.set(name, "x")
        check_equal(redis.Redis(port=servers[1].port).dbsize(), own[1])
        check(client.flushall(), "FLUSHALL")
        check_equal(client.dbsize(), 0)


class check_refused:
    def __init__(self, words):
        self.words = words

    def __enter__(self):
        return self

    def __exit__(self, _kind, error, _trace):
        check(isinstance(error, redis.ResponseError) and self.words in str(error), f"{error!r}")
        return True


class Load:
    """Clients that write to keys of their own and read them back; what they were answered, and when."""

    def __init__(self, router):
        self.router = router
        self.ends = threading.Event()
        # By client and key, the last write that was acknowledged, and those after it whose end nobody knows.
        self.written = [{} for _ in range(CLIENTS)]
        self.open = [{} for _ in range(CLIENTS)]
        self.errors = []
        self.wrong = []
        self.asked = 0
        self.threads = [threading.Thread(target=self._run, args=(name,), daemon=True) for name in range(CLIENTS)]

    def __enter__(self):
        [thread.start() for thread in self.threads]
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.ends.set()
        [thread.join(30) for thread in self.threads]
        check(not any(thread.is_alive() for thread in self.threads), "a client hangs")

    def _run(self, name):
        try:
            with resp.connected(self.router, timeout_s=20) as wire:
                number = 0
                while not self.ends.is_set():
                    number += 1
                    self._step(wire, name, number)
        except Exception as error:
            self.wrong.append(f"client {name}: {error!r}")

    def _step(self, wire, name, number):
        """A pipeline of writes, and of reads behind them: in order, each sees the write before it."""
        batch = [f"{name}:{number * 7 % 97 + step}" for step in range(8)]
        value = str(number)
        wire.send(b"".join(resp.encode("SET", key, value) + resp.encode("GET", key) for key in batch))
        for key in batch:
            self.asked += 2
            written, read = wire.reply(), wire.reply()
            if written == b"+OK\r\n":
                self.written[name][key] = value
                self.open[name].pop(key, None)
            else:
                self._note(written)
                self.open[name].setdefault(key, set()).add(value)
            self._judge(name, key, read)

    def _judge(self, name, key, read):
        if read.startswith(b"-"):
            return self._note(read)
        value = None if read == b"$-1\r\n" else read.split(b"\r\n")[1].decode()
        allowed = {self.written[name].get(key)} | self.open[name].get(key, set())
        if value not in allowed:
            self.wrong.append(f"{key} is {value}, not one of {allowed}")

    def _note(self, reply):
        self.errors.append((time.monotonic(), reply))

    def verify(self, client):
        """Every write that was acknowledged is found."""
        for name in range(CLIENTS):
            for key, value in self.written[name].items():
                found = client.get(key)
                allowed = {value} | self.open[name].get(key, set())
                check(found is not None and found.decode() in allowed, f"{key} is {found}, not one of {allowed}")


@suite.case(servers="own")
def cluster_spreads_keys(cores):
    with backends.cluster(cores=cores) as (behind, router):
        client = redis.Redis(port=router.port)
        play_many_keys(client)
        with check_refused("hash to the same slot"):
            client.sunion(keys(30))
        client.mset({"{t}a": 1, "{t}b": 2})
        check_equal(client.bitop("OR", "{t}c", "{t}a", "{t}b"), 1)
        check_equal(client.copy("{t}a", "{t}d"), True)
        info = client.info("upstream")
        asked = [row["requests"] for name, row in info.items() if name.startswith("server")]
        check(len([count for count in asked if count > 100]) == 3, f"{info}")
        # The first may be asked before the map is there.
        check(sum(row["redirects"] for row in info.values()) < 10, f"{info}")


@suite.case(servers="own")
def cluster_reads_from_replicas(cores):
    """Writes go to primaries, reads to replicas in turn, or to whoever is near."""
    with contextlib.ExitStack() as stack:
        behind = backends.Cluster(stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seeds = ", ".join(f'"127.0.0.1:{node.port}"' for node in behind.nodes[:2])
        for read in ("replica", "nearest"):
            path = folder / f"{read}.toml"
            path.write_text(f'[[upstream]]\nname = "main"\nkind = "cluster"\nservers = [{seeds}]\nread = "{read}"\n')
            with Server(cores=cores, config=path) as router:
                client = redis.Redis(port=router.port)
                for name in keys(300, read):
                    client.set(name, name)
                # Until the map says that replicas have their data.
                time.sleep(2.5)
                for name in keys(300, read) * 3:
                    check_equal(client.get(name), name.encode())
                rows = [row for name, row in client.info("upstream").items() if name.startswith("server")]
                busy = [row for row in rows if row["requests"] > 20]
                # Whoever is near is asked most; of two that are as near one may have it all.
                check(len(busy) == 6 if read == "replica" else len(busy) >= 3, f"{read}: {rows}")
                # The first may be asked before the map is there.
                check(sum(row["redirects"] for row in rows) < 10, f"{read}: {rows}")


@suite.case(servers="own")
def cluster_moves_slots(cores):
    """Slots change their servers under load: no error, no wrong answer."""
    with backends.cluster(cores=cores) as (behind, router), Load(router) as load:
        time.sleep(0.5)
        (_, one), (_, two), (_, three) = behind.primaries()
        behind.move_slots(one, two, 400)
        behind.move_slots(two, three, 300)
        behind.move_slots(three, one, 500)
        time.sleep(0.5)
        check_equal(load.wrong, [])
        check_equal(load.errors[:3], [])
        load.stop()
        load.verify(redis.Redis(port=router.port))
        return f"{load.asked} requests"


@suite.case(servers="own")
def cluster_fails_over(cores):
    """A primary is killed under load: errors only until the cluster has another one, and nothing acknowledged is lost."""
    with backends.cluster(cores=cores) as (behind, router):
        with Load(router) as load:
            time.sleep(1)
            check_equal(load.errors[:3], [])
            (victim, _), *_ = behind.primaries()
            backends.crash(victim)
            died = time.monotonic()
            behind.await_all(lambda node: b"cluster_state:ok" in backends.ask(node, "CLUSTER", "INFO"))
            while len(behind.primaries()) < 3:
                time.sleep(0.02)
            behind.await_all(lambda node: b"cluster_state:ok" in backends.ask(node, "CLUSTER", "INFO"))
            well = time.monotonic()
            time.sleep(FOLLOWS_S_MAX + 1)
            asked = load.asked
            time.sleep(0.5)
            check(load.asked > asked, "the load goes on")
        check_equal(load.wrong, [])
        check(load.errors, "somebody noticed")
        strange = [reply for _, reply in load.errors if not reply.startswith((b"-ERR upstream", b"-CLUSTERDOWN"))]
        check_equal(strange[:3], [])
        last = max(at for at, _ in load.errors)
        check(last < well + FOLLOWS_S_MAX, f"errors until {last - well:.2f} s after the cluster was well")
        load.verify(redis.Redis(port=router.port))
        return f"{load.asked} requests, {len(load.errors)} errors in {last - died:.2f} s; the cluster took {well - died:.2f} s"
