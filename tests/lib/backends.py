"""Servers to stand behind Coldplate, and Coldplate in front of them."""

import contextlib
import os
import shutil

from lib.cases import Skip
from lib.server import Server

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
    environment = {"COLDPLATE_UPSTREAM": addresses} if kind == "single" else {}
    return Server(cores=cores, environment=environment, **options)


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
