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
from collections import Counter
from functools import partial
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from differential import ends, invalidations
from differential.compare import first_difference
from differential.events import Listener, difference
from differential.generate import Batch, Command, Generator
from differential.shrink import shrink
from differential.transactions import is_whole
from lib import resp
from lib.cases import shorten
from lib.server import Server

BATCHES_PER_EPISODE = 40
REPLY_S_MAX = 10.0
# The echo of a sentinel is looked for in so much of the end: pushes may stand behind it.
TAIL_BYTES = 1 << 20
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
        # What has come of a push behind the last sentinel, and the pushes that were whole.
        self.rests = [b"", b""]
        self.ear = invalidations.Ear()

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
            self.socks[at], self.rests[at] = None, b""

    def finish(self):
        """Ends the server, and raises if it did not end well. One that is dead by now has been reported."""
        self.disconnect()
        if self.server.is_alive():
            self.server.__exit__(None, None, None)

    def answers(self, chunks, ends, lane=0):
        """The reply bytes to a batch, up to the echo of a sentinel sent behind it, or up to the close. What came unasked
        behind that is among them.
        """
        if self.socks[lane] is None:
            self.socks[lane] = self.server.connect()
        sock = self.socks[lane]
        if ends:
            got, closed = resp.exchange(sock, chunks, lambda _: False, REPLY_S_MAX)
            self.disconnect(lane)
            return bytes(got)
        self.sentinels += 1
        tail, end = self._sentinel(b"sentinel-%d" % self.sentinels)
        got, closed = resp.exchange(sock, [*chunks, tail], lambda buf: end in buf[-TAIL_BYTES:], REPLY_S_MAX)
        got = self.rests[lane] + bytes(got)
        if closed:
            self.disconnect(lane)
            return got + b"-(closed)\r\n"
        replies, _, behind = got.rpartition(end)
        whole = resp.split_replies(behind)
        self.rests[lane] = whole.pop() if whole and resp.reply_end(whole[-1]) < 0 else b""
        return replies + b"".join(whole)

    def hear(self, enough):
        """What the second connection has been told by now: all of it, if this server tells before it answers anybody;
        else until it is enough.
        """
        if self.socks[1]:
            self.ear.take(self.answers([], False, 1))
            self.ear.hear(self.socks[1], enough)
        told, self.ear.keys = self.ear.keys, Counter()
        return told

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
    tracks = number % 4 == 1 and not secret
    generator = Generator(rng, relative=number % 2 == 1, modest=secret, tracks=tracks)
    batches = (generator.batch() for _ in range(BATCHES_PER_EPISODE))
    if secret:
        batches = (with_password(generator, batch) for batch in batches)
    elif number == 0:
        batches = (generator.on_lane(0, [command]) for command in ends.roll_call(generator))
    return play(peers, batches, number % 3 == 2 and not secret, tracks)


def with_password(generator, batch):
    """At times with one before it, right or wrong."""
    if generator.rng.random() < 0.3:
        batch.commands.insert(0, generator.command("AUTH", generator.rng.choice((PASSWORD, PASSWORD, "wrong"))))
        batch.chunks = generator.split(b"".join(command.wire for command in batch.commands))
    return batch


def play(peers, batches, listens, tracks):
    """Sends batches to all, from empty servers on; see `episode`."""
    for peer in peers:
        peer.start_over(listens)
    history, loosely = [], False
    for batch in batches:
        history += batch.commands
        reference = peers[0].answers(batch.chunks, batch.ends, batch.lane)
        events = peers[0].listener.until_mark() if listens else []
        loosely |= any(b"BCAST" in map(bytes.upper, command.args[2:]) for command in batch.commands)
        told = hear(peers[0], batch, reference) if tracks else None
        for peer in peers[1:]:
            answers = ask(peer, batch)
            found = first_difference(batch.commands, answers, reference)
            if listens and not found:
                found = events_differ(batch.commands, peer.listener.heard(events), events)
            if tracks and not found:
                found = told_differ(batch, hear(peer, batch, answers, told, loosely), told, loosely)
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


def hear(peer, batch, answers, expected=None, loosely=False):
    """What a peer has told its second connection since the last batch. What is expected is waited for."""
    if batch.lane == 1:
        peer.ear.take(answers)
    if expected is None or goes_deaf(batch):
        return peer.hear(lambda _: True)
    if loosely:
        return peer.hear(lambda keys: None in keys or set(keys) >= set(expected))
    return peer.hear(lambda keys: None in keys and None in expected or keys >= expected)


def goes_deaf(batch):
    """Whether the second connection ends, or begins or ceases to hear: whether it is told of what changes just then is each
    server's own business.
    """
    said = [list(map(bytes.upper, command.args)) for command in batch.commands if command.mode != "end"]
    turns = any(args[0] in (b"RESET", b"HELLO") or args[:3] == [b"CLIENT", b"TRACKING", b"OFF"] for args in said)
    return batch.lane == 1 and (batch.ends or turns)


def told_differ(batch, ours, theirs, loosely):
    # A word about all keys may stand for those about some.
    if goes_deaf(batch) or None in ours and None in theirs:
        return None
    if loosely:
        ours, theirs = Counter(set(ours)), Counter(set(theirs))
    if not (found := invalidations.difference(ours, theirs)):
        return None
    key, *counts = found
    about = next((command for command in reversed(batch.commands) if key in command.args), batch.commands[-1])
    ours, theirs = (b"told of %d times" % count for count in counts)
    return Command((*about.args, b"(invalidates %b)" % key), b""), ours, theirs


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
    if command and b"(invalidates " in command.args[-1]:
        key = command.args[-1][len(b"(invalidates ") : -1]
        about = [each for each in history if key in each.args or b"TRACKING" in map(bytes.upper, each.args[1:2])]
        print("  what was said of it:")
        for each in about[-20:]:
            print(f"    {'  other: ' if each.lane else ''}{shorten(each.args)}")
        return
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
        binary = redis_binary()
        peers = [Peer("redis", partial(Server, binary=binary, **options))]
        stack.callback(peers[0].finish)
        for count in cores[:1] if secret else cores:
            peers.append(Peer(f"{count} core(s)", partial(Server, cores=count, **options)))
            stack.callback(peers[-1].finish)
        sent, number = 0, only or 0
        start = time.monotonic()
        for which, commands in enumerate(ends.found() if only is None and not secret else ()):
            parts = [list(batch) for _, batch in groupby(commands, key=lambda command: command.lane)]
            wires = [b"".join(command.wire for command in batch) for batch in parts]
            batches = [Batch(part, [wire], False, part[0].lane) for part, wire in zip(parts, wires, strict=True)]
            count, difference = play(peers, batches, listens=True, tracks=True)
            sent += count
            if difference:
                failures += 1
                report(f"found.txt, group {which + 1}", 0, peers, difference)
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


def redis_binary():
    return os.environ.get("REDIS_BIN", "redis-server")


def look_once(seed):
    """What needs no episodes; returns whether all is well."""
    cores = int(os.environ.get("CORES", "2").split()[-1])
    with Server(binary=redis_binary()) as reference, Server(cores=cores) as server:
        faults = [("never asked", name) for name in ends.never_asked(reference, server)]
        faults += [("changed on its way", row) for row in ends.carried(reference, server, seed)]
    faults += [("in another slot", key) for key in ends.misplaced(redis_binary())]
    for what, which in faults:
        print(f"DIFFERENCE: {what}: {which!r}")
    return not faults


def main():
    seed = os.environ.get("SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"SEED={seed}", flush=True)
    canary(seed)
    commands = int(os.environ.get("COMMANDS", "200000"))
    only = int(os.environ["EPISODE"]) if "EPISODE" in os.environ else None
    failures = [] if only is not None else [int(not look_once(seed))]
    failures += [run(seed, commands, only, False), run(seed, commands // 20, only, True)]
    failed = sum(1 for count in failures if count)
    print(f"{len(failures) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
