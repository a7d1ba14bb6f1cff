"""Clients that know each reply beforehand: every connection works on keys of its own, so a model says what has to come.

A connection may break at any time. Then what came must be the beginning of what was due, and each of its keys must end
as the requests before some point of its pipeline leave it, at or behind the last one that was answered. A request that
is neither answered nor its connection closed within PATIENCE_S is a failure.
"""

import random
import threading
import time
from itertools import chain

from lib import resp
from lib.cases import check, check_equal

PATIENCE_S = 20.0
KEYS = 6
BATCHES = (1, 1, 1, 4, 16, 60)
SMALL_BYTES = (0, 3, 40, 700)
LARGE_BYTES = (70_000, 150_000, 300_000)


def bulk(value):
    return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)


class Life:
    """What one connection asks: `now` is what its keys hold after all of it, `settled` after what was answered."""

    def __init__(self, name, rng):
        self.name = name
        self.rng = rng
        self.now = {}
        self.settled = {}
        self.asked = []

    def key(self, kind):
        return f"{kind}:{self.name}:{self.rng.randrange(KEYS)}"

    def request(self, words, reply, **changes):
        """One request with its reply; `changes` are the values that it leaves."""
        self.now.update(changes)
        self.asked.append((resp.encode(*words), reply, changes))

    def number(self, key):
        return int(self.now.get(key) or 0)

    def batch(self, large):
        """Adds requests; returns their bytes and their replies."""
        kinds = [self.write, self.write, self.read, self.read, self.count, self.append, self.several, self.together]
        for _ in range(self.rng.choice(BATCHES)):
            self.rng.choice(kinds)()
        if large and self.rng.random() < large:
            self.write("large", LARGE_BYTES)
            self.read("large")
        sent, due, _ = zip(*self.asked)
        return b"".join(sent), b"".join(due)

    def write(self, kind="small", sizes=SMALL_BYTES):
        key, value = self.key(kind), self.rng.randbytes(self.rng.choice(sizes))
        if self.rng.random() < 0.2:
            return self.request(("GETSET", key, value), bulk(self.now.get(key)), **{key: value})
        return self.request(("SET", key, value), b"+OK\r\n", **{key: value})

    def read(self, kind="small"):
        key = self.key(kind)
        self.request(("GET", key), bulk(self.now.get(key)))

    def count(self):
        key = self.key("number")
        total = self.number(key) + 1
        self.request(("INCR", key), b":%d\r\n" % total, **{key: b"%d" % total})

    def append(self):
        key = self.key("grown")
        value = self.now.get(key) or b""
        if len(value) > 3000:
            return self.request(("DEL", key), b":1\r\n", **{key: None})
        value += self.rng.randbytes(100)
        return self.request(("APPEND", key, value[-100:]), b":%d\r\n" % len(value), **{key: value})

    def several(self):
        """MSET and MGET over slots."""
        values = {self.key("small"): self.rng.randbytes(20) for _ in range(3)}
        self.request(("MSET", *chain(*values.items())), b"+OK\r\n", **values)
        keys = [self.key("small") for _ in range(4)]
        self.request(("MGET", *keys), b"*4\r\n" + b"".join(bulk(self.now.get(key)) for key in keys))

    def together(self):
        """A transaction on two counters in different slots, which are equal ever after."""
        pair = [f"pair:{self.name}:a", f"pair:{self.name}:b"]
        total = self.number(pair[0]) + 1
        self.request(("MULTI",), b"+OK\r\n")
        for key in pair:
            self.request(("INCR", key), b"+QUEUED\r\n")
        self.request(("EXEC",), b"*2\r\n" + b":%d\r\n" % total * 2, **dict.fromkeys(pair, b"%d" % total))

    def settle(self, answered):
        """So many of the requests have been answered."""
        for _, _, changes in self.asked[:answered]:
            self.settled.update(changes)
        del self.asked[:answered]

    def end(self):
        """The values that each key may hold: nobody knows how far the requests that are left came."""
        may_hold = {key: [value] for key, value in self.settled.items()}
        for _, _, changes in self.asked:
            for key, value in changes.items():
                may_hold.setdefault(key, [None]).append(value)
        return may_hold


class Client(threading.Thread):
    """Lives one life after another until it is stopped; `error` is what it found wrong."""

    def __init__(self, server, name, seed, batches_max=1 << 30, large=0.1):
        super().__init__(daemon=True)
        self.server, self.name, self.rng = server, name, random.Random(f"{seed} {name}")
        self.batches_max, self.large = batches_max, large
        self.stopping = threading.Event()
        self.may_hold = {}
        self.answered = self.lives = 0
        self.error = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.live()
        except Exception as error:  # noqa: BLE001 (a thread's failure is the case's)
            self.error = error

    def live(self):
        """A connection's life: until it breaks, has asked enough, or all is to end."""
        life = Life(f"{self.name}.{self.lives}", self.rng)
        self.lives += 1
        try:
            with self.server.connect(PATIENCE_S) as sock:
                for _ in range(self.batches_max):
                    if self.stopping.is_set():
                        break
                    sent, due = life.batch(self.large)
                    got, closed = resp.exchange(sock, [sent], lambda got, due=due: len(got) >= len(due), PATIENCE_S)
                    answered = len(life.asked) if bytes(got) == due else self.whole(life.asked, bytes(got), closed)
                    self.answered += answered
                    life.settle(answered)
                    if life.asked:
                        break
        except ConnectionError:
            pass
        self.may_hold.update(life.end())

    def whole(self, asked, got, closed):
        """How many replies have come whole, where not all have come."""
        count = at = 0
        for _, reply, _ in asked:
            if got[at : at + len(reply)] != reply:
                rest = got[at:]
                check(closed and reply.startswith(rest), f"{self.name}: {rest[:80]!r} where {reply[:80]!r} was due")
                return count
            count, at = count + 1, at + len(reply)
        raise AssertionError(f"{self.name}: {len(got) - at} bytes more than asked for: {got[at : at + 80]!r}")


class Listener(threading.Thread):
    """Listens to a channel, again and again; `heard` is one list of messages for each connection."""

    def __init__(self, server, channel):
        super().__init__(daemon=True)
        self.server, self.channel = server, channel
        self.heard, self.error = [], None
        self.ended = threading.Event()

    def run(self):
        try:
            while not self.ended.is_set():
                try:
                    with resp.Wire(self.server.connect(PATIENCE_S)) as wire:
                        self.listen(wire)
                except (ConnectionError, resp.Closed):
                    pass
        except Exception as error:  # noqa: BLE001
            self.error = error

    def listen(self, wire):
        confirmed = resp.decode(wire.ask("SUBSCRIBE", self.channel))
        check_equal(confirmed, [b"subscribe", self.channel.encode(), 1])
        self.heard.append([])
        while True:
            kind, _, text = resp.decode(wire.reply())
            life, number, padding = text.split(b":")
            check(kind == b"message" and padding == b"p" * padding_bytes(int(number)), f"a message torn: {text[:80]!r}")
            if int(life) < 0:
                self.ended.set()
                return
            self.heard[-1].append((int(life), int(number)))


def padding_bytes(number):
    return 100_000 if number % 97 == 0 else number % 800


def message(life, number):
    return b"%d:%d:%b" % (life, number, b"p" * padding_bytes(number))


class Publisher(Client):
    """Publishes numbered messages; `told` are those whose PUBLISH was answered."""

    def __init__(self, server, channel, seed):
        super().__init__(server, f"publisher of {channel}", seed)
        self.channel, self.told, self.number = channel, [], 0

    def live(self):
        life = self.lives
        self.lives += 1
        try:
            with resp.Wire(self.server.connect(PATIENCE_S)) as wire:
                while not self.stopping.is_set():
                    numbers = range(self.number, self.number + self.rng.choice((1, 5, 20)))
                    self.number = numbers.stop
                    wire.send(b"".join(resp.encode("PUBLISH", self.channel, message(life, n)) for n in numbers))
                    for number in numbers:
                        check(wire.reply() in (b":0\r\n", b":1\r\n", b":2\r\n"), "PUBLISH counts its listeners")
                        self.told.append((life, number))
                        self.answered += 1
        except (ConnectionError, resp.Closed):
            pass

    def tell_the_end(self, listeners):
        """Until all have heard that it is over."""
        deadline = time.monotonic() + PATIENCE_S
        with Insistent(self.server) as asker:
            while not all(listener.ended.is_set() or listener.error for listener in listeners):
                check(time.monotonic() < deadline, "a listener does not hear the last message")
                asker.ask("PUBLISH", self.channel, message(-1, 0))
                time.sleep(0.02)

    def judge(self, listener):
        """Whoever listens hears each connection's messages in order, and all that were told while it listened."""
        for heard in listener.heard:
            for life in {life for life, _ in heard}:
                numbers = [number for of, number in heard if of == life]
                check(all(a < b for a, b in zip(numbers, numbers[1:])), f"messages out of order: {numbers}")
                told = {n for of, n in self.told if of == life and numbers[0] <= n <= numbers[-1]}
                check(told <= set(numbers), f"messages missing: {sorted(told - set(numbers))[:10]}")


class Insistent:
    """Gets a reply to each request, by as many connections as it takes."""

    def __init__(self, server):
        self.server, self.wire = server, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.wire:
            self.wire.sock.close()

    def ask(self, *words):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                self.wire = self.wire or resp.Wire(self.server.connect(PATIENCE_S))
                return self.wire.ask(*words)
            except (ConnectionError, resp.Closed):
                self.__exit__()
                self.wire = None
        raise AssertionError(f"{words[0]} finds no connection that lasts")


def judge_keys(asker, clients):
    """Every key of every life holds what it may."""
    may_hold = {key: values for client in clients for key, values in client.may_hold.items()}
    keys = list(may_hold)
    for at in range(0, len(keys), 10):
        some = keys[at : at + 10]
        for key, value in zip(some, resp.decode(asker.ask("MGET", *some))):
            check(value in may_hold[key], f"{key} holds {value[:60] if value else value!r}, which it may not")
            if key.startswith("pair:") and key.endswith(":a"):
                check_equal(asker.ask("GET", key[:-1] + "b"), bulk(value), f"the other of {key}")
    return len(keys)
