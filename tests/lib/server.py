"""A server process for the length of a test: started on a free port, awaited, measured, ended by its pid.

The binary comes from $COLDPLATE_BIN (default: the release build). A binary named `redis-server` is started with
Redis's own options, so that every suite can be run against Redis itself.
"""

import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Under a sanitizer the same work takes a few times as long.
IS_CHECKED = os.environ.get("CHECKED") == "1"
START_S_MAX = 60.0 if IS_CHECKED else 10.0
STOP_S_MAX = 60.0 if IS_CHECKED else 10.0
START_STEP_S, STOP_STEP_S = 0.01, 0.1
# As in src/server/boot.rs.
DESCRIPTORS_RESERVED = 64
DESCRIPTORS_PER_CORE = 8


class ServerError(Exception):
    """The server did not start, died, or did not end as it should."""


def default_binary():
    if chosen := os.environ.get("COLDPLATE_BIN"):
        return chosen
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    return str(Path(target) / "release" / "coldplate")


def cpu_list(cores):
    """A `--cores` value for this many cores; on a smaller machine CPUs repeat, which `--pin off` allows."""
    cpus = sorted(os.sched_getaffinity(0))
    return ",".join(str(cpus[i % len(cpus)]) for i in range(cores))


def free_port():
    return free_run(1)


def free_run(count):
    """The first of so many free ports in a row, below those that the kernel gives clients: of these, thousands may be busy,
    and one that is free now may be a client's a moment later.
    """
    for _ in range(100):
        first = random.randrange(15_000, 32_000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise ServerError(f"no {count} free ports in a row")


class StartError(ServerError):
    """It did not come up; the same is to be expected of the next start."""


class Server:
    """`with Server(cores=2, requirepass="x") as server:`; keywords are the server's options, `_` for `-`.

    `descriptors` is how many it can open: the limit is the least that it accepts, and all others are open from the start.
    """

    start_s_max = START_S_MAX

    def __init__(self, cores=1, binary=None, environment=None, descriptors=None, **options):
        self.cores = cores
        self.environment = {**os.environ, **(environment or {})}
        self.descriptors = descriptors
        self.binary = binary or default_binary()
        self.is_redis = Path(self.binary).name == "redis-server"
        self.options = options
        self.port = free_port()
        self.node_ports = []
        if "cluster_announce" in options:
            first = free_run(cores)
            self.options = {**options, "cluster_first_port": first}
            self.node_ports = list(range(first, first + cores))
        self.dir = Path(tempfile.mkdtemp(prefix="coldplate-test-"))
        self.unixsocket = str(self.dir / "s.sock")
        self.log_path = self.dir / "server.log"
        self.process = None
        self.stopped = False

    def command_line(self):
        shared = ["--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", self.unixsocket]
        for name, value in self.options.items():
            shared += ["--" + name.replace("_", "-"), str(value)]
        if self.is_redis:
            fixed = ["--save", "", "--appendonly", "no", "--databases", "1", "--dir", str(self.dir)]
            fixed += ["--enable-debug-command", "local"]
            return [self.binary, *fixed, "--loglevel", "warning", *shared]
        fixed = ["--cores", cpu_list(self.cores), "--pin", "off"]
        if "maxmemory" not in self.options:
            fixed += ["--maxmemory", "0"]
        return [self.binary, "serve", *fixed, "--log-level", "warn", *shared]

    def __enter__(self):
        self.begin()
        try:
            self._await_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def begin(self):
        """Starts the process, and waits for nothing."""
        ballast = []
        if self.descriptors is not None:
            ballast = [os.open(os.devnull, os.O_RDONLY) for _ in range(self._limit() - self.descriptors)]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.command_line(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.dir,
                env=self.environment,
                pass_fds=ballast,
                preexec_fn=self._limit_descriptors if ballast else None,
            )
        for descriptor in ballast:
            os.close(descriptor)

    def __exit__(self, kind, _value, _trace):
        try:
            if kind is None:
                self.stop()
            elif not self.is_alive():
                # What the case saw is not why: the server's last words are.
                print(f"the server died with {self.process.returncode}:\n{self.log()}", flush=True)
        finally:
            self.kill()
            shutil.rmtree(self.dir, ignore_errors=True)

    def _limit(self):
        return self.options["maxclients"] + DESCRIPTORS_RESERVED + DESCRIPTORS_PER_CORE * self.cores

    def _limit_descriptors(self):
        """Runs in the new process."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._limit(), self._limit()))

    def _await_ready(self):
        # Patience is counted in steps, as at the end: see `exit_status`.
        for _ in range(round(self.start_s_max / START_STEP_S)):
            if self.process.poll() is not None:
                raise StartError(f"exited with {self.process.returncode} at start:\n{self.log()}")
            try:
                with self.connect(timeout_s=2) as sock:
                    sock.sendall(b"PING\r\n")
                    # The first core answers before all have started and have their keys.
                    if sock.recv(64) and (self.is_redis or " serves on " in self.log()):
                        return
            except OSError:
                pass
            time.sleep(START_STEP_S)
        raise StartError(f"not ready after {self.start_s_max} s:\n{self.log()}")

    def connect(self, timeout_s=30.0, port=None):
        sock = socket.create_connection(("127.0.0.1", port or self.port), timeout=timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    @property
    def pid(self):
        return self.process.pid

    def rss_bytes(self):
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_BYTES

    def cpu_s(self):
        """User and system time of the whole process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def is_alive(self):
        return self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")[-4000:]

    def stop(self):
        """SIGTERM; the server has to exit with 0 in time, and to have said nothing of a panic. Once is enough."""
        if self.stopped:
            return
        self.stopped = True
        if self.process.poll() is not None:
            raise ServerError(f"died with {self.process.returncode}:\n{self.log()}")
        self.process.send_signal(signal.SIGTERM)
        status = self.exit_status()
        if status != 0:
            raise ServerError(f"exit status {status} after SIGTERM:\n{self.log()}")
        if re.search(r"panicked|Sanitizer", self.log()):
            raise ServerError(f"panicked:\n{self.log()}")

    def exit_status(self):
        """Waits for the end of a server that has been told to end. Patience is counted in steps of this process: while a
        whole machine stands still, or all of a test is stopped, no time passes for the server either.
        """
        for _ in range(round(STOP_S_MAX / STOP_STEP_S)):
            try:
                return self.process.wait(STOP_STEP_S)
            except subprocess.TimeoutExpired:
                continue
        raise ServerError(f"still running {STOP_S_MAX} s after SIGTERM:\n{self.log()}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def raise_file_limit(wanted):
    """Lifts this process's descriptor limit, past the hard limit too where it may; returns what it got."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
