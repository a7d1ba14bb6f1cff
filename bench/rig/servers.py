"""The servers compared: how each is started on a port, pinned to CPUs, and ended by its own pid."""

import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

READY_SECS_MAX = 10
STOP_SECS_MAX = 10


class Server:
    """One server process. `argv`, and the text of each of `files`, have `{port}` and `{cores}` where those belong."""

    def __init__(self, name, argv, protocol="resp", version="", files=None):
        self.name, self.argv, self.protocol, self.version = name, argv, protocol, version
        # By name, written into the folder that it is started in.
        self.files = files or {}
        self.process = self.port = None
        self.scratch = None

    @property
    def pid(self):
        return self.process.pid

    def start(self, cpus="0"):
        """Starts on a free port. `cpus` pins the process, and is also what the server is told to use."""
        self.port = free_port()
        self.scratch = tempfile.TemporaryDirectory(prefix="coldplate-bench-")
        said = lambda text: text.replace("{port}", str(self.port)).replace("{cores}", cpus)  # noqa: E731
        argv = [said(word) for word in self.argv]
        for name, text in self.files.items():
            with open(os.path.join(self.scratch.name, name), "w") as file:
                file.write(said(text))
        with open(os.path.join(self.scratch.name, "output"), "wb") as output:
            self.process = subprocess.Popen(["taskset", "-c", cpus, *argv], cwd=self.scratch.name, stdout=output,
                                            stderr=subprocess.STDOUT)
        self._await_ready()
        return self

    def _await_ready(self):
        deadline = time.monotonic() + READY_SECS_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        with open(os.path.join(self.scratch.name, "output"), errors="replace") as file:
            output = file.read()[-2000:]
        self.stop()
        raise SystemExit(f"bench: {self.name} did not start:\n{output}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.scratch:
            self.scratch.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def free_run(count):
    """The first of so many free ports in a row, below those that clients are given."""
    while True:
        first = random.randrange(15_000, 32_000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


def coldplate(binary, *options):
    argv = [binary, "serve", "--bind", "127.0.0.1", "--port", "{port}", "--cores", "{cores}", "--log-level", "warn"]
    return Server("coldplate", [*argv, *options], version=_version([binary, "--version"]))


def redis(*options):
    argv = ["redis-server", "--bind", "127.0.0.1", "--port", "{port}", "--save", "", "--appendonly", "no"]
    version = _version(["redis-server", "--version"])
    return Server("redis-server", [*argv, "--io-threads", "1", "--loglevel", "warning", *options], version=version)


def memcached():
    argv = ["memcached", "-l", "127.0.0.1", "-p", "{port}", "-U", "0", "-t", "1", "-m", "4096"]
    if os.geteuid() == 0:
        argv += ["-u", "root"]
    return Server("memcached", argv, protocol="memcache", version=_version(["memcached", "-V"]))


def nutcracker(ports):
    """twemproxy before the servers on these ports, as its own example has it."""
    pool = ["pool:", "  listen: 127.0.0.1:{port}", "  redis: true", "  hash: fnv1a_64", "  distribution: ketama",
            "  auto_eject_hosts: false", "  servers:", *(f"  - 127.0.0.1:{port}:1" for port in ports)]
    binary = shutil.which("nutcracker", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nutcracker"
    argv = [binary, "-c", "nutcracker.yml", "-v", "4", "-a", "127.0.0.1", "-s", str(free_port())]
    return Server("nutcracker", argv, version=_version([binary, "-V"]), files={"nutcracker.yml": "\n".join(pool) + "\n"})


def other(text):
    """NAME=COMMAND, a Redis-protocol server; COMMAND has `{port}` where the port belongs."""
    name, _, command = text.partition("=")
    if not name or "{port}" not in command:
        raise SystemExit(f"bench: --other wants NAME=COMMAND with {{port}} in the command, got `{text}`")
    return Server(name, shlex.split(command))


def installed(server):
    return shutil.which(server.argv[0]) is not None


def _version(command):
    if shutil.which(command[0]) is None:
        return ""
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", text)
    return found.group() if found else ""
