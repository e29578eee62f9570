"""What is asked of the device, and what must be able to answer it.

A job's `session` says whose turn it takes; jobs without one take a turn each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.inference.pending import Pending
from model.search import Cutter, Search
from service.engine.slots import Slot


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
    """Correlate the slots' exemplars with their searches. Answered by a `Response` a slot."""

    slots: tuple[Slot, ...]
    searches: tuple[Search, ...]
    session: str = ""

    @property
    def cost(self) -> float:
        """Its share of the device: values to embed."""
        return float(sum(search.cost for search in self.searches))

    def part(self, start: int, stop: int) -> Respond:
        """The same for its targets from `start` to `stop`."""
        return replace(self, slots=self.slots[start:stop], searches=self.searches[start:stop])


Job = Embed | Load | Respond


class Predictor(Protocol):
    """What runs the network. Called from the engine's thread only, but for `cutter`."""

    @property
    def cutter(self) -> Cutter:
        """Prepares a search's pixels for `respond`; pure."""

    def embed(self, slots: Sequence[Slot], crops: NDArray[np.uint8]) -> None:
        """Embed crops [B, 127, 127, 3] into the slots."""

    def read(self, slots: Sequence[Slot]) -> NDArray[np.float16]:
        """The slots' embeddings [B, C, e, e]."""

    def write(self, slots: Sequence[Slot], embeddings: NDArray[np.float16]) -> None:
        """Put embeddings [B, C, e, e] into the slots."""

    def respond(self, slots: Sequence[Slot], searches: Sequence[Search]) -> Pending:
        """Begin with the slots' exemplars in their searches.

        One more call of this kind may come before the result is asked for, but no third.
        """

    def capacity(self, waiting: int) -> int:
        """The number of targets for the next pass, of so many that wait; 1 or more where any wait."""

    def probe(self) -> None:
        """Run every kind of call once; raises where the model does not work."""
