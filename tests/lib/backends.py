"""Servers to stand behind Coldplate, and Coldplate in front of them."""

import contextlib
import os
import shutil
import subprocess
import time

from lib import resp
from lib.cases import Skip
from lib.server import Server, ServerError, free_run

REDIS = shutil.which(os.environ.get("REDIS_BIN", "redis-server"))


def redis_server(**options):
    """A redis-server for the length of a `with`."""
    if REDIS is None:
        raise Skip("there is no redis-server")
    return Server(binary=REDIS, **options)


def crash(server):
    """Ends a server as nothing else does."""
    server.kill()
    server.stopped = True


@contextlib.contextmanager
def redis_at(port, **options):
    """The same on a port that another one had."""
    server = redis_server(**options)
    server.port = port
    with server:
        yield server


def before(kind, *servers, cores=1, **options):
    """Coldplate in front of servers, for the length of a `with`."""
    addresses = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return Server(cores=cores, upstream=f"{kind}://{addresses}", **options)


@contextlib.contextmanager
def single(cores=1, **options):
    """One redis-server and Coldplate in front of it: both."""
    with redis_server() as backend, before("single", backend, cores=cores, **options) as router:
        yield backend, router


@contextlib.contextmanager
def pool(count=3, cores=1, **options):
    """Some independent redis-servers and Coldplate in front of them."""
    with contextlib.ExitStack() as stack:
        backends = [stack.enter_context(redis_server()) for _ in range(count)]
        yield backends, stack.enter_context(before("pool", *backends, cores=cores, **options))


class Cluster:
    """A Redis Cluster of three primaries with a replica each."""

    NODES = 6

    def __init__(self, stack):
        # One run for both: two might overlap.
        ports = free_run(2 * self.NODES)
        bus = ports + self.NODES
        self.nodes = []
        for number in range(self.NODES):
            node = redis_server(
                cluster_enabled="yes",
                cluster_node_timeout=1000,
                cluster_port=bus + number,
                cluster_config_file="nodes.conf",
            )
            node.port = ports + number
            self.nodes.append(stack.enter_context(node))
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        self.command("--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes")
        self.await_all(lambda node: b"cluster_state:ok" in ask(node, "CLUSTER", "INFO"))
        # Each knows of all replicas, and those have their data.
        self.await_all(lambda node: ask(node, "CLUSTER", "NODES").count(b"slave") == 3)
        self.await_all(lambda node: b"master_link_status:down" not in ask(node, "INFO", "replication"))

    def command(self, *words):
        done = subprocess.run(["redis-cli", *words], capture_output=True, timeout=60, check=False)
        if done.returncode != 0:
            raise ServerError(f"redis-cli {' '.join(words)}: {(done.stdout + done.stderr).decode()[-600:]}")
        return done.stdout

    def await_all(self, condition, timeout_s=30.0):
        deadline = time.monotonic() + timeout_s
        while not all(condition(node) for node in self.nodes if node.is_alive()):
            if time.monotonic() > deadline:
                raise ServerError("the cluster does not get into shape")
            time.sleep(0.05)

    def primaries(self):
        """Servers that have slots, each with its number in the cluster."""
        found = []
        for node in self.nodes:
            if node.is_alive():
                own = [line.split() for line in ask(node, "CLUSTER", "NODES").split(b"\n") if b"myself" in line][0]
                if b"master" in own[2] and len(own) > 8:
                    found.append((node, own[0].decode()))
        return found

    def move_slots(self, source, target, count):
        """Reshards so many slots, with all their keys, once all nodes agree about who has which."""
        deadline = time.monotonic() + 30
        check = ["redis-cli", "--cluster", "check", f"127.0.0.1:{self.nodes[0].port}"]
        while b"agree about slots" not in subprocess.run(check, capture_output=True, timeout=60, check=False).stdout:
            if time.monotonic() > deadline:
                raise ServerError("the nodes do not agree")
            time.sleep(0.1)
        words = ["--cluster-from", source, "--cluster-to", target, "--cluster-slots", str(count), "--cluster-yes"]
        self.command("--cluster", "reshard", f"127.0.0.1:{self.nodes[0].port}", *words)


def ask(server, *words):
    """One command on a connection of its own, its reply raw."""
    with resp.connected(server) as wire:
        return wire.ask(*words)


@contextlib.contextmanager
def cluster(cores=1, **options):
    """A cluster and Coldplate in front of it."""
    with contextlib.ExitStack() as stack:
        behind = Cluster(stack)
        yield behind, stack.enter_context(before("cluster", *behind.nodes[:2], cores=cores, **options))
