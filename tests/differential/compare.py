"""When two servers' replies count as equal: byte for byte, but where order is free or a clock is read.

Functions named by `Command.compare` take both raw replies and return whether they agree.
"""

from differential import invalidations, payload
from lib import resp

CLOCK_TOLERANCE_MS = 3000


def expected(commands):
    """The commands that get a reply, in order, under CLIENT REPLY ON, OFF and SKIP."""
    answered, off, skip = [], False, False
    for command in commands:
        skip_now, skip = skip, False
        if command.mode == "on":
            off = False
            answered.append(command)
        elif command.mode == "off":
            off = True
        elif command.mode == "skip":
            skip = not off
        elif not off and not skip_now:
            answered.append(command)
    return answered


def first_difference(commands, ours, theirs):
    """(command, our reply, their reply) where the streams first differ, or None. Equal bytes are the quick way out."""
    if ours == theirs:
        return None
    our_replies, our_messages = apart(invalidations.without(ours))
    their_replies, their_messages = apart(invalidations.without(theirs))
    answered, queued = expected(commands), []
    for at in range(max(len(our_replies), len(their_replies))):
        our = our_replies[at] if at < len(our_replies) else b"(nothing)"
        their = their_replies[at] if at < len(their_replies) else b"(nothing)"
        command = answered[at] if at < len(answered) else None
        how = queued if command and command.args[0].upper() == b"EXEC" else command and command.compare
        if our != their and not (command and agrees(how, our, their)):
            return command, our, their
        if their == b"+QUEUED\r\n":
            queued.append(command.compare)
        elif command and command.args[0].upper() in (b"MULTI", b"EXEC", b"DISCARD", b"RESET") and their[:4] != b"-ERR":
            queued = []
    if our_messages != their_messages:
        return None, b"".join(our_messages), b"".join(their_messages)
    return None


def apart(replies):
    """Messages that a listener sent itself over RESP3 answer no command."""
    marks = tuple(b">%d\r\n$%d\r\n%bmessage\r\n" % (3 + (kind == b"p"), 7 + len(kind), kind) for kind in (b"", b"p", b"s"))
    messages = [reply for reply in replies if reply.startswith(marks)]
    return [reply for reply in replies if not reply.startswith(marks)], messages


def agrees(how, ours, theirs):
    """Errors are always compared exactly."""
    if ours[:1] == b"-" or theirs[:1] == b"-":
        return ours == theirs
    if isinstance(how, list):
        return elements(how, ours, theirs)
    try:
        return RULES[how](ours, theirs)
    except (ValueError, IndexError, TypeError):
        return False


def elements(rules, ours, theirs):
    """EXEC: each element as the reply of what was queued."""
    (our_head, _, ours), (their_head, _, theirs) = ours.partition(b"\r\n"), theirs.partition(b"\r\n")
    our, their = resp.split_replies(ours), resp.split_replies(theirs)
    same = our_head == their_head and len(our) == len(their) == len(rules)
    return same and all(map(equal_or_agree, rules, our, their))


def equal_or_agree(rule, ours, theirs):
    return ours == theirs or agrees(rule, ours, theirs)


def exact(ours, theirs):
    return ours == theirs


def near_ms(ours, theirs):
    return abs(resp.decode(ours) - resp.decode(theirs)) <= CLOCK_TOLERANCE_MS


def near_s(ours, theirs):
    return abs(resp.decode(ours) - resp.decode(theirs)) * 1000 <= CLOCK_TOLERANCE_MS


def unordered(ours, theirs):
    return ours[:1] == theirs[:1] and sorted(resp.decode(ours)) == sorted(resp.decode(theirs))


def nullness(ours, theirs):
    """RANDOMKEY: which key is free, whether there is one is not."""
    return (resp.decode(ours) is None) == (resp.decode(theirs) is None) and ours[:1] == theirs[:1]


def scan(ours, theirs):
    """One page that held everything: the same set. A server may page smaller than asked; then one holds the other."""
    our_cursor, our_keys = resp.decode(ours)
    their_cursor, their_keys = resp.decode(theirs)
    if our_cursor == their_cursor == b"0":
        return sorted(our_keys) == sorted(their_keys)
    return set(our_keys) <= set(their_keys) or set(their_keys) <= set(our_keys)


def hello(ours, theirs):
    """The same fields in the same container; the server's version and the connection's number are its own."""
    our, their = resp.decode(ours), resp.decode(theirs)
    free = (b"server", b"version", b"id")
    same = all(our[at] == their[at] or (at % 2 and our[at - 1] in free) for at in range(min(len(our), len(their))))
    return ours[:2] == theirs[:2] and len(our) == len(their) and same


def dump(ours, theirs):
    """The same value in it. Redis compresses with a table that it does not clear, so now and then its bytes differ."""
    our, their = resp.decode(ours), resp.decode(theirs)
    return payload.text(our) == payload.text(their)


def shape(ours, theirs):
    """Both say something of one kind, or nothing."""
    return ours[:1] == theirs[:1] and (resp.decode(ours) is None) == (resp.decode(theirs) is None)


def mostly(ours, theirs):
    """Names of commands: ours are among theirs, but for those that only this server has."""
    own = (b"hotkeys", b"client|no-touch", b"client|setinfo", b"cluster|myshardid", b"cluster|slot-stats")
    known = set(resp.decode(theirs))
    return ours[:1] == theirs[:1] and all(name in known or name.startswith(own) for name in resp.decode(ours))


def pairs(ours, theirs):
    """A map, or what stands for one, in any order."""
    our, their = resp.decode(ours), resp.decode(theirs)
    return ours[:2] == theirs[:2] and dict(zip(our[::2], our[1::2])) == dict(zip(their[::2], their[1::2]))


def time(ours, theirs):
    (our, our_us), (their, their_us) = resp.decode(ours), resp.decode(theirs)
    return abs(int(our) - int(their)) * 1000 <= CLOCK_TOLERANCE_MS and int(our_us) < 10**6 > int(their_us)


def client_info(ours, theirs):
    """What the connection is; its number, addresses, ages and buffers are its own. So is whether a watched key has
    changed (`d`), which this server learns at EXEC, and that EXEC runs (`x`).
    """
    told = (b"name", b"flags", b"db", b"sub", b"psub", b"ssub", b"cmd", b"user", b"redir", b"resp")
    our, their = (dict(word.split(b"=", 1) for word in resp.decode(raw).split() if b"=" in word) for raw in (ours, theirs))
    for fields in (our, their):
        fields[b"flags"] = fields[b"flags"].translate(None, b"dx") or b"N"
    return ours[:1] == theirs[:1] and all(our.get(name) == their.get(name) for name in told)


def tracking_info(ours, theirs):
    """The same, with flags and prefixes in any order."""
    our, their = (resp.decode(raw) for raw in (ours, theirs))
    in_order = lambda fields: [sorted(field) if isinstance(field, list) else field for field in fields]  # noqa: E731
    return ours[:2] == theirs[:2] and in_order(our) == in_order(their)


def keyspace_info(ours, theirs):
    """How many keys there are, and how many expire; when they do on average is an estimate."""
    our, their = (resp.decode(raw).split(b",avg_ttl=")[0] for raw in (ours, theirs))
    return ours[:1] == theirs[:1] and our == their


def command_info(ours, theirs):
    """Name, arity and key positions; flags as a set. Categories, tips and key specifications differ by version."""
    (our,), (their,) = resp.decode(ours), resp.decode(theirs)
    same = our[:2] == their[:2] and our[3:6] == their[3:6]
    return same and set(our[2]) == set(their[2])


RULES = {
    rule.__name__: rule
    for rule in (
        exact, near_ms, near_s, unordered, nullness, scan, hello, dump, command_info, shape, mostly, pairs, time,
        client_info, keyspace_info, tracking_info,
    )
}  # fmt: skip
