"""A client of the soak test: it acts at random, and checks every answer against the rules of the contract."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Literal

import httpx
import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from benchmarks._server import Server
from benchmarks._streams import Footage, Json, create, delete, socket_of

_DAMAGED = b"\xff\xd8\xff\xe0 this is where a frame ends"
_BUSY = 4409
_ATTEMPTS, _PAUSE_S = 40, 0.25
_ANSWER_S = 120.0

Mode = Literal["every", "latest"]
Ending = Literal["end", "close", "break"]


@dataclass
class Record:
    """The observations of all visitors: counts by name, latencies of results, and the rules that were broken."""

    counts: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def demand(self, holds: bool, rule: str) -> None:
        """Note a rule that does not hold."""
        if not holds:
            self.broken.append(rule)


@dataclass
class _Under:
    """A frame under way: its number, whether it is damaged, when it was sent."""

    seq: int
    damaged: bool
    at: float


class Visitor:
    """Visits the server again and again."""

    def __init__(
        self, server: Server, client: httpx.AsyncClient, footage: Footage, record: Record, rng: np.random.Generator
    ) -> None:
        self._server, self._client, self._footage = server, client, footage
        self._record, self._rng = record, rng
        self._index = 0

    async def visit_until(self, moment: float) -> None:
        """One visit after the other, the last one begun before that moment (of `time.monotonic`)."""
        while time.monotonic() < moment:
            await self._visit()

    async def _visit(self) -> None:
        rng, record = self._rng, self._record
        session = await create(self._client, self._footage, int(rng.integers(1, 4)))
        record.counts["sessions"] += 1
        self._index = 0
        for _ in range(int(rng.integers(1, 4))):
            mode: Mode = "every" if rng.random() < 0.6 else "latest"
            ending: Ending = ("end", "close", "break")[int(rng.integers(3))]
            await self._connect(session, mode, ending, int(rng.integers(1, 20)))
        if rng.random() < 0.3:
            answer = await self._client.post(
                f"/v1/sessions/{session['session_id']}/frames",
                content=self._footage[self._index],
                headers={"Content-Type": "image/jpeg"},
            )
            # The server may not have noticed yet that the last connection has broken off.
            record.counts[f"http_{answer.status_code}"] += 1
            record.demand(answer.status_code in (200, 409), f"a frame over HTTP was answered {answer.status_code}")
        if rng.random() < 0.8:
            await delete(self._client, session)
            record.counts["deleted"] += 1

    async def _connect(self, session: Json, mode: Mode, ending: Ending, frames: int) -> None:
        """One connection of so many frames. Waits while the server holds a broken one for alive."""
        for _ in range(_ATTEMPTS):
            try:
                async with socket_of(self._server, session, f"?mode={mode}") as (socket, ready):
                    self._record.counts["connections"] += 1
                    await self._drive(socket, ready, mode, frames, leave=ending == "break")
                    await self._part(socket, ending)
                    return
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else None
                if code != _BUSY:
                    self._record.broken.append(f"a connection was closed with {code}")
                    return
                self._record.counts["waited_for_a_broken_connection"] += 1
                await asyncio.sleep(_PAUSE_S)
        self._record.broken.append("a broken connection was never let go")

    async def _drive(self, socket: ClientConnection, ready: Json, mode: Mode, frames: int, leave: bool) -> None:
        """Send the frames with the window full; `leave`: without waiting for the last answers."""
        under_way: deque[_Under] = deque()
        index = ready["frame_index"]
        for seq in range(frames):
            await self._say_something(socket)
            damaged = self._rng.random() < 0.05
            under_way.append(_Under(seq, damaged, time.perf_counter()))
            self._index += 1
            await socket.send(_DAMAGED if damaged else self._footage[self._index])
            self._record.counts["frames"] += 1
            while len(under_way) >= ready["window"]:
                index = await self._hear(socket, under_way, mode, index)
        if leave:
            self._record.counts["left_unanswered"] += len(under_way)
            return
        while under_way:
            index = await self._hear(socket, under_way, mode, index)

    async def _say_something(self, socket: ClientConnection) -> None:
        chance = self._rng.random()
        if chance < 0.05:
            await socket.send(json.dumps({"type": "set_target", "id": "extra", "box": self._footage.box}))
            self._record.counts["boxes_drawn"] += 1
        elif chance < 0.08:
            await socket.send(json.dumps({"type": "remove_target", "id": "extra"}))

    async def _hear(self, socket: ClientConnection, under_way: deque[_Under], mode: Mode, index: int) -> int:
        """The next answer, which must be that of the oldest frame under way; returns the session's frame index."""
        async with asyncio.timeout(_ANSWER_S):
            answer = json.loads(await socket.recv())
        kind, record = answer["type"], self._record
        if "seq" not in answer:
            record.counts[f"message_{kind}"] += 1
            record.demand(kind == "error", f"a message of type {kind} without seq")
            return index
        frame = under_way.popleft()
        record.counts[kind] += 1
        record.demand(answer["seq"] == frame.seq, f"answer {answer['seq']} came where {frame.seq} was due")
        record.demand(
            (kind == "dropped" and mode == "latest") or (kind == "error") == frame.damaged,
            f"{kind} for a {'damaged' if frame.damaged else 'good'} frame in {mode}",
        )
        if kind == "result":
            record.latencies_ms.append(1e3 * (time.perf_counter() - frame.at))
            record.demand(answer["frame_index"] == index + 1, f"frame index {answer['frame_index']} after {index}")
            index = answer["frame_index"]
        return index

    async def _part(self, socket: ClientConnection, ending: Ending) -> None:
        self._record.counts[f"parted_by_{ending}"] += 1
        if ending == "break":
            socket.transport.abort()
        elif ending == "end":
            await socket.send(json.dumps({"type": "end"}))
            async for text in socket:
                kind = json.loads(text)["type"]
                self._record.demand(kind in ("bye", "error"), f"{kind} after end")
