"""What is asked of the device, and what must be able to answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.engine.slots import Slot


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed exemplar crops, uint8 [K, 127, 127, 3] RGB, and keep each in its slot.

    Answered by nothing, or with `read_back` by the embeddings, fp16 [K, C, e, e].
    """

    slots: tuple[Slot, ...]
    crops: NDArray[np.uint8]
    read_back: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Put embeddings, fp16 [K, C, e, e], that were read back before, into slots. Answered by nothing."""

    slots: tuple[Slot, ...]
    embeddings: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Respond:
    """Correlate the slots' exemplars with search crops, uint8 [K, N, 255, 255, 3] RGB.

    Answered by logits float32 [K, N, S, S].
    """

    slots: tuple[Slot, ...]
    crops: NDArray[np.uint8]


Job = Embed | Load | Respond


class Predictor(Protocol):
    """What runs the network. Called from the engine's thread only."""

    def embed(self, slots: Sequence[Slot], crops: NDArray[np.uint8]) -> None:
        """Embed crops [B, 127, 127, 3] into the slots."""

    def read(self, slots: Sequence[Slot]) -> NDArray[np.float16]:
        """The slots' embeddings [B, C, e, e]."""

    def write(self, slots: Sequence[Slot], embeddings: NDArray[np.float16]) -> None:
        """Put embeddings [B, C, e, e] into the slots."""

    def respond(self, slots: Sequence[Slot], crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Maps [B, N, S, S] of the slots' exemplars in crops [B, N, 255, 255, 3]."""

    def probe(self) -> None:
        """Run every kind of call once; raises where the model does not work."""
