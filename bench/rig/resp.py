"""A client of a few lines, for asking a server about itself."""

import socket

SECS_MAX = 10


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECS_MAX)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def pipeline(self, commands):
        out = bytearray()
        for command in commands:
            words = [str(word).encode() for word in command]
            out += b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self.socket.sendall(out)
        return [self._reply() for _ in commands]

    def info(self, section):
        text = self.pipeline([("INFO", section)])[0].decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def _reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise SystemExit("bench: the server has closed a connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise SystemExit(f"bench: {rest.decode(errors='replace')}")
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest
