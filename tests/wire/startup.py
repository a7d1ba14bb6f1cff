"""A start that cannot succeed: one line that says what is wrong and what to change, and exit status 1.

What the kernel refuses is refused for real: by a seccomp filter, by a lower limit without the right to raise it.
"""

import ctypes
import os
import resource
import socket
import struct
import subprocess
from pathlib import Path

from lib.cases import Skip, check, check_equal
from lib.server import Server, default_binary, free_port
from wire.stage import suite

START_S_MAX = 10
SYS_IO_URING_SETUP = 425
PR_CAPBSET_DROP, CAP_SYS_RESOURCE = 24, 24
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
BPF_LOAD_WORD, BPF_JUMP_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000
EPERM, ENOSYS = 1, 38


def refused(*flags, before=None):
    """Starts the server, which must refuse; returns the lines that it gave. `before` runs in the new process."""
    if Path(default_binary()).name == "redis-server":
        raise Skip("about this server's own words")
    command = [default_binary(), "serve", *map(str, flags)]
    # A build of tests/coverage could not write its counts as another user, and would say so.
    environment = {**os.environ, "LLVM_PROFILE_FILE": "/dev/null"} if before else None
    ended = subprocess.run(command, capture_output=True, timeout=START_S_MAX, preexec_fn=before, env=environment)
    lines = ended.stderr.decode().splitlines()
    check_equal((ended.returncode, ended.stdout), (1, b""), f"status and output of {flags}")
    check("panicked" not in ended.stderr.decode(), f"panicked: {lines}")
    return lines


def refuse_io_uring(errno):
    """Makes io_uring_setup fail in this process with `errno`, as a container's seccomp profile does."""
    code = (
        (BPF_LOAD_WORD, 0, 0, 0),
        (BPF_JUMP_EQUAL, 0, 1, SYS_IO_URING_SETUP),
        (BPF_RETURN, 0, 0, SECCOMP_RET_ERRNO | errno),
        (BPF_RETURN, 0, 0, SECCOMP_RET_ALLOW),
    )
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in code))
    program = ctypes.create_string_buffer(struct.pack("HP", len(code), ctypes.addressof(filters)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    zero = ctypes.c_ulong(0)
    if prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero):
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    if prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), program, zero, zero):
        raise OSError(ctypes.get_errno(), "PR_SET_SECCOMP")


def limit_descriptors(most):
    """Root may raise a hard limit, unless it starts without the capability to."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@suite.case(watched=False)
def a_taken_port(stage):
    port = stage.server.port
    expected = f"port {port} on 127.0.0.1 is taken by another process; stop it, or choose another with --port"
    check_equal(refused("--port", port), [f"coldplate: {expected}"])


@suite.case(watched=False)
def an_address_of_another_machine(_stage):
    expected = "coldplate: 192.0.2.1 is no address of this machine; choose another with --bind"
    check_equal(refused("--port", free_port(), "--bind", "192.0.2.1", "--requirepass", "x"), [expected])


@suite.case(watched=False)
def an_unknown_cpu(_stage):
    lines = refused("--cores", "4097", "--port", free_port())
    allowed = "command line: --cores is 4097; allowed: CPUs that this process may use, which are "
    check(lines[0].startswith(allowed), lines)
    check(lines[0].endswith(", so not 4097"), lines)
    check_equal(lines[1:], ["coldplate: 1 mistake in the configuration"])


@suite.case(watched=False)
def one_cpu_twice(_stage):
    """Refused while threads are pinned; without, it is two cores."""
    lines = refused("--cores", "0,0", "--pin", "on", "--port", free_port())
    check_equal(lines[0], 'command line: --cores is "0,0"; allowed: each CPU once, or --pin off')
    with Server(cores=4) as server, server.connect() as sock:
        sock.sendall(b"INFO cores\r\n")
        check(b"core3:" in sock.recv(65536), "four cores on whatever CPUs there are")


@suite.case(watched=False)
def a_bad_file(stage):
    path = stage.server.dir / "bad.toml"
    path.write_text("[network]\nport = 70000\nprot = 1\n")
    lines = refused("--config", path)
    expected = [
        f"{path}:2: network.port is 70000; allowed: a whole number from 0 to 65535",
        f"{path}:3: unknown key network.prot; the nearest known one is network.port",
        "coldplate: 2 mistakes in the configuration",
    ]
    check_equal(lines, expected)


@suite.case(watched=False)
def too_few_descriptors(_stage):
    flags = ("--cores", 0, "--maxclients", 10_000, "--port", free_port())
    lines = refused(*flags, before=lambda: limit_descriptors(100))
    expected = (
        "coldplate: 10072 file descriptors are needed, but the limit (RLIMIT_NOFILE) is 100; raise it with "
        "`LimitNOFILE=10072` in the systemd unit or `ulimit -n 10072` in the shell; or lower maxclients from 10000 with "
        "--maxclients"
    )
    check_equal(lines, [expected])


@suite.case(watched=False)
def no_directory(stage):
    missing = stage.server.dir / "missing"
    why = "No such file or directory (os error 2); create it, or choose another with --dir"
    check_equal(refused("--port", free_port(), "--dir", missing), [f"coldplate: cannot work in {missing}: {why}"])


@suite.case(watched=False)
def a_file_where_the_socket_goes(stage):
    """A relative path starts at --dir. The file is left alone."""
    path = stage.server.dir / "taken"
    path.write_text("precious")
    expected = "coldplate: taken exists and is no socket; remove it, or choose another path with --unixsocket"
    check_equal(refused("--port", 0, "--dir", stage.server.dir, "--unixsocket", "taken"), [expected])
    check_equal(path.read_text(), "precious")


@suite.case(watched=False)
def a_socket_in_use(stage):
    path = stage.server.unixsocket
    expected = f"coldplate: {path} is the socket of a server that runs; stop it, or choose another with --unixsocket"
    check_equal(refused("--port", 0, "--unixsocket", path), [expected])
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)


@suite.case(watched=False)
def io_uring_is_refused(_stage):
    for errno, words in (
        (EPERM, "io_uring_setup is not permitted although kernel.io_uring_disabled is 0: a seccomp profile"),
        (ENOSYS, "this kernel has no io_uring (io_uring_setup: function not implemented)"),
    ):
        lines = refused("--port", free_port(), before=lambda errno=errno: refuse_io_uring(errno))
        check(len(lines) == 1 and lines[0].startswith(f"coldplate: {words}"), lines)


@suite.case(watched=False)
def no_locked_memory_is_needed(_stage):
    """Kernels from 5.12 on charge rings to the control group, so RLIMIT_MEMLOCK of 0 must do."""
    no_lock = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, no_lock[1]))
    try:
        with Server(cores=2) as server, server.connect() as sock:
            sock.sendall(b"PING\r\n")
            check_equal(sock.recv(64), b"+PONG\r\n")
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, no_lock)
