"""The blocking socket under a session: performs the operations of `link.LinkFlow`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from websockets.sync.client import ClientConnection, connect

from siamfc.client.anchor import Anchor
from siamfc.client.link import Flow, LinkFlow
from siamfc.client.outgoing import Message
from siamfc.client.results import SessionState
from siamfc.client.sockets import Route

T = TypeVar("T")
FetchState: TypeAlias = Callable[[], SessionState]
BeginAnew: TypeAlias = Callable[[Anchor], SessionState]


class Link:
    """Runs a flow from one thread. `flow` says what a session may ask for: `link.run(link.flow.submit(frame))`."""

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
        self._wire = _BlockingWire(route, fetch_state, begin_anew)

    def run(self, flow: Flow[T]) -> T:
        """Perform the flow's operations until it returns or raises."""
        try:
            operation = next(flow)
            while True:
                try:
                    reply = operation.perform(self._wire)
                except BaseException as error:
                    operation = flow.throw(error)
                else:
                    operation = flow.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result


class _BlockingWire:
    """`link.Wire`, blocking."""

    def __init__(self, route: Route, fetch_state: FetchState, begin_anew: BeginAnew) -> None:
        self._route = route
        self._socket: ClientConnection | None = None
        self.fetch_state = fetch_state
        self.begin_anew = begin_anew
        self.sleep = time.sleep

    def connect(self, url: str) -> None:
        # Entered by hand, and left in `close`: the connection outlives this call.
        self._socket = connect(url, **self._route.arguments).__enter__()

    def send(self, outgoing: Callable[[], Sequence[Message]]) -> None:
        if self._socket is not None:
            for message in outgoing():
                self._socket.send(message)

    def receive(self, timeout_s: float) -> Message:
        assert self._socket is not None
        return self._socket.recv(timeout_s)

    def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()
