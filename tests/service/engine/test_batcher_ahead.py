"""Passes begun ahead: at most one, before the last one is answered, and every job gets its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from model.search import crops_of
from service.engine.jobs import JobResult
from service.engine.slots import Slot
from service.errors import ModelUnavailable
from tests.service.engine.conftest import (
    Engine,
    RunEngine,
    embed_job,
    maps_of,
    outcomes,
    raises_unavailable,
    respond_job,
    submitted,
)
from tests.support.clock import Clock
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ahead(run_engine: RunEngine) -> AsyncIterator[Engine]:
    """A batcher whose passes are not ready at once, with one target in a pass."""
    async with run_engine(batch_max=1) as engine:
        engine.predictor.awaited = True
        yield engine


def kinds(engine: Engine) -> list[str]:
    """The predictor's calls after the embedding."""
    return [call.kind for call in engine.predictor.calls if call.kind in ("respond", "answer")]


async def waiting_behind_a_pass(engine: Engine, count: int) -> list[asyncio.Task[JobResult]]:
    """Jobs of one slot each, all queued while the first of them is begun."""
    slots = await engine.embedded(count)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job(slots[:1])))
        await reached(begun)
        others = await submitted(engine, [respond_job((slot,)) for slot in slots[1:]])
    return [first, *others]


async def test_the_next_pass_is_begun_before_the_last_is_answered_and_no_third(ahead: Engine) -> None:
    with ahead.predictor.held("answer") as asked:
        tasks = await waiting_behind_a_pass(ahead, 3)
        await reached(asked)
        assert kinds(ahead) == ["respond", "respond", "answer"]
        assert not any(task.done() for task in tasks)
    assert all(isinstance(answer, JobResult) for answer in await outcomes(tasks))
    assert kinds(ahead) == ["respond", "respond", "answer", "respond", "answer", "answer"]


async def test_a_pass_holds_what_the_device_takes_at_once(run_engine: RunEngine) -> None:
    async with run_engine(batch_max=8) as engine:
        engine.predictor.awaited, engine.predictor.cores = True, 2
        slots = await engine.embedded(6)
        with engine.predictor.held("respond") as begun:
            first = asyncio.create_task(engine.batcher.submit(respond_job(slots[:1])))
            await reached(begun)
            others = await submitted(engine, [respond_job(slots[1:4]), *[respond_job((slot,)) for slot in slots[4:]]])
        assert all(isinstance(answer, JobResult) for answer in await outcomes([first, *others]))
    assert [len(call.slots) for call in engine.predictor.of("respond")] == [1, 2, 2, 1]


async def test_a_pass_with_no_job_behind_it_is_answered_at_once(ahead: Engine) -> None:
    slots = await ahead.embedded(1)
    for _ in range(2):
        assert (await ahead.batcher.submit(respond_job(slots))).responses is not None
    assert kinds(ahead) == ["respond", "answer"] * 2


async def test_a_job_in_several_passes_gets_all_its_parts_in_order(ahead: Engine) -> None:
    slots = await ahead.embedded(3)
    job = respond_job(slots)
    for index in range(3):
        crops_of(job.searches[index : index + 1])[0, 0, 120 + 8 * index : 135 + 8 * index, 120:135] = 255
    answer = await ahead.batcher.submit(job)
    assert answer.responses is not None
    assert [divmod(int(maps_of(each)[0].argmax()), 17) for each in answer.responses] == [(8, 8), (9, 8), (10, 8)]


async def test_a_new_target_is_embedded_between_passes_under_way(ahead: Engine) -> None:
    (old,) = await ahead.embedded(1)
    (new,) = ahead.slots.allocate(1)
    with ahead.predictor.held("respond") as begun:
        first = asyncio.create_task(ahead.batcher.submit(respond_job((old,))))
        await reached(begun)
        tasks = await submitted(ahead, [embed_job((new,)), respond_job((new,))])
    answers = await outcomes([first, *tasks])
    assert all(isinstance(answer, JobResult) for answer in answers)


async def test_time_behind_another_pass_counts_as_waiting(run_engine: RunEngine) -> None:
    clock = Clock()
    async with run_engine(batch_max=1, clock=clock) as engine:
        engine.predictor.awaited = True
        with engine.predictor.held("answer") as asked:
            tasks = await waiting_behind_a_pass(engine, 2)
            await reached(asked)
            clock.advance(5)
        first, second = await outcomes(tasks)
    assert isinstance(first, JobResult)
    assert isinstance(second, JobResult)
    assert (first.queue_s, first.infer_s) == (0, 5)
    # Begun when the first was, and done when the first was.
    assert (second.queue_s, second.infer_s) == (5, 0)


async def test_a_pass_that_fails_when_it_is_asked_for_fails_alone(
    ahead: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = await ahead.embedded(2)
    probes, respond = len(ahead.predictor.of("probe")), ahead.predictor.respond

    class Lost:
        ready = False

        def result(self) -> None:
            raise RuntimeError("device lost")

    def first_is_lost(asked: Sequence[Slot], searches: Any) -> Any:
        later = respond(asked, searches)
        return Lost() if asked[0] == slots[0] else later

    monkeypatch.setattr(ahead.predictor, "respond", first_is_lost)
    with ahead.predictor.held("respond") as begun:
        first = asyncio.create_task(ahead.batcher.submit(respond_job(slots[:1])))
        await reached(begun)
        (second,) = await submitted(ahead, [respond_job(slots[1:])])
    # The second had been begun: it is answered before the model is tried again.
    assert [type(answer) for answer in await outcomes([first, second])] == [ModelUnavailable, JobResult]
    await eventually(lambda: ahead.batcher.failure is None)
    assert [call.kind for call in ahead.predictor.calls[-4:]] == ["respond", "respond", "answer", "probe"]
    assert len(ahead.predictor.of("probe")) == probes + 1


async def test_a_pass_that_cannot_be_begun_leaves_the_one_under_way_its_answer(ahead: Engine) -> None:
    slots = await ahead.embedded(2)
    with ahead.predictor.held("respond") as begun:
        first = asyncio.create_task(ahead.batcher.submit(respond_job(slots[:1])))
        await reached(begun)
        # An embedding, which fails, is begun while the search is under way.
        (second,) = await submitted(ahead, [embed_job(slots[1:])])
        ahead.predictor.fail("embed", RuntimeError("device lost"))
    answers = await outcomes([first, second])
    assert [type(answer) for answer in answers] == [JobResult, ModelUnavailable]
    ahead.predictor.mend("embed")
    await eventually(lambda: ahead.batcher.failure is None)


@pytest.mark.parametrize("kind", ["answer", "respond"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_dead_worker_answers_what_is_under_way_too(ahead: Engine, kind: str) -> None:
    slots = await ahead.embedded(3)
    with ahead.predictor.held("answer") as asked:
        with ahead.predictor.held("respond") as begun:
            first = asyncio.create_task(ahead.batcher.submit(respond_job(slots[:1])))
            await reached(begun)
            others = await submitted(ahead, [respond_job((slot,)) for slot in slots[1:]])
        await reached(asked)
        ahead.predictor.fail(kind, SystemExit(3))  # type: ignore[arg-type]
    answers = await outcomes([first, *others])
    # The answer of the first is there where it is the third pass that kills the worker.
    assert [type(answer) for answer in answers] == [
        ModelUnavailable if kind == "answer" else JobResult,
        ModelUnavailable,
        ModelUnavailable,
    ]
    await eventually(lambda: not ahead.batcher._thread.is_alive())
    await raises_unavailable(ahead.batcher.submit(respond_job(slots[:1])))


async def test_stopping_answers_what_is_under_way(ahead: Engine) -> None:
    with ahead.predictor.held("answer") as asked:
        tasks = await waiting_behind_a_pass(ahead, 3)
        await reached(asked)
        stopping = asyncio.create_task(ahead.batcher.stop())
        await eventually(lambda: ahead.batcher._stopping)
    answers = await outcomes(tasks)
    await stopping
    assert [type(answer) for answer in answers] == [JobResult, JobResult, ModelUnavailable]
