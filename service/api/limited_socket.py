"""uvicorn's WebSocket connection with a limit on the small frames that a client sends in a second.

uvicorn parses every frame as it arrives, answers every ping at once, and queues every message of what it has read: a
client that sends nothing but tiny frames keeps the event loop from all others. Here such frames wait for the
connection's budget, at most a few are parsed at once, and the client is slowed by TCP.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from service.wire.budget import Budget
from service.wire.frame_walk import FrameWalk
from siamfc.contract import CloseCode

_AT_ONCE = 8
"""Frames that are parsed before others have their turn."""

_MAX_PIECES = 65_536
"""Limit of a message's pieces: 128 bytes a piece for the largest message by default."""


class LimitedSocket(WebSocketsSansIOProtocol):
    """One connection. `small_frames_per_s` is its rate; the budget holds one second's."""

    small_frames_per_s = 500.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._walk = FrameWalk()
        self._budget = Budget(self.small_frames_per_s, max(_AT_ONCE, self.small_frames_per_s), self.loop.time)
        self._unparsed = bytearray()
        self._later: asyncio.Handle | None = None

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated:
            # The request's head, which uvicorn has read.
            super().data_received(data)
            return
        self._unparsed += data
        if self._later is None:
            self._parse()

    async def receive(self) -> Any:
        message = await self.queue.get()
        if self.queue.empty() and self._later is None:
            self._parse()
        return message

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.close" and self._later is None:
            # Perhaps the client's own close waits there.
            self._parse()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._later is None:
            self._parse()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._later is not None:
            self._later.cancel()
        self._unparsed.clear()
        super().connection_lost(exc)

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= _MAX_PIECES:
            self.conn.fail(CloseCode.REFUSED, "a message has too many pieces")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def _parse(self) -> None:
        """Parse what the budget allows, until the application has a message to take; then read on, or wait."""
        self._later = None
        # After its own close the application takes no messages, but the client's reply must be read.
        while self._unparsed and (self.queue.empty() or self.close_sent) and not self.transport.is_closing():
            wait_s = self._budget.wait_s
            if wait_s:
                return self._hold(wait_s)
            most = min(_AT_ONCE, self._budget.whole)
            passed = self._walk.walk(self._unparsed, most, pings=self.writable.is_set())
            self._budget.spend(passed.small)
            if passed.end:
                data = bytes(self._unparsed[: passed.end])
                del self._unparsed[: passed.end]
                super().data_received(data)
            if passed.stop == "bytes":
                break
            if passed.stop == "ping":
                # It waits until the client has read what it was sent.
                return self._pause()
            if self.queue.empty():
                return self._hold(0.0)
        if self.queue.empty() or self.close_sent:
            self._resume()
        else:
            self._pause()

    def _hold(self, wait_s: float) -> None:
        self._pause()
        self._later = self.loop.call_later(wait_s, self._parse)

    def _pause(self) -> None:
        self.read_paused = True
        self.transport.pause_reading()

    def _resume(self) -> None:
        self.read_paused = False
        self.transport.resume_reading()


def limited_socket(rate: float) -> type[LimitedSocket]:
    """Make the kind of connection whose client may send `rate` small frames a second."""
    return type("ConfiguredSocket", (LimitedSocket,), {"small_frames_per_s": rate})
