"""A session's progress is replaced as a whole, and a session ends once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from model.boxes import Box
from model.tracker import Track
from service.engine.slots import Slot
from service.errors import SessionEnded, TargetNotFound
from service.sessions.session import Progress, Session, Target
from service.sessions.stores.store import Facts, State

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def target(name: str, index: int = 0) -> Target:
    return Target(name, Track(Box(1, 2, 3, 4), (3, 4), (0, 0, 0)), f"e{index}", Slot(index, 1))


def session(*targets: Target, ttl_s: float = 60.0) -> Session:
    facts = Facts("s1", "me", (160, 120), ttl_s, MADE)
    progress = Progress(0, targets or (target("0"),))
    return Session(facts, progress, MADE + timedelta(seconds=ttl_s), 1000.0 + ttl_s)


def test_a_new_session() -> None:
    made = session(target("a"), target("b", 1))
    assert made.progress == Progress(0, (target("a"), target("b", 1)))
    assert made.state == State(0, (target("a"), target("b", 1)), MADE + timedelta(seconds=60))
    assert made.ended is None
    assert made.remaining_s(1010.0) == 50


def test_targets_by_name() -> None:
    made = session(target("a"), target("b", 1))
    assert made.target("b").slot.index == 1
    with pytest.raises(TargetNotFound, match="'c'"):
        made.target("c")


@pytest.mark.parametrize(
    ("now", "due"),
    [
        pytest.param(1000.0, False, id="new"),
        pytest.param(1059.9, False, id="just-before"),
        pytest.param(1060.0, True, id="at-its-time"),
        pytest.param(5000.0, True, id="long-after"),
    ],
)
def test_it_is_due_after_its_time_to_live(now: float, due: bool) -> None:
    assert session().due(now) is due


def test_progress_prolongs_the_sessions_life() -> None:
    made = session()
    assert made.expiry_from(1050.0) == MADE + timedelta(seconds=110)
    made.advance(Progress(1, ()), 1050.0)
    assert made.state == State(1, (), MADE + timedelta(seconds=110))
    assert not made.due(1109.0)
    assert made.due(1110.0)


def test_it_is_restored_from_the_store() -> None:
    made, later = session(), MADE + timedelta(seconds=500)
    made.restore(Progress(7, (target("x"),)), later, 1500.0)
    assert made.state == State(7, (target("x"),), later)
    assert not made.due(1499.0)


def test_it_ends_once() -> None:
    made = session(target("a"), target("b", 1))
    assert made.end("deleted") == (target("a"), target("b", 1))
    assert made.end("expired") == ()
    assert made.ended == "deleted"
    assert made.progress.targets == ()


def test_an_ended_session_does_not_advance() -> None:
    made = session()
    made.end("expired")
    with pytest.raises(SessionEnded, match="expired"):
        made.advance(Progress(1, (target("0"),)), 1001.0)
    assert made.progress == Progress(0, ())
