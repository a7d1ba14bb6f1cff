"""Any operations by many connections on hot keys, against what one key alone could have answered."""

import time

from hot import register, search
from hot.drive import Op
from hot.stage import full, suite
from lib.cases import check

REGISTER_LANES = 160
WINDOW_LANES = 7
OPERATIONS_MAX = 250_000
NOISE_LANES = 60


@suite.case()
def registers_are_linearizable(stage):
    """SET, GET and GETSET with unique values in pipelines of random depth, program order included (`register`).

    Half of the pipelines are SET, GET, SET, GET on one key: whoever writes sees what it wrote, or something later.
    """
    with stage.crowd(REGISTER_LANES) as crowd:
        keys = [b"register:%d" % number for number in stage.rng.sample(range(1000), 4)]
        for key in keys:
            crowd.call(crowd.lanes[0], b"SET", key, b"first")
        stage.heat(crowd, keys)
        count = 0

        def fresh():
            nonlocal count
            count += 1
            return b"%d" % count

        def pipeline(lane):
            key = stage.rng.choice(keys)
            if stage.rng.random() < 0.3:
                ops = [Op(b"SET", key, fresh()), Op(b"GET", key), Op(b"SET", key, fresh()), Op(b"GET", key)]
            else:
                ops = []
                for _ in range(stage.rng.randint(1, 20)):
                    dice = stage.rng.random()
                    key = stage.rng.choice(keys) if dice > 0.9 else key
                    if dice < 0.1:
                        ops.append(Op(b"SET", key, fresh()))
                    elif dice < 0.14:
                        ops.append(Op(b"GETSET", key, fresh()))
                    else:
                        ops.append(Op(b"GET", key))
            return ops

        play_registers(stage, crowd, keys, pipeline, step_of)


def play_registers(stage, crowd, keys, pipeline, step_of):
    """Pipelines on keys that each hold `first`, and what they were answered as what a register could have answered."""
    history = {key: [] for key in keys}

    def noted(lane):
        ops = pipeline(lane)
        for op in ops:
            history[op.words[1]].append(op)
        return ops

    seconds = full(2.0, 0.8)
    share = stage.measured(crowd, keys, lambda: crowd.run(seconds, noted, lambda op: None, OPERATIONS_MAX))
    for key, ops in history.items():
        wrong = register.check([step_of(op) for op in ops], b"first")
        check(not wrong, f"{key!r}, {len(ops)} operations: {wrong}")
    stage.check_hot(share)


def step_of(op):
    if op.words[0] == b"GET":
        return register.Step(op, register.READ, got=op.reply)
    if op.words[0] == b"SET":
        check(op.reply == b"+OK", f"a SET failed: {op}")
        return register.Step(op, register.WRITE, put=op.words[2])
    return register.Step(op, register.SWAP, got=op.reply, put=op.words[2])


@suite.case()
def mixed_windows_are_linearizable(stage):
    """Short windows of all sorts of commands by a few connections, while many others read (`search`).

    A window ends when its connections have all replies; the next begins from the state that a last look shows.
    """
    with stage.crowd(WINDOW_LANES + NOISE_LANES) as crowd:
        keys = [b"mixed:%d" % number for number in stage.rng.sample(range(1000), 3)]
        stage.heat(crowd, keys)
        players, noise = crowd.lanes[:WINDOW_LANES], crowd.lanes[WINDOW_LANES:]
        state = dict.fromkeys(keys, search.ABSENT)
        verdicts = {search.FITS: 0, search.UNDECIDED: 0}
        count = 0

        def operation(key):
            nonlocal count
            count += 1
            # Numbers, so that INCR means something; far apart, so that values differ.
            value = b"%d" % (count * 1000)
            return Op(*stage.rng.choice(VOCABULARY)(key, value))

        def window():
            history = {key: [] for key in keys}
            for lane in noise:
                if not lane.waiting and stage.rng.random() < 0.4:
                    crowd.ask(lane, [Op(b"GET", stage.rng.choice(keys)) for _ in range(stage.rng.randint(1, 8))])
            plan = []
            for lane in players:
                key = stage.rng.choice(keys)
                for _ in range(stage.rng.randint(1, 3)):
                    key = stage.rng.choice(keys) if stage.rng.random() < 0.3 else key
                    plan.append((lane, [operation(key) for _ in range(stage.rng.randint(1, 4))]))
            stage.rng.shuffle(plan)
            for lane, ops in plan:
                crowd.ask(lane, ops)
                for op in ops:
                    history[op.words[1]].append(op)
                if stage.rng.random() < 0.2:
                    crowd.pump(0)
            while any(lane.waiting for lane in players):
                crowd.pump()
            last = [[Op(b"GET", key), Op(b"TTL", key)] for key in keys]
            crowd.ask(players[0], [op for pair in last for op in pair])
            while players[0].waiting:
                crowd.pump()
            for key, (value, timed) in zip(keys, last):
                ops = [*history[key], value, timed]
                verdict = search.check(ops, state[key])
                if verdict == search.IMPOSSIBLE:
                    shown = "\n      ".join(map(repr, sorted(ops, key=lambda op: op.asked)))
                    raise AssertionError(f"{key!r} from {state[key]}: no order explains\n      {shown}")
                verdicts[verdict] += 1
                state[key] = (value.reply, timed.reply > 0)

        def play():
            end_s = time.monotonic() + full(2.0, 1.0)
            while time.monotonic() < end_s:
                window()
            crowd.drain()

        stage.measured(crowd, keys, play)
        windows = sum(verdicts.values())
        check(verdicts[search.UNDECIDED] <= windows * 0.05, f"{verdicts}: too many windows undecided")
        return f"{windows} windows, {verdicts[search.UNDECIDED]} undecided"


VOCABULARY = [
    *[lambda key, value: (b"GET", key)] * 6,
    *[lambda key, value: (b"SET", key, value)] * 3,
    *[lambda key, value: (b"INCR", key)] * 3,
    # Where sums of several overflow and each alone may not.
    *[lambda key, value: (b"SET", key, b"%d" % ((1 << 63) - 3))] * 2,
    lambda key, value: (b"SET", key, b"%d" % (2 - (1 << 63))),
    lambda key, value: (b"INCRBY", key, b"2"),
    lambda key, value: (b"DECR", key),
    lambda key, value: (b"DECRBY", key, b"3"),
    *[lambda key, value: (b"GETSET", key, value)] * 2,
    *[lambda key, value: (b"APPEND", key, value[-5:])] * 2,
    lambda key, value: (b"SET", key, b"text-" + value),
    lambda key, value: (b"SET", key, value, b"NX"),
    lambda key, value: (b"SET", key, value, b"XX"),
    lambda key, value: (b"SET", key, value, b"KEEPTTL"),
    lambda key, value: (b"SET", key, value, b"EX", b"100000"),
    lambda key, value: (b"DEL", key),
    lambda key, value: (b"GETDEL", key),
    lambda key, value: (b"EXPIRE", key, b"100000"),
    lambda key, value: (b"PERSIST", key),
    lambda key, value: (b"TTL", key),
    lambda key, value: (b"STRLEN", key),
    lambda key, value: (b"EXISTS", key),
]
