"""The asyncio socket under a session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from siamfc.client.protocol import Mode, StreamProtocol
from siamfc.client.results import Answer, SessionState
from siamfc.client.sockets import FAILURES, Route, closure, judge_opening

FetchState: TypeAlias = Callable[[], Awaitable[SessionState]]


class AsyncLink:
    """A session's socket, made again when it breaks. All it knows of the stream is in `protocol`."""

    def __init__(self, route: Route, fetch_state: FetchState, *, driven_before: bool) -> None:
        self.protocol = StreamProtocol(route.kind[0], driven_before=driven_before)
        self._route, self._fetch_state = route, fetch_state
        self._socket: ClientConnection | None = None
        self._delays: Iterator[float] = iter(())
        self._stalls: Iterator[float] = route.reconnect.delays()
        self._sending = asyncio.Lock()

    @property
    def kind(self) -> tuple[Mode, bool]:
        """What the socket was asked for: mode, response maps."""
        return self._route.kind

    async def open(self) -> None:
        self._delays = self._route.reconnect.delays()
        try:
            try:
                await self._attempt()
            except FAILURES as error:
                judge_opening(error, self.protocol)
                await self._retry(self._delays, error)
        except BaseException:
            await self.close()
            raise

    async def submit(self, frame: bytes) -> int:
        number = self.protocol.submit(frame)
        await self._flush()
        return number

    async def set_target(self, target_id: str, box: Sequence[float]) -> None:
        self.protocol.set_target(target_id, box)
        await self._flush()

    async def remove_target(self, target_id: str) -> None:
        self.protocol.remove_target(target_id)
        await self._flush()

    async def receive(self) -> list[Answer]:
        """The answers that the next message brings, or a reconnect."""
        assert self._socket is not None
        try:
            answers = self.protocol.receive(await self._message(self._socket))
        except TimeoutError:
            raise self._route.timed_out() from None
        except ConnectionClosed as closed:
            self.protocol.disconnected(*closure(closed))
            if self.protocol.progressed:
                self._delays = self._route.reconnect.delays()
            return await self._retry(self._delays, closed)
        if self.protocol.stalled:
            return await self._wait()
        if answers:
            self._stalls = self._route.reconnect.delays()
        await self._flush()
        return answers

    async def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def _message(self, socket: ClientConnection) -> str | bytes:
        async with asyncio.timeout(self._route.timeout_s):
            return await socket.recv()

    async def _flush(self) -> None:
        async with self._sending:
            # None while a reconnect is under way, which sends what waits; a broken one is mended by the next receive.
            if self._socket is not None:
                with suppress(ConnectionClosed):
                    for message in self.protocol.data_to_send():
                        await self._socket.send(message)

    async def _wait(self) -> list[Answer]:
        """Send again, after a while, what the server could not keep; give it up when that has been done for long."""
        delay = next(self._stalls, None)
        if delay is None:
            self._stalls = self._route.reconnect.delays()
            answers = self.protocol.give_up()
        else:
            await asyncio.sleep(delay)
            self.protocol.go_on()
            answers = []
        await self._flush()
        return answers

    async def _retry(self, delays: Iterator[float], last: Exception) -> list[Answer]:
        for delay in delays:
            await self.close()
            await asyncio.sleep(delay)
            try:
                return await self._attempt()
            except FAILURES as error:
                judge_opening(error, self.protocol)
                last = error
        raise self._route.exhausted(last) from last

    async def _attempt(self) -> list[Answer]:
        socket = await connect(self._route.url(self.protocol.resume), **self._route.arguments)
        try:
            answers = self.protocol.connected(await self._message(socket))
            if self.protocol.needs_state:
                answers = self.protocol.recover(await self._fetch_state())
        except BaseException:
            await socket.close()
            raise
        self._socket = socket
        await self._flush()
        return answers
