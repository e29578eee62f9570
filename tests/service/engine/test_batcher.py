"""The batcher: one thread, waiting jobs in one batch, a result for every job."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from model.inference.pending import Pending
from model.search import Search, crops_of
from service.engine.jobs import JobResult, Load
from service.engine.slots import Slot
from service.errors import ModelUnavailable, SessionEnded
from tests.service.engine.conftest import (
    Engine,
    RunEngine,
    embed_job,
    maps_of,
    outcomes,
    respond_job,
    submitted,
)
from tests.support.clock import Clock
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio


async def test_an_embedding_and_a_response(engine: Engine) -> None:
    (slot,) = engine.slots.allocate(1)
    answer = await engine.batcher.submit(embed_job((slot,)))
    assert answer.responses is None
    answer = await engine.batcher.submit(respond_job((slot,)))
    assert answer.responses is not None
    assert [maps_of(each).shape for each in answer.responses] == [(1, 17, 17)]
    assert min(answer.queue_s, answer.infer_s) >= 0
    assert engine.batcher.failure is None


async def test_embeddings_are_read_back_if_asked_and_loaded_into_other_slots(engine: Engine) -> None:
    one, other = engine.slots.allocate(2)
    answer = await engine.batcher.submit(replace(embed_job((one,)), read_back=True))
    assert answer.responses is None
    assert answer.embeddings is not None
    assert (await engine.batcher.submit(embed_job((one,)))).embeddings is None
    # In one batch with the search that needs it.
    with engine.predictor.held("respond") as begun:
        blocking = asyncio.create_task(engine.batcher.submit(respond_job((one,))))
        await reached(begun)
        tasks = await submitted(engine, [respond_job((other,)), Load((other,), answer.embeddings)])
    searched, loaded = await outcomes(tasks)
    await blocking
    assert isinstance(searched, JobResult)
    assert searched.responses is not None
    assert isinstance(loaded, JobResult)
    assert (loaded.responses, loaded.embeddings) == (None, None)
    assert engine.predictor.exemplars[other.index] == (other, engine.predictor.exemplars[one.index][1])


async def test_a_job_without_slots_is_answered(engine: Engine) -> None:
    answer = await engine.batcher.submit(respond_job(()))
    assert answer.responses is None


async def test_jobs_that_wait_for_the_device_become_one_batch(engine: Engine) -> None:
    a, b, c, d = await engine.embedded(4)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job((a,))))
        await reached(begun)
        others = await submitted(engine, [respond_job((b,)), respond_job((d, c))])
    answers = await outcomes([first, *others])
    assert [call.slots for call in engine.predictor.of("respond")] == [(a,), (b, d, c)]
    assert [len(answer.responses) for answer in answers] == [1, 1, 2]  # type: ignore[union-attr, arg-type]


async def test_every_job_gets_its_own_result_out_of_the_batch(engine: Engine) -> None:
    slots = await engine.embedded(3)
    jobs = [respond_job((slot,)) for slot in slots]
    for index, job in enumerate(jobs):
        # A white square below the crop's middle by 8 px, which is one cell, more each time.
        crops_of(job.searches)[0, 0, 120 + 8 * index : 135 + 8 * index, 120:135] = 255
    with engine.predictor.held("embed") as begun:
        (extra,) = engine.slots.allocate(1)
        first = asyncio.create_task(engine.batcher.submit(embed_job((extra,))))
        await reached(begun)
        tasks = await submitted(engine, jobs)  # type: ignore[arg-type]
    await first
    peaks = [divmod(int(maps_of(answer.responses[0])[0].argmax()), 17) for answer in await outcomes(tasks)]  # type: ignore[union-attr, index]
    assert peaks == [(8, 8), (9, 8), (10, 8)]
    assert len(engine.predictor.of("respond")) == 1


async def test_a_pass_is_filled_and_a_job_that_does_not_fit_continues_in_the_next(engine: Engine) -> None:
    slots = await engine.embedded(4)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job(slots[:1])))
        await reached(begun)
        jobs = [respond_job(slots[:3]), respond_job(slots[:2]), respond_job(slots[2:]), respond_job(slots[:1])]
        others = await submitted(engine, jobs)  # type: ignore[arg-type]
    answers = await outcomes([first, *others])
    # Smaller ones are due earlier: one, two, one of the other two; then what is left of that, and three.
    passes = [call.slots for call in engine.predictor.of("respond")]
    assert passes == [slots[:1], (*slots[:1], *slots[:2], *slots[2:3]), (*slots[3:], *slots[:3])]
    assert [len(answer.responses) for answer in answers] == [1, 3, 2, 2, 1]  # type: ignore[union-attr, arg-type]


async def test_a_job_larger_than_a_pass_runs_in_several(engine: Engine) -> None:
    slots = await engine.embedded(10)
    answer = await engine.batcher.submit(respond_job(slots))
    assert answer.responses is not None
    assert len(answer.responses) == 10
    assert [len(call.slots) for call in engine.predictor.of("embed")] == [4, 4, 2]
    assert [call.slots for call in engine.predictor.of("respond")] == [slots[:4], slots[4:8], slots[8:]]


async def test_exemplars_of_one_pass_are_embedded_at_once(engine: Engine) -> None:
    (old,) = await engine.embedded(1)
    new, other = engine.slots.allocate(2)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job((old,))))
        await reached(begun)
        tasks = await submitted(engine, [replace(embed_job((new,)), read_back=True), embed_job((other,))])
    _, one, two = await outcomes([first, *tasks])
    assert engine.predictor.of("embed")[-1].slots == (new, other)
    assert isinstance(one, JobResult)
    assert one.embeddings is not None
    assert isinstance(two, JobResult)
    assert two.embeddings is None


async def test_a_target_may_be_embedded_and_searched_in_one_batch(engine: Engine) -> None:
    (old,) = await engine.embedded(1)
    (new,) = engine.slots.allocate(1)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job((old,))))
        await reached(begun)
        # The search stands before the embedding in the queue, and both are in one batch.
        tasks = await submitted(engine, [respond_job((old,)), embed_job((new,)), respond_job((new,))])
    answers = await outcomes([first, *tasks])
    assert all(isinstance(answer, JobResult) for answer in answers)
    assert [call.kind for call in engine.predictor.calls[-3:]] == ["respond", "embed", "respond"]


async def test_a_stale_slot_is_answered_and_costs_the_others_nothing(engine: Engine) -> None:
    gone, half, kept = await engine.embedded(3)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job((kept,))))
        await reached(begun)
        tasks = await submitted(engine, [respond_job((gone,)), respond_job((half, kept)), respond_job((kept,))])
        engine.slots.release(gone)
        engine.slots.release(half)
        # The index has a new owner by now: the old job must not see its exemplar.
        engine.slots.allocate(2)
    answers = await outcomes([first, *tasks])
    assert [type(answer) for answer in answers] == [JobResult, SessionEnded, SessionEnded, JobResult]
    assert engine.predictor.of("respond")[-1].slots == (kept,)


async def test_a_batch_of_only_stale_slots_does_not_reach_the_device(engine: Engine) -> None:
    (gone,) = await engine.embedded(1)
    engine.slots.release(gone)
    with pytest.raises(SessionEnded):
        await engine.batcher.submit(respond_job((gone,)))
    assert engine.predictor.of("respond") == []


async def test_cancelled_callers_are_skipped(engine: Engine) -> None:
    a, b = await engine.embedded(2)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job((a,))))
        await reached(begun)
        left, stays = await submitted(engine, [respond_job((a,)), respond_job((b,))])
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
    await outcomes([first, stays])
    assert [call.slots for call in engine.predictor.of("respond")] == [(a,), (b,)]


async def test_a_caller_cancelled_on_the_device_harms_no_other(engine: Engine) -> None:
    a, b = await engine.embedded(2)
    with engine.predictor.held("respond") as begun:
        leaving = asyncio.create_task(engine.batcher.submit(respond_job((a,))))
        await reached(begun)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    assert (await engine.batcher.submit(respond_job((b,)))).responses is not None


async def test_a_batch_waits_to_be_filled(run_engine: RunEngine) -> None:
    # Long enough that only a full batch can end it.
    async with run_engine(batch_max=2, wait_s=3600.0) as engine:
        slots = engine.slots.allocate(2)
        await engine.batcher.submit(embed_job(slots))
        one = asyncio.create_task(engine.batcher.submit(respond_job(slots[:1])))
        await eventually(lambda: len(engine.batcher._queue) == 1)
        assert not one.done()
        await engine.batcher.submit(respond_job(slots[1:]))
        await one
        assert [call.slots for call in engine.predictor.of("respond")] == [slots]


async def test_a_batch_does_not_wait_for_ever(run_engine: RunEngine) -> None:
    async with run_engine(batch_max=8, wait_s=0.001) as engine:
        (slot,) = await engine.embedded(1)
        assert (await engine.batcher.submit(respond_job((slot,)))).responses is not None


async def test_a_stop_does_not_wait_for_a_batch_to_fill(run_engine: RunEngine) -> None:
    async with run_engine(batch_max=8, wait_s=3600.0) as engine:
        task = asyncio.create_task(engine.batcher.submit(embed_job(engine.slots.allocate(1))))
        await eventually(lambda: len(engine.batcher._queue) == 1)
        async with asyncio.timeout(20):
            await engine.batcher.stop()
        # Whether it still ran or not, it was answered.
        (answer,) = await outcomes([task])
        assert isinstance(answer, JobResult | ModelUnavailable)


async def test_a_pass_takes_no_longer_than_it_should(run_engine: RunEngine) -> None:
    clock = Clock()
    async with run_engine(batch_max=8, pass_s=0.1, clock=clock) as engine:
        slots = engine.slots.allocate(8)
        await engine.batcher.submit(embed_job(slots))
        slow_search = engine.predictor.respond

        def respond(slots: Sequence[Slot], searches: Sequence[Search]) -> Pending:
            clock.advance(0.04 * len(slots))
            return slow_search(slots, searches)

        engine.predictor.respond = respond  # type: ignore[method-assign]
        answers = [await engine.batcher.submit(respond_job(slots)) for _ in range(2)]
    assert [len(call.slots) for call in engine.predictor.of("respond")] == [8, 2, 2, 2, 2]
    # The device's time is that of all its passes.
    assert [answer.infer_s for answer in answers] == pytest.approx([0.32, 0.32])
    assert [answer.queue_s for answer in answers] == pytest.approx([0, 0])


async def test_batches_are_measured(engine: Engine) -> None:
    slots = await engine.embedded(3)
    await engine.batcher.submit(respond_job(slots[:2]))
    text = engine.metrics.render().decode()
    assert "siamfc_batch_size_count 2.0" in text
    assert "siamfc_batch_size_sum 5.0" in text
