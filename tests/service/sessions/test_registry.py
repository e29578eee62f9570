"""Admission, look-up, the ways a session ends, and eviction."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from model.boxes import Box
from model.tracker import Track
from service.engine.slots import SlotTable
from service.errors import AtCapacity, ShuttingDown
from service.operations.metrics import Metrics
from service.sessions.lease import Lease
from service.sessions.registry import SessionRegistry
from service.sessions.session import Progress, Session, Target
from service.sessions.stores.store import Claim, Facts, LeaseToken, Snapshot
from tests.support.clock import Clock


class Hotel:
    """A registry for two sessions of one target each."""

    def __init__(self, *, cache: bool = False, slots: int = 2) -> None:
        self.clock, self.slots, self.metrics = Clock(), SlotTable(slots), Metrics()
        self.registry = SessionRegistry(self.slots, self.metrics, 2, self.clock, cache=cache)

    def check_in(self, name: str, ttl_s: float = 60) -> Session:
        with self.registry.admission():
            (slot,) = self.registry.allocate(1)
            target = Target("0", Track(Box(0, 0, 1, 1), (1, 1), (0, 0, 0)), "e", slot)
            made = datetime.now(UTC)
            facts = Facts(name, "me", (160, 120), ttl_s, made)
            ends = made + timedelta(seconds=ttl_s)
            session = Session(facts, Progress(0, (target,)), ends, self.clock() + ttl_s)
            self.registry.add(session)
            return session

    def hold(self, session: Session) -> Lease:
        snapshot = Snapshot(session.facts, session.state, 60)
        session.lease = Lease(session, Claim(LeaseToken(session.id, "token", 1), snapshot, 0, None, False))
        return session.lease

    def ended(self, reason: str) -> bool:
        return f'siamfc_sessions_ended_total{{reason="{reason}"}} 1.0' in self.metrics.render().decode()


@pytest.fixture
def hotel() -> Hotel:
    return Hotel()


def test_a_session_is_found_by_its_name(hotel: Hotel) -> None:
    session = hotel.check_in("s1")
    assert hotel.registry.find("s1") is session
    assert hotel.registry.find("s2") is None
    assert len(hotel.registry) == 1


def test_one_too_many_is_refused(hotel: Hotel) -> None:
    first = hotel.check_in("s1")
    hotel.check_in("s2")
    with pytest.raises(AtCapacity) as caught, hotel.registry.admission():
        pass
    assert caught.value.retry_after_s
    hotel.registry.end(first, "deleted")
    hotel.check_in("s3")


def test_sessions_being_started_count(hotel: Hotel) -> None:
    hotel.check_in("s1")
    with hotel.registry.admission(), pytest.raises(AtCapacity), hotel.registry.admission():
        pass
    with hotel.registry.admission():
        pass


def test_a_failed_start_gives_its_place_back(hotel: Hotel) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), hotel.registry.admission():
            raise ZeroDivisionError
    with ExitStack() as stack:
        stack.enter_context(hotel.registry.admission())
        stack.enter_context(hotel.registry.admission())


def test_a_full_registry_ends_due_sessions_first(hotel: Hotel) -> None:
    hotel.check_in("s1", ttl_s=10)
    hotel.check_in("s2")
    hotel.clock.advance(10)
    hotel.check_in("s3")
    assert len(hotel.registry) == 2
    assert hotel.ended("expired")


def test_the_sweep_ends_due_sessions(hotel: Hotel) -> None:
    short, long = hotel.check_in("s1", ttl_s=10), hotel.check_in("s2")
    assert hotel.registry.sweep() == []
    hotel.clock.advance(10)
    assert hotel.registry.sweep() == [short]
    assert (short.ended, long.ended) == ("expired", None)
    assert (len(hotel.registry), hotel.slots.used) == (1, 1)
    assert hotel.registry.sweep() == []


def test_an_end_frees_the_slots_once(hotel: Hotel) -> None:
    session = hotel.check_in("s1")
    hotel.registry.end(session, "deleted")
    assert hotel.slots.used == 0
    # The slot's next owner keeps it, however often the first session is ended.
    hotel.check_in("s2")
    hotel.registry.end(session, "expired")
    assert (len(hotel.registry), hotel.slots.used) == (1, 1)
    assert session.ended == "deleted"
    assert hotel.ended("deleted")
    assert not hotel.ended("expired")


def test_ending_an_old_session_leaves_a_newer_one_of_its_id(hotel: Hotel) -> None:
    old = hotel.check_in("s1")
    new = hotel.check_in("s1")
    hotel.registry.end(old, "deleted")
    assert hotel.registry.find("s1") is new


def test_a_closed_registry_admits_none_and_keeps_its_sessions(hotel: Hotel) -> None:
    session = hotel.check_in("s1")
    hotel.registry.close()
    with pytest.raises(ShuttingDown), hotel.registry.admission():
        pass
    assert hotel.registry.find("s1") is session


def test_a_cache_forgets_the_least_recently_used_session() -> None:
    hotel = Hotel(cache=True)
    first, second = hotel.check_in("s1"), hotel.check_in("s2")
    hotel.registry.used(first)
    hotel.check_in("s3")
    assert hotel.registry.find("s1") is first
    assert hotel.registry.find("s2") is None
    assert second.ended is None, "it lives on in the store"
    assert (len(hotel.registry), hotel.slots.used) == (2, 2)
    assert not hotel.ended("expired")


def test_a_cache_forgets_sessions_for_their_slots_too() -> None:
    hotel = Hotel(cache=True, slots=1)
    hotel.check_in("s1")
    hotel.check_in("s2")
    assert hotel.registry.find("s1") is None
    assert hotel.slots.used == 1


def test_a_session_with_a_lease_is_never_forgotten() -> None:
    hotel = Hotel(cache=True)
    for name in ("s1", "s2"):
        hotel.hold(hotel.check_in(name))
    with pytest.raises(AtCapacity):
        hotel.check_in("s3")
    with pytest.raises(AtCapacity):
        hotel.registry.allocate(1)
    assert len(hotel.registry) == 2


def test_the_sweep_of_a_cache_ends_only_sessions_with_a_lease() -> None:
    hotel = Hotel(cache=True)
    idle, held = hotel.check_in("s1", ttl_s=10), hotel.check_in("s2", ttl_s=10)
    lease = hotel.hold(held)
    hotel.clock.advance(10)
    hotel.registry.sweep()
    assert (idle.ended, held.ended) == (None, "expired"), "the idle one may have lived on elsewhere"
    assert lease.lost is not None
    assert (len(hotel.registry), hotel.slots.used) == (0, 0)
