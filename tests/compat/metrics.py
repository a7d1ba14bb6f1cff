"""What monitoring reads: the metrics port, through Prometheus's own parser."""

import concurrent.futures
import http.client
import socket

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from compat.suite import suite
from lib import backends, resp
from lib.cases import check, check_equal
from lib.server import Server, free_port


def scraped(port):
    """All samples of one scrape: by name and labels, and the types of families."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    check_equal(answer.status, 200)
    check(answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"), answer.headers)
    samples, types = {}, {}
    for family in text_string_to_metric_families(answer.read().decode()):
        types[family.name] = family.type
        for sample in family.samples:
            samples[(sample.name, *sorted(sample.labels.items()))] = sample.value
    return samples, types


def of_cores(samples, name):
    """A metric of all cores together."""
    return sum(value for (known, *_), value in samples.items() if known == name)


@suite.case(servers="own")
def metrics(cores):
    port = free_port()
    with Server(cores=cores, metrics_port=port) as server, resp.connected(server) as wire:
        for number in range(100):
            check_equal(wire.ask("SET", f"k:{number}", "v"), b"+OK\r\n")
            wire.ask("GET", f"k:{number}")
        check(wire.ask("INCR", "k:1").startswith(b"-ERR"), "an error to count")
        samples, types = scraped(port)
        check_equal(samples[("coldplate_cores",)], cores)
        check_equal(samples[("coldplate_cores_silent",)], 0)
        check_equal(of_cores(samples, "coldplate_keys"), 100)
        check_equal(of_cores(samples, "coldplate_connections"), 1)
        check_equal(of_cores(samples, "coldplate_key_hits_total"), 100)
        check_equal(samples[("coldplate_command_calls_total", ("command", "set"))], 100)
        check_equal(samples[("coldplate_errors_total", ("error", "ERR"))], 1)
        check_equal(len([1 for name, *_ in samples if name == "coldplate_requests_total"]), cores)
        check_equal([types["coldplate_keys"], types["coldplate_requests"]], ["gauge", "counter"])
        check_equal([name for name in types if "upstream" in name], [])
        # What counts only grows, also when many ask at once.
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for later, _ in pool.map(lambda _: scraped(port), range(40)):
                check_equal(later[("coldplate_cores_silent",)], 0)
                shrunk = [key for key in samples if key[0].endswith("_total") and later[key] < samples[key]]
                check_equal(shrunk, [])


@suite.case(servers="own")
def metrics_bear_bad_peers(cores):
    """Who says nothing, goes away or asks for something else: others are answered, and the server goes on."""
    port = free_port()
    with Server(cores=cores, metrics_port=port) as server:
        with socket.create_connection(("127.0.0.1", port)) as silent:
            with socket.create_connection(("127.0.0.1", port)) as gone:
                gone.sendall(b"GET /metr")
            with socket.create_connection(("127.0.0.1", port)) as stranger:
                stranger.sendall(b"*1\r\n$4\r\nPING\r\n")
                check(stranger.makefile("rb").readline().startswith(b"HTTP/1.1 400"), "it is refused")
            # Each had its two seconds.
            samples, _ = scraped(port)
            check_equal(samples[("coldplate_cores_silent",)], 0)
            check_equal(silent.recv(10), b"")
        check(server.is_alive(), server.log())


@suite.case(servers="own")
def metrics_of_servers(cores):
    port = free_port()
    with backends.single(cores=cores, metrics_port=port) as (behind, router), resp.connected(router) as wire:
        for number in range(50):
            wire.ask("SET", f"k:{number}", "v")
        wire.ask("LPUSH", "k:1", "a")
        samples, types = scraped(port)
        server = ("server", f"127.0.0.1:{behind.port}")
        named = {name: value for (name, *labels), value in samples.items() if server in labels}
        check(named["coldplate_upstream_requests_total"] >= 51, named)
        check_equal(named["coldplate_upstream_errors_total"], 1)
        check(named["coldplate_upstream_connections"] >= 1, named)
        check_equal(types["coldplate_upstream_answer_seconds"], "gauge")
        times = [value for (name, *_), value in samples.items() if name == "coldplate_upstream_answer_seconds"]
        check(len(times) == 3 and all(0 < value < 5 for value in times), times)
