"""Hot keys that are no strings, in front of a server that has them: what is read of them by many connections, against what
one key alone could have answered.
"""

from hot import register
from hot.drive import Op
from hot.mixed import play_registers
from hot.stage import suite
from lib.cases import check

LANES = 160
FIELD = b"f"

# Ways to ask for the field: each is a question of its own.
READS = [
    lambda key: (b"HGETALL", key),
    lambda key: (b"HGET", key, FIELD),
    lambda key: (b"HMGET", key, FIELD),
    lambda key: (b"HVALS", key),
]


@suite.case(foreign=True)
def fields_are_linearizable(stage):
    """HMSET and four ways to read in pipelines of random depth, program order included (`register`): a hash is a register.

    A third of the pipelines write and read by turns: whoever writes sees what it wrote, or something later.
    """
    with stage.crowd(LANES) as crowd:
        keys = [b"hash:%d" % number for number in stage.rng.sample(range(1000), 3)]
        for key in keys:
            crowd.call(crowd.lanes[0], b"HMSET", key, FIELD, b"first")
        stage.heat(crowd, keys, name=b"HGETALL")
        count = 0

        def write(key):
            nonlocal count
            count += 1
            return Op(b"HMSET", key, FIELD, b"%d" % count)

        def read(key):
            return Op(*stage.rng.choice(READS)(key))

        def pipeline(lane):
            key = stage.rng.choice(keys)
            dice = stage.rng.random()
            if dice < 0.1:
                ops = [write(key), read(key), write(key), read(key)]
            else:
                ops = []
                for _ in range(stage.rng.randint(1, 20)):
                    key = stage.rng.choice(keys) if stage.rng.random() > 0.9 else key
                    ops.append(write(key) if stage.rng.random() < 0.01 else read(key))
            return ops

        play_registers(stage, crowd, keys, pipeline, step_of)


def step_of(op):
    if op.words[0] == b"HMSET":
        check(op.reply == b"+OK", f"a write failed: {op}")
        return register.Step(op, register.WRITE, put=op.words[3])
    value = op.reply[-1] if isinstance(op.reply, list) else op.reply
    return register.Step(op, register.READ, got=value)
