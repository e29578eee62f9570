"""The asyncio client: the names of the blocking client, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeAlias

import httpx
import numpy as np
from numpy.typing import NDArray

from siamfc.client import calls
from siamfc.client.aio_link import AsyncLink
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

Frames: TypeAlias = Iterable[Frame] | AsyncIterable[Frame]


class AsyncClient:
    """A tracking server, used from one event loop. Takes the arguments of `Client` and raises its errors."""

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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.server = ServerAddress(base_url, api_key)
        self.timeout_s = timeout_s
        self.encoding = Encoding(encoding, quality)
        self.parts = checked_mode(parts)
        self.reconnect = reconnect or Reconnect()
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers=self.server.headers,
            timeout=timeout_s,
            limits=calls.CONNECTIONS,
            transport=transport,
        )

    async def start(
        self,
        frame: Frame,
        box: BoxLike | None = None,
        *,
        targets: Sequence[Mapping[str, Any]] | None = None,
        ttl_s: float | None = None,
        restart: bool = False,
    ) -> AsyncSession:
        """Start a session on a first frame and one `box`, or several `targets`, as `Client.start`."""
        data, wanted = self.encoding.encode(frame), calls.targets_of(box, targets)
        started = SessionState.parse(await self.call(calls.create(data, wanted, ttl_s)))
        return AsyncSession(self, started, Anchor(data, started.targets) if restart else None, ttl_s)

    async def session(self, session_id: str) -> AsyncSession:
        """A session that exists already. Raises SessionNotFound."""
        return AsyncSession(self, SessionState.parse(await self.call(calls.read_session(session_id))))

    async def model(self) -> dict[str, Any]:
        """Facts about the server's model: network, sizes, weights' SHA-256, device, precision, runtime."""
        model: dict[str, Any] = await self.call(calls.read_model())
        return model

    async def call(self, call: Call) -> Any:
        """Make one HTTP call; its JSON. Raises ConnectionLost and ProblemError."""
        try:
            return calls.body_of(await self._http.request(call.method, call.path, **call.arguments))
        except httpx.TransportError as error:
            raise ConnectionLost(f"{self.server.base_url}: {error}") from error

    def route(self, session_id: str, mode: Mode, response_maps: bool) -> Route:
        """The route to a session's socket."""
        return Route(self.server, session_id, (mode, response_maps), self.timeout_s, self.reconnect)

    async def close(self) -> None:
        """Close the connections; the sessions live on."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncSession:
    """One session, driven by one task at a time. As a context manager it is deleted at the end."""

    def __init__(
        self, client: AsyncClient, started: SessionState, anchor: Anchor | None = None, ttl_s: float | None = None
    ) -> None:
        self.started = started
        """The session as it was when this object was made, or when it last began anew."""
        self.restarts = 0
        """How often it began anew. It then has another id, and its frames are counted from 0."""
        self.last: Result | None = None
        """The latest result of `update` or `stream`."""
        self._client = client
        self._link: AsyncLink | None = None
        self._driven = False
        self._anchor = anchor
        self._ttl_s = ttl_s
        self._outbox = Outbox(client.encoding, client.parts, started.frame_size, started.targets)

    @property
    def id(self) -> str:
        """The session's id, for `AsyncClient.session`."""
        return self.started.session_id

    @property
    def traffic(self) -> Traffic:
        """The frames sent so far, and what sending parts of them has saved."""
        return self._outbox.traffic

    async def update(self, frame: Frame, *, response_map: bool = False) -> Result:
        """The targets in the next frame. Raises as `Session.update` does."""
        readable = self._outbox.read(frame)
        link = await self._open("every", response_map)
        try:
            number = await link.run(link.flow.submit(self._encoded(link, readable)))
            while True:
                for answer in map(self._noted, await link.run(link.flow.receive())):
                    if answer.seq == number:
                        return delivered(answer)
        finally:
            if link.flow.protocol.outstanding:
                await self.close()

    async def stream(self, frames: Frames, mode: Mode = "every", response_maps: bool = False) -> AsyncIterator[Answer]:
        """One answer per frame, in order, as soon as it comes. Otherwise as `Session.stream`."""
        link = await self._open(mode, response_maps)
        link.flow.protocol.renumber()
        source: AsyncIterator[Frame] | None = _each(frames)
        failure: Exception | None = None
        pull: asyncio.Task[Frame] | None = None
        answers: asyncio.Task[list[Answer]] | None = None
        try:
            while source is not None or link.flow.protocol.outstanding:
                if source is not None and pull is None and link.flow.protocol.room:
                    pull = asyncio.ensure_future(anext(source))
                if answers is None and link.flow.protocol.outstanding:
                    answers = asyncio.create_task(link.run(link.flow.receive()))
                await asyncio.wait(filter(None, (pull, answers)), return_when=asyncio.FIRST_COMPLETED)
                if pull is not None and pull.done():
                    task, pull = pull, None
                    try:
                        frame = self._outbox.read(task.result())
                        await link.run(link.flow.submit(self._encoded(link, frame)))
                    except StopAsyncIteration:
                        source = None
                    except Exception as error:
                        source, failure = None, error
                if answers is not None and answers.done():
                    came, answers = answers.result(), None
                    for answer in came:
                        yield self._noted(answer)
            if failure is not None:
                raise failure
        finally:
            await _cancelled(pull, answers)
            if link.flow.protocol.outstanding:
                await self.close()

    async def set_target(self, target_id: str, box: BoxLike) -> None:
        """Add a target, or correct its box. The box is drawn on the next frame sent."""
        link = await self._open(*self._kind())
        await link.run(link.flow.set_target(target_id, calls.checked_box(box)))
        self._outbox.draw()

    async def remove_target(self, target_id: str) -> None:
        """Stop tracking one target: before the next frame while a stream is open, else at once."""
        if self._link is not None:
            await self._link.run(self._link.flow.remove_target(target_id))
        else:
            await self._client.call(calls.delete_target(self.id, target_id))

    async def state(self) -> SessionState:
        """The session's present state on the server."""
        return SessionState.parse(await self._client.call(calls.read_session(self.id)))

    async def close(self) -> None:
        """Close the socket; the session lives on until its TTL, and `update` opens it again."""
        link, self._link = self._link, None
        if link is not None:
            self._anchor = link.flow.protocol.anchor
            self._outbox.disconnected()
            await link.run(link.flow.close())

    async def delete(self) -> None:
        """End the session. Raises SessionNotFound if it has ended already."""
        await self.close()
        await self._client.call(calls.delete_session(self.id))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        # An error inside the block must not be hidden by one of the deletion.
        with suppress(SessionNotFound if error is None else ClientError):
            await self.delete()

    def _kind(self) -> tuple[Mode, bool]:
        return self._link.flow.kind if self._link is not None else ("every", False)

    async def _open(self, mode: Mode, response_maps: bool) -> AsyncLink:
        if self._link is not None and self._link.flow.kind != (mode, response_maps):
            await self.close()
        if self._link is None:
            link = AsyncLink(
                self._client.route(self.id, mode, response_maps),
                self.state,
                self._begin_anew,
                driven_before=self._driven,
                anchor=self._anchor,
            )
            await link.run(link.flow.open())
            self._link, self._driven = link, True
        return self._link

    async def _begin_anew(self, anchor: Anchor) -> SessionState:
        body = await self._client.call(calls.create(anchor.picture, anchor.wanted, self._ttl_s))
        self.started = SessionState.parse(body)
        self.restarts += 1
        return self.started

    def _encoded(self, link: AsyncLink, frame: bytes | NDArray[np.uint8]) -> Outgoing:
        protocol = link.flow.protocol
        return self._outbox.encode(frame, parts=protocol.parts, keep=protocol.anchor is not None)

    def _noted(self, answer: Answer) -> Answer:
        self._outbox.note(answer)
        if isinstance(answer, Result):
            self.last = answer
        return answer


async def _each(frames: Frames) -> AsyncIterator[Frame]:
    if isinstance(frames, AsyncIterable):
        async for frame in frames:
            yield frame
    else:
        for frame in frames:
            yield frame


async def _cancelled(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel the tasks that are left and wait for them; ignore their results."""
    left = [task for task in tasks if task is not None]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
