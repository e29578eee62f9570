"""A TCP load balancer in miniature: each new connection goes to the living replica that has the fewest."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_SESSION = re.compile(rb"GET [^ ]*/v1/sessions/([^/ ]+)/stream")


@dataclass
class Passage:
    """One connection that asked for a stream: whose, to which port, when it came through, and when it was ready."""

    session_id: str
    port: int
    opened: float
    ready: float | None = None
    closed: float | None = None


@dataclass
class Balancer:
    """`ports`: of the replicas that should be alive; one that refuses is passed over."""

    ports: list[int]
    url: str = ""
    passages: list[Passage] = field(default_factory=list)
    _open: dict[int, int] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Balancer]:
        """Listens within the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled at the end of everything: streams would print that as an error.
        quiet = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
        with contextlib.suppress(*quiet):
            head = await reader.readuntil(b"\r\n\r\n")
            for port in sorted(self.ports, key=lambda each: self._open.get(each, 0)):
                try:
                    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    continue
                far_writer.write(head)
                await self._join(port, head, (reader, writer), (far_reader, far_writer))
                break
        writer.close()

    async def _join(
        self,
        port: int,
        head: bytes,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        match = _SESSION.match(head)
        passage = Passage(match[1].decode() if match else "", port, time.monotonic())
        self.passages.append(passage)
        self._open[port] = self._open.get(port, 0) + 1
        try:
            await asyncio.gather(_pump(near[0], far[1]), _pump(far[0], near[1], passage))
        finally:
            self._open[port] -= 1
            passage.closed = time.monotonic()
            far[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passage: Passage | None = None) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            if passage is not None and passage.ready is None and b'"type":"ready"' in data:
                passage.ready = time.monotonic()
            writer.write(data)
            await writer.drain()
    # Either side's end is both sides' end.
    writer.close()
