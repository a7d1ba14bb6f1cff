"""Coldplate in front of redis-servers that speak TLS, with certificates made for the occasion."""

import contextlib
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import redis

from compat.suite import suite
from compat.upstream import play, script
from lib import backends
from lib.cases import check, check_equal
from lib.server import Server, free_port

UNREACHABLE = "unreachable"


class Authority:
    """Who vouches for servers, and all that it has signed, in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.cert = folder / f"{name}.crt"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                      f"{name}.key", "-out", self.cert, "-subj", f"/CN={name}", "-days", "30")

    def sign(self, name, names, *, days=30):
        """A certificate for some names, and its key. With days of the past it has expired."""
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                      f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", self.cert, "-CAkey", f"{self.name}.key", "-days", days,
                      "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.crt")
        return {"cert_file": self.folder / f"{name}.crt", "key_file": self.folder / f"{name}.key"}

    def _openssl(self, *words):
        done = subprocess.run(["openssl", *map(str, words)], cwd=self.folder, capture_output=True, check=False)
        check_equal(done.returncode, 0, done.stderr.decode()[-500:])


@contextlib.contextmanager
def authorities():
    with tempfile.TemporaryDirectory() as folder:
        yield Authority(Path(folder), "ours"), Authority(Path(folder), "another")


def secure_server(authority, signed, **options):
    """A redis-server with a port for TLS beside its plain one, which is for the tests."""
    options = {"tls_auth_clients": "no", "tls_port": free_port(), **options}
    files = {f"tls_{name}": path for name, path in signed.items()}
    server = backends.redis_server(tls_ca_cert_file=authority.cert, **files, **options)
    server.tls_port = options["tls_port"]
    return server


def before(server, ca, cores, **keys):
    more = "".join(f"&{name}={value}" for name, value in keys.items())
    url = f"single://127.0.0.1:{server.tls_port}?tls=on&tls_ca_file={ca}{more}"
    return Server(cores=cores, upstream=url)


@suite.case(servers="own")
def tls_answers_as_without(cores):
    """Every type in both versions of the protocol, large values, many clients, and a server that is started anew."""
    with authorities() as (ours, _):
        signed = ours.sign("server", "IP:127.0.0.1")
        with secure_server(ours, signed) as server, before(server, ours.cert, cores) as router:
            for version in (2, 3):
                for words, wanted, got in zip(script(), play(server, version), play(router, version), strict=True):
                    if words[0] != "RANDOMKEY":
                        check_equal(got, wanted, f"RESP{version} {' '.join(words)}")
            client = redis.Redis(port=router.port)
            for size in (1, 16_383, 16_384, 16_385, 100_000, 5_000_000):
                client.set("large", b"x" * size)
                check_equal(client.get("large"), b"x" * size, f"{size} bytes")
            with client.pipeline(transaction=False) as pipe:
                for number in range(20_000):
                    pipe.set(f"k:{number % 100}", str(number) * 20)
                    pipe.get(f"k:{number % 100}")
                check_equal(pipe.execute()[1::2], [(str(number) * 20).encode() for number in range(20_000)])
            crowd(router)
            info = redis.Redis(port=server.port).info("clients")
            check(info["connected_clients"] <= 2 * cores + 2, f"a crowd shares links: {info}")
            backends.crash(server)
            with backends.redis_at(server.port, **server.options):
                set_in_time(client)
                check_equal(client.get("a"), b"b")


def set_in_time(client):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.ResponseError):
            return check(client.set("a", "b"), "SET")


def crowd(router):
    failures = []

    def one(name):
        try:
            with redis.Redis(port=router.port) as it:
                for number in range(50):
                    check(it.set(name, f"{name}-{number}"), "SET")
                    check_equal(it.get(name), f"{name}-{number}".encode())
        except Exception as error:
            failures.append(f"{name}: {error!r}")

    threads = [threading.Thread(target=one, args=(f"client:{name}",)) for name in range(40)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    check_equal(failures, [])


def refused(router, *words):
    """Requests are errors at once, and the log says why."""
    began = time.monotonic()
    try:
        got = redis.Redis(port=router.port).get("a")
        raise AssertionError(f"it was answered {got!r}")
    except redis.ResponseError as error:
        check(UNREACHABLE in str(error), f"{error}")
    check(time.monotonic() - began < 0.9, "it took as long as a timeout")
    log = router.log()
    for word in words:
        check(word in log, f"{word} is not in {log}")


@suite.case(servers="own")
def tls_refuses_strangers(cores):
    """A certificate by nobody known, for another name, or expired; and a server that speaks no TLS at all."""
    with authorities() as (ours, another):
        signed = ours.sign("server", "IP:127.0.0.1")
        named = ours.sign("named", "DNS:redis.example")
        expired = ours.sign("expired", "IP:127.0.0.1", days=-1)
        with secure_server(ours, signed) as server:
            with before(server, another.cert, cores) as router:
                refused(router, "TLS: ", "UnknownIssuer")
            with before(server, ours.cert, cores, tls_server_name="other.example") as router:
                refused(router, "not valid for name")
            with before(server, ours.cert, cores) as router:
                check_equal(redis.Redis(port=router.port).get("a"), None)
            # A server without TLS waits for the end of a line.
            server.tls_port = server.port
            with before(server, ours.cert, cores, connect_timeout_ms=200) as router:
                refused(router, "no connection in time")
        with secure_server(ours, named) as server:
            with before(server, ours.cert, cores) as router:
                refused(router, "not valid for name")
            with before(server, ours.cert, cores, tls_server_name="redis.example") as router:
                check_equal(redis.Redis(port=router.port).get("a"), None)
        with secure_server(ours, expired) as server, before(server, ours.cert, cores) as router:
            refused(router, "Expired")


@suite.case(servers="own")
def tls_shows_its_own_certificate(cores):
    """Where servers want to know who asks."""
    with authorities() as (ours, another):
        signed, client = ours.sign("server", "IP:127.0.0.1"), ours.sign("client", "DNS:router")
        foreign = another.sign("foreign", "DNS:router")
        with secure_server(ours, signed, tls_auth_clients="yes") as server:
            files = {f"tls_{name}": path for name, path in client.items()}
            with before(server, ours.cert, cores, **files) as router:
                check(redis.Redis(port=router.port).set("a", "b"), "SET")
            files = {f"tls_{name}": path for name, path in foreign.items()}
            for keys in ({}, files):
                with before(server, ours.cert, cores, **keys) as router:
                    try:
                        redis.Redis(port=router.port).get("a")
                        raise AssertionError("it was let in")
                    except redis.ResponseError:
                        pass
                    check("TLS: " in router.log(), router.log())


@suite.case(servers="own")
def tls_to_a_cluster(cores):
    """Its nodes' ports for TLS are those that are asked, also where they send a request on."""
    with authorities() as (ours, _), contextlib.ExitStack() as stack:
        signed = ours.sign("server", "IP:127.0.0.1")
        servers = []
        for _ in range(3):
            options = {"cluster_enabled": "yes", "cluster_port": free_port(), "cluster_config_file": "nodes.conf"}
            servers.append(stack.enter_context(secure_server(ours, signed, tls_cluster="yes", **options)))
        direct = [redis.Redis(port=server.port) for server in servers]
        for number, client in enumerate(direct):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * 5462, min(number * 5462 + 5461, 16383))
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in servers[1:]:
            direct[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.tls_port, server.options["cluster_port"])
        deadline = time.monotonic() + 20
        while not all(client.cluster("INFO")["cluster_state"] == "ok" for client in direct):
            check(time.monotonic() < deadline, "the cluster does not get into shape")
            time.sleep(0.05)
        url = f"cluster://127.0.0.1:{servers[0].tls_port}?tls=on&tls_ca_file={ours.cert}"
        with Server(cores=cores, upstream=url) as router:
            client = redis.Redis(port=router.port)
            for number in range(300):
                client.set(f"k:{number}", number)
            check_equal([client.get(f"k:{number}") for number in range(300)], [b"%d" % number for number in range(300)])
            check_equal(client.dbsize(), 300)
            rows = [row for name, row in client.info("upstream").items() if name.startswith("server")]
            ports = sorted(int(row["name"].rsplit(":")[-1]) for row in rows if row["requests"] > 20)
            check_equal(ports, sorted(server.tls_port for server in servers))
