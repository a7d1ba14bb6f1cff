"""redis-cli: what a person types, and its bulk modes. Outputs are compared in full."""

import subprocess
import time

from compat.suite import suite
from lib import resp
from lib.cases import check, check_equal

# Until a small log is whole.
LOG_S_MAX = 30
# One line in, its lines out, as redis-cli prints them with --no-raw.
SCRIPT = (
    ("PING", "PONG"),
    ("ping hello", '"hello"'),
    ("SET greeting 'hello world'", "OK"),
    ("GET greeting", '"hello world"'),
    ("GET nothing", "(nil)"),
    (r'SET "quoted key" "a\r\n\x00\"b"', "OK"),
    ('GET "quoted key"', r'"a\r\n\x00\"b"'),
    ("STRLEN greeting", "(integer) 11"),
    ("APPEND greeting !", "(integer) 12"),
    ("GETRANGE greeting -6 -1", '"world!"'),
    ("INCR counter", "(integer) 1"),
    ("INCRBYFLOAT counter 0.1", '"1.1"'),
    ("INCR counter", "(error) ERR value is not an integer or out of range"),
    ("MSET a 1 b 2", "OK"),
    ("MGET a b c", '1) "1"\n2) "2"\n3) (nil)'),
    ("DEL a b c", "(integer) 2"),
    ("TYPE greeting", "string"),
    ("SET greeting x EX 100 KEEPTTL", "(error) ERR syntax error"),
    ("EXPIRE greeting 100", "(integer) 1"),
    ("PERSIST greeting", "(integer) 1"),
    ("TTL greeting", "(integer) -1"),
    ("TTL nothing", "(integer) -2"),
    ("GET", "(error) ERR wrong number of arguments for 'get' command"),
    ("NOSUCH a b", "(error) ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
    ("SELECT 0", "OK"),
    ("DBSIZE", "(integer) 3"),
    ("FLUSHALL", "OK"),
    ("KEYS *", "(empty array)"),
)


def cli(server, *args, stdin=b"", timeout_s=60, port=None):
    command = ["redis-cli", "-p", str(port or server.port), *args]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s)
    check_equal(done.returncode, 0, f"exit status of redis-cli {' '.join(args)}: {done.stdout[-300:]!r}")
    return done.stdout.decode(errors="backslashreplace")


def play_script(server, *options, port=None):
    typed = "".join(line + "\n" for line, _ in SCRIPT).encode()
    wanted = "".join(output + "\n" for _, output in SCRIPT)
    got = cli(server, "--no-raw", *options, stdin=typed, port=port)
    # Blank lines between replies differ among versions of redis-cli.
    check_equal([line for line in got.split("\n") if line], [line for line in wanted.split("\n") if line])


@suite.case()
def cli_script(server):
    play_script(server)


@suite.case()
def cli_script_resp3(server):
    play_script(server, "-3")


@suite.case()
def cli_unix_socket_and_arguments(server):
    command = ["redis-cli", "-s", server.unixsocket, "SET", "over unix", "yes", "EX", "100"]
    check_equal(subprocess.run(command, stdout=subprocess.PIPE, timeout=10).stdout, b"OK\n")
    check_equal(cli(server, "GET", "over unix"), "yes\n")


@suite.case()
def cli_repeat_and_stdin_argument(server):
    check_equal(cli(server, "-r", "5", "INCR", "n"), "1\n2\n3\n4\n5\n")
    check_equal(cli(server, "-x", "SET", "from stdin", stdin=b"\x00binary\r\n"), "OK\n")
    check_equal(cli(server, "STRLEN", "from stdin"), "9\n")


@suite.case()
def cli_scan_pattern(server):
    with resp.connected(server) as wire:
        wire.ask("MSET", *(word for i in range(3000) for word in (f"scan:{i}", i)))
        wire.ask("MSET", *(word for i in range(100) for word in (f"other:{i}", i)))
    keys = cli(server, "--scan", "--pattern", "scan:*").split()
    check_equal(sorted(set(keys)), sorted(f"scan:{i}" for i in range(3000)))
    keys = cli(server, "--scan", "--pattern", "scan:1*").split()
    check_equal(sorted(set(keys)), sorted(f"scan:{i}" for i in range(3000) if str(i).startswith("1")))


@suite.case()
def cli_pipe_mass_insertion(server):
    count = 200_000
    stream = b"".join(resp.encode("SET", f"mass:{i}", f"value:{i}") for i in range(count))
    printed = cli(server, "--pipe", stdin=stream)
    check(f"errors: 0, replies: {count}" in printed, printed)
    check_equal(cli(server, "DBSIZE"), f"{count}\n")
    check_equal(cli(server, "GET", "mass:199999"), "value:199999\n")


@suite.case()
def cli_pipe_counts_errors(server):
    printed = subprocess.run(
        ["redis-cli", "-p", str(server.port), "--pipe"],
        input=resp.encode("SET", "k", "v") + resp.encode("INCR", "k") + resp.encode("GET", "k"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
    ).stdout.decode()
    check("errors: 1, replies: 3" in printed, printed)


@suite.case()
def cli_bigkeys(server):
    with resp.connected(server) as wire:
        wire.ask("MSET", "small", "x", "medium", "x" * 100, "huge", "x" * 10_000)
    printed = cli(server, "--bigkeys")
    summary = [line for line in printed.splitlines() if line.startswith("Biggest string found")]
    check(len(summary) == 1 and '"huge"' in summary[0] and "10000 bytes" in summary[0], printed[-800:])


@suite.case()
def cli_hotkeys(server):
    with resp.connected(server) as wire:
        wire.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        wire.ask("MSET", *(word for i in range(100) for word in (f"key:{i}", "x")))
        for _ in range(500):
            wire.ask("GET", "key:42")
    printed = cli(server, "--hotkeys")
    summary = [line for line in printed.splitlines() if line.startswith("hot key found")]
    check(len(summary) == 16 and '"key:42"' in summary[0], printed[-800:])
    with resp.connected(server) as wire:
        wire.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


@suite.case()
def cli_inline(server):
    """What telnet and netcat send."""
    with resp.connected(server) as wire:
        wire.send(b"SET inline \"two words\"\r\nget inline\nPING\r\n\r\n  STRLEN   'inline'  \r\n")
        got = b"".join(wire.reply() for _ in range(4))
        check_equal(got, b"+OK\r\n$9\r\ntwo words\r\n+PONG\r\n:9\r\n")


@suite.case(options={"requirepass": "sesame"})
def cli_password(server):
    check_equal(cli(server, "-a", "sesame", "--no-auth-warning", "PING"), "PONG\n")
    check_equal(cli(server, "-3", "--user", "default", "--pass", "sesame", "--no-auth-warning", "PING"), "PONG\n")
    check("NOAUTH Authentication required." in cli(server, "PING"), "served without the password")
    with resp.connected(server) as wire:
        check_equal(wire.ask("AUTH", "sesame"), b"+OK\r\n")
        check_equal(wire.ask("RESET"), b"+RESET\r\n")
        check_equal(wire.ask("GET", "k"), b"-NOAUTH Authentication required.\r\n", "after RESET")
    refused = cli(server, "-a", "wrong", "--no-auth-warning", "PING")
    check("WRONGPASS" in refused and "NOAUTH" in refused, refused)


def persistence(server):
    lines = cli(server, "INFO", "persistence").splitlines()
    return dict(line.strip().split(":", 1) for line in lines if ":" in line)


@suite.case()
def cli_appendonly(server):
    """The log is switched on, off and on by hand; INFO says when it is whole."""
    cli(server, "--pipe", stdin=b"".join(resp.encode("SET", f"key:{n}", n) for n in range(5000)))
    check_equal(cli(server, "CONFIG", "GET", "appendonly"), "appendonly\nno\n")
    for _ in range(2):
        check_equal(cli(server, "CONFIG", "SET", "appendonly", "yes"), "OK\n")
        deadline = time.monotonic() + LOG_S_MAX
        while persistence(server)["aof_rewrite_in_progress"] != "0":
            check(time.monotonic() < deadline, "the log is not whole")
            time.sleep(0.01)
        told = persistence(server)
        check_equal((told["aof_enabled"], told["aof_last_write_status"]), ("1", "ok"))
        check_equal(cli(server, "CONFIG", "GET", "append*only"), "appendonly\nyes\n")
        check_equal(cli(server, "CONFIG", "SET", "appendonly", "yes"), "OK\n", "again")
        check_equal(cli(server, "BGREWRITEAOF"), "Background append only file rewriting started\n")
        check_equal(cli(server, "SET", "late", "1"), "OK\n")
        check_equal(cli(server, "CONFIG", "SET", "appendonly", "no"), "OK\n")
        deadline = time.monotonic() + LOG_S_MAX
        # A core that syncs ends its log behind that.
        while persistence(server)["aof_enabled"] != "0":
            check(time.monotonic() < deadline, "the log does not end")
            time.sleep(0.01)
    refused = "ERR CONFIG SET failed (possibly related to argument 'appendonly') - argument must be 'yes' or 'no'"
    check(cli(server, "CONFIG", "SET", "appendonly", "maybe").startswith(refused), "an error in Redis's words")
    check_equal(cli(server, "DBSIZE"), "5001\n")
