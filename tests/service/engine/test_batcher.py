"""One thread, whatever waits in one batch, and an answer to everybody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable

import pytest

from service.engine import batcher as batching
from service.engine.batcher import Answer, Batcher
from service.engine.jobs import Job
from service.engine.slots import SlotTable
from service.errors import ModelUnavailable, SessionEnded
from service.metrics import Metrics
from tests.service.engine.conftest import Engine, RunEngine, embed_job, respond_job
from tests.support.fake_predictor import FakePredictor
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio


async def submitted(engine: Engine, jobs: list[Job]) -> list[asyncio.Task[Answer]]:
    """Tasks that have handed their jobs in, in that order."""
    tasks = [asyncio.create_task(engine.batcher.submit(job)) for job in jobs]
    await eventually(lambda: len(engine.batcher._waiting) >= len(jobs))
    return tasks


async def outcomes(tasks: list[asyncio.Task[Answer]]) -> list[Answer | BaseException]:
    """What became of each, in order; nobody may wait for ever."""
    async with asyncio.timeout(20):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def raises_unavailable(call: Awaitable[object]) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        await call
    return caught.value.detail


async def test_an_embedding_and_a_response(engine: Engine) -> None:
    (slot,) = engine.slots.allocate(1)
    answer = await engine.batcher.submit(embed_job((slot,)))
    assert answer.maps is None
    answer = await engine.batcher.submit(respond_job((slot,)))
    assert answer.maps is not None
    assert answer.maps.shape == (1, 1, 17, 17)
    assert min(answer.queue_s, answer.infer_s) >= 0
    assert engine.batcher.failure is None


async def test_a_job_without_slots_is_answered(engine: Engine) -> None:
    answer = await engine.batcher.submit(respond_job(()))
    assert answer.maps is None


async def test_what_waits_while_the_device_is_busy_becomes_one_batch(engine: Engine) -> None:
    a, b, c, d = await engine.embedded(4)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job((a,))))
        await reached(begun)
        others = await submitted(engine, [respond_job((b,)), respond_job((d, c))])
    answers = await outcomes([first, *others])
    assert [call.slots for call in engine.predictor.of("respond")] == [(a,), (b, d, c)]
    assert [len(answer.maps) for answer in answers] == [1, 1, 2]  # type: ignore[union-attr, arg-type]


async def test_each_gets_its_own_answer_out_of_the_batch(engine: Engine) -> None:
    slots = await engine.embedded(3)
    jobs = [respond_job((slot,)) for slot in slots]
    for index, job in enumerate(jobs):
        # A white square below the crop's middle by 8 px, which is one cell, more each time.
        job.crops[0, 0, 120 + 8 * index : 135 + 8 * index, 120:135] = 255
    with engine.predictor.held("embed") as begun:
        (extra,) = engine.slots.allocate(1)
        first = asyncio.create_task(engine.batcher.submit(embed_job((extra,))))
        await reached(begun)
        tasks = await submitted(engine, jobs)  # type: ignore[arg-type]
    await first
    peaks = [divmod(int(answer.maps[0, 0].argmax()), 17) for answer in await outcomes(tasks)]  # type: ignore[union-attr, index]
    assert peaks == [(8, 8), (9, 8), (10, 8)]
    assert len(engine.predictor.of("respond")) == 1


async def test_a_batch_is_cut_off_at_its_most_targets_and_keeps_the_order(engine: Engine) -> None:
    slots = await engine.embedded(4)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job(slots[:1])))
        await reached(begun)
        jobs = [respond_job(slots[:3]), respond_job(slots[:2]), respond_job(slots[2:]), respond_job(slots[:1])]
        others = await submitted(engine, jobs)  # type: ignore[arg-type]
    await outcomes([first, *others])
    # Three and two are five: one too many for one pass. Two and two are four.
    passes = [call.slots for call in engine.predictor.of("respond")]
    assert passes == [slots[:1], slots[:3], slots, slots[:1]]


async def test_a_job_beyond_the_most_targets_runs_in_several_passes(engine: Engine) -> None:
    slots = await engine.embedded(10)
    answer = await engine.batcher.submit(respond_job(slots))
    assert answer.maps is not None
    assert len(answer.maps) == 10
    assert [len(call.slots) for call in engine.predictor.of("embed")] == [4, 4, 2]
    assert [call.slots for call in engine.predictor.of("respond")] == [slots[:4], slots[4:8], slots[8:]]


async def test_a_target_may_be_embedded_and_searched_in_one_batch(engine: Engine) -> None:
    (old,) = await engine.embedded(1)
    (new,) = engine.slots.allocate(1)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job((old,))))
        await reached(begun)
        # The search stands before the embedding in the queue, and both are in one batch.
        tasks = await submitted(engine, [respond_job((old,)), embed_job((new,)), respond_job((new,))])
    answers = await outcomes([first, *tasks])
    assert all(isinstance(answer, Answer) for answer in answers)
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
    assert [type(answer) for answer in answers] == [Answer, SessionEnded, SessionEnded, Answer]
    assert engine.predictor.of("respond")[-1].slots == (kept,)


async def test_a_batch_of_nothing_but_stale_slots_does_not_reach_the_device(engine: Engine) -> None:
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


async def test_a_caller_cancelled_on_the_device_harms_nobody(engine: Engine) -> None:
    a, b = await engine.embedded(2)
    with engine.predictor.held("respond") as begun:
        leaving = asyncio.create_task(engine.batcher.submit(respond_job((a,))))
        await reached(begun)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    assert (await engine.batcher.submit(respond_job((b,)))).maps is not None


@pytest.mark.parametrize("kind", ["embed", "respond"])
async def test_a_failing_batch_answers_everybody_and_the_next_one_works(engine: Engine, kind: str) -> None:
    slots = await engine.embedded(3)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job(slots[:1])))
        await reached(begun)
        job = embed_job if kind == "embed" else respond_job
        tasks = await submitted(engine, [job((slot,)) for slot in slots])
        engine.predictor.fail(kind, RuntimeError("device lost"))  # type: ignore[arg-type]
    answers = await outcomes([first, *tasks])
    failed = answers[1:] if kind == "embed" else answers
    assert all(isinstance(answer, ModelUnavailable) for answer in failed)
    assert all("device lost" not in str(answer) for answer in failed)
    engine.predictor.mend(kind)  # type: ignore[arg-type]
    await eventually(lambda: engine.batcher.failure is None)
    assert (await engine.batcher.submit(respond_job(slots))).maps is not None


async def test_between_a_failure_and_the_next_good_probe_nothing_is_taken(engine: Engine) -> None:
    slots = await engine.embedded(1)
    engine.predictor.fail("respond", RuntimeError("device lost"))
    with engine.predictor.held("probe") as begun:
        assert "RuntimeError" in await raises_unavailable(engine.batcher.submit(respond_job(slots)))
        await reached(begun)
        assert engine.batcher.failure is not None
        assert "RuntimeError" in await raises_unavailable(engine.batcher.submit(respond_job(slots)))
    engine.predictor.mend("respond")
    await eventually(lambda: engine.batcher.failure is None)
    assert (await engine.batcher.submit(respond_job(slots))).maps is not None


async def test_a_probe_that_keeps_failing_keeps_the_model_out_until_it_passes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_RETRY_S", 0.001)
    slots = await engine.embedded(1)
    engine.predictor.fail("probe", OSError("no such device"))
    engine.predictor.fail("respond", RuntimeError("device lost"))
    probes = len(engine.predictor.of("probe"))
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job(slots)))
        await reached(begun)
        (second,) = await submitted(engine, [respond_job(slots)])
    assert all(isinstance(answer, ModelUnavailable) for answer in await outcomes([first, second]))
    await eventually(lambda: len(engine.predictor.of("probe")) > probes + 3)
    assert engine.batcher.failure == "the model does not work: OSError"
    assert "OSError" in await raises_unavailable(engine.batcher.submit(respond_job(slots)))
    engine.predictor.mend("probe")
    engine.predictor.mend("respond")
    await eventually(lambda: engine.batcher.failure is None)
    assert (await engine.batcher.submit(respond_job(slots))).maps is not None


async def test_a_probe_that_keeps_failing_does_not_hold_up_the_stop(engine: Engine) -> None:
    slots = await engine.embedded(1)
    engine.predictor.fail("probe", OSError("no such device"))
    engine.predictor.fail("respond", RuntimeError("device lost"))
    await raises_unavailable(engine.batcher.submit(respond_job(slots)))
    await eventually(lambda: "OSError" in (engine.batcher.failure or ""))
    async with asyncio.timeout(20):
        await engine.batcher.stop()


@pytest.mark.parametrize("kind", ["respond", "probe"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_dead_worker_answers_all_that_wait_and_says_so(engine: Engine, kind: str) -> None:
    slots = await engine.embedded(2)
    if kind == "probe":
        engine.predictor.fail("respond", RuntimeError("device lost"))
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job(slots[:1])))
        await reached(begun)
        waiting = await submitted(engine, [respond_job(slots[:1]), respond_job(slots)])
        engine.predictor.fail(kind, SystemExit(3))  # type: ignore[arg-type]
    assert all(isinstance(answer, ModelUnavailable) for answer in await outcomes([first, *waiting]))
    await eventually(lambda: not engine.batcher._thread.is_alive())
    assert engine.batcher.failure is not None
    await raises_unavailable(engine.batcher.submit(respond_job(slots)))


async def test_before_it_is_warm_nothing_is_taken() -> None:
    predictor, slots = FakePredictor(), SlotTable(1)
    batcher = Batcher(predictor, slots, Metrics(), batch_max=1)
    job = embed_job(slots.allocate(1))
    assert "warmed up" in await raises_unavailable(batcher.submit(job))
    with predictor.held("probe") as begun:
        starting = asyncio.create_task(batcher.start())
        await reached(begun)
        assert not starting.done()
        assert "warmed up" in await raises_unavailable(batcher.submit(job))
    await starting
    assert (await batcher.submit(job)).maps is None
    await batcher.stop()


@pytest.mark.parametrize("error", [RuntimeError("no kernel"), SystemExit(3)], ids=["error", "exit"])
async def test_a_model_that_does_not_work_at_all_fails_the_start(error: BaseException) -> None:
    predictor, slots = FakePredictor(), SlotTable(1)
    predictor.fail("probe", error)
    batcher = Batcher(predictor, slots, Metrics(), batch_max=1)
    with pytest.raises(RuntimeError, match=r"no kernel|does not work"):
        await batcher.start()
    assert batcher.failure is not None
    await raises_unavailable(batcher.submit(embed_job(slots.allocate(1))))
    await batcher.stop()


async def test_the_stop_lets_the_batch_finish_and_answers_the_waiting(engine: Engine) -> None:
    slots = await engine.embedded(2)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job(slots)))
        await reached(begun)
        waiting = await submitted(engine, [respond_job(slots), respond_job(slots)])
        stopping = asyncio.create_task(engine.batcher.stop())
        await eventually(lambda: engine.batcher._stopping)
    answers = await outcomes([first, *waiting])
    await stopping
    assert [type(answer) for answer in answers] == [Answer, ModelUnavailable, ModelUnavailable]
    assert not engine.batcher._thread.is_alive()


async def test_after_the_stop_nothing_is_taken(engine: Engine) -> None:
    slots = await engine.embedded(1)
    await engine.batcher.stop()
    await engine.batcher.stop()
    await raises_unavailable(engine.batcher.submit(respond_job(slots)))
    assert engine.batcher.failure is not None


async def test_one_that_was_never_started_can_be_stopped() -> None:
    await Batcher(FakePredictor(), SlotTable(1), Metrics(), batch_max=1).stop()


async def test_an_event_loop_that_has_gone_does_not_stop_the_thread() -> None:
    predictor, slots = FakePredictor(), SlotTable(1)
    batcher = Batcher(predictor, slots, Metrics(), batch_max=1)
    job = embed_job(slots.allocate(1))
    begun = threading.Event()

    async def leave() -> None:
        await batcher.start()
        submitting = asyncio.create_task(batcher.submit(job))
        await reached(reached_device)
        begun.set()
        submitting.cancel()

    with predictor.held("embed") as reached_device:
        await asyncio.to_thread(asyncio.run, leave())
    assert begun.is_set()
    await batcher.stop()
    assert not batcher._thread.is_alive()


async def test_a_batch_waits_to_be_filled(run_engine: RunEngine) -> None:
    # Long enough that only a full batch can end it.
    async with run_engine(batch_max=2, wait_s=3600.0) as engine:
        slots = engine.slots.allocate(2)
        await engine.batcher.submit(embed_job(slots))
        one = asyncio.create_task(engine.batcher.submit(respond_job(slots[:1])))
        await eventually(lambda: len(engine.batcher._waiting) == 1)
        assert not one.done()
        await engine.batcher.submit(respond_job(slots[1:]))
        await one
        assert [call.slots for call in engine.predictor.of("respond")] == [slots]


async def test_a_batch_does_not_wait_for_ever(run_engine: RunEngine) -> None:
    async with run_engine(batch_max=8, wait_s=0.001) as engine:
        (slot,) = await engine.embedded(1)
        assert (await engine.batcher.submit(respond_job((slot,)))).maps is not None


async def test_a_stop_does_not_wait_for_a_batch_to_fill(run_engine: RunEngine) -> None:
    async with run_engine(batch_max=8, wait_s=3600.0) as engine:
        task = asyncio.create_task(engine.batcher.submit(embed_job(engine.slots.allocate(1))))
        await eventually(lambda: len(engine.batcher._waiting) == 1)
        async with asyncio.timeout(20):
            await engine.batcher.stop()
        # Whether it still ran or not, it was answered.
        (answer,) = await outcomes([task])
        assert isinstance(answer, Answer | ModelUnavailable)


async def test_batches_are_measured(engine: Engine) -> None:
    slots = await engine.embedded(3)
    await engine.batcher.submit(respond_job(slots[:2]))
    text = engine.metrics.render().decode()
    assert "siamfc_batch_size_count 2.0" in text
    assert "siamfc_batch_size_sum 5.0" in text
