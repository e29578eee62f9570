"""The predictor of a GPU: windows of frames go up, peaks come back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.arrays import Float32, RgbCrops
from model.checkpoints import Weights
from model.inference.devices import TorchPrecision
from model.inference.gpu.device_step import DeviceStep
from model.inference.pending import Pending
from model.inference.predictor import Predictor, as_exemplars
from model.inference.torch_network import TorchNetwork
from model.search import Cutter, Search, cut_windows


class GpuPredictor(Predictor):
    """`Predictor` whose device cuts the crops and reads the maps (`model.inference.gpu.device_step`).

    It runs on a CPU too, more slowly than `model.inference.torch_cpu`; for tests.
    """

    def __init__(
        self, weights: Weights, device: torch.device, precision: TorchPrecision, threads: int, batch_max: int
    ) -> None:
        """`threads`: the CPU cores that torch uses, in the whole process. `batch_max`: targets of a recorded pass."""
        torch.set_num_threads(threads)
        self.weights, self.device = weights, device
        self.runtime, self.precision = "torch", precision
        self._network = TorchNetwork(weights, device, precision)
        self._step = DeviceStep(self._network, weights.tracker, device, batch_max)

    @property
    def cutter(self) -> Cutter:
        return cut_windows

    @torch.inference_mode()
    def embed(self, crops: RgbCrops) -> Tensor:
        return as_exemplars(self._network.embed_exemplars(crops))

    def maps(self, exemplars: Tensor, crops: RgbCrops) -> Float32:
        return self._network.maps(exemplars, crops)

    def begin(self, bank: Tensor, indexes: Sequence[int], searches: Sequence[Search]) -> Pending:
        return self._step.begin(bank, indexes, searches)
