"""From frame to frame: targets are followed, and a failure or a refusal changes nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from typing import Any

import pytest

from model.tracker import Conclusion, Tracker
from service.errors import (
    AtCapacity,
    FrameSizeChanged,
    ImageTooLarge,
    InvalidBox,
    InvalidImage,
    ModelUnavailable,
    ServiceError,
    SessionNotFound,
    TargetNotFound,
    TooManyTargets,
)
from service.sessions import tracking
from service.sessions.requests import Placement
from service.sessions.session import Session
from tests.service.sessions.conftest import MAX_TARGETS, SLOTS, Core, boxes, slots_of
from tests.support import blobs
from tests.support.fake_predictor import Kind
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio

FAR_OFF = (1000.0, 1000.0, 20.0, 20.0)


async def test_a_session_follows_its_target(core: Core) -> None:
    session = await core.start((60, 50))
    assert (session.progress.frame_index, session.facts.frame_size, core.slots.used) == (0, (160, 120), 1)
    assert boxes(session) == {"0": [60, 50, 16, 16]}
    for index, (x, y) in enumerate([(63, 52), (66, 49), (72, 50)], 1):
        step = await core.advance(session, await core.decoded(x, y))
        assert session.progress is step.progress
        assert step.progress.frame_index == index
        assert boxes(session)["0"] == pytest.approx([x, y, 16, 16], abs=1)
        assert step.evidence["0"].response.maps.shape == (1, 17, 17)
        assert step.faults == ()
    assert session.progress.targets[0].track.status == "tracking"


@pytest.mark.parametrize(("few", "on_the_loop"), [(2, True), (1, False)], ids=["few", "many"])
async def test_few_peaks_are_read_on_the_loop_and_many_in_the_pool(
    core: Core, monkeypatch: pytest.MonkeyPatch, few: int, on_the_loop: bool
) -> None:
    where: list[bool] = []
    real = Tracker.conclude

    def conclude(*arguments: Any) -> Conclusion:
        where.append(threading.current_thread() is threading.main_thread())
        return real(*arguments)

    monkeypatch.setattr(tracking, "_FEW", few)
    monkeypatch.setattr(Tracker, "conclude", conclude)
    session = await core.start((60, 50), (60, 50))
    await core.advance(session, await core.decoded(63, 52))
    assert where == [on_the_loop, on_the_loop]
    for box in boxes(session).values():
        assert box == pytest.approx([63, 52, 16, 16], abs=1)


async def test_exemplars_are_those_of_the_boxes(core: Core) -> None:
    session = await core.start((60, 50), (10, 10))
    white, grey = (core.predictor.exemplars[slots_of(session)[name]][1] for name in "01")
    assert white > grey + 20


async def test_sessions_share_a_batch(core: Core) -> None:
    sessions = [await core.start((60, 50)), await core.start((20, 30))]
    frames = [await core.decoded(62, 51), await core.decoded(21, 33)]
    with core.predictor.held("embed") as begun:
        blocking = asyncio.create_task(core.start((60, 50)))
        await reached(begun)
        tasks = [
            asyncio.create_task(core.advance(session, frame)) for session, frame in zip(sessions, frames, strict=True)
        ]
        await eventually(lambda: len(core.batcher._queue) == 2)
    await asyncio.gather(blocking, *tasks)
    assert len(core.predictor.of("respond")) == 1
    assert boxes(sessions[0])["0"] == pytest.approx([62, 51, 16, 16], abs=1)
    assert boxes(sessions[1])["0"] == pytest.approx([21, 33, 16, 16], abs=1)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        pytest.param(None, 60, id="none"),
        pytest.param(10.0, 10, id="shorter"),
        pytest.param(1e9, 60, id="longer-than-allowed"),
    ],
)
async def test_time_to_live(core: Core, asked: float | None, given: float) -> None:
    assert (await core.start(ttl_s=asked)).facts.ttl_s == given


REFUSED_STARTS = [
    pytest.param(b"hello", [Placement("0", blobs.box(60, 50))], InvalidImage, id="not-an-image"),
    pytest.param(
        blobs.frame(0, 0, blobs.WIDTH, blobs.HEIGHT + 1),
        [Placement("0", blobs.box(60, 50))],
        ImageTooLarge,
        id="too-many-pixels",
    ),
    pytest.param(blobs.frame(60, 50), [Placement("0", FAR_OFF, "/box")], InvalidBox, id="box-off-the-frame"),
    pytest.param(
        blobs.frame(60, 50), [Placement(str(k), blobs.box(60, 50)) for k in range(4)], TooManyTargets, id="targets"
    ),
]


@pytest.mark.parametrize(("data", "placements", "error"), REFUSED_STARTS)
async def test_a_refused_start_leaves_nothing(
    core: Core, data: bytes, placements: list[Placement], error: type[ServiceError]
) -> None:
    with pytest.raises(error) as caught:
        await core.tracking.start(data, placements, "me")
    assert caught.value.pointer == ("/box" if error is InvalidBox else None)
    assert (len(core.registry), core.slots.used, core.predictor.of("embed")) == (0, 0, [])


async def test_a_start_without_free_slots_leaves_nothing(core: Core) -> None:
    for _ in range(SLOTS // MAX_TARGETS - 1):
        await core.start(*[(60, 50)] * MAX_TARGETS)
    await core.start((60, 50))
    used = core.slots.used
    with pytest.raises(AtCapacity):
        await core.start(*[(60, 50)] * MAX_TARGETS)
    assert core.slots.used == used


async def test_a_start_that_the_model_fails_leaves_nothing(core: Core) -> None:
    core.predictor.fail("embed", RuntimeError("device lost"))
    with pytest.raises(ModelUnavailable):
        await core.start((60, 50), (10, 10))
    assert (len(core.registry), core.slots.used) == (0, 0)
    core.predictor.mend("embed")
    await eventually(lambda: core.batcher.failure is None)
    await core.start()


async def unchanged(core: Core, session: Session, error: type[BaseException], call: Awaitable[object]) -> None:
    """Assert that the call raises, and that session and slots are as before."""
    before, used = session.progress, core.slots.used
    with pytest.raises(error):
        await call
    assert session.progress == before
    assert core.slots.used == used


async def test_a_frame_of_another_size_changes_nothing(core: Core) -> None:
    session = await core.start()
    frame = await core.tracking.decode(blobs.frame(60, 50, blobs.WIDTH, blobs.HEIGHT - 1))
    await unchanged(core, session, FrameSizeChanged, core.advance(session, frame))
    placement = Placement("0", blobs.box(60, 50))
    await unchanged(core, session, FrameSizeChanged, core.correct(session, frame, placement))


@pytest.mark.parametrize("kind", ["embed", "respond"])
async def test_a_frame_that_the_model_fails_changes_nothing(core: Core, kind: Kind) -> None:
    session = await core.start((60, 50), (10, 10))
    frame = await core.decoded(62, 50)
    core.predictor.fail(kind, RuntimeError("device lost"))
    placements = [Placement("1", blobs.box(62, 50)), Placement("new", blobs.box(62, 50))]
    await unchanged(core, session, ModelUnavailable, core.advance(session, frame, placements))
    core.predictor.mend(kind)
    await eventually(lambda: core.batcher.failure is None)
    step = await core.advance(session, frame, placements)
    assert (step.progress.frame_index, list(boxes(session))) == (1, ["0", "1", "new"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_maps_that_are_not_finite_are_a_failure(core: Core, value: float) -> None:
    session = await core.start()
    core.predictor.logits = value
    await unchanged(core, session, ModelUnavailable, core.advance(session, await core.decoded(62, 50)))
    core.predictor.logits = None
    await core.advance(session, await core.decoded(62, 50))
    assert session.progress.frame_index == 1


async def test_a_failure_to_read_the_maps_changes_nothing(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await core.start()

    def broken(*_: object) -> None:
        raise ArithmeticError("no peak")

    monkeypatch.setattr("model.tracker.Tracker.conclude", broken)
    placements = [Placement("new", blobs.box(62, 50))]
    call = core.advance(session, await core.decoded(62, 50), placements)
    await unchanged(core, session, ArithmeticError, call)


async def test_boxes_drawn_on_a_frame_add_and_correct(core: Core) -> None:
    session = await core.start((60, 50), (10, 10))
    before = slots_of(session)
    drawn = [Placement("1", blobs.box(62, 50)), Placement("new", (0.5, 0.5, 10.0, 12.0))]
    step = await core.advance(session, await core.decoded(62, 50), drawn)
    after = slots_of(session)
    assert list(after) == ["0", "1", "new"]
    assert after["0"] == before["0"]
    assert len(set(after.values())) == core.slots.used == 3
    assert boxes(session)["1"] == [62, 50, 16, 16]
    assert boxes(session)["new"] == [0.5, 0.5, 10, 12]
    assert list(step.evidence) == ["0"], "a target with a box drawn on it is not searched"
    assert session.progress.targets[1].track.score == 1.0


async def test_a_box_that_cannot_be_used_is_a_fault_and_the_others_go_on(core: Core) -> None:
    session = await core.start((60, 50), (10, 10))
    drawn = [
        Placement("0", FAR_OFF, "/box"),
        Placement("third", blobs.box(10, 10)),
        Placement("fourth", blobs.box(10, 10)),
        Placement("1", blobs.box(12, 10)),
    ]
    step = await core.advance(session, await core.decoded(63, 50), drawn)
    assert [type(fault) for fault in step.faults] == [InvalidBox, TooManyTargets]
    assert step.faults[0].pointer == "/box"
    assert list(boxes(session)) == ["0", "1", "third"]
    assert boxes(session)["0"] == pytest.approx([63, 50, 16, 16], abs=1)
    assert boxes(session)["1"] == [12, 10, 16, 16]


async def test_a_session_without_targets_goes_on(core: Core) -> None:
    session = await core.start()
    await core.remove(session, "0")
    assert core.slots.used == 0
    step = await core.advance(session, await core.decoded(60, 50))
    assert (step.progress.frame_index, step.progress.targets, step.queue_s) == (1, (), 0)
    assert core.predictor.of("respond") == []
    await core.advance(session, await core.decoded(60, 50), [Placement("a", blobs.box(60, 50))])
    assert list(boxes(session)) == ["a"]


async def test_removal(core: Core) -> None:
    session = await core.start((60, 50), (10, 10))
    await core.remove(session, "0")
    assert (list(boxes(session)), core.slots.used, session.progress.frame_index) == (["1"], 1, 0)
    with pytest.raises(TargetNotFound):
        await core.remove(session, "0")
    await core.leases.delete(session.id, "me")
    with pytest.raises(SessionNotFound):
        await core.remove(session, "1")
    assert core.slots.used == 0


async def test_corrections_keep_the_count_and_the_others(core: Core) -> None:
    session = await core.start((60, 50), (10, 10))
    other, used = session.target("1"), core.slots.used
    await core.correct(session, await core.decoded(62, 50), Placement("0", blobs.box(62, 50)))
    assert boxes(session)["0"] == [62, 50, 16, 16]
    assert session.target("1") == other
    assert (session.progress.frame_index, core.slots.used) == (0, used)
    await core.correct(session, await core.decoded(62, 50), Placement("new", blobs.box(62, 50)))
    assert (list(boxes(session)), core.slots.used) == (["0", "1", "new"], 3)


async def test_refused_corrections_change_nothing(core: Core) -> None:
    session = await core.start((60, 50), (10, 10), (20, 20))
    frame, correct = await core.decoded(60, 50), core.correct
    await unchanged(core, session, InvalidBox, correct(session, frame, Placement("0", FAR_OFF)))
    await unchanged(core, session, TooManyTargets, correct(session, frame, Placement("4", blobs.box(60, 50))))
    core.predictor.fail("embed", RuntimeError("device lost"))
    await unchanged(core, session, ModelUnavailable, correct(session, frame, Placement("0", blobs.box(60, 50))))


async def test_progress_and_corrections_keep_a_session_alive(core: Core) -> None:
    session = await core.start()
    core.clock.advance(50)
    await core.advance(session, await core.decoded(60, 50))
    core.clock.advance(50)
    await core.correct(session, await core.decoded(60, 50), Placement("0", blobs.box(60, 50)))
    core.clock.advance(50)
    assert (await core.leases.read(session.id, "me")).state.frame_index == 1
    core.clock.advance(10)
    assert core.registry.sweep() == [session]
