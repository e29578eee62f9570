"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from numpy.typing import NDArray

from siamfc.client import calls
from siamfc.client.anchor import Anchor
from siamfc.client.calls import BoxLike, Call, ServerAddress
from siamfc.client.errors import ClientError, ConnectionLost, SessionNotFound
from siamfc.client.frames import Encoding, Frame
from siamfc.client.outbox import Outbox, Traffic
from siamfc.client.outgoing import Outgoing
from siamfc.client.parts import PartsMode, checked_mode
from siamfc.client.pictures import ImageFormat
from siamfc.client.protocol import Mode
from siamfc.client.reconnect import Reconnect
from siamfc.client.results import Answer, Result, SessionState
from siamfc.client.sockets import Route, delivered
from siamfc.client.sync_link import Link


class Client:
    """A tracking server, used from one thread.

    base_url: `http://host:port`. timeout_s: the longest wait for any one answer. encoding, quality: how arrays are
    sent; bytes and files are sent as they are. parts: "auto" sends only the part of an array that the server will read,
    where the server takes parts; "never" sends whole frames. Every call raises a ClientError.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: str | None = None,
        timeout_s: float = 30.0,
        *,
        encoding: ImageFormat = ".jpg",
        quality: int = 95,
        parts: PartsMode = "auto",
        reconnect: Reconnect | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.server = ServerAddress(base_url, api_key)
        self.timeout_s = timeout_s
        self.encoding = Encoding(encoding, quality)
        self.parts = checked_mode(parts)
        self.reconnect = reconnect or Reconnect()
        self._http = httpx.Client(
            base_url=base_url,
            headers=self.server.headers,
            timeout=timeout_s,
            limits=calls.CONNECTIONS,
            transport=transport,
        )

    def start(
        self,
        frame: Frame,
        box: BoxLike | None = None,
        *,
        targets: Sequence[Mapping[str, Any]] | None = None,
        ttl_s: float | None = None,
        restart: bool = False,
    ) -> Session:
        """Start a session on a first frame and one `box`, or several `targets` `{"id"?, "box"}`.

        restart: if the server no longer knows the session, begin a new one from the last answered frame and its boxes.
        A server that keeps sessions in memory has forgotten them after it was started again.

        Raises InvalidBox, InvalidImage, AtCapacity and the other refusals of the contract.
        """
        data, wanted = self.encoding.encode(frame), calls.targets_of(box, targets)
        started = SessionState.parse(self.call(calls.create(data, wanted, ttl_s)))
        return Session(self, started, Anchor(data, started.targets) if restart else None, ttl_s)

    def session(self, session_id: str) -> Session:
        """A session that exists already. Raises SessionNotFound."""
        return Session(self, SessionState.parse(self.call(calls.read_session(session_id))))

    def model(self) -> dict[str, Any]:
        """Facts about the server's model: network, sizes, weights' SHA-256, device, precision, runtime."""
        model: dict[str, Any] = self.call(calls.read_model())
        return model

    def call(self, call: Call) -> Any:
        """Make one HTTP call; its JSON. Raises ConnectionLost and ProblemError."""
        try:
            return calls.body_of(self._http.request(call.method, call.path, **call.arguments))
        except httpx.TransportError as error:
            raise ConnectionLost(f"{self.server.base_url}: {error}") from error

    def route(self, session_id: str, mode: Mode, response_maps: bool) -> Route:
        """The route to a session's socket."""
        return Route(self.server, session_id, (mode, response_maps), self.timeout_s, self.reconnect)

    def close(self) -> None:
        """Close the connections; the sessions live on."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Session:
    """One session, from one thread. As a context manager it is deleted at the end."""

    def __init__(
        self, client: Client, started: SessionState, anchor: Anchor | None = None, ttl_s: float | None = None
    ) -> None:
        self.started = started
        """The session as it was when this object was made, or when it last began anew."""
        self.restarts = 0
        """How often it began anew. It then has another id, and its frames are counted from 0."""
        self.last: Result | None = None
        """The latest result of `update` or `stream`."""
        self._client = client
        self._link: Link | None = None
        self._driven = False
        self._anchor = anchor
        self._ttl_s = ttl_s
        self._outbox = Outbox(client.encoding, client.parts, started.frame_size, started.targets)

    @property
    def id(self) -> str:
        """The session's id, for `Client.session`."""
        return self.started.session_id

    @property
    def traffic(self) -> Traffic:
        """The frames sent so far, and what sending parts of them has saved."""
        return self._outbox.traffic

    def update(self, frame: Frame, *, response_map: bool = False) -> Result:
        """The targets in the next frame.

        Raises FrameError where the frame fails (it is not counted, the session goes on), and the refusal of a
        `set_target` before it (the frame is counted, its result is `last`).
        """
        readable = self._outbox.read(frame)
        link = self._open("every", response_map)
        try:
            number = link.run(link.flow.submit(self._encoded(link, readable)))
            while True:
                for answer in map(self._noted, link.run(link.flow.receive())):
                    if answer.seq == number:
                        return delivered(answer)
        finally:
            if link.flow.protocol.outstanding:
                self.close()

    def stream(self, frames: Iterable[Frame], mode: Mode = "every", response_maps: bool = False) -> Iterator[Answer]:
        """One answer per frame, in order, with as many frames under way as the server allows.

        A frame that fails yields Failed, and the stream goes on. Mode "latest" yields Dropped for a frame that a newer
        one overtook. Between two frames the stream yields the answers that have come; after the last frame it waits for
        all. If `frames` raises, or an item is no frame, the answers to the frames before it are yielded first.
        """
        link = self._open(mode, response_maps)
        link.flow.protocol.renumber()
        source: Iterator[Frame] | None = iter(frames)
        failure: Exception | None = None
        try:
            while source is not None or link.flow.protocol.outstanding:
                if source is not None and link.flow.protocol.room:
                    try:
                        link.run(link.flow.submit(self._encoded(link, self._outbox.read(next(source)))))
                    except StopIteration:
                        source = None
                    except Exception as error:
                        source, failure = None, error
                if link.flow.protocol.outstanding:
                    at_once = source is not None and link.flow.protocol.room
                    yield from map(self._noted, link.run(link.flow.receive(0 if at_once else None)))
            if failure is not None:
                raise failure
        finally:
            if link.flow.protocol.outstanding:
                self.close()

    def set_target(self, target_id: str, box: BoxLike) -> None:
        """Add a target, or correct its box. The box is drawn on the next frame sent."""
        link = self._open(*self._kind())
        link.run(link.flow.set_target(target_id, calls.checked_box(box)))
        self._outbox.draw()

    def remove_target(self, target_id: str) -> None:
        """Stop tracking one target: before the next frame while a stream is open, else at once."""
        if self._link is not None:
            self._link.run(self._link.flow.remove_target(target_id))
        else:
            self._client.call(calls.delete_target(self.id, target_id))

    def state(self) -> SessionState:
        """The session's present state on the server."""
        return SessionState.parse(self._client.call(calls.read_session(self.id)))

    def close(self) -> None:
        """Close the socket; the session lives on until its TTL, and `update` opens it again."""
        link, self._link = self._link, None
        if link is not None:
            self._anchor = link.flow.protocol.anchor
            self._outbox.disconnected()
            link.run(link.flow.close())

    def delete(self) -> None:
        """End the session. Raises SessionNotFound if it has ended already."""
        self.close()
        self._client.call(calls.delete_session(self.id))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # An error inside the block must not be hidden by one of the deletion.
        with suppress(SessionNotFound if error is None else ClientError):
            self.delete()

    def _kind(self) -> tuple[Mode, bool]:
        return self._link.flow.kind if self._link is not None else ("every", False)

    def _open(self, mode: Mode, response_maps: bool) -> Link:
        if self._link is not None and self._link.flow.kind != (mode, response_maps):
            self.close()
        if self._link is None:
            link = Link(
                self._client.route(self.id, mode, response_maps),
                self.state,
                self._begin_anew,
                driven_before=self._driven,
                anchor=self._anchor,
            )
            link.run(link.flow.open())
            self._link, self._driven = link, True
        return self._link

    def _begin_anew(self, anchor: Anchor) -> SessionState:
        body = self._client.call(calls.create(anchor.picture, anchor.wanted, self._ttl_s))
        self.started = SessionState.parse(body)
        self.restarts += 1
        return self.started

    def _encoded(self, link: Link, frame: bytes | NDArray[np.uint8]) -> Outgoing:
        protocol = link.flow.protocol
        return self._outbox.encode(frame, parts=protocol.parts, keep=protocol.anchor is not None)

    def _noted(self, answer: Answer) -> Answer:
        self._outbox.note(answer)
        if isinstance(answer, Result):
            self.last = answer
        return answer
