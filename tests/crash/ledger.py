"""What was sent, what was answered, and whether what a server kept fits it. Pure: no socket, no clock, no process.

Keys come in groups: one slot, one writer, one order. A step is whatever takes place whole or not at all, be it one SET
or a transaction. After a crash a group has to be as some number of its steps left it: no fewer than were answered or
had been seen by a reader, no more than were sent. Lost writes, torn values, half transactions, changed order and keys
from the future all fail that one test.

Times are of the monotonic clock, which all processes of a machine share, each taken on the safe side: a step is sent
before its first byte is, and answered after its last byte was read.
"""

import bisect
import zlib
from dataclasses import dataclass, field

NEVER = float("inf")
# Steps that were refused may have happened all the same. Where that makes more states than these, any is believed.
STATES_MAX = 256


def stamp(key, label, filler):
    """A value that says which write of which key it is, and whether it is whole."""
    body = b"%b|%b|%b|" % (key, label, filler)
    return body + b"%08x" % zlib.crc32(body)


def describe(value):
    """A value in words that show what happened to it."""
    if value is None:
        return "nothing"
    if value.isdigit():
        return value.decode()
    whole = all(_is_whole(part) for part in value.split(b";") if part)
    text = value[:32].decode(errors="replace") + ("..." if len(value) > 32 else "")
    return f"{text!r} ({len(value)} bytes, {'whole' if whole else 'TORN'})"


def _is_whole(part):
    return len(part) > 8 and b"%08x" % zlib.crc32(part[:-8]) == part[-8:]


@dataclass(slots=True)
class Step:
    """`deeds` are (verb, key, argument); `answered_ns` stays None when no reply came."""

    deeds: tuple
    sent_ns: int
    answered_ns: int | None = None
    # An error came: it may have happened or not.
    refused: bool = False


def act(state, step):
    """The state after a step. A state maps a key to (value, expiry in ms or -1)."""
    state = dict(state)
    for verb, key, argument in step.deeds:
        value, expiry = state.get(key, (None, -1))
        if verb == "set":
            state[key] = argument
        elif verb == "append":
            state[key] = ((value or b"") + argument, expiry)
        elif verb == "incr":
            state[key] = (b"%d" % (int(value or 0) + 1), expiry)
        elif verb == "expire" and value is not None:
            state[key] = (value, argument)
        elif verb == "del":
            state.pop(key, None)
    return state


@dataclass(slots=True)
class Group:
    name: bytes
    keys: tuple
    base: dict = field(default_factory=dict)
    steps: list = field(default_factory=list)
    # What readers were answered, (key, value or None), and when first.
    sightings: dict = field(default_factory=dict)
    # The replay of these steps, for many judgements of one run.
    replayed: tuple = None

    def judge(self, kept, answered_ns=NEVER, sent_ns=NEVER):
        """Complaints about what a crash left: replies before `answered_ns` bind, sends up to `sent_ns` may be there."""
        self.replayed = self.replayed or self._replay()
        states, first = self.replayed
        # One writer sends in order, so that both ends are found without looking at all steps.
        numbers = range(len(self.steps), 0, -1)
        least = next((n for n in numbers if binds(self.steps[n - 1], answered_ns)), 0)
        most = bisect.bisect_right(self.steps, sent_ns, key=lambda step: step.sent_ns)
        complaints, why = [], "answered"
        for (key, value), when_ns in self.sightings.items():
            if when_ns < answered_ns:
                at = first.get((key, value))
                if at is None and states[-1] is not None:
                    complaints.append(f"{key.decode()} was read as {describe(value)}, which was never sent")
                elif at is not None and at > least:
                    least, why = at, f"answered or seen, {key.decode()} as {describe(value)} by a reader"
        possible = states[least : max(most, least) + 1]
        if None not in possible and not any(kept in those for those in possible) and not self._apart(kept, possible, least):
            complaints.append(self._diagnose(kept, states, least, most, why))
        return complaints

    def _apart(self, kept, possible, least):
        """Whether each key by itself is as a step left it, and no transaction is half there.

        Of what a pipeline asks and has no answer for, each key has its order and not all keys have one: a key that many
        ask for waits for its turn.
        """
        at = {}
        for key in self.keys:
            numbers = [least + n for n, those in enumerate(possible) if any(kept.get(key) == state.get(key) for state in those)]
            if not numbers:
                return False
            at[key] = numbers[0], numbers[-1]
        for number in range(least + 1, least + len(possible)):
            keys = {key for _, key, _ in self.steps[number - 1].deeds}
            if any(at[key][1] < number for key in keys) and any(at[key][0] >= number for key in keys):
                return False
        return True

    def settle(self, kept):
        """What was found after a restart is the ground of the next round: it has been read, so it must stay."""
        self.base = kept
        self.steps.clear()
        self.sightings.clear()
        self.replayed = None

    def _replay(self):
        """The possible states after each number of steps, and when each value that was seen could first be seen."""
        states, first = [[self.base]], {}
        for n in range(len(self.steps) + 1):
            if n:
                states.append(_after(states[-1], self.steps[n - 1]))
            if len(first) < len(self.sightings):
                for key in self.keys:
                    for state in states[-1] or ():
                        seen = (key, state.get(key, (None, -1))[0])
                        if seen in self.sightings:
                            first.setdefault(seen, n)
        return states, first

    def _diagnose(self, kept, states, least, most, why):
        name = self.name.decode()
        for n in range(least - 1, -1, -1):
            if kept in (states[n] or ()):
                return f"{name}: LOST {least - n} of {least} steps ({why}), the first {self._tell(n)}"
        for n in range(most + 1, len(states)):
            if kept in (states[n] or ()):
                return f"{name}: {n - most} steps FROM THE FUTURE: only {most} had been sent"
        foreign = []
        for key in self.keys:
            held = kept.get(key)
            if not any(held == state.get(key) for possible in states for state in possible or ()):
                value, expiry = held or (None, -1)
                foreign.append(f"{key.decode()} holds {describe(value)}, expiry {expiry}")
        counts = f"answered {least}, sent {most}"
        if foreign:
            return f"{name}: NEVER SO: {'; '.join(foreign)} ({counts})"
        return f"{name}: HALF or out of order: each key is as some step left it, not all by the same ({counts})"

    def _tell(self, n):
        if n >= len(self.steps):
            return "unknown"
        step = self.steps[n]
        return f"{'; '.join(f'{verb} {key.decode()}' for verb, key, _ in step.deeds)} (number {n})"


def _after(states, step):
    """All that a step may have made of these states, or None if they are too many."""
    if states is None:
        return None
    done = [act(state, step) for state in states]
    if step.refused:
        done += [state for state in states if state not in done]
    return done if len(done) <= STATES_MAX else None


def binds(step, answered_ns):
    return step.answered_ns is not None and step.answered_ns < answered_ns and not step.refused


@dataclass(slots=True)
class Counter:
    """A key that all clients count up: exact but for what was not answered, and never below what anybody saw."""

    name: bytes
    base: int = 0
    steps: list = field(default_factory=list)
    # Replies to INCR and to GET, and when first.
    sightings: dict = field(default_factory=dict)

    def judge(self, kept, answered_ns=NEVER, sent_ns=NEVER):
        least = self.base + sum(binds(step, answered_ns) for step in self.steps)
        least = max([least, *(value for value, when_ns in self.sightings.items() if when_ns < answered_ns)])
        most = self.base + sum(step.sent_ns <= sent_ns for step in self.steps)
        if least <= kept <= most:
            return []
        return [f"{self.name.decode()}: {kept}, but {least} was answered or seen and {most} sent"]

    def settle(self, kept):
        self.base = kept
        self.steps.clear()
        self.sightings.clear()


class Ledger:
    """All groups and counters, and the errors that clients were answered."""

    def __init__(self):
        self.groups = {}
        self.counters = {}
        self.errors = {}

    def keys(self):
        return [key for group in self.groups.values() for key in group.keys] + list(self.counters)

    def judge(self, kept, answered_ns=NEVER, sent_ns=NEVER):
        """All complaints about a state: key -> (value, expiry in ms or -1), absent keys left out."""
        complaints = []
        for group in self.groups.values():
            complaints += group.judge(share(group, kept), answered_ns, sent_ns)
        for counter in self.counters.values():
            complaints += counter.judge(int(kept.get(counter.name, (0, -1))[0]), answered_ns, sent_ns)
        known = set(self.keys())
        complaints += [f"{key.decode()} is there and was never sent" for key in kept if key not in known]
        return complaints

    def settle(self, kept):
        for group in self.groups.values():
            group.settle(share(group, kept))
        for counter in self.counters.values():
            counter.settle(int(kept.get(counter.name, (0, -1))[0]))

    def merge(self, other):
        """Takes what one process of the load has seen; each group has one writer, so steps come from one side only."""
        for name, group in other.groups.items():
            mine = self.groups.setdefault(name, Group(name, group.keys))
            mine.steps += group.steps
            mine.sightings = earliest(mine.sightings, group.sightings)
            mine.replayed = None
        for name, counter in other.counters.items():
            mine = self.counters.setdefault(name, Counter(name))
            mine.steps += counter.steps
            mine.sightings = earliest(mine.sightings, counter.sightings)
        for text, count in other.errors.items():
            self.errors[text] = self.errors.get(text, 0) + count

    def answered(self):
        parts = [*self.groups.values(), *self.counters.values()]
        return sum(step.answered_ns is not None for part in parts for step in part.steps)


def earliest(mine, others):
    """Both, and where both saw the same, the earlier time."""
    return {seen: min(mine.get(seen, NEVER), others.get(seen, NEVER)) for seen in mine.keys() | others.keys()}


def share(group, kept):
    return {key: kept[key] for key in group.keys if key in kept}
