"""A disk of the rig's own: the medium (medium.py), a loop device on it, a real file system on that, mounted.

Nothing outlives the run, however it ends: mounts are made in a mount namespace that only this process and its children
are in, a loop device detaches itself when it is unmounted, and the medium dies with its parent.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEDIUM = Path(__file__).with_name("medium.py")
# 64 MiB carry a run of seconds. mkfs.xfs makes nothing below 300.
IMAGE_BYTES = {"ext4": 96 << 20, "xfs": 320 << 20}
MKFS = {
    "ext4": ["-q", "-F", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"],
    "xfs": ["-q", "-f", "-K"],
}
# A copy of a mounted xfs has its identity, too.
OPTIONS = {"ext4": b"", "xfs": b"nouuid"}
ASK_S_MAX = 30
READY_S_MAX = 10
# struct loop_config, of which all else is zero: descriptor, block size, flags, the name that losetup shows.
LOOP_CONFIG = struct.Struct("<II52xI64s176x")
LOOP_CTL_GET_FREE, LOOP_CONFIGURE = 0x4C82, 0x4C0A
LO_AUTOCLEAR, LO_DIRECT_IO = 4, 16
LOOP_TRIES = 20
CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_NOATIME = 0x20000, 0x4000, 1 << 18, 1 << 10

_libc = ctypes.CDLL(None, use_errno=True)
_is_apart = False


class Unmountable(Exception):
    """The kernel would not mount an image."""


def missing(kind):
    """What this machine lacks for a disk of its own with this file system, or None."""
    if os.geteuid() != 0:
        return "root (mounts, loop devices)"
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            return path
    for program in ("fallocate", f"mkfs.{kind}"):
        if shutil.which(program) is None:
            return program
    if kind not in Path("/proc/filesystems").read_text().split():
        return f"{kind} in the kernel"
    try:
        stand_apart()
    except OSError as error:
        return f"the right to mount ({error})"
    return None


def stand_apart():
    """Moves this process into a mount namespace of its own, once."""
    global _is_apart
    if _is_apart:
        return
    if _libc.unshare(CLONE_NEWNS) != 0 or _libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "no mount namespace of its own")
    _is_apart = True


def call(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


def make_image(path, kind, size_bytes=None):
    with open(path, "wb") as file:
        file.truncate(size_bytes or IMAGE_BYTES[kind])
    call(f"mkfs.{kind}", *MKFS[kind], str(path))
    # An empty journal is written out; it need not be copied for each cut.
    call("fallocate", "--dig-holes", str(path))


def umount(point):
    """Unmounts; what is busy for a moment is waited for, and then torn off."""
    for _ in range(50):
        if _libc.umount2(os.fsencode(point), 0) == 0:
            return
        time.sleep(0.02)
    _libc.umount2(os.fsencode(point), 2)


@contextlib.contextmanager
def attached(image, direct):
    """A loop device on a file, open for so long; it detaches itself when nobody uses it any more."""
    flags = LO_AUTOCLEAR | (LO_DIRECT_IO if direct else 0)
    with open("/dev/loop-control", "r+b", buffering=0) as control, open(image, "r+b") as file:
        config = LOOP_CONFIG.pack(file.fileno(), 0, flags, os.fsencode(image)[-63:])
        for _ in range(LOOP_TRIES):
            device = b"/dev/loop%d" % fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            loop = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(loop, LOOP_CONFIGURE, config)
                break
            except OSError as error:
                os.close(loop)
                # Somebody else has taken it.
                if error.errno != errno.EBUSY:
                    raise
        else:
            raise OSError("no free loop device")
    try:
        yield device
    finally:
        os.close(loop)


@contextlib.contextmanager
def mounted(image, point, kind, direct=False):
    """The file system of an image, mounted; the kernel replays its journal, as after a real cut."""
    stand_apart()
    # The mount holds the device from there on; without one it detaches itself as it is closed.
    with attached(image, direct) as device:
        if _libc.mount(device, os.fsencode(point), kind.encode(), MS_NOATIME, OPTIONS[kind]) != 0:
            raise Unmountable(os.strerror(ctypes.get_errno()))
    try:
        yield
    finally:
        umount(point)


def scratch():
    """A folder for images, in memory where there is some. Those of runs that were killed go."""
    inside = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())
    for old in inside.glob("coldplate-crash-[0-9]*-*"):
        if not Path("/proc", old.name.split("-")[2]).exists():
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"coldplate-crash-{os.getpid()}-", dir=inside))


class Disk:
    """`with Disk("ext4") as disk:` mounts a fresh disk at `disk.point`; `disk.order(...)` talks to its medium."""

    def __init__(self, kind="ext4", size_bytes=None):
        self.kind = kind
        self.size_bytes = size_bytes
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        stand_apart()
        with contextlib.ExitStack() as stack:
            self.dir = scratch()
            stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
            self.base, self.recording = self.dir / "base.img", self.dir / "recording"
            self.point = self.dir / "mnt"
            self.point.mkdir()
            make_image(self.base, self.kind, self.size_bytes)
            self._start_medium(stack)
            stack.enter_context(mounted(self.image, self.point, self.kind, direct=True))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def _start_medium(self, stack):
        self.image, control = self.dir / "disk.img", self.dir / "control"
        self.image.touch()
        words = [sys.executable, MEDIUM, self.base, self.image, self.recording, control]
        self.medium = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        stack.callback(self._stop_medium)
        self.control = socket.socket(socket.AF_UNIX)
        stack.callback(self.control.close)
        self.control.settimeout(ASK_S_MAX)
        deadline = time.monotonic() + READY_S_MAX
        while True:
            try:
                self.control.connect(str(control))
                return
            except OSError:
                if self.medium.poll() is not None or time.monotonic() > deadline:
                    raise OSError("the medium did not start") from None
                time.sleep(0.01)

    def _stop_medium(self):
        """Unmounted it ends by itself, with its recording whole."""
        umount(self.image)
        try:
            self.medium.wait(READY_S_MAX)
        except subprocess.TimeoutExpired:
            self.medium.kill()
            self.medium.wait()

    def order(self, **words):
        """Gives orders and returns counts; without orders, counts alone. The recording is whole up to here.

        lie=True           flushes are answered and do nothing
        hold=0.3           so many of the writes are answered late and out of order
        delay_ms={"flush": 5}
        fail={"write": {"error": "EIO", "after": 10, "holding": "bytes of the log"}}
                           the writes (or "flush"es) after the next ten fail that hold these bytes; {} ends it
        """
        self.control.sendall(json.dumps(words).encode())
        return json.loads(self.control.recv(1 << 16))

    def fill(self, leave_bytes):
        """Fills the file system up to so many bytes, so that it is full as a real one is; returns the ballast."""
        ballast = self.point / "ballast"
        free = os.statvfs(self.point)
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - leave_bytes))
        return ballast
