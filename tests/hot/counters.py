"""INCR on one key over all connections: each number is answered once, and nobody's go back."""

from hot import register
from hot.drive import Op
from hot.stage import fail_if, full, suite
from lib.cases import check, check_equal

LANES = 200


@suite.case()
def incr_counts_each_once(stage):
    """Replies are exactly 1..N; in each connection they ascend; one asked after another was answered is greater.

    A second counter takes INCRBY of random positive steps and GETs: each total is its predecessor's plus the step.
    """
    with stage.crowd(LANES) as crowd:
        plain, mixed = b"counter:%d" % stage.rng.randrange(100), b"steps:%d" % stage.rng.randrange(100)
        stage.heat(crowd, [plain, mixed])
        history, wrong, floor, high = {plain: [], mixed: []}, [], {plain: 0, mixed: 0}, {}

        def pipeline(lane):
            ops = []
            for _ in range(stage.rng.randint(1, 24)):
                if stage.rng.random() < 0.6:
                    ops.append(Op(b"INCR", plain, note=floor[plain]))
                elif stage.rng.random() < 0.3:
                    ops.append(Op(b"GET", mixed, note=floor[mixed]))
                else:
                    ops.append(Op(b"INCRBY", mixed, b"%d" % stage.rng.randint(1, 9), note=floor[mixed]))
            return ops

        def handle(op):
            number = int(op.reply or 0)
            place, reads = (op.lane, op.words[1]), op.words[0] == b"GET"
            least = max(op.note, high.get(place, 0)) + (not reads)
            if number < least:
                wrong.append(f"answered {number}, when {least} was the least possible\n      {op}")
            high[place] = max(number, high.get(place, 0))
            floor[op.words[1]] = max(number, floor[op.words[1]])
            history[op.words[1]].append(op)

        share = stage.measured(crowd, [plain, mixed], lambda: crowd.run(full(1.6, 0.8), pipeline, handle))
        fail_if(wrong)
        replies = sorted(op.reply for op in history[plain])
        check_equal(replies, list(range(1, len(replies) + 1)), "replies of INCR")
        check_equal(int(crowd.call(crowd.lanes[0], b"GET", plain)), len(replies), "the counter at the end")
        steps = [step_of(op) for op in history[mixed]]
        wrong = register.check(steps, 0)
        check(not wrong, f"INCRBY and GET: {wrong}")
        stage.check_hot(share)
        return f"1..{len(replies)}"


def step_of(op):
    if op.words[0] == b"GET":
        return register.Step(op, register.READ, got=int(op.reply or 0))
    return register.Step(op, register.SWAP, got=op.reply - int(op.words[2]), put=op.reply)
