"""Clients that know clusters, with Coldplate in front of servers: it is one node that has all slots."""

import redis

from compat.cli import cli
from compat.suite import suite
from lib import backends, resp
from lib.cases import check, check_equal


def play(router):
    """What such a client does: it learns the nodes, sends each key to its own, and asks all of them about all keys."""
    for protocol in (2, 3):
        client = redis.RedisCluster(host="127.0.0.1", port=router.port, protocol=protocol, decode_responses=True)
        check_equal([(node.host, node.port) for node in client.get_nodes()], [("127.0.0.1", router.port)])
        client.flushall()
        for number in range(200):
            client.set(f"k:{number}", number)
        check_equal([client.get(f"k:{number}") for number in range(200)], [str(number) for number in range(200)])
        check_equal(client.mget_nonatomic("k:1", "none", "k:2"), ["1", None, "2"])
        check_equal(client.delete("k:1", "k:2", "k:3"), 3)
        with client.pipeline() as pipe:
            for number in range(50):
                pipe.incr(f"n:{number}")
            check_equal(pipe.execute(), [1] * 50)
        client.hset("h", mapping={"a": 1})
        check_equal(client.hgetall("h"), {"a": "1"})
        check_equal(client.dbsize(), 248)
        check_equal(len(set(client.scan_iter(count=20))), 248)
        check_equal(len(client.keys("n:*")), 50)
        client.close()
    # redis-benchmark calls a cluster of one node invalid, any.
    check_equal(cli(router, "-c", "SET", "h2", "v") + cli(router, "-c", "GET", "h2"), "OK\nv\n")
    printed = cli(router, "--cluster", "check", f"127.0.0.1:{router.port}")
    check("[OK] All 16384 slots covered." in printed, printed)
    with resp.connected(router) as wire:
        for mood in ("READONLY", "READWRITE", "ASKING"):
            check_equal(wire.ask(mood), b"+OK\r\n")
        check_equal(len(wire.ask("CLUSTER", "MYID")), 47)


@suite.case(servers="own")
def one_node_before_one_server(cores):
    with backends.single(cores=cores) as (_, router):
        play(router)


@suite.case(servers="own")
def one_node_before_a_pool(cores):
    with backends.pool(cores=cores) as (_, router):
        play(router)


@suite.case(servers="own")
def one_node_before_a_cluster(cores):
    with backends.cluster(cores=cores) as (behind, router):
        play(router)
        # Whoever asks a node itself sees all of them. It leaves out a replica until that one's offset is gossiped to it.
        behind.await_all(lambda node: backends.ask(node, "CLUSTER", "SLOTS").count(b"127.0.0.1") == len(behind.nodes))
        wanted = sorted(node.port for node in behind.nodes)
        direct = redis.RedisCluster(host="127.0.0.1", port=behind.nodes[0].port)
        check_equal(sorted(node.port for node in direct.get_nodes()), wanted)
        check_equal(direct.get("n:1"), b"1")
