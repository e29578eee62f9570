"""What is asked of the device, and what must be able to answer it.

A job's `session` says whose turn it takes; jobs without one take a turn each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.readings import Reading
from model.tracker import Cutter
from model.windows import Cut
from service.engine.slots import Slot

Crops = NDArray[np.uint8] | tuple[Cut, ...]
"""Of K targets, as the predictor's `cut` gives them: uint8 [K, N, 255, 255, 3] RGB, or what they are cut from."""

Found = NDArray[np.float32] | tuple[Reading, ...]
"""In the crops of K targets: maps, logits [K, N, S, S], or what was read off each target's maps."""


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed exemplar crops, uint8 [K, 127, 127, 3] RGB, and keep each in its slot.

    FrameAnswer by nothing, or with `read_back` by the embeddings, fp16 [K, C, e, e].
    """

    slots: tuple[Slot, ...]
    crops: NDArray[np.uint8]
    read_back: bool = False
    session: str = ""

    @property
    def cost(self) -> float:
        """Its share of the device: values to embed."""
        return float(self.crops.size)

    def part(self, start: int, stop: int) -> Embed:
        """The same for its targets from `start` to `stop`."""
        return replace(self, slots=self.slots[start:stop], crops=self.crops[start:stop])


@dataclass(frozen=True, slots=True)
class Load:
    """Put embeddings, fp16 [K, C, e, e], that were read back before, into slots. FrameAnswer by nothing."""

    slots: tuple[Slot, ...]
    embeddings: NDArray[np.float16]
    session: str = ""

    @property
    def cost(self) -> float:
        """A copy: next to nothing."""
        return 0.0

    def part(self, start: int, stop: int) -> Load:
        """The same for its targets from `start` to `stop`."""
        return replace(self, slots=self.slots[start:stop], embeddings=self.embeddings[start:stop])


@dataclass(frozen=True, slots=True)
class Respond:
    """Correlate the slots' exemplars with their search crops. FrameAnswer by what is `Found`."""

    slots: tuple[Slot, ...]
    crops: Crops
    session: str = ""

    @property
    def cost(self) -> float:
        """Its share of the device: values to embed."""
        if isinstance(self.crops, tuple):
            return float(sum(cut.values for cut in self.crops))
        return float(self.crops.size)

    def part(self, start: int, stop: int) -> Respond:
        """The same for its targets from `start` to `stop`."""
        return replace(self, slots=self.slots[start:stop], crops=self.crops[start:stop])


Job = Embed | Load | Respond


class Awaited(Protocol):
    """What the device is still at."""

    def result(self) -> Found:
        """The answer; waits for it. Raises what went wrong."""


class Predictor(Protocol):
    """What runs the network. Called from the engine's thread only, but for `cut`, which says how crops are given."""

    @property
    def cut(self) -> Cutter:
        """How search regions are to be cut for `respond`; pure."""

    def embed(self, slots: Sequence[Slot], crops: NDArray[np.uint8]) -> None:
        """Embed crops [B, 127, 127, 3] into the slots."""

    def read(self, slots: Sequence[Slot]) -> NDArray[np.float16]:
        """The slots' embeddings [B, C, e, e]."""

    def write(self, slots: Sequence[Slot], embeddings: NDArray[np.float16]) -> None:
        """Put embeddings [B, C, e, e] into the slots."""

    def respond(self, slots: Sequence[Slot], crops: Crops) -> Found | Awaited:
        """The slots' exemplars in their crops, as `cut` gave them.

        Where the answer is awaited, one more call of this kind may come before it is asked for, but no third.
        """

    def room(self, waiting: int) -> int:
        """Of so many targets that wait, how many the next pass had better take; 1 or more where any wait."""

    def probe(self) -> None:
        """Run every kind of call once; raises where the model does not work."""
