"""Random transactions, commands on several keys, and scenes of two connections: a part of `generate.Generator`."""

from differential import words

# What is queued may be anything that has exactly one reply, and no mode of replies.
QUEUED = (
    "plain", "plain", "plain", "many", "many", "numbers", "ranges", "set_options", "set_expiring", "getex", "expire", "ttl",
    "keyspace", "connection", "bits", "bitfield", "dumps", "moves", "moves", "malformed", "listening",
)  # fmt: skip
ALIKE = (b"", b"a", b"ohmytext", b"mynewtext", b"abcabcabcabc", b"cbacbacba", b"a\0b\0c", b"ab" * 40, b"ba" * 33)
OPERATIONS = ("AND", "OR", "XOR", "NOT", "AND", "OR", "XOR", "NOT", "NAND", "")


class Transactions:
    def moves(self):
        """Commands that are one step over keys of several slots."""
        rng = self.rng
        return rng.choice((self.rename, self.rename, self.copy, self.copy, self.msetnx, self.bitop, self.lcs))()

    def rename(self):
        return self.command(self.rng.choice(("RENAME", "RENAMENX")), self.key(), self.key())

    def copy(self):
        rng = self.rng
        options = []
        for option in rng.sample(("REPLACE", "DB"), rng.choice((0, 0, 1, 1, 2))):
            options.append(words.any_case(rng, option))
            if option == "DB":
                options.append(rng.choice(("0", "0", "0", "1", "-1", "x", "9999999999999999999", "00")))
        if rng.random() < 0.05:
            options.append(rng.choice(("bogus", "DB", "", "REPLACE")))
        return self.command("COPY", self.key(), self.key(), *options)

    def msetnx(self):
        rng, keys = self.rng, self.keys()
        args = [word for key in keys for word in (key, self.value())]
        if rng.random() < 0.1:
            args.pop()
        made = [self.command("MSETNX", *args)]
        # Else there is nearly always one that exists.
        return [self.command("DEL", *keys), *made] if rng.random() < 0.4 else made

    def bitop(self):
        operation = self.rng.choice(OPERATIONS)
        sources = [self.key()] if operation == "NOT" and self.rng.random() < 0.8 else self.keys()
        return self.command("BITOP", words.any_case(self.rng, operation), self.key(), *sources)

    def lcs(self):
        rng, keys = self.rng, (self.key(), self.key())
        # Long ones take time and memory as the product of their lengths.
        short = rng.random() < 0.95
        made = [self.command("SET", key, rng.choice(ALIKE)) for key in keys] if short else []
        options = []
        for option in rng.sample(("LEN", "IDX", "MINMATCHLEN", "WITHMATCHLEN"), rng.choice((0, 0, 1, 1, 2, 3))):
            options.append(words.any_case(rng, option))
            if option == "MINMATCHLEN":
                options.append(rng.choice((0, 1, 2, 3, 4, 100, -1, "x", b"9223372036854775808")))
        if rng.random() < 0.05:
            options.append(rng.choice(("bogus", "", "MINMATCHLEN")))
        return [*made, self.command("LCS", *keys, *options)]

    def listening(self):
        """Each with one reply. What is listened to is told apart, so a message to itself is none of them."""
        rng = self.rng
        return rng.choice(
            (
                lambda: self.command("PUBLISH", self.key(), self.value()),
                lambda: self.command("SPUBLISH", self.key(), self.value()),
                lambda: self.command("PUBSUB", "NUMSUB", self.key()),
                lambda: self.command("PUBSUB", "NUMPAT"),
                lambda: self.command(rng.choice(("UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE")), self.key()),
                lambda: self.command("PUBSUB", "CHANNELS", compare="unordered"),
            )
        )()

    def watching(self):
        return self.rng.choice(
            (
                lambda: self.command("WATCH", *self.keys()),
                lambda: self.command("WATCH", *self.keys()),
                lambda: self.command("UNWATCH"),
                lambda: self.command(*self.rng.choice((("EXEC",), ("DISCARD",), ("WATCH",), ("MULTI", "x"), ("EXEC", "x")))),
            )
        )()

    def transaction(self):
        """From MULTI to EXEC, at times to something else."""
        rng = self.rng
        before = [self.watching()] if rng.random() < 0.3 else []
        before += [self.plain()] if before and rng.random() < 0.3 else []
        queued = []
        for _ in range(rng.choice((0, 1, 2, 2, 3, 5, 12))):
            made = getattr(self, rng.choice(QUEUED))()
            queued += made if isinstance(made, list) else [made]
        queued = [command for command in queued if command.args[0].upper() not in TURNS]
        # Refused without being queued, and without harm.
        if rng.random() < 0.1:
            queued.insert(rng.randrange(len(queued) + 1), self.command(*rng.choice((("MULTI",), ("WATCH", self.key())))))
        # Refused, and so is all of it.
        if rng.random() < 0.08:
            queued.insert(rng.randrange(len(queued) + 1), rng.choice((self.unknown, self.flawed))())
        end = rng.choice(("EXEC",) * 12 + ("DISCARD", "RESET"))
        return [*before, self.command("MULTI"), *queued, self.command(end)]

    def flawed(self):
        return self.command(*self.rng.choice((("GET",), ("SET", "k1"), ("RENAME", "k1"), ("EXEC", "x"), ("MULTI", "x"))))

    def scene(self):
        """What one connection watches, another may change before the transaction comes: three batches."""
        rng = self.rng
        keys = self.keys()
        watch = [self.command("WATCH", *keys)]
        watch += [self.plain()] if rng.random() < 0.2 else []
        changes = [self.change(rng.choice(keys))] if rng.random() < 0.6 else []
        for _ in range(rng.choice((0, 1, 3))):
            changes += self._some()
        return [(0, watch), (1, changes), (0, self.transaction())]

    def change(self, key):
        """Something that may or may not change a key."""
        rng = self.rng
        return rng.choice(
            (
                lambda: self.command("SET", key, self.value()),
                lambda: self.command("SETNX", key, self.value()),
                lambda: self.command("GET", key),
                lambda: self.command("DEL", key),
                lambda: self.command("APPEND", key, rng.choice((b"", b"x"))),
                lambda: self.command("EXPIRE", key, rng.choice((b"-1", b"0", b"x"))),
                lambda: self.command("PERSIST", key),
                lambda: self.command("RENAME", key, self.key()),
                lambda: self.command("RENAME", self.key(), key),
                lambda: self.command("COPY", self.key(), key, "REPLACE"),
                lambda: self.command("BITOP", "OR", key, self.key(), self.key()),
                lambda: self.command("MSETNX", key, "1", self.key(), "2"),
                lambda: self.command("SETRANGE", key, 0, b""),
                lambda: self.command("SETBIT", key, 1, 1),
                lambda: self.command("INCR", key),
                lambda: self.command("GETEX", key, "PERSIST"),
                lambda: self.command("TOUCH", key),
                lambda: self.command("FLUSHALL"),
            )
        )()


# They end a transaction or begin one, or change what is replied.
TURNS = (b"MULTI", b"EXEC", b"DISCARD", b"WATCH", b"RESET", b"QUIT")


def is_whole(commands):
    """Whether each transaction ends: only then is there an echo behind the last command. None may hold a mode of replies:
    when that begins is not known here.
    """
    is_open = False
    for command in commands:
        if is_open and command.mode in ("on", "off", "skip"):
            return False
        if len(command.args) == 1:
            name = command.args[0].upper()
            is_open = name == b"MULTI" or is_open and name not in (b"EXEC", b"DISCARD", b"RESET")
    return not is_open
