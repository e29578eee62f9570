"""Slots are never given out twice, and never outlive their generation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from service.engine.slots import Slot, SlotTable
from service.errors import AtCapacity


def test_all_or_nothing() -> None:
    table = SlotTable(3)
    table.allocate(2)
    with pytest.raises(AtCapacity) as caught:
        table.allocate(2)
    assert caught.value.retry_after_s
    assert table.used == 2
    assert len(table.allocate(1)) == 1
    assert table.allocate(0) == ()


def test_an_index_given_out_again_is_another_slot() -> None:
    table = SlotTable(1)
    (first,) = table.allocate(1)
    table.release(first)
    (second,) = table.allocate(1)
    assert (second.index, second.generation) == (first.index, first.generation + 1)
    assert table.holds(second)
    assert not table.holds(first)


def test_a_stale_slot_cannot_take_the_next_owners_away() -> None:
    table = SlotTable(1)
    (first,) = table.allocate(1)
    table.release(first)
    (second,) = table.allocate(1)
    table.release(first)
    assert table.holds(second)
    with pytest.raises(AtCapacity):
        table.allocate(1)


@pytest.mark.parametrize(
    "slot",
    [
        pytest.param(Slot(0, 0), id="generation-before-the-first"),
        pytest.param(Slot(0, 2), id="generation-to-come"),
        pytest.param(Slot(1, 1), id="index-not-given-out"),
        pytest.param(Slot(-1, 1), id="no-index"),
    ],
)
def test_slots_never_given_out_are_not_held(slot: Slot) -> None:
    table = SlotTable(2)
    table.allocate(1)
    assert not table.holds(slot)
    table.release(slot)
    assert table.used == 1


def test_threads_do_not_get_the_same_slot() -> None:
    table = SlotTable(64)

    def churn(_: int) -> list[Slot]:
        for _ in range(200):
            for slot in table.allocate(4):
                table.release(slot)
        return list(table.allocate(8))

    with ThreadPoolExecutor(8) as pool:
        kept = [slot for slots in pool.map(churn, range(8)) for slot in slots]
    assert len({slot.index for slot in kept}) == 64
    assert table.used == 64


class Slots(RuleBasedStateMachine):
    """Random sequences of allocating and releasing, with repetition."""

    capacity = 5
    held = Bundle("held")
    released = Bundle("released")

    def __init__(self) -> None:
        super().__init__()
        self.table = SlotTable(self.capacity)
        self.alive: set[Slot] = set()
        self.ever: set[Slot] = set()

    @rule(target=held, count=st.integers(0, 6))
    def allocate(self, count: int) -> object:
        try:
            slots = self.table.allocate(count)
        except AtCapacity:
            assert len(self.alive) + count > self.capacity
            return multiple()
        assert len(self.alive) + count <= self.capacity
        assert len(set(slots)) == count
        assert not {slot.index for slot in slots} & {slot.index for slot in self.alive}
        assert not self.ever & set(slots)
        assert all(0 <= slot.index < self.capacity for slot in slots)
        self.alive |= set(slots)
        self.ever |= set(slots)
        return multiple(*slots)

    @rule(target=released, slot=consumes(held))
    def release(self, slot: Slot) -> Slot:
        self.table.release(slot)
        self.alive.discard(slot)
        return slot

    @rule(slot=released)
    def release_again(self, slot: Slot) -> None:
        self.table.release(slot)

    @invariant()
    def exactly_the_living_are_held(self) -> None:
        assert self.table.used == len(self.alive)
        assert {slot for slot in self.ever if self.table.holds(slot)} == self.alive


TestSlots = Slots.TestCase
