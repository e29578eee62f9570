"""uvicorn's HTTP protocol with bounds: on a request's head, on the time of head and body, on connections.

A bound that is exceeded is answered here, because the application never sees such a request. Limits of a body's bytes
are in `service.api.body_limit`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from siamfc import contract
from siamfc.contract import PROBLEM_MEDIA_TYPE, ProblemKind

_log = logging.getLogger(__name__)

HEAD_BYTES = 32 * 1024
"""Bytes of a request's target and header fields together, trailers of its body included."""
HEAD_FIELDS = 100
FIELD_BYTES = 8000
"""Bytes of one header field or of the target. The library that reads WebSocket handshakes stops at 8,192."""
PIPELINED = 16
"""Requests of one connection that may wait for the response before theirs."""

_LINGER_S, _LINGER_BYTES = 2.0, 2**20
"""How long, and for how many bytes, a refused client is listened to, so that it reads why it was refused."""
_GRACE_S = 5.0
"""The application ends a body that takes too long. A connection ends this much later if bytes still arrive."""
_STALLED_S = 30.0
"""How long a response waits for a client that does not read it."""
_SPARE_DESCRIPTORS = 128
"""File descriptors that are no clients: Redis, files, threads' pipes, refusals under way."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`connections` open at once; seconds that a request's head, and then its body, may take to arrive."""

    connections: int
    head_s: float
    body_s: float

    @property
    def quiet(self) -> int:
        """Connections on which no request is under way: no head yet, or between two requests."""
        return max(1, self.connections // 4)


def affordable_connections(wanted: int) -> int:
    """Raise this process's limit on descriptors so that it allows `wanted` connections; returns how many it allows."""
    try:
        import resource
    except ImportError:
        # Windows has no such limit.
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + _SPARE_DESCRIPTORS:
        needed = wanted + _SPARE_DESCRIPTORS
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted + _SPARE_DESCRIPTORS:
        return wanted
    allowed = max(1, soft - _SPARE_DESCRIPTORS)
    _log.warning("%d connections at most, not %d: the limit on open files is %d", allowed, wanted, soft)
    return allowed


class Door:
    """Knows the connections of one server on which no request is under way, the longest quiet first."""

    def __init__(self, limits: ConnectionLimits, refused: Callable[[str], None]) -> None:
        """`refused`: is told the slug of every refusal that is answered here."""
        self.limits, self.refused = limits, refused
        self._quiet: dict[BoundedHttp, None] = {}

    def quiet(self, connection: BoundedHttp) -> None:
        """No request is under way on this connection; the longest quiet one is closed if there are too many."""
        self._quiet[connection] = None
        if len(self._quiet) > self.limits.quiet:
            self.make_room()

    def busy(self, connection: BoundedHttp) -> None:
        """A request is under way on this connection, or it is gone."""
        self._quiet.pop(connection, None)

    def make_room(self) -> bool:
        """Close the connection that has been quiet the longest; returns False if there is none."""
        longest = next(iter(self._quiet), None)
        if longest is None:
            return False
        del self._quiet[longest]
        longest.transport.abort()
        return True


class _Phase(Enum):
    """QUIET: no byte of a request; HEAD, BODY: it arrives; WORK: it has arrived; REFUSED: nothing more is read."""

    QUIET = "quiet"
    HEAD = "head"
    BODY = "body"
    WORK = "work"
    REFUSED = "refused"


class _Refused(Exception):
    """Raised in a callback of the parser, which ends the parsing."""


class BoundedHttp(HttpToolsProtocol):
    """One connection, until it ends or becomes a WebSocket."""

    def __init__(self, *, door: Door, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._door = door
        self._phase = _Phase.QUIET
        self._why: tuple[ProblemKind, str] | None = None
        self._head_bytes = self._head_fields = self._unparsed = self._discarded = 0
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        limits = self._door.limits
        if len(self.connections) > limits.connections and not self._door.make_room():
            self._refuse(contract.AT_CAPACITY, f"all {limits.connections} connections are in use")
            return
        self._arm(limits.head_s, self._head_late)
        self._door.quiet(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._phase is _Phase.REFUSED:
            self._discarded += len(data)
            if self._discarded > _LINGER_BYTES:
                self.transport.abort()
            return
        if self._phase is _Phase.QUIET:
            # By any byte, also an empty line before a request, which the parser does not tell of.
            self._begin_head()
        elif self._phase is _Phase.HEAD:
            self._unparsed += len(data)
        super().data_received(data)
        if self._phase is _Phase.HEAD and self._unparsed > HEAD_BYTES:
            self._refuse(contract.HEAD_TOO_LARGE, f"a request's head may have at most {HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= PIPELINED:
            raise self._fault(contract.MALFORMED_REQUEST, f"at most {PIPELINED} requests may wait for their response")
        self._head_bytes = self._head_fields = 0
        super().on_message_begin()
        if self._phase is not _Phase.HEAD:
            self._begin_head()

    def on_url(self, url: bytes) -> None:
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_fields += 1
        if len(name) + len(value) > FIELD_BYTES:
            raise self._fault(contract.HEAD_TOO_LARGE, f"a header field may have at most {FIELD_BYTES} bytes")
        self._measure(len(name) + len(value))
        # After the head come trailers; the application is at work with the headers that it was given.
        if self._phase is _Phase.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if sum(name == b"host" for name, _ in self.headers) > 1:
            raise self._fault(contract.MALFORMED_REQUEST, "a request has one Host header")
        self._phase = _Phase.BODY
        self._door.busy(self)
        self._arm(self._door.limits.body_s + _GRACE_S, self.transport.abort)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._disarm()
        self._phase = _Phase.WORK
        super().on_message_complete()
        self._rest()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._rest()

    def handle_websocket_upgrade(self) -> None:
        self._settle()
        self._phase = _Phase.WORK
        super().handle_websocket_upgrade()
        socket = self.transport.get_protocol()
        if not getattr(socket, "handshake_initiated", True):
            # The WebSocket library reads requests more strictly, and would leave the connection open for ever.
            self.transport.set_protocol(self)
            self.connections.discard(socket)
            self.connections.add(self)
            self._refuse(contract.MALFORMED_REQUEST, "this is no WebSocket handshake")

    def send_400_response(self, msg: str) -> None:
        self._refuse(*(self._why or (contract.MALFORMED_REQUEST, "this is no HTTP request that can be read")))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(_STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().resume_writing()

    def _begin_head(self) -> None:
        self._phase, self._unparsed = _Phase.HEAD, 0
        self._arm(self._door.limits.head_s, self._head_late)
        self._door.quiet(self)

    def _rest(self) -> None:
        """Note that the connection is between two requests, if the last one and its response are complete."""
        if self._phase is _Phase.WORK and self.cycle is not None and self.cycle.response_complete and not self.pipeline:
            self._phase = _Phase.QUIET
            self._door.quiet(self)

    def _measure(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > HEAD_BYTES or count > FIELD_BYTES:
            raise self._fault(contract.HEAD_TOO_LARGE, f"a request's head may have at most {HEAD_BYTES} bytes")
        if self._head_fields > HEAD_FIELDS:
            raise self._fault(contract.HEAD_TOO_LARGE, f"a request may have at most {HEAD_FIELDS} header fields")

    def _fault(self, kind: ProblemKind, detail: str) -> _Refused:
        self._why = kind, detail
        return _Refused(detail)

    def _head_late(self) -> None:
        self._refuse(contract.REQUEST_TIMEOUT, f"a request's head has {self._door.limits.head_s:g} s to arrive")

    def _refuse(self, kind: ProblemKind, detail: str) -> None:
        """Answer with a problem, unless another response is under way, and end the connection."""
        self._settle()
        self._phase = _Phase.REFUSED
        self._door.refused(kind.slug)
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        self.transport.write(_response(kind, detail))
        if len(self.connections) > self._door.limits.connections + _SPARE_DESCRIPTORS // 2:
            self.transport.close()
            return
        # Closed at once, unread bytes would reset the connection, and the client would lose the answer.
        self.transport.write_eof()
        self._arm(_LINGER_S, self.transport.abort)

    def _arm(self, seconds: float, late: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _settle(self) -> None:
        """Forget the timers: the connection is refused, a WebSocket, or gone."""
        self._disarm()
        self._door.busy(self)
        if self._write_timer is not None:
            self._write_timer.cancel()


def _response(kind: ProblemKind, detail: str) -> bytes:
    problem = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": detail}
    body = json.dumps(problem).encode()
    retry = b"retry-after: 1\r\n" if kind.status == 503 else b""
    head = f"content-type: {PROBLEM_MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[kind.status] + retry + head.encode() + body
