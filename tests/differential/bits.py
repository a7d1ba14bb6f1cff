"""Random commands on bits, and dumps: a part of `generate.Generator`, which has the keys and the words."""

from differential import payload, words

TYPES = ("u1", "i1", "u8", "i8", "u16", "i16", "u7", "i5", "u31", "i32", "u63", "i64", "i33", "u2")
BAD_TYPES = ("u0", "u64", "i65", "x8", "", "u", "i-1", "8", "u8\0", "U8", "i064")
OFFSETS = (0, 1, 7, 8, 9, 15, 16, 31, 63, 64, 100, 255, 1000, 5000)
BAD_OFFSETS = (b"-1", b"4294967296", b"9223372036854775807", b"9223372036854775808", b"abc", b"", b"1.5", b"01")
WORDS = (b"\xff" * 20, b"\0" * 20, b"\0" * 9 + b"\x01", b"\xff" * 9 + b"\xfe", b"abc" * 30, b"a" * 300)


class Bits:
    def bit_offset(self, bad=0.06):
        if self.rng.random() < bad:
            return self.rng.choice(BAD_OFFSETS)
        return self.rng.choice((*OFFSETS, self.rng.randrange(200)))

    def bits(self):
        rng, key = self.rng, self.key()
        pick = rng.random()
        if pick < 0.35:
            bit = rng.choice((0, 1, 0, 1, 0, 1, 0, 1, 2, "-1", "x", ""))
            made = [self.command("SETBIT", key, offset := self.bit_offset(), bit)]
            if bit in (0, 1) and offset not in BAD_OFFSETS and rng.random() < 0.3:
                made.append(self.command("OBJECT", "ENCODING", key))
            return made
        if pick < 0.55:
            return self.command("GETBIT", key, rng.choice((self.bit_offset(), b"4294967295")))
        made = [self.command("SET", key, rng.choice(WORDS))] if rng.random() < 0.2 else []
        if pick < 0.75:
            return [*made, self.command("BITCOUNT", key, *self.bit_range(rng.choice((0, 1, 2, 2, 2, 3, 3, 3, 4))))]
        bit = rng.choice((0, 1, 0, 1, 0, 1, 2, "x", b"\xff"))
        return [*made, self.command("BITPOS", key, bit, *self.bit_range(rng.choice((0, 1, 1, 2, 2, 3, 3, 4))))]

    def bit_range(self, count):
        unit = words.any_case(self.rng, self.rng.choice(("BIT", "BYTE", "BIT", "BYTE", "bogus", "")))
        return [words.index(self.rng), words.index(self.rng), unit, "more"][:count]

    def bitfield(self):
        rng = self.rng
        args = []
        read_only = rng.random() < 0.2
        for _ in range(rng.choice((0, 1, 1, 2, 3, 6))):
            what = rng.choice(("GET", "SET", "INCRBY", "OVERFLOW"))
            if read_only and rng.random() < 0.9:
                what = "GET"
            args.append(words.any_case(rng, what))
            if what == "OVERFLOW":
                args.append(rng.choice(("WRAP", "SAT", "FAIL", "sat", "fail", "wrap", "SAT", "FAIL", "bogus")))
                continue
            args.append(rng.choice(TYPES if rng.random() < 0.97 else BAD_TYPES))
            args.append(self.field_offset())
            if what != "GET":
                args.append(rng.choice((rng.randrange(-300, 300), self.integer() if rng.random() < 0.5 else 1)))
        if not read_only and any(str(arg).upper() == "FAIL" for arg in args):
            # A value that grows for fields that are all refused has changed. Redis does not say so to WATCH and to CLIENT
            # TRACKING, this server does: so one is not refused.
            args += ["OVERFLOW", "WRAP", "SET", "u1", self.field_offset(), rng.choice((0, 1))]
        if rng.random() < 0.03:
            args.append(rng.choice(("GET", "SET", "bogus", "")))
        return self.command("BITFIELD_RO" if read_only else "BITFIELD", self.key(), *args)

    def field_offset(self):
        pick = self.rng.random()
        if pick < 0.6:
            return self.bit_offset(bad=0.02)
        if pick < 0.97:
            return "#%d" % self.rng.randrange(20)
        # The last ones wrap around once they are multiplied.
        return self.rng.choice(("#", "#-1", "#x", "##1", "#9223372036854775807", "#2305843009213693952"))

    def dumps(self):
        rng, key = self.rng, self.key()
        pick = rng.random()
        if pick < 0.3:
            made = [self.command("SET", key, rng.choice(WORDS) * rng.choice((1, 1, 5)))] if rng.random() < 0.3 else []
            return [*made, self.command("DUMP", key, compare="dump")]
        absolute = not self.relative or rng.random() < 0.5
        when, _ = self.expiry("PXAT" if absolute else "PX")
        when = rng.choice((0, 0, when))
        options = ["ABSTTL"] if absolute else []
        options += rng.choice(((), ("REPLACE",), ("REPLACE",)))
        options += rng.choice(((), (), ("IDLETIME", self.integer()), ("FREQ", rng.choice((0, 255, 256, -1, "x")))))
        options += rng.choice(((), (), (), (), (), ("FREQ", 1), ("IDLETIME", 1), ("bogus",), ("FREQ",), ("IDLETIME",)))
        options = [words.any_case(rng, word) if isinstance(word, str) else word for word in options]
        return self.command("RESTORE", key, when, payload.anything(rng, self.value()), *options)
