"""The Redis protocol on raw sockets: encoding, splitting a reply stream, and traffic that cannot deadlock.

The splitter keeps every reply's raw bytes, since the suites compare bytes and not decoded values.
"""

import select
import socket
import time


class Closed(Exception):
    """The peer closed (or reset) the connection; `data` holds what had arrived before."""

    def __init__(self, data=b""):
        super().__init__("connection closed")
        self.data = data


class Stalled(Exception):
    """No reply in time; `data` holds what had arrived."""

    def __init__(self, data=b"", what="no reply in time"):
        super().__init__(f"{what}; got {len(data)} bytes ending in {bytes(data[-80:])!r}")
        self.data = data


def encode(*args):
    """One command as an array of bulk strings; str, int and float arguments are written as text."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        raw = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


_AGGREGATES = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2}
_BULKS = frozenset(b"$=!")


def reply_end(buf, start=0):
    """The offset after the reply that begins at `start`, or -1 if it is not complete."""
    pos, due = start, 1
    while due:
        line_end = buf.find(b"\r\n", pos)
        if line_end < 0:
            return -1
        kind = buf[pos]
        pos_next = line_end + 2
        due -= 1
        if kind in _BULKS:
            length = int(buf[pos + 1 : line_end])
            if length >= 0:
                pos_next += length + 2
                if pos_next > len(buf):
                    return -1
        elif kind in _AGGREGATES:
            due += max(0, int(buf[pos + 1 : line_end])) * _AGGREGATES[kind]
        pos = pos_next
    return pos


def split_replies(buf):
    """All complete replies of `buf`, raw, in order; an incomplete rest comes back as the last element."""
    replies, pos = [], 0
    while pos < len(buf):
        end = reply_end(buf, pos)
        if end < 0:
            replies.append(bytes(buf[pos:]))
            break
        replies.append(bytes(buf[pos:end]))
        pos = end
    return replies


def decode(raw):
    """A raw reply as a Python value: text lines stay bytes with their type byte, aggregates become lists."""
    value, _ = _decode_at(raw, 0)
    return value


def _decode_at(raw, pos):
    line_end = raw.index(b"\r\n", pos)
    kind, head, after = raw[pos : pos + 1], raw[pos + 1 : line_end], line_end + 2
    if kind == b"$" or kind == b"=":
        length = int(head)
        return (None, after) if length < 0 else (raw[after : after + length], after + length + 2)
    if kind == b":":
        return int(head), after
    if kind == b"_":
        return None, after
    if raw[pos] in _AGGREGATES:
        count = int(head)
        if count < 0:
            return None, after
        items = []
        for _ in range(count * _AGGREGATES[raw[pos]]):
            item, after = _decode_at(raw, after)
            items.append(item)
        return items, after
    return kind + head, after


class Wire:
    """A blocking connection that reads whole replies."""

    def __init__(self, sock):
        self.sock = sock
        self.buf = bytearray()
        self.pos = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def ask(self, *args):
        """One command, its reply raw."""
        self.sock.sendall(encode(*args))
        return self.reply()

    def reply(self):
        while True:
            if self.pos < len(self.buf) and (end := self._complete_end()) >= 0:
                raw = bytes(memoryview(self.buf)[self.pos : end])
                self.pos = end
                if self.pos >= len(self.buf):
                    self.buf.clear()
                    self.pos = 0
                return raw
            self._fill()

    def _complete_end(self):
        return reply_end(self.buf, self.pos)

    def _fill(self):
        try:
            chunk = self.sock.recv(1 << 20)
        except ConnectionResetError:
            chunk = b""
        except TimeoutError:
            raise Stalled(bytes(self.buf[self.pos :])) from None
        if not chunk:
            raise Closed(bytes(self.buf[self.pos :]))
        if self.pos > 1 << 16:
            del self.buf[: self.pos]
            self.pos = 0
        self.buf += chunk

    def until_close(self):
        """Everything up to the end of the stream."""
        while True:
            try:
                self._fill()
            except Closed as closed:
                return closed.data


def exchange(sock, chunks, done, timeout_s=30.0):
    """Sends `chunks` one by one while reading, so that neither side can wait for the other's full buffers.

    Returns what was read as soon as `done(buffer)` holds or the peer closes (told apart by the second value).
    """
    sock.setblocking(False)
    out, got, offset, index = memoryview(b""), bytearray(), 0, 0
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            while offset == len(out) and index < len(chunks):
                out, offset, index = memoryview(chunks[index]), 0, index + 1
            sending = offset < len(out)
            readable, writable, _ = select.select([sock], [sock] if sending else [], [], max(0, deadline - time.monotonic()))
            if not readable and not writable and time.monotonic() >= deadline:
                raise Stalled(bytes(got))
            if readable:
                chunk = sock.recv(1 << 18)
                if not chunk:
                    return got, True
                got += chunk
                if not sending and index == len(chunks) and done(got):
                    return got, False
            if writable:
                offset += sock.send(out[offset:])
    except (ConnectionResetError, BrokenPipeError):
        # What the peer wrote before its reset may still be readable.
        return got, True
    finally:
        sock.setblocking(True)


def connected(server, timeout_s=30.0, port=None):
    """A `Wire` to a running server, by its usual port or another one."""
    return Wire(server.connect(timeout_s, port))


def unix_socket(path, timeout_s=30.0):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout_s)
    sock.connect(path)
    return sock
