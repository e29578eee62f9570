"""Places for exemplars in the device's memory: which are free, and who may use the others.

Bookkeeping only, no torch: the tensor that the slots index lies with the predictor. A slot carries the generation it
was given out in, so that a job which outlived its target can never read or write the next owner's exemplar.
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
        """`count` slots, or none: raises AtCapacity where fewer are free."""
        with self._lock:
            if len(self._used) + count > self.capacity:
                raise AtCapacity("no room for another target", retry_after_s=5)
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
        """Take a slot back. A slot that was taken back before is left alone."""
        with self._lock:
            if self.holds(slot):
                self._used.discard(slot.index)
                self._free.append(slot.index)

    def holds(self, slot: Slot) -> bool:
        """Whether the slot is still its owner's."""
        return slot.index in self._used and self._generations.get(slot.index) == slot.generation
