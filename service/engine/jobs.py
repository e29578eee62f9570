"""The jobs of the device, their result, and the protocol of the predictor that runs them.

A job's `session` says which session's turn it takes; a job without one has a turn of its own. Its `cost` is the number
of values that the network embeds for it, and stands for its time on the device. K is a job's number of targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.inference.pending import Pending
from model.response import Response
from model.search import Cutter, Search
from service.engine.slots import Slot
from service.errors import ModelUnavailable


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed exemplar crops, uint8 [K, 127, 127, 3] RGB, into slots.

    With `read_back` the result has the embeddings, fp16 [K, C, e, e]; else it is empty.
    """

    slots: tuple[Slot, ...]
    crops: NDArray[np.uint8]
    read_back: bool = False
    session: str = ""

    @property
    def cost(self) -> float:
        """Values to embed."""
        return float(self.crops.size)

    def part(self, start: int, stop: int) -> Embed:
        """Make the job for the targets from `start` to `stop`."""
        return replace(self, slots=self.slots[start:stop], crops=self.crops[start:stop])


@dataclass(frozen=True, slots=True)
class Load:
    """Put embeddings, fp16 [K, C, e, e], that were read back before, into slots. The result is empty."""

    slots: tuple[Slot, ...]
    embeddings: NDArray[np.float16]
    session: str = ""

    @property
    def cost(self) -> float:
        """Nothing: a copy takes almost no time."""
        return 0.0

    def part(self, start: int, stop: int) -> Load:
        """Make the job for the targets from `start` to `stop`."""
        return replace(self, slots=self.slots[start:stop], embeddings=self.embeddings[start:stop])


@dataclass(frozen=True, slots=True)
class Respond:
    """Correlate the slots' exemplars with their searches. The result has K responses."""

    slots: tuple[Slot, ...]
    searches: tuple[Search, ...]
    session: str = ""

    @property
    def cost(self) -> float:
        """Values to embed."""
        return float(sum(search.cost for search in self.searches))

    def part(self, start: int, stop: int) -> Respond:
        """Make the job for the targets from `start` to `stop`."""
        return replace(self, slots=self.slots[start:stop], searches=self.searches[start:stop])


Job = Embed | Load | Respond


@dataclass(frozen=True, slots=True)
class JobResult:
    """The responses or embeddings that a job asked for, and its times in seconds: waiting for the device, and on it."""

    responses: list[Response] | None
    queue_s: float
    infer_s: float
    embeddings: NDArray[np.float16] | None = None

    def finite_responses(self) -> list[Response]:
        """The responses of a `Respond`. Raises ModelUnavailable where one is not finite."""
        assert self.responses is not None
        if not all(response.finite for response in self.responses):
            raise ModelUnavailable("the network's answer to this frame is not finite")
        return self.responses


class SlotPredictor(Protocol):
    """Runs the network on exemplars in slots. Called from the engine's thread only, except `cutter`."""

    @property
    def cutter(self) -> Cutter:
        """Prepares a search's pixels for `respond`; a pure function for any thread."""

    def embed(self, slots: Sequence[Slot], crops: NDArray[np.uint8]) -> None:
        """Embed crops, uint8 [B, 127, 127, 3] RGB, into the slots."""

    def read(self, slots: Sequence[Slot]) -> NDArray[np.float16]:
        """Read the slots' embeddings, [B, C, e, e]."""

    def write(self, slots: Sequence[Slot], embeddings: NDArray[np.float16]) -> None:
        """Put embeddings, [B, C, e, e], into the slots."""

    def respond(self, slots: Sequence[Slot], searches: Sequence[Search]) -> Pending:
        """Begin to correlate the slots' exemplars with their searches.

        At most one more pass may be begun before the result of this one is asked for.
        """

    def capacity(self, waiting: int) -> int:
        """The best number of targets for the next pass while `waiting` targets wait; at least 1 if any wait."""

    def probe(self) -> None:
        """Make every kind of call once. Raises if the model does not work."""
