"""What DUMP answers and RESTORE takes: a string as in Redis's files, a version, a checksum."""

VERSION = 10
POLYNOMIAL = 0x95AC9329AC4BC9B5


def _row(byte):
    for _ in range(8):
        byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
    return byte


TABLE = tuple(map(_row, range(256)))


def checksum(data):
    crc = 0
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc


def sealed(body, version=VERSION):
    signed = body + version.to_bytes(2, "little")
    return signed + checksum(signed).to_bytes(8, "little")


def length(number, form=None):
    """A length in its shortest form, or in one of 0 (6 bits), 1 (14), 2 (32), 3 (64)."""
    form = (number > 63) + (number > 16383) if form is None else form
    return (
        lambda: bytes((number,)),
        lambda: (0x4000 | number).to_bytes(2, "big"),
        lambda: b"\x80" + number.to_bytes(4, "big"),
        lambda: b"\x81" + number.to_bytes(8, "big"),
    )[form]()


def integer(number, bits):
    return bytes((0xC0 + bits // 16,)) + number.to_bytes(bits // 8, "little", signed=True)


def compressed(stream, size):
    return b"\xc3" + length(len(stream)) + length(size) + stream


def lzf(rng):
    """A random LZF stream and the size of what it stands for."""
    stream, size = b"", 0
    for _ in range(rng.randrange(1, 12)):
        if size == 0 or rng.random() < 0.5:
            run = rng.randbytes(rng.choice((1, 2, 5, 32)))
            stream, size = stream + bytes((len(run) - 1,)) + run, size + len(run)
            continue
        distance, count = rng.randrange(min(size, 8192)), rng.choice((3, 8, 9, 20, 264))
        low = bytes((distance & 0xFF,))
        if count < 9:
            stream += bytes((distance >> 8 | count - 2 << 5,)) + low
        else:
            stream += bytes((distance >> 8 | 7 << 5, count - 9)) + low
        size += count
    return stream, size


def anything(rng, value):
    """A payload: mostly well formed, of `value` or not."""
    pick = rng.random()
    if pick < 0.35:
        return sealed(b"\0" + length(len(value)) + value)
    if pick < 0.45:
        form = rng.choice((2, 3) if len(value) > 63 else (0, 1, 2, 3))
        return sealed(b"\0" + length(len(value), form) + value, rng.choice((0, 1, 9, 10)))
    if pick < 0.6:
        bits = rng.choice((8, 16, 32))
        return sealed(b"\0" + integer(rng.randrange(-(1 << bits - 1), 1 << bits - 1), bits))
    stream, size = lzf(rng)
    if pick < 0.8:
        return sealed(b"\0" + compressed(stream, size))
    # An end that Redis does not mind, ends in the footer, and everything that is refused.
    good = sealed(b"\0" + length(len(value)) + value)
    return rng.choice(
        (
            lambda: sealed(b"\0" + length(len(value)) + value + b"tail"),
            lambda: sealed(b"\0" + length(5) + b"abc"),
            lambda: sealed(b"\0" + length(40) + b"abc"),
            lambda: sealed(b"\0" + compressed(stream, size + rng.choice((-1, 1, 200)) if size > 1 else 0)),
            lambda: sealed(b"\0" + compressed(rng.randbytes(20), rng.randrange(60))),
            lambda: sealed(b"\0" + b"\xc3" + length(len(stream)) + length(1 << 62, 3) + stream),
            lambda: sealed(b"\0" + length(1 << 62, 3)),
            lambda: sealed(b"\0" + bytes((rng.choice((0x82, 0xBF, 0xC4, 0xFF)),)) + value),
            lambda: sealed(bytes((rng.choice((8, 30, 255)),)) + length(0)),
            lambda: sealed(b"\1" + length(0)),
            lambda: sealed(b""),
            lambda: sealed(b"\0" + length(1) + b"a", rng.choice((11, 256, 65535))),
            lambda: good[:-1] + bytes((good[-1] ^ 1,)),
            lambda: good[: rng.randrange(len(good))][:30],
            lambda: value,
        )
    )()


def text(payload):
    """The value in a payload as DUMP writes it."""
    signed, footer = payload[:-8], payload[-8:]
    if checksum(signed).to_bytes(8, "little") != footer or signed[-2:] != VERSION.to_bytes(2, "little"):
        raise ValueError("not sealed")
    kind, body = signed[0], signed[1:-2]
    if kind or not body:
        raise ValueError("no string")
    if body[0] != 0xC3:
        return body
    packed, at = _length(body, 1)
    size, at = _length(body, at)
    if at + packed != len(body):
        raise ValueError("not all of it is used")
    return _unpacked(body[at:], size)


def _length(body, at):
    if body[at] < 0x40:
        return body[at], at + 1
    if body[at] < 0x80:
        return int.from_bytes(body[at : at + 2], "big") & 0x3FFF, at + 2
    return int.from_bytes(body[at + 1 : at + 5], "big"), at + 5


def _unpacked(stream, size):
    out, at = bytearray(), 0
    while at < len(stream):
        control = stream[at]
        if control < 32:
            out += stream[at + 1 : at + control + 2]
            at += control + 2
            continue
        count, at = control >> 5, at + 1
        if count == 7:
            count, at = count + stream[at], at + 1
        start = len(out) - ((control & 31) << 8) - stream[at] - 1
        for offset in range(count + 2):
            out.append(out[start + offset])
        at += 1
    if len(out) != size:
        raise ValueError("of another size than it says")
    return bytes(out)
