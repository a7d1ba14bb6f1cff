"""Faults that the checkers of damaged logs and of loading have to notice: forged frames with the right checksum, which
a server cannot but serve, and answers that are wrong in one point.
"""

import time

from crash import damage, loading
from crash.damage import Damage, expected, flip, inspect, judge, rewrite, served, written
from crash.stage import suite
from lib.cases import check
from lib.logfile import FRAME, RECORD, forge


def caught(found, word):
    check(found and all(word in text for text in found), f"wanted {word!r}, got {found}")


def vouched_put(log):
    """A frame with a plain value of which a later one says that it is durable, and which is the key's last."""
    whole = log.replay()
    for chain, frames in log.frames.items():
        for at, frame in reversed(list(enumerate(frames))):
            puts = [record for record in frame.records if record.value.startswith(b"2.") and len(record.value) < 1000]
            is_last = puts and whole.get(puts[-1].key, (None,))[0] == puts[-1].value
            if is_last and log.is_vouched(chain, at, frame.offset, frame.end):
                return frame, puts[-1]
    raise AssertionError("no such frame")


def nothing_of(base, frame):
    """A damage behind all that counts."""
    size = len(base.files[frame.name])
    return Damage(frame.name, size, size, "nothing")


@suite.case()
def planted_forgeries():
    """A value that is changed under a right checksum is served; who flipped a byte of it must not believe that."""
    with written("always", rests=False) as base:
        frame, record = vouched_put(base.log)
        at = record.offset + RECORD.size + len(record.key) + len(record.value) - 1

        def change(body):
            body[at - frame.offset] ^= 1

        segment = base.log.segments[frame.name]
        path = base.folder / damage.FOLDER / frame.name
        rewrite(lambda data: forge(data, frame, segment.nonce, change))(path)
        where = Damage(frame.name, at, at + 1, "value")
        found, is_refused = inspect(base, where, repairs=False)
        check(not is_refused, "a sealed frame is refused")
        caught(found, "is served, and was durable")
        kept, _ = served(base)
        caught(judge(base.log, nothing_of(base, frame), kept, None), "has another value")
        base.restore()
        # The same flip without the forgery is refused, and believed.
        flip(at, 1)(path)
        found, is_refused = inspect(base, where, repairs=True)
        check(is_refused and not found, f"an honest refusal is not believed: {found}")
        base.restore()
        # All behind it goes as well, and with it what vouches in this segment; and it is said that one byte went.
        rewrite(lambda data: data[: frame.offset])(path)
        kept, refusal = served(base)
        if refusal is None:
            caught(judge(base.log, where, kept, None), "is served, and was durable")


@suite.case()
def planted_verdicts():
    """Answers that are wrong in one point."""
    with written("always", rests=False) as base:
        log, kept = base.log, base.kept
        frame, record = vouched_put(log)
        nothing = nothing_of(base, frame)
        check(not judge(log, nothing, kept, None), "all of it is not believed")
        caught(judge(log, nothing, {key: kept[key] for key in kept if key != record.key}, None), "is missing")
        caught(judge(log, nothing, {**kept, b"stranger": (b"", -1)}, None), "should not be there")
        caught(judge(log, nothing, {**kept, record.key: (record.value, 4)}, None), "has another value")
        caught(judge(log, nothing, None, "exited with 1"), "does not start")
        hit = Damage(frame.name, frame.offset + FRAME.size, frame.offset + FRAME.size + 1, "record")
        refusal = f"exited with 1: {damage.place(log, hit)}: coldplate log repair, coldplate log check"
        check(not judge(log, hit, None, refusal), "a refusal is not believed")
        for word in ("exited with 1", frame.name, str(frame.offset), "log repair", "log check"):
            caught(judge(log, hit, None, refusal.replace(word, "?")), "refused without")
        # A frame that nothing vouches for may go, with all that is behind it in its chain and nothing else.
        chain, last = next((chain, frames[-1]) for chain, frames in reversed(log.frames.items()))
        torn = Damage(last.name, last.offset, last.end, "frame")
        shorter, refuses = expected(log, torn)
        check(refuses == "no" and chain == max(log.frames), "the last frame is vouched for")
        check(not judge(log, torn, shorter, None), "a torn end is not believed")
        if shorter != kept:
            check(judge(log, torn, kept, None), "what was damaged is believed to be there")
        put = '1 0 1 put 3 "k" "v\\n\\xff\\"" expires 7\n'
        check(damage.replay_dump(put) == {b"k": (b'v\n\xff"', 7)}, "a dump is misread")
        check(damage.replay_dump(put + '1 0 2 remove 3 "k"\n') == {}, "a removal is misread")


def refused(call, *args):
    try:
        call(*args)
    except AssertionError:
        return
    raise AssertionError(f"{call.__name__} believes {args}")


@suite.case()
def planted_progress():
    """Progress that goes back or stands still, and readiness that comes too early."""
    total = loading.KEYS * loading.VALUE_BYTES + 1000

    def row(loaded, size=total, percent=None):
        percent = 100 * loaded / size if percent is None else percent
        return float(int(time.time())), size, 0.0, loaded, round(percent, 2), 2.0

    good = [row(0), row(1000), row(2000), row(total)]
    loading.judge_rows(good)
    for bad in (good[:1], good[::-1], [good[0]] * 4, [*good, row(5, total + 1)], [*good[:3], row(total, percent=50)]):
        refused(loading.judge_rows, bad)
    told = "STATUS=loading: 5 %, 1 of 20 MiB\nEXTEND_TIMEOUT_USEC=60000000\n"
    ready = "READY=1\nSTATUS=serving on 2 cores\n"
    loading.judge_told([told, told], ready)
    for before, last in (([], ready), ([told, ready], ready), ([told], told), ([told.replace("60000000", "1")], ready)):
        refused(loading.judge_told, before, last)
