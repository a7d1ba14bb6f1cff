#!/usr/bin/env python3
"""The disk itself: a FUSE server whose whole file system is one file, the image that a loop device lies on.

It sees what a disk with a volatile cache sees, below the page cache, the journal and io_uring: each write and each
flush. It appends all of them to a recording, each with the time at which it had arrived, before it answers. One
process, one thread, so that the recording's order is the order in which things took effect. The kernel's protocol is
spoken raw on /dev/fuse: nothing need be installed.

On its control socket it is told to lie about flushes, to answer writes late and out of order, to fail, to be slow.

    medium.py IMAGE MOUNT_POINT RECORDING CONTROL_SOCKET
"""

import ctypes
import errno
import json
import os
import random
import select
import signal
import socket
import stat
import struct
import sys
import time

WRITE_BYTES_MAX = 1 << 20
BUFFER_BYTES = WRITE_BYTES_MAX + (1 << 16)
# So many writes may wait for their answers while it answers late.
HELD_MAX = 16

IN_HEADER = struct.Struct("<IIQQIIIHH")
OUT_HEADER = struct.Struct("<IiQ")
INIT_IN = struct.Struct("<IIII")
INIT_OUT = struct.Struct("<IIIIHHIIHHII24x")
IO_IN = struct.Struct("<QQIIQII")
FALLOCATE_IN = struct.Struct("<QQQII")
ATTR = struct.Struct("<6Q10I")

GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC = 3, 4, 14, 15, 16, 17, 18, 20
FLUSH, INIT, INTERRUPT, DESTROY, FALLOCATE = 25, 26, 36, 38, 43
SILENT = {2, 42}
ASYNC_READ, ASYNC_DIO, BIG_WRITES, MAX_PAGES = 1, 1 << 15, 1 << 5, 1 << 22
PUNCH_HOLE, ZERO_RANGE = 2, 16
DIRECT_IO = 1

# One record of a recording: kind, length, offset, when it had arrived. A write's bytes follow.
RECORD = struct.Struct("<BxxxIQQ")
KIND_WRITE, KIND_FLUSH, KIND_ZERO = 1, 2, 3


class Fault(Exception):
    """An operation that is answered with an error number."""


class Orders:
    """What the medium was told to do wrong. `fail` maps an operation to [error number, how many to let pass, bytes]."""

    def __init__(self):
        self.lie = False
        self.hold = 0.0
        self.fail = {}
        self.delay_s = {}
        self.counts = {"read": 0, "write": 0, "flush": 0, "failed": 0}

    def take(self, words):
        if "lie" in words:
            self.lie = bool(words["lie"])
        if "hold" in words:
            self.hold = float(words["hold"])
        if "delay_ms" in words:
            self.delay_s = {name: ms / 1000 for name, ms in words["delay_ms"].items()}
        if "fail" in words:
            self.fail = {
                name: [getattr(errno, order["error"]), order.get("after", 0), order.get("holding", "").encode()]
                for name, order in words["fail"].items()
            }

    def meet(self, name, data=b""):
        """Delays and counts one operation; raises where it has to fail."""
        self.counts[name] += 1
        if delay_s := self.delay_s.get(name):
            time.sleep(delay_s)
        order = self.fail.get(name)
        if order is None or order[2] and bytes(data).find(order[2]) < 0:
            return
        if order[1] > 0:
            order[1] -= 1
            return
        self.counts["failed"] += 1
        raise Fault(order[0])


class Medium:
    def __init__(self, image, recording, fuse):
        with open(image, "rb") as file:
            self.data = bytearray(file.read())
        self.recording = open(recording, "wb", buffering=1 << 20)
        self.fuse = fuse
        self.orders = Orders()
        self.held = []
        self.rng = random.Random(0)
        self.buffer = bytearray(BUFFER_BYTES)
        self.answers = {
            INIT: self.init,
            GETATTR: self.attributes,
            SETATTR: self.attributes,
            OPEN: lambda body, now: struct.pack("<QII", 1, DIRECT_IO, 0),
            READ: self.read,
            FSYNC: self.flush,
            FALLOCATE: self.fallocate,
            STATFS: lambda body, now: struct.pack("<5Q4I24x", 0, 0, 0, 1, 0, 4096, 255, 4096, 0),
            RELEASE: lambda body, now: b"",
            FLUSH: lambda body, now: b"",
            DESTROY: lambda body, now: b"",
        }

    def init(self, body, _now):
        _, minor, read_ahead, flags = INIT_IN.unpack_from(body)
        flags &= ASYNC_READ | ASYNC_DIO | BIG_WRITES | MAX_PAGES
        pages = WRITE_BYTES_MAX // 4096
        return INIT_OUT.pack(7, min(minor, 31), read_ahead, flags, 64, 48, WRITE_BYTES_MAX, 1, pages, 0, 0, 0)

    def attributes(self, _body, _now):
        size = len(self.data)
        attr = ATTR.pack(1, size, size // 512, 0, 0, 0, 0, 0, 0, stat.S_IFREG | 0o600, 1, 0, 0, 0, 4096, 0)
        return struct.pack("<QII", 3600, 0, 0) + attr

    def read(self, body, _now):
        _, offset, size, *_ = IO_IN.unpack_from(body)
        self.orders.meet("read")
        return memoryview(self.data)[offset : offset + size]

    def write(self, unique, body, now):
        _, offset, size, *_ = IO_IN.unpack_from(body)
        data = body[IO_IN.size : IO_IN.size + size]
        try:
            self.orders.meet("write", data)
        except Fault as fault:
            return self.answer(unique, -fault.args[0])
        if self.orders.hold and self.rng.random() < self.orders.hold:
            self.held.append((unique, offset, bytes(data)))
            if len(self.held) >= HELD_MAX:
                self.release()
            return None
        return self.settle(unique, offset, data, now)

    def settle(self, unique, offset, data, now):
        """Takes a write: from here on it may survive, and from the next flush on it must."""
        self.data[offset : offset + len(data)] = data
        self.recording.write(RECORD.pack(KIND_WRITE, len(data), offset, now))
        self.recording.write(data)
        self.answer(unique, 0, struct.pack("<II", len(data), 0))

    def release(self):
        """Takes all writes that were held back. A flush that came meanwhile did not cover them: none was answered."""
        held, self.held = self.held, []
        self.rng.shuffle(held)
        for unique, offset, data in held:
            self.settle(unique, offset, data, time.monotonic_ns())

    def flush(self, _body, now):
        self.orders.meet("flush")
        if not self.orders.lie:
            self.recording.write(RECORD.pack(KIND_FLUSH, 0, 0, now))
        return b""

    def fallocate(self, body, now):
        """Zeroes a range, whether told to punch it or to fill it."""
        _, offset, length, mode, _ = FALLOCATE_IN.unpack_from(body)
        if not mode & (PUNCH_HOLE | ZERO_RANGE):
            raise Fault(errno.EOPNOTSUPP)
        self.orders.meet("write")
        self.data[offset : offset + length] = bytes(length)
        self.recording.write(RECORD.pack(KIND_ZERO, length, offset, now))
        return b""

    def answer(self, unique, error, payload=b""):
        try:
            os.writev(self.fuse, [OUT_HEADER.pack(OUT_HEADER.size + len(payload), error, unique), payload])
        except OSError as failure:
            # The one who asked has been interrupted.
            if failure.errno != errno.ENOENT:
                raise

    def serve_one(self):
        """Whether there was a request."""
        try:
            size = os.readv(self.fuse, [self.buffer])
        except BlockingIOError:
            return False
        now = time.monotonic_ns()
        _, opcode, unique, *_ = IN_HEADER.unpack_from(self.buffer)
        body = memoryview(self.buffer)[IN_HEADER.size : size]
        if opcode == WRITE:
            self.write(unique, body, now)
        elif opcode not in SILENT:
            self.serve(opcode, unique, body, now)
        return True

    def serve(self, opcode, unique, body, now):
        if opcode == INTERRUPT:
            return self.answer(unique, -errno.EAGAIN)
        if opcode not in self.answers:
            return self.answer(unique, -errno.ENOSYS)
        try:
            payload = self.answers[opcode](body, now)
        except Fault as fault:
            return self.answer(unique, -fault.args[0])
        return self.answer(unique, 0, payload)

    def obey(self, connection):
        """One line of orders, one of answer; the recording is whole on disk by then."""
        line = connection.recv(1 << 16)
        if not line:
            return False
        self.orders.take(json.loads(line))
        self.recording.flush()
        counts = {**self.orders.counts, "recorded": self.recording.tell(), "time": time.monotonic_ns()}
        connection.sendall(json.dumps(counts).encode() + b"\n")
        return True

    def run(self, control):
        poll = select.poll()
        poll.register(self.fuse, select.POLLIN)
        poll.register(control, select.POLLIN)
        connection = None
        while True:
            try:
                while self.serve_one():
                    pass
            except OSError as failure:
                if failure.errno == errno.ENODEV:
                    break
                raise
            self.release()
            for fd, _ in poll.poll():
                if fd == control.fileno():
                    connection, _ = control.accept()
                    poll.register(connection, select.POLLIN)
                elif connection and fd == connection.fileno() and not self.obey(connection):
                    poll.unregister(connection)
                    connection.close()
                    connection = None
        self.recording.close()


def mount(fuse, point):
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fuse},rootmode={stat.S_IFREG | 0o600:o},user_id=0,group_id=0,allow_other,max_read={WRITE_BYTES_MAX}"
    if libc.mount(b"coldplate-medium", os.fsencode(point), b"fuse", 0, options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount of fuse: {os.strerror(number)}")


def main(image, point, recording, control_path):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    medium = Medium(image, recording, fuse)
    with socket.socket(socket.AF_UNIX) as control:
        mount(fuse, point)
        control.bind(control_path)
        control.listen(1)
        medium.run(control)


if __name__ == "__main__":
    main(*sys.argv[1:])
