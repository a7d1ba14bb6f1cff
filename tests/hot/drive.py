"""Hundreds of connections from one thread: pipelines go out, replies come back, and both are stamped.

One thread, so that the order in which this process knew things is beyond doubt. An operation is asked just before
`send` is called with its first byte and answered just after `recv` brought its last: the true interval lies within,
so that a history which only an error of the server explains is never one that the stamps made up.
"""

import collections
import select
import time
from functools import lru_cache

from lib import resp

RECV_BYTES = 1 << 18
REPLY_S_MAX = 15.0
REST_S = 0.002
# Few, so that what depends on a reply is soon under way.
CONNECTIONS_A_TURN = 16


class Op:
    """One operation: `words` as sent, `reply` decoded. `note` is whatever a checker wants to remember since asking."""

    __slots__ = ("lane", "words", "asked", "answered", "reply", "note")

    def __init__(self, *words, note=None):
        self.words = words
        self.note = note
        self.lane = self.asked = self.answered = self.reply = None

    def __repr__(self):
        words = b" ".join(brief(word) for word in self.words).decode(errors="replace")
        reply = self.reply if isinstance(self.reply, (int, list, type(None))) else brief(self.reply)
        return f"[{self.asked}..{self.answered}] connection {self.lane}: {words} -> {reply!r}"


def brief(raw):
    return raw if len(raw) <= 40 else b"%b...(%d bytes)" % (raw[:20], len(raw))


encode_short = lru_cache(1 << 14)(resp.encode)


def encode(words):
    return resp.encode(*words) if sum(map(len, words)) > 64 else encode_short(*words)


class Lane:
    """One connection and what it waits for."""

    def __init__(self, number, sock):
        self.number = number
        self.sock = sock
        self.sock.setblocking(False)
        self.buf = bytearray()
        self.out = b""
        self.waiting = collections.deque()


class Crowd:
    """All connections. `ask` sends a pipeline on one, `pump` brings what has been answered since."""

    def __init__(self, server, count):
        self.lanes = [Lane(number, server.connect()) for number in range(count)]
        self.by_fd = {lane.sock.fileno(): lane for lane in self.lanes}
        self.poll = select.epoll()
        for fd in self.by_fd:
            self.poll.register(fd, select.EPOLLIN)
        self.asked = 0
        self.progress_s = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.poll.close()
        for lane in self.lanes:
            lane.sock.close()

    def ask(self, lane, ops):
        data = b"".join([encode(op.words) for op in ops])
        number, now = lane.number, time.perf_counter_ns()
        for op in ops:
            op.lane, op.asked = number, now
        lane.waiting.extend(ops)
        self.asked += len(ops)
        if lane.out:
            lane.out += data
            return
        self._send(lane, data)

    def _send(self, lane, data):
        try:
            sent = lane.sock.send(data)
        except BlockingIOError:
            sent = 0
        blocked = bool(lane.out)
        lane.out = data[sent:]
        if blocked != bool(lane.out):
            mask = select.EPOLLIN | (select.EPOLLOUT if lane.out else 0)
            self.poll.modify(lane.sock.fileno(), mask)

    def pump(self, timeout_s=0.5):
        """The operations answered since, by connection; waits for one, but no longer than `timeout_s`."""
        answered = []
        for fd, mask in self.poll.poll(timeout_s, CONNECTIONS_A_TURN):
            lane = self.by_fd[fd]
            if mask & select.EPOLLOUT:
                self._send(lane, lane.out)
            if mask & ~select.EPOLLOUT:
                chunk = lane.sock.recv(RECV_BYTES)
                now = time.perf_counter_ns()
                if not chunk:
                    raise resp.Closed(bytes(lane.buf))
                lane.buf += chunk
                self._split(lane, now, answered)
        now_s = time.monotonic()
        if answered:
            self.progress_s = now_s
        elif now_s - self.progress_s > REPLY_S_MAX:
            late = [lane for lane in self.lanes if lane.waiting]
            if late:
                raise resp.Stalled(bytes(late[0].buf), f"{len(late)} connections wait, one for {late[0].waiting[0]}")
            self.progress_s = now_s
        return answered

    def _split(self, lane, now, answered):
        buf, waiting, pos, size = lane.buf, lane.waiting, 0, len(lane.buf)
        while pos < size:
            line_end = buf.find(b"\r\n", pos)
            if line_end < 0:
                break
            kind, after = buf[pos], line_end + 2
            if kind == 36:
                length = int(buf[pos + 1 : line_end])
                reply = None
                if length >= 0:
                    if after + length + 2 > size:
                        break
                    reply = bytes(memoryview(buf)[after : after + length])
                    after += length + 2
            elif kind == 58:
                reply = int(buf[pos + 1 : line_end])
            elif kind == 43 or kind == 45:
                reply = bytes(buf[pos:line_end])
            else:
                after = resp.reply_end(buf, pos)
                if after < 0:
                    break
                reply = resp.decode(bytes(buf[pos:after]))
            if not waiting:
                raise AssertionError(f"connection {lane.number}: a reply that nobody asked for: {reply!r}")
            op = waiting.popleft()
            op.reply, op.answered = reply, now
            answered.append(op)
            pos = after
        del buf[:pos]

    def drain(self, handle=None):
        """Until nobody waits."""
        while any(lane.waiting for lane in self.lanes):
            for op in self.pump():
                if handle:
                    handle(op)

    def run(self, seconds, pipeline, handle, count_max=10**9):
        """For so long, whoever has all replies gets `pipeline(lane)`, the next operations (none: rests a while);
        `handle` sees every answered one at once. Ends with nobody waiting."""
        end_s, first = time.monotonic() + seconds, self.asked
        free, resting, visit_s = list(self.lanes), [], 0.0
        while (now_s := time.monotonic()) < end_s and self.asked - first < count_max:
            if now_s >= visit_s:
                free, resting, visit_s = free + resting, [], now_s + REST_S
            for lane in free:
                if lane.waiting:
                    continue
                if ops := pipeline(lane):
                    self.ask(lane, ops)
                else:
                    resting.append(lane)
            touched = {}
            for op in self.pump(REST_S):
                touched[op.lane] = None
                handle(op)
            free = [self.lanes[number] for number in touched if not self.lanes[number].waiting]
        self.drain(handle)

    def call(self, lane, *words):
        """One operation while nobody else asks: its reply."""
        op = Op(*words)
        self.ask(lane, [op])
        while op.answered is None:
            self.pump()
        return op.reply
