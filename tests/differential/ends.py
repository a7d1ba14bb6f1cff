"""What is looked at once, before the episodes: that every command is asked, that values travel between the servers, that
keys have the slots of a cluster.
"""

import random
import re
from pathlib import Path

from differential import words
from differential.generate import Command, Generator
from differential.questions import LEFT_OUT, QUESTIONS
from lib import resp
from lib.server import Server, free_run

SAMPLE_BATCHES = 1000


def roll_call(generator):
    """Each alternative of what is asked about servers and connections, once."""
    return [row(generator) for group in (*words.CONNECTION, *QUESTIONS) for row in group]


def names(wire):
    """All commands of a server, subcommands as `container|name`."""
    rows = resp.decode(wire.ask("COMMAND"))
    return {row[0].lower() for row in rows} | {sub[0].lower() for row in rows for sub in row[9]}


def never_asked(reference, server):
    """Commands of both servers that the generator does not make."""
    with resp.connected(reference) as one, resp.connected(server) as other:
        left = names(one) & names(other)
    containers = {name.split(b"|")[0] for name in left if b"|" in name}
    generators = [Generator(random.Random(at), relative=False, tracks=at == 1) for at in (0, 1)]
    made = [command for at in range(SAMPLE_BATCHES) for command in generators[at % 2].batch().commands]
    for command in [*made, *roll_call(generators[0])]:
        name, *rest = ((arg if isinstance(arg, bytes) else arg.encode()).lower() for arg in command.args)
        left.discard(name)
        if name in containers and rest:
            left.discard(name + b"|" + rest[0])
    return sorted(name.decode() for name in left if name.decode() not in LEFT_OUT)


def carried(reference, server, seed):
    """Values go from each server to the other as DUMP writes them; those that arrive changed, or not at all."""
    rng = random.Random(seed)
    values = [words.value(rng) for _ in range(200)] + [b"ab" * 5000, bytes(70_000), b"-2147483648", b"2147483648", b"127"]
    lost = []
    with resp.connected(reference) as one, resp.connected(server) as other:
        for value in values:
            for giver, taker in ((one, other), (other, one)):
                giver.ask("SET", "given", value)
                payload = resp.decode(giver.ask("DUMP", "given"))
                answer = taker.ask("RESTORE", "taken", 0, payload, "REPLACE")
                arrived = resp.decode(taker.ask("GET", "taken"))
                encodings = [wire.ask("OBJECT", "ENCODING", key) for wire, key in ((giver, "given"), (taker, "taken"))]
                if answer != b"+OK\r\n" or arrived != value or encodings[0] != encodings[1]:
                    lost.append((value[:60], answer, encodings))
        for wire in (one, other):
            wire.ask("FLUSHALL")
    return lost


def found():
    """The groups of found.txt: lists of commands."""
    groups = [[]]
    for line in Path(__file__).with_name("found.txt").read_text().splitlines():
        if not line and groups[-1]:
            groups.append([])
        elif line and not line.startswith("#"):
            words_of = line.removeprefix("other: ").split(" ")
            args = tuple(re.sub(rb"\\x(..)", _byte, b"" if word == '""' else word.encode()) for word in words_of)
            rule = "hello" if args[0] == b"HELLO" else "exact"
            groups[-1].append(Command(args, resp.encode(*args), rule, lane=int(line.startswith("other: "))))
    return [group for group in groups if group]


def _byte(escape):
    return bytes.fromhex(escape[1].decode())


def misplaced(binary):
    """Keys that redis-server as a node of a cluster places in another slot."""
    keys = [*words.KEYS, *(random.Random(at).randbytes(at % 40) for at in range(100))]
    node = Server(binary=binary, cluster_enabled="yes")
    # Its other port is 10,000 above this one; from there on they are lent to clients.
    while (port := free_run(1)) > 22_000:
        pass
    node.port = port
    with node as reference, Server(cores=2, cluster_announce="on") as server:
        with resp.connected(reference) as one, resp.connected(server) as other:
            return [key for key in keys if one.ask("CLUSTER", "KEYSLOT", key) != other.ask("CLUSTER", "KEYSLOT", key)]
