"""int8 without calibration data: the activations' ranges come from the batch norms.

A convolution reads the output of a batch norm and a ReLU. The norm's bias is that output's mean over the training data,
its weight the deviation (Nagel et al. 2019, *Data-Free Quantization*); so the range is known without any data. Pooling
changes no range. Pixels need no range: they are integers 0..255.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.arrays import Float32
from model.config import ConvLayer, NetworkConfig
from model.inference.openvino.layers import FoldedLayer

SIGMAS = 6.0
"""Deviations above its mean that a channel is expected to reach; values above the highest channel's are clipped."""


def quantisable(network: NetworkConfig) -> bool:
    """Whether every convolution but the last is followed by a batch norm and a ReLU, and none is depthwise.

    Networks of depthwise convolutions are narrow and deep: rounding adds up, and integers save little.
    """
    convolutions = [layer for layer in network.layers if isinstance(layer, ConvLayer)]
    depthwise = any(1 < layer.groups == layer.channels for layer in convolutions)
    return not depthwise and all(layer.norm and layer.relu for layer in convolutions[:-1])


def ceiling(layer: FoldedLayer) -> float:
    """The greatest output expected of a layer with a norm and a ReLU; its outputs are 0..ceiling.

    Read off the norm; `measured_ceiling` is the plain form, which needs data.
    """
    assert layer.spread is not None
    mean, deviation = layer.spread
    # If all channels are dead nothing is above zero, but a range must not be empty.
    return max(float((mean + SIGMAS * deviation).max()), 1e-3)


def measured_ceiling(outputs: Float32) -> float:
    """The plain form of `ceiling`: off a batch norm's outputs [B, O, h, w] for typical crops."""
    mean, deviation = outputs.mean(axis=(0, 2, 3)), outputs.std(axis=(0, 2, 3))
    return max(float((mean + SIGMAS * deviation).max()), 1e-3)


def quantise(weight: Float32) -> tuple[NDArray[np.int8], Float32]:
    """Weights as integers [O, ...] in -127..127, and one scale an output channel [O, 1, 1, 1].

    Integers times scale differ from the weights by at most half a scale.
    """
    peak = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale
