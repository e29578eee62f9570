"""Fixtures: tracking around a fake predictor, with a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from model.config import TrackerConfig, preset
from model.tracker import Tracker
from service.engine.batcher import Batcher
from service.engine.slots import SlotTable
from service.operations.metrics import Metrics
from service.sessions.decode_pool import DecodePool
from service.sessions.exemplars import Exemplars
from service.sessions.lease import Lease
from service.sessions.lease_manager import LeaseManager
from service.sessions.registry import SessionRegistry
from service.sessions.requests import Decoded, Limits, Placement
from service.sessions.session import Session
from service.sessions.step import Step
from service.sessions.stores.memory import MemoryStore
from service.sessions.stores.store import FrameAnswer
from service.sessions.tracker_model import TrackerModel
from service.sessions.tracking import Tracking
from tests.support import blobs
from tests.support.clock import Clock
from tests.support.fake_predictor import FakePredictor

MAX_SESSIONS, MAX_TARGETS, SLOTS, TTL_S = 3, 3, 6, 60.0
_MAX_PIXELS = blobs.WIDTH * blobs.HEIGHT


async def advance(
    tracking: Tracking,
    lease: Lease,
    frame: Decoded,
    placements: Sequence[Placement] = (),
    answers: Sequence[FrameAnswer] = (),
    *,
    maps: bool = False,
) -> Step:
    """Take the leased session into the next frame; returns the committed step."""
    async with tracking.step(lease, frame, placements, maps=maps) as step:
        await step.commit(answers)
    return step


@dataclass
class Core:
    """The service without HTTP and sockets, and helpers that use it."""

    tracking: Tracking
    batcher: Batcher
    predictor: FakePredictor
    slots: SlotTable
    registry: SessionRegistry
    leases: LeaseManager
    clock: Clock
    sessions: list[Session] = field(default_factory=list)

    async def start(self, *places: tuple[float, float], owner: str = "me", ttl_s: float | None = None) -> Session:
        """Start a session on a frame with its square at the first place, with a target "0", "1", … at every place."""
        placements = [Placement(str(index), blobs.box(*place)) for index, place in enumerate(places or [(60, 50)])]
        data = blobs.frame(*(places or [(60, 50)])[0])
        session = await self.tracking.start(data, placements, owner, ttl_s)
        self.sessions.append(session)
        return session

    async def advance(self, session: Session, frame: Decoded, placements: Sequence[Placement] = ()) -> Step:
        """Take the session into the next frame; returns the committed step."""
        async with self.leases.hold(session.id, session.facts.owner) as lease:
            return await advance(self.tracking, lease, frame, placements)

    async def correct(self, session: Session, frame: Decoded, placement: Placement) -> None:
        """Hold the session to correct a target."""
        async with self.leases.hold(session.id, session.facts.owner) as lease:
            await self.tracking.correct(lease, frame, placement)

    async def remove(self, session: Session, target_id: str) -> None:
        """Hold the session to end one target."""
        async with self.leases.hold(session.id, session.facts.owner) as lease:
            await self.tracking.remove(lease, target_id)

    async def decoded(self, x: float, y: float) -> Decoded:
        """Decode a frame with its square at (x, y)."""
        return await self.tracking.decode(blobs.frame(x, y))


@asynccontextmanager
async def tracking_with(predictor: Any, model: TrackerModel, max_pixels: int = _MAX_PIXELS) -> AsyncIterator[Core]:
    """Tracking around that predictor, for at most three sessions and six targets."""
    slots, metrics, clock = SlotTable(SLOTS), Metrics(), Clock()
    registry = SessionRegistry(slots, metrics, MAX_SESSIONS, clock)
    batcher = Batcher(predictor, slots, metrics, batch_max=8)
    limits = Limits(MAX_TARGETS, max_pixels, TTL_S)
    await batcher.start()
    with ThreadPoolExecutor(2) as pool, DecodePool(2) as decoders:
        store = MemoryStore(clock)
        exemplars = Exemplars(model, batcher, registry, store, metrics, pool)
        leases = LeaseManager(store, registry, exemplars, metrics, clock)
        tracking = Tracking(model, batcher, registry, exemplars, leases, metrics, limits, pool, decoders, clock)
        yield Core(tracking, batcher, predictor, slots, registry, leases, clock)
        await batcher.stop()


@pytest.fixture
async def core() -> AsyncIterator[Core]:
    """Tracking around a fake predictor."""
    async with tracking_with(
        FakePredictor(), TrackerModel(Tracker(preset("paper"), TrackerConfig(scales=1)))
    ) as running:
        yield running


def boxes(session: Session) -> dict[str, list[float]]:
    """The targets' boxes by name."""
    return {target.id: target.track.box.as_list() for target in session.progress.targets}


def slots_of(session: Session) -> dict[str, int]:
    """The targets' slot indexes by name."""
    return {target.id: target.slot.index for target in session.progress.targets}
