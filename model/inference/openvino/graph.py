"""The embedding as an OpenVINO graph, written operation by operation.

Not `convert_model`: a dozen operations need no tracing of the torch module, and the integers of int8 are placed by
hand. Only this module and `compiled` import OpenVINO (the extra `openvino`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from openvino import Model
from openvino import opset13 as ops

from model.arrays import Float32
from model.inference.openvino.layers import FoldedLayer
from model.inference.openvino.quantisation import ceiling, quantise

Arithmetic = Literal["fp32", "bf16", "int8"]
_PIXEL_TOP = 255.0
_LEVELS = 256


def embedding_graph(layers: Sequence[FoldedLayer], arithmetic: Arithmetic) -> Model:
    """From crops uint8 [B, side, side, 3] RGB, any B and side, to embeddings float32 [B, C, s, s].

    For `bf16` only the weights are rounded here; the compiler is told to multiply in it. `int8` is for `quantisable`
    networks.
    """
    crops, embeddings = _embedded(layers, arithmetic)
    return Model([ops.result(embeddings)], [crops], "embedding")


def products_graph(layers: Sequence[FoldedLayer], arithmetic: Arithmetic) -> Model:
    """The embedding and the correlation's products: from crops, as above, and exemplars fp16 [B, C, e * e], or one.

    To float32 [B, e * e, s * s]: every cell of the exemplar times every cell of the crop's embedding. Multiplied inside
    the graph, the embedding is neither reordered nor copied out.
    """
    crops, embeddings = _embedded(layers, arithmetic)
    channels = len(layers[-1].weight)
    exemplars = ops.parameter([-1, channels, -1], np.float16, name="exemplars")
    cells = ops.reshape(ops.transpose(embeddings, np.array([0, 2, 3, 1])), np.array([0, -1, channels]), True)
    products = ops.matmul(ops.convert(exemplars, np.float32), cells, True, True)
    return Model([ops.result(products)], [crops, exemplars], "products")


def _embedded(layers: Sequence[FoldedLayer], arithmetic: Arithmetic) -> tuple[Any, Any]:
    """The crops and their embeddings."""
    crops = ops.parameter([-1, -1, -1, 3], np.uint8, name="crops")
    value = ops.transpose(ops.convert(crops, np.float32), np.array([0, 3, 1, 2]))
    top = _PIXEL_TOP
    for layer in layers:
        if arithmetic == "int8":
            zero, most = np.float32(0), np.float32(top)
            value = ops.fake_quantize(value, zero, most, zero, most, _LEVELS)
            integers, scale = quantise(layer.weight)
            kernel = ops.multiply(
                ops.convert(ops.constant(_grouped(integers, layer)), np.float32), ops.constant(_grouped(scale, layer))
            )
            used = integers * scale
        else:
            used = layer.weight if arithmetic == "fp32" else _rounded(layer.weight)
            kernel = ops.constant(_grouped(used, layer))
        value = _convolved(value, kernel, _bias(layer, used), layer)
        if layer is not layers[-1] and arithmetic == "int8":
            top = ceiling(layer)
    return crops, value


def _convolved(value: Any, kernel: Any, bias: Float32, layer: FoldedLayer) -> Any:
    convolve = ops.group_convolution if layer.groups > 1 else ops.convolution
    value = convolve(value, kernel, [layer.stride] * 2, [0, 0], [0, 0], [1, 1])
    value = ops.add(value, ops.constant(bias.reshape(1, -1, 1, 1)))
    if layer.relu:
        value = ops.relu(value)
    if layer.pool is not None:
        side, stride = layer.pool
        value = ops.max_pool(value, [stride] * 2, [1, 1], [0, 0], [0, 0], [side] * 2).output(0)
    return value


def _bias(layer: FoldedLayer, used: Float32) -> Float32:
    """The bias without the pedestal, by the rounded weights, so that rounding shifts no mean."""
    return np.asarray(layer.bias - layer.pedestal * used.sum(axis=(1, 2, 3), dtype=np.float64), np.float32)


def _grouped(array: Any, layer: FoldedLayer) -> Any:
    """[O, ...] in OpenVINO's layout for groups: [g, O / g, ...]."""
    return array if layer.groups == 1 else array.reshape(layer.groups, -1, *array.shape[1:])


def _rounded(weight: Float32) -> Float32:
    rounded: Float32 = torch.from_numpy(weight).to(torch.bfloat16).to(torch.float32).numpy()
    return rounded
