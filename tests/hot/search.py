"""Is there an order in which one key alone would have answered so? For any operations, in small windows.

The search of Wing and Gong with Lowe's memory, as in tests/sim/linear.rs: take any operation that was asked before
every open one was answered, do it, go on; a place met before (how far each connection is, and the state) is not
searched again. Operations of one connection keep their order, pipelined or not. A read that fits is taken at once: it
changes nothing, so no choice is lost.

A verdict is exact both ways, from a known first state, with every operation answered. It takes exponential time in the
number of connections, so windows are short and end when nobody waits, and a search that finds too many places is
given up (`UNDECIDED`, which proves nothing). Expiry is only whether there is one: deadlines are too far to be met.
"""

PLACES_MAX = 30_000
FITS, IMPOSSIBLE, UNDECIDED = "fits", "impossible", "undecided"
ABSENT = (None, False)
NOT_INTEGER = b"-ERR value is not an integer or out of range"
OVERFLOW = b"-ERR increment or decrement would overflow"
STEPS = {b"INCR": 1, b"INCRBY": 1, b"DECR": -1, b"DECRBY": -1}


def in_range(number):
    return -(1 << 63) <= number < 1 << 63


def integer(value):
    """The number that the server would see, if any."""
    try:
        number = int(value)
    except ValueError:
        return None
    return number if in_range(number) and b"%d" % number == value else None


def apply(state, words):
    """What a key does: the state behind it, and the reply. A state is (value, whether it has an expiry)."""
    value, timed = state
    name = words[0]
    if name == b"GET":
        return state, value
    if name == b"SET":
        option = words[3] if len(words) > 3 else None
        if option == b"NX" and value is not None or option == b"XX" and value is None:
            return state, None
        return (words[2], timed if option == b"KEEPTTL" else option == b"EX"), b"+OK"
    if name == b"GETSET":
        return (words[2], False), value
    if name in STEPS:
        number = 0 if value is None else integer(value)
        if number is None:
            return state, NOT_INTEGER
        number += STEPS[name] * (int(words[2]) if len(words) > 2 else 1)
        return ((b"%d" % number, timed), number) if in_range(number) else (state, OVERFLOW)
    if name == b"APPEND":
        longer = (value or b"") + words[2]
        return (longer, timed), len(longer)
    if name == b"DEL":
        return ABSENT, int(value is not None)
    if name == b"GETDEL":
        return ABSENT, value
    if name == b"EXPIRE":
        return (state, 0) if value is None else ((value, True), 1)
    if name == b"PERSIST":
        return (value, False), int(timed)
    if name == b"STRLEN":
        return state, len(value or b"")
    if name == b"EXISTS":
        return state, int(value is not None)
    if name == b"TTL":
        return state, -2 if value is None else 1 if timed else -1
    raise ValueError(name)


def seen(op):
    """The reply as the model says it: of a time to live, only whether there is one."""
    return min(op.reply, 1) if op.words[0] == b"TTL" else op.reply


def check(ops, first=ABSENT):
    """A verdict on the operations, those of a lane in their order."""
    lanes = {}
    for op in ops:
        lanes.setdefault(op.lane, []).append((op.asked, op.answered, op.words, seen(op)))
    lanes = list(lanes.values())
    start = ((0,) * len(lanes), first)
    known, places = {start}, [start]
    while places:
        done, state = places.pop()
        open_ = [(lane[at][1], index) for index, (lane, at) in enumerate(zip(lanes, done)) if at < len(lane)]
        if not open_:
            return FITS
        if len(known) > PLACES_MAX:
            return UNDECIDED
        first_answer = min(open_)[0]
        nexts = []
        for _, index in sorted(open_, reverse=True):
            asked, _, words, wanted = lanes[index][done[index]]
            if asked > first_answer:
                continue
            after, reply = apply(state, words)
            if reply != wanted:
                continue
            place = (done[:index] + (done[index] + 1,) + done[index + 1 :], after)
            if after == state and (words[0] in (b"GET", b"STRLEN", b"EXISTS", b"TTL")):
                nexts = [place]
                break
            nexts.append(place)
        for place in nexts:
            if place not in known:
                known.add(place)
                places.append(place)
    return IMPOSSIBLE
