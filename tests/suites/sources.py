"""Where the suites come from: Debian's source packages and the registries of Python and npm, by their own clients.

Each source is pinned, checked, unpacked under target/suites/ and kept there. What is changed in a copy is listed in
the module that plays it.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from lib.server import ROOT

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CACHE = TARGET / "suites"
FETCH_S_MAX = 600

REDIS = ("redis_7.0.15.orig.tar.gz", "4b1dc4ee6d622a09fff9c6777191209750fb5e5a725ef78ea012d6eef4c22982")
REDIS_PY = ("redis-8.1.0.tar.gz", "6e1a19beef9225c83efd689c7e6b7da2d5215b1f42cd13b7fc3714d0a09c7b25")
IOREDIS = ("ioredis-2.0.0.tgz", "8753a30db84a16b89f1c661d99807f89fa768386b63796ff4687ff8e3f5d2740")


class SourceError(Exception):
    """A source could not be had, or is not the one that was pinned."""


def call(command, **settings):
    """A client's output; what it said is the error when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=FETCH_S_MAX,
        **settings,
    )
    said = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise SourceError(f"{command[0]} ended with {done.returncode}: {said[-600:]}")
    return said


def archive(pinned, download):
    """The path of a pinned file, downloaded by `download(folder)` unless it is there."""
    name, sha256 = pinned
    path = CACHE / "archives" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        download(path.parent)
    if not path.exists():
        raise SourceError(f"{name} did not come; in its place: {sorted(each.name for each in path.parent.iterdir())}")
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != sha256:
        path.unlink()
        raise SourceError(f"{name} has the checksum {got}, not {sha256}")
    return path


def unpacked(label, path, change):
    """A fresh copy of an archive's only folder, after `change(folder)`; made again when what makes it changes."""
    folder = CACHE / label
    stamp = folder / ".made-of"
    made_of = f"{path.name} {change_stamp(change)}"
    if stamp.exists() and stamp.read_text() == made_of:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(path) as tar:
        tar.extractall(folder.with_suffix(".unpacking"), filter="data")
    (inner,) = folder.with_suffix(".unpacking").iterdir()
    inner.rename(folder)
    folder.with_suffix(".unpacking").rmdir()
    change(folder)
    stamp.write_text(made_of)
    return folder


def change_stamp(change):
    return hashlib.sha256(Path(change.__code__.co_filename).read_bytes()).hexdigest()[:16]


def replaced(path, before, after, count=1):
    """Rewrites a file; a text that is not there as often as expected is an error, so that no change is lost."""
    text = path.read_text()
    if text.count(before) != count:
        raise SourceError(f"{path}: {before!r} is there {text.count(before)} times, not {count}")
    path.write_text(text.replace(before, after))


def from_debian(folder):
    """`apt-get source`, with lists of its own: needs no root, and leaves the machine's package sources alone."""
    state = CACHE / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "sources.list").write_text("".join(source_lines()))
    settings = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "Debug::NoLocking": "1",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    call(["apt-get", *options, "update"])
    call(["apt-get", *options, "source", "--tar-only", "redis"], cwd=folder)


def source_lines():
    """A `deb-src` line for each place from which this machine has Debian's own packages."""
    said = call(["apt-get", "update", "--print-uris"])
    places = set(re.findall(r"^'(\S+/debian(?:-security)?)/dists/(\S+)/InRelease'", said, re.MULTILINE))
    if not places:
        raise SourceError("this machine has no package source of Debian's; the suite of Redis comes from there")
    return [f"deb-src {uri} {release} main\n" for uri, release in sorted(places)]


def from_pypi(pip, folder):
    """`pip` is an environment's own: Debian's Python comes without."""
    name, version = REDIS_PY[0].removesuffix(".tar.gz").rsplit("-", 1)
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", name, "--dest", folder]
    call([pip, "download", *options, f"{name}=={version}"])


def from_npm(folder):
    name, version = IOREDIS[0].removesuffix(".tgz").rsplit("-", 1)
    call(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder)
