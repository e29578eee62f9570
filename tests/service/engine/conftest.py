"""Fixtures: a batcher around a fake predictor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.crops import Region
from model.response import Response
from model.search import Search
from service.engine.batcher import Batcher
from service.engine.jobs import Embed, Job, JobResult, Respond
from service.engine.slots import Slot, SlotTable
from service.errors import ModelUnavailable
from service.operations.metrics import Metrics
from tests.support.fake_predictor import FakePredictor
from tests.support.waiting import eventually


def embed_job(slots: tuple[Slot, ...]) -> Embed:
    """Embed black exemplars."""
    return Embed(slots, np.zeros((len(slots), 127, 127, 3), np.uint8))


def respond_job(slots: tuple[Slot, ...]) -> Respond:
    """Search one black crop a slot."""
    return Respond(slots, tuple(search_of(np.zeros((1, 255, 255, 3), np.uint8)) for _ in slots))


def search_of(crops: NDArray[np.uint8]) -> Search:
    """A search in crops [N, side, side, 3]."""
    regions = (Region(128, 128, 255),) * len(crops)
    return Search(regions, (0.0,) * len(crops), crops.shape[1], (0.0, 0.0, 0.0), crops=crops)


def maps_of(response: Response) -> NDArray[np.float32]:
    """The response's maps [N, S, S]."""
    assert response.maps is not None
    return response.maps


@dataclass(frozen=True)
class Engine:
    """A started batcher, with its predictor and slots."""

    batcher: Batcher
    predictor: FakePredictor
    slots: SlotTable
    metrics: Metrics

    async def embedded(self, count: int) -> tuple[Slot, ...]:
        """Allocate slots and embed exemplars into them."""
        slots = self.slots.allocate(count)
        await self.batcher.submit(embed_job(slots))
        return slots


RunEngine = Callable[..., AbstractAsyncContextManager[Engine]]


@pytest.fixture
def run_engine() -> RunEngine:
    """A function that starts a batcher with the given limits, and stops it."""

    @asynccontextmanager
    async def start(slots: int = 16, **bounds: Any) -> AsyncIterator[Engine]:
        predictor, table, metrics = FakePredictor(), SlotTable(slots), Metrics()
        batcher = Batcher(predictor, table, metrics, **({"batch_max": 4} | bounds))
        await batcher.start()
        try:
            yield Engine(batcher, predictor, table, metrics)
        finally:
            await batcher.stop()

    return start


@pytest.fixture
async def engine(run_engine: RunEngine) -> AsyncIterator[Engine]:
    """A started batcher that takes at most four targets in one pass."""
    async with run_engine() as running:
        yield running


async def submitted(engine: Engine, jobs: list[Job]) -> list[asyncio.Task[JobResult]]:
    """Submit the jobs in order; returns their tasks."""
    tasks = [asyncio.create_task(engine.batcher.submit(job)) for job in jobs]
    await eventually(lambda: len(engine.batcher._queue) >= len(jobs))
    return tasks


async def outcomes(tasks: list[asyncio.Task[JobResult]]) -> list[JobResult | BaseException]:
    """Await the tasks' results or errors, in order and in bounded time."""
    async with asyncio.timeout(20):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def raises_unavailable(call: Awaitable[object]) -> str:
    """Assert that the call raises ModelUnavailable; returns its text."""
    with pytest.raises(ModelUnavailable) as caught:
        await call
    return caught.value.detail
