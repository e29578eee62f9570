"""A session's progress is replaced whole; it is driven by one and ends once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from model.boxes import Box
from model.tracker import Track
from service.engine.slots import Slot
from service.errors import SessionBusy, SessionEnded, TargetNotFound
from service.sessions.session import Progress, Session, Target

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def target(name: str, index: int = 0) -> Target:
    return Target(name, Track(Box(1, 2, 3, 4), (3, 4), (0, 0, 0)), Slot(index, 1))


def session(*targets: Target, ttl_s: float = 60.0) -> Session:
    return Session("s1", "me", (160, 120), targets or (target("0"),), ttl_s, MADE, now=1000.0)


def test_a_new_session() -> None:
    made = session(target("a"), target("b", 1))
    assert made.progress == Progress(0, (target("a"), target("b", 1)))
    assert made.ended is None
    assert made.expires_at == MADE + timedelta(seconds=60)
    made.check()


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


def test_progress_puts_the_end_off() -> None:
    made = session()
    made.advance(Progress(1, ()), 1050.0)
    assert made.progress == Progress(1, ())
    assert not made.due(1109.0)
    assert made.due(1110.0)
    assert made.expires_at == MADE + timedelta(seconds=110)


def test_one_drives_at_a_time() -> None:
    made = session()
    with made.driven():
        with pytest.raises(SessionBusy), made.driven():
            pass
        # The one refused did not let go in the driver's place.
        with pytest.raises(SessionBusy), made.driven():
            pass
    with made.driven():
        pass


def test_a_driver_that_fails_lets_go() -> None:
    made = session()
    with pytest.raises(ZeroDivisionError), made.driven():
        raise ZeroDivisionError
    with made.driven():
        pass


def test_it_ends_once() -> None:
    made = session(target("a"), target("b", 1))
    assert made.end("deleted") == (target("a"), target("b", 1))
    assert made.end("expired") == ()
    assert made.ended == "deleted"
    assert made.progress.targets == ()


def test_what_has_ended_neither_advances_nor_is_driven() -> None:
    made = session()
    made.end("expired")
    with pytest.raises(SessionEnded, match="expired"):
        made.check()
    with pytest.raises(SessionEnded):
        made.advance(Progress(1, (target("0"),)), 1001.0)
    with pytest.raises(SessionEnded), made.driven():
        pass
    assert made.progress == Progress(0, ())


def test_an_end_while_driven_is_told_to_those_who_watch() -> None:
    made, watching, gone = session(), asyncio.Event(), asyncio.Event()
    with made.watched(gone):
        pass
    with made.watched(watching), made.driven():
        made.end("deleted")
        assert watching.is_set()
    assert not gone.is_set()
