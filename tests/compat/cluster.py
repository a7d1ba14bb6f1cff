"""Cluster-aware clients, with each core announced as a node: every command works, and no key costs a letter."""

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import redis
from compat.benchmark import benchmark
from compat.cli import cli, play_script
from compat.foreign import TARGET, play
from compat.suite import suite
from lib import resp
from lib.cases import Skip, check, check_equal
from lib.server import Server, ServerError

ANNOUNCED = {"cluster_announce": "on"}
SLOTS = 16_384


def letters_sent(server):
    """Over all cores, those of this question included."""
    with resp.connected(server) as wire:
        lines = wire.ask("INFO", "stats").decode().split("\r\n")
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("letters_sent:"))


@contextmanager
def no_letters(server):
    before = letters_sent(server)
    yield
    # INFO itself asks every other core.
    check_equal(letters_sent(server) - before - (server.cores - 1), 0, "letters between cores")


def node(server, core):
    return resp.connected(server, port=server.node_ports[core])


def lines_of(wire, *words):
    return wire.ask(*words).decode().split("\r\n", 1)[1].split()


@suite.case(options=ANNOUNCED)
def cluster_redis_py(server):
    for protocol in (2, 3):
        for port in (server.port, server.node_ports[-1]):
            r = redis.RedisCluster(host="127.0.0.1", port=port, protocol=protocol, decode_responses=True)
            r.flushall()
            check_equal(sorted(node.port for node in r.get_primaries()), server.node_ports, "the nodes that it found")
            with no_letters(server):
                strings_of_redis_py(r)
            # Several keys of several cores go by letter, whichever node they are sent to.
            for i in range(10):
                r.set(f"k:{i}", i)
            before = letters_sent(server)
            got = r.execute_command("MGET", *(f"k:{i}" for i in range(10)), target_nodes=r.get_primaries()[0])
            check_equal(got, [str(i) for i in range(10)])
            check(server.cores == 1 or letters_sent(server) - before > server.cores - 1, "letters are not counted")
            r.close()


def strings_of_redis_py(r):
    keys = [f"k:{i}" for i in range(1000)]
    for i, key in enumerate(keys):
        check_equal(r.set(key, i), True)
    check_equal([r.get(key) for key in keys], [str(i) for i in range(1000)])
    pipe = r.pipeline()
    for key in keys:
        pipe.incr(key)
        pipe.getrange(key, 0, -1)
        pipe.decr(key)
    check_equal(pipe.execute()[-3:], [1000, "1000", 999])
    check_equal(r.mget_nonatomic(keys[:100]), [str(i) for i in range(100)])
    check_equal(r.mset({"{tag}a": 1, "{tag}b": 2}), True)
    check_equal(r.mget("{tag}a", "{tag}b", "{tag}c"), ["1", "2", None])
    check_equal(r.exists("{tag}a", "{tag}b", *keys[:10]), 12)
    check_equal(r.set("x", "v", ex=100, nx=True), True)
    check(95 < r.ttl("x") <= 100, "the expiry of x")
    check_equal((r.persist("x"), r.ttl("x"), r.type("x"), r.strlen("x")), (True, -1, "string", 1))
    check_equal((r.append("x", "w"), r.getset("x", "n"), r.getdel("x"), r.get("x")), (2, "vw", "n", None))
    # Asked of every node, and added up.
    everywhere = {"target_nodes": redis.RedisCluster.PRIMARIES}
    check_equal((r.dbsize(**everywhere), len(r.keys("*", **everywhere))), (1002, 1002))
    found = list(r.scan_iter(match="k:*", count=100))
    check_equal((len(found), set(found)), (1000, set(keys)), "keys of SCAN over all nodes")
    check_equal(r.delete("{tag}a", "{tag}b", *keys[:10]), 12)
    r.flushall()
    check_equal((r.dbsize(**everywhere), r.randomkey()), (0, None))


@suite.case(options=ANNOUNCED)
def cluster_ioredis(server):
    modules = os.environ.get("COMPAT_NODE_MODULES", str(TARGET / "compat-node" / "node_modules"))
    script = Path(__file__).with_name("node") / "cluster.js"
    ports = [str(port) for port in (server.port, *server.node_ports)]
    return play(["node", str(script), *ports], env={**os.environ, "NODE_PATH": modules})


@suite.case(options=ANNOUNCED)
def cluster_benchmark(server):
    if server.cores == 1:
        raise Skip("redis-benchmark calls a cluster of one node invalid")
    for port in (server.port, server.node_ports[0]):
        # It says so on the port that is no node's, among the errors that `benchmark` looks for.
        for depth in (1, 16):
            with no_letters(server):
                command = ["redis-benchmark", "-p", str(port), "--cluster", "-q", "-P", str(depth), "-r", "100000"]
                command += ["-t", "set,get,incr", "-n", "20000"]
                done = subprocess.run(command, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
            printed = done.stdout.decode(errors="replace").replace("\r", "\n")
            check_equal(done.returncode, 0, f"exit status: {printed[-300:]}")
            check_equal(printed.count(" requests per second, p50"), 3, "tests that finished")
            check(f"Cluster has {server.cores} master nodes" in printed, printed[:300])
            warned = f"WARNING: Master node 127.0.0.1:{server.port} has no slots, skipping...\n".encode()
            check_equal(done.stderr, warned if port == server.port else b"")
    # Without --cluster a node's port is a server like any other.
    benchmark(server, "-t", "set,get,mset", "-r", 1000, "-n", 10_000, "-P", 16, port=server.node_ports[-1])


@suite.case(options=ANNOUNCED)
def cluster_cli(server):
    for port in server.node_ports:
        printed = cli(server, "-c", "SET", "{a}k", "v", port=port) + cli(server, "-c", "GET", "{a}k", port=port)
        check_equal(printed, "OK\nv\n")
    cli(server, "DEL", "{a}k")
    # The script counts all keys, of which a node has its own.
    play_script(server, "-c")
    with resp.connected(server) as wire:
        for i in range(100):
            wire.ask("SET", f"key:{i}", i)
    for port in (server.port, *server.node_ports):
        printed = cli(server, "--cluster", "check", f"127.0.0.1:{port}")
        for line in ("[OK] All nodes agree about slots configuration.", f"[OK] All {SLOTS} slots covered."):
            check(line in printed, printed)
    check(f"[OK] 100 keys in {server.cores} masters." in printed, printed)


@suite.case(options=ANNOUNCED)
def cluster_nodes_answer(server):
    """Who is asked depends on the port; what is there does not, except for what clients add up over nodes."""
    ids = []
    for core, port in enumerate(server.node_ports):
        with node(server, core) as wire:
            (own,) = lines_of(wire, "CLUSTER", "MYID")
            ids.append(own)
            myself = [line for line in wire.ask("CLUSTER", "NODES").split(b"\n") if b"myself" in line]
            check(len(myself) == 1 and myself[0].startswith(f"{own} 127.0.0.1:{port}@".encode()), repr(myself))
            check_equal(wire.ask("SET", f"key:{core}", core), b"+OK\r\n")
            check_equal(wire.ask("SELECT", "1"), b"-ERR SELECT is not allowed in cluster mode\r\n")
            check_equal((wire.ask("READONLY"), wire.ask("READWRITE"), wire.ask("ASKING")), (b"+OK\r\n",) * 3)
            check_equal(wire.ask("CLUSTER", "REPLICAS", own), b"*0\r\n")
            check_equal(wire.ask("CLUSTER", "COUNT-FAILURE-REPORTS", own), b":0\r\n")
            check_equal(wire.ask("CLUSTER", "REPLICAS", "x"), b"-ERR Unknown node x\r\n")
            refused = wire.ask("CLUSTER", "MEET", "127.0.0.1", "6379")
            check(refused.startswith(b"-ERR CLUSTER MEET is not supported: "), refused)
    check_equal(len(set(ids)), server.cores, "ids")
    with resp.connected(server) as wire:
        check_equal(wire.ask("DBSIZE"), b":%d\r\n" % server.cores)
        check(b"mode\r\n$7\r\ncluster\r\n" in wire.ask("HELLO", "2"), "HELLO's mode")
        check(b"\r\ncluster_enabled:1\r\n" in wire.ask("INFO", "cluster"), "INFO cluster")
        check(b"\r\nredis_mode:cluster\r\n" in wire.ask("INFO", "server"), "INFO server")
    by_port = [node(server, core).ask("DBSIZE") for core in range(server.cores)]
    check_equal(sum(int(reply[1:]) for reply in by_port), server.cores, "keys of all nodes")


@suite.case(options=ANNOUNCED)
def cluster_slots_of_keys(server):
    with resp.connected(server) as wire:
        for i in range(50):
            wire.ask("SET", f"{{tag}}{i}", i)
    for port in (server.port, *server.node_ports):
        with resp.connected(server, port=port) as wire:
            slot = int(wire.ask("CLUSTER", "KEYSLOT", "{tag}")[1:])
            check_equal(wire.ask("CLUSTER", "COUNTKEYSINSLOT", slot), b":50\r\n")
            check_equal(wire.ask("CLUSTER", "COUNTKEYSINSLOT", 0), b":0\r\n")
            check_equal(wire.ask("CLUSTER", "GETKEYSINSLOT", slot, 3).count(b"{tag}"), 3)
            check_equal(wire.ask("CLUSTER", "GETKEYSINSLOT", slot, 100).count(b"{tag}"), 50)
            check_equal(wire.ask("CLUSTER", "COUNTKEYSINSLOT", SLOTS), b"-ERR Invalid slot\r\n")
            check_equal(wire.ask("CLUSTER", "GETKEYSINSLOT", 0, -1), b"-ERR Invalid slot or number of keys\r\n")
            most = wire.ask("CLUSTER", "SLOT-STATS", "ORDERBY", "key-count", "LIMIT", 1)
            holds = b"*1\r\n*2\r\n:%d\r\n*2\r\n$9\r\nkey-count\r\n:50\r\n" % slot
            if most == holds:
                continue
            # A node tells of its own slots.
            check(port != server.port and most.endswith(b":0\r\n"), most)
    with resp.connected(server) as wire:
        wire.ask("HELLO", "3")
        two = wire.ask("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 0, SLOTS - 1)
        check(two.startswith(b"*%d\r\n*2\r\n:0\r\n%%1\r\n$9\r\nkey-count\r\n:0\r\n*2\r\n:1\r\n" % SLOTS), two[:80])


@suite.case()
def cluster_restart_and_clash(server):
    """Ids and slots are the same after a restart, and a port that is taken is named with the flag that chooses it."""
    with Server(cores=server.cores, **ANNOUNCED) as first:
        with node(first, 0) as wire:
            told = wire.ask("CLUSTER", "NODES")
        try:
            with same_nodes(first):
                check(False, "two servers on one port")
        except ServerError as error:
            wanted = f"port {first.node_ports[0]} on 127.0.0.1 is taken by another process; stop it, or choose another"
            check(f"{wanted} with --cluster-first-port" in str(error), str(error))
    with same_nodes(first) as again, node(again, 0) as wire:
        check_equal(wire.ask("CLUSTER", "NODES"), told)


def same_nodes(other):
    server = Server(cores=other.cores, **ANNOUNCED)
    server.options, server.node_ports = other.options, other.node_ports
    return server


@suite.case()
def cluster_off(server):
    disabled = b"-ERR This instance has cluster support disabled\r\n"
    with resp.connected(server) as wire:
        for words in ("CLUSTER INFO", "CLUSTER NODES", "CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER MYID", "READONLY",
                      "READWRITE", "ASKING", "CLUSTER MEET a 1", "CLUSTER COUNTKEYSINSLOT x",
                      "CLUSTER SLOT-STATS ORDERBY key-count"):
            check_equal(wire.ask(*words.split()), disabled, words)
        check_equal(wire.ask("CLUSTER", "KEYSLOT", "foo"), b":12182\r\n")
        check(b"mode\r\n$10\r\nstandalone\r\n" in wire.ask("HELLO", "2"), "HELLO's mode")
        check(b"\r\ncluster_enabled:0\r\n" in wire.ask("INFO", "cluster"), "INFO cluster")
    try:
        redis.RedisCluster(host="127.0.0.1", port=server.port)
        check(False, "redis-py found a cluster")
    except redis.exceptions.RedisClusterException as error:
        check("luster" in str(error), str(error))
