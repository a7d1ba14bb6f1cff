"""What one writer did to a key, and whether each reader saw it unfold: the check of coherence, on the fly.

One writer means one order of states, numbered. A read must show a state that is no older than (a) any whose write was
answered before the read was asked, (b) any that another read, answered before, has shown, (c) any that its own
connection has shown or written before it in its pipeline; and no newer than the last that the writer had asked for when
the reply came. That is linearizability of a register with one writer, exactly, if states differ. Where they do not
(absence comes again and again) the oldest that fits is taken, which forgives some errors and never invents one.

`lossy`: behind each state the key may go away by itself (expiry, eviction), once, and not come back.
"""

import bisect

DIGITS = 10


def padded(number, size):
    """A value of `size` bytes in which every part names the number, so that a torn one is seen."""
    return (b"%010d" % number * (size // DIGITS + 1))[:size]


class Story:
    """States of one key: a number (its value says it), or `None` for absence."""

    def __init__(self, key, size=DIGITS, first=None, lossy=False):
        self.key, self.size, self.lossy = key, size, lossy
        self.states, self.absent, self.place_of = [], [], {}
        self.values = {}
        self.floor = 0
        self.by_lane = {}
        self.writes = self.reads = self.absences = 0
        self.tell(first)

    @property
    def latest(self):
        return len(self.states) - 1

    def value(self, number):
        if number not in self.values:
            if len(self.values) > 64:
                self.values.clear()
            self.values[number] = padded(number, self.size)
        return self.values[number]

    def tell(self, state):
        """A write is about to be asked for; answers its place."""
        place = len(self.states)
        self.states.append(state)
        if state is None:
            self.absent.append(place)
        else:
            self.place_of[state] = place
            if self.lossy:
                self.absent.append(place + 1)
                self.states.append(None)
        return place

    def answered(self, place, lane=None):
        """A write was answered."""
        self.writes += 1
        self.floor = max(self.floor, place)
        if lane is not None:
            self.by_lane[lane] = max(self.by_lane.get(lane, 0), place)

    def read(self, op):
        """A GET came back, whose `note` is the floor when it was asked. Answers what is wrong with it, or None."""
        self.reads += 1
        least = max(op.note, self.by_lane.get(op.lane, 0))
        place = self._place(op.reply, least)
        if isinstance(place, str):
            return f"{place}; states {self._around(least)}\n      {op}"
        self.by_lane[op.lane] = place
        self.floor = max(self.floor, place)
        return None

    def _place(self, reply, least):
        if reply is None:
            self.absences += 1
            at = bisect.bisect_left(self.absent, least)
            if at == len(self.absent):
                return f"absent, though place {least} of {self.latest} has a value and none is absent behind"
            return self.absent[at]
        if not reply[:DIGITS].isdigit() or reply != self.value(int(reply[:DIGITS])):
            return f"a value that nobody wrote, of {len(reply)} bytes"
        place = self.place_of.get(int(reply[:DIGITS]))
        if place is None:
            return "a value that nobody has asked for"
        if place < least:
            return f"place {place}, when {least} was known to have been reached (the writer is at {self.latest})"
        return place

    def _around(self, place):
        low = max(0, place - 2)
        return dict(enumerate(self.states[low : place + 3], low))
