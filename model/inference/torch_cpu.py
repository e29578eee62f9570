"""The network run by torch around crops that are cut and maps that are read here: what a CPU does best."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.arrays import Float32, RgbCrops
from model.checkpoints import Weights
from model.inference.devices import TorchPrecision
from model.inference.pending import Finished, Pending
from model.inference.predictor import Predictor, as_exemplars, map_responses
from model.inference.torch_network import TorchNetwork
from model.search import Cutter, Search, crops_of, cut_crops, exemplar_boxes_of


class TorchPredictor(Predictor):
    """`Predictor` by torch; the responses are there when `begin` returns.

    It runs on a GPU too, as the reference for `model.inference.gpu`.
    """

    def __init__(self, weights: Weights, device: torch.device, precision: TorchPrecision, threads: int) -> None:
        """`threads`: the CPU cores that torch uses, in the whole process."""
        torch.set_num_threads(threads)
        self.weights, self.device = weights, device
        self.runtime, self.precision = "torch", precision
        self._network = TorchNetwork(weights, device, precision)

    @property
    def cutter(self) -> Cutter:
        return cut_crops

    @torch.inference_mode()
    def embed(self, crops: RgbCrops) -> Tensor:
        return as_exemplars(self._network.embed_exemplars(crops))

    def maps(self, exemplars: Tensor, crops: RgbCrops) -> Float32:
        return self._network.maps(exemplars, crops)

    def begin(self, bank: Tensor, indexes: Sequence[int], searches: Sequence[Search]) -> Pending:
        outputs = self._network.respond(bank[list(indexes)], crops_of(searches), exemplar_boxes_of(searches))
        return Finished(map_responses(outputs, searches))
