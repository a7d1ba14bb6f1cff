"""Eviction while keys are hot: a value may go, but it neither comes back nor is it ever an old one."""

from hot.coherence import Readers
from hot.drive import Op
from hot.stage import fail_if, full, suite
from hot.story import Story
from lib.cases import check
from lib.server import IS_CHECKED

LANES = 120
FILLERS = 6
FILLER = b"f" * 10_000
HEADROOM_BYTES = 6 << 20


class Pressed(Readers):
    """Some connections fill the memory with other keys."""

    filled = 0
    refused = 0

    def pipeline(self, lane):
        at = lane.number - len(self.writers)
        if not 0 <= at < FILLERS:
            return super().pipeline(lane)
        self.filled += 8
        return [Op(b"SET", b"filler:%d" % (self.filled + n), FILLER) for n in range(8)]

    def write(self, lane, key):
        """Seldom, or an evicted key would be back before anybody misses it."""
        return super().write(lane, key) if self.stage.rng.random() < 0.05 else [self.get(key)]

    def handle(self, op):
        if op.words[0] == b"SET" and op.words[1] not in self.stories:
            self.refused += op.reply != b"+OK"
        else:
            super().handle(op)


def pressed(stage, policy, seconds):
    with stage.crowd(LANES) as crowd:
        lane = crowd.lanes[0]
        names = [b"pressed:%d" % number for number in stage.rng.sample(range(1000), 3)]
        stories = [Story(name, 2000, first=1, lossy=True) for name in names]
        for story in stories:
            crowd.call(lane, b"SET", story.key, story.value(1))
        stage.heat(crowd, names)
        used = int(stage.info("memory")["used_memory"])
        for name, value in ((b"maxmemory-policy", policy), (b"maxmemory", b"%d" % (used + HEADROOM_BYTES))):
            check(crowd.call(lane, b"CONFIG", b"SET", name, value) == b"+OK", "CONFIG SET failed")
        readers = Pressed(stage, crowd, stories, 12, 12)
        evicted = int(stage.info("stats")["evicted_keys"])
        seconds *= 4 if IS_CHECKED else 1
        stage.measured(crowd, names, lambda: crowd.run(seconds, readers.pipeline, readers.handle))
        fail_if(readers.wrong)
        evicted = int(stage.info("stats")["evicted_keys"]) - evicted
        check(evicted > 0, "nothing was evicted")
        misses = sum(story.absences for story in stories)
        return f"{evicted} keys evicted, {misses} hot reads missed, {readers.refused} writes refused"


@suite.case(memory=True)
def lru_eviction_keeps_hot_keys_coherent(stage):
    return pressed(stage, b"allkeys-lru", full(1.6, 0.7))


@suite.case(memory=True)
def random_eviction_keeps_hot_keys_coherent(stage):
    """Unlike the oldest, a random victim is now and then a hot key."""
    return pressed(stage, b"allkeys-random", full(1.6, 0.7))
