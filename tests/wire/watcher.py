"""A process of its own that plays the innocent client: it asks, measures how long each answer took, and samples the
server's RSS.

Started by stage.py as `watcher.py PORT PID CONNECTIONS`; says "ready", works until its stdin closes, then prints
what it saw as JSON. A process and not a thread, since a busy test would make a thread wait and blame the server for
it.
"""

import json
import os
import select
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import resp

PAUSE_S = 0.002
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def rss_bytes(pid):
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def main():
    port, pid, connections = map(int, sys.argv[1:4])
    try:
        os.nice(-10)
    except PermissionError:
        pass
    wires = [resp.Wire(resp.socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(connections)]
    print("ready", flush=True)
    seen = {"asked": 0, "worst_ms": 0.0, "late": 0, "rss_first": rss_bytes(pid), "rss_peak": 0, "error": None}
    try:
        while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
            wire = wires[seen["asked"] % len(wires)]
            # The keys walk over the slots, hence over the cores: one core that hangs makes some answer late.
            key = b"watch:%d" % (seen["asked"] % 64)
            start = time.monotonic()
            wire.send(resp.encode("SET", key, "x") + resp.encode("GET", key))
            answer = wire.reply() + wire.reply()
            took_ms = (time.monotonic() - start) * 1000
            if answer != b"+OK\r\n$1\r\nx\r\n":
                seen["error"] = f"answered {answer!r}"
                break
            seen["asked"] += 1
            seen["late"] += took_ms > 100
            seen["worst_ms"] = max(seen["worst_ms"], took_ms)
            seen["rss_peak"] = max(seen["rss_peak"], rss_bytes(pid))
    except (resp.Closed, resp.Stalled, OSError) as error:
        seen["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
