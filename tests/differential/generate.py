"""Random command sequences, drawn from one seed: few keys, so that commands collide, and values at the edges of
their types.

Each command knows how its replies may be compared (`compare.py`) and how it changes the reply mode. Expiries lie far
in the future or in the past, never near now: two servers cannot be asked to agree on a race.
"""

import time
from dataclasses import dataclass

from differential import words
from differential.bits import Bits
from differential.questions import QUESTIONS
from differential.tracking import Tracking
from differential.transactions import Transactions
from lib import resp

# A whole batch may end with bytes that are no command; the server answers with an error and closes.
PROTOCOL_ERRORS = (
    b"*abc\r\n",
    b"*2147483648\r\n",
    b"*9223372036854775808\r\n",
    b"*1\r\n:5\r\n",
    b"*1\r\n*1\r\n",
    b"*1\r\n$abc\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$9223372036854775808\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$-1\r\n",
    b"*2\r\n$3\r\nGET\r\n+k\r\n",
    b'GET "unbalanced\r\n',
    b"GET 'unbalanced\r\n",
    b'GET "k"junk\r\n',
    # One byte past the 64 KiB that a line may have. Not more: bytes behind the error would reset the connection.
    b"G" * 65537,
    b"*" + b"1" * 65536,
    b"*1\r\n$" + b"1" * 65536,
)
NO_COMMANDS = (b"\r\n", b"\n", b"*0\r\n", b"*-1\r\n", b"  \r\n")


@dataclass(slots=True)
class Command:
    """`compare` names a rule of compare.py; `mode` is what it does to CLIENT REPLY, "end" if it ends the connection; `lane` is
    the connection that it is sent on.
    """

    args: tuple
    wire: bytes
    compare: str = "exact"
    mode: str = ""
    lane: int = 0


@dataclass(slots=True)
class Batch:
    commands: list
    chunks: list
    ends: bool
    lane: int = 0


class Generator(Bits, Transactions, Tracking):
    """One episode's commands. `relative` allows expiries counted from now; their readings are then compared loosely.

    `modest` keeps to what a server grants before AUTH: short requests, and few unread replies. Past that it closes.
    `tracks` has the second connection keep what it reads.
    """

    def __init__(self, rng, relative, modest=False, tracks=False):
        self.rng = rng
        self.tracks = tracks
        self.modest = modest
        self.relative = relative
        self.families = [(weight, getattr(self, name)) for weight, name in FAMILIES]
        self.now_s = int(time.time())
        self.planned = [(1, self.begin_tracking())] if tracks else []

    def batch(self):
        """The next one: of a scene that has begun, or of one connection's own."""
        if not self.planned and not self.modest and self.rng.random() < 0.15:
            self.planned = self.scene()
        if not self.planned and self.tracks and self.rng.random() < 0.1:
            self.planned = [(1, self.switch())]
        while self.planned:
            lane, commands = self.planned.pop(0)
            if commands:
                return self.on_lane(lane, commands)
        lane = 0 if self.modest else self.rng.choice((0, 1) if self.tracks else (0, 0, 0, 1))
        return self.on_lane(lane, *self.commands(lane))

    def on_lane(self, lane, commands, ends=False):
        for command in commands:
            command.lane = lane
        return Batch(commands, self.split(b"".join(command.wire for command in commands)), ends, lane)

    def commands(self, lane=0):
        """Those of one batch, and whether the last one ends the connection."""
        rng = self.rng
        depth = rng.choice((1, 2, 5) if self.modest else (1, 2, 5, 20, 60, 200))
        commands = []
        while len(commands) < depth:
            commands += self.kept() if self.tracks and lane and rng.random() < 0.5 else self._some()
        # A closed connection under CLIENT REPLY OFF has no reply to wait for, in Redis not even an end.
        plain = not any(command.mode for command in commands)
        ends = plain and rng.random() < 0.04
        if ends:
            raw = rng.choice(PROTOCOL_ERRORS)
            last = Command(("(protocol error)", raw[:40]), raw, mode="end")
            if rng.random() < 0.15:
                last = Command(("QUIT",), resp.encode("QUIT"), mode="end")
            commands.append(last)
        return commands, ends

    def split(self, stream):
        """The stream cut at random bytes; a short one sometimes at every byte."""
        rng = self.rng
        if len(stream) < 80 and rng.random() < 0.2:
            return [stream[i : i + 1] for i in range(len(stream))]
        cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.choice((0, 0, 1, 2, 6))))
        edges = [0, *cuts, len(stream)]
        return [stream[a:b] for a, b in zip(edges, edges[1:], strict=False) if a < b]

    def _some(self):
        family = self.rng.choices([f for _, f in self.families], [w for w, _ in self.families])[0]
        made = family()
        made = made if isinstance(made, list) else [made]
        return [] if self.modest and any(map(_is_beyond_strangers, made)) else made

    def command(self, *args, compare="exact", mode=""):
        """Encodes a command: any case, mostly as an array, sometimes inline."""
        rng = self.rng
        raw = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
        if rng.random() < 0.3:
            raw[0] = bytes(c ^ 32 if rng.random() < 0.5 and chr(c).isalpha() else c for c in raw[0])
        if rng.random() < 0.05 and sum(map(len, raw)) < 1000:
            wire = words.inline(rng, raw)
        else:
            wire = resp.encode(*raw)
        return Command(tuple(raw), wire, compare, mode)

    # The families. Names and option words come from here, everything that goes with them from words.py.

    def key(self):
        return self.rng.choice(words.KEYS)

    def keys(self):
        return [self.key() for _ in range(self.rng.choice((1, 1, 2, 3, 8)))]

    def value(self):
        return words.value(self.rng)

    def integer(self):
        return words.integer(self.rng)

    def plain(self, hidden=False):
        """Reads and writes of one key."""
        name = self.rng.choice(
            ("GET", "GET", "GET", "STRLEN", "GETDEL", "TYPE", "GETSET", "SETNX", "APPEND", "SET", "SET")
        )
        tail = [self.value()] if name in ("GETSET", "SETNX", "APPEND", "SET") else []
        made = self.command(name, self.key(), *tail)
        # Not before every command: behind CLIENT REPLY SKIP, Redis takes an empty request for the one to skip.
        if not hidden and self.rng.random() < 0.05:
            made.wire = self.rng.choice(NO_COMMANDS) + made.wire
        return made

    def many(self):
        name = self.rng.choice(("MGET", "MSET", "DEL", "UNLINK", "EXISTS", "TOUCH"))
        args = self.keys()
        if name == "MSET":
            args = [word for key in args for word in (key, self.value())]
            if self.rng.random() < 0.1:
                args.pop()
        return self.command(name, *args)

    def numbers(self):
        name = self.rng.choice(("INCR", "DECR", "INCRBY", "DECRBY", "INCRBYFLOAT"))
        tail = [self.integer()] if name in ("INCRBY", "DECRBY") else []
        if name == "INCRBYFLOAT":
            tail = [words.number(self.rng)]
        made = [self.command(name, self.key(), *tail)]
        if self.rng.random() < 0.3:
            made.insert(0, self.command("SET", self.key(), words.number(self.rng)))
        return made

    def ranges(self):
        if self.rng.random() < 0.5:
            name = self.rng.choice(("GETRANGE", "SUBSTR"))
            return self.command(name, self.key(), words.index(self.rng), words.index(self.rng))
        return self.command("SETRANGE", self.key(), words.offset(self.rng), self.value())

    def expiry(self, option):
        """A time that goes with EX, PX, EXAT or PXAT, and whether it is in the past."""
        return words.expiry(self.rng, option, self.now_s, self.relative)

    def set_options(self):
        rng, key, past = self.rng, self.key(), False
        options = []
        for option in rng.sample(
            ("NX", "XX", "GET", "KEEPTTL", "EX", "PX", "EXAT", "PXAT"), rng.choice((1, 1, 2, 2, 3))
        ):
            options.append(words.any_case(rng, option))
            if option in words.TIME_OPTIONS:
                when, is_past = self.expiry(option)
                past |= is_past
                options.append(when)
        if rng.random() < 0.05:
            options.append(rng.choice(("EX", "bogus", "", "PXAT")))
        made = [self.command("SET", key, self.value(), *options)]
        if not past:
            return made
        # A key set into the past is counted until it is looked up; when that happens is each server's own business. So is
        # whether a listener to prefixes hears that its own key has gone.
        return self.plain() if self.tracks else [*made, self.command("EXISTS", key)]

    def set_expiring(self):
        name = self.rng.choice(("SETEX", "PSETEX"))
        when, _ = self.expiry("EX" if name == "SETEX" else "PX")
        return self.command(name, self.key(), when, self.value())

    def getex(self):
        rng = self.rng
        options = []
        for option in rng.sample(("EX", "PX", "EXAT", "PXAT", "PERSIST"), rng.choice((0, 1, 1, 1, 2))):
            options.append(words.any_case(rng, option))
            if option != "PERSIST":
                options.append(self.expiry(option)[0])
        if rng.random() < 0.05:
            options.append(rng.choice(("bogus", "EX")))
        return self.command("GETEX", self.key(), *options)

    def expire(self):
        rng = self.rng
        name, option = rng.choice((("EXPIREAT", "EXAT"), ("PEXPIREAT", "PXAT"), ("EXPIRE", "EX"), ("PEXPIRE", "PX")))
        conditions = rng.choice(
            ((), (), ("NX",), ("XX",), ("GT",), ("LT",), ("NX", "XX"), ("GT", "LT"), ("XX", "GT"), ("?",))
        )
        conditions = [words.any_case(rng, word) for word in conditions]
        return self.command(name, self.key(), self.expiry(option)[0], *conditions)

    def ttl(self):
        name = self.rng.choice(("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "PERSIST"))
        return self.command(name, self.key(), compare=self.clock_rule(name))

    def clock_rule(self, name):
        """Absolute times are exact in an episode that sets no relative ones."""
        if name in ("TTL", "PTTL") or (self.relative and name in ("EXPIRETIME", "PEXPIRETIME")):
            return "near_ms" if name.startswith("P") else "near_s"
        return "exact"

    def keyspace(self):
        rng = self.rng
        pick = rng.random()
        if pick < 0.3:
            return self.command("KEYS", words.glob(rng), compare="unordered")
        if pick < 0.5:
            return self.command("DBSIZE")
        if pick < 0.6:
            return self.command("RANDOMKEY", compare="nullness")
        if pick < 0.65:
            return self.command(
                rng.choice(("FLUSHALL", "FLUSHDB")), *rng.choice(((), ("SYNC",), ("async",), ("now",), ("SYNC", "x")))
            )
        if pick < 0.85:
            options = rng.choice(
                ((), ("MATCH", words.glob(rng)), ("TYPE", "string"), ("TYPE", "list"), ("match", "*", "type", "string"))
            )
            return self.command("SCAN", "0", "COUNT", "100000", *options, compare="scan")
        bad = rng.choice(
            (("x",), ("1x",), ("0", "COUNT", "0"), ("0", "COUNT", "x"), ("0", "MATCH"), ("0", "BOGUS", "1"))
        )
        return self.command("SCAN", *bad)

    def connection(self):
        return self.rng.choice(self.rng.choice((*words.CONNECTION, *QUESTIONS)))(self)

    def channels(self):
        """A while of listening to one name, so that each command has one reply."""
        rng = self.rng
        on, off, publish = rng.choice(
            (("SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH"), ("PSUBSCRIBE", "PUNSUBSCRIBE", "PUBLISH"),
             ("SSUBSCRIBE", "SUNSUBSCRIBE", "SPUBLISH"))
        )  # fmt: skip
        names = [self.key()]
        made = [self.command(on, *names)]
        for _ in range(rng.choice((0, 1, 3))):
            name = rng.choice((*names, self.key()))
            made.append(
                rng.choice(
                    (
                        lambda: self.command(publish, name, self.value()),
                        lambda: self.command("PING"),
                        lambda: self.command("ping", self.value()),
                        lambda: self.command("PUBSUB", "NUMSUB", *names),
                        lambda: self.command("PUBSUB", "NUMPAT"),
                        lambda: self.command("pubsub", "ShardNumSub", name),
                        lambda: self.command("PUBSUB", "CHANNELS", name, compare="unordered"),
                        lambda: self.command("PUBSUB", "SHARDCHANNELS", compare="unordered"),
                        lambda: self.plain(),
                        lambda: self.many(),
                        lambda: self.command(off, self.key()),
                    )
                )()
            )
        return [*made, self.command(off)]

    def reply_mode(self):
        """Turns replies off for a while; always back on, as the batch's last reply is waited for."""
        word = self.rng.choice(("OFF", "SKIP", "SKIP"))
        hidden = [self.plain(hidden=True) for _ in range(self.rng.randrange(4))]
        if self.rng.random() < 0.3:
            hidden = [self.command("MULTI"), *hidden, self.command("EXEC")]
        on = self.command("CLIENT", "REPLY", "ON", mode="on")
        return [self.command("CLIENT", "REPLY", word, mode=word.lower()), *hidden, on]

    def malformed(self):
        """Wrong numbers of arguments, and options that do not exist. No number is among them: it could be an expiry."""
        rng = self.rng
        name = rng.choice(words.COMMANDS)
        args = [
            rng.choice((self.key(), "NX", "bogus", "", "GET", b"\x00\xff")) for _ in range(rng.choice((0, 1, 2, 3, 6)))
        ]
        if words.is_order_free(name, args):
            return self.plain()
        return self.command(name, *args, compare="dump" if name == "DUMP" else self.clock_rule(name))

    def unknown(self):
        return self.command(*words.unknown(self.rng))


def _is_beyond_strangers(command):
    """RESET is: it makes a stranger of one whose replies are still unread, who may then be closed on for their size."""
    args = command.args
    return len(args) > 10 or max(map(len, args)) > 16384 or args[0].upper() == b"RESET"


FAMILIES = (
    (20, "plain"),
    (10, "many"),
    (12, "numbers"),
    (8, "ranges"),
    (12, "set_options"),
    (3, "set_expiring"),
    (6, "getex"),
    (8, "expire"),
    (8, "ttl"),
    (4, "keyspace"),
    (6, "connection"),
    (12, "bits"),
    (8, "bitfield"),
    (6, "dumps"),
    (1, "reply_mode"),
    (2, "channels"),
    (8, "moves"),
    (4, "transaction"),
    (1, "watching"),
    (4, "malformed"),
    (1, "unknown"),
)
