"""A predictor without a network: it follows a bright blob, fails when told to, and can be held in the middle.

It stands where `DevicePredictor` stands and checks what that one trusts: an exemplar is asked for by the very slot it
was embedded into.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.config import preset
from model.inference.pending import Finished, Pending
from model.inference.predictor import map_responses
from model.response import Response
from model.search import Cutter, Search, crops_of, cut_crops
from service.engine.slots import Slot

Kind = Literal["embed", "write", "respond", "answer", "probe"]
"""`answer` is asking for what was awaited."""

_NETWORK = preset("paper")
_DEADLINE_S = 30.0
BRIGHT = 200
"""Pixels whose three channels are all above this are the blob."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its kind, and the slots it was for, in order."""

    kind: Kind
    slots: tuple[Slot, ...]

    @property
    def indexes(self) -> tuple[int, ...]:
        """The slots' indexes."""
        return tuple(slot.index for slot in self.slots)


class FakePredictor:
    """Maps [B, N, 17, 17] that peak where the crop is bright; in the middle where nothing is."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.exemplars: dict[int, tuple[Slot, float]] = {}
        """By slot index: the slot last embedded there, and its crop's mean value."""
        self.logits: float | None = None
        """Where set, every value of every map."""
        self.reading: tuple[float, ...] | None = None
        """Where set, what a box head says at every cell: five numbers."""
        self.awaited = False
        """Whether answers are to be awaited, as those of a GPU are."""
        self.cores = 0
        """Where set, a pass holds no more targets than these."""
        self._failures: dict[Kind, BaseException] = {}
        self._gates: dict[Kind, threading.Event] = {}
        self._reached: dict[Kind, threading.Event] = {}

    def fail(self, kind: Kind, error: BaseException) -> None:
        """From now on calls of that kind raise `error`."""
        self._failures[kind] = error

    def mend(self, kind: Kind) -> None:
        """Calls of that kind work again."""
        self._failures.pop(kind, None)

    @contextmanager
    def held(self, kind: Kind) -> Iterator[threading.Event]:
        """Within the block, calls of that kind wait for its end; the event is set once one has begun."""
        self._gates[kind], self._reached[kind] = threading.Event(), threading.Event()
        try:
            yield self._reached[kind]
        finally:
            self._gates.pop(kind).set()

    @property
    def cutter(self) -> Cutter:
        return cut_crops

    def of(self, kind: Kind) -> list[Call]:
        """The calls of that kind so far."""
        return [call for call in self.calls if call.kind == kind]

    def embed(self, slots: Sequence[Slot], crops: NDArray[np.uint8]) -> None:
        assert crops.shape[1:] == (_NETWORK.exemplar_size, _NETWORK.exemplar_size, 3), crops.shape
        self._begin("embed", slots, crops)
        for slot, crop in zip(slots, crops, strict=True):
            self.exemplars[slot.index] = slot, float(crop.mean())

    def read(self, slots: Sequence[Slot]) -> NDArray[np.float16]:
        return np.array([[[[self.exemplars[slot.index][1]]]] for slot in slots], np.float16)

    def write(self, slots: Sequence[Slot], embeddings: NDArray[np.float16]) -> None:
        self._begin("write", slots, None)
        for slot, embedding in zip(slots, embeddings, strict=True):
            self.exemplars[slot.index] = slot, float(embedding[0, 0, 0])

    def respond(self, slots: Sequence[Slot], searches: Sequence[Search]) -> Pending:
        outputs = self._maps(slots, crops_of(searches))[:, :, None]
        if self.reading is not None:
            said = np.array(self.reading, np.float32)[:, None, None]
            outputs = np.concatenate([outputs, np.broadcast_to(said, (*outputs.shape[:2], 5, *outputs.shape[3:]))], 2)
        responses = map_responses(outputs, searches)
        return _Later(self, tuple(slots), responses) if self.awaited else Finished(responses)

    def _maps(self, slots: Sequence[Slot], crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert crops.shape[2:] == (_NETWORK.search_size, _NETWORK.search_size, 3), crops.shape
        self._begin("respond", slots, crops)
        for slot in slots:
            assert self.exemplars[slot.index][0] == slot, f"{slot} is asked for, {self.exemplars[slot.index]} is there"
        if self.logits is not None:
            return np.full((*crops.shape[:2], _NETWORK.map_size, _NETWORK.map_size), self.logits, np.float32)
        return np.stack([np.stack([_map(crop) for crop in pyramid]) for pyramid in crops])

    def capacity(self, waiting: int) -> int:
        return self.cores or waiting

    def probe(self) -> None:
        self._begin("probe", (), None)

    def _begin(self, kind: Kind, slots: Sequence[Slot], crops: NDArray[np.uint8] | None) -> None:
        assert crops is None or len(slots) == len(crops)
        self.calls.append(Call(kind, tuple(slots)))
        gate = self._gates.get(kind)
        if gate is not None:
            self._reached[kind].set()
            assert gate.wait(_DEADLINE_S), "held for ever"
        if kind in self._failures:
            raise self._failures[kind]


@dataclass(frozen=True)
class _Later:
    """Responses that are said to be still on their way."""

    predictor: FakePredictor
    slots: tuple[Slot, ...]
    responses: list[Response]

    @property
    def ready(self) -> bool:
        return False

    def result(self) -> list[Response]:
        self.predictor._begin("answer", self.slots, None)
        return self.responses


def _map(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows, columns = np.nonzero(crop.min(axis=2) > BRIGHT)
    middle = _NETWORK.search_size / 2
    dy, dx = (float(line.mean()) + 0.5 - middle if len(line) else 0.0 for line in (rows, columns))
    cells = np.arange(_NETWORK.map_size) - _NETWORK.map_size // 2
    distance = (cells[:, None] - dy / _NETWORK.stride) ** 2 + (cells[None, :] - dx / _NETWORK.stride) ** 2
    return np.asarray(12 * np.exp(-distance / 4) - 6, np.float32)
