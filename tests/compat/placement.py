"""Where twemproxy and libmemcached themselves put keys, against `tests/placement/golden.txt`, which `cargo test` holds
Coldplate to: both ends of the comparison are the same list.

nutcracker passes GETs on to servers that answer with their number; libmemcached is asked without a server. BLESS=1 writes
the list anew.
"""

import ctypes
import os
import selectors
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from compat.suite import suite
from lib.cases import Skip, check, check_equal
from lib.server import ROOT, free_port

GOLDEN = ROOT / "tests" / "placement" / "golden.txt"
HEAD = """\
# Where nutcracker 0.5.0 and libmemcached 1.1.4 put keys, as tests/compat/placement.py found it.
# who distribution hash tag keys servers digest counts; a server is HOST:PORT:WEIGHT or unix:PATH:WEIGHT, =NAME behind it.
"""
MANY, FEW = 100_000, 20_000
WORD = (1 << 64) - 1

WEIGHTED = (
    "127.77.0.1:6379:1,127.77.0.2:6379:2,127.77.0.3:11211:3,127.77.0.4:6380:4,127.77.0.5:6379:10,127.77.0.6:6379:1"
)
EQUAL = "127.77.0.1:6379:1,127.77.0.2:6379:1,127.77.0.3:11211:1,127.77.0.4:6380:1,127.77.0.5:6379:1"
# So light that ketama gives the first no point at all.
LOPSIDED = "127.77.0.1:6379:1,127.77.0.2:6379:500,127.77.0.3:6379:77"
NAMED = "127.77.0.1:6379:1=alpha,127.77.0.2:6379:2=beta,127.77.0.3:11211:3=gamma"
# The path is part of where keys lie.
UNIX = "unix:/tmp/coldplate-placement-a.sock:1,unix:/tmp/coldplate-placement-b.sock:2,127.77.0.1:6379:1"
UNIX_EQUAL = UNIX.replace(":2,", ":1,")

TWEMPROXY_HASHES = (
    "one_at_a_time md5 crc16 crc32 crc32a fnv1_64 fnv1a_64 fnv1_32 fnv1a_32 hsieh murmur jenkins".split()
)
# Numbers as in libmemcached's headers; Debian's is built without hsieh.
LIBMEMCACHED_HASHES = {
    "one_at_a_time": 0,
    "md5": 1,
    "crc32": 2,
    "fnv1_64": 3,
    "fnv1a_64": 4,
    "fnv1_32": 5,
    "fnv1a_32": 6,
    "murmur": 8,
    "jenkins": 9,
    "murmur3": 10,
}


def specs_of_nutcracker():
    for hash_name in TWEMPROXY_HASHES:
        count = MANY if hash_name in ("fnv1a_64", "md5", "crc16", "murmur") else FEW
        yield "ketama", hash_name, "-", count, WEIGHTED
    yield "ketama", "fnv1a_64", "-", FEW, EQUAL
    for hash_name in ("crc32", "crc16"):
        yield "modula", hash_name, "-", FEW, WEIGHTED
    yield "modula", "murmur", "-", FEW, NAMED
    yield "ketama", "murmur", "-", FEW, LOPSIDED
    yield "ketama", "fnv1a_64", "{}", FEW, NAMED
    yield "ketama", "fnv1a_64", "xx", FEW, WEIGHTED
    yield "ketama", "murmur", "-", FEW, UNIX


def specs_of_libmemcached():
    for hash_name in LIBMEMCACHED_HASHES:
        yield "consistent", hash_name, "-", FEW, EQUAL
    for hash_name in ("md5", "one_at_a_time"):
        yield "ketama", hash_name, "-", MANY, WEIGHTED
    yield "consistent", "one_at_a_time", "-", MANY, WEIGHTED
    yield "consistent", "murmur", "-", MANY, EQUAL
    yield "consistent", "murmur", "-", FEW, UNIX
    yield "consistent", "murmur", "-", FEW, UNIX_EQUAL
    yield "modula_listed", "crc32", "-", FEW, WEIGHTED


def key(index):
    """Digits in a row, a tag, any eight bytes, and lengths from 1 on; as in tests/placement.rs."""
    kind, number = index % 4, index // 4
    if kind == 0:
        return b"key:%012d" % index
    if kind == 1:
        return b"user:{%d}:name" % index
    if kind == 2:
        return (index * 0x9E3779B97F4A7C15 & WORD).to_bytes(8, "little")
    return b"x" * (number % 40) + b"%d" % index


def digest(placed):
    """`coldplate::routing::point_of`: FNV-1a, then SplitMix64's finalizer."""
    value = 0xCBF29CE484222325
    for server in placed:
        value = (value ^ server) * 0x100000001B3 & WORD
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB & WORD
    return value ^ value >> 31


def line(who, spec, placed):
    counts = [placed.count(server) for server in range(len(spec[4].split(",")))]
    return " ".join([who, *map(str, spec), f"{digest(placed):016x}", ",".join(map(str, counts))])


def compare(who, lines):
    kept = GOLDEN.read_text().splitlines() if GOLDEN.exists() else []
    if os.environ.get("BLESS"):
        others = [kept_line for kept_line in kept if kept_line[:1] != "#" and kept_line.split()[0] != who]
        GOLDEN.write_text(HEAD + "".join(f"{text}\n" for text in sorted(others + lines)))
        return "written"
    wanted = [text for text in kept if text.startswith(f"{who} ")]
    for got in lines:
        check(got in wanted, f"{got} is not in {GOLDEN.name}")
    check_equal(len(lines), len(wanted), f"lines of {who}")
    return f"{len(lines)} pools"


def address(server):
    """Where a server of a spec listens: a pair for TCP, a path for a Unix socket."""
    place = server.partition("=")[0].rpartition(":")[0]
    if place.startswith("unix:"):
        return place[5:]
    host, _, port = place.rpartition(":")
    return host, int(port)


class Answerers:
    """Servers that answer each GET with one number: theirs in the list that was asked for last."""

    def __init__(self, addresses):
        self.numbers = {}
        self.selector = selectors.DefaultSelector()
        self.listeners = []
        for where in addresses:
            listener = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
            if isinstance(where, str):
                Path(where).unlink(missing_ok=True)
            else:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(64)
            self.listeners.append(listener)
            self.selector.register(listener, selectors.EVENT_READ, where)
        self.is_over = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        tails = {}
        while not self.is_over:
            for ready, _ in self.selector.select(0.1):
                sock, where = ready.fileobj, ready.data
                if sock in self.listeners:
                    peer, _ = sock.accept()
                    tails[peer] = b""
                    self.selector.register(peer, selectors.EVENT_READ, where)
                    continue
                data = sock.recv(1 << 18)
                if not data:
                    self.selector.unregister(sock)
                    sock.close()
                    continue
                # A command that two pieces share is counted with the second.
                data = tails[sock] + data
                asked = data.count(b"\nGET\r\n")
                tails[sock] = data[-5:]
                sock.sendall(b":%d\r\n" % self.numbers[where] * asked)

    def close(self):
        self.is_over = True
        self.thread.join()
        for ready in list(self.selector.get_map().values()):
            ready.fileobj.close()
            if ready.fileobj in self.listeners and isinstance(ready.data, str):
                Path(ready.data).unlink()


def configuration(specs, folder):
    """nutcracker's file: a pool for each spec, each with a socket of its own."""
    text = ""
    for number, (distribution, hash_name, tag, _, servers) in enumerate(specs):
        text += f"p{number}:\n  listen: {folder}/{number}.sock\n  redis: true\n"
        text += f"  hash: {hash_name}\n  distribution: {distribution}\n"
        text += f'  hash_tag: "{tag}"\n' if tag != "-" else ""
        text += "  servers:\n"
        for server in servers.split(","):
            text += f"   - {server.removeprefix('unix:').replace('=', ' ')}\n"
    return text


def placed_by(path, count):
    """The number of the server that each key was sent to."""
    placed = bytearray()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(path)
        for first in range(0, count, 1000):
            keys = [key(index) for index in range(first, min(first + 1000, count))]
            sock.sendall(b"".join(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(word), word) for word in keys))
            replies = bytearray()
            while len(replies) < 4 * len(keys):
                data = sock.recv(1 << 16)
                check(data, "nutcracker has closed the connection")
                replies += data
            check_equal(bytes(replies[::4]).strip(b":"), b"", "replies")
            placed += bytes(digit - ord("0") for digit in replies[1::4])
    return placed


@suite.case(once=True)
def nutcracker():
    specs = list(specs_of_nutcracker())
    addresses = {address(server) for spec in specs for server in spec[4].split(",")}
    answerers = Answerers(sorted(addresses, key=str))
    lines = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "nutcracker.yml"
            file.write_text(configuration(specs, folder))
            # Debian has it where not every user looks.
            binary = shutil.which("nutcracker", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
            check(binary, "nutcracker is not installed")
            command = [binary, "-c", str(file), "-s", str(free_port()), "-a", "127.0.0.1", "-m", "16384"]
            proxy = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                await_socket(proxy, Path(folder) / f"{len(specs) - 1}.sock")
                for number, spec in enumerate(specs):
                    servers = spec[4].split(",")
                    answerers.numbers = {address(server): place for place, server in enumerate(servers)}
                    lines.append(line("nutcracker", spec, placed_by(f"{folder}/{number}.sock", spec[3])))
            finally:
                proxy.terminate()
                proxy.communicate(timeout=10)
    finally:
        answerers.close()
    return compare("nutcracker", lines)


def await_socket(proxy, path):
    for _ in range(100):
        if path.exists():
            return
        check(proxy.poll() is None, "nutcracker did not start")
        time.sleep(0.05)
    raise AssertionError("nutcracker does not listen")


# Of memcached_behavior_t.
BEHAVIOR_HASH, BEHAVIOR_KETAMA, BEHAVIOR_KETAMA_WEIGHTED = 2, 3, 16


@suite.case(once=True)
def libmemcached():
    try:
        library = ctypes.CDLL("libmemcached.so.11")
    except OSError as error:
        raise Skip(str(error)) from None
    library.memcached_create.restype = ctypes.c_void_p
    lines = []
    for spec in specs_of_libmemcached():
        distribution, hash_name, _, count, servers = spec
        client = ctypes.c_void_p(library.memcached_create(None))
        behaviors = {"ketama": [BEHAVIOR_KETAMA_WEIGHTED], "consistent": [BEHAVIOR_KETAMA], "modula_listed": []}[distribution]
        for behavior, value in [(flag, 1) for flag in behaviors] + [(BEHAVIOR_HASH, LIBMEMCACHED_HASHES[hash_name])]:
            set_to = library.memcached_behavior_set(client, behavior, ctypes.c_uint64(value))
            check_equal(set_to, 0, f"behavior {behavior}")
        for server in servers.split(","):
            weight = int(server.rpartition(":")[2])
            where = address(server)
            if isinstance(where, str):
                added = library.memcached_server_add_unix_socket_with_weight(client, where.encode(), weight)
            else:
                added = library.memcached_server_add_with_weight(client, where[0].encode(), where[1], weight)
            check_equal(added, 0, f"adding {server}")
        find = library.memcached_generate_hash
        keys = map(key, range(count))
        placed = bytearray(find(client, word, ctypes.c_size_t(len(word))) for word in keys)
        library.memcached_free(client)
        lines.append(line("libmemcached", spec, placed))
    return compare("libmemcached", lines)
