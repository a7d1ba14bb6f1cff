"""How values begin and end under everybody's eyes: hot misses, DEL and FLUSHALL, expiry."""

import time

from hot.coherence import CALM_PART, PHASE_S, SPRINTERS_A_WRITE
from hot.drive import Op
from hot.stage import fail_if, full, suite
from hot.story import Story
from lib.cases import check

LANES = 150
WRITERS = 4
SPRINTERS = 24
SHORT_KEYS = 4
PX_MS = 300
# A core's clock stands still while it handles a batch, so a late answer may have been right when it was made.
SLACK_MS = 20


@suite.case()
def misses_and_removals_are_coherent(stage):
    """Everybody reads absent keys; they come to be, are deleted, are flushed: nobody sees what was before."""
    with stage.crowd(LANES) as crowd:
        names = [b"gone:%d" % number for number in stage.rng.sample(range(1000), 3)]
        stories = {name: Story(name) for name in names}
        stage.heat(crowd, names)
        wrong, count, flushes = [], 10, 0

        def change():
            """One thing at a time, each on any of the first connections."""
            nonlocal count, flushes
            if stage.rng.random() < 0.15:
                flushes += 1
                op = Op(b"FLUSHALL", note=[(story, story.tell(None)) for story in stories.values()])
            else:
                story = stories[stage.rng.choice(names)]
                count += 1
                if story.states[-1] is None:
                    op = Op(b"SET", story.key, story.value(count), note=[(story, story.tell(count))])
                else:
                    words = stage.rng.choice([(b"DEL", story.key), (b"UNLINK", story.key), (b"GETDEL", story.key)])
                    op = Op(*words, note=[(story, story.tell(None))])
            crowd.ask(stage.rng.choice(crowd.lanes[:WRITERS]), [op])

        def pipeline(lane):
            calm = int(time.monotonic() / PHASE_S) % 2
            if lane.number < WRITERS or lane.number >= LANES - SPRINTERS or calm and lane.number % CALM_PART:
                return None
            keys = [stage.rng.choice(names) for _ in range(stage.rng.choice((1, 2, 3, 3 if calm else 16)))]
            return [Op(b"GET", key, note=stories[key].floor) for key in keys]

        def handle(op):
            if op.words[0] == b"GET":
                if complaint := stories[op.words[1]].read(op):
                    wrong.append(complaint)
                return
            if op.words[0] in (b"DEL", b"UNLINK") and op.reply != 1 or op.words[0] == b"GETDEL" and op.reply is None:
                wrong.append(f"nothing to remove, though the only writer had set it: {op}")
            for story, place in op.note:
                story.answered(place)
            key = op.words[1] if len(op.words) > 1 else stage.rng.choice(names)
            rested = [lane for lane in crowd.lanes[LANES - SPRINTERS :] if not lane.waiting]
            for lane in stage.rng.sample(rested, min(len(rested), SPRINTERS_A_WRITE)):
                crowd.ask(lane, [Op(b"GET", key, note=stories[key].floor)])
            if time.monotonic() < end_s:
                change()

        seconds = full(2.0, 0.8)
        end_s = time.monotonic() + seconds
        change()
        share = stage.measured(crowd, names, lambda: crowd.run(seconds, pipeline, handle))
        fail_if(wrong)
        stage.check_hot(share)
        writes = sum(story.writes for story in stories.values())
        return f"{writes} changes ({flushes} FLUSHALL), {sum(s.absences for s in stories.values())} misses"


@suite.case()
def hot_keys_expire_in_time(stage):
    """SET PX 300 again and again. Each reader's pipeline is TIME, GETs, TIME.

    A value is late if the first TIME is more than 20 ms behind its expiry (PEXPIRETIME); it is missing if the last TIME
    is more than 20 ms ahead; and once anybody saw it gone it does not come back (`story`, which may lose states).
    """
    with stage.crowd(LANES) as crowd:
        names = [b"short:%d" % number for number in stage.rng.sample(range(1000), SHORT_KEYS)]
        stories = {name: Story(name, lossy=True) for name in names}
        stage.heat(crowd, names)
        wrong, expiry_ms, times, unjudged = [], {}, {}, []
        count, next_write_s = 10, [0.0] * SHORT_KEYS

        def write(number):
            nonlocal count
            if time.monotonic() < next_write_s[number]:
                return None
            next_write_s[number] = time.monotonic() + stage.rng.choice((0.05, 0.2, 0.36, 0.36, 0.45))
            count += 1
            story = stories[names[number]]
            words, place = (b"SET", story.key, story.value(count)), story.tell(count)
            if stage.rng.random() < 0.5:
                ops = [Op(*words, note=place), Op(b"PEXPIRE", story.key, b"%d" % PX_MS)]
            else:
                ops = [Op(*words, b"PX", b"%d" % PX_MS, note=place)]
            return [*ops, Op(b"PEXPIRETIME", story.key, note=count)]

        def pipeline(lane):
            if lane.number < SHORT_KEYS:
                return write(lane.number)
            keys = [stage.rng.choice(names) for _ in range(stage.rng.randint(1, 10))]
            gets = [Op(b"GET", key, note=stories[key].floor) for key in keys]
            return [Op(b"TIME"), *gets, Op(b"TIME", note=gets)]

        def handle(op):
            name = op.words[0]
            if name == b"GET":
                if complaint := stories[op.words[1]].read(op):
                    wrong.append(complaint)
                op.note = times[op.lane]
            elif name == b"SET":
                stories[op.words[1]].answered(op.note, op.lane)
            elif name == b"PEXPIRETIME":
                # Of a value that expired before anybody could ask nothing is known.
                expiry_ms[op.note] = op.reply if op.reply > 0 else float("inf")
            elif name == b"TIME":
                times[op.lane] = int(op.reply[0]) * 1000 + int(op.reply[1]) / 1000
                if op.note:
                    unjudged.extend((get, times[op.lane]) for get in op.note)

        stage.measured(crowd, names, lambda: crowd.run(full(2.0, 1.2), pipeline, handle))
        fail_if(wrong)
        worst_ms = check_deadlines(unjudged, expiry_ms)
        absences = sum(story.absences for story in stories.values())
        check(absences > 0, "the keys were never seen to be gone")
        return f"{len(expiry_ms)} lives, {absences} misses; the latest sight {worst_ms:.1f} ms after expiry"


def check_deadlines(unjudged, expiry_ms):
    """Each GET has the TIME before it as its note, and comes with the TIME behind it.

    A value must not be seen past its time; and nothing must not be seen after a value was, while its time is not up:
    what overwrites it lives longer.
    """
    worst_ms, last = float("-inf"), {}
    for get, after_ms in sorted(unjudged, key=lambda pair: pair[0].asked):
        key = get.words[1]
        if get.reply is not None:
            number = int(get.reply)
            worst_ms = max(worst_ms, get.note - expiry_ms[number])
            late = f"expired at {expiry_ms[number]}, still there when TIME was {get.note}: {get}"
            check(get.note <= expiry_ms[number] + SLACK_MS, late)
            if number > last.get(key, (0, 0))[0]:
                last[key] = (number, get.answered)
        elif key in last and get.asked > last[key][1]:
            at_ms = expiry_ms[last[key][0]]
            early = at_ms < float("inf") and after_ms < at_ms - SLACK_MS
            check(not early, f"gone when TIME was {after_ms}, though seen before and alive until {at_ms}: {get}")
    return worst_ms
