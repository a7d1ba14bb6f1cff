"""What a suite said of each of its tests, held against the list of those that Coldplate is known to fail.

A list is a text file in expected/, read behind common.txt, or behind routed.txt where a redis-server stands behind
Coldplate:

    because a string store has no lists
      lacks lpush rpush           tests that fail on `unknown command 'lpush'`; the server must not know it
      says some text              tests whose failure repeats this text, such as a refused setting
      fails unit: test            this test fails; that it passes is an error, so that the list stays true
      skips unit: test            left out: it would hang, spoil those behind it, or fail now and then. A `*` stands
                                  for any text
      fails@2, skips@2            the same, on two cores only

Reasons come first, then what they explain. A line that starts with # is a comment.
"""

import contextlib
import fnmatch
import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

from lib import backends, resp
from lib.server import Server

EXPECTED = Path(__file__).with_name("expected")
# A suite that is played against redis-server with Coldplate in front of it.
ROUTED = "routed-"
# Such suites are played on one core too, and with what is left out otherwise.
IS_WHOLE = bool(os.environ.get("WHOLE"))
# How that server is started.
BEHIND = {"enable_debug_command": "yes"}
UNKNOWN = re.compile(r"unknown command '([^'\s]+)'", re.IGNORECASE)
UNKNOWN_SUB = re.compile(r"unknown subcommand '([^'\s]+)'\. Try (\w+) HELP", re.IGNORECASE)


PRINTING = threading.Lock()


def say(line):
    """Prints a line, whole: suites are played at the same time."""
    with PRINTING:
        print(line, flush=True)


@dataclass
class Outcome:
    """One test of a suite: `verdict` is ok, failed or skipped; `said` is what a failed one printed."""

    name: str
    verdict: str
    said: str = ""


@dataclass
class Expected:
    """A list, read."""

    path: Path
    lacks: dict = field(default_factory=dict)
    says: dict = field(default_factory=dict)
    fails: dict = field(default_factory=dict)
    skips: dict = field(default_factory=dict)

    @classmethod
    def read(cls, label):
        self = cls(EXPECTED / f"{label}.txt")
        common = "routed.txt" if label.startswith(ROUTED) else "common.txt"
        for path in (EXPECTED / common, self.path):
            self._read(path)
        return self

    def _read(self, path):
        reason = None
        for number, line in enumerate(path.read_text().split("\n"), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            word, _, rest = line.partition(" ")
            if word == "because":
                reason = rest
                continue
            assert reason, f"{path}:{number}: no reason is given"
            self._take(word, rest.strip(), reason, f"{path}:{number}")

    def _take(self, word, rest, reason, where):
        kind, _, cores = word.partition("@")
        if kind == "lacks":
            self.lacks.update((command.lower(), reason) for command in rest.split())
        elif kind == "says":
            self.says[rest] = reason
        elif kind == "fails":
            assert (rest, cores) not in self.fails, f"{where}: listed twice"
            self.fails[(rest, cores)] = reason
        elif kind == "skips":
            self.skips[(rest, cores)] = reason
        else:
            raise ValueError(f"{where}: {word!r} is none of because, lacks, says, fails, skips")

    def why_listed(self, name, cores):
        return self.fails.get((name, "")) or self.fails.get((name, str(cores)))

    def why_lacking(self, said):
        """Why a failed test may: it names a command that Coldplate is listed to lack, or repeats a listed text."""
        named = UNKNOWN.findall(said) + [f"{container}|{name}" for name, container in UNKNOWN_SUB.findall(said)]
        repeated = (reason for text, reason in self.says.items() if text in said)
        return next((self.lacks[name.lower()] for name in named if name.lower() in self.lacks), next(repeated, None))

    def left_out(self, cores):
        """The patterns of what is left out on so many cores, each with its reason."""
        return {name: reason for (name, on), reason in self.skips.items() if on in ("", str(cores))}

    def why_skipped(self, name, cores):
        left_out = self.left_out(cores).items()
        matching = (why for pattern, why in left_out if fnmatch.fnmatchcase(name, escaped(pattern)))
        return next(matching, None)


def escaped(pattern):
    """Only `*` is special: names of tests are full of brackets and question marks."""
    return re.sub(r"[\[?]", lambda found: f"[{found.group()}]", pattern)


class Tally:
    """Counts the tests of one suite over all core counts, and prints a line for each part and each surprise."""

    def __init__(self, label):
        self.label = label
        self.expected = Expected.read(label)
        self.passed = 0
        self.failed = []
        self.listed = 0
        # The names of the tests that fail or are left out, by reason.
        self.reasons = {}

    @property
    def is_routed(self):
        return self.label.startswith(ROUTED)

    def is_played_on(self, cores):
        return cores > 1 or IS_WHOLE or not self.is_routed

    @contextlib.contextmanager
    def served(self, cores):
        """What the suite is played against."""
        if self.is_routed:
            with backends.redis_server(**BEHIND) as behind, backends.before("single", behind, cores=cores) as server:
                server.behind = behind
                yield server
        else:
            with Server(cores=cores) as server:
                server.behind = None
                yield server

    def surprise(self, what, said=""):
        self.failed.append(what)
        shown = " | ".join(line.strip() for line in said.strip().split("\n")[:6])
        say(f"FAIL {self.label}/{what}  {shown[:600]}")

    def take(self, part, cores, outcomes, took_s):
        """One part of the suite was played on so many cores."""
        by_name = {}
        for outcome in outcomes:
            known = by_name.setdefault(outcome.name, outcome)
            # Names repeat in loops; one that failed once failed.
            if outcome.verdict == "failed" or known.verdict == "skipped":
                by_name[outcome.name] = outcome
        counts = {"ok": 0, "listed": 0, "skipped": 0}
        for outcome in by_name.values():
            kind = self._judge(outcome, cores)
            counts[kind] = counts.get(kind, 0) + 1
        self.passed += counts["ok"]
        self.listed += counts["listed"]
        summary = f"{counts['ok']} ok, {counts['listed']} fail as listed, {counts['skipped']} left out"
        verdict = "FAIL" if counts.get("surprise") or not by_name else "ok  "
        say(f"{verdict} {self.label}/{part} [{cores} cores]  {took_s:.1f} s  {summary}")
        if not by_name:
            self.surprise(f"{part} [{cores} cores]: no test was played")

    def _judge(self, outcome, cores):
        listed = self.expected.why_listed(outcome.name, cores)
        where = f"{outcome.name} [{cores} cores]"
        if outcome.verdict == "skipped":
            return self._explained(outcome, "skipped", self.expected.why_skipped(outcome.name, cores))
        if outcome.verdict == "ok":
            if listed:
                self.surprise(f"{where}: passes, though expected/ says that it fails")
                return "surprise"
            return "ok"
        if reason := listed or self.expected.why_lacking(outcome.said):
            return self._explained(outcome, "listed", reason)
        self.surprise(where, outcome.said)
        return "surprise"

    def _explained(self, outcome, kind, reason):
        """What a suite leaves out by itself has no reason of ours."""
        if reason:
            self.reasons.setdefault(reason, set()).add(outcome.name)
        return kind

    def check_lacks(self, wire):
        """What the list says to be lacking must be: a command that has come leaves the list."""
        for command in self.expected.lacks:
            if resp.decode(wire.ask("COMMAND", "INFO", command)) != [None]:
                self.surprise(f"{command}: expected/ says that Coldplate lacks it")
