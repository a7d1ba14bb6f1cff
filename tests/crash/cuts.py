"""Power cuts: a run is recorded below the file system, and then cut at each boundary of a write or of a flush.

For each cut the disk is made as it would be (replay.py), mounted, so that the kernel replays its journal, and a server
is started on it. What had been answered when the cut came has to be there. Then it writes, is killed and started
once more: a torn end that was passed over must not swallow what comes behind it.
"""

import contextlib
import os
import pickle
import shutil
import sys
import tempfile
import time
from pathlib import Path

from crash import stage
from crash.disk import Disk, Unmountable, missing, mounted, scratch, stand_apart
from crash.ledger import Ledger
from crash.load import Load
from crash.replay import Cutter, Loss, Recording, copy_sparse
from crash.stage import EVERYSEC_NS, SEED, Subject, draw, fail_if, need_log, number, start, suite, unexpected
from lib.cases import Skip, check
from lib.server import ServerError

CLIENTS = 16
# A hundred cuts take twenty seconds; a run that is cut everywhere is shorter.
SECONDS = float(os.environ.get("SECONDS") or (0.4 if os.environ.get("CUTS") == "all" else 2))
EVERYSEC_SECONDS = 6.0
# A file system that asks more of a sector than that it be whole is mounted again with whole blocks.
BLOCK_BYTES = 4096
AGAIN_EVERY = 4
COMPLAINTS_MAX = 5
ALL_WAYS = os.environ.get("WAYS") == "all"
CUTS = os.environ.get("CUTS")
KINDS = (os.environ.get("FS") or ("ext4" if os.environ.get("QUICK") == "1" else "ext4 xfs")).split()


class Run:
    """A recorded run, a folder of files: base image, recording, ledger, and when the server was started."""

    def __init__(self, folder, kind, policy):
        self.folder, self.kind, self.policy = folder, kind, policy
        self.ledger = Ledger()
        self.start_ns = 0
        # What was drawn for its cuts is drawn again from this.
        self.seed = SEED
        self.again_every = AGAIN_EVERY

    def save(self):
        whole = (self.kind, self.policy, self.ledger, self.start_ns, self.seed, self.again_every)
        (self.folder / "ledger").write_bytes(pickle.dumps(whole))

    @classmethod
    def load(cls, folder):
        run = cls(folder, None, None)
        whole = pickle.loads((folder / "ledger").read_bytes())
        run.kind, run.policy, run.ledger, run.start_ns, run.seed, run.again_every = whole
        return run

    def keep(self):
        """Moves it to where it stays."""
        kept = Path(tempfile.mkdtemp(prefix="coldplate-crash-kept-", dir="/var/tmp"))
        for name in ("base.img", "recording", "ledger"):
            copy_sparse(self.folder / name, kept / name)
        return kept


def record(folder, kind, policy, seconds, hot=False, meddle=None, **orders):
    """Plays the load on a recorded disk, by `meddle` not left in peace; the server is killed at the end of it."""
    run = Run(folder, kind, policy)
    # A disk that is still full takes nothing more.
    run.again_every = AGAIN_EVERY if meddle is None else 0
    rng = draw("cuts", kind, policy, *orders)
    with Disk(kind) as disk:
        home = disk.point / "data"
        home.mkdir()
        os.sync()
        disk.order(**orders)
        run.start_ns = time.monotonic_ns()
        with Subject(home, appendfsync=policy) as subject:
            load = Load(subject.port, CLIENTS, f"{SEED}.{kind}", seconds, hot)
            time.sleep(rng.uniform(0, seconds / 2))
            if meddle is None:
                subject.ask("BGREWRITEAOF")
            else:
                meddle(disk, subject)
            load.collect(run.ledger)
            subject.crash()
        disk.order(lie=False, hold=0)
        for path in (disk.base, disk.recording):
            copy_sparse(path, folder / path.name)
    run.save()
    return run


def choose(run, recording, rng):
    """The cuts to be made: the first moments, when the log's folder is made, and as many others as are asked for."""
    first = recording.first_after(run.start_ns)
    boundaries = range(first, len(recording.steps) + 1)
    check(len(boundaries) > 20, f"only {len(boundaries)} steps were recorded")
    if CUTS == "all":
        return list(boundaries)
    # Mounting takes xfs ten times as long.
    count = min(number("CUTS", 60 if run.kind == "xfs" else 120, 30), len(boundaries))
    early = list(boundaries[: count // 6])
    return sorted({*early, *rng.sample(boundaries, count - len(early))})


class Judge:
    """Makes one cut after the other and collects what is wrong."""

    def __init__(self, run, policy):
        self.run = run
        self.window_ns = EVERYSEC_NS if policy == "everysec" else 0
        self.policy = policy
        self.notes = {}
        self.complaints = []
        self.cuts = 0
        self.bound = 0

    def play(self, folder, cuts, recording):
        stand_apart()
        point = folder / "mnt"
        point.mkdir(exist_ok=True)
        cutter = Cutter(self.run.folder / "base.img", recording, folder / "safe.img", folder / "cut.img")
        with contextlib.closing(cutter):
            for at in cuts:
                for way in Loss.WAYS if ALL_WAYS else [draw("cut", at).choice(Loss.WAYS)]:
                    self.cut(cutter, recording, at, way, point)
                if len(self.complaints) >= COMPLAINTS_MAX:
                    break

    def cut(self, cutter, recording, at, way, point):
        self.cuts += 1
        for sector_bytes in (512, BLOCK_BYTES):
            cutter.cut(at, Loss(way, draw("loss", at, way)), sector_bytes)
            try:
                with mounted(cutter.image, point, self.run.kind):
                    wrong = self.inspect(recording, at, point / "data")
                    self.complaints += [f"cut {at} ({way}): {text}" for text in wrong]
                return
            except Unmountable as error:
                self.notes["mounted with whole blocks only"] = self.notes.get("mounted with whole blocks only", 0) + 1
                refusal = str(error)
        self.complaints.append(f"cut {at} ({way}): the file system is gone: {refusal}")

    def inspect(self, recording, at, home):
        answered_ns = recording.acknowledged_ns(at)
        if self.window_ns:
            answered_ns = min(answered_ns, recording.steps[at - 1].time_ns) - self.window_ns
        ledger = self.run.ledger
        is_again = self.run.again_every and at % self.run.again_every == 0
        # Gone only where the disk lies.
        home.mkdir(exist_ok=True)
        try:
            # What is written behind it has to stay, for which Redis takes `always`.
            subject = start(home, self.notes, appendfsync="always" if is_again else self.policy)
        except ServerError as error:
            return [f"the server does not start: {error}"]
        try:
            kept = subject.kept(ledger.keys())
            wrong = ledger.judge(kept, answered_ns, recording.sent_ns(at))
            if not wrong and is_again:
                wrong = self.again(subject, ledger, kept, home)
            return wrong
        finally:
            subject.vanish()

    def again(self, subject, ledger, kept, home):
        """Writes behind what was found, and looks once more after a kill."""
        behind = {b"again:%d" % n: (b"%d" % n, -1) for n in range(20)}
        for key, (value, _) in behind.items():
            reply = subject.ask("SET", key, value)
            if reply != b"+OK":
                return [f"a write behind what was found is answered {reply!r}"]
        subject.crash()
        with Subject(home, appendfsync="always") as second:
            found = second.kept([*ledger.keys(), *behind])
            second.crash()
        wanted = {**kept, **behind}
        differing = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
        return [f"after one more start {key.decode()} differs" for key in differing[:1]]


def power_cuts(kind, policy, seconds=SECONDS, judged_as=None, meddle=None, **orders):
    """Records and judges; a run with complaints is kept."""
    need_log()
    if lacking := missing(kind):
        raise Skip(f"power cuts need {lacking}")
    folder = scratch()
    try:
        run = record(folder, kind, policy, seconds, meddle=meddle, **orders)
        recording = Recording(folder / "recording")
        judge = Judge(run, judged_as or policy)
        judge.play(folder, choose(run, recording, draw("choice", kind, policy)), recording)
        refused = sum(run.ledger.errors.values())
        if meddle is None:
            judge.complaints += unexpected(run.ledger)
        elif refused:
            judge.notes["refused: " + max(run.ledger.errors, key=run.ledger.errors.get)] = refused
        where = f"; again: {sys.argv[0]} replay {run.keep()}" if judge.complaints and judged_as is None else ""
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    steps = len(recording.steps)
    flushes = sum(step.is_flush for step in recording.steps)
    note = f"{judge.cuts} cuts of {steps} steps, {flushes} of them flushes; {run.ledger.answered()} answered writes"
    extra = "".join(f"; {count} {what}" for what, count in judge.notes.items())
    return judge.complaints, f"{note}{extra}", where


def hold_up(kind, policy, *rest, **orders):
    complaints, note, where = power_cuts(kind, policy, *rest, **orders)
    fail_if(complaints, f"SEED={SEED}{where}; {note}")
    return note


def replay(folder, *cuts):
    """Plays all cuts of a kept run, or these."""
    run, recording, place = Run.load(Path(folder)), Recording(Path(folder) / "recording"), scratch()
    stage.SEED = run.seed
    judge = Judge(run, run.policy)
    try:
        judge.play(place, sorted(map(int, cuts)) or choose(run, recording, draw("again")), recording)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print("\n".join(judge.complaints))
    print(f"{judge.cuts} cuts, {len(judge.complaints)} complaints {judge.notes or ''}")
    return 1 if judge.complaints else 0


for _kind in KINDS:

    @suite.case(f"power_cut_always_{_kind}")
    def power_cut_always(kind=_kind):
        return hold_up(kind, "always")

    @suite.case(f"power_cut_always_late_{_kind}")
    def power_cut_always_late(kind=_kind):
        """A third of the writes is answered late and out of order: who flushes before the answer flushes too little."""
        return hold_up(kind, "always", hold=0.3)

    @suite.case(f"power_cut_everysec_{_kind}")
    def power_cut_everysec(kind=_kind):
        return hold_up(kind, "everysec", EVERYSEC_SECONDS)

    @suite.case(f"power_cut_always_hot_{_kind}")
    def power_cut_always_hot(kind=_kind):
        """Reads of hot keys come from copies: these, too, must not show what is not safe yet."""
        return hold_up(kind, "always", hot=True)
