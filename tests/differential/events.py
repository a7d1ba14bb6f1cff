"""Keyspace notifications: what a third connection hears of an episode's commands.

Cores publish what happens to their own keys, so only the order of one key's events is the same everywhere. Here they are
put in order by key, and compared batch by batch.
"""

import time

from lib import resp

CLASSES = "KEAnm"
HEARD_S_MAX = 5.0


class Listener:
    """A connection that hears all events. It has heard all of redis's once its own mark comes, which all else precedes."""

    def __init__(self, server):
        self.server = server
        self.wire = resp.connected(server)
        self.wire.ask("CONFIG", "SET", "notify-keyspace-events", CLASSES)
        self.wire.ask("PSUBSCRIBE", "__key*__:*")

    def close(self):
        self.wire.sock.close()
        with resp.connected(self.server) as wire:
            wire.ask("CONFIG", "SET", "notify-keyspace-events", "")

    def until_mark(self):
        """All events so far, as the reference tells them: at once."""
        with resp.connected(self.server) as wire:
            wire.ask("PUBLISH", "__keymark__:", "")
        events = []
        while (event := self._next())[0] != b"__keymark__:":
            events.append(event)
        return events

    def heard(self, expected):
        """As many events as expected, and whatever came with them; fewer if these will do, or if no more come in time."""
        events, deadline = [], time.monotonic() + HEARD_S_MAX
        self.wire.sock.settimeout(0.3)
        try:
            while len(events) < len(expected) and time.monotonic() < deadline:
                try:
                    events.append(self._next())
                except resp.Stalled:
                    if not difference(events, expected):
                        break
            while self.wire.pos < len(self.wire.buf):
                events.append(self._next())
        except resp.Stalled:
            pass
        return events

    def _next(self):
        _, _, channel, payload = resp.decode(self.wire.reply())
        return channel, payload


def by_key(events):
    """Each key's events in order, those of either channel apart."""
    keys = {}
    for channel, payload in events:
        kind, _, name = channel.partition(b":")
        key, event = (name, payload) if kind.startswith(b"__keyspace") else (payload, name)
        keys.setdefault((kind, key), []).append(event)
    return keys


def difference(ours, theirs):
    """The first key whose events differ: its name, and both servers' events of it; else None."""
    our_keys, their_keys = by_key(ours), by_key(theirs)
    for name in sorted({*our_keys, *their_keys}):
        our, their = our_keys.get(name, []), their_keys.get(name, [])
        if our != their:
            return name, repr(our).encode(), repr(their).encode()
    return None
