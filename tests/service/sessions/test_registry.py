"""Admission, look-up and every way out."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from model.boxes import Box
from model.tracker import Track
from service.engine.slots import SlotTable
from service.errors import AtCapacity, SessionNotFound, ShuttingDown
from service.metrics import Metrics
from service.sessions.registry import SessionRegistry
from service.sessions.session import Session, Target
from tests.support.clock import Clock


class Hotel:
    """A registry with room for two sessions of one target each."""

    def __init__(self) -> None:
        self.clock, self.slots, self.metrics = Clock(), SlotTable(2), Metrics()
        self.registry = SessionRegistry(self.slots, self.metrics, 2, self.clock)

    def check_in(self, name: str, owner: str = "me", ttl_s: float = 60) -> Session:
        with self.registry.admission():
            (slot,) = self.slots.allocate(1)
            target = Target("0", Track(Box(0, 0, 1, 1), (1, 1), (0, 0, 0)), slot)
            session = Session(name, owner, (160, 120), (target,), ttl_s, datetime.now(UTC), self.clock())
            self.registry.add(session)
            return session

    def ended(self, reason: str) -> bool:
        return f'siamfc_sessions_ended_total{{reason="{reason}"}} 1.0' in self.metrics.render().decode()


@pytest.fixture
def hotel() -> Hotel:
    return Hotel()


def test_a_session_is_found_by_its_owner_alone(hotel: Hotel) -> None:
    session = hotel.check_in("s1")
    assert hotel.registry.get("s1", "me") is session
    with pytest.raises(SessionNotFound) as anothers:
        hotel.registry.get("s1", "you")
    with pytest.raises(SessionNotFound) as missing:
        hotel.registry.get("s2", "you")
    assert anothers.value.detail == missing.value.detail, "the refusal tells that the session exists"
    assert len(hotel.registry) == 1


def test_one_too_many_is_refused(hotel: Hotel) -> None:
    hotel.check_in("s1")
    hotel.check_in("s2")
    with pytest.raises(AtCapacity) as caught, hotel.registry.admission():
        pass
    assert caught.value.retry_after_s
    hotel.registry.end(hotel.registry.get("s1", "me"), "deleted")
    hotel.check_in("s3")


def test_those_being_started_count(hotel: Hotel) -> None:
    hotel.check_in("s1")
    with hotel.registry.admission(), pytest.raises(AtCapacity), hotel.registry.admission():
        pass
    with hotel.registry.admission():
        pass


def test_one_whose_start_fails_gives_its_place_back(hotel: Hotel) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), hotel.registry.admission():
            raise ZeroDivisionError
    with ExitStack() as stack:
        stack.enter_context(hotel.registry.admission())
        stack.enter_context(hotel.registry.admission())


def test_a_full_house_looks_for_who_is_due(hotel: Hotel) -> None:
    hotel.check_in("s1", ttl_s=10)
    hotel.check_in("s2")
    hotel.clock.advance(10)
    hotel.check_in("s3")
    assert len(hotel.registry) == 2
    assert hotel.ended("expired")


def test_one_that_is_due_is_not_found_even_before_the_sweep(hotel: Hotel) -> None:
    session = hotel.check_in("s1")
    hotel.clock.advance(60)
    with pytest.raises(SessionNotFound):
        hotel.registry.get("s1", "me")
    assert session.ended == "expired"
    assert hotel.slots.used == 0


def test_the_sweep_ends_those_that_are_due(hotel: Hotel) -> None:
    short, long = hotel.check_in("s1", ttl_s=10), hotel.check_in("s2")
    assert hotel.registry.sweep() == 0
    hotel.clock.advance(10)
    assert hotel.registry.sweep() == 1
    assert (short.ended, long.ended) == ("expired", None)
    assert (len(hotel.registry), hotel.slots.used) == (1, 1)
    assert hotel.registry.sweep() == 0


def test_an_end_frees_the_slots_once_and_tells_those_who_watch(hotel: Hotel) -> None:
    session, event = hotel.check_in("s1"), asyncio.Event()
    with session.watched(event):
        hotel.registry.end(session, "deleted")
        assert event.is_set()
    assert hotel.slots.used == 0
    # Its slot's next owner keeps it, however often the first one is ended.
    hotel.check_in("s2")
    hotel.registry.end(session, "expired")
    assert (len(hotel.registry), hotel.slots.used) == (1, 1)
    assert session.ended == "deleted"
    assert hotel.ended("deleted")
    assert not hotel.ended("expired")


def test_a_closed_registry_takes_nobody_and_keeps_those_it_has(hotel: Hotel) -> None:
    session = hotel.check_in("s1")
    hotel.registry.close()
    with pytest.raises(ShuttingDown), hotel.registry.admission():
        pass
    assert hotel.registry.get("s1", "me") is session
