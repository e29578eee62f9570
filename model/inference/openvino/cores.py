"""Many targets on a CPU: each core embeds one of its own, and has the next one waiting when it is done.

A core that embeds alone waits for no other at the end of a layer; the others may be busy with something else, such as
decoding. Targets of a pass that has begun later follow without a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from model.arrays import Float16, Float32, RgbCrops


class Core(Protocol):
    """Responds to one target after the other while the caller goes on."""

    def start(self, exemplars: Float16, crops: RgbCrops, boxes: Float32) -> None:
        """Begin with targets: exemplars [B, C, e, e], crops uint8 [B, N, side, side, 3], unchanged until `finish`.

        boxes: float32 [B, 2], the exemplars' boxes in their crops' pixels.
        """

    def finish(self) -> Float32:
        """Their outputs [B, N, K, S, S]; waits for them."""


@dataclass(slots=True, eq=False)
class SharedPass:
    """Targets that the cores share out among them, and may still be at."""

    _cores: Cores
    _count: int
    _rest: Callable[[], Float32] | None
    _found: list[Float32 | Exception] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether all outputs are there."""
        return len(self._found) == self._count and self._rest is None

    def outputs(self) -> Float32:
        """All outputs, [B, N, K, S, S]; waits for them. Raises what went wrong with one of them."""
        while len(self._found) < self._count:
            self._cores.take()
        outputs = []
        for found in self._found:
            if isinstance(found, Exception):
                raise found
            outputs.append(found)
        return np.concatenate(outputs if self._rest is None else [*outputs, self._rest()])

    def add(self, found: Float32 | Exception) -> None:
        """The next target's outputs, [1, N, K, S, S], or what went wrong with it."""
        self._found.append(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    exemplar: Float16
    crops: RgbCrops
    box: Float32
    shared: SharedPass


class Cores:
    """Cores to share targets out among, in turn, whichever pass they belong to. For one thread."""

    def __init__(self, cores: Sequence[Core], count: int) -> None:
        """`cores`: two of each, so that one has begun when the other is done; `count`: how many cores there are."""
        self._free, self._begins, self._count = deque(cores), len(cores), count
        self._waiting: deque[_Target] = deque()
        self._begun: deque[tuple[Core, _Target]] = deque()

    def capacity(self, waiting: int) -> int:
        """The number of targets that a pass should take of so many that wait: at least a target a core.

        Half of them, up to all that can be begun. Leave half, or the cores idle between passes: the others follow while
        the answered targets are on their way to be searched again.
        """
        return max(self._count, min(waiting // 2, self._begins))

    def share(self, count: int) -> int:
        """The number of targets to `begin` of so many: as many as leave no core idle before the last is done."""
        return count if self._begun else count - count % self._count

    def begin(
        self,
        exemplars: Float16,
        crops: Sequence[RgbCrops],
        boxes: Float32,
        rest: Callable[[], Float32] | None = None,
    ) -> SharedPass:
        """Hand out targets: exemplars [B, C, e, e], B times crops [N, side, side, 3], exemplars' boxes [B, 2].

        `rest` is called for the outputs of further targets, after these.
        """
        shared = SharedPass(self, len(crops), rest)
        for index, own in enumerate(crops):
            one = slice(index, index + 1)
            self._waiting.append(_Target(exemplars[one], own[None], boxes[one], shared))
        self._hand_out()
        return shared

    def take(self) -> None:
        """Wait for the target that was handed out first. A failure is told to its pass alone."""
        core, target = self._begun.popleft()
        try:
            found: Float32 | Exception = core.finish()
        except Exception as error:
            found = error
        target.shared.add(found)
        self._free.append(core)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free and self._waiting:
            core, target = self._free.popleft(), self._waiting.popleft()
            try:
                core.start(target.exemplar, target.crops, target.box)
            except Exception as error:
                target.shared.add(error)
                self._free.append(core)
            else:
                self._begun.append((core, target))
