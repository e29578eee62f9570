"""The service's work on frames: start a session, take it from frame to frame, correct a target.

Decoding, the tracker's pure halves and the network meet here. Pixels are processed in a bounded pool of threads, and
the network runs on the engine's thread. A session changes only by a commit at the end, so a failure or a cancellation
on the way leaves it as it was.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from model.boxes import Box
from model.errors import InvalidBoxError
from model.frames import Frame
from model.parts import holds_wanted
from model.response import Response
from model.search import Search
from model.tracker import Track
from service.engine.batcher import Batcher
from service.engine.jobs import Respond
from service.engine.overload import OverloadGuard
from service.errors import InvalidBox, ServiceError, TooManyTargets
from service.operations.metrics import Metrics
from service.sessions.decode_pool import DecodePool
from service.sessions.decoding import decode_frame
from service.sessions.exemplars import Exemplars
from service.sessions.lease import Lease
from service.sessions.lease_manager import LeaseManager
from service.sessions.registry import SessionRegistry
from service.sessions.requests import Decoded, Limits, Placement
from service.sessions.results import Evidence, Tracked
from service.sessions.session import Progress, Session, Target
from service.sessions.step import Step
from service.sessions.stores.store import Facts, State
from service.sessions.tracker_model import TrackerModel

T = TypeVar("T")

_FEW = 4
"""The most targets whose peaks are read on the event loop; a target takes a quarter of a millisecond at most."""


class Tracking:
    """The core of the service, used by HTTP and socket alike."""

    def __init__(
        self,
        model: TrackerModel,
        batcher: Batcher,
        registry: SessionRegistry,
        exemplars: Exemplars,
        leases: LeaseManager,
        metrics: Metrics,
        limits: Limits,
        pool: Executor,
        decoders: DecodePool,
        clock: Callable[[], float] = time.monotonic,
        guard: OverloadGuard | None = None,
    ) -> None:
        """`pool`: threads for crops and peaks; `decoders`: threads for frames; `clock`: monotonic seconds.

        `guard`: None refuses no session.
        """
        self.model, self.registry, self.leases, self.limits = model, registry, leases, limits
        self._batcher, self._exemplars, self._metrics = batcher, exemplars, metrics
        self._pool, self._decoders = pool, decoders
        self._clock, self._guard = clock, guard or OverloadGuard(0.0, clock)

    async def decode(
        self, data: bytes, at: tuple[int, int] | None = None, shrink: int = 1, *, caller: str = ""
    ) -> Decoded:
        """Decode a frame, or the part of one whose corner lies `at` (x, y), in a thread of the caller's share.

        `shrink`: how far it may be scaled down. Raises InvalidImage, ImageTooLarge.
        """
        most = self.limits.max_frame_pixels
        image, decode_s = await self._decoders.run(caller, _timed, decode_frame, data, most, shrink)
        return Decoded(image, decode_s, len(data), at)

    def stop_decoding(self) -> None:
        """Fail what waits for a frame to be decoded, and every later frame, with ShuttingDown."""
        self._decoders.close()

    def shrink(self, session: Session) -> int:
        """How far the session's next frame may be scaled down, if no box is drawn on it: 1, 2, 4 or 8."""
        tracker, size = self.model.tracker, session.facts.frame_size
        return min((tracker.shrink(target.track, size) for target in session.progress.targets), default=1)

    async def start(
        self,
        data: bytes,
        placements: Sequence[Placement],
        owner: str,
        ttl_s: float | None = None,
        *,
        caller: str = "",
    ) -> Session:
        """Start a session from its encoded first frame and the boxes drawn on it.

        `owner`: the caller's name by `Keyring`; `ttl_s`: idle seconds until the session expires, at most the server's
        own; `caller`: whose share of the threads decoding takes. Raises InvalidImage, ImageTooLarge, InvalidBox,
        TooManyTargets, AtCapacity, ModelUnavailable, StoreUnavailable.
        """
        self._check_count(len(placements))
        self.leases.check()
        self._guard.check()
        with self.registry.admission(owner, self.limits.sessions_per_owner):
            decoded = await self.decode(data, caller=caller)
            frame = decoded.placed(decoded.size)
            boxes = [_checked(placement, frame) for placement in placements]
            placed = await self._exemplars.place(frame, [placement.id for placement in placements], boxes)
            ttl_s = min(ttl_s, self.limits.session_ttl_s) if ttl_s is not None else self.limits.session_ttl_s
            made, now = datetime.now(UTC), self._clock()
            facts = Facts(secrets.token_urlsafe(16), owner, frame.size, ttl_s, made)
            state = State(0, placed.targets, made + timedelta(seconds=ttl_s))
            try:
                await self.leases.store.create(facts, state, placed.kept)
            except BaseException:
                self._release(placed.targets)
                raise
            session = Session(facts, Progress(0, placed.targets), state.expires_at, now + ttl_s)
            self.registry.add(session)
            self._metrics.created()
            return session

    @asynccontextmanager
    async def step(
        self, lease: Lease, decoded: Decoded, placements: Sequence[Placement] = (), *, maps: bool = False
    ) -> AsyncIterator[Step]:
        """Track every target into the next frame; `await step.commit()` within the block makes it the session's state.

        `placements` are boxes drawn on this very frame. One that cannot be used is among the step's faults, and the
        other targets are tracked. `maps`: whether the evidence must have response maps. Raises FrameSizeChanged,
        InvalidPart, ModelUnavailable, AtCapacity, StoreUnavailable. Without a commit the session stays as it was.
        """
        frame = decoded.placed(lease.session.facts.frame_size)
        self.leases.check()
        before = lease.session.progress
        boxes, faults = self._usable(before, frame, placements)
        async with self._placing(lease, before, frame, boxes, faults) as step:
            searched = [target for target in before.targets if target.id not in boxes]
            step.advance(searched, await self._follow(lease.session.id, frame, searched, maps))
            step.missed = self._missed(frame, searched)
            self._metrics.received(decoded.received(frame, missed=bool(step.missed)))
            yield step

    async def correct(self, lease: Lease, decoded: Decoded, placement: Placement) -> None:
        """Add a target, or correct its box, on a frame that is not counted; the other targets stay as they are.

        Raises InvalidBox, TooManyTargets, and what `step` and its commit raise; then nothing has changed.
        """
        frame = decoded.placed(lease.session.facts.frame_size)
        before = lease.session.progress
        boxes, faults = self._usable(before, frame, [placement])
        if faults:
            raise faults[0]
        async with self._placing(lease, before, frame, boxes) as step:
            await step.commit()

    async def remove(self, lease: Lease, target_id: str) -> None:
        """Stop following one target. Raises TargetNotFound, SessionEnded, SessionBusy, StoreUnavailable."""
        gone, before = lease.session.target(target_id), lease.session.progress
        left = tuple(target for target in before.targets if target is not gone)
        await self.leases.commit(lease, Progress(before.frame_index, left))

    @asynccontextmanager
    async def _placing(
        self,
        lease: Lease,
        before: Progress,
        frame: Frame,
        boxes: dict[str, Box],
        faults: tuple[ServiceError, ...] = (),
    ) -> AsyncIterator[Step]:
        """A step from `before` with new targets at `boxes`; their slots are given back unless the step is committed."""
        placed = await self._exemplars.place(frame, list(boxes), list(boxes.values()), lease.session.id)
        step = Step(self.leases, self._metrics, lease, before, placed, faults)
        try:
            yield step
        finally:
            if not step.committed:
                self._release(placed.targets)

    async def _follow(self, session_id: str, frame: Frame, targets: Sequence[Target], maps: bool) -> Tracked:
        """Search for the targets on a frame: cut, ask the network, conclude. Records the stages' times."""
        if not targets:
            return Tracked()
        begun = time.perf_counter()
        with self._guard.passage(len(targets)) as passage:
            cut = functools.partial(self.model.searches, frame, [target.track for target in targets], maps=maps)
            searches, crop_s = await self._run(_timed, cut)
            answer = await self._batcher.submit(Respond(tuple(target.slot for target in targets), searches, session_id))
            arguments = targets, searches, answer.finite_responses(), frame.size
            if len(targets) <= _FEW:
                # Faster than waking a thread.
                concluded, conclude_s = _timed(self._conclude, *arguments)
            else:
                concluded, conclude_s = await self._run(_timed, self._conclude, *arguments)
            passage.waited_s = time.perf_counter() - begun - crop_s - answer.infer_s - conclude_s
        self._metrics.stages({"crop": crop_s, "conclude": conclude_s})
        tracks, evidence = zip(*concluded, strict=True)
        return Tracked(evidence, tracks, answer.queue_s, answer.infer_s)

    def _conclude(
        self,
        targets: Sequence[Target],
        searches: Sequence[Search],
        responses: Sequence[Response],
        size: tuple[int, int],
    ) -> list[tuple[Track, Evidence]]:
        concluded = []
        for target, search, response in zip(targets, searches, responses, strict=True):
            done = self.model.tracker.conclude(target.track, search, response, size)
            concluded.append((done.track, Evidence(search, response, done.peak)))
        return concluded

    def _usable(
        self, before: Progress, frame: Frame, placements: Sequence[Placement]
    ) -> tuple[dict[str, Box], tuple[ServiceError, ...]]:
        boxes: dict[str, Box] = {}
        faults: list[ServiceError] = []
        names = {target.id for target in before.targets}
        for placement in placements:
            try:
                box = _checked(placement, frame)
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

    def _missed(self, frame: Frame, targets: Sequence[Target]) -> tuple[str, ...]:
        """The targets of whose wanted part the frame does not show everything, by id."""
        if frame.complete:
            return ()
        wants = self.model.tracker.wants
        return tuple(each.id for each in targets if not holds_wanted(frame, wants(each.track, frame.size)))

    def _release(self, targets: Sequence[Target]) -> None:
        self.registry.release(tuple(target.slot for target in targets))

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)


def _timed(call: Callable[..., T], *arguments: object) -> tuple[T, float]:
    """Call, and return the result with the call's own time in seconds, without the wait for a thread."""
    begun = time.perf_counter()
    result = call(*arguments)
    return result, time.perf_counter() - begun


def _checked(placement: Placement, frame: Frame) -> Box:
    """The box drawn on a frame, or on a part of one, which it must overlap. Raises InvalidBox."""
    try:
        box = Box.checked(placement.box, frame.size)
    except InvalidBoxError as error:
        raise InvalidBox(str(error), pointer=placement.pointer) from None
    if not frame.part.touches(box.x, box.y, box.w, box.h):
        raise InvalidBox("the box does not overlap the part of the frame that was sent", pointer=placement.pointer)
    return box
