"""redis-benchmark's string tests: every pipeline depth and connection count ends well and prints no error."""

import subprocess

from compat.suite import suite
from lib.cases import check, check_equal

REQUESTS = {1: 10_000, 16: 40_000, 64: 80_000}


def benchmark(server, *args, port=None):
    command = ["redis-benchmark", "-p", str(port or server.port), "-q", *map(str, args)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, stdin=subprocess.DEVNULL
    )
    printed = done.stdout.decode(errors="replace").replace("\r", "\n")
    check_equal(done.returncode, 0, f"exit status: {printed[-300:]}")
    for word in ("rror", "WARNING", "Could not", "ERR "):
        check(word not in printed, f"it says {[line for line in printed.splitlines() if word in line][:3]}")
    return printed


def string_tests(depth):
    def run(server):
        for connections in (1, 50, 1000):
            # A lone connection without a pipeline is bound by round trips; fewer of them show as much.
            count = REQUESTS[depth] if connections > 1 else REQUESTS[depth] // 4
            printed = benchmark(server, "-t", "ping,set,get,incr,mset", "-P", depth, "-c", connections, "-n", count)
            check_equal(printed.count("requests per second"), 6, f"tests that finished with -c {connections}")

    return run


for depth in REQUESTS:
    suite.case(f"benchmark_pipeline_{depth}")(string_tests(depth))


@suite.case()
def benchmark_random_keys_and_large_values(server):
    benchmark(server, "-t", "set,get", "-r", 100_000, "-d", 1024, "-P", 16, "-n", 40_000)
    benchmark(server, "-t", "set,get", "-r", 100, "-d", 100_000, "-n", 2000)


@suite.case()
def benchmark_resp3_and_threads(server):
    benchmark(server, "-3", "-t", "ping,set,get", "-P", 16, "-n", 20_000)
    benchmark(server, "--threads", 2, "-t", "set,get", "-P", 16, "-n", 40_000)


@suite.case()
def benchmark_any_command(server):
    benchmark(server, "-n", 5000, "-r", 1000, "SETRANGE", "key:__rand_int__", 10, "x")


@suite.case(options={"requirepass": "sesame"})
def benchmark_password(server):
    benchmark(server, "-a", "sesame", "-t", "set,get", "-n", 5000)
