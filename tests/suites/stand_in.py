#!/usr/bin/env python3
"""Started by a suite as `redis-server`, with Redis's configuration file and flags; becomes Coldplate.

Settings that Coldplate has under the same name are handed on, the others are left out: a test that depends on one
fails, and is listed. It prints the two lines that Redis's suite waits for. BEHIND is the server that it stands in front of,
if there is to be one.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

HANDED_ON = """
    port bind unixsocket requirepass maxclients timeout maxmemory maxmemory-policy maxmemory-samples
    slowlog-log-slower-than slowlog-max-len tcp-keepalive proto-max-bulk-len client-query-buffer-limit client-output-buffer-limit
    notify-keyspace-events latency-monitor-threshold enable-debug-command
""".split()


def settings(arguments):
    """Name and value, of the file first, then of the flags."""
    found = {}
    if arguments and not arguments[0].startswith("-"):
        for line in Path(arguments[0]).read_text().split("\n"):
            words = shlex.split(line, comments=True)
            if words:
                found[words[0].lower()] = " ".join(words[1:])
        arguments = arguments[1:]
    name = None
    for word in arguments:
        if word.startswith("--"):
            name = word[2:].lower()
            found[name] = ""
        elif name:
            found[name] = f"{found[name]} {word}".strip()
    return found


def main():
    if sys.argv[1:] in (["-v"], ["--version"]):
        print("Redis server v=7.0.15 sha=00000000:0 malloc=mimalloc bits=64 build=0")
        return
    wanted = settings(sys.argv[1:])
    command = [os.environ["COLDPLATE_BIN"], "serve", "--pin", "off", "--cores", os.environ.get("COLDPLATE_CORES", "0")]
    wanted.setdefault("bind", "127.0.0.1")
    wanted.setdefault("maxmemory", "0")
    known = subprocess.run([command[0], "serve", "--help"], stdout=subprocess.PIPE, text=True).stdout
    for name in HANDED_ON:
        if wanted.get(name) and f"--{name} " in known:
            command += [f"--{name}", wanted[name]]
    if upstream := os.environ.get("BEHIND"):
        command += ["--upstream", upstream]
    print(f"1:M 01 Jan 2026 00:00:00.000 * Server initialized, PID: {os.getpid()}", flush=True)
    print("1:M 01 Jan 2026 00:00:00.000 * Ready to accept connections", flush=True)
    os.execv(command[0], command)


main()
