"""The server under seeded faults of the kernel (src/runtime/faults.rs), at 1, 2 and 4 cores.

Each case plants some kinds of faults, plays a workload whose replies are all known, and asks afterwards for what must
not have been left: descriptors, memory, requests without an answer. The faults have to have struck. $SEED repeats what
is decided at the nth try of each fault, and what each client asks; when they meet, it cannot. FAULT_SECONDS (default
1.0) is how long each of a case's two rounds lasts, FAULT_DRAWS (default 1) how many schedules are drawn, from $SEED on.
"""

import os
import random
import re
import time
from pathlib import Path

from lib.cases import check, check_equal
from lib.server import IS_CHECKED, default_binary
from wire.farewell import under_load
from wire.stage import CORES, MIB, SEED, faulty_binary, on_cores, suite, until
from wire.workload import Client, Insistent, Listener, Publisher, judge_keys

SECONDS = float(os.environ.get("FAULT_SECONDS", "1.0"))
# What a second round may add, all keys gone: what leaks, leaks in each.
GROWTH_BYTES_MAX = 64 * MIB


DRAWS = int(os.environ.get("FAULT_DRAWS", "1"))
# The most that a drawn schedule has of each fault, in a thousand.
PER_MILLE_MAX = {
    "short_send": 500,
    "broken_send": 4,
    "cancel": 300,
    "poll": 500,
    "no_buffers": 300,
    "reset": 4,
    "accept": 300,
    "delay": 300,
    "flood": 20,
    "wake": 500,
    "enter": 200,
}
LITTLE_ROOM = {"ring_buffers": 16, "ring_buffer_bytes": "1kb", "ring_entries": 64, "mailbox_batches": 16}
ROOMS = ({}, LITTLE_ROOM, {"zero_copy_min_bytes": "16kb"}, {"spin_us": 100}, {"min_wait_us": 0}, {"sqpoll": "on"})


def faulty(schedule, counts=CORES, **traits):
    """A case on each core count, with these faults."""
    return on_cores(counts, faults=schedule, watched=False, **traits)


def descriptors(stage):
    return len(list(Path(f"/proc/{stage.server.pid}/fd").iterdir()))


def round_of(stage, seed, clients, listeners):
    """Some seconds of the workload, and the verdict on it; how many requests were answered, in how many lives."""
    publisher = Publisher(stage.server, "news", seed)
    hearing = [Listener(stage.server, "news") for _ in range(listeners)]
    working = clients + ([publisher] if listeners else [])
    for thread in working + hearing:
        thread.start()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and not any(thread.error for thread in working + hearing):
        time.sleep(0.05)
    for thread in working:
        thread.stopping.set()
    for thread in working:
        thread.join()
        if thread.error:
            raise thread.error
    publisher.tell_the_end(hearing)
    for listener in hearing:
        listener.join()
        if listener.error:
            raise listener.error
        publisher.judge(listener)
    with Insistent(stage.server) as asker:
        judge_keys(asker, clients)
        check_equal(asker.ask("FLUSHALL"), b"+OK\r\n")
    return sum(thread.answered for thread in working), sum(thread.lives for thread in working)


def play(stage, clients=6, listeners=2, **habits):
    """Two rounds, and what they leave behind."""
    before = descriptors(stage)
    answered = lives = 0
    rss = []
    for number in range(2):
        crowd = [Client(stage.server, f"{number}.{at}", f"{stage.seed}", **habits) for at in range(clients)]
        more, born = round_of(stage, f"{stage.seed} {number}", crowd, listeners)
        answered, lives = answered + more, lives + born
        if not re.search("reset|broken", stage.faults) and "batches_max" not in habits:
            check_equal(born, clients + (listeners > 0), "connections, though no fault ends one")
        until(lambda: descriptors(stage) <= before, f"descriptors left: {descriptors(stage)}, before {before}")
        rss.append(stage.server.rss_bytes())
    check(rss[1] - rss[0] <= GROWTH_BYTES_MAX, f"RSS grew from {rss[0] / MIB:.0f} to {rss[1] / MIB:.0f} MiB")
    stage.server.stop()
    return f"{answered} answers, {lives} connections; {struck(stage)}"


# A fault that is due so often by its rate and its tries, and never came, is not planted: by chance once in 20 million times.
DUE_MIN = 17


def struck(stage):
    """What the server says of its faults, all cores together; each that was due must have struck."""
    counts = {}
    for name, count, tries in re.findall(r"(\w+)=(\d+)/(\d+)", "".join(re.findall(r"faults: (.*)", stage.server.log()))):
        before = counts.get(name, (0, 0))
        counts[name] = before[0] + int(count), before[1] + int(tries)
    check(counts, "no word of faults: built without --features faults?")
    planted = {name: int(rate) for name, rate in re.findall(r"(\w+)=(\d+)", stage.faults)}
    idle = [name for name, rate in planted.items() if not counts[name][0] and counts[name][1] * rate / 1000 >= DUE_MIN]
    check(not idle, f"never struck: {idle}, of {[counts[name][1] for name in idle]} tries")
    return ", ".join(f"{name} {counts[name][0]}" for name in planted)


@faulty("short_send=300")
def short_sends(stage):
    return play(stage, large=0.3)


@faulty("cancel=60,no_buffers=60,poll=700")
def receives_that_end(stage):
    return play(stage)


@faulty("reset=3,broken_send=20")
def peers_that_vanish(stage):
    return play(stage)


@faulty("broken_send=10,cancel=200,delay=200,flood=12", (1, 2), options={"sqpoll": "on"})
def peers_that_vanish_while_the_kernel_polls(stage):
    """What is queued leaves at once: nothing may be queued behind a send that failed."""
    return play(stage)


@faulty("accept=300")
def accepts_that_fail(stage):
    return play(stage, batches_max=3)


@faulty("delay=150,flood=10,enter=50")
def completions_that_come_late(stage):
    return play(stage)


@faulty("wake=500", (2, 4))
def wakes_that_fail(stage):
    """A single client: no other request wakes whoever was not woken."""
    return play(stage, clients=1, listeners=0, large=0)


@faulty("short_send=50,broken_send=1,cancel=20,poll=200,no_buffers=20,reset=1,accept=100,delay=50,flood=5,wake=200,enter=20")
def everything_at_once(stage):
    return play(stage)


@faulty("short_send=50,cancel=20,poll=200,no_buffers=20,accept=50,delay=50,flood=5,wake=200,enter=20", options=LITTLE_ROOM)
def everything_in_little_room(stage):
    return play(stage)


@faulty("short_send=50,cancel=20,poll=200,no_buffers=20,accept=50,delay=50,flood=5,wake=200,enter=20")
def sigterm_under_load_and_faults(stage):
    return f"{under_load(stage)}; {struck(stage)}"


def drawn(seed):
    """Some of the faults, each more or less often, in one room or another."""
    rng = random.Random(seed)
    chosen = rng.sample(list(PER_MILLE_MAX), rng.randrange(3, 9))
    schedule = ",".join(f"{name}={rng.randint(1, PER_MILLE_MAX[name])}" for name in chosen)
    return faulty(schedule, seed=seed, options=rng.choice(ROOMS))


def schedule_drawn(stage):
    note = play(stage, clients=1 + stage.seed % 7, batches_max=random.Random(stage.seed).choice((5, 1 << 30)))
    return f"SEED={stage.seed}: {note}"


for at in range(DRAWS):
    drawn(SEED + at)(schedule_drawn)


@suite.case(watched=False)
def no_faults_in_the_server_itself(stage):
    """What the other suites test, and users run, has no trace of any of this."""
    if IS_CHECKED:
        return "nobody runs a sanitizer's build: it has them"
    if default_binary() == faulty_binary():
        return "one build serves for both"
    check(b"COLDPLATE_FAULTS" not in Path(default_binary()).read_bytes(), "built with --features faults")

