"""What the random commands are made of: keys, values, numbers, times, patterns, and the commands about connections."""

KEYS = (
    *(b"k%d" % i for i in range(8)),
    *(b"user:%d:name" % i for i in range(4)),
    b"{tag}a",
    b"{tag}b",
    b"x{tag}y{z}",
    b"{}x",
    b"foo{bar",
    b"foo{}{bar}",
    b"foo{{bar}}",
    b"",
    b"a\r\nb",
    b"\x00\xff\xfe",
    b"with space",
    b"[a-c]*?",
    b"K" * 300,
)
TIME_OPTIONS = ("EX", "PX", "EXAT", "PXAT")
INT_EDGES = (
    b"0", b"1", b"-1", b"10", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775806",
    b"9223372036854775808", b"-9223372036854775809", b"4611686018427387904", b"-4611686018427387904",
)  # fmt: skip
NOT_INTS = (
    b"", b"abc", b"1.5", b" 1", b"1 ", b"+1", b"01", b"-0", b"-", b"1e3", b"0x10", b"1\x00",
    b"99999999999999999999999",
)  # fmt: skip
FLOATS = (
    b"0.1", b"0.2", b"-0.3", b"3.0e3", b"5.0e-7", b"1e17", b"1.5", b"-2.25", b"1e20", b"0.000000000000000001",
    b"10.5000", b"+7", b"1234567.891011", b"3.14159265358979323846", b"-0.0", b".5", b"5.", b"0x1p3", b"0x10", b"-0X.8",
)  # fmt: skip
NOT_FLOATS = (b"nan", b"inf", b"-inf", b"infinity", b"1e99999", b" 1", b"1 ", b"1,5", b"1e", b"--1", b"abc", b"")
BAD_TIMES = (b"0", b"-1", b"abc", b"", b"1.5", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808")
SIZES = (0, 1, 7, 20, 44, 45, 63, 64, 127, 255, 256, 500, 4000, 16384, 20000, 65536, 100_000)
COMMANDS = (
    "PING", "ECHO", "SELECT", "GET", "SET", "SETNX", "SETEX", "PSETEX", "GETSET", "GETDEL", "GETEX", "MGET", "MSET",
    "APPEND", "STRLEN", "GETRANGE", "SETRANGE", "INCR", "DECR", "INCRBY", "DECRBY", "INCRBYFLOAT", "DEL", "UNLINK",
    "EXISTS", "TYPE", "TOUCH", "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "TTL", "PTTL", "EXPIRETIME",
    "PEXPIRETIME", "PERSIST", "SCAN", "KEYS", "RANDOMKEY", "DBSIZE", "AUTH", "CLIENT", "CONFIG", "TIME", "COMMAND",
    "HELLO", "SUBSTR", "SETBIT", "GETBIT", "BITCOUNT", "BITPOS", "BITFIELD", "BITFIELD_RO", "DUMP", "RESTORE",
    "RENAME", "RENAMENX", "COPY", "MSETNX", "BITOP", "LCS", "EXEC", "DISCARD", "WATCH", "UNWATCH",
)  # fmt: skip


EXAMPLES = ("string", "integer", "double", "bignum", "null", "array", "set", "map", "true", "false", "verbatim")


def value(rng):
    pick = rng.random()
    if pick < 0.3:
        return b"%d" % rng.randrange(-1000, 1000)
    if pick < 0.4:
        return rng.choice(INT_EDGES)
    if pick < 0.45:
        return rng.choice(NOT_INTS + FLOATS)
    if pick < 0.95:
        return rng.randbytes(rng.choice(SIZES[:10]))
    return rng.randbytes(rng.choice(SIZES))


def integer(rng):
    pick = rng.random()
    if pick < 0.6:
        return b"%d" % rng.randrange(-1000, 1000)
    return rng.choice(INT_EDGES) if pick < 0.9 else rng.choice(NOT_INTS)


def number(rng):
    """What INCRBYFLOAT may be given: decimals of few digits, which every correct long double prints alike."""
    pick = rng.random()
    if pick < 0.5:
        return b"%.*f" % (rng.randrange(6), rng.uniform(-1000, 1000))
    if pick < 0.85:
        return rng.choice(FLOATS)
    return rng.choice(INT_EDGES[:4] + NOT_FLOATS)


def index(rng):
    """An index of GETRANGE."""
    pick = rng.random()
    if pick < 0.8:
        return b"%d" % rng.randrange(-30, 30)
    return rng.choice(INT_EDGES + NOT_INTS + (b"100", b"70000", b"-70000"))


def offset(rng):
    """An offset of SETRANGE: small, or refused (past 512 MB), never one that allocates much."""
    pick = rng.random()
    if pick < 0.85:
        return b"%d" % rng.choice((0, 1, 5, 30, 44, 200, 5000))
    return rng.choice(
        (b"-1", b"536870912", b"9223372036854775807", b"-9223372036854775808", b"abc", b"", b"536870911000")
    )


def expiry(rng, option, now_s, relative):
    """A time for `option`, and whether it has passed. Distances are drawn wide: GT and LT never meet equal ones."""
    if rng.random() < 0.12:
        bad = rng.choice(BAD_TIMES)
        return bad, option.endswith("AT") and bad == b"1"
    unit = 1000 if option.startswith("P") else 1
    distance = rng.randrange(100_000 * unit, 1_000_000_000 * unit)
    if option.endswith("AT"):
        if rng.random() < 0.1:
            return b"%d" % rng.randrange(1, now_s - 1000), True
        return b"%d" % (now_s * unit + distance), False
    # Without relative expiries these are drawn from the refused ones alone.
    return (b"%d" % distance, False) if relative else (rng.choice((b"abc", b"9223372036854775807", b"")), False)


def any_case(rng, word):
    return word if rng.random() < 0.7 else "".join(c.lower() if rng.random() < 0.5 else c for c in word)


def glob(rng):
    pieces = (
        "*",
        "?",
        "k",
        "user:",
        "[0-3]",
        "[^k]",
        "[k",
        "\\*",
        "name",
        "{tag}",
        "a",
        "[a-c",
        "[c-a]",
        "\\",
        "**",
        "",
        "x",
    )
    return "".join(rng.choice(pieces) for _ in range(rng.choice((1, 2, 3, 4))))


def unknown(rng):
    """Commands that no server has, and long arguments, which the error cuts."""
    name = rng.choice(("FOO", "foo bar", "", "G\r\nT", "X" * 200, b"\xff\x00", "GETT"))
    return [name, *(value(rng) for _ in range(rng.choice((0, 1, 2, 5, 40))))]


def is_order_free(name, args):
    """Whether a malformed command could be well formed after all, with a reply that may differ."""
    return name in ("KEYS", "RANDOMKEY", "TIME", "COMMAND", "SCAN", "HELLO", "CLIENT", "CONFIG") and (
        name != "KEYS" or len(args) == 1
    )


def inline(rng, args):
    """The command as one line of words; every word is quoted that needs it, some that do not."""
    line = b" ".join(arg if _is_bare(arg) and rng.random() < 0.8 else _quoted(arg) for arg in args)
    return line + rng.choice((b"\r\n", b"\n", b" \r\n"))


def _is_bare(arg):
    return bool(arg) and all(33 <= c < 127 and c not in b"\"'\\" for c in arg) and arg[:1] not in (b"*", b"$")


def _quoted(arg):
    return b'"' + b"".join(bytes((c,)) if 32 <= c < 127 and c not in b'"\\' else b"\\x%02x" % c for c in arg) + b'"'


def fixed(*args, compare="exact"):
    return lambda generator: generator.command(*args, compare=compare)


# Groups of equal weight; a group's members are alternatives.
CONNECTION = (
    (fixed("PING"), fixed("PING", "hello"), fixed("PING", ""), fixed("PING", "a", "b")),
    (lambda g: g.command("ECHO", g.value()), fixed("ECHO")),
    (
        fixed("SELECT", "0"),
        fixed("SELECT", "x"),
        fixed("SELECT", "-1"),
        fixed("SELECT", "999999999999"),
        fixed("SELECT", "77"),
        fixed("SELECT", "-2147483649"),
        fixed("SELECT", "9223372036854775808"),
    ),
    (
        fixed("HELLO", "3", compare="hello"),
        fixed("HELLO", "3", compare="hello"),
        fixed("HELLO", "2", compare="hello"),
        fixed("HELLO", compare="hello"),
        fixed("HELLO", "3", "SETNAME", "wire", compare="hello"),
        fixed("HELLO", "3", "AUTH", "default", "any", compare="hello"),
        fixed("HELLO", "1"),
        fixed("HELLO", "4"),
        fixed("HELLO", "x"),
        fixed("HELLO", "3", b"bo\xff\x00gus"),
        fixed("HELLO", "3", "SETNAME", "half", "BOGUS"),
        fixed("HELLO", "3", "AUTH", "default"),
        fixed("HELLO", "3", "SETNAME", "a b"),
        fixed("HELLO", "3", "AUTH", "nobody", "wrong"),
    ),
    (
        fixed("AUTH", "x"),
        fixed("AUTH", "default", "x"),
        fixed("AUTH", "nobody", "x"),
        fixed("AUTH"),
        fixed("AUTH", "a", "b", "c"),
    ),
    (
        fixed("CLIENT", "SETNAME", "name"),
        fixed("CLIENT", "SETNAME", ""),
        fixed("CLIENT", "SETNAME", "a b"),
        fixed("CLIENT", "SETNAME"),
        fixed("CLIENT", "GETNAME"),
        fixed("CLIENT", "GETNAME", "x"),
    ),
    (
        fixed("CLIENT", "NO-EVICT", "on"),
        fixed("CLIENT", "NO-EVICT", "off"),
        fixed("CLIENT", "NO-EVICT", "maybe"),
        fixed("CLIENT", "REPLY", "maybe"),
        fixed("CLIENT", "KILL", "127.0.0.1:1"),
        fixed("CLIENT", "KILL", "ID", "abc"),
        fixed("CLIENT", "KILL", "ID", "999999999"),
        fixed("CLIENT", "KILL", "TYPE", "bogus"),
        fixed("CLIENT", "KILL", "BOGUS", "x"),
        fixed("CLIENT", "LIST", "TYPE", b"bo\xff\x00gus"),
        fixed("CLIENT", "LIST", "ID", "0"),
        fixed("CLIENT", "KILL", "USER", "nobody"),
        fixed("CLIENT", "BOGUS"),
        fixed("CLIENT"),
    ),
    (
        fixed("CONFIG", "GET", "maxmemory"),
        fixed("CONFIG", "GET", "maxmemory-policy"),
        fixed("CONFIG", "GET", "save"),
        fixed("CONFIG", "GET", "appendonly"),
        fixed("CONFIG", "GET", "nosuch"),
        fixed("CONFIG", "GET"),
        fixed("CONFIG", "SET", "nosuch", "1"),
        fixed("CONFIG", "SET", "maxmemory", "abc"),
        fixed("CONFIG", "SET", "maxmemory", "0"),
        fixed("CONFIG", "SET", "maxmemory-policy", "bogus"),
        fixed("CONFIG", "SET", "maxmemory"),
        fixed("CONFIG", "SET", "loglevel", "loud"),
        fixed("CONFIG", "SET", "timeout", "-1"),
        fixed("CONFIG", "SET", "timeout", "0", "Timeout", "0"),
        fixed("CONFIG", "SET", "timeout", "soon", "NoSuch", "1"),
        fixed("CONFIG", "SET", "timeout", "0", "maxclients"),
        fixed("CONFIG", "SET", b"a\r\nb\xff\x00c", "1"),
        fixed("CONFIG", "SET", "latency-tracking", "on"),
        fixed("CONFIG", "SET", "appendonly", "yes"),
        fixed("CONFIG", "SET", "AppendOnly", "No"),
        fixed("CONFIG", "SET", "appendonly", "maybe"),
        fixed("CONFIG", "SET", "appendonly", "yes", "appendonly", "no"),
        fixed("CONFIG", "GET", "latency-tracking"),
        fixed("CONFIG", "SET", "latency-monitor-threshold", "-1"),
        fixed("CONFIG", "GET", "client-output-buffer-limit"),
        fixed("CONFIG", "SET", "client-output-buffer-limit", "normal 1 2"),
        fixed("CONFIG", "SET", "client-output-buffer-limit", "master 1 2 3"),
        fixed("CONFIG", "SET", "client-output-buffer-limit", "normal x 2 3"),
        fixed("CONFIG", "SET", "client-output-buffer-limit", ""),
        fixed("CONFIG", "GET", "slaveo?", "SlaveOf"),
        fixed("CONFIG", "REWRITE"),
        fixed("CONFIG", "RESETSTAT"),
        fixed("CONFIG", "BOGUS"),
        fixed("CONFIG"),
    ),
    (
        fixed("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"),
        fixed("COMMAND", "GETKEYS", "get", "a"),
        fixed("COMMAND", "GETKEYS", "PING"),
        fixed("COMMAND", "GETKEYS", "bogus", "x"),
        fixed("COMMAND", "GETKEYS", "GET"),
        fixed("COMMAND", "INFO", "bogus"),
        lambda g: g.command("COMMAND", "INFO", g.rng.choice(COMMANDS), compare="command_info"),
        fixed("COMMAND", "BOGUS"),
    ),
    (
        fixed("ROLE"),
        fixed("WAIT", "0", "0"),
        fixed("WAIT", "1", "3"),
        fixed("WAIT", "x", "0"),
        fixed("WAIT", "1", "x"),
        fixed("WAIT", "1", "-1"),
        fixed("REPLICAOF", "NO", "ONE"),
        fixed("REPLICAOF", "x", "y"),
        fixed("FAILOVER"),
        fixed("FAILOVER", "ABORT"),
        fixed("FAILOVER", "TO", "x", "y"),
        fixed("FAILOVER", "TIMEOUT", "0"),
        fixed("LATENCY", "HISTORY", "nosuch"),
        fixed("LATENCY", "GRAPH", "nosuch"),
        fixed("LATENCY", "RESET", "nosuch"),
        fixed("LATENCY", "HISTOGRAM", "nosuch"),
        fixed("LATENCY", "BOGUS"),
        fixed("MEMORY", "USAGE", "nosuch key"),
        fixed("MEMORY", "USAGE", "k", "SAMPLES", "-1"),
        fixed("MEMORY", "USAGE", "k", "SAMPLES", "x"),
        fixed("MEMORY", "USAGE", "k", "SAMPLES"),
        fixed("MEMORY", "PURGE"),
        fixed("MEMORY", "BOGUS"),
        fixed("CLIENT", "PAUSE", "x"),
        fixed("CLIENT", "PAUSE", "-1"),
        fixed("CLIENT", "PAUSE", "1", "x"),
        fixed("CLIENT", "PAUSE", "3", "WRITE"),
        fixed("CLIENT", "UNPAUSE"),
        fixed("CLIENT", "UNBLOCK", "x"),
        fixed("CLIENT", "UNBLOCK", "999999999"),
        fixed("CLIENT", "UNBLOCK", "1", "x"),
        fixed("LOLWUT", "VERSION", "x"),
    ),
    (
        fixed("DEBUG", "ERROR", "BOOM a\r\nb"),
        fixed("DEBUG", "SLEEP"),
        fixed("DEBUG", "BOGUS"),
        fixed("DEBUG", "OBJECT", "nosuch key"),
        fixed("DEBUG", "SDSLEN", "nosuch key"),
        fixed("DEBUG", "RELOAD", "x"),
        fixed("DEBUG", "SET-ACTIVE-EXPIRE", "1"),
        fixed("DEBUG", "QUICKLIST-PACKED-THRESHOLD", "1b"),
        fixed("DEBUG", "PROTOCOL", "bogus"),
        lambda g: g.command("DEBUG", "PROTOCOL", g.rng.choice(EXAMPLES)),
    ),
    (fixed("RESET"),),
)
