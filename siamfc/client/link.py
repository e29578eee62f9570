"""A session's socket without I/O: when to connect, send, wait, try again and give up.

`LinkFlow` holds this logic once for both clients. Its methods are generators: they yield operations, and are sent what
an operation returned or are thrown what it raised. `sync_link.Link` and `aio_link.AsyncLink` perform the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar

from websockets.exceptions import ConnectionClosed

from siamfc.client.anchor import Anchor
from siamfc.client.errors import SessionEnded, SessionNotFound
from siamfc.client.outgoing import Message, Outgoing
from siamfc.client.protocol import Mode, StreamProtocol
from siamfc.client.results import Answer
from siamfc.client.sockets import FAILURES, Route, closure, judge_opening

T = TypeVar("T")


class Wire(Protocol):
    """The I/O under a flow. The asyncio wire's methods return awaitables of what is said here."""

    def connect(self, url: str) -> Any:
        """Open the socket. Raises one of FAILURES."""

    def send(self, outgoing: Callable[[], Sequence[Message]]) -> Any:
        """Send what `outgoing` returns, on one socket and undivided by another send. Raises ConnectionClosed."""

    def receive(self, timeout_s: float) -> Any:
        """The next message. Raises TimeoutError and ConnectionClosed."""

    def close(self) -> Any:
        """Close the socket, if there is one."""

    def sleep(self, seconds: float) -> Any:
        """Wait."""

    def fetch_state(self) -> Any:
        """The session's state, a SessionState, over HTTP. Raises ClientError."""

    def begin_anew(self, anchor: Anchor) -> Any:
        """A new session from the anchor: its SessionState. Raises ClientError."""


class Operation(Protocol):
    """One piece of I/O that a flow asks for."""

    def perform(self, wire: Wire) -> Any:
        """Do it, or begin it where the wire is asyncio's."""


Flow: TypeAlias = Generator[Operation, Any, T]


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the socket at a URL."""

    url: str

    def perform(self, wire: Wire) -> Any:
        return wire.connect(self.url)


@dataclass(frozen=True, slots=True)
class Send:
    """Send what waits; `outgoing` is asked for it when the socket is free."""

    outgoing: Callable[[], Sequence[Message]]

    def perform(self, wire: Wire) -> Any:
        return wire.send(self.outgoing)


@dataclass(frozen=True, slots=True)
class Receive:
    """Take the next message; a timeout of 0 takes only one that has come already."""

    timeout_s: float

    def perform(self, wire: Wire) -> Any:
        return wire.receive(self.timeout_s)


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket."""

    def perform(self, wire: Wire) -> Any:
        return wire.close()


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait before another attempt."""

    seconds: float

    def perform(self, wire: Wire) -> Any:
        return wire.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class FetchState:
    """Read the session's state over HTTP."""

    def perform(self, wire: Wire) -> Any:
        return wire.fetch_state()


@dataclass(frozen=True, slots=True)
class BeginAnew:
    """Start a session over HTTP in place of the one that is gone."""

    anchor: Anchor

    def perform(self, wire: Wire) -> Any:
        return wire.begin_anew(self.anchor)


class LinkFlow:
    """A session's socket, opened again when it breaks. `protocol` holds the state of the stream."""

    def __init__(self, route: Route, *, driven_before: bool, anchor: Anchor | None = None) -> None:
        """anchor: where to begin anew if the server no longer knows the session. None: raise SessionNotFound then."""
        self.protocol = StreamProtocol(route.kind[0], driven_before=driven_before, anchor=anchor)
        self._route = route
        self._ready = False  # connected, and `ready` has been read
        self._lost: Anchor | None = None  # the session is gone: the next attempt makes one from here
        self._delays: Iterator[float] = route.reconnect.delays()
        self._stalls: Iterator[float] = route.reconnect.delays()

    @property
    def kind(self) -> tuple[Mode, bool]:
        """The socket's mode, and whether its answers carry response maps."""
        return self._route.kind

    def open(self) -> Flow[None]:
        """Connect. Raises ClientError."""
        self._delays = self._route.reconnect.delays()
        try:
            yield from self._attempt()
        except FAILURES as error:
            self._judge(error)
            yield from self._retry(error)

    def submit(self, frame: Outgoing) -> Flow[int]:
        """Send an encoded frame, or queue it while the window is full; its number in the stream."""
        number = self.protocol.submit(frame.data, frame.at, frame.whole)
        yield from self._flush()
        return number

    def set_target(self, target_id: str, box: Sequence[float]) -> Flow[None]:
        """Send a new or corrected box [x, y, w, h]."""
        self.protocol.set_target(target_id, box)
        yield from self._flush()

    def remove_target(self, target_id: str) -> Flow[None]:
        """Send the end of one target."""
        self.protocol.remove_target(target_id)
        yield from self._flush()

    def receive(self, timeout_s: float | None = None) -> Flow[list[Answer]]:
        """The answers that the next message or a reconnect brings. Raises ClientError.

        timeout_s: the route's by default; 0 returns no answers where no message has come yet.
        """
        try:
            message = yield Receive(self._route.timeout_s if timeout_s is None else timeout_s)
        except TimeoutError:
            if timeout_s == 0:
                return []
            raise self._route.timed_out() from None
        except ConnectionClosed as closed:
            return (yield from self._reconnect(closed))
        answers = self.protocol.receive(message)
        if self.protocol.stalled:
            return (yield from self._wait_out_a_stall())
        if answers:
            self._stalls = self._route.reconnect.delays()
        yield from self._flush()
        return answers

    def close(self) -> Flow[None]:
        """Close the socket."""
        self._ready = False
        yield Close()

    def _flush(self) -> Flow[None]:
        # The next receive meets a broken connection, and mends it.
        with suppress(ConnectionClosed):
            yield Send(self._outgoing)

    def _outgoing(self) -> list[Message]:
        """The messages to send now; none during a reconnect, which sends them when it is done."""
        return self.protocol.data_to_send() if self._ready else []

    def _wait_out_a_stall(self) -> Flow[list[Answer]]:
        """Send frames again that the server could not keep, after a delay; after the last delay give them up."""
        answers: list[Answer] = []
        delay = next(self._stalls, None)
        if delay is None:
            self._stalls = self._route.reconnect.delays()
            answers = self.protocol.give_up()
        else:
            yield Sleep(delay)
            self.protocol.go_on()
        yield from self._flush()
        return answers

    def _reconnect(self, closed: ConnectionClosed) -> Flow[list[Answer]]:
        self.protocol.disconnected(*closure(closed))
        if self.protocol.progressed:
            self._delays = self._route.reconnect.delays()
        yield from self.close()
        return (yield from self._retry(closed))

    def _retry(self, last: Exception) -> Flow[list[Answer]]:
        """Connect after each remaining delay; `last` is the failure so far."""
        for delay in self._delays:
            yield Sleep(delay)
            try:
                return (yield from self._attempt())
            except FAILURES as error:
                self._judge(error)
                last = error
        raise self._route.exhausted(last) from last

    def _judge(self, error: Exception) -> None:
        """Return where another attempt is worth it, raise the client's error where it is not."""
        try:
            judge_opening(error, self.protocol)
        except SessionEnded:
            raise
        except SessionNotFound:
            self._lost = self.protocol.anchor
            if self._lost is None or not self._lost.targets:
                raise

    def _attempt(self) -> Flow[list[Answer]]:
        """Connect once; a failed attempt leaves no socket open."""
        try:
            if self._lost is not None:
                state = yield BeginAnew(self._lost)
                self._lost, self._route = None, replace(self._route, session_id=state.session_id)
                self.protocol.begin_anew()
            yield Connect(self._route.url(self.protocol.resume))
            answers = self.protocol.connected((yield Receive(self._route.timeout_s)))
            if self.protocol.needs_state:
                answers = self.protocol.recover((yield FetchState()))
        except BaseException:
            yield from self.close()
            raise
        self._ready = True
        yield from self._flush()
        return answers
