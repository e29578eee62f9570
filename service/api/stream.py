"""The WebSocket shell: receives, feeds the protocol, runs the frames, sends the answers.

Two coroutines a connection and no task a frame: one reads into the protocol, the other works it off and is the only
one that advances the session. The connection's end cancels the frame under way, which leaves the session as after
its last answered frame.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import Annotated

import cv2
import numpy as np
from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from numpy.typing import NDArray

from model.score_map import find_peak, upscale
from model.tracker import map_region
from service.api.schemas import target_state
from service.dependencies import PartsDep, payer_of
from service.errors import InvalidRequest, ServiceError, SessionEnded, ShuttingDown
from service.keys import SUBPROTOCOL
from service.parts import Parts
from service.problems import kind_of, problem
from service.sessions.session import Session, Target
from service.sessions.tracking import Decoded, Evidence, Placement
from service.wire import codec
from service.wire.messages import Frame, RemoveTarget, Result, TargetState, Timing
from service.wire.protocol import Mode, StreamProtocol

router = APIRouter()
_log = logging.getLogger(__name__)

_BAD_SUBPROTOCOL = 1002
_DONE = 1000

_GONE = (WebSocketDisconnect, RuntimeError, OSError)
"""What a send to a connection that is gone raises: starlette's, uvicorn's and the transport's."""


@router.websocket("/v1/sessions/{session_id}/stream")
async def stream(
    websocket: WebSocket,
    session_id: str,
    parts: PartsDep,
    mode: Annotated[str, Query()] = "every",
    map_: Annotated[str, Query(alias="map")] = "0",
) -> None:
    """Stream a session's frames (see /asyncapi.yaml)."""
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
    try:
        if offered and SUBPROTOCOL not in offered:
            await websocket.close(_BAD_SUBPROTOCOL, f"the subprotocol spoken here is {SUBPROTOCOL}")
            return
        try:
            owner = parts.keyring.owner(websocket.headers, offered)
            if parts.drain.begun:
                raise ShuttingDown("the server is shutting down")
            wanted_mode, wants_map = _options(mode, map_)
            session = parts.tracking.registry.get(session_id, owner)
            with session.driven():
                await _Stream(websocket, parts, session, owner, wanted_mode, wants_map).run()
        except ServiceError as error:
            kind = kind_of(error)
            parts.metrics.refused(kind.slug)
            await websocket.close(1008 if isinstance(error, InvalidRequest) else kind.close_code, _reason(error.detail))
    except _GONE as error:
        _log.debug("the connection to session %s is gone: %r", session_id, error)


def _options(mode: str, map_: str) -> tuple[Mode, bool]:
    if map_ not in ("0", "1"):
        raise InvalidRequest("map must be 0 or 1")
    if mode == "every":
        return "every", map_ == "1"
    if mode == "latest":
        return "latest", map_ == "1"
    raise InvalidRequest("mode must be every or latest")


def _reason(text: str) -> str:
    """A close frame's reason: at most 123 bytes (RFC 6455, section 5.5)."""
    return text.encode()[:120].decode(errors="ignore")


class _Stream:
    """One connection that drives one session."""

    def __init__(
        self, websocket: WebSocket, parts: Parts, session: Session, owner: str, mode: Mode, wants_map: bool
    ) -> None:
        self._websocket, self._parts, self._session = websocket, parts, session
        self._wants_map = wants_map
        self._payer = payer_of(websocket, parts, owner)
        self._window = parts.settings.window
        self._protocol = StreamProtocol(self._window, mode, parts.settings.max_targets)
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._sending = asyncio.Lock()
        self._early: tuple[int, asyncio.Task[Decoded]] | None = None

    async def run(self) -> None:
        """Until either side is done; closes the socket with the right code."""
        drain, metrics = self._parts.drain, self._parts.metrics
        drain.enter(self._wake)
        metrics.stream(1)
        reader: asyncio.Task[None] | None = None
        try:
            with self._session.watched(self._wake):
                progress = self._session.progress
                ready = codec.ready(self._session.id, progress.frame_index, self._window, self._protocol.mode)
                await self._say(ready)
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

    async def _read(self) -> None:
        protocol, websocket = self._protocol, self._websocket
        while True:
            while not protocol.wants_input:
                self._room.clear()
                await self._room.wait()
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                protocol.lost()
                raise _ConnectionLost
            data = message.get("bytes")
            if data is not None:
                await self._accept(data)
            else:
                await self._read_text(message["text"])

    async def _accept(self, data: bytes) -> None:
        protocol, rate = self._protocol, self._parts.rate
        wait_s = rate.take(self._payer)
        while wait_s and not protocol.may_refuse:
            await asyncio.sleep(wait_s)
            wait_s = rate.take(self._payer)
        dropped_before = protocol.dropped
        protocol.receive_frame(data, time.perf_counter(), refused=wait_s > 0)
        for _ in range(protocol.dropped - dropped_before):
            self._parts.metrics.frame("dropped")
        await self._send(protocol.displaced())
        self._wake.set()

    async def _read_text(self, text: str) -> None:
        try:
            complaint = self._protocol.receive(codec.parse(text))
            if complaint is not None:
                raise InvalidRequest(complaint)
        except InvalidRequest as error:
            self._parts.metrics.refused(kind_of(error).slug)
            await self._say(codec.error(problem(error)))
        self._wake.set()

    async def _work(self) -> None:
        protocol = self._protocol
        while True:
            if self._session.ended is not None:
                ended = SessionEnded(f"the session was {self._session.ended}")
                await self._send(protocol.fail_all(problem(ended)))
                return await self._close(4410, ended.detail)
            if self._parts.drain.begun:
                protocol.end()
            item = protocol.take()
            self._room.set()
            if isinstance(item, Frame):
                await self._answer(item)
            elif isinstance(item, RemoveTarget):
                await self._remove(item)
            elif not protocol.wants_input and protocol.idle:
                if self._parts.drain.begun:
                    return await self._close(1012, "the server is restarting")
                await self._say(codec.bye())
                return await self._close(_DONE, "")
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _answer(self, frame: Frame) -> None:
        metrics = self._parts.metrics
        try:
            text = await self._track(frame)
            metrics.frame("result")
        except _ConnectionLost:
            raise
        except Exception as error:
            if not isinstance(error, ServiceError):
                _log.exception("a frame of session %s failed", self._session.id)
            text = codec.error(problem(error), frame.seq)
            metrics.frame("error")
        await self._send(self._protocol.answer(frame.seq, text))

    async def _track(self, frame: Frame) -> str:
        tracking, session = self._parts.tracking, self._session
        waited = time.perf_counter() - frame.received_at
        decoded = await self._decoded(frame)
        self._decode_early()
        placements = [Placement(each.id, each.box, "/box") for each in frame.placements]
        advance = await tracking.advance(session, decoded, placements)
        for fault in advance.faults:
            await self._say(codec.error(problem(fault)))
        targets = tuple(self._shown(target, advance.evidence.get(target.id)) for target in advance.progress.targets)
        total = time.perf_counter() - frame.received_at
        timing = Timing(decoded.decode_s, waited + advance.queue_s, advance.infer_s, total)
        self._parts.metrics.stages(
            {"decode": timing.decode, "queue": timing.queue, "infer": timing.infer, "total": timing.total}
        )
        return codec.result(Result(frame.seq, advance.progress.frame_index, targets, timing))

    async def _decoded(self, frame: Frame) -> Decoded:
        early, self._early = self._early, None
        if early is not None and early[0] == frame.seq:
            return await early[1]
        return await self._parts.tracking.decode(frame.data)

    def _decode_early(self) -> None:
        """Decode the next frame while this one is on the device."""
        following = self._protocol.peek_frame()
        if following is not None:
            task = asyncio.create_task(self._parts.tracking.decode(following.data))
            # Its failure is that frame's answer; the frame may also never be reached.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._early = following.seq, task

    async def _remove(self, item: RemoveTarget) -> None:
        try:
            self._parts.tracking.remove(self._session, item.id)
        except ServiceError as error:
            await self._say(codec.error(problem(error)))

    def _shown(self, target: Target, evidence: Evidence | None) -> TargetState:
        state = target_state(target)
        if not self._wants_map or evidence is None:
            return state
        model = self._parts.tracking.model
        peak = find_peak(evidence.maps, model.tracker)
        region = map_region(evidence.search, peak.scale, model.network)
        left, top = region.cx - region.side / 2, region.cy - region.side / 2
        picture = _map_png(upscale(evidence.maps[peak.scale], model.tracker.upscale))
        box = [round(number, 3) for number in (left, top, region.side, region.side)]
        return replace(state, response_map=picture, map_box=box)

    async def _send(self, texts: list[str]) -> None:
        # Both coroutines come here: what the protocol gave out first must leave first, even if a send has to wait.
        async with self._sending:
            for text in texts:
                await self._say(text)
        self._room.set()

    async def _say(self, text: str) -> None:
        try:
            await self._websocket.send_text(text)
        except _GONE as error:
            raise _ConnectionLost from error

    async def _close(self, code: int, reason: str) -> None:
        try:
            await self._websocket.close(code, _reason(reason))
        except _GONE as error:
            raise _ConnectionLost from error


class _ConnectionLost(Exception):
    """The client's side is gone."""


def _map_png(logits: NDArray[np.float32]) -> bytes:
    """A map [U, U] as an 8-bit grey PNG: 255 times the logistic of each value."""
    grey = (255 / (1 + np.exp(-np.clip(logits, -30, 30)))).round().astype(np.uint8)
    return cv2.imencode(".png", grey)[1].tobytes()
