"""The predictor of the runtime OpenVINO: targets shared out among the cores of a CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from model.arrays import Float16, Float32, RgbCrops
from model.checkpoints import Weights
from model.inference.openvino.compiled import OpenVinoEmbedder, all_cores, each_core
from model.inference.openvino.cores import Cores, SharedPass
from model.inference.openvino.writer import Arithmetic
from model.inference.pending import Finished, Pending
from model.inference.predictor import Predictor, as_exemplars, map_responses
from model.network import middle
from model.response import Response
from model.search import Cutter, Search, crops_of, cut_crops, exemplar_boxes_of

_AT_ONCE = 2
"""Targets that the cores embed together: with more, a layer's output has left the cache before the next layer."""


@dataclass(frozen=True, slots=True)
class CoresPending:
    """`Pending` of a pass that the cores may still be at."""

    _shared: SharedPass
    _searches: Sequence[Search]

    @property
    def ready(self) -> bool:
        return self._shared.ready

    def result(self) -> list[Response]:
        return map_responses(self._shared.outputs(), self._searches)


class OpenVinoPredictor(Predictor):
    """`Predictor` on the CPU by OpenVINO.

    Targets go to the cores one by one where the cores can share them evenly, the others to all cores together.
    """

    def __init__(self, weights: Weights, precision: Arithmetic, threads: int, batch_max: int) -> None:
        """`threads`: CPU cores that it uses. `batch_max`: targets in one pass; with 1 no core works by itself."""
        self.weights, self.device = weights, torch.device("cpu")
        self.runtime, self.precision = "openvino", precision
        self._threads = threads
        self._embedder = OpenVinoEmbedder(weights, precision, threads)
        self._all_cores = all_cores(weights, precision, threads)
        several = batch_max > 1 and threads > 1
        self._cores = Cores(each_core(weights, precision, threads), threads) if several else None

    @property
    def cutter(self) -> Cutter:
        return cut_crops

    @torch.inference_mode()
    def embed(self, crops: RgbCrops) -> Tensor:
        with one_torch_thread():
            return as_exemplars(middle(self._embedder(crops), self.tracker.network.exemplar_side))

    def maps(self, exemplars: Tensor, crops: RgbCrops) -> Float32:
        rows = exemplars.numpy()
        # Maps do not depend on the exemplars' boxes.
        boxes = np.ones((len(crops), 2), np.float32)
        few = [slice(at, at + _AT_ONCE) for at in range(0, len(crops) or 1, _AT_ONCE)]
        return np.concatenate([self._all_cores(rows[each], crops[each], boxes[each])[:, :, 0] for each in few])

    def begin(self, bank: Tensor, indexes: Sequence[int], searches: Sequence[Search]) -> Pending:
        exemplars = bank.numpy()[list(indexes)]
        apart = self._cores.share(len(searches)) if self._cores is not None else 0
        if self._cores is None or not apart:
            return Finished(map_responses(self._together(exemplars, searches), searches))
        rest = partial(self._together, exemplars[apart:], searches[apart:]) if apart < len(searches) else None
        crops = [crops_of([search])[0] for search in searches[:apart]]
        boxes = exemplar_boxes_of(searches[:apart])
        return CoresPending(self._cores.begin(exemplars[:apart], crops, boxes, rest), searches)

    def capacity(self, waiting: int) -> int:
        return waiting if self._cores is None else self._cores.capacity(waiting)

    def warm_up(self, batches: Sequence[int] = (1,)) -> None:
        # A batch with a target for each core, too.
        super().warm_up(batches if self._cores is None else (*batches, self._threads))

    def _together(self, exemplars: Float16, searches: Sequence[Search]) -> Float32:
        """The outputs for searches by all cores together, a few targets at a time."""
        few = [slice(at, at + _AT_ONCE) for at in range(0, len(searches), _AT_ONCE)]
        return np.concatenate([self._outputs(exemplars[each], searches[each]) for each in few])

    def _outputs(self, exemplars: Float16, searches: Sequence[Search]) -> Float32:
        return self._all_cores(exemplars, crops_of(searches), exemplar_boxes_of(searches))


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Within the block torch has one thread: its others wait by spinning, on the cores that OpenVINO's threads need."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
