"""int8 without calibration data: the activations' ranges come from the batch norms.

A batch norm's own numbers say how large its outputs get: its bias is the mean and its weight the deviation over the
training data (Nagel et al. 2019, *Data-Free Quantization*, section 4.2). A ReLU6 says it outright. Pooling changes no
range. Pixels need none: they are integers 0..255.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from model.arrays import Float32
from model.config import NetworkConfig
from model.layers import BottleneckLayer, ConvLayer

SIGMAS = 6.0
"""Deviations from its mean that a channel is expected to reach; values beyond the farthest are clipped."""
_LEAST = 1e-3
"""Least end of a range: a norm whose channels are all dead leaves nothing, and a range must not be empty."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """The spread of a value's channels, as the norms say: mean and deviation, float32 [C].

    ceiling: the greatest value, where none lies below 0; infinite where values lie on both sides.
    """

    mean: Float32
    deviation: Float32
    ceiling: float = math.inf

    @property
    def bounds(self) -> tuple[float, float]:
        """The range: 0 to the ceiling; or the same on both sides, so that 0 is one of int8's levels."""
        if math.isfinite(self.ceiling):
            return 0.0, self.ceiling
        top = max(float((np.abs(self.mean) + SIGMAS * self.deviation).max()), _LEAST)
        return -top * 128 / 127, top

    def plus(self, other: Spread) -> Spread:
        """The spread of a sum of two values, taken to be independent."""
        return Spread(self.mean + other.mean, np.hypot(self.deviation, other.deviation))

    def capped(self, ceiling: float = math.inf) -> Spread:
        """The spread after a ReLU, or after one that ends at `ceiling`."""
        expected = max(float((self.mean + SIGMAS * self.deviation).max()), _LEAST)
        return replace(self, ceiling=min(expected, ceiling))

    @classmethod
    def left_by(cls, norm: nn.BatchNorm2d) -> Spread:
        """The spread of a norm's outputs: its bias is their mean, its weight their deviation."""
        return cls(norm.bias.detach().numpy(), np.abs(norm.weight.detach().numpy()))

    @classmethod
    def measured(cls, outputs: Float32) -> Spread:
        """The plain form of `left_by`, which needs data: a norm's outputs [B, C, h, w] for typical crops."""
        return cls(outputs.mean(axis=(0, 2, 3)), outputs.std(axis=(0, 2, 3)))


def quantisable(network: NetworkConfig) -> bool:
    """Whether the network keeps its accuracy in int8.

    Bottlenecks do: their ReLU6 bound every range but those between them. Otherwise every convolution but the last must
    be followed by a batch norm and a ReLU, and none be depthwise: such networks are narrow and deep, so that each
    rounding tells, and integers save little.
    """
    if any(isinstance(layer, BottleneckLayer) for layer in network.layers):
        return True
    convolutions = [layer for layer in network.layers if isinstance(layer, ConvLayer)]
    depthwise = any(1 < layer.groups == layer.channels for layer in convolutions)
    return not depthwise and all(layer.norm and layer.relu for layer in convolutions[:-1])


def quantise(weight: Float32) -> tuple[NDArray[np.int8], Float32]:
    """Weights as integers [O, ...] in -127..127, and one scale an output channel [O, 1, 1, 1].

    Integers times scale differ from the weights by at most half a scale.
    """
    peak = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale
