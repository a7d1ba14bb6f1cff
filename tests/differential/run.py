#!/usr/bin/env python3
"""The differential test: random commands go to redis-server and to this server on 1, 2 and 4 cores, and replies must
be equal.

Environment: SEED (default: drawn, and printed), COMMANDS (default 200000), EPISODE (replay only that one), CORES ("1
2 4"), COLDPLATE_BIN, REDIS_BIN. An episode starts from empty servers and new connections, so its number and the seed
reproduce it.
"""

import contextlib
import os
import random
import sys
import time
from functools import partial
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from differential.compare import first_difference
from differential.events import Listener, difference
from differential.generate import Command, Generator
from differential.shrink import shrink
from differential.transactions import is_whole
from lib import resp
from lib.cases import shorten
from lib.server import Server

BATCHES_PER_EPISODE = 40
REPLY_S_MAX = 10.0
PASSWORD = "open sesame"


class Peer:
    """One server and the connection to it. A server that dies is a difference, and is replaced to shrink the cause."""

    def __init__(self, name, make):
        self.name = name
        self.make = make
        self.server = make().__enter__()
        # Two connections, each opened when it is needed.
        self.socks = [None, None]
        self.sentinels = 0
        self.listener = None

    def start_over(self, listens=False):
        """No keys, and no connection: the next batch opens one. `listens`: one hears of what happens to keys."""
        self.disconnect()
        if self.listener and self.server.is_alive():
            self.listener.close()
        self.listener = None
        if not self.server.is_alive():
            self.server = self.make().__enter__()
        with resp.connected(self.server) as wire:
            if "requirepass" in self.server.options:
                wire.ask("AUTH", PASSWORD)
            wire.ask("FLUSHALL")
        if listens:
            self.listener = Listener(self.server)

    def disconnect(self, lane=None):
        for at in range(len(self.socks)) if lane is None else (lane,):
            if self.socks[at]:
                self.socks[at].close()
            self.socks[at] = None

    def finish(self):
        """Ends the server, and raises if it did not end well. One that is dead by now has been reported."""
        self.disconnect()
        if self.server.is_alive():
            self.server.__exit__(None, None, None)

    def answers(self, chunks, ends, lane=0):
        """The reply bytes to a batch, up to the echo of a sentinel sent behind it, or up to the close."""
        if self.socks[lane] is None:
            self.socks[lane] = self.server.connect()
        sock = self.socks[lane]
        if ends:
            got, closed = resp.exchange(sock, chunks, lambda _: False, REPLY_S_MAX)
            self.disconnect(lane)
            return bytes(got)
        self.sentinels += 1
        tail, end = self._sentinel(b"sentinel-%d" % self.sentinels)
        got, closed = resp.exchange(sock, [*chunks, tail], lambda buf: buf.endswith(end), REPLY_S_MAX)
        if closed:
            self.disconnect(lane)
            return bytes(got) + b"-(closed)\r\n"
        return bytes(got[: -len(end)])

    def _sentinel(self, mark):
        """A request and its reply, unlike any other. Before AUTH, where nothing echoes, a command unknown."""
        on = resp.encode("CLIENT", "REPLY", "ON")
        if "requirepass" in self.server.options:
            return on + resp.encode(mark), b"-ERR unknown command '%b', with args beginning with: \r\n" % mark
        return on + resp.encode("ECHO", mark), b"$%d\r\n%b\r\n" % (len(mark), mark)


def episode(peers, seed, number):
    """Runs one; returns how many commands it had, or the first difference as (peer, commands so far, difference)."""
    secret = "requirepass" in peers[0].server.options
    rng = random.Random(f"{seed}/{number}/{secret}")
    generator = Generator(rng, relative=number % 2 == 1, modest=secret)
    listens = number % 3 == 2 and not secret
    for peer in peers:
        peer.start_over(listens)
    history = []
    for _ in range(BATCHES_PER_EPISODE):
        batch = generator.batch()
        if secret and rng.random() < 0.3:
            batch.commands.insert(0, generator.command("AUTH", rng.choice((PASSWORD, PASSWORD, "wrong"))))
            batch.chunks = generator.split(b"".join(command.wire for command in batch.commands))
        history += batch.commands
        reference = peers[0].answers(batch.chunks, batch.ends, batch.lane)
        events = peers[0].listener.until_mark() if listens else []
        for peer in peers[1:]:
            found = first_difference(batch.commands, ask(peer, batch), reference)
            if listens and not found:
                found = events_differ(batch.commands, peer.listener.heard(events), events)
            if found:
                return len(history), (peer, history, found)
    return len(history), None


def events_differ(commands, ours, theirs):
    found = difference(ours, theirs)
    if not found:
        return None
    (kind, key), ours, theirs = found
    about = next((command for command in reversed(commands) if key in command.args), commands[-1])
    return Command((*about.args, b"(tells %b of %b)" % (kind, key)), b""), ours, theirs


def ask(peer, batch):
    try:
        return peer.answers(batch.chunks, batch.ends, batch.lane)
    except (resp.Stalled, OSError) as error:
        peer.disconnect()
        return getattr(error, "data", b"") + b"-(" + str(error).encode()[:60] + b")\r\n"


def differs(reference, peer, commands):
    """Whether this sequence, sent at once to empty servers, still tells the two apart. What one connection sends in a row
    is one batch.
    """
    batches = [list(batch) for _, batch in groupby(commands, key=lambda command: command.lane)]
    if not all(map(is_whole, batches)):
        return None
    reference.start_over()
    peer.start_over()
    for batch in batches:
        stream, ends, lane = [b"".join(command.wire for command in batch)], batch[-1].mode == "end", batch[0].lane
        replies = []
        for each in (peer, reference):
            try:
                replies.append(each.answers(stream, ends, lane))
            except (resp.Stalled, OSError) as error:
                each.disconnect()
                replies.append(b"-(" + str(error).encode()[:60] + b")\r\n")
        if found := first_difference(batch, *replies):
            return found
    return None


def report(seed, number, peers, difference):
    peer, history, (command, ours, theirs) = difference
    print(f"\nDIFFERENCE from {peers[0].name} on {peer.name}; reproduce: SEED={seed} EPISODE={number}")
    if not peer.server.is_alive():
        print(f"  {peer.name} died: {peer.server.log()}")
    print(f"  command: {shorten(command.args) if command else '(none: more replies than commands)'}")
    print(f"  {peers[0].name}: {shorten(theirs)}\n  {peer.name}: {shorten(ours)}")
    if "requirepass" in peer.server.options:
        # Sent at once, before AUTH, a sequence would meet the limits for strangers instead.
        print("  the last commands:", *(shorten(each.args) for each in history[-20:]), sep="\n    ", flush=True)
        return
    # What a connection's end separates cannot be sent as one stream.
    last_end = max((at for at, each in enumerate(history[:-1]) if each.mode == "end"), default=-1)
    for commands in (history[last_end + 1 :], [each for each in history[:-1] if each.mode != "end"] + history[-1:]):
        if not differs(peers[0], peer, commands):
            continue
        shortest = shrink(commands, lambda some: differs(peers[0], peer, some))
        command, ours, theirs = differs(peers[0], peer, shortest) or (None, b"", b"")
        print(f"  shrunk to {len(shortest)} commands:")
        for each in shortest[-30:]:
            print(f"    {'  other: ' if each.lane else ''}{shorten(each.args)}")
        print(f"  {peers[0].name}: {shorten(theirs)}\n  {peer.name}: {shorten(ours)}", flush=True)
        return
    print("  (does not differ when sent as one pipeline: a matter of splits or of timing)", flush=True)


def canary(seed):
    """A comparison that cannot fail proves nothing: a changed reply, or a lost one, has to be found."""
    commands = [Command((b"GET", b"k"), b"") for _ in range(50)]
    replies = [b"$3\r\n%03d\r\n" % i for i in range(50)]
    at = random.Random(seed).randrange(50)
    for planted in (b"$3\r\nxyz\r\n", b""):
        changed = b"".join(replies[:at] + [planted] + replies[at + 1 :])
        if not first_difference(commands, changed, b"".join(replies)):
            raise AssertionError(f"a planted difference in reply {at} was not noticed")


def run(seed, commands_wanted, only, secret):
    """One reference and the servers under test, compared until the commands are used up or episodes fail."""
    cores = [int(word) for word in os.environ.get("CORES", "1 2 4").split()]
    options = {"requirepass": PASSWORD} if secret else {}
    failures = 0
    with contextlib.ExitStack() as stack:
        binary = os.environ.get("REDIS_BIN", "redis-server")
        peers = [Peer("redis", partial(Server, binary=binary, **options))]
        stack.callback(peers[0].finish)
        for count in cores[:1] if secret else cores:
            peers.append(Peer(f"{count} core(s)", partial(Server, cores=count, **options)))
            stack.callback(peers[-1].finish)
        sent, number = 0, only or 0
        start = time.monotonic()
        while sent < commands_wanted and failures < 3:
            count, difference = episode(peers, seed, number)
            sent += count
            if difference:
                failures += 1
                report(seed, number, peers, difference)
            if only is not None:
                break
            number += 1
        took_s = time.monotonic() - start
        what = "with a password" if secret else f"cores {' '.join(map(str, cores))}"
        print(f"{sent} commands, {number} episodes, {what}: {failures} differ  {took_s:.1f} s", flush=True)
    return failures


def main():
    seed = os.environ.get("SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"SEED={seed}", flush=True)
    canary(seed)
    commands = int(os.environ.get("COMMANDS", "200000"))
    only = int(os.environ["EPISODE"]) if "EPISODE" in os.environ else None
    failures = [run(seed, commands, only, False), run(seed, commands // 20, only, True)]
    failed = sum(1 for count in failures if count)
    print(f"{len(failures) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
