"""Tracking around a fake predictor, with clocks that stand still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from model.config import TrackerConfig, preset
from model.tracker import Calibration
from service.engine.batcher import Batcher
from service.engine.slots import SlotTable
from service.metrics import Metrics
from service.sessions.registry import SessionRegistry
from service.sessions.session import Session
from service.sessions.tracking import Decoded, Limits, Placement, TrackerModel, Tracking
from tests.support import blobs
from tests.support.clock import Clock
from tests.support.fake_predictor import FakePredictor

MAX_SESSIONS, MAX_TARGETS, SLOTS, TTL_S = 3, 3, 6, 60.0


@dataclass
class Core:
    """The service without HTTP and sockets."""

    tracking: Tracking
    batcher: Batcher
    predictor: FakePredictor
    slots: SlotTable
    registry: SessionRegistry
    clock: Clock
    sessions: list[Session] = field(default_factory=list)

    async def start(self, *places: tuple[float, float], owner: str = "me", ttl_s: float | None = None) -> Session:
        """A session on a frame with its square at the first place, one target at each, named "0", "1", …"""
        placements = [Placement(str(index), blobs.box(*place)) for index, place in enumerate(places or [(60, 50)])]
        data = blobs.frame(*(places or [(60, 50)])[0])
        session = await self.tracking.start(data, placements, owner, ttl_s)
        self.sessions.append(session)
        return session

    async def decoded(self, x: float, y: float) -> Decoded:
        """A frame with its square there."""
        return await self.tracking.decode(blobs.frame(x, y))


@pytest.fixture
async def core() -> AsyncIterator[Core]:
    """Tracking with room for three sessions and six targets."""
    predictor, slots, metrics, clock = FakePredictor(), SlotTable(SLOTS), Metrics(), Clock()
    registry = SessionRegistry(slots, metrics, MAX_SESSIONS, clock)
    batcher = Batcher(predictor, slots, metrics, batch_max=8)
    model = TrackerModel(preset("paper"), TrackerConfig(scales=1), Calibration())
    limits = Limits(MAX_TARGETS, blobs.WIDTH * blobs.HEIGHT, TTL_S)
    await batcher.start()
    with ThreadPoolExecutor(2) as pool:
        tracking = Tracking(model, batcher, slots, registry, metrics, limits, pool, clock)
        yield Core(tracking, batcher, predictor, slots, registry, clock)
        await batcher.stop()


def boxes(session: Session) -> dict[str, list[float]]:
    """The targets' boxes by name."""
    return {target.id: target.track.box.as_list() for target in session.progress.targets}


def slots_of(session: Session) -> dict[str, int]:
    """The targets' slot indexes by name."""
    return {target.id: target.slot.index for target in session.progress.targets}
