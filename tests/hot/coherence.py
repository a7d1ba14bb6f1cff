"""One writer a key, many readers with copies: the strictest check (`story`), with values of three sizes.

One writer is not one connection: a key's writes take turns on as many connections as there are cores, and the next
leaves when the last is answered. Besides those who read all the time, some rest until a write is answered and ask
that very moment: a copy that is made stale too late shows to them first. Storms, in which all read, alternate with
calm, in which few do and this process notices an answer within microseconds.
"""

import time

from hot.drive import Op
from hot.stage import fail_if, full, suite
from hot.story import Story
from lib.cases import check


PHASE_S = 0.2
CALM_PART = 12
SPRINTERS_A_WRITE = 6
FAVOUR_S = 0.4


class Readers:
    """The first connections write, as many a key as there are cores; the last few sprint; the others read in
    pipelines of random depth.
    """

    def __init__(self, stage, crowd, stories, sprinters, depth_max):
        self.stage, self.crowd = stage, crowd
        self.stories = {story.key: story for story in stories}
        self.keys = list(self.stories)
        # Neighbours are on different cores.
        cores = stage.server.cores
        self.writers = {number: self.keys[number // cores] for number in range(cores * len(self.keys))}
        self.turn = {key: number * cores for number, key in enumerate(self.keys)}
        self.unanswered = dict.fromkeys(self.keys, 0)
        self.first_sprinter = len(crowd.lanes) - sprinters
        self.depth_max = depth_max
        self.wrong = []
        self.number = 10

    def get(self, key):
        return Op(b"GET", key, note=self.stories[key].floor)

    def pipeline(self, lane):
        rng, number = self.stage.rng, lane.number
        if key := self.writers.get(number):
            return self.write(lane, key) if self.turn[key] == number and not self.unanswered[key] else None
        calm = int(time.monotonic() / PHASE_S) % 2
        if number >= self.first_sprinter or calm and number % CALM_PART:
            return None
        depth = rng.choice((1, 1, 2, 3, 3 if calm else self.depth_max))
        return [self.get(rng.choice(self.read_now())) for _ in range(depth)]

    def read_now(self):
        return self.keys

    def write(self, lane, key):
        """SET, GET, SET, GET ... in one pipeline, or a lone SET."""
        ops, story = [], self.stories[key]
        for _ in range(self.stage.rng.choice((1, 1, 2, 5))):
            self.number += 1
            place = story.tell(self.number)
            ops += [Op(b"SET", key, story.value(self.number), note=place), Op(b"GET", key, note=place)]
            self.unanswered[key] += 1
        return ops if self.stage.rng.random() < 0.7 else ops[:-1]

    def handle(self, op):
        story = self.stories[op.words[1]]
        if op.words[0] == b"GET":
            if wrong := story.read(op):
                self.wrong.append(wrong)
            return
        if op.reply == b"+OK":
            story.answered(op.note, op.lane)
        elif not (story.lossy and op.reply.startswith(b"-OOM")):
            self.wrong.append(f"a write failed: {op}")
        self.written(op.words[1])

    def written(self, key):
        """A write was answered: runners start, and behind the last of a pipeline another connection may write."""
        self.unanswered[key] -= 1
        rested = [lane for lane in self.crowd.lanes[self.first_sprinter :] if not lane.waiting]
        for lane in self.stage.rng.sample(rested, min(len(rested), SPRINTERS_A_WRITE)):
            self.crowd.ask(lane, [self.get(key)])
        if not self.unanswered[key]:
            self.turn[key] = self.stage.rng.choice([number for number, of in self.writers.items() if of == key])
            lane = self.crowd.lanes[self.turn[key]]
            if not lane.waiting and self.stage.rng.random() < 0.5 and (ops := self.write(lane, key)):
                self.crowd.ask(lane, ops)


def play(stage, lanes, keys, size, depth_max, seconds):
    with stage.crowd(lanes) as crowd:
        names = [b"story:%d:%d" % (size, number) for number in stage.rng.sample(range(1000), keys)]
        stories = [Story(name, size, first=1) for name in names]
        for story in stories:
            crowd.call(crowd.lanes[0], b"SET", story.key, story.value(1))
        stage.heat(crowd, names)
        readers = Readers(stage, crowd, stories, min(24, lanes // 4), depth_max)
        share = stage.measured(crowd, names, lambda: crowd.run(seconds, readers.pipeline, readers.handle))
        fail_if(readers.wrong)
        stage.check_hot(share)
        return f"{sum(s.writes for s in stories)} writes, {sum(s.reads for s in stories)} reads"


@suite.case()
def copies_of_small_values_are_coherent(stage):
    return play(stage, lanes=240, keys=4, size=10, depth_max=24, seconds=full(2.0, 0.8))


@suite.case()
def copies_of_5_kb_are_coherent(stage):
    return play(stage, lanes=120, keys=3, size=5000, depth_max=12, seconds=full(1.6, 0.7))


@suite.case()
def copies_of_200_kb_are_coherent(stage):
    return play(stage, lanes=24, keys=1, size=200_000, depth_max=3, seconds=full(2.0, 0.8))


class Fickle(Readers):
    """Two keys at a time have everybody's attention; to the others little happens, and they cool."""

    def read_now(self):
        return self.keys[int(time.monotonic() / FAVOUR_S) * 2 % len(self.keys) :][:2]

    def write(self, lane, key):
        favoured = key in self.read_now()
        return super().write(lane, key) if favoured or self.stage.rng.random() < 0.02 else None


@suite.case()
def keys_that_warm_and_cool_are_coherent(stage):
    """Each becomes hot, and ceases to be, while it is written and read: the way of requests changes under way."""
    with stage.crowd(160) as crowd:
        names = [b"fickle:%d" % number for number in stage.rng.sample(range(1000), 8)]
        stories = [Story(name, first=1) for name in names]
        for story in stories:
            crowd.call(crowd.lanes[0], b"SET", story.key, story.value(1))
        readers = Fickle(stage, crowd, stories, 24, 12)
        stage.measured(crowd, names, lambda: crowd.run(full(3.0, 2.2), readers.pipeline, readers.handle))
        fail_if(readers.wrong)
        promoted, demoted = stage.turns()
        check(promoted > len(names) // 2 and demoted > 0, f"{promoted} became hot, {demoted} cooled")
        return f"{sum(s.writes for s in stories)} writes; {promoted} times a key became hot, {demoted} times cool"
