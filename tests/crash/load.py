"""Clients that write at full speed and keep the ledger: a few processes, each with many connections.

A client has groups of keys that only it writes; it reads anybody's. Some clients pipeline. What was sent is noted
before the bytes go out, what was answered after they came in; so a ledger claims too little, never too much.
"""

import contextlib
import functools
import multiprocessing
import random
import select
import socket
import time

from crash.ledger import Counter, Group, Ledger, Step, stamp
from lib import resp

GROUPS_PER_CLIENT = 3
KEYS = (b"a", b"b", b"c", b"n")
COUNTERS = tuple(b"{count%d}" % n for n in range(3))
DEPTHS = (1, 1, 1, 4, 16, 64)
APPENDS_MAX = 12
# 1 January 2100: no key ends during a test, each end is another.
END_MS = 4_102_444_800_000
FILLERS = (8, 24, 24, 60, 60, 200, 1500)
LARGE_BYTES = (5000, 20_000, 70_000)
IDLE_S, SENDING_S = 0.05, 0.001
REPLY_S_MAX = 5
COLLECT_S_MAX = 60
# So often a client comes back.
LOSSES_MAX = 20


class Client:
    """One connection: draws what to send next, and books the replies."""

    def __init__(self, number, rng, ledger, readable, label, hot):
        self.rng = rng
        self.ledger = ledger
        self.readable = readable
        self.sock = None
        self.losses = 0
        self.label = label
        self.depth = rng.choice(DEPTHS)
        self.names = group_names(number)
        self.serial = 0
        # What is read by all and written by one gets hot, and so does what is counted by all.
        self.looks, self.counts = (0.5, 0.2) if hot else (0.12, 0.05)
        self.counters = COUNTERS[:1] if hot else COUNTERS
        self.appends = {}
        self.buf = bytearray()
        # (how many replies, what to do with the last, the step) in the order in which they were sent.
        self.waiting = []
        self.out = b""
        # A group of which a write was refused is left as it is: what it may hold stays countable.
        self.barred = set()

    def draw(self):
        """Sends a pipeline's worth."""
        out = []
        now = time.monotonic_ns()
        for _ in range(self.depth):
            roll = self.rng.random()
            if roll < self.looks or len(self.barred) == len(self.names):
                out.append(self._look())
            elif roll < self.looks + self.counts:
                out.append(self._count(now))
            else:
                out.append(self._write(now))
        self.out = b"".join(out)
        self.flush()

    def flush(self):
        try:
            self.out = self.out[self.sock.send(self.out) :]
        except BlockingIOError:
            pass

    def _look(self):
        if self.rng.random() < 0.3:
            key = self.rng.choice(self.counters)
            self.waiting.append((1, functools.partial(self._saw_counter, key), None))
        else:
            name = self.rng.choice(self.readable)
            key = name + self.rng.choice(KEYS)
            self.waiting.append((1, functools.partial(self._saw, name, key), None))
        return resp.encode(b"GET", key)

    def _saw(self, name, key, value, now):
        self._group(name).sightings.setdefault((key, value), now)

    def _saw_counter(self, key, value, now):
        self._counter(key).sightings.setdefault(int(value or 0), now)

    def _count(self, now):
        key = self.rng.choice(self.counters)
        step = Step((), now)
        self._counter(key).steps.append(step)
        self.waiting.append((1, functools.partial(self._saw_counter, key), step))
        return resp.encode(b"INCR", key)

    def _group(self, name):
        if name not in self.ledger.groups:
            self.ledger.groups[name] = Group(name, tuple(name + key for key in KEYS))
        return self.ledger.groups[name]

    def _counter(self, key):
        return self.ledger.counters.setdefault(key, Counter(key))

    def _write(self, now):
        name = self.rng.choice([name for name in self.names if name not in self.barred])
        roll = self.rng.random()
        if roll < 0.12:
            keys = self.rng.sample(KEYS[:3], self.rng.randrange(2, 4))
            deeds = [deed for key in keys for deed in self._set(name + key)]
            words = [[b"MSET", *(word for deed in deeds for word in (deed[1], deed[2][0]))]]
        elif roll < 0.24:
            parts = [self._single(name) for _ in range(self.rng.randrange(2, 5))]
            deeds = [deed for part, _ in parts for deed in part]
            words = [[b"MULTI"], *(line for _, line in parts), [b"EXEC"]]
        else:
            deeds, line = self._single(name)
            words = [line]
        step = Step(tuple(deeds), now)
        self._group(name).steps.append(step)
        self.waiting.append((len(words), None, step))
        return b"".join(resp.encode(*line) for line in words)

    def _single(self, name):
        """One command: what it does, and its words."""
        roll = self.rng.random()
        key = name + self.rng.choice(KEYS[:3])
        if roll < 0.14:
            return [("incr", name + b"n", None)], [b"INCR", name + b"n"]
        if roll < 0.20:
            key = name + self.rng.choice(KEYS)
            self.appends[key] = 0
            return [("del", key, None)], [b"DEL", key]
        if roll < 0.28:
            self.serial += 1
            end = END_MS + self.serial
            return [("expire", key, end)], [b"PEXPIREAT", key, b"%d" % end]
        if roll < 0.45 and self.appends.get(key, 0) < APPENDS_MAX:
            self.appends[key] = self.appends.get(key, 0) + 1
            part = self._value(key) + b";"
            return [("append", key, part)], [b"APPEND", key, part]
        deeds = self._set(key)
        if roll < 0.55:
            self.serial += 1
            end = END_MS + self.serial
            return [*deeds, ("expire", key, end)], [b"SET", key, deeds[0][2][0], b"PXAT", b"%d" % end]
        return deeds, [b"SET", key, deeds[0][2][0]]

    def _set(self, key):
        self.appends[key] = 0
        return [("set", key, (self._value(key) + b";", -1))]

    def _value(self, key):
        self.serial += 1
        size = self.rng.choice(FILLERS) if self.rng.random() < 0.995 else self.rng.choice(LARGE_BYTES)
        return stamp(key, b"%s.%d" % (self.label, self.serial), b"x" * size)

    def receive(self):
        """Books what has come; whether the connection still stands."""
        try:
            chunk = self.sock.recv(1 << 18)
        except BlockingIOError:
            return True
        except OSError:
            return False
        now = time.monotonic_ns()
        if not chunk:
            return False
        self.buf += chunk
        pos = 0
        while self.waiting:
            count, book, step = self.waiting[0]
            start = end = pos
            for _ in range(count):
                start, end = end, resp.reply_end(self.buf, end) if end < len(self.buf) else -1
                if end < 0:
                    break
            if end < 0:
                break
            self._book(bytes(self.buf[start:end]), book, step, now)
            self.waiting.pop(0)
            pos = end
        del self.buf[:pos]
        return True

    def _book(self, raw, book, step, now):
        # An error, be it one inside of what EXEC was answered.
        at = 0 if raw.startswith(b"-") else raw.find(b"\r\n-") + 2 if raw.startswith(b"*") else -1
        if at == 0 or at > 1:
            text = ("in EXEC: " if at else "") + raw[at : raw.index(b"\r\n", at)].decode(errors="replace")
            self.ledger.errors[text] = self.ledger.errors.get(text, 0) + 1
            if step is not None:
                step.refused = True
                self.bar(step)
            return
        if step is not None:
            step.answered_ns = now
        if book is not None:
            book(resp.decode(raw), now)


    def bar(self, step):
        self.barred.update(key[: key.index(b"}") + 1] for _, key, _ in step.deeds)

    def forget(self):
        """The connection is lost, and with it the answers that were due."""
        self.losses += 1
        for _, _, step in self.waiting:
            if step is not None:
                self.bar(step)
        self.waiting.clear()
        self.buf.clear()
        self.out = b""


def group_names(client):
    return [b"{c%d.%d}" % (client, n) for n in range(GROUPS_PER_CLIENT)]


class Part:
    """One process of the load: until its time is over or the server is gone."""

    def __init__(self, port, end_s):
        self.port = port
        self.end_s = end_s
        self.poll = select.epoll()
        self.active = {}

    def connect(self, client):
        client.sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sock.setblocking(False)
        self.active[client.sock.fileno()] = client
        self.poll.register(client.sock.fileno(), select.EPOLLIN)

    def run(self):
        while self.active:
            over, sending = time.monotonic() > self.end_s, False
            for fd, client in list(self.active.items()):
                if client.out:
                    sending = True
                    self.serve(client.flush, fd)
                elif not client.waiting and over:
                    self.drop(fd)
                elif not client.waiting:
                    self.serve(client.draw, fd)
            # A reply that takes longer counts as none.
            if time.monotonic() > self.end_s + REPLY_S_MAX:
                break
            for fd, _ in self.poll.poll(SENDING_S if sending else IDLE_S):
                if fd in self.active and not self.active[fd].receive():
                    self.lose(fd)

    def serve(self, call, fd):
        try:
            call()
        except OSError:
            self.lose(fd)

    def drop(self, fd):
        self.poll.unregister(fd)
        client = self.active.pop(fd)
        client.sock.close()
        return client

    def lose(self, fd):
        """The server has closed: if it is there, the client comes back, and leaves what was not answered as it is."""
        client = self.drop(fd)
        client.forget()
        if client.losses <= LOSSES_MAX and time.monotonic() < self.end_s:
            with contextlib.suppress(OSError):
                self.connect(client)


def work(pipe, port, numbers, clients, label, end_s, hot):
    ledger, part = Ledger(), Part(port, end_s)
    readable = [name for number in range(1 if hot else clients) for name in group_names(number)]
    for number in numbers:
        rng = random.Random(f"{label}/{number}")
        part.connect(Client(number, rng, ledger, readable, label.encode(), hot))
    pipe.send("ready")
    part.run()
    pipe.send(ledger)
    pipe.close()


class Load:
    """`load = Load(port, clients, label, seconds)` writes from there on; `load.collect(ledger)` waits for its end.

    The label is part of each value and the seed of all that is drawn. `hot`: most operations meet on a few keys.
    """

    def __init__(self, port, clients, label, seconds, hot=False, processes=2):
        context = multiprocessing.get_context("fork")
        self.parts = []
        end_s = time.monotonic() + seconds
        for part in range(processes):
            near, far = context.Pipe()
            numbers = range(part, clients, processes)
            process = context.Process(target=work, args=(far, port, numbers, clients, label, end_s, hot), daemon=True)
            process.start()
            far.close()
            self.parts.append((process, near))
        for _, near in self.parts:
            near.recv()

    def collect(self, ledger):
        for process, near in self.parts:
            if not near.poll(COLLECT_S_MAX):
                process.kill()
                raise TimeoutError("a process of the load did not end")
            ledger.merge(near.recv())
            process.join()
