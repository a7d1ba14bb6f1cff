"""Throughput and evenness of cores that share keys, by bottleneck analysis. No randomness, no clock. See README.md.

Rates are operations a microsecond, costs CPU microseconds, so that their product is the share of a core.
"""

import tomllib
from binascii import crc_hqx
from dataclasses import dataclass
from functools import cache
from math import exp
from pathlib import Path
from statistics import median

CORES = (1, 2, 4, 8, 16, 32, 64, 128)
KEYS = 1_000_000
SLOTS = 16_384
# So many of the most popular keys are placed one by one, the others evenly: each of those is a millionth or so.
HEAD = 4_096
# Which of the famous keys share a core is luck; the median over so many placements is shown.
PLACEMENTS = 5
STEPS_MAX = 6_000
TOLERANCE = 1e-4
RATE_STEP, VALID_STEP, TURN_GAIN = 0.2, 0.3, 0.06

STRATEGIES = ("hashing", "owner-only", "ttl", "salting", "coldplate")


@dataclass(frozen=True)
class Traffic:
    name: str
    title: str
    zipf: float | None  # None: one key
    reads: float
    counter: bool = False  # writes are INCR, whose replies a split key cannot give

    @property
    def writes(self):
        return 1.0 - self.reads


MIX = 10 / 11
TRAFFIC = (
    Traffic("uniform", "uniform, 10 reads : 1 write", 0.0, MIX),
    Traffic("zipf-0.99", "Zipf 0.99, 10 reads : 1 write", 0.99, MIX),
    Traffic("zipf-1.2", "Zipf 1.2, 10 reads : 1 write", 1.2, MIX),
    Traffic("single", "one key, 10 reads : 1 write", None, MIX),
    Traffic("single-get", "one key, GET only", None, 1.0),
    Traffic("single-incr", "one key, INCR only", None, 0.0, counter=True),
)


class Costs:
    """Costs in microseconds and settings, by name."""

    def __init__(self, us, setting, estimates):
        self.__dict__ |= us | setting
        self.us, self.setting, self.estimates = us, setting, estimates

    def scaled(self, name, factor):
        return Costs(self.us | {name: self.us[name] * factor}, self.setting, self.estimates)

    @property
    def least_us(self):
        """No operation costs its own core less than this, under any strategy."""
        return self.network + min(self.execute, self.replica_hit, self.fold_member)


def load_costs(path=None):
    tables = tomllib.loads((Path(__file__).parent / "costs.toml").read_text())
    for kind, rows in (tomllib.loads(Path(path).read_text()) if path else {}).items():
        for name, row in rows.items():
            if name not in tables.get(kind, {}):
                raise SystemExit(f"scale: {path}: there is no {kind}.{name}")
            tables[kind][name] |= row
    cost, setting = tables["cost"], tables["setting"]
    for name, value in [(name, row["us"]) for name, row in cost.items()] + \
                       [(name, row["value"]) for name, row in setting.items()]:
        if not isinstance(value, (int, float)) or value < 0:
            raise SystemExit(f"scale: {name} wants a number from 0 on")
    return Costs({name: float(row["us"]) for name, row in cost.items()},
                 {name: row["value"] for name, row in setting.items()},
                 [name for name, row in cost.items() if row["status"] == "estimate"])


@dataclass
class Keys:
    """Who owns what: hot keys one by one, the others as each core's share of all operations."""

    hot: list  # (share, owner)
    cold: list


@dataclass
class Point:
    """What one hot key asks of the cores, at some rate."""

    asker: float = 0.0  # of each core that does not own it
    owner: float = 0.0
    letters: float = 0.0  # from each asker to the owner
    letters_each: float = 0.0  # from each core to each other one
    stale: float = 0.0  # stale reads, of all operations
    fold_s: float = 0.0  # fold letters in flight from one core: at most one, which a law checks


@dataclass
class Result:
    rate: float  # operations a microsecond, all cores
    busy: list
    stale_reads: float = 0.0
    inexact: float = 0.0
    in_flight_max: float = 0.0
    hot: int = 0

    @property
    def skew(self):
        return max(self.busy) * len(self.busy) / sum(self.busy)


@cache
def shares(zipf):
    """The most popular keys' shares of all operations, and what all others have together."""
    if zipf is None:
        return (1.0,), 0.0
    if zipf == 0.0:
        return (), 1.0
    total = sum(rank ** -zipf for rank in range(1, KEYS + 1))
    head = tuple(rank ** -zipf / total for rank in range(1, HEAD + 1))
    return head, 1.0 - sum(head)


@cache
def slots(placement):
    return tuple(crc_hqx(b"memtier-%07d" % (placement * HEAD + rank), 0) % SLOTS for rank in range(HEAD))


def place(traffic, costs, cores, placement, hot_max=None):
    head, tail = shares(traffic.zipf)
    rate_s = cores / (costs.network + costs.execute) * 1e6
    floor = max(costs.hot_rate_min_s / rate_s, costs.hot_core_share_min / cores)
    most = costs.hot_keys_max if hot_max is None else hot_max
    keys = Keys([], [tail / cores] * cores)
    for share, slot in zip(head, slots(placement)):
        owner = slot * cores // SLOTS
        # One core has nobody to share with: there is no hot key.
        if cores > 1 and share >= floor and len(keys.hot) < most:
            keys.hot.append((share, owner))
        else:
            keys.cold[owner] += share
    return keys


class Solver:
    """Raises every core's share of the load until the busiest core is full."""

    def __init__(self, strategy, traffic, costs, cores, keys):
        self.traffic, self.costs, self.cores, self.keys = traffic, costs, cores, keys
        self.point = {"hashing": None, "owner-only": self.owner_only, "ttl": self.ttl, "salting": self.salting,
                      "coldplate": self.coldplate}[strategy]
        self.name, self.folds = strategy, strategy in ("owner-only", "coldplate") and bool(keys.hot)
        self.rate = 1.0 / (costs.network + costs.execute)  # a core's clients
        self.busy = [1.0] * cores
        self.turn = [self.turn_max] * cores
        self.valid = [0.5] * len(keys.hot)  # how likely a copy is to be current, key by key
        self.current = list(self.valid)  # the same, as the last step found it

    @property
    def turn_max(self):
        """A full core's turn: what its clients may have outstanding, however long that takes."""
        return self.costs.turn_ops / self.rate

    def solve(self):
        for step in range(STEPS_MAX):
            # Nearly all settle soon; whatever still swings gets smaller steps, and more of them.
            gain = TURN_GAIN * min(16, 2 ** (step // 400))
            self.load()
            wrong = abs(max(self.busy) - 1.0)
            self.rate /= max(self.busy) ** RATE_STEP
            for core, busy in enumerate(self.busy) if self.folds else ():
                turn = min(self.turn_max, self.costs.turn_min / max(1e-9, 1.0 - busy))
                ratio = turn / self.turn[core]
                wrong = max(wrong, abs(ratio - 1.0))
                # The nearer a core is to full, the more violently its turn answers, and the smaller a step it takes.
                self.turn[core] *= ratio ** (1.0 / (1.0 + gain * min(200.0, self.turn[core] / self.costs.turn_min)))
            for at, current in enumerate(self.current):
                wrong = max(wrong, abs(current - self.valid[at]))
                self.valid[at] += VALID_STEP * (current - self.valid[at])
            if wrong < TOLERANCE:
                break
        else:
            raise SystemExit(f"scale: no fixed point for {self.name}, {self.traffic.name}, {self.cores} cores")
        reads = self.traffic.reads
        return Result(self.rate * self.cores, list(self.busy), self.stale / (reads * self.rate) if reads else 0.0,
                      in_flight_max=self.in_flight_max, hot=len(self.keys.hot))

    def load(self):
        costs, rate, others = self.costs, self.rate, self.cores - 1
        cold_all = sum(self.keys.cold)
        self.busy = [rate * (costs.network + cold * costs.execute
                             + others * cold * (costs.letter_serve + costs.execute)
                             + (cold_all - cold) * costs.letter_post) for cold in self.keys.cold]
        letters = [rate * cold for cold in self.keys.cold]
        self.turn_mean = sum(self.turn) / self.cores
        self.stale = self.in_flight_max = asker_all = letters_each = 0.0
        for at, (share, owner) in enumerate(self.keys.hot):
            point = self.point(at, share, owner)
            asker_all += point.asker
            self.busy[owner] += point.owner - point.asker
            letters[owner] += point.letters
            letters_each += point.letters_each
            self.stale += point.stale
            self.in_flight_max = max(self.in_flight_max, point.fold_s)
        # A turn's letters to one core travel together; with many cores there are few to share a batch.
        batches = [(1.0 - exp(-(to + letters_each) * self.turn_max)) / self.turn_max for to in letters]
        batches_all = sum(batches)
        for core in range(self.cores):
            self.busy[core] += asker_all + costs.batch * (batches_all - batches[core] + others * batches[core])

    def round_trip(self, owner):
        """A letter waits half a turn of the receiver, then behind that turn's clients; so does its answer."""
        return 1.5 * (self.turn[owner] + self.turn_mean)

    def fold_rate(self, members, owner):
        """One letter in flight a core: the next leaves when the last one's answer is here and somebody waits."""
        if members <= 0.0:
            return 0.0
        trip = self.round_trip(owner)
        return 1.0 / (trip + exp(-members * trip) / members)

    def owner_only(self, at, share, owner):
        costs, each, others = self.costs, self.rate * share, self.cores - 1
        reads, writes = each * self.traffic.reads, each * self.traffic.writes
        folds = self.fold_rate(reads, owner)
        return Point(asker=reads * costs.fold_member + folds * costs.fold_post + writes * costs.letter_post,
                     owner=each * costs.execute + others * folds * (costs.fold_serve + costs.fold_run)
                     + others * writes * (costs.letter_serve + costs.execute),
                     letters=folds + writes, fold_s=folds * self.round_trip(owner))

    def ttl(self, at, share, owner):
        costs, each, others = self.costs, self.rate * share, self.cores - 1
        reads, writes = each * self.traffic.reads, each * self.traffic.writes
        asked = min(reads, 1e-6 / costs.ttl_s) if costs.ttl_s else reads
        letters = asked + writes
        written = writes * self.cores * costs.ttl_s * 1e6  # anywhere, in a copy's life
        stale = 1.0 - (1.0 - exp(-written)) / written if written > 1e-9 else 0.0
        return Point(asker=(reads - asked) * costs.replica_hit + letters * costs.letter_post,
                     owner=each * costs.execute + others * letters * (costs.letter_serve + costs.execute),
                     letters=letters, stale=stale * (reads - asked) * others / self.cores)

    def salting(self, at, share, owner):
        """A copy on every core, one chosen at random for a read or an INCR; a SET goes to all of them."""
        costs, each, cores = self.costs, self.rate * share, self.cores
        one = each if self.traffic.counter else each * self.traffic.reads
        every = each - one
        letters_each = one / cores + every
        busy = (one + cores * every) * costs.execute \
            + (cores - 1) * letters_each * (costs.letter_post + costs.letter_serve)
        return Point(asker=busy, owner=busy, letters_each=letters_each)

    def coldplate(self, at, share, owner):
        costs, each, others = self.costs, self.rate * share, self.cores - 1
        reads, writes, valid = each * self.traffic.reads, each * self.traffic.writes, self.valid[at]
        members = writes + reads * (1.0 - valid)
        folds = self.fold_rate(members, owner)
        size = members / folds if folds else 1.0
        write = writes / members if members else 0.0
        wrote = folds * (1.0 - (1.0 - write) ** size)  # letters that hold a write, a core
        bumps = others * wrote + writes
        if costs.fold_across_runs:
            runs = 2.0 - write ** size - (1.0 - write) ** size
        else:
            runs = 1.0 + 2.0 * write * (1.0 - write) * (size - 1.0)
        # The core looks once after each answer and once more when a copy that was current no longer is.
        misses = min(bumps, reads, 2.0 * folds) if bumps else 0.0
        self.current[at] = self.currency(bumps, folds)
        return Point(asker=reads * valid * costs.replica_hit + members * costs.fold_member + folds * costs.fold_post
                     + misses * costs.line,
                     owner=each * costs.execute + others * folds * (costs.fold_serve + runs * costs.fold_run)
                     + min(bumps, others * misses) * costs.line,
                     letters=folds, fold_s=folds * self.round_trip(owner))

    def currency(self, bumps, folds):
        """The share of time that a copy is current: the answer must outrun the next write, then lasts until it."""
        if bumps <= 0.0:
            return 1.0
        if folds <= 0.0:
            return 0.0
        writes_between = bumps / folds
        return exp(-bumps * 1.5 * self.turn_mean) * (1.0 - exp(-writes_between)) / writes_between


def solve(strategy, traffic, costs, cores, placement=0):
    if strategy != "salting":
        hot_max = 0 if strategy == "hashing" else None
        return Solver(strategy, traffic, costs, cores, place(traffic, costs, cores, placement, hot_max)).solve()
    # Splitting costs every copy a write, so it gets the number of split keys that suits it best, none included.
    hot = len(place(traffic, costs, cores, placement).hot)
    tries = sorted({0, hot, *(count for count in (1, 2, 4, 8, 16, 32, 64, 128) if count < hot)})
    best = max((Solver(strategy, traffic, costs, cores, place(traffic, costs, cores, placement, count)).solve()
                for count in tries), key=lambda found: found.rate)
    if traffic.counter and best.hot:
        best.inexact = sum(share for share, _ in place(traffic, costs, cores, placement, best.hot).hot)
    return best


def table(costs):
    """Every point as a row: the median over the placements, and how far they are apart."""
    rows = []
    for traffic in TRAFFIC:
        placements = PLACEMENTS if traffic.zipf else 1
        for strategy in STRATEGIES:
            for cores in CORES:
                found = [solve(strategy, traffic, costs, cores, placement) for placement in range(placements)]
                rates = [result.rate * 1e6 for result in found]
                skews = [result.skew for result in found]
                rows.append({
                    "traffic": traffic.name, "strategy": strategy, "cores": cores,
                    "ops_s": median(rates), "ops_s_min": min(rates), "ops_s_max": max(rates),
                    "skew": median(skews), "skew_min": min(skews), "skew_max": max(skews),
                    "stale_read_share": median(result.stale_reads for result in found),
                    "inexact_reply_share": median(result.inexact for result in found),
                    "in_flight_max": max(result.in_flight_max for result in found),
                    "hot_keys": round(median(result.hot for result in found)),
                })
    return rows
