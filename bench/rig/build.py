"""Builds the load generator and, where a comparison needs it, this tree's server."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _cargo(manifest, binary):
    """Builds a release binary and returns the path cargo reports, which honours every way to set a target directory."""
    command = ["cargo", "build", "--release", "--locked", "--manifest-path", str(manifest), "--bin", binary]
    built = subprocess.run([*command, "--message-format", "json-render-diagnostics"], stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        raise SystemExit(f"bench: cannot build {binary}")
    for line in reversed(built.stdout.splitlines()):
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == binary:
            return message["executable"]
    raise SystemExit(f"bench: cargo built no {binary}")


def load_generator(binary="cold-load"):
    return _cargo(ROOT / "bench" / "load" / "Cargo.toml", binary)


def coldplate():
    return _cargo(ROOT / "Cargo.toml", "coldplate")
