"""Sessions that need more than the device gives: whose turn it is, and that results stay the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from service.engine.jobs import Job, JobResult, Respond
from service.engine.slots import Slot
from tests.service.engine.conftest import (
    Engine,
    RunEngine,
    embed_job,
    maps_of,
    outcomes,
    respond_job,
    search_of,
    submitted,
)
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio


def frame(session: str, slots: tuple[Slot, ...]) -> Respond:
    return replace(respond_job(slots), session=session)


async def in_turn(engine: Engine, jobs: list[Job]) -> list[tuple[Slot, ...]]:
    """Submit the jobs in order while the device is busy; returns the passes that ran them."""
    busy = await engine.embedded(1)
    before = len(engine.predictor.calls)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job(busy)))
        await reached(begun)
        tasks = await submitted(engine, jobs)
    answers = await outcomes([first, *tasks])
    assert all(isinstance(answer, JobResult) for answer in answers)
    return [call.slots for call in engine.predictor.calls[before + 1 :]]


async def test_sixteen_targets_wait_for_sixteen_turns_of_those_with_one(run_engine: RunEngine) -> None:
    async with run_engine(batch_max=4, slots=64) as engine:
        big, singles = await engine.embedded(16), await engine.embedded(15)
        jobs: list[Job] = [frame("big", big)]
        jobs += [frame(f"single-{slot.index}", (slot,)) for _ in range(2) for slot in singles]
        passes = await in_turn(engine, jobs)
    served = [slot for each in passes for slot in each]
    assert served == [*singles, *singles, *big]
    assert {len(each) for each in passes[:-1]} == {4}, "the passes are full"


async def test_a_flooding_session_does_not_keep_cameras_waiting(run_engine: RunEngine) -> None:
    async with run_engine(batch_max=4) as engine:
        (flood,), cameras = await engine.embedded(1), await engine.embedded(3)
        jobs: list[Job] = [frame("flood", (flood,)) for _ in range(20)]
        jobs += [frame(f"camera-{slot.index}", (slot,)) for slot in cameras]
        passes = await in_turn(engine, jobs)
    assert passes == [(flood, *cameras), *[(flood,) * 4] * 4, (flood,) * 3]


async def test_new_sessions_begin_while_streams_flood(run_engine: RunEngine) -> None:
    async with run_engine(batch_max=4) as engine:
        streams, new = await engine.embedded(4), engine.slots.allocate(3)
        jobs: list[Job] = [frame(f"stream-{slot.index}", (slot,)) for _ in range(10) for slot in streams]
        jobs += [embed_job((slot,)) for slot in new]
        passes = await in_turn(engine, jobs)
    # Small crops are due before large ones; they share the first pass with one of the streams.
    assert passes[:2] == [new, streams[:1]]


@pytest.mark.parametrize("batch_max", [1, 3, 4, 16])
async def test_a_job_in_parts_is_answered_as_a_whole(run_engine: RunEngine, batch_max: int) -> None:
    crops = np.zeros((7, 1, 255, 255, 3), np.uint8)
    searches = tuple(map(search_of, crops))
    for index in range(7):
        crops[index, 0, 40 + 24 * index : 56 + 24 * index, 120:136] = 255
    expected = {}
    for most in (16, batch_max):
        async with run_engine(batch_max=most) as engine:
            slots = await engine.embedded(7)
            with engine.predictor.held("respond") as begun:
                other = asyncio.create_task(engine.batcher.submit(respond_job(slots[:1])))
                await reached(begun)
                tasks = await submitted(engine, [Respond(slots, searches, "a"), frame("b", slots[:2])])
            _, whole, _ = await outcomes([other, *tasks])
        assert isinstance(whole, JobResult)
        assert whole.responses is not None
        expected[most] = np.stack([maps_of(each) for each in whole.responses])
    np.testing.assert_array_equal(expected[16], expected[batch_max])
    assert len({int(each.argmax()) for each in expected[16]}) == 7, "each has its own answer"


async def test_cancelled_jobs_leave_their_session_its_turn(run_engine: RunEngine) -> None:
    async with run_engine(batch_max=1) as engine:
        a, b, busy = await engine.embedded(3)
        with engine.predictor.held("respond") as begun:
            first = asyncio.create_task(engine.batcher.submit(respond_job((busy,))))
            await reached(begun)
            gone = await submitted(engine, [frame("a", (a,)) for _ in range(5)])
            for each in gone:
                each.cancel()
            await asyncio.gather(*gone, return_exceptions=True)
            tasks = await submitted(engine, [frame("a", (a,)), frame("b", (b, b))])
            await eventually(lambda: len(engine.batcher._queue) == 7)
        await outcomes([first, *tasks])
    assert [call.slots for call in engine.predictor.of("respond")] == [(busy,), (a,), (b,), (b,)]
