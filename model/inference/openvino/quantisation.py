"""int8 without calibration data: the ranges come out of the weights themselves.

What a convolution reads has left a batch norm and a ReLU, so that the norm's own numbers say how large it gets: its
bias is the mean and its weight the deviation over the training data (Nagel et al. 2019, *Data-Free
Quantization*). Pooling changes no range. Pixels need no range: they are integers 0..255.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.arrays import Float32
from model.config import ConvLayer, NetworkConfig
from model.inference.openvino.layers import FoldedLayer

SIGMAS = 6.0
"""How many deviations above its mean a channel is expected to reach; what exceeds the highest is clipped."""


def quantisable(network: NetworkConfig) -> bool:
    """Whether every convolution but the last is followed by a batch norm and a ReLU, and none is depthwise.

    Networks of depthwise convolutions are narrow and deep: each rounding tells, and integers save little.
    """
    convolutions = [layer for layer in network.layers if isinstance(layer, ConvLayer)]
    depthwise = any(1 < layer.groups == layer.channels for layer in convolutions)
    return not depthwise and all(layer.norm and layer.relu for layer in convolutions[:-1])


def ceiling(layer: FoldedLayer) -> float:
    """The greatest value that is expected to leave a layer with a norm and a ReLU; its output is 0..ceiling."""
    assert layer.spread is not None
    mean, deviation = layer.spread
    # A norm whose channels are all dead leaves nothing above zero, and a range must not be empty.
    return max(float((mean + SIGMAS * deviation).max()), 1e-3)


def quantise(weight: Float32) -> tuple[NDArray[np.int8], Float32]:
    """Weights as integers [O, ...] in -127..127, and one scale an output channel [O, 1, 1, 1]; the product is close.

    Off by at most half a scale.
    """
    peak = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale
