"""A worker process's place among the workers of one server, and what it inherits from the process that started it."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Post:
    """One worker's place.

    number: from 0. count: workers in all. listeners: descriptors of the sockets that all workers accept connections
    from. ready: descriptor of a pipe to which the worker writes a byte when it can accept some. life: descriptor of a
    pipe that ends when the starting process does. folder: a private folder of this server's workers, for sockets.
    """

    number: int
    count: int
    listeners: tuple[int, ...]
    ready: int
    life: int
    folder: str

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors to hand down."""
        return (*self.listeners, self.ready, self.life)

    def argument(self) -> str:
        """One word of a command line, which `from_argument` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, text: str) -> Post:
        """The place that `argument` wrote. Raises ValueError."""
        try:
            body = json.loads(text)
            return cls(**body | {"listeners": tuple(body["listeners"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a worker's place: {text}") from error

    def sockets(self) -> list[socket.socket]:
        """The sockets to accept connections from. To be called once: they own their descriptors."""
        return [socket.socket(fileno=descriptor) for descriptor in self.listeners]

    def announce(self) -> None:
        """Say that connections are accepted. A starting process that has gone is told nothing."""
        with suppress(BrokenPipeError):
            os.write(self.ready, b"1")

    def metrics_socket(self, number: int) -> Path:
        """The address at which a worker's metrics are read."""
        return Path(self.folder) / f"{number}.sock"
