"""Starts that a log makes fail, and one that it must not. Each says which file it is, what is wrong, and what to do."""

import contextlib
import os
import re
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from lib import resp
from lib.cases import Skip, check, check_equal
from lib.logfile import FOLDER, VERSION_AT, Log, forge_header
from lib.server import Server, free_port
from wire.stage import suite
from wire.startup import refused

NOBODY = 65534
KEYS = 200
# A drain that waits for what does not come takes five seconds. Of a few ends one is undisturbed by a busy machine.
ENDS, END_S_MAX = 3, 4


@contextmanager
def folder():
    path = Path(tempfile.mkdtemp(prefix="coldplate-test-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def options(path):
    return {"appendonly": "yes", "dir": path, "log_segment_bytes": "1mb"}


def fill(path, cores=2):
    """A log of some keys, ended in peace."""
    with Server(cores=cores, **options(path)) as server, resp.connected(server) as wire:
        for number in range(KEYS):
            check_equal(wire.ask("SET", f"key:{number}", "x" * number), b"+OK\r\n", "SET")


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def refused_over(path, before=None):
    flags = ("--port", free_port(), "--cores", "0,0", "--pin", "off", "--log-level", "error")
    return refused(*flags, "--appendonly", "yes", "--dir", path, before=before)


@suite.case(watched=False)
def a_log_in_use(_stage):
    with folder() as path, Server(**options(path)):
        expected = f"coldplate: {path}/{FOLDER} is another server's log; choose another directory with --dir"
        check_equal(refused_over(path), [expected])


@suite.case(watched=False)
def a_folder_that_cannot_be_written(_stage):
    if os.geteuid() != 0:
        raise Skip("needs root, to give it up")
    with folder() as path:
        # Everybody may enter, nobody but root may write.
        path.chmod(0o755)
        lines = refused_over(path, before=lambda: (os.setgid(NOBODY), os.setuid(NOBODY)))
        remedy = "make it writable, choose another with --dir, or use --appendonly no"
        why = f"Permission denied (os error 13); {remedy}"
        check_equal(lines, [f"coldplate: the log cannot be kept in {path}/{FOLDER}: {why}"])


@suite.case(watched=False)
def a_file_where_the_log_goes(_stage):
    with folder() as path:
        (path / FOLDER).write_text("precious")
        lines = refused_over(path)
        expected = f"coldplate: the log cannot be kept in {path}/{FOLDER}: "
        check(lines[0].startswith(expected) and "--dir" in lines[0], lines)
        check_equal((path / FOLDER).read_text(), "precious")


@suite.case(watched=False)
def a_damaged_log(_stage):
    with folder() as path:
        fill(path)
        frame = next(iter(Log(path).frames.values()))[1]
        damaged = path / FOLDER / frame.name
        damaged.write_bytes(flipped(damaged.read_bytes(), frame.end - 20))
        line = refused_over(path)[-1]
        wanted = (
            rf"coldplate: core \d: the log in {path}/{FOLDER} is damaged: {frame.name}: at {frame.offset}: "
            rf"frame {frame.sequence} is damaged: its checksum is \w+, expected \w+; by \S+ at \d+ it was durable; "
            rf"restore the file, or give up what is behind with coldplate log repair. Nothing of it is served; "
            rf"`coldplate log check {path}/{FOLDER}` shows more"
        )
        check(re.fullmatch(wanted, line), line)


@suite.case(watched=False)
def a_damaged_log_and_a_client(_stage):
    """Whoever asks meanwhile does not hold up the end: nobody gets an answer of a core that has failed."""
    with folder() as path:
        fill(path)
        # That of the last core: the first accepts, and places connections on both.
        frame = list(Log(path).frames.values())[-1][1]
        damaged = path / FOLDER / frame.name
        damaged.write_bytes(flipped(damaged.read_bytes(), frame.end - 20))
        server = Server(cores=2, **options(path))
        ends_s = []
        for _ in range(ENDS):
            server.begin()
            begin_s = time.monotonic()
            clients = []
            while server.process.poll() is None:
                with contextlib.suppress(OSError):
                    clients.append(server.connect())
                time.sleep(0.001)
            ends_s.append(time.monotonic() - begin_s)
            check_equal(server.process.returncode, 1, "exit status")
            for client in clients:
                client.close()
        shutil.rmtree(server.dir, ignore_errors=True)
        check(min(ends_s) < END_S_MAX, f"it took {ends_s} s to end")


@suite.case(watched=False)
def a_segment_is_missing(_stage):
    with folder() as path:
        fill(path)
        fill(path)
        first = next(segment for segment in Log(path).segments.values() if segment.header)
        data = (path / FOLDER / first.name).read_bytes()
        (path / FOLDER / first.name).unlink()
        later = first.name[:-5] + "1.log"
        (path / FOLDER / later).write_bytes(forge_header(data, 24, (1).to_bytes(8, "little")))
        check(f"{first.name}: is missing, and {later} is there" in refused_over(path)[-1], "a gap is not named")


@suite.case(watched=False)
def a_log_of_a_later_version(_stage):
    with folder() as path:
        fill(path)
        segment = next(segment for segment in Log(path).segments.values() if segment.header)
        (path / FOLDER / segment.name).write_bytes(forge_header(segment.data, VERSION_AT, (2).to_bytes(4, "little")))
        line = refused_over(path)[-1]
        wanted = f"{segment.name}: at 8: format 2, and this program reads 1; use the version that wrote it"
        check(wanted in line, line)


@suite.case(watched=False)
def another_number_of_cores(_stage):
    """Not a mistake: keys move to where they belong now, more cores than before or fewer."""
    with folder() as path:
        fill(path, cores=2)
        for cores in (3, 1):
            with Server(cores=cores, **options(path)) as server, resp.connected(server) as wire:
                check_equal(wire.ask("DBSIZE"), b":%d\r\n" % KEYS, f"keys of {cores} cores")
                check_equal(wire.ask("STRLEN", f"key:{KEYS - 1}"), b":%d\r\n" % (KEYS - 1), "STRLEN")
