"""Slots: the places of the tensor that holds every exemplar on the device.

Bookkeeping only, without torch; the predictor owns the tensor. A slot carries the generation in which it was given out,
so that a job which outlived its target can never read or write the next owner's exemplar.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from service.errors import AtCapacity


@dataclass(frozen=True, slots=True)
class Slot:
    """One place: its index in the tensor, and the generation in which it was given out."""

    index: int
    generation: int


class SlotTable:
    """Gives out and takes back `capacity` slots. Safe to use from several threads."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._lock = threading.Lock()
        self._generations: dict[int, int] = {}
        self._used: set[int] = set()
        self._free: list[int] = []
        self._fresh = 0  # indexes from here on were never given out

    @property
    def used(self) -> int:
        """Slots given out now."""
        return len(self._used)

    def allocate(self, count: int) -> tuple[Slot, ...]:
        """Give out `count` slots. Raises AtCapacity if fewer are free; then none is given out."""
        with self._lock:
            if len(self._used) + count > self.capacity:
                raise AtCapacity("every slot for a target is in use", retry_after_s=5)
            return tuple(self._take() for _ in range(count))

    def _take(self) -> Slot:
        if self._free:
            index = self._free.pop()
        else:
            index = self._fresh
            self._fresh += 1
        self._used.add(index)
        generation = self._generations.get(index, 0) + 1
        self._generations[index] = generation
        return Slot(index, generation)

    def release(self, slot: Slot) -> None:
        """Take a slot back. A slot that was released before is left alone."""
        with self._lock:
            if self.holds(slot):
                self._used.discard(slot.index)
                self._free.append(slot.index)

    def holds(self, slot: Slot) -> bool:
        """Whether the slot still belongs to the owner it was given to."""
        return slot.index in self._used and self._generations.get(slot.index) == slot.generation
