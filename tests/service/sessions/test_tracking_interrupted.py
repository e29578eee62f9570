"""A step that is cancelled, or whose session ends, leaks nothing and disturbs no other session."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from model.tracker import Tracker
from service.errors import (
    AtCapacity,
    SessionEnded,
)
from service.sessions import tracking
from service.sessions.requests import Placement
from service.sessions.session import Session
from tests.service.sessions.conftest import MAX_TARGETS, Core, boxes, slots_of
from tests.support import blobs
from tests.support.fake_predictor import Kind
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio


Call = Callable[[Core, Session], Awaitable[object]]


async def advancing(core: Core, session: Session) -> None:
    drawn = [Placement("0", blobs.box(62, 50)), Placement("new", blobs.box(62, 50))]
    await core.advance(session, await core.decoded(62, 50), drawn)


async def correcting(core: Core, session: Session) -> None:
    await core.correct(session, await core.decoded(62, 50), Placement("0", blobs.box(62, 50)))


async def starting(core: Core, _: Session) -> None:
    await core.start((60, 50), (10, 10))


ON_THE_DEVICE = [
    pytest.param(starting, "embed", id="start-embedding"),
    pytest.param(advancing, "embed", id="frame-embedding"),
    pytest.param(advancing, "respond", id="frame-searching"),
    pytest.param(correcting, "embed", id="correction-embedding"),
]


@pytest.mark.parametrize(("call", "kind"), ON_THE_DEVICE)
async def test_a_cancellation_on_the_device_leaks_nothing(core: Core, call: Call, kind: Kind) -> None:
    session = await core.start((60, 50), (10, 10))
    with core.predictor.held(kind) as begun:
        task = asyncio.ensure_future(call(core, session))
        await reached(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert session.progress.frame_index == 0
    assert (core.slots.used, len(core.registry)) == (2, 1)
    await advancing(core, session)
    assert session.progress.frame_index == 1


IN_THE_POOL = [
    pytest.param(starting, "decode_frame", id="start-decoding"),
    pytest.param(starting, "start", id="start-cropping"),
    pytest.param(advancing, "decode_frame", id="frame-decoding"),
    pytest.param(advancing, "start", id="frame-cropping"),
    pytest.param(advancing, "search", id="frame-searching"),
    pytest.param(advancing, "conclude", id="frame-concluding"),
    pytest.param(correcting, "start", id="correction-cropping"),
]


@pytest.mark.parametrize(("call", "step"), IN_THE_POOL)
async def test_a_cancellation_in_the_pool_leaks_nothing(
    core: Core, call: Call, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await core.start((60, 50), (10, 10))
    where = tracking if step == "decode_frame" else Tracker
    begun, gate, real = threading.Event(), threading.Event(), getattr(where, step)

    def held(*arguments: object, **named: object) -> object:
        begun.set()
        assert gate.wait(20)
        return real(*arguments, **named)

    monkeypatch.setattr(where, step, held)
    try:
        task = asyncio.ensure_future(call(core, session))
        await reached(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        gate.set()
        monkeypatch.undo()
    assert (core.slots.used, len(core.registry)) == (2, 1)
    assert session.progress.frame_index == 0
    await advancing(core, session)
    assert session.progress.frame_index == 1


@pytest.mark.parametrize(("call", "kind"), ON_THE_DEVICE[1:])
async def test_a_session_that_ends_meanwhile_takes_its_slots_along(core: Core, call: Call, kind: Kind) -> None:
    session = await core.start((60, 50), (10, 10))
    with core.predictor.held(kind) as begun:
        task = asyncio.ensure_future(call(core, session))
        await reached(begun)
        core.registry.end(session, "deleted")
    with pytest.raises(SessionEnded):
        await task
    assert (core.slots.used, len(core.registry)) == (0, 0)
    assert session.progress.targets == ()


async def test_the_next_owner_of_a_slot_is_not_disturbed_by_the_last(core: Core) -> None:
    first = await core.start((60, 50))
    frame = await core.decoded(62, 50)
    with core.predictor.held("respond") as begun:
        blocking = asyncio.ensure_future(core.advance(first, frame))
        await reached(begun)
        core.registry.end(first, "deleted")
        second = asyncio.ensure_future(core.start((20, 30)))
        await eventually(lambda: len(core.batcher._queue) == 1)
    with pytest.raises(SessionEnded):
        await blocking
    session = await second
    assert slots_of(session) == {"0": 0}
    await core.advance(session, await core.decoded(22, 31))
    assert boxes(session)["0"] == pytest.approx([22, 31, 16, 16], abs=1)


async def test_a_storm_of_starts_ends_and_cancellations_leaks_nothing(core: Core, rng: np.random.Generator) -> None:
    async def life(fate: int) -> None:
        try:
            session = await core.start((60, 50), (10, 10))
        except AtCapacity:
            return
        if fate == 0:
            core.registry.end(session, "expired")
        try:
            await advancing(core, session)
        except (SessionEnded, AtCapacity):
            pass
        finally:
            core.registry.end(session, "deleted")

    for _ in range(10):
        tasks = [asyncio.ensure_future(life(int(rng.integers(3)))) for _ in range(6)]
        await asyncio.sleep(float(rng.random()) / 200)
        for task in tasks:
            if rng.random() < 0.3:
                task.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks, return_exceptions=True)
        assert (core.slots.used, len(core.registry)) == (0, 0)
    await core.start(*[(60, 50)] * MAX_TARGETS)
