"""The protocol of everything that runs the network: a `Predictor` begins a pass, whose `Pending` has the responses.

Shape legend: B targets of a pass, N regions of each, C channels, e x e cells of an exemplar's embedding, S x S cells of
a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from model.arrays import Float32, RgbCrops
from model.boxes import Box
from model.checkpoints import Weights
from model.frames import Frame
from model.inference.pending import Pending
from model.response import MapResponse, Response
from model.search import Cutter, Search
from model.tracker import Tracker

Runtime = Literal["torch", "openvino"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]

_HALF_MAX = 65504.0
"""The largest fp16."""


class Predictor(Protocol):
    """The network of `weights` on its `device`, with its `runtime` and `precision`.

    Stateless between passes; use it from one thread at a time, but for `cutter`. Embeddings are handed out and taken
    back as fp16 [B, C, e, e] on the device; correlation and everything after it is fp32.
    """

    weights: Weights
    device: torch.device
    runtime: Runtime
    precision: Precision

    @property
    def tracker(self) -> Tracker:
        """The pure steps that go with the weights."""
        return self.weights.tracker

    @property
    def cutter(self) -> Cutter:
        """Prepares a search's pixels as `begin` takes them. Pure: any thread may call it."""
        ...

    def embed(self, crops: RgbCrops) -> Tensor:
        """Exemplar embeddings, fp16 [B, C, e, e] on the device, of crops uint8 [B, 127, 127, 3] RGB."""
        ...

    def maps(self, exemplars: Tensor, crops: RgbCrops) -> Float32:
        """Correlation maps, logits float32 [B, N, S, S], of exemplars fp16 [B, C, e, e] on the device in search crops.

        crops: uint8 [B, N, 255, 255, 3] RGB, cut here whatever the `cutter`; for validation and comparison.
        """
        ...

    def begin(self, bank: Tensor, indexes: Sequence[int], searches: Sequence[Search]) -> Pending:
        """Begin a pass: the exemplars of `bank`, fp16 [K, C, e, e] on the device, at `indexes`, in their searches.

        The device may still be at it on return. Before its result is asked for, one more pass may begin, but no third.
        Raises ValueError for searches that another predictor's cutter has prepared.
        """
        ...

    def respond(self, exemplars: Tensor, searches: Sequence[Search]) -> list[Response]:
        """The responses of exemplars fp16 [B, C, e, e] on the device in their B searches."""
        return self.begin(exemplars, range(len(searches)), searches).result()

    def capacity(self, waiting: int) -> int:
        """The number of targets to begin with at once, so that no core or GPU is idle, of so many that wait."""
        return waiting

    def warm_up(self, batches: Sequence[int] = (1,)) -> None:
        """Run passes of these numbers of targets, so that the first client does not pay for it."""
        size = self.tracker.network.exemplar_size
        for count in batches:
            exemplars = self.embed(np.zeros((count, size, size, 3), np.uint8))
            self.respond(exemplars, [blank_search(self.tracker, self.cutter)] * count)


def blank_search(tracker: Tracker, cutter: Cutter) -> Search:
    """A search in a black frame."""
    side = tracker.network.search_size
    frame = Frame.whole(np.zeros((side, side, 3), np.uint8))
    track, _ = tracker.start(frame, Box.around((side / 2, side / 2), (side / 4, side / 4)))
    return tracker.search(frame, track, cutter)


def map_responses(outputs: Float32, searches: Sequence[Search]) -> list[Response]:
    """Responses to searches out of the network's outputs [B, N, K, S, S]: logits, and behind them the head's five."""
    return [
        MapResponse.of(own, search.shares, search.quality_influence)
        for own, search in zip(outputs, searches, strict=True)
    ]


def as_exemplars(embeddings: Tensor) -> Tensor:
    """Embeddings as they are kept, fp16; values beyond its range are clamped."""
    return embeddings.clamp(-_HALF_MAX, _HALF_MAX).to(torch.float16)
