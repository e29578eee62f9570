"""A network's modules written down as OpenVINO operations, with int8 placed by hand where it is asked for.

`Writer` walks the torch modules. Each value carries what is known of its range: int8 needs it, and the batch norms say
it (`model.inference.openvino.quantisation`).

Shape legend: B crops, C channels, s x s cells of a crop's embedding, S x S of a map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from openvino import opset13 as ops
from torch import nn

from model.arrays import Float32
from model.box_head import BoxHead
from model.config import Preprocessing
from model.inference.openvino.quantisation import Spread, quantise
from model.network import Affine, Bottleneck, SiamFC, TrunkAndNeck, fold_norm

Arithmetic = Literal["fp32", "bf16", "int8"]
_LEVELS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A node of the graph, its channels' spread where it is known, and the preprocessing that raw pixels still need."""

    node: Any
    spread: Spread | None = None
    pixels: Preprocessing | None = None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The range of its values, where it is known."""
        if self.pixels is not None:
            return 0.0, 255.0
        return None if self.spread is None else self.spread.bounds


class Writer:
    """Writes modules in one arithmetic. `bf16` rounds weights here; that it multiplies so the compiler is told."""

    def __init__(self, arithmetic: Arithmetic) -> None:
        self._arithmetic = arithmetic

    def embedding(self, crops: Any, network: SiamFC, preprocessing: Preprocessing) -> Value:
        """Embeddings [B, C, s, s] of crops uint8 [B, side, side, 3] RGB, any B and side.

        The preprocessing becomes a part of the first convolution: its scale and channel order in the weights, its mean
        in the bias and in the padding. So the convolution reads integers.
        """
        pixels = ops.transpose(ops.convert(crops, np.float32), np.array([0, 3, 1, 2]))
        return self.write(network.embedding, Value(pixels, pixels=preprocessing))

    def write(self, module: nn.Module, value: Value) -> Value:
        """Write the module, in eval mode, applied to the value."""
        if isinstance(module, TrunkAndNeck):
            return self._trunk_and_neck(module, value)
        if isinstance(module, Bottleneck):
            written = self.write(module.layers, value)
            return _added(written, value) if module.adds else written
        if isinstance(module, nn.Sequential):
            return self._sequence(list(module), value)
        raise TypeError(f"nobody has said how a {type(module).__name__} is written for OpenVINO")

    def _sequence(self, modules: Sequence[nn.Module], value: Value) -> Value:
        at = 0
        while at < len(modules):
            module = modules[at]
            if isinstance(module, nn.Conv2d):
                norm = modules[at + 1] if at + 1 < len(modules) else None
                value = self._convolution(module, norm if isinstance(norm, nn.BatchNorm2d) else None, value)
                at += 1 + isinstance(norm, nn.BatchNorm2d)
                continue
            value = self._plain(module, value)
            at += 1
        return value

    def _plain(self, module: nn.Module, value: Value) -> Value:
        if isinstance(module, nn.ReLU6):
            return Value(ops.clamp(value.node, 0.0, 6.0), _after_relu(value.spread, 6.0))
        if isinstance(module, nn.ReLU):
            return Value(ops.relu(value.node), _after_relu(value.spread))
        if isinstance(module, nn.MaxPool2d):
            side, stride = module.kernel_size, module.stride
            node = ops.max_pool(value.node, [stride] * 2, [1, 1], [0, 0], [0, 0], [side] * 2).output(0)
            return Value(node, value.spread)
        return self.write(module, value)

    def _convolution(self, module: nn.Conv2d, norm: nn.BatchNorm2d | None, value: Value) -> Value:
        folded = module if norm is None else fold_norm(module, norm)
        weight, node = folded.weight.detach().numpy(), value.node
        bias = np.zeros(len(weight), np.float32) if folded.bias is None else folded.bias.detach().numpy()
        padding = int(folded.padding[0])
        if value.pixels is not None:
            weight = _for_pixels(weight, value.pixels)
            if padding:
                around = np.array([0, 0, padding, padding])
                node = ops.pad(node, around, around, "constant", np.float32(value.pixels.mean))
            padding = 0
        kernel, used, node = self._kernel(weight, folded.groups, value.bounds, node)
        if value.pixels is not None:
            # By the weights that are used, so that their rounding shifts no mean.
            bias = np.asarray(bias - value.pixels.mean * used.sum(axis=(1, 2, 3), dtype=np.float64), np.float32)
        convolve = ops.group_convolution if folded.groups > 1 else ops.convolution
        node = convolve(node, kernel, [int(folded.stride[0])] * 2, [padding] * 2, [padding] * 2, [1, 1])
        node = ops.add(node, ops.constant(bias.reshape(1, -1, 1, 1)))
        return Value(node, None if norm is None else Spread.left_by(norm))

    def _kernel(
        self, weight: Float32, groups: int, bounds: tuple[float, float] | None, node: Any
    ) -> tuple[Any, Float32, Any]:
        """The kernel's node, the weights that it stands for, and the node that it multiplies."""
        if self._arithmetic == "int8" and bounds is not None:
            low, high = map(np.float32, bounds)
            integers, scale = quantise(weight)
            whole = ops.convert(ops.constant(_grouped(integers, groups)), np.float32)
            kernel = ops.multiply(whole, ops.constant(_grouped(scale, groups)))
            return kernel, integers * scale, ops.fake_quantize(node, low, high, low, high, _LEVELS)
        used = weight if self._arithmetic == "fp32" else _rounded(weight)
        return ops.constant(_grouped(used, groups)), used, node

    def _trunk_and_neck(self, module: TrunkAndNeck, value: Value) -> Value:
        tapped: list[Value] = []
        strides: list[int] = []
        for index, layer in enumerate(module.trunk):
            value = self.write(layer, value)
            strides.append(_stride(layer))
            if index in module.taps:
                tapped.append(value)
        finer = [int(np.prod(strides[tap + 1 :])) for tap in module.taps]
        level = [_averaged(each, factor) for each, factor in zip(tapped, finer, strict=True)]
        return self.write(module.neck, _side_by_side(level))

    def head(self, head: BoxHead, parts: Any, searches: Any, shapes: Any) -> Any:
        """The outputs [B, 5, S, S] of part responses, embeddings [B, C, s, s] and shapes [B, 2]; in floating point."""
        plain = Writer("fp32" if self._arithmetic == "fp32" else "bf16")
        seen = plain.write(nn.Sequential(*head.reduce, head.window), Value(searches)).node
        logs = ops.log(ops.divide(shapes, np.float32(head.exemplar_size)))
        grid = ops.multiply(ops.slice(parts, [0], [2], [1], [1]), np.float32(0))
        planes = ops.add(ops.unsqueeze(logs, np.array([2, 3])), grid)
        together = ops.concat([affine(Affine.from_norm(head.parts_norm), parts), seen, planes], 1)
        return plain.write(nn.Sequential(*head.blocks, head.out), Value(together)).node


def _added(first: Value, second: Value) -> Value:
    known = None if first.spread is None or second.spread is None else first.spread.plus(second.spread)
    return Value(ops.add(first.node, second.node), known)


def _averaged(value: Value, factor: int) -> Value:
    if factor == 1:
        return value
    node = ops.avg_pool(value.node, [factor] * 2, [0, 0], [0, 0], [factor] * 2, True)
    return Value(node, value.spread)


def _side_by_side(values: Sequence[Value]) -> Value:
    spreads = [value.spread for value in values if value.spread is not None]
    known = None
    if len(spreads) == len(values):
        means, deviations = ([getattr(each, name) for each in spreads] for name in ("mean", "deviation"))
        known = Spread(np.concatenate(means), np.concatenate(deviations))
    return Value(ops.concat([value.node for value in values], 1), known)


def _after_relu(spread: Spread | None, ceiling: float = math.inf) -> Spread | None:
    return None if spread is None else spread.capped(ceiling)


def _for_pixels(weight: Float32, preprocessing: Preprocessing) -> Float32:
    """A first convolution's weights for raw pixels in R, G, B order."""
    ordered = weight[:, ::-1] if preprocessing.order == "bgr" else weight
    return np.ascontiguousarray(ordered / np.float32(preprocessing.std))


def affine(affine: Affine, node: Any) -> Any:
    weight, bias = (each.numpy().reshape(1, -1, 1, 1) for each in (affine.weight, affine.bias))
    return ops.add(ops.multiply(node, ops.constant(weight)), ops.constant(bias))


def _stride(layer: nn.Module) -> int:
    return int(np.prod([module.stride[0] for module in layer.modules() if isinstance(module, nn.Conv2d)]))


def _grouped(array: Any, groups: int) -> Any:
    """[O, ...] as OpenVINO has it for groups: [g, O / g, ...]."""
    return array if groups == 1 else array.reshape(groups, -1, *array.shape[1:])


def _rounded(weight: Float32) -> Float32:
    rounded: Float32 = torch.from_numpy(weight).to(torch.bfloat16).to(torch.float32).numpy()
    return rounded
