"""A log with known keys, damaged: a flipped byte anywhere, and an end that is zeroed, garbage, cut off or too long.

A second reader of the format (lib/logfile.py) knows which frame each byte belongs to and which frames vouch for it. So
for each damage there is one right answer. Where something that still stands says that the frame was durable, the server
refuses to start, and says where and what to do. Where nothing does, it starts without that frame and what is behind it
in its chain. Where no frame is touched, with everything. `coldplate log check` has to say the same, and after
`coldplate log repair` a server has to start with exactly what is in front of the damage.
"""

import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass

from crash.disk import scratch
from crash.stage import CORES, SEED, Subject, draw, fail_if, need_log, number, suite
from lib import resp
from lib.cases import check
from lib.logfile import FOLDER, HEADER_BYTES, NAME, Log
from lib.server import StartError, default_binary

POSITIONS = number("POSITIONS", 300, 12)
TAILS = number("TAILS", 40, 2)
MASKS = (0x01, 0x80, 0xFF)
# Of the damages that a server refuses, so many are repaired.
REPAIR_EVERY = 3
COMPLAINTS_MAX = 5
TURNS = 60
LARGE_BYTES = 90_000
GARBAGE_BYTES = 4096
# Nothing is cleaned, so that the log has all that was ever written to it.
KEEP_ALL = 100
TOOL_S_MAX, REST_S_MAX = 60, 60


def story(rng, run):
    """What a run writes: pipelines, each answered before the next is sent, and enough of it for a few segments."""
    for turn in range(TURNS):
        lines = []
        for _ in range(rng.randrange(1, 7)):
            key = b"key:%d" % rng.randrange(40)
            value = b"%d.%d|" % (run, turn) + bytes(rng.choices(b"abc\x00\xff\n", k=rng.choice((3, 10, 60, 300))))
            lines.append(rng.choice((
                (b"SET", key, value),
                (b"SET", key, value),
                (b"SET", key, value, b"PXAT", b"%d" % (4_102_444_800_000 + turn)),
                (b"APPEND", key, value),
                (b"MSET", key, value, b"key:%d" % rng.randrange(40), value),
                (b"INCR", b"count:%d" % rng.randrange(4)),
                (b"DEL", key),
            )))
        if turn % 3 == 0:
            lines.append((b"SET", b"large:%d" % rng.randrange(6), value + b"x" * LARGE_BYTES))
        yield lines
        if (run, turn) == (0, TURNS // 3):
            yield [(b"FLUSHALL",)]


@dataclass
class Base:
    """A log and what it comes to. `folder` is there to be damaged, `files` bring it back."""

    folder: object
    log: Log
    files: dict
    kept: dict

    def restore(self):
        inside = self.folder / FOLDER
        for path in inside.iterdir():
            if path.name not in self.files:
                path.unlink()
        for name, data in self.files.items():
            path = inside / name
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)


def options(policy="no"):
    return {"appendfsync": policy, "log_amplification": KEEP_ALL}


def await_rest(folder):
    """Each core says at last, in an empty frame, that all it has written is durable."""
    deadline = time.monotonic() + REST_S_MAX
    while any(frames[-1].records for frames in Log(folder).frames.values()):
        check(time.monotonic() < deadline, "nothing says that the last frames are durable")
        time.sleep(0.2)


@contextmanager
def written(policy, rests):
    """A log of three runs. The last one ends by kill -9, at rest or right behind its last answer."""
    need_log()
    folder = scratch()
    try:
        for run in range(3):
            with Subject(folder, **options(policy)) as subject:
                check(not subject.is_redis, "about this server's own log")
                rng = draw("story", policy, run)
                with resp.connected(subject) as wire:
                    for lines in story(rng, run):
                        wire.send(b"".join(resp.encode(*line) for line in lines))
                        for line in lines:
                            reply = wire.reply()
                            check(not reply.startswith(b"-"), f"{line[0]} is answered {reply}")
                if run < 2:
                    subject.stop()
                    continue
                if rests:
                    await_rest(folder)
                kept = subject.kept([])
                subject.crash()
        log = Log(folder)
        base = Base(folder, log, {name: segment.data for name, segment in log.segments.items()}, kept)
        check(not differ(log.replay(), kept), "the second reader finds something else in a sound log")
        check(len(log.frames) == 3 * CORES and len(kept) > 30, f"{len(log.frames)} chains, {len(kept)} keys")
        if rests:
            check(not unvouched(log), f"nothing says that these frames are durable: {unvouched(log)}")
        yield base
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unvouched(log):
    """Frames with records of which nothing else says that they are durable."""
    frames = ((chain, at, frame) for chain, frames in log.frames.items() for at, frame in enumerate(frames))
    return [
        f"{frame.name} at {frame.offset}"
        for chain, at, frame in frames
        if frame.records and not log.is_vouched(chain, at, frame.offset, frame.end)
    ]


def tool(task, folder, *flags):
    """`coldplate log`: exit status, what it printed, and what it complained of."""
    words = [default_binary(), "log", task, folder, *flags]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=TOOL_S_MAX)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def served(base):
    """What a server makes of the log as it is now: its keys, or why it ends. What it wrote is taken away."""
    try:
        with Subject(base.folder, **options()) as subject:
            kept = subject.kept(base.kept)
            subject.crash()
            return kept, None
    except StartError as error:
        return None, str(error)


@dataclass
class Damage:
    """Bytes from `begin` to `end` of a file that are not what they were; of a whole file if it is gone."""

    name: str
    begin: int
    end: int
    what: str

    def __str__(self):
        return f"{self.what} of {self.name} from {self.begin}"


def expected(log, damage):
    """What has to be served, and whether it is refused instead: (kept, "must" | "may" | "no")."""
    hit = log.first_hit(damage.name, damage.begin, damage.end)
    if hit is None:
        return log.replay(), "no"
    chain, at = hit
    kept = log.replay({chain: at})
    if log.is_vouched(chain, at, damage.begin, damage.end):
        return kept, "must"
    # Without any header of a chain a first frame cannot be told from a stale one.
    return kept, "may" if damage.begin < HEADER_BYTES else "no"


def place(log, damage):
    """What a refusal has to name: the file, and where in it."""
    chain, at = log.first_hit(damage.name, damage.begin, damage.end)
    frame = log.frames[chain][at]
    return f"{frame.name}: at {frame.offset}: frame {frame.sequence}" if damage.begin >= HEADER_BYTES else damage.name


def differ(found, wanted):
    """Complaints about keys: what is there and should not be, what is missing, what has another value."""
    for key in sorted(found.keys() | wanted.keys()):
        name = key.decode(errors="replace")
        if key not in found:
            return [f"{name} is missing"]
        if key not in wanted:
            return [f"{name} should not be there"]
        if found[key] != wanted[key]:
            return [f"{name} has another value"]
    return []


def judge(log, damage, kept, refusal):
    """Complaints about what a server made of a damaged log."""
    wanted, refuses = expected(log, damage)
    if refusal is None and refuses == "must":
        return [f"{damage}: is served, and was durable"]
    if refusal is None:
        return [f"{damage}: {text}" for text in differ(kept, wanted)]
    if refuses == "no":
        return [f"{damage}: the server does not start: {refusal[-300:]}"]
    due = ("exited with 1", place(log, damage), "coldplate log check", "coldplate log repair")
    if all(words in refusal for words in due):
        return []
    return [f"{damage}: refused without a file, a place and what to do: {refusal[-400:]}"]


def inspect(base, damage, repairs):
    """Plays a damage that has been done: the tool's opinion, the server's, and what repairing makes of it."""
    status, said, _ = tool("check", base.folder)
    kept, refusal = served(base)
    complaints = judge(base.log, damage, kept, refusal)
    if status != (refusal is not None):
        complaints.append(f"{damage}: log check exits with {status}, the server says {refusal}")
    if refusal is not None and not complaints:
        if place(base.log, damage) not in said or "CORRUPT" not in said:
            complaints.append(f"{damage}: log check does not say where: {said[-400:]}")
        elif repairs:
            complaints += repair(base, damage)
    return complaints, refusal is not None


def repair(base, damage):
    """Gives up what is behind the damage: first only told, then done, then served."""
    inside = base.folder / FOLDER
    before = {path.name: path.read_bytes() for path in inside.iterdir() if NAME.fullmatch(path.name)}
    status, said, _ = tool("repair", base.folder)
    after = {path.name: path.read_bytes() for path in inside.iterdir() if NAME.fullmatch(path.name)}
    if status != 1 or "gives up" not in said or "--yes" not in said or after != before:
        return [f"{damage}: log repair without --yes exits with {status}: {said[-300:]}"]
    status, said, complaint = tool("repair", base.folder, "--yes")
    if status != 0 or "gives up" not in said or "is kept as" not in said:
        return [f"{damage}: log repair exits with {status}: {said[-300:]}{complaint}"]
    if not any(name.endswith(".damaged") for name in map(str, inside.iterdir())):
        return [f"{damage}: nothing of what was given up is kept"]
    status, dumped, complaint = tool("dump", base.folder, "--values")
    kept, refusal = served(base)
    if refusal is not None:
        return [f"{damage}: after log repair the server does not start: {refusal[-300:]}"]
    wanted, _ = expected(base.log, damage)
    complaints = [f"{damage}: after log repair {text}" for text in differ(kept, wanted)]
    if status != 0 or complaint or replay_dump(dumped) != kept:
        complaints.append(f"{damage}: log dump exits with {status} and shows something else: {complaint}")
    return complaints


QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
LINE = re.compile(rf"\d+ \d+ \d+ (?:(clear)|(put|remove) (\d+) {QUOTED}(?: {QUOTED}(?: expires (\d+))?)?)\n")


def unquote(text):
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def replay_dump(text):
    """The keys that the lines of `log dump --values` come to. A FLUSHALL is of one core, as are its lines' keys."""
    state, owner, at = {}, {}, 0
    while at < len(text):
        found = LINE.match(text, at)
        if found is None:
            return f"no line of a dump: {text[at : at + 80]!r}"
        core, at = found[0].split(" ", 2)[1], found.end()
        if found[1]:
            for key in [key for key in state if owner[key] == core]:
                del state[key]
            continue
        key = unquote(found[4])
        owner[key] = core
        if found[2] == "remove":
            state.pop(key, None)
        else:
            state[key] = (unquote(found[5]), int(found[6] or -1))
    return state


def play(base, damages):
    """Does one damage after the other, each to a sound log. A damage is a Damage and how to do it to a file's path."""
    complaints, refused, count = [], 0, 0
    for damage, act in damages:
        path = base.folder / FOLDER / damage.name
        act(path)
        found, is_refused = inspect(base, damage, refused % REPAIR_EVERY == 0)
        complaints += found
        refused += is_refused
        count += 1
        base.restore()
        if len(complaints) >= COMPLAINTS_MAX:
            break
    return complaints, f"{count} damages, {refused} of them refused, {-(-refused // REPAIR_EVERY)} repaired"


def flips(base, rng, count):
    """Flipped bytes, as many in each kind of place, whichever file and frame it is in."""
    pieces = base.log.pieces()
    kinds = rng.sample(sorted(pieces), len(pieces))
    for turn in range(count):
        what = kinds[turn % len(kinds)]
        name, begin, end = rng.choice(pieces[what])
        at, mask = rng.randrange(begin, end), rng.choice((*MASKS, rng.randrange(1, 256)))
        yield Damage(name, at, at + 1, f"{what} ^ {mask:02x}"), flip(at, mask)


def flip(at, mask):
    def act(path):
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ mask]))

    return act


def rewrite(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


def tails(base, rng, count):
    """What a power cut, a full disk or a bad copy makes of a log's end: from any place on that nothing vouches for."""
    log = base.log
    last_run = max(run for run, _ in log.chains)
    ends = {chain: segments for chain, segments in log.chains.items() if chain[0] == last_run}
    for turn in range(count):
        chain = rng.choice(sorted(ends))
        segment = [segment for segment in ends[chain] if segment.header][-1]
        size, frames = len(segment.data), list(enumerate(log.frames[chain]))
        first = next(
            (frame.offset for at, frame in frames if not log.is_vouched(chain, at, frame.offset, size)), segment.end
        )
        at = rng.choice((rng.randrange(first, size), rng.randrange(first, min(segment.end + 200, size)), segment.end))
        garbage = rng.randbytes(rng.choice((1, 31, 32, 500, GARBAGE_BYTES)))
        what, change = (
            ("zeroes", lambda data, at=at: data[:at] + bytes(len(data) - at)),
            ("garbage", lambda data, at=at, rng=rng: data[:at] + rng.randbytes(len(data) - at)),
            ("truncation", lambda data, at=at: data[:at]),
            ("truncation and garbage", lambda data, at=at, garbage=garbage: data[:at] + garbage),
        )[turn % 4]
        yield Damage(segment.name, at, size, what), rewrite(change)
        yield Damage(segment.name, size, size, "extension"), rewrite(lambda data, garbage=garbage: data + garbage)
        spare = next((segment for segment in ends[chain] if segment.header is None), None)
        if spare is not None:
            whole = spare.name, 0, len(spare.data)
            yield Damage(*whole, "garbage for a spare"), rewrite(lambda data, rng=rng: rng.randbytes(len(data)))
            yield Damage(*whole, "loss of the spare"), lambda path: path.unlink()


def damaged(policy, rests):
    with written(policy, rests) as base:
        flipped, of_flips = play(base, flips(base, draw("flips", policy), POSITIONS))
        torn, of_tails = play(base, tails(base, draw("tails", policy), TAILS))
    fail_if(flipped + torn, f"SEED={SEED}; flips: {of_flips}; tails: {of_tails}")
    return f"flips: {of_flips}; tails: {of_tails}"


@suite.case()
def damaged_at_rest():
    """Everything was promised, and all is vouched for: a flip is refused, or changes nothing."""
    return damaged("always", rests=True)


@suite.case()
def damaged_unsynced():
    """The last run was killed and never synced: what nothing vouches for may go, as a whole and from the end."""
    return damaged("no", rests=False)
