"""Makes a failing sequence short: drops pieces, ever smaller, as long as the difference stays."""

import time


def shrink(commands, still_differs, seconds_max=30.0):
    """Delta debugging over the list. `still_differs` runs a candidate from empty servers; time bounds the search."""
    deadline = time.monotonic() + seconds_max
    piece = max(1, len(commands) // 2)
    while piece:
        at, dropped = 0, False
        while at < len(commands) and time.monotonic() < deadline:
            candidate = commands[:at] + commands[at + piece :]
            if candidate and still_differs(candidate):
                commands, dropped = candidate, True
            else:
                at += piece
        if time.monotonic() >= deadline:
            break
        if not dropped or piece > 1:
            piece //= 2
    return commands
