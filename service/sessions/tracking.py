"""What the service does with frames: start a session, advance it, correct a target.

The one place where decoding, the tracker's pure halves and the network meet. Pixels and geometry run in a bounded
pool of threads, the network on the engine's; a session changes only in one step at the end, so whatever fails or is
cancelled on the way leaves it as it was.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model.boxes import Box
from model.config import NetworkConfig, TrackerConfig
from model.errors import InvalidBoxError
from model.tracker import Calibration, Search, Track, conclude, search_regions, start
from service.engine.batcher import Answer, Batcher
from service.engine.jobs import Embed, Respond
from service.engine.slots import SlotTable
from service.errors import (
    FrameSizeChanged,
    InvalidBox,
    ModelUnavailable,
    ServiceError,
    TooManyTargets,
)
from service.images import Image, decode_frame
from service.metrics import Metrics
from service.sessions.registry import SessionRegistry
from service.sessions.session import Progress, Session, Target

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Placement:
    """A box that a client drew on a frame; `pointer` says where it stood in the request."""

    id: str
    box: Sequence[float]
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class TrackerModel:
    """The parts of the weights that the pure steps need."""

    network: NetworkConfig
    tracker: TrackerConfig
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a client may ask for."""

    max_targets: int
    max_frame_pixels: int
    session_ttl_s: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame's pixels, uint8 [height, width, 3] RGB, and how long decoding took, in seconds."""

    image: Image
    decode_s: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a target was put where it is: its search and its maps, logits [N, S, S]."""

    search: Search
    maps: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Advance:
    """One frame's outcome. `evidence`: by id, of the targets searched; `faults`: placements that were refused."""

    progress: Progress
    evidence: dict[str, Evidence]
    faults: tuple[ServiceError, ...]
    queue_s: float
    infer_s: float


class Tracking:
    """The service's core, behind HTTP and socket alike."""

    def __init__(
        self,
        model: TrackerModel,
        batcher: Batcher,
        slots: SlotTable,
        registry: SessionRegistry,
        metrics: Metrics,
        limits: Limits,
        pool: Executor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model, self.registry, self.limits, self.metrics = model, registry, limits, metrics
        self._batcher, self._slots, self._pool, self._clock = batcher, slots, pool, clock

    async def decode(self, data: bytes) -> Decoded:
        """Decode a frame; raises InvalidImage, ImageTooLarge."""
        return await self._run(_timed_decode, data, self.limits.max_frame_pixels)

    async def start(
        self, data: bytes, placements: Sequence[Placement], owner: str, ttl_s: float | None = None
    ) -> Session:
        """Start a session. Raises what `decode` raises, InvalidBox, TooManyTargets, AtCapacity, ModelUnavailable."""
        self._check_count(len(placements))
        with self.registry.admission():
            frame = await self.decode(data)
            boxes = [_checked(placement, frame.size) for placement in placements]
            targets = await self._place(frame, [placement.id for placement in placements], boxes)
            session = Session(
                secrets.token_urlsafe(16),
                owner,
                frame.size,
                targets,
                min(ttl_s, self.limits.session_ttl_s) if ttl_s is not None else self.limits.session_ttl_s,
                datetime.now(UTC),
                self._clock(),
            )
            self.registry.add(session)
            return session

    async def advance(self, session: Session, frame: Decoded, placements: Sequence[Placement] = ()) -> Advance:
        """Follow every target into the next frame; `placements` are boxes drawn on this very frame.

        The caller drives the session. A placement that cannot be used is a fault, not a failure: the other targets go
        on. Raises FrameSizeChanged, ModelUnavailable, SessionEnded; then nothing has changed.
        """
        self._check_size(session, frame)
        before = session.progress
        boxes, faults = self._usable(before, frame, placements)
        followed = [target for target in before.targets if target.id not in boxes]
        placed = await self._place(frame, list(boxes), list(boxes.values()))
        try:
            searches, answer = await self._respond(frame, followed)
            tracks = await self._run(self._conclude, followed, searches, answer, frame.size)
            targets = {target.id: target for target in before.targets}
            for target, track in zip(followed, tracks, strict=True):
                targets[target.id] = Target(target.id, track, target.slot)
            targets |= {target.id: target for target in placed}
            progress = Progress(before.frame_index + 1, tuple(targets.values()))
            session.advance(progress, self._clock())
        except BaseException:
            self._release(placed)
            raise
        self._release([target for target in before.targets if target.id in boxes])
        maps = answer.maps if answer.maps is not None else ()
        evidence = {
            target.id: Evidence(search, each) for target, search, each in zip(followed, searches, maps, strict=True)
        }
        return Advance(progress, evidence, faults, answer.queue_s, answer.infer_s)

    async def correct(self, session: Session, frame: Decoded, placement: Placement) -> None:
        """Add a target, or put it right, on a frame; the others and the frame's count stay as they are.

        The caller drives the session. Raises InvalidBox, TooManyTargets, FrameSizeChanged, ModelUnavailable.
        """
        self._check_size(session, frame)
        before = session.progress
        boxes, faults = self._usable(before, frame, [placement])
        if faults:
            raise faults[0]
        (placed,) = await self._place(frame, list(boxes), list(boxes.values()))
        try:
            targets = {target.id: target for target in before.targets} | {placed.id: placed}
            session.advance(Progress(before.frame_index, tuple(targets.values())), self._clock())
        except BaseException:
            self._release([placed])
            raise
        self._release([target for target in before.targets if target.id == placed.id])

    def remove(self, session: Session, target_id: str) -> None:
        """Stop following one target; raises TargetNotFound."""
        gone = session.target(target_id)
        before = session.progress
        left = tuple(target for target in before.targets if target.id != target_id)
        session.advance(Progress(before.frame_index, left), self._clock())
        self._release([gone])

    async def _place(self, frame: Decoded, ids: Sequence[str], boxes: Sequence[Box]) -> tuple[Target, ...]:
        """New targets on a frame, their exemplars embedded into slots of their own."""
        if not ids:
            return ()
        slots = self._slots.allocate(len(ids))
        try:
            started = await self._run(self._start_all, frame.image, boxes)
            await self._batcher.submit(Embed(slots, np.stack([crop for _, crop in started])))
        except BaseException:
            for slot in slots:
                self._slots.release(slot)
            raise
        return tuple(Target(name, track, slot) for name, (track, _), slot in zip(ids, started, slots, strict=True))

    async def _respond(self, frame: Decoded, targets: Sequence[Target]) -> tuple[list[Search], Answer]:
        if not targets:
            return [], Answer(None, 0.0, 0.0)
        searches = await self._run(self._search_all, frame.image, targets)
        crops = np.stack([search.crops for search in searches])
        answer = await self._batcher.submit(Respond(tuple(target.slot for target in targets), crops))
        if answer.maps is not None and not np.isfinite(answer.maps).all():
            raise ModelUnavailable("the network's answer to this frame is not finite")
        return searches, answer

    def _start_all(self, image: Image, boxes: Sequence[Box]) -> list[tuple[Track, Image]]:
        return [start(image, box, self.model.network, self.model.tracker) for box in boxes]

    def _search_all(self, image: Image, targets: Sequence[Target]) -> list[Search]:
        return [search_regions(image, target.track, self.model.network, self.model.tracker) for target in targets]

    def _conclude(
        self, targets: Sequence[Target], searches: Sequence[Search], answer: Answer, size: tuple[int, int]
    ) -> list[Track]:
        if answer.maps is None:
            return []
        model = self.model
        return [
            conclude(target.track, search, maps, size, model.network, model.tracker, model.calibration)
            for target, search, maps in zip(targets, searches, answer.maps, strict=True)
        ]

    def _usable(
        self, before: Progress, frame: Decoded, placements: Sequence[Placement]
    ) -> tuple[dict[str, Box], tuple[ServiceError, ...]]:
        boxes: dict[str, Box] = {}
        faults: list[ServiceError] = []
        names = {target.id for target in before.targets}
        for placement in placements:
            try:
                box = _checked(placement, frame.size)
                self._check_count(len(names | {placement.id}))
            except ServiceError as error:
                faults.append(error)
            else:
                boxes[placement.id] = box
                names.add(placement.id)
        return boxes, tuple(faults)

    def _check_count(self, count: int) -> None:
        if count > self.limits.max_targets:
            raise TooManyTargets(f"a session may follow at most {self.limits.max_targets} targets")

    def _check_size(self, session: Session, frame: Decoded) -> None:
        if frame.size != session.frame_size:
            (w, h), (first_w, first_h) = frame.size, session.frame_size
            raise FrameSizeChanged(f"the frame is {w} x {h}; the session's frames are {first_w} x {first_h}")

    def _release(self, targets: Sequence[Target]) -> None:
        for target in targets:
            self._slots.release(target.slot)

    async def _run(self, call: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)


def _timed_decode(data: bytes, max_pixels: int) -> Decoded:
    begun = time.perf_counter()
    image = decode_frame(data, max_pixels)
    return Decoded(image, time.perf_counter() - begun)


def _checked(placement: Placement, size: tuple[int, int]) -> Box:
    try:
        return Box.checked(placement.box, size)
    except InvalidBoxError as error:
        raise InvalidBox(str(error), pointer=placement.pointer) from None
