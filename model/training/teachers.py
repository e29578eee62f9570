"""Teachers for distillation: a SiamFC of ours, or a classifier's features.

Shape legend: M views, K channels, t x t cells of the teacher's embedding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from model.checkpoints import Weights, find_weights, load_weights
from model.errors import CheckpointError
from model.network import preprocess
from model.training.mobilenet import MobileNetV2
from model.training.objective import Maps


class Teacher(Protocol):
    """A frozen network. Its cells lie `stride` px apart, their middle `offset` px right of and below the crop's."""

    channels: int
    stride: int
    offset: float

    def embed(self, pixels: Tensor) -> Tensor:
        """Embeddings [M, K, t, t] of pixels, float [M, 3, side, side] RGB 0..255."""

    def maps(self, embeddings: Tensor, shifts: Tensor) -> Maps | None:
        """Maps of every view's exemplar in every view; None if the teacher has no maps."""

    def place(self, device: torch.device) -> None:
        """Move to the device."""


class Siamese:
    """A SiamFC of ours: its embedding and its maps."""

    offset = 0.0

    def __init__(self, weights: Weights) -> None:
        self.network = weights.network.eval().requires_grad_(False)
        self.preprocessing = weights.preprocessing
        self.channels, self.stride = weights.network.config.channels, weights.network.config.stride

    def embed(self, pixels: Tensor) -> Tensor:
        return self.network.embed(preprocess(pixels, self.preprocessing))

    def maps(self, embeddings: Tensor, shifts: Tensor) -> Maps | None:
        return Maps.of(self.network, embeddings, shifts)

    def place(self, device: torch.device) -> None:
        self.network.to(device)


def load_teacher(given: Path) -> Teacher:
    """A weights file of ours or bundled weights by name; or MobileNetV2's state dict (.pt, .pth).

    Raises CheckpointError.
    """
    if given.suffix in (".pt", ".pth"):
        return MobileNetV2(given)
    path = find_weights(given)
    if path.suffix == ".safetensors":
        return Siamese(load_weights(path))
    raise CheckpointError(f"{path}: a teacher is a weights file (.safetensors) or MobileNetV2's state dict (.pt, .pth)")
