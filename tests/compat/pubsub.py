"""Messages and MONITOR, as redis-py and redis-cli use them. Listeners are spread over the cores by the server itself."""

import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager

from compat.redis_py import both_protocols, client
from compat.suite import suite
from lib import resp
from lib.cases import check, check_equal

LISTENERS = 12


def heard(pubsub, count, timeout_s=30):
    """The next messages, confirmations left out, as (type, pattern, channel, data)."""
    got, deadline = [], time.monotonic() + timeout_s
    while len(got) < count and time.monotonic() < deadline:
        message = pubsub.get_message(ignore_subscribe_messages=True, timeout=1)
        if message:
            got.append((message["type"], message["pattern"], message["channel"], message["data"]))
    check_equal(len(got), count, "messages")
    return got


def subscribed(pubsub, count):
    """Waits for so many confirmations; answers the counts in them."""
    counts = []
    while len(counts) < count:
        message = pubsub.get_message(timeout=10)
        check(message is not None, "a subscription was not confirmed")
        counts.append(message["data"])
    return counts


@both_protocols
def messages_reach_all_listeners_in_order(server, protocol):
    with ExitStack() as stack:
        r = stack.enter_context(client(server, protocol))
        listeners = [stack.enter_context(client(server, protocol)).pubsub() for _ in range(LISTENERS)]
        for listener in listeners:
            listener.subscribe("news")
            listener.psubscribe("n?ws", "other*")
            check_equal(subscribed(listener, 3), [1, 2, 3])
        check_equal(r.pubsub_numsub("news", "nobody"), [(b"news", LISTENERS), (b"nobody", 0)])
        check_equal((r.pubsub_channels(), r.pubsub_numpat()), ([b"news"], 2))
        payloads = [b"%d" % i for i in range(200)] + [b"x" * 100_000]
        for payload in payloads:
            check_equal(r.publish("news", payload), 2 * LISTENERS)
        for listener in listeners:
            got = heard(listener, 2 * len(payloads))
            for kind, pattern in (("message", None), ("pmessage", b"n?ws")):
                own = [data for type_, by, channel, data in got if (type_, by, channel) == (kind, pattern, b"news")]
                check(own == payloads, f"{kind}s came in another order, or changed")
            listener.unsubscribe("news")
            listener.punsubscribe()
            check_equal(subscribed(listener, 3)[-1], 0)
        check_equal(r.publish("news", "late"), 0)
        check_equal((r.pubsub_channels(), r.pubsub_numpat()), ([], 0))


@both_protocols
def shard_channels(server, protocol):
    with client(server, protocol) as r, client(server, protocol) as other:
        listener = other.pubsub()
        listener.ssubscribe("s1", "s2")
        check_equal(subscribed(listener, 2), [1, 2])
        check_equal(r.spublish("s1", "hello"), 1)
        check_equal(r.publish("s1", "hello"), 0)
        check_equal(heard(listener, 1), [("smessage", None, b"s1", b"hello")])
        check_equal(sorted(r.pubsub_shardchannels()), [b"s1", b"s2"])
        check_equal(r.pubsub_shardnumsub("s1"), [(b"s1", 1)])
        listener.sunsubscribe("s1")
        check_equal(subscribed(listener, 1), [1])
        check_equal(r.spublish("s1", "late"), 0)


@both_protocols
def many_publishers(server, protocol):
    """Sixteen threads publish at once; each one's messages arrive in its order, and the replies add up."""
    with client(server, protocol) as r, client(server, protocol) as one, client(server, protocol) as two:
        listeners = [one.pubsub(), two.pubsub()]
        for listener in listeners:
            listener.psubscribe("room:*")
            subscribed(listener, 1)
        told = []

        def publish(number):
            told.extend(r.publish(f"room:{number}", i) for i in range(100))

        threads = [threading.Thread(target=publish, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check_equal(sum(told), 2 * 1600)
        for listener in listeners:
            rooms = {}
            for _, _, channel, data in heard(listener, 1600):
                rooms.setdefault(channel, []).append(int(data))
            check_equal(rooms, {b"room:%d" % number: list(range(100)) for number in range(16)})


@both_protocols
def listeners_ping_and_leave(server, protocol):
    with client(server, protocol) as r, client(server, protocol) as other:
        listener = other.pubsub()
        listener.subscribe("a")
        subscribed(listener, 1)
        listener.ping("hello")
        check_equal(listener.get_message(timeout=10)["data"], b"hello")
        listener.reset()
        deadline = time.monotonic() + 10
        while r.publish("a", "x") and time.monotonic() < deadline:
            time.sleep(0.01)
        check_equal(r.pubsub_numsub("a"), [(b"a", 0)])


@suite.case()
def py_resp3_listener_asks_too(server):
    with client(server, 3, single_connection_client=True) as r, client(server, 3) as other:
        connection = r.connection
        connection.send_command("SUBSCRIBE", "a")
        check_equal(connection.read_response(push_request=True), [b"subscribe", b"a", 1])
        check_equal(other.publish("a", "x"), 1)
        connection.send_command("SET", "k", "v")
        got = [connection.read_response(push_request=True) for _ in range(2)]
        check_equal(got, [[b"message", b"a", b"x"], b"OK"])


@both_protocols
def who_does_not_read_is_disconnected(server, protocol):
    with client(server, protocol) as r, client(server, protocol) as deaf, client(server, protocol) as other:
        r.config_set("client-output-buffer-limit", "pubsub 1mb 0 0")
        listeners = [deaf.pubsub(), other.pubsub()]
        for listener in listeners:
            listener.subscribe("flood")
            subscribed(listener, 1)
        payload, sent = b"x" * 60_000, 0
        # What fits into the buffers of both sockets comes on top.
        while r.publish("flood", payload) == 2:
            sent += 1
            heard(listeners[1], 1)
            check(sent < 2000, "a listener that reads nothing is never disconnected")
        check(sent * len(payload) >= 1 << 20, f"disconnected after {sent} messages")
        r.config_set("client-output-buffer-limit", "pubsub 32mb 8mb 60")
        check_equal(r.publish("flood", "still here"), 1)
        check_equal(heard(listeners[1], 2)[-1][3], b"still here")


@both_protocols
def monitor(server, protocol):
    with ExitStack() as stack:
        clients = [stack.enter_context(client(server, protocol, single_connection_client=True)) for _ in range(6)]
        watched = stack.enter_context(clients[0].monitor())
        commands = watched.listen()
        for number, each in enumerate(clients[1:]):
            each.set(f"k{number}", 'a "quoted"\r\n value')
            seen = next(commands)
            check_equal(seen["command"].split()[:2], ["SET", f"k{number}"])
            check_equal((seen["db"], seen["client_type"]), (0, "tcp"))


@contextmanager
def listening(server, *args):
    command = ["redis-cli", "-p", str(server.port), "--no-raw", *args]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def lines(process, count):
    """The next lines that say something; what redis-cli says to a person at a terminal differs among versions."""
    got = []
    while len(got) < count:
        line = process.stdout.readline()
        check(line, f"redis-cli has ended after {got}")
        if line.strip() and not line.startswith("Reading messages"):
            got.append(line.strip())
    return got


@suite.case()
def cli_subscribe(server):
    for options in ((), ("-3",)):
        with listening(server, *options, "SUBSCRIBE", "one", "two") as process, client(server) as r:
            check_equal(lines(process, 6), ['1) "subscribe"', '2) "one"', "3) (integer) 1",
                                            '1) "subscribe"', '2) "two"', "3) (integer) 2"])  # fmt: skip
            check_equal(r.publish("two", "hello"), 1)
            check_equal(lines(process, 3), ['1) "message"', '2) "two"', '3) "hello"'])


@suite.case()
def cli_monitor(server):
    with listening(server, "MONITOR") as process, client(server) as r:
        check_equal(lines(process, 1), ["OK"])
        r.execute_command("SET", "k", b"\x00v")
        with resp.connected(server) as wire:
            wire.ask("AUTH", "secret")
        seen = lines(process, 1)
        while not seen[-1].endswith('"AUTH" "(redacted)"'):
            seen += lines(process, 1)
        check(any(line.endswith('"SET" "k" "\\x00v"') for line in seen), seen)
        check(not any("secret" in line for line in seen), seen)
