"""`coldplate import` of what redis-server writes: a file with every type and encoding that it has, whole and
damaged, and a copy that redis-cli takes of a running server. Each string has to DUMP as it did there.
"""

import os
import random
import subprocess
import time
from contextlib import contextmanager

from compat.suite import suite
from lib import resp
from lib.cases import check, check_equal
from lib.server import Server, default_binary

LATER_MS = 4_000_000_000_000
INTEGERS = [edge + step for power in (7, 15, 31, 63) for edge in (-(2**power), 2**power) for step in (-1, 0, 1)]
QUESTIONS = ("GET", "DUMP", "PEXPIRETIME")
LENGTHS = (0, 1, 20, 21, 63, 64, 16_383, 16_384, 70_000, 1_000_000)


@contextmanager
def redis(**options):
    with Server(binary=os.environ.get("REDIS_BIN", "redis-server"), databases=4, **options) as server:
        with resp.connected(server) as wire:
            yield server, wire


def strings(wire):
    """Every form that a string has in a file; the keys in database 0."""
    rng = random.Random(1)
    values = {f"integer:{number}": str(number).encode() for number in INTEGERS}
    for length in LENGTHS:
        values[f"same:{length}"] = b"s" * length
        values[f"random:{length}"] = rng.randbytes(length)
        values[f"words:{length}"] = (b"one two three " * (length // 14 + 1))[:length]
    values["long key " * 50] = b"v"
    values["12345"] = b"a key that is an integer"
    values["\x00\r\n binary"] = bytes(range(256))
    for key, value in values.items():
        check_equal(wire.ask("SET", key, value), b"+OK\r\n")
    check_equal(wire.ask("SET", "timed", "v", "PXAT", LATER_MS), b"+OK\r\n")
    return [*values, "timed"]


def others(wire):
    """Every other type, small and large; how many there are of each."""

    def fill(name, *words, count=1):
        check(not wire.ask(*words).startswith(b"-"), f"{name}: {words[:3]}")
        counts[name] = counts.get(name, 0) + count

    counts = {}
    many, long = [str(i) for i in range(1000)], ["x" * 100 + str(i) for i in range(200)]
    for size, members in (("small", ["a", "7"]), ("many", many), ("long", long)):
        fill("list", "RPUSH", f"list:{size}", *members)
        fill("set", "SADD", f"set:{size}", *members)
        fill("hash", "HSET", f"hash:{size}", *(word for member in members for word in (member, "v" + member)))
        scored = (word for i, member in enumerate(members) for word in (i / 3, member))
        fill("zset", "ZADD", f"zset:{size}", *scored)
    fill("zset", "ZADD", "zset:infinite", "-inf", "a", "inf", "x" * 100)
    fill("set", "SADD", "set:integers", *range(100))
    fill("list", "RPUSH", "list:one large", "x" * 100_000)
    fill("stream", "XADD", "stream:plain", "*", "field", "value")
    for i in range(500):
        fill("stream", "XADD", "stream:groups", f"{i + 1}-1", "field", i, count=int(i == 0))
    for group in ("one", "two"):
        fill("stream", "XGROUP", "CREATE", "stream:groups", group, "0", count=0)
        for consumer in ("me", "you"):
            reading = ("XREADGROUP", "GROUP", group, consumer, "COUNT", 70, "STREAMS", "stream:groups", ">")
            fill("stream", *reading, count=0)
    fill("stream", "XDEL", "stream:groups", "3-1", count=0)
    library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
    fill("function library", "FUNCTION", "LOAD", library)
    # What expires and is no string is told by its type all the same.
    fill("list", "PEXPIREAT", "list:small", LATER_MS, count=0)
    return counts


def saved(server, wire):
    check_equal(wire.ask("SAVE"), b"+OK\r\n")
    return server.dir / "dump.rdb"


def run_import(server, *args, status=0, stdin=subprocess.DEVNULL):
    command = [default_binary(), "import", *map(str, args), "-p", str(server.port)]
    done = subprocess.run(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    printed = done.stdout.decode() + done.stderr.decode()
    check_equal(done.returncode, status, f"exit status: {printed[-600:]}")
    return [" ".join(line.split()) for line in printed.splitlines()]


def check_same(wire, here, keys, questions=QUESTIONS):
    for key in keys:
        for question in questions:
            check_equal(here.ask(question, key), wire.ask(question, key), f"{question} {key[:40]!r}")


def check_import(server, questions=QUESTIONS, **options):
    with redis(**options) as (source, wire), resp.connected(server) as here:
        keys = strings(wire)
        counts = others(wire)
        wire.ask("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        wire.ask("SET", "over", "v", "PX", 1)
        for database, count in ((1, 1), (3, 20)):
            wire.ask("SELECT", database)
            for i in range(count):
                wire.ask("SET", f"in:{database}:{i}", i)
            wire.ask("RPUSH", "a list there", "x")
        wire.ask("SELECT", 0)
        time.sleep(0.05)
        path = saved(source, wire)

        lines = run_import(server, path)
        check(lines[0].startswith(f"imported {len(keys)} strings of "), lines)
        check("expired 1 string whose time was over" in lines, lines)
        for kind, count in counts.items():
            check(any(line.startswith(f"skipped {count} of type {kind}") for line in lines), f"{kind}: {lines}")
        check("skipped 2 of database 1; --db 1 imports its strings" in lines, lines)
        check("skipped 21 of database 3; --db 3 imports its strings" in lines, lines)
        check_equal(here.ask("DBSIZE"), b":%d\r\n" % len(keys))
        check_same(wire, here, keys, questions)

        here.ask("SET", "timed", "changed")
        lines = run_import(server, path)
        check(any(line.startswith(f"existing {len(keys)} strings") for line in lines), lines)
        check_equal(here.ask("GET", "timed"), b"$7\r\nchanged\r\n")
        check(run_import(server, path, "--replace")[0].startswith(f"imported {len(keys)} "), "all are set again")
        check_same(wire, here, keys, questions)
        check(run_import(server, path, "--db", 3)[0].startswith("imported 20 strings "), "another database")
        check_equal(here.ask("GET", "in:3:7"), b"$1\r\n7\r\n")
        return f"{len(keys)} strings, {path.stat().st_size} bytes"


@suite.case()
def import_all_types(server):
    return check_import(server)


@suite.case()
def import_old_encodings(server):
    """Nothing is packed, compressed or summed: the types as they were before there were packed ones. DUMP compresses no
    more than the file, there."""
    questions = ("GET", "PEXPIRETIME")
    packed = {f"{name}-max-listpack-entries": 0 for name in ("hash", "zset")}
    packed["set-max-intset-entries"] = 0
    return check_import(server, questions, rdbcompression="no", rdbchecksum="no", **packed)


@suite.case()
def import_from_redis_cli(server):
    """What redis-cli takes of a running server, through a pipe: it ends with a mark, its length being unknown."""
    with redis(repl_diskless_sync_delay=0) as (source, wire), resp.connected(server) as here:
        keys = strings(wire)
        command = ["redis-cli", "-p", str(source.port), "--rdb", "-"]
        copy = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with copy:
            lines = run_import(server, "-", stdin=copy.stdout)
        check_equal(copy.returncode, 0, "exit status of redis-cli")
        check(lines[0].startswith(f"imported {len(keys)} strings of "), lines)
        check_same(wire, here, keys)


@suite.case()
def import_tells_of_damage(server):
    with redis() as (source, wire), resp.connected(server) as here:
        for i in range(1000):
            wire.ask("SET", f"key:{i}", i)
        whole = saved(source, wire).read_bytes()
        path = server.dir / "damaged.rdb"
        for name, content, error in (
            ("cut", whole[:-100], f"at byte {len(whole) - 100}: the file ends too early"),
            ("empty", b"", "at byte 0: the file ends too early"),
            ("text", b"SET key value\r\n", "at byte 0: an RDB file begins with REDIS or VALKEY"),
            ("flipped", whole.replace(b"key:77", b"kez:77"), f"at byte {len(whole) - 8}: the checksum of all before"),
            ("commands", whole + resp.encode("SET", "k", "v"), f"at byte {len(whole)}: the RDB file has ended"),
        ):
            path.write_bytes(content)
            lines = run_import(server, path, status=1)
            check(lines[-1].startswith(f"coldplate import: {path}: {error}"), f"{name}: {lines}")
        check(int(here.ask("DBSIZE")[1:]) >= 1000, "what is before a fault is imported")


@suite.case(options={"requirepass": "sesame"})
def import_password(server):
    with redis() as (source, wire):
        wire.ask("SET", "k", "v")
        path = saved(source, wire)
        lines = run_import(server, path, status=1)
        check(lines[-1].endswith("refused PING: NOAUTH Authentication required."), lines)
        check(run_import(server, path, "-a", "sesame")[0].startswith("imported 1 string "), "with the password")
        lines = run_import(server, path, "-a", "sesame", "--user", "default", "-s", server.unixsocket, "--replace")
        check(lines[0].startswith("imported 1 string "), "over a Unix socket")


@suite.case(options={"maxmemory": "2mb"})
def import_is_refused_by_a_full_server(server):
    with redis() as (source, wire), resp.connected(server) as here:
        for i in range(100):
            wire.ask("SET", f"key:{i}", os.urandom(100_000))
        lines = run_import(server, saved(source, wire), status=1)
        kept = int(here.ask("DBSIZE")[1:])
        check(0 < kept < 100 and lines[0].startswith(f"imported {kept} strings"), lines)
        check(lines[1] == f"failed {100 - kept} strings; the first:", lines)
        check('": OOM command not allowed when used memory > \'maxmemory\'.' in lines[2], lines)
