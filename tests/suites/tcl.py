"""Redis's own suite, of the version that Coldplate answers as, in Tcl.

Units that it plays against a running server are played so, on one database; those that it would only play on a server
of its own are played with Coldplate started in that server's place (stand_in.py).

Left out by tag, since Coldplate has neither replicas nor snapshots: needs:repl, needs:save. Left out for their length:
slow, except where a unit is nothing else.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from lib.server import Server, cpu_list, default_binary
from suites import sources
from suites.verdicts import IS_WHOLE, Outcome

# With a tag in `also`, a unit that is marked slow as a whole.
EXTERNAL = """
    unit/type/string unit/type/incr unit/expire unit/protocol unit/scan unit/bitops unit/bitfield unit/multi unit/pubsub
    unit/tracking unit/info-command unit/keyspace unit/introspection unit/introspection-2 unit/slowlog
    unit/latency-monitor unit/other unit/dump unit/quit unit/pause unit/replybufsize unit/querybuf
""".split()
SPAWNED = "unit/info unit/pubsubshard unit/auth unit/limits unit/obuf-limits".split()
QUICK = "unit/type/string unit/type/incr unit/expire unit/scan unit/multi unit/pubsub unit/tracking unit/bitops".split()
# With a redis-server behind Coldplate, and what is left out unless WHOLE is set.
ROUTED = """
    unit/type/string unit/type/incr unit/type/hash unit/type/set unit/type/zset unit/multi unit/pubsub
""".split()
ROUTED_WHOLE = """
    unit/type/list unit/type/list-2 unit/type/stream unit/type/stream-cgroups unit/scan unit/expire unit/keyspace
    unit/bitops unit/bitfield unit/hyperloglog unit/geo unit/sort unit/dump unit/protocol
""".split()
SLOW = {"unit/querybuf"}

# A test that says nothing for so long hangs.
SILENCE_S_MAX = 120
UNIT_S_MAX = 600
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LINE = re.compile(r"\[(ok|err|skip|ignore|exception|TIMEOUT)\]: (.*)")
TOOK = re.compile(r" \(\d+ ms\)$")
IN_PROGRESS = re.compile(r"=> \(IN PROGRESS\) (.*)")


# What sets up, prepares or asks the process goes to the server behind Coldplate, past it, if there is one.
BEHIND = """
    if {[info exists ::env(BEHIND_PORT)] && [string tolower [lindex $args 0]] in {config debug info save memory}} {
        if {![info exists ::behind]} {
            set ::behind [redis 127.0.0.1 $::env(BEHIND_PORT) 0 0]
        }
        return [$::behind {*}$args]
    }
"""


def change(folder):
    """The stand-in takes the server's place. A connection that is closed is gone a moment later: on one core what others
    ask meanwhile stands behind its end, but cores know of no order between the two, and some tests count who listens.
    """
    closes = "proc ::redis::__method__close {id fd} {\n    catch {close $fd}\n"
    sources.replaced(folder / "tests/support/redis.tcl", closes, closes + "    after 20\n")
    asks = '    [srv $level "client"] {*}$args\n}\n\n# Returns a Redis instance by index.\n'
    sources.replaced(folder / "tests/test_helper.tcl", asks, BEHIND + asks)
    shows = 'status [srv $level "client"] [lindex'
    either = 'status [expr {[info exists ::env(BEHIND_PORT)] ? "r" : [srv $level "client"]}] [lindex'
    sources.replaced(folder / "tests/test_helper.tcl", shows, either)
    stand_in = folder / "src" / "redis-server"
    stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("stand_in.py")}" "$@"\n')
    stand_in.chmod(0o755)


def folder():
    return sources.unpacked("redis", sources.archive(sources.REDIS, sources.from_debian), change)


def play(tally, cores, is_quick):
    where = folder()
    units = ROUTED + (ROUTED_WHOLE if IS_WHOLE else []) if tally.is_routed else EXTERNAL
    for unit in os.environ.get("UNITS", "").split() or (QUICK if is_quick and not tally.is_routed else units):
        start = time.monotonic()
        with tally.served(cores) as server:
            behind = {} if server.behind is None else {"BEHIND_PORT": str(server.behind.port)}
            how = ["--host", "127.0.0.1", "--port", server.port]
            printed = run(where, unit, tally.expected.left_out(cores), how, **behind)
        tally.take(unit, cores, outcomes(unit, printed), time.monotonic() - start)
    for unit in () if is_quick or tally.is_routed else SPAWNED:
        start = time.monotonic()
        how = ["--clients", "1", "--portcount", "50"]
        printed = run(where, unit, tally.expected.left_out(cores), how, COLDPLATE_CORES=cpu_list(cores))
        tally.take(unit, cores, outcomes(unit, printed), time.monotonic() - start)


def run(where, unit, listed, how, **environment):
    """What the suite printed. It is its own process group, since its clients outlive a runner that is killed."""
    tags = "-needs:repl -needs:save" + ("" if unit in SLOW else " -slow")
    left_out = [skipped(name[len(unit) + 2 :]) for name in listed if name.startswith(f"{unit}: ")]
    command = ["tclsh", "tests/test_helper.tcl", *how, "--singledb", "--durable", "--timeout", SILENCE_S_MAX]
    # It looks for ports from here on by itself, and for the same ones 10,000 higher.
    command += ["--baseport", random.randrange(12_000, 22_000)]
    command += ["--tags", tags, *(word for name in left_out for word in ("--skiptest", name)), "--single", unit]
    shutil.rmtree(where / "tests" / "tmp", ignore_errors=True)
    (where / "tests" / "tmp").mkdir()
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=where,
        env={**os.environ, "COLDPLATE_BIN": default_binary(), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=UNIT_S_MAX)
        return COLOUR.sub("", printed.decode(errors="replace"))
    except subprocess.TimeoutExpired:
        return f"[TIMEOUT]: the unit took longer than {UNIT_S_MAX} s"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def skipped(pattern):
    """A listed name as the suite wants it: plain, or as an expression behind a slash."""
    return "/^" + ".*".join(map(re.escape, pattern.split("*"))) + "$" if "*" in pattern else pattern


def outcomes(unit, printed):
    """Each line that says how a test went, with what follows it; the closing summary repeats all of it."""
    found, last = [], None
    told, _, _ = printed.partition("\n                   The End\n")
    for line in told.split("\n"):
        if match := LINE.match(line):
            last = outcome(unit, match.group(1), match.group(2))
            found.append(last)
        elif match := IN_PROGRESS.search(line):
            found.append(Outcome(f"{unit}: {match.group(1)}", "failed", "hangs"))
        elif line.startswith("["):
            last = None
        elif last is not None:
            last.said += "\n" + line
    if not found:
        found.append(Outcome(f"{unit}: start", "failed", printed[-2000:]))
    return found


def outcome(unit, word, rest):
    if word == "ok":
        return Outcome(f"{unit}: {TOOK.sub('', rest)}", "ok")
    if word in ("skip", "ignore"):
        return Outcome(f"{unit}: {rest}", "skipped")
    if word == "err" and rest.endswith(f" in tests/{unit}.tcl"):
        return Outcome(f"{unit}: {rest.removesuffix(f' in tests/{unit}.tcl')}", "failed")
    # An error between tests ends the group that it is in; what it would have played is lost.
    return Outcome(f"{unit}: outside any test", "failed", rest)
