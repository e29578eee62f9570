"""The WebSocket shell: receives messages, feeds the protocol, tracks the frames, sends the answers.

A connection has two coroutines and no task for each frame. One reads into the protocol; the other does the work and
alone advances the session. When the connection ends, the frame under way is cancelled and the session stays as it was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from service.api.components import Components
from service.api.dependencies import ComponentsDep, rate_limit_key
from service.api.maps import with_map
from service.api.pending_answers import PendingAnswers
from service.api.problems import close_reason, problem
from service.api.schemas import target_states
from service.api.stream_query import StreamQuery
from service.errors import InvalidRequest, ServiceError, ShuttingDown, StoreUnavailable
from service.operations.metrics import Stage
from service.sessions.lease import Lease
from service.sessions.requests import Decoded, Placement
from service.sessions.stores.store import FrameAnswer
from service.wire import codec
from service.wire.budget import Budget
from service.wire.messages import Frame, FrameResult, RemoveTarget, Timing
from service.wire.protocol import StreamProtocol
from siamfc.contract import SUBPROTOCOL, CloseCode

router = APIRouter()
_log = logging.getLogger(__name__)

_COMPLAINTS, _COMPLAINTS_PER_S = 100, 5.0
"""Complaints about a client's messages before its stream is ended, and how many of them are forgiven in a second."""

_GONE = (WebSocketDisconnect, RuntimeError, OSError)
"""The exceptions of a send on a lost connection: starlette's, uvicorn's and the transport's."""


@router.websocket("/v1/sessions/{session_id}/stream")
async def stream(
    websocket: WebSocket,
    session_id: str,
    components: ComponentsDep,
    mode: Annotated[str, Query()] = "every",
    map_: Annotated[str, Query(alias="map")] = "0",
    resume: Annotated[str | None, Query()] = None,
) -> None:
    """Stream a session's frames; /asyncapi.yaml describes the messages."""
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
    try:
        if offered and SUBPROTOCOL not in offered:
            await websocket.close(CloseCode.UNKNOWN_SUBPROTOCOL, f"the subprotocol spoken here is {SUBPROTOCOL}")
            return
        try:
            owner = components.keyring.owner(websocket.headers, offered)
            if components.drain.begun:
                raise ShuttingDown("the server is shutting down")
            query = StreamQuery.parse(mode, map_, resume)
            async with components.leases.hold(session_id, owner, query.resumed) as lease:
                await _Stream(websocket, components, lease, owner, query).run()
        except ServiceError as error:
            components.metrics.refused(error.kind.slug)
            code = CloseCode.REFUSED if isinstance(error, InvalidRequest) else error.kind.close_code
            await websocket.close(code, close_reason(error.detail))
    except _GONE as error:
        _log.debug("the connection to session %s is gone: %r", session_id, error)


class _Stream:
    """One connection that advances one session."""

    def __init__(
        self, websocket: WebSocket, components: Components, lease: Lease, owner: str, query: StreamQuery
    ) -> None:
        self._websocket, self._components, self._lease = websocket, components, lease
        self._wants_map = query.wants_map
        self._rate_key = rate_limit_key(websocket, components, owner)
        self._window = components.settings.window
        self._protocol = StreamProtocol(self._window, query.mode, components.settings.max_targets)
        self._wake = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._sending = asyncio.Lock()
        self._pending = PendingAnswers(self._protocol.most_unanswered)
        self._stalled_until = 0
        """Frames with a smaller `seq` were sent before their client could know that the store had failed."""
        self._complaints, self._misused = Budget(_COMPLAINTS_PER_S, _COMPLAINTS, components.clock), False
        self._early: tuple[int, asyncio.Task[Decoded]] | None = None

    async def run(self) -> None:
        """Serve the connection until either side is done, then close the socket with the right code."""
        drain, metrics = self._components.drain, self._components.metrics
        drain.enter(self._wake)
        metrics.stream(1)
        try:
            with self._lease.watched(self._wake):
                await self._say(self._ready())
                async with asyncio.TaskGroup() as group:
                    reader = group.create_task(self._read())
                    await self._work()
                    reader.cancel()
        except* _ConnectionLost:
            pass
        finally:
            if self._early is not None:
                self._early[1].cancel()
            metrics.stream(-1)
            drain.leave(self._wake)

    def _ready(self) -> str:
        lease, mode = self._lease, self._protocol.mode
        missed = None if lease.missed is None else [text for each in lease.missed for text in each.messages]
        index = lease.session.progress.frame_index
        return codec.ready(lease.session.id, index, self._window, mode, lease.token.value, missed)

    async def _read(self) -> None:
        protocol, websocket = self._protocol, self._websocket
        while True:
            while not protocol.wants_input:
                self._may_read.clear()
                await self._may_read.wait()
            # A receive that finds a message waiting does not let others have their turn.
            await asyncio.sleep(0)
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                protocol.lost()
                raise _ConnectionLost
            if (data := message.get("bytes")) is not None:
                await self._accept(data)
            else:
                await self._read_text(message["text"])

    async def _accept(self, data: bytes) -> None:
        protocol, rate = self._protocol, self._components.rate
        wait_s = rate.take(self._rate_key)
        while wait_s and not protocol.may_refuse:
            await asyncio.sleep(wait_s)
            wait_s = rate.take(self._rate_key)
        if protocol.idle:
            self._stalled_until = 0
        protocol.receive_frame(data, time.perf_counter(), refused=wait_s > 0)
        for seq in protocol.take_dropped():
            self._pending.add(seq, codec.dropped(seq))
            self._components.metrics.frame("dropped")
        await self._send(protocol.displaced())
        self._wake.set()

    async def _read_text(self, text: str) -> None:
        try:
            complaint = self._protocol.receive(codec.parse(text))
            if complaint is not None:
                raise InvalidRequest(complaint)
        except InvalidRequest as error:
            await self._complain(error)
        self._wake.set()

    async def _complain(self, error: InvalidRequest) -> None:
        self._components.metrics.refused(error.kind.slug)
        await self._say(codec.error(problem(error)))
        if self._complaints.whole:
            self._complaints.spend()
        else:
            self._misused = True
            self._protocol.end()

    async def _work(self) -> None:
        protocol = self._protocol
        while True:
            lost = self._lease.lost
            if lost is not None:
                await self._send(protocol.fail_all(problem(lost)))
                return await self._close(lost.kind.close_code, lost.detail)
            if self._components.drain.begun:
                protocol.end()
            item = protocol.take()
            self._may_read.set()
            if isinstance(item, Frame):
                await self._answer(item)
            elif isinstance(item, RemoveTarget):
                await self._remove(item)
            elif not protocol.wants_input and protocol.idle:
                if self._components.drain.begun:
                    return await self._close(CloseCode.RESTARTING, "the server is restarting")
                if self._misused:
                    return await self._close(CloseCode.REFUSED, "too many messages that cannot be used")
                await self._components.leases.release(self._lease)
                await self._say(codec.bye())
                return await self._close(CloseCode.DONE, "")
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _answer(self, frame: Frame) -> None:
        metrics = self._components.metrics
        try:
            text = await self._track(frame)
            metrics.frame("result")
        except _ConnectionLost:
            raise
        except Exception as error:
            if not isinstance(error, ServiceError):
                _log.exception("a frame of session %s failed", self._lease.session.id)
            if isinstance(error, StoreUnavailable) and frame.seq >= self._stalled_until:
                self._stalled_until = frame.seq + self._window
            text = codec.error(problem(error), frame.seq)
            self._pending.add(frame.seq, text)
            metrics.frame("error")
        with metrics.timed("send"):
            await self._send(self._protocol.answer(frame.seq, text))

    async def _track(self, frame: Frame) -> str:
        """Advance the session by the frame; returns its answer."""
        tracking = self._components.tracking
        waited = time.perf_counter() - frame.received_at
        if frame.seq < self._stalled_until and self._protocol.mode == "every":
            raise StoreUnavailable("a frame before this one could not be kept; send both again, in their order")
        self._lease.check()
        self._components.leases.check()
        decoded = await self._decoded(frame)
        self._decode_early(frame)
        placements = [Placement(each.id, each.box, "/box") for each in frame.placements]
        async with tracking.step(self._lease, decoded, placements, maps=self._wants_map) as step:
            total = time.perf_counter() - frame.received_at
            timing = Timing(decoded.decode_s, waited + step.queue_s, step.infer_s, total)
            targets = target_states(step.progress.targets, tracking.model.tracker, self._lease.session.facts.frame_size)
            result = FrameResult(frame.seq, step.progress.frame_index, targets, timing, step.missed)
            text = codec.result(result)
            faults = [codec.error(problem(fault)) for fault in step.faults]
            with self._pending.carried() as carried:
                # Without maps: they are large, and few clients come back for this answer.
                answers = [*carried, FrameAnswer(frame.seq, (*faults, text))]
                await step.commit(answers, self._protocol.most_unanswered)
        for fault in faults:
            await self._say(fault)
        names: tuple[Stage, ...] = ("decode", "queue", "infer", "total")
        self._components.metrics.stages({name: getattr(timing, name) for name in names})
        if not self._wants_map:
            return text
        mapped = (with_map(each, step.evidence.get(each.id), tracking.model) for each in targets)
        return codec.result(replace(result, targets=tuple(mapped)))

    async def _decoded(self, frame: Frame) -> Decoded:
        early, self._early = self._early, None
        if early is not None and early[0] == frame.seq:
            return await early[1]
        return await self._decode(frame, exact=False)

    async def _decode(self, frame: Frame, *, exact: bool) -> Decoded:
        """`exact`: not scaled down, however large the targets are."""
        tracking = self._components.tracking
        at = None if frame.part is None else codec.parse_corner(frame.part.at)
        shrink = 1 if exact or frame.placements else tracking.shrink(self._lease.session)
        return await tracking.decode(frame.data, at, shrink, caller=self._rate_key)

    def _decode_early(self, frame: Frame) -> None:
        """Decode the next frame while this one is on the device; exactly where this one brings new boxes."""
        following = self._protocol.peek_frame()
        if following is not None:
            task = asyncio.create_task(self._decode(following, exact=bool(frame.placements)))
            # A failure is told when that frame is answered. Reading it here keeps asyncio from warning about it.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._early = following.seq, task

    async def _remove(self, item: RemoveTarget) -> None:
        try:
            await self._components.tracking.remove(self._lease, item.id)
        except ServiceError as error:
            await self._say(codec.error(problem(error)))

    async def _send(self, texts: list[str]) -> None:
        # Both coroutines send. The lock keeps the protocol's order even if a send has to wait.
        async with self._sending:
            for text in texts:
                await self._say(text)
        self._may_read.set()

    async def _say(self, text: str) -> None:
        try:
            await self._websocket.send_text(text)
        except _GONE as error:
            raise _ConnectionLost from error

    async def _close(self, code: int, reason: str) -> None:
        # Before the close, so that a client which reconnects at once does not find the session taken.
        await self._components.leases.release(self._lease)
        try:
            await self._websocket.close(code, close_reason(reason))
        except _GONE as error:
            raise _ConnectionLost from error


class _ConnectionLost(Exception):
    """The client's side is gone."""
