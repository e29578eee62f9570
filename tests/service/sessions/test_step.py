"""A step changes its session at the commit, wholly or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from service.errors import InvalidBox, SessionEnded
from service.sessions.requests import Placement
from service.sessions.session import Session
from service.sessions.step import Step
from service.sessions.stores.store import FrameAnswer, Resume
from tests.service.sessions.conftest import Core, boxes, slots_of
from tests.support import blobs

pytestmark = pytest.mark.anyio

DRAWN = [Placement("0", blobs.box(62, 50)), Placement("new", blobs.box(30, 30))]


async def nothing(_: Step) -> None:
    """Leave the block as it is."""


async def commit(step: Step) -> None:
    """Commit, then leave the block."""
    await step.commit()


async def stepped(core: Core, session: Session, work: Callable[[Step], Awaitable[None]]) -> None:
    """One step with two boxes drawn on its frame; `work` is done within its block."""
    async with (
        core.leases.hold(session.id, "me") as lease,
        core.tracking.step(lease, await core.decoded(62, 50), DRAWN) as step,
    ):
        await work(step)


async def test_the_session_changes_at_the_commit(core: Core) -> None:
    session = await core.start()
    before = session.progress
    async with (
        core.leases.hold(session.id, "me") as lease,
        core.tracking.step(lease, await core.decoded(62, 50), DRAWN) as step,
    ):
        assert step.progress.frame_index == 1
        assert [target.id for target in step.progress.targets] == ["0", "new"]
        assert session.progress == before
        await step.commit()
        assert session.progress is step.progress
    assert core.slots.used == 2, "the corrected target's first slot was not given back"


async def test_without_a_commit_nothing_has_changed(core: Core) -> None:
    session = await core.start()
    before, slots = session.progress, slots_of(session)
    await stepped(core, session, nothing)
    assert (session.progress, slots_of(session), core.slots.used) == (before, slots, 1)
    assert (await core.leases.read(session.id, "me")).state.frame_index == 0
    await stepped(core, session, commit)
    assert session.progress.frame_index == 1


async def test_a_block_that_raises_has_changed_nothing(core: Core) -> None:
    async def fail(_: Step) -> None:
        raise ZeroDivisionError

    session = await core.start()
    before = session.progress
    with pytest.raises(ZeroDivisionError):
        await stepped(core, session, fail)
    assert (session.progress, core.slots.used) == (before, 1)


async def test_a_commit_that_fails_gives_the_new_slots_back(core: Core) -> None:
    session = await core.start()

    async def commit_too_late(step: Step) -> None:
        await core.leases.delete(session.id, "me")
        await step.commit()

    with pytest.raises(SessionEnded):
        await stepped(core, session, commit_too_late)
    assert core.slots.used == 0


async def test_a_failure_after_the_commit_takes_nothing_back(core: Core) -> None:
    async def commit_and_fail(step: Step) -> None:
        await step.commit()
        raise ZeroDivisionError

    session = await core.start()
    with pytest.raises(ZeroDivisionError):
        await stepped(core, session, commit_and_fail)
    assert (session.progress.frame_index, sorted(boxes(session)), core.slots.used) == (1, ["0", "new"], 2)


async def test_a_step_is_committed_once(core: Core) -> None:
    session = await core.start()
    async with (
        core.leases.hold(session.id, "me") as lease,
        core.tracking.step(lease, await core.decoded(62, 50)) as step,
    ):
        await step.commit()
        with pytest.raises(AssertionError, match="once"):
            await step.commit()
    assert session.progress.frame_index == 1


async def test_the_answers_are_kept_with_the_step(core: Core) -> None:
    session, answer = await core.start(), FrameAnswer(0, ("told",))
    async with core.leases.hold(session.id, "me") as lease:
        async with core.tracking.step(lease, await core.decoded(62, 50)) as step:
            await step.commit([answer])
        resume = Resume(lease.token.value, 0)
    async with core.leases.hold(session.id, "me", resume) as lease:
        assert lease.missed == (answer,)


async def test_a_box_that_cannot_be_used_is_a_fault_of_the_step(core: Core) -> None:
    session = await core.start()
    async with (
        core.leases.hold(session.id, "me") as lease,
        core.tracking.step(lease, await core.decoded(62, 50), [Placement("x", [900, 900, 5, 5])]) as step,
    ):
        assert [type(fault) for fault in step.faults] == [InvalidBox]
        assert list(step.evidence) == ["0"]
