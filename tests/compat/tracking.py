"""CLIENT TRACKING as Redis's own tests for it ask, on raw connections over RESP3, and redis-py; most of it also in front of
a redis-server, which then does the tracking.

Each case reads what must come next on a connection, so a word too many, too few or too early shows.
"""

import time
from contextlib import ExitStack
from functools import partial

import redis

from compat.suite import suite
from lib import backends, resp
from lib.cases import check, check_equal

FORGET = [b"invalidate", None]


def word(*keys):
    return [b"invalidate", [key.encode() for key in keys]]


class Peer:
    """A connection that asks in words and gets Python values."""

    def __init__(self, stack, server, resp3=True):
        self.wire = stack.enter_context(resp.connected(server))
        if resp3:
            self.ask("HELLO 3")

    def ask(self, line):
        return resp.decode(self.wire.ask(*line.split()))

    def next(self):
        return resp.decode(self.wire.reply())

    def silent(self):
        """Nothing has come but the answer to what is asked now."""
        check_equal(self.ask("PING"), b"+PONG")


def played(function, server):
    """A case with two connections that speak RESP3 and one that does not; the last writes."""
    with ExitStack() as stack:
        one, two = Peer(stack, server), Peer(stack, server)
        writer = Peer(stack, server, resp3=False)
        function(one, two, writer)


def case(function):
    suite.case(f"tracking_{function.__name__}")(partial(played, function))
    return function


def routed(function):
    """The same with a redis-server behind Coldplate."""

    def play(cores):
        with backends.single(cores=cores) as (_, router):
            played(function, router)

    suite.case(f"tracking_routed_{function.__name__}", servers="own")(play)
    return function


@case
@routed
def keys_that_were_read(one, two, writer):
    check_equal(one.ask("CLIENT TRACKING ON"), b"+OK")
    writer.ask("MSET a 1 b 2")
    one.ask("GET a")
    writer.ask("INCR b")
    writer.ask("INCR a")
    check_equal(one.next(), word("a"))
    writer.ask("INCR a")
    one.silent()
    check_equal(one.ask("MGET a b c"), [b"3", b"3", None])
    writer.ask("MSET a 1 b 2")
    check_equal(sorted([one.next(), one.next()]), [word("a"), word("b")])
    check_equal(one.ask("DEL c"), 0)
    check_equal(one.ask("SET c 1"), b"+OK")
    check_equal(one.next(), word("c"))
    one.ask("GET c")
    check_equal(one.ask("GETDEL c"), b"1")
    check_equal(one.next(), word("c"))


@case
@routed
def noloop(one, two, writer):
    one.ask("CLIENT TRACKING ON NOLOOP")
    one.ask("MGET k1 loop k2")
    writer.ask("SET k1 1")
    check_equal(one.next(), word("k1"))
    check_equal(one.ask("SET loop 1"), b"+OK")
    writer.ask("SET k2 1")
    check_equal(one.next(), word("k2"))
    one.silent()
    one.ask("CLIENT TRACKING OFF")
    one.ask("CLIENT TRACKING ON BCAST NOLOOP")
    writer.ask("SET k1 1")
    check_equal(one.next(), word("k1"))
    one.ask("SET loop 1")
    one.ask("SET short 1 PX 1")
    check_equal(one.next(), word("short"), "it expired, which is nobody's doing")
    one.silent()


@case
@routed
def prefixes(one, two, writer):
    one.ask("CLIENT TRACKING ON BCAST")
    two.ask("CLIENT TRACKING ON BCAST PREFIX a: PREFIX b:")
    writer.ask("MSET a:{t} 1 b:{t} 2 c:{t} 3")
    check_equal(one.next(), word("a:{t}", "b:{t}", "c:{t}"))
    check_equal(sorted([two.next(), two.next()]), [word("a:{t}"), word("b:{t}")])
    check_equal(two.ask("CLIENT TRACKING ON BCAST PREFIX c:"), b"+OK")
    writer.ask("INCR c:1")
    check_equal((one.next(), two.next()), (word("c:1"), word("c:1")))
    for options, error in (
        ("PREFIX FOOBAR PREFIX FOO", "Prefix 'FOOBAR' overlaps with another provided prefix 'FOO'."),
        ("PREFIX FOO PREFIX FOOBAR", "Prefix 'FOO' overlaps with another provided prefix 'FOOBAR'."),
        ("PREFIX a", "Prefix 'a' overlaps with an existing prefix 'a:'."),
        ("PREFIX b:x", "Prefix 'b:x' overlaps with an existing prefix 'b:'."),
    ):
        error = f"-ERR {error} Prefixes for a single client must not overlap.".encode()
        check_equal(two.ask(f"CLIENT TRACKING ON BCAST {options}"), error)


@case
@routed
def optin_and_optout(one, two, writer):
    one.ask("CLIENT TRACKING ON OPTIN")
    two.ask("CLIENT TRACKING ON OPTOUT")
    one.ask("GET k")
    two.ask("CLIENT CACHING NO")
    two.ask("GET k")
    writer.ask("INCR k")
    one.silent()
    two.silent()
    one.ask("CLIENT CACHING YES")
    one.ask("GET k")
    two.ask("GET k")
    writer.ask("INCR k")
    check_equal((one.next(), two.next()), (word("k"), word("k")))


@case
def redirection(one, two, writer):
    target = two.ask("CLIENT ID")
    for peer in (one, writer):
        check_equal(peer.ask(f"CLIENT TRACKING ON REDIRECT {target}"), b"+OK")
        check_equal(peer.ask("CLIENT GETREDIR"), target)
    check_equal(one.ask("GET k"), None)
    check_equal(writer.ask("GET l"), None)
    one.ask("SET l 1")
    check_equal(two.next(), word("l"))
    writer.ask("SET k 1")
    check_equal(two.next(), word("k"))
    check_equal(two.ask("CLIENT REPLY ON"), b"+OK")
    two.wire.send(resp.encode("CLIENT", "REPLY", "OFF"))
    one.ask("GET k")
    writer.ask("SET k 2")
    check_equal(two.next(), word("k"), "what is pushed is no reply")
    check_equal(two.ask("CLIENT REPLY ON"), b"+OK")
    one.ask("GET k")
    check_equal(two.ask("QUIT"), b"+OK")
    two.wire.until_close()
    # Connections end in their own time; until this one has, words to it are lost as they are to one that reads no more.
    deadline = time.monotonic() + 10
    while f"id={target} ".encode() in writer.ask("CLIENT LIST") and time.monotonic() < deadline:
        time.sleep(0.01)
    writer.ask("SET k 3")
    check_equal(one.next(), [b"tracking-redir-broken", target])
    info = one.ask("CLIENT TRACKINGINFO")
    check_equal(info, [b"flags", [b"on", b"broken_redirect"], b"redirect", target, b"prefixes", []])
    check(b" flags=tR " in one.ask("CLIENT INFO"), "CLIENT INFO")
    missing = b"-ERR The client ID you want redirect to does not exist"
    for known in (target, 0, -1, target + 100_001, target + 100_002):
        check_equal(one.ask(f"CLIENT TRACKING ON REDIRECT {known}"), missing)


@case
@routed
def flushes(one, two, writer):
    one.ask("CLIENT TRACKING ON")
    two.ask("CLIENT TRACKING ON BCAST")
    for flush in ("FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC"):
        writer.ask("SET k 1")
        check_equal(two.next(), word("k"))
        one.ask("GET k")
        writer.ask(flush)
        check_equal((one.next(), two.next()), (FORGET, FORGET))
        writer.ask("SET k 1")
        check_equal(two.next(), word("k"))
        one.silent()
    check_equal(one.ask("FLUSHALL"), b"+OK")
    check_equal(one.next(), FORGET)


@case
@routed
def transactions(one, two, writer):
    writer.ask("MSET a 1 b 2 c 3")
    one.ask("CLIENT TRACKING ON")
    one.ask("GET a")
    for line in ("MULTI", "INCR a", "GET b", "GET c"):
        one.ask(line)
    check_equal(one.ask("EXEC"), [2, b"2", b"3"])
    check_equal(one.next(), word("a"), "behind the reply")
    writer.ask("SET b 1")
    check_equal(one.next(), word("b"))
    for line in ("MULTI", "FLUSHDB"):
        one.ask(line)
    check_equal(one.ask("EXEC"), [b"+OK"])
    check_equal(one.next(), FORGET)


def info(peer, field):
    text = peer.ask("INFO").decode()
    return int(next(line for line in text.split("\r\n") if line.startswith(field + ":")).split(":")[1])


@case
def table_and_figures(one, two, writer):
    one.ask("CLIENT TRACKING ON")
    two.ask("CLIENT TRACKING ON BCAST PREFIX prefix:")
    for i in range(250):
        one.ask(f"GET k{i}")
    fields = ("clients", "total_keys", "total_items", "total_prefixes")
    check_equal([info(writer, f"tracking_{field}") for field in fields], [2, 250, 250, 1])
    writer.ask("CONFIG SET tracking-table-max-keys 1")
    told = {one.next()[1][0] for _ in range(249)}
    check_equal(len(told), 249)
    one.silent()
    writer.ask("CONFIG SET tracking-table-max-keys 1000000")
    check_equal(info(writer, "tracking_total_keys"), 1)


@case
@routed
def mistakes(one, two, writer):
    """In Redis's words and in its order."""
    needs_bcast = "PREFIX option requires BCAST mode to be enabled"
    switches = "before disabling tracking for this client, and then re-enabling it with a different mode."
    for line, error in (
        ("TRACKING", "wrong number of arguments for 'client|tracking' command"),
        ("TRACKING MAYBE", "syntax error"),
        ("TRACKING ON REDIRECT", "syntax error"),
        ("TRACKING ON REDIRECT x", "value is not an integer or out of range"),
        ("TRACKING ON PREFIX a", needs_bcast),
        ("TRACKING ON BCAST OPTIN", "OPTIN and OPTOUT are not compatible with BCAST"),
        ("TRACKING ON OPTIN OPTOUT", "You can't specify both OPTIN mode and OPTOUT mode"),
        ("CACHING YES", "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"),
        ("TRACKING ON OPTIN", None),
        ("TRACKING ON OPTOUT", f"You can't switch OPTIN/OPTOUT mode {switches}"),
        ("TRACKING ON BCAST", f"You can't switch BCAST mode on/off {switches}"),
        ("CACHING NO", "CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."),
        ("CACHING MAYBE", "syntax error"),
        ("CACHING YES", None),
    ):
        check_equal(one.ask(f"CLIENT {line}"), b"-ERR " + error.encode() if error else b"+OK", line)
    flags = [b"on", b"optin", b"caching-yes"]
    check_equal(one.ask("CLIENT TRACKINGINFO"), [b"flags", flags, b"redirect", 0, b"prefixes", []])
    check_equal(one.ask("RESET"), b"+RESET")
    check_equal(one.ask("CLIENT GETREDIR"), -1)


@suite.case(servers="own")
def tracking_routed_redis_py(cores):
    with backends.single(cores=cores) as (_, router):
        tracking_redis_py(router)


@suite.case()
def tracking_redis_py(server):
    """redis-py's words for it, and its handler of invalidations. (Its cache asks for a Redis of 7.4.)"""
    told = []
    options = {"host": "127.0.0.1", "port": server.port, "protocol": 3, "socket_timeout": 60}
    with redis.Redis(**options) as plain, redis.Redis(**options, single_connection_client=True) as r:
        r.connection._parser.set_invalidation_push_handler(told.append)
        check_equal(r.client_tracking_on(noloop=True), b"OK")
        for value in range(20):
            keys = [f"k{i}" for i in range(10)]
            plain.mset(dict.fromkeys(keys, value))
            check_equal(r.mget(keys), [b"%d" % value] * 10)
            plain.incr("k3")
            r.ping()
            check_equal(told[-1], [b"invalidate", [b"k3"]])
            told.clear()
        plain.flushdb()
        r.ping()
        check_equal(told.pop(), [b"invalidate", None])
        check_equal(r.client_getredir(), 0)
        check(b"noloop" in str(r.client_trackinginfo()).encode(), r.client_trackinginfo())
        check_equal(r.client_tracking_off(), b"OK")
