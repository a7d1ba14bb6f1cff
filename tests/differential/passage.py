#!/usr/bin/env python3
"""Which arguments of a request are keys: redis-server is asked about random requests of each of its commands, and
tests/passage compares what this program takes for keys.

Environment: SEED (default: drawn, and printed), REQUESTS (a command; default 40, for those with movable keys ten times as
many), REDIS_BIN. `passage.py FILE` writes the answers to a file and compares nothing: so tests/passage/redis_7_0.txt was
made, with SEED=7 and REQUESTS=3.
"""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import resp
from lib.server import Server

ROOT = Path(__file__).resolve().parents[2]
MOVABLE_FACTOR = 10
WORDS_BEYOND_MAX = 9
# Words that any rule for finding keys looks at. Numbers in other forms than these are left out: there a server finds keys by
# a number that it then refuses.
KEYWORDS = ("STORE", "storedist", "STREAMS", "streams", "KEYS", "keys", "GET", "by", "LIMIT", "AUTH", "auth2", "COPY", "COUNT", "BLOCK", "GROUP", "ASC")
NUMBERS = ("0", "1", "2", "3", "4", "9", "-1", "x", "99999999999999999999")


def flat(rows):
    for row in rows:
        yield row
        yield from flat(row[9])


def words_of(name, argc, rng):
    """A request of so many words; each but keywords and numbers comes once, so that a key says where it stands."""
    words = name.split("|")
    while len(words) < argc:
        drawn = rng.random()
        if drawn < 0.2:
            words.append(rng.choice(KEYWORDS))
        elif drawn < 0.5:
            words.append(rng.choice(NUMBERS))
        elif drawn < 0.55:
            words.append('""')
        else:
            words.append(f"w{len(words)}")
    return words


def requests(name, arity, count, rng):
    least = abs(arity)
    yield name.split("|") + [f"w{place}" for place in range(name.count("|") + 1, least)]
    for _ in range(count):
        yield words_of(name, least + (rng.randrange(WORDS_BEYOND_MAX) if arity < 0 else 0), rng)


def answers(wire, count, rng):
    """Lines for tests/passage."""
    rows = sorted(flat(resp.decode(wire.ask("COMMAND"))), key=lambda row: row[0])
    for name, arity, flags, first, last, step, _, tips, _, _ in rows:
        plain = [",".join(word.decode().lstrip("+") for word in words) or "-" for words in (flags, tips)]
        yield f"command {name.decode()} {arity} {first} {last} {step} {plain[0]} {plain[1]}"
    for name, arity, flags, *_, subcommands in rows:
        if subcommands:
            continue
        is_movable = b"+movablekeys" in flags
        asked = list(requests(name.decode(), arity, count * (MOVABLE_FACTOR if is_movable else 1), rng))
        for words in asked:
            wire.send(resp.encode("COMMAND", "GETKEYS", *[word.strip('"') for word in words]))
        for words in asked:
            keys = resp.decode(wire.reply())
            found = " ".join(key.decode() or '""' for key in keys) if isinstance(keys, list) and keys else "-"
            yield f"keys {' '.join(words)} = {found}"


def main():
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    count = int(os.environ.get("REQUESTS", 40))
    print(f"seed {seed}", flush=True)
    with Server(binary=os.environ.get("REDIS_BIN", "redis-server")) as server, resp.connected(server) as wire:
        lines = list(answers(wire, count, random.Random(seed)))
    text = "\n".join(["# What redis-server says of its commands and of requests; see tests/differential/passage.py.", *lines, ""])
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(text)
        file.flush()
        environment = {**os.environ, "PASSAGE_ANSWERS": file.name}
        sys.exit(subprocess.call(["cargo", "test", "--test", "passage"], cwd=ROOT, env=environment))


if __name__ == "__main__":
    main()
