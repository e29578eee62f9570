"""Many targets on a CPU: each core embeds one of its own, and has the next one waiting when it is done.

A core that embeds alone waits for no other at the end of a layer; the other may be busy with something else, decoding
say. Targets of a pass that has begun later follow without a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.runtimes.embedding import Pixels

Maps = NDArray[np.float32]
Exemplars = NDArray[np.float16]


class Core(Protocol):
    """What works while the caller goes on."""

    def start(self, exemplars: Exemplars, crops: Pixels) -> None:
        """Begin with targets: exemplars [B, C, e, e], crops uint8 [B, N, side, side, 3], unchanged until `finish`."""

    def finish(self) -> Maps:
        """Their maps [B, N, S, S], waited for."""


@dataclass(slots=True, eq=False)
class Shared:
    """Targets that the cores may still be at."""

    _cores: Cores
    _count: int
    _rest: Callable[[], Maps] | None
    _found: list[Maps | Exception] = field(default_factory=list)

    def result(self) -> Maps:
        """All maps, [B, N, S, S], once they are there. Raises what went wrong with one of them."""
        while len(self._found) < self._count:
            self._cores.take()
        maps = []
        for found in self._found:
            if isinstance(found, Exception):
                raise found
            maps.append(found)
        return np.concatenate(maps if self._rest is None else [*maps, self._rest()])

    def add(self, found: Maps | Exception) -> None:
        """The next target's maps, [1, N, S, S], or what went wrong with it."""
        self._found.append(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    exemplar: Exemplars
    crops: Pixels
    asked: Shared


class Cores:
    """Cores to share targets out among, one after the other, whichever pass they are of. For one thread."""

    def __init__(self, cores: Sequence[Core], count: int) -> None:
        """`cores`: two of each, so that one has begun when the other is done; `count`: how many cores there are."""
        self._free, self._begins, self._count = deque(cores), len(cores), count
        self._waiting: deque[_Target] = deque()
        self._begun: deque[tuple[Core, _Target]] = deque()

    def room(self, waiting: int) -> int:
        """Of so many targets that wait, how many a pass had better take: a target a core, up to all that can be begun.

        Half of them: the others follow while what has been answered is on its way to be searched again. Who took all
        would have nothing to go on with at the end.
        """
        return max(self._count, min(waiting // 2, self._begins))

    def share(self, count: int) -> int:
        """Of so many targets, how many to `begin`: as many as leave no core idle before the last is done."""
        return count if self._begun else count - count % self._count

    def begin(self, exemplars: Exemplars, crops: Pixels, rest: Callable[[], Maps] | None) -> Shared:
        """Hand out targets: exemplars [B, C, e, e] and their crops; `rest` is asked for the last maps, after them."""
        asked = Shared(self, len(crops), rest)
        for index in range(len(crops)):
            one = slice(index, index + 1)
            self._waiting.append(_Target(exemplars[one], crops[one], asked))
        self._hand_out()
        return asked

    def take(self) -> None:
        """Wait for the target that was handed out first. What goes wrong is its pass's alone."""
        core, target = self._begun.popleft()
        try:
            found: Maps | Exception = core.finish()
        except Exception as error:
            found = error
        target.asked.add(found)
        self._free.append(core)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free and self._waiting:
            core, target = self._free.popleft(), self._waiting.popleft()
            try:
                core.start(target.exemplar, target.crops)
            except Exception as error:
                target.asked.add(error)
                self._free.append(core)
            else:
                self._begun.append((core, target))
