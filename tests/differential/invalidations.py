"""What a connection of CLIENT TRACKING is told between replies: which keys it must forget.

By key, each word is compared; their order is free, since each core tells of its own keys. By prefix, Redis tells of a key
once a round of its loop, however often it has changed: there only which keys were told of since the last batch counts.
"""

import time
from collections import Counter

from lib import resp

MARK = b">2\r\n$10\r\ninvalidate\r\n"
HEARD_S_MAX = 5.0


def without(stream):
    """The replies of a stream, raw, but for these words."""
    return [reply for reply in resp.split_replies(stream) if not reply.startswith(MARK)]


def words_of(stream):
    """The keys that the words in a stream name; `None` is all keys."""
    keys = []
    for reply in resp.split_replies(stream):
        if reply.startswith(MARK):
            _, named = resp.decode(reply)
            keys += [None] if named is None else named
    return keys


class Ear:
    """What one server's second connection has been told."""

    def __init__(self):
        self.keys = Counter()

    def take(self, stream):
        self.keys.update(words_of(stream))

    def hear(self, sock, enough):
        """Reads what comes between replies until `enough` says so, or nothing more is to be expected."""
        deadline = time.monotonic() + HEARD_S_MAX
        held = bytearray()
        while sock and not enough(self.keys) and time.monotonic() < deadline:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                chunk = sock.recv(1 << 16)
            except TimeoutError:
                break
            if not chunk:
                break
            held += chunk
            while (end := resp.reply_end(held)) >= 0:
                self.take(bytes(held[:end]))
                del held[:end]


def difference(ours, theirs):
    """The first key that one was told of otherwise than the other: its name, and how often each was; else None."""
    for key in sorted({*ours, *theirs}, key=lambda key: key or b""):
        if ours[key] != theirs[key]:
            return b"(all)" if key is None else key, ours[key], theirs[key]
    return None
