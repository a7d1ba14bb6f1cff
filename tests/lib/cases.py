"""Cases of a suite: a registry, a runner with one line a case, and the closing count."""

import fnmatch
import os
import signal
import sys
import time
import traceback

from lib.server import StartError


class Skip(Exception):
    """Raised by a case that cannot run here; the reason is printed and the case counts neither way."""


# A case that hangs is a failed case; what it started ends with it.
CASE_S_MAX = 240
# A server that cannot start is waited for a few times, not a hundred.
START_ERRORS_MAX = 3


def _expire(_signal, _frame):
    raise TimeoutError("the case took longer than it may")


class Suite:
    """Functions register with `@suite.case()`; `run` calls them with whatever the runner passes."""

    def __init__(self, name, case_s_max=CASE_S_MAX):
        self.name = name
        self.case_s_max = case_s_max
        self.cases = []
        self.passed = 0
        self.failed = []
        self.skipped = 0
        self.start_errors = 0

    def case(self, label=None, **traits):
        """`traits` are for the runner: which cores, how many attempts, whether it is slow."""

        def register(function):
            self.cases.append((label or function.__name__, function, traits))
            return function

        return register

    def chosen(self):
        """The cases that match $ONLY (a shell pattern), or all."""
        pattern = os.environ.get("ONLY", "*")
        return [case for case in self.cases if fnmatch.fnmatch(case[0], pattern)]

    def record(self, label, call):
        """Runs one case and prints its line; what `call` returns is printed behind it."""
        start = time.monotonic()
        if self.start_errors >= START_ERRORS_MAX:
            self.failed.append(label)
            return self._line("FAIL", label, start, "not played: the server does not start")
        signal.signal(signal.SIGALRM, _expire)
        signal.alarm(self.case_s_max)
        try:
            note = call()
        except Skip as skip:
            self.skipped += 1
            return self._line("skip", label, start, str(skip))
        except Exception as error:
            self.failed.append(label)
            self.start_errors += isinstance(error, StartError)
            self._line("FAIL", label, start, f"{type(error).__name__}: {error}")
            if not isinstance(error, AssertionError) or os.environ.get("TRACE"):
                traceback.print_exc(file=sys.stdout)
            return None
        finally:
            signal.alarm(0)
        self.passed += 1
        return self._line("ok  ", label, start, note)

    def _line(self, verdict, label, start, note):
        tail = f"  {note}" if note else ""
        print(f"{verdict} {self.name}/{label}  {time.monotonic() - start:.2f} s{tail}", flush=True)

    def close(self):
        """The closing line and the exit status."""
        for label in self.failed:
            print(f"failed: {self.name}/{label}")
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def check_equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what + ': ' if what else ''}got {shorten(got)}, wanted {shorten(wanted)}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def shorten(value, chars_max=400):
    text = repr(value)
    return (
        text
        if len(text) <= chars_max
        else f"{text[: chars_max // 2]} ... {text[-chars_max // 2 :]} ({len(text)} chars)"
    )
