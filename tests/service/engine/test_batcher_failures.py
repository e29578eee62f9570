"""A failing batch, a dead worker, the start and the stop: every job is answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from model.inference.pending import Pending
from model.search import Search
from service.engine import batcher as batching
from service.engine.batcher import Batcher
from service.engine.jobs import JobResult
from service.engine.slots import Slot, SlotTable
from service.errors import ModelUnavailable
from service.operations.metrics import Metrics
from tests.service.engine.conftest import (
    Engine,
    RunEngine,
    embed_job,
    outcomes,
    raises_unavailable,
    respond_job,
    submitted,
)
from tests.support.fake_predictor import FakePredictor, Kind
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["embed", "respond"])
async def test_a_failing_batch_fails_its_jobs_and_the_next_one_works(engine: Engine, kind: str) -> None:
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
    assert (await engine.batcher.submit(respond_job(slots))).responses is not None


async def test_a_failed_pass_fails_only_its_own_jobs_and_their_rest_is_not_tried(engine: Engine) -> None:
    slots = await engine.embedded(10)
    with engine.predictor.held("respond") as begun:
        first = asyncio.create_task(engine.batcher.submit(respond_job(slots[:1])))
        await reached(begun)
        # Four in a pass: one small job, three of the large one, which goes on for two passes more; last of all another.
        small, large = await submitted(engine, [respond_job(slots[:1]), respond_job(slots[1:10])])
        (late,) = await submitted(engine, [respond_job(slots)])
        respond, passes = engine.predictor.respond, 0

        def second_fails(asked: Sequence[Slot], searches: Sequence[Search]) -> Pending:
            nonlocal passes
            passes += 1
            if passes == 2:
                raise RuntimeError("device lost")
            return respond(asked, searches)

        engine.predictor.respond = second_fails  # type: ignore[method-assign, assignment]
    answers = await outcomes([first, small, large, late])
    assert [type(answer) for answer in answers] == [JobResult, JobResult, ModelUnavailable, JobResult]
    assert [len(call.slots) for call in engine.predictor.of("respond")] == [1, 4, 4, 4, 2]


async def test_between_a_failure_and_the_next_good_probe_no_job_is_accepted(engine: Engine) -> None:
    slots = await engine.embedded(1)
    engine.predictor.fail("respond", RuntimeError("device lost"))
    with engine.predictor.held("probe") as begun:
        assert "RuntimeError" in await raises_unavailable(engine.batcher.submit(respond_job(slots)))
        await reached(begun)
        assert engine.batcher.failure is not None
        assert "RuntimeError" in await raises_unavailable(engine.batcher.submit(respond_job(slots)))
    engine.predictor.mend("respond")
    await eventually(lambda: engine.batcher.failure is None)
    assert (await engine.batcher.submit(respond_job(slots))).responses is not None


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
    assert (await engine.batcher.submit(respond_job(slots))).responses is not None


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
async def test_a_dead_worker_fails_all_waiting_jobs_and_says_so(engine: Engine, kind: str) -> None:
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
    assert engine.batcher.lost == "the model worker has ended"
    await raises_unavailable(engine.batcher.submit(respond_job(slots)))


async def test_before_the_warm_up_no_job_is_accepted() -> None:
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
    assert (await batcher.submit(job)).responses is None
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
    assert [type(answer) for answer in answers] == [JobResult, ModelUnavailable, ModelUnavailable]
    assert not engine.batcher._thread.is_alive()


async def test_after_the_stop_no_job_is_accepted(engine: Engine) -> None:
    slots = await engine.embedded(1)
    await engine.batcher.stop()
    await engine.batcher.stop()
    await raises_unavailable(engine.batcher.submit(respond_job(slots)))
    assert engine.batcher.failure is not None


async def test_a_batcher_that_was_never_started_can_be_stopped() -> None:
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


@pytest.mark.parametrize("kind", ["embed", "respond", "answer"])
async def test_a_pass_that_hangs_is_given_up_and_every_job_answered(
    run_engine: RunEngine, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_engine(pass_limit_s=0.5) as engine:
        engine.predictor.awaited = True
        slots = await engine.embedded(2)
        assert engine.batcher.lost is None
        with engine.predictor.held(kind) as begun:
            job = embed_job if kind == "embed" else respond_job
            hanging = asyncio.create_task(engine.batcher.submit(job(slots[:1])))
            await reached(begun)
            waiting = await submitted(engine, [respond_job(slots[1:]) for _ in range(3)])
            answers = await outcomes([hanging, *waiting])
            assert [type(answer) for answer in answers] == [ModelUnavailable] * 4
            assert (
                engine.batcher.lost
                == engine.batcher.failure
                == "the model does not answer: a pass takes more than 0.5 s"
            )
            assert "0.5 s" in await raises_unavailable(engine.batcher.submit(respond_job(slots)))
        # The worker comes back after all: too late.
        await eventually(lambda: not engine.batcher.working)
        assert engine.batcher.lost is not None
    assert "fake_predictor" in caplog.text, "the log does not say where the worker is"


async def test_a_probe_that_hangs_is_given_up(run_engine: RunEngine) -> None:
    async with run_engine(pass_limit_s=0.5) as engine:
        slots = await engine.embedded(1)
        engine.predictor.fail("respond", RuntimeError("device lost"))
        with engine.predictor.held("probe"):
            await raises_unavailable(engine.batcher.submit(respond_job(slots)))
            await eventually(lambda: engine.batcher.lost)


async def test_the_stop_does_not_wait_for_a_pass_that_hangs(run_engine: RunEngine) -> None:
    async with run_engine() as engine:
        slots = await engine.embedded(1)
        with engine.predictor.held("respond") as begun:
            hanging = asyncio.create_task(engine.batcher.submit(respond_job(slots)))
            await reached(begun)
            async with asyncio.timeout(10):
                await engine.batcher.stop()
            assert engine.batcher.working
            with pytest.raises(ModelUnavailable):
                await hanging


async def test_a_worker_that_was_stopped_is_not_lost(engine: Engine) -> None:
    await engine.batcher.stop()
    assert engine.batcher.lost is None
    assert not engine.batcher.working
