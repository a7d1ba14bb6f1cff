"""Is there an order in which a register would have answered so? For histories in which every written value is unique.

A cluster is a write with the reads of its value. In any order that explains the history a cluster stands in one
piece, its write first, so an order of the operations is an order of clusters. One is possible if and only if

- each value read was written, and no read comes before its write;
- the clusters, with an edge from A to B wherever an operation of A comes before one of B, have no cycle.

(Gibbons and Korach, "Testing shared memories", 1997, whose zones are the same for intervals alone.) Coming before means
that the one was answered before the other was asked, or, within one connection, that it was sent before: programs'
order in a pipeline is checked too. A swap (GETSET; INCR, which swaps n for n + 1) reads one value and writes another:
their clusters are then neighbours, and are joined to one node in which the order is known; two swaps of one value
cannot be.

The verdict is exact, both ways, for complete histories of reads, writes and swaps from a known first value, in
n log n. It knows nothing of absence, expiry or operations that answer less than the value: see `search`.
"""

import heapq

READ, WRITE, SWAP = "read", "write", "swap"


class Step:
    """An operation as the register sees it: `kind`, the value it read, the value it wrote."""

    __slots__ = ("op", "kind", "got", "put", "lane", "asked", "answered")

    def __init__(self, op, kind, got=None, put=None):
        self.op, self.kind, self.got, self.put = op, kind, got, put
        self.lane, self.asked, self.answered = op.lane, op.asked, op.answered


class _Before:
    """Who wrote the first value, before anybody asked anything."""

    lane, asked, answered = "before", -(10**18), -(10**18)

    def __repr__(self):
        return "(the first value)"


class _Node:
    __slots__ = ("steps", "rank", "first_end", "last_start", "before", "after")

    def __init__(self):
        self.steps = []
        self.before, self.after = 0, []


def check(steps, first):
    """`None` if some order explains the steps (those of a lane in their order), else why not. `first`: the value."""
    writers, swapped = {}, {}
    steps = [Step(_Before(), WRITE, put=first), *steps]
    for step in steps:
        if step.kind != READ:
            if step.put in writers:
                return _story(f"{step.put!r} came to be twice", [writers[step.put], step])
            writers[step.put] = step
        if step.kind == SWAP:
            if step.got in swapped:
                return _story(f"{step.got!r} was swapped twice", [swapped[step.got], step])
            swapped[step.got] = step
    for step in steps:
        if step.kind != WRITE and step.got not in writers:
            return _story(f"{step.got!r} was never written", [step])
    nodes, node_of = _nodes(steps, writers, swapped, first)
    if node_of is None:
        return nodes
    return _inner_order(steps, node_of) or _outer_order(steps, nodes, node_of)


def _nodes(steps, writers, swapped, first):
    """Chains of values that swaps joined, each a node; a value's place in its chain is its rank."""
    node_of = {}
    nodes = []
    for value, writer in writers.items():
        if writer.kind == SWAP:
            continue
        node, rank = _Node(), 0
        nodes.append(node)
        while True:
            node_of[value] = (node, rank)
            if value not in swapped:
                break
            value, rank = swapped[value].put, rank + 1
    if len(node_of) < len(writers):
        lost = [writer for value, writer in writers.items() if value not in node_of]
        return _story("swaps that only each other explain", lost[:6]), None
    for step in steps:
        node_of[step.put if step.kind != READ else step.got][0].steps.append(step)
    return nodes, node_of


def _places(step, node_of):
    """The step's place in its node: behind everything of the value before, and reads behind the write."""
    node, rank = node_of[step.put if step.kind != READ else step.got]
    return node, (rank, step.kind == READ)


def _inner_order(steps, node_of):
    """Within a node the order is known: no step may come before one of a lesser place."""
    highest_in_lane = {}
    for step in steps:
        node, place = _places(step, node_of)
        key = (id(node), step.lane)
        high, what = highest_in_lane.get(key, (place, step))
        if place < high:
            return _story("a connection saw its own order reversed", [what, step])
        highest_in_lane[key] = (place, step)
    by_node = {}
    for step in steps:
        node, place = _places(step, node_of)
        by_node.setdefault(id(node), []).append((place, step))
    for placed in by_node.values():
        by_end = sorted(placed, key=lambda pair: pair[1].answered)
        at, high = 0, None
        for place, step in sorted(placed, key=lambda pair: pair[1].asked):
            while at < len(by_end) and by_end[at][1].answered < step.asked:
                if high is None or by_end[at][0] > high[0]:
                    high = by_end[at]
                at += 1
            if high and place < high[0]:
                return _story("the second began when the first was over, and shows an earlier state", [high[1], step])
    return None


def _outer_order(steps, nodes, node_of):
    """Takes away, again and again, a node that none of the others must come before."""
    for node in nodes:
        node.first_end = min(step.answered for step in node.steps)
        node.last_start = max(step.asked for step in node.steps)
    last = {}
    for step in steps:
        node, _ = _places(step, node_of)
        previous = last.get(step.lane)
        if previous is not None and previous is not node:
            previous.after.append(node)
            node.before += 1
        last[step.lane] = node
    number = {id(node): index for index, node in enumerate(nodes)}
    ends = [(node.first_end, index) for index, node in enumerate(nodes)]
    heapq.heapify(ends)
    ready = [(node.last_start, index) for index, node in enumerate(nodes) if not node.before]
    heapq.heapify(ready)
    gone = [False] * len(nodes)
    is_ready = [not node.before for node in nodes]
    for _ in nodes:
        while gone[ends[0][1]]:
            heapq.heappop(ends)
        while ready and gone[ready[0][1]]:
            heapq.heappop(ready)
        end, earliest = ends[0]
        chosen = None
        if ready and (ready[0][0] <= end or ready[0][1] == earliest and _fits_alone(ready[0], ends, gone)):
            chosen = ready[0][1]
        elif is_ready[earliest] and _fits_alone((nodes[earliest].last_start, earliest), ends, gone):
            chosen = earliest
        if chosen is None:
            return _cycle([node for index, node in enumerate(nodes) if not gone[index]])
        gone[chosen] = True
        for node in nodes[chosen].after:
            node.before -= 1
            if not node.before:
                index = number[id(node)]
                is_ready[index] = True
                heapq.heappush(ready, (node.last_start, index))
    return None


def _fits_alone(candidate, ends, gone):
    """Whether all others' first answers are behind the candidate's last question."""
    start, index = candidate
    kept = []
    while ends and (gone[ends[0][1]] or ends[0][1] == index):
        top = heapq.heappop(ends)
        if not gone[top[1]]:
            kept.append(top)
    fits = not ends or start <= ends[0][0]
    for top in kept:
        heapq.heappush(ends, top)
    return fits


def _cycle(nodes):
    """Two nodes each of which must come before the other, if there are such; they nearly always are."""
    nodes = sorted(nodes, key=lambda node: node.first_end)[:400]
    for one in nodes:
        for other in nodes:
            if one is not other and one.first_end < other.last_start and other.first_end < one.last_start:
                ends = [min(node.steps, key=lambda step: step.answered) for node in (one, other)]
                starts = [max(node.steps, key=lambda step: step.asked) for node in (other, one)]
                what = "one before two, three before four; but one and four belong together, and two and three"
                return _story(what, [ends[0], starts[0], ends[1], starts[1]])
    return _story("no value can have been the first of these", [step for node in nodes[:4] for step in node.steps[:3]])


def _story(what, steps):
    return "\n      ".join([what, *(repr(step.op) for step in steps)])
