"""Histories with a planted error, which have to be found, beside like ones that are right, which have to pass."""

import itertools

from hot import register, search
from hot.drive import Op
from hot.stage import suite
from hot.story import Story, padded
from lib.cases import check, check_equal


def op(lane, asked, answered, reply, *words):
    made = Op(*words)
    made.lane, made.asked, made.answered, made.reply = lane, asked, answered, reply
    return made


def get(lane, asked, answered, reply):
    return op(lane, asked, answered, reply, b"GET", b"k")


def reads(lane, *replies):
    return [get(lane, 1, 20, reply) for reply in replies]


def put(lane, asked, answered, value):
    return op(lane, asked, answered, b"+OK", b"SET", b"k", value)


def swap(lane, asked, answered, old, new):
    return op(lane, asked, answered, old, b"GETSET", b"k", new)


def incr(lane, asked, answered, number):
    return op(lane, asked, answered, number, b"INCR", b"k")


def steps(ops):
    """As a register's. INCR on a counter, as its value's text."""
    made = []
    for each in ops:
        name = each.words[0]
        if name == b"INCR":
            made.append(register.Step(each, register.SWAP, got=b"%d" % (each.reply - 1), put=b"%d" % each.reply))
        elif name == b"GET":
            made.append(register.Step(each, register.READ, got=each.reply))
        elif name == b"SET":
            made.append(register.Step(each, register.WRITE, put=each.words[2]))
        else:
            made.append(register.Step(each, register.SWAP, got=each.reply, put=each.words[2]))
    return made


# What is wrong, a history that is, and the same with another reply or time, which is right. Both begin from b"0".
HISTORIES = {
    "a stale read": (
        [put(0, 1, 2, b"a"), get(1, 3, 4, b"0")],
        [put(0, 1, 2, b"a"), get(1, 2, 4, b"0")],
    ),
    "a read that goes back": (
        [put(0, 1, 9, b"a"), get(1, 2, 3, b"a"), get(2, 4, 5, b"0")],
        [put(0, 1, 9, b"a"), get(1, 2, 4, b"a"), get(2, 3, 5, b"0")],
    ),
    "a lost write": (
        [put(0, 1, 2, b"a"), put(1, 3, 4, b"b"), get(2, 5, 6, b"a")],
        [put(0, 1, 4, b"a"), put(1, 3, 4, b"b"), get(2, 5, 6, b"a")],
    ),
    "a number answered twice": (
        [incr(0, 1, 9, 1), incr(1, 1, 9, 2), incr(2, 1, 9, 2)],
        [incr(0, 1, 9, 1), incr(1, 1, 9, 2), incr(2, 1, 9, 3)],
    ),
    "numbers in the wrong order": (
        [incr(0, 1, 2, 2), incr(1, 3, 4, 1)],
        [incr(0, 1, 3, 2), incr(1, 3, 4, 1)],
    ),
    "the own write ignored": (
        [put(0, 1, 9, b"a"), get(0, 1, 9, b"0")],
        [put(0, 1, 9, b"a"), get(1, 1, 9, b"0")],
    ),
    "a pipeline out of order": (
        [put(0, 1, 9, b"a"), get(1, 1, 9, b"a"), get(1, 1, 9, b"0")],
        [put(0, 1, 9, b"a"), get(1, 1, 9, b"0"), get(1, 1, 9, b"a")],
    ),
    "readers who disagree about two writes": (
        [put(0, 1, 9, b"a"), put(1, 1, 9, b"b"), *reads(2, b"a", b"b"), *reads(3, b"b", b"a")],
        [put(0, 1, 9, b"a"), put(1, 1, 9, b"b"), *reads(2, b"a", b"b"), *reads(3, b"a", b"b")],
    ),
    "a value swapped twice": (
        [swap(0, 1, 9, b"0", b"a"), swap(1, 1, 9, b"0", b"b")],
        [swap(0, 1, 9, b"0", b"a"), swap(1, 1, 9, b"a", b"b")],
    ),
    "a value from nowhere": (
        [put(0, 1, 2, b"a"), get(1, 3, 4, b"x")],
        [put(0, 1, 2, b"a"), get(1, 3, 4, b"a")],
    ),
    "a value before it was asked for": (
        [get(1, 1, 2, b"a"), put(0, 3, 4, b"a")],
        [get(1, 1, 3, b"a"), put(0, 3, 4, b"a")],
    ),
}


@suite.case(planted=True)
def planted_errors_are_found(_):
    first = (b"0", False)
    for what, (bad, good) in HISTORIES.items():
        check(register.check(steps(bad), b"0"), f"register did not notice {what}")
        check_equal(register.check(steps(good), b"0"), None, f"register, the like of {what}")
        check_equal(search.check(bad, first), search.IMPOSSIBLE, f"search, {what}")
        check_equal(search.check(good, first), search.FITS, f"search, the like of {what}")
    return f"{len(HISTORIES)} errors, two checkers"


@suite.case(planted=True)
def planted_errors_of_other_commands_are_found(_):
    """What only the search knows."""
    written = put(0, 1, 2, b"a")
    gone = op(0, 3, 4, 1, b"DEL", b"k")
    longer = op(0, 3, 4, 2, b"APPEND", b"k", b"b")
    timed = op(0, 3, 4, 1, b"EXPIRE", b"k", b"100")
    only = [op(lane, 1, 9, b"+OK", b"SET", b"k", value, b"NX") for lane, value in ((0, b"a"), (1, b"b"))]
    cases = [
        ([written, gone, get(1, 5, 6, b"a")], search.IMPOSSIBLE),
        ([written, gone, get(1, 5, 6, None)], search.FITS),
        ([written, gone, op(1, 3, 4, 1, b"DEL", b"k")], search.IMPOSSIBLE),
        ([written, longer, get(1, 5, 6, b"b")], search.IMPOSSIBLE),
        ([written, longer, get(1, 5, 6, b"ab")], search.FITS),
        ([written, timed, op(1, 5, 6, -1, b"TTL", b"k")], search.IMPOSSIBLE),
        ([written, timed, op(1, 5, 6, 99, b"TTL", b"k")], search.FITS),
        (only, search.IMPOSSIBLE),
    ]
    for ops, verdict in cases:
        check_equal(search.check(ops), verdict, "\n      ".join(map(repr, ops)))


@suite.case(planted=True)
def both_checkers_agree_on_random_histories(rng):
    """Small random histories, most with a corrupted reply or time: the fast verdict is the exhaustive search's."""
    verdicts = {True: 0, False: 0}
    for _ in range(1500):
        ops = random_history(rng)
        fast = register.check(steps(ops), b"0") is None
        slow = search.check(ops, (b"0", False))
        check(slow != search.UNDECIDED, "a small history was too large")
        if fast != (slow == search.FITS):
            shown = "\n      ".join(map(repr, ops))
            raise AssertionError(f"possible: {fast} by the register, {slow} by the search:\n      {shown}")
        verdicts[fast] += 1
    check(min(verdicts.values()) > 200, f"one-sided: {verdicts}")
    return f"{verdicts[True]} possible, {verdicts[False]} not"


def random_history(rng):
    """Operations that take effect one after the other, with intervals around; then perhaps one is spoilt."""
    lanes, value, fresh, made = 4, b"0", itertools.count(1), []
    starts, ends = [-99] * lanes, [0] * lanes
    count = rng.randint(3, 9)
    for moment in range(10, 10 * count + 10, 10):
        lane = rng.randrange(lanes)
        # A pipeline may be asked at once; what is asked later is not asked earlier, and replies come in order.
        starts[lane] = asked = max(moment - rng.randint(0, 40), starts[lane])
        ends[lane] = answered = max(moment + rng.randint(0, 40), ends[lane])
        dice = rng.random()
        if dice < 0.4:
            made.append(get(lane, asked, answered, value))
        else:
            new = b"%d" % (100 + next(fresh))
            made.append(put(lane, asked, answered, new) if dice < 0.8 else swap(lane, asked, answered, value, new))
            value = new
    if rng.random() < 0.6:
        victim = rng.choice(made)
        if victim.words[0] != b"SET":
            victim.reply = rng.choice([b"0", *(o.words[2] for o in made if o.words[0] != b"GET")])
    return made


@suite.case(planted=True)
def planted_errors_in_a_story_are_found(_):
    """One writer's states: stale, backwards, torn, foreign, and risen again."""

    def story(lossy=False):
        made = Story(b"k", size=25, first=1, lossy=lossy)
        for number in (2, 3):
            made.answered(made.tell(number))
        return made

    def read(made, lane, floor, reply):
        each = get(lane, 0, 0, reply)
        each.note = floor
        return made.read(each)

    made = story()
    check(read(made, 0, 2, padded(2, 25)), "a stale read")
    check(read(made, 0, 2, padded(4, 25)), "a read of what was not yet written")
    check(read(made, 0, 2, padded(3, 25)[:-1] + b"x"), "a torn value")
    check(read(made, 0, 2, None), "a value that vanished")
    check_equal(read(made, 0, 2, padded(3, 25)), None)
    check(read(made, 0, 0, padded(2, 25)), "a connection that went back")
    check_equal(read(made, 1, 1, padded(2, 25)), None, "another that was asked before")
    check_equal(made.floor, 2)
    place = made.tell(None)
    check_equal(read(made, 2, 2, None), None, "a removal that is under way")
    check(read(made, 3, made.floor, padded(3, 25)), "a value read after it was seen to be gone")
    made.answered(place)
    check(read(made, 4, made.floor, padded(3, 25)), "a value read after its removal was answered")
    made = story(lossy=True)
    check_equal(read(made, 0, made.floor, None), None, "a value that was evicted")
    check(read(made, 1, made.floor, padded(3, 25)), "an evicted value that came back")
