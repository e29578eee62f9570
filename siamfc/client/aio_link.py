"""The asyncio socket under a session: performs the operations of `link.LinkFlow`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from websockets.asyncio.client import ClientConnection, connect

from siamfc.client.anchor import Anchor
from siamfc.client.link import Flow, LinkFlow
from siamfc.client.outgoing import Message
from siamfc.client.results import SessionState
from siamfc.client.sockets import Route

T = TypeVar("T")
FetchState: TypeAlias = Callable[[], Awaitable[SessionState]]
BeginAnew: TypeAlias = Callable[[Anchor], Awaitable[SessionState]]


class AsyncLink:
    """Runs flows from one event loop: one may send while another receives. Used as `sync_link.Link`, awaited."""

    def __init__(
        self,
        route: Route,
        fetch_state: FetchState,
        begin_anew: BeginAnew,
        *,
        driven_before: bool,
        anchor: Anchor | None = None,
    ) -> None:
        self.flow = LinkFlow(route, driven_before=driven_before, anchor=anchor)
        self._wire = _AsyncWire(route, fetch_state, begin_anew)

    async def run(self, flow: Flow[T]) -> T:
        """Perform the flow's operations until it returns or raises. A cancellation is thrown into it too."""
        try:
            operation = next(flow)
            while True:
                try:
                    reply = await operation.perform(self._wire)
                except BaseException as error:
                    operation = flow.throw(error)
                else:
                    operation = flow.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result


class _AsyncWire:
    """`link.Wire`, awaited."""

    def __init__(self, route: Route, fetch_state: FetchState, begin_anew: BeginAnew) -> None:
        self._route = route
        self._socket: ClientConnection | None = None
        self._sending = asyncio.Lock()
        self.fetch_state = fetch_state
        self.begin_anew = begin_anew
        self.sleep = asyncio.sleep

    async def connect(self, url: str) -> None:
        self._socket = await connect(url, **self._route.arguments)

    async def send(self, outgoing: Callable[[], Sequence[Message]]) -> None:
        async with self._sending:
            # Held: a reconnect meanwhile must not send the rest of one connection's messages over the next.
            socket = self._socket
            if socket is not None:
                for message in outgoing():
                    await socket.send(message)

    async def receive(self, timeout_s: float) -> Message:
        assert self._socket is not None
        async with asyncio.timeout(timeout_s):
            return await self._socket.recv()

    async def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()
