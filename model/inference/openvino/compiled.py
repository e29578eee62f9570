"""The embedding and the network's outputs, compiled by OpenVINO for this CPU (the extra `openvino`).

Shape legend: B targets, N regions of each, C channels, e x e cells of an exemplar, S x S cells of a map, K outputs a
cell: 1, the logit, or with a box head 6.
"""

from __future__ import annotations

from functools import cache
from math import isqrt
from typing import Any

import numpy as np
import openvino
import torch
from torch import Tensor, nn

from model.arrays import Float16, Float32, RgbCrops
from model.checkpoints import Weights
from model.correlation import window_sums
from model.inference.openvino.graph import embedding_graph, products_graph, step_graph
from model.inference.openvino.writer import Arithmetic
from model.network import Affine


def arithmetics() -> tuple[Arithmetic, ...]:
    """The precisions that this CPU multiplies in hardware, by OpenVINO's account."""
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    rest: tuple[tuple[Arithmetic, str], ...] = (("bf16", "BF16"), ("int8", "INT8"))
    return "fp32", *(arithmetic for arithmetic, name in rest if name in capabilities)


class OpenVinoEmbedder:
    """The embedding on the CPU. One compiled graph takes any number of crops, of any size.

    Embeddings are float32 and lie in memory that the next call overwrites.
    """

    def __init__(self, weights: Weights, arithmetic: Arithmetic, threads: int) -> None:
        """`threads`: how many of this CPU's cores it may use."""
        graph = embedding_graph(weights.network, weights.preprocessing, arithmetic)
        self._request = _compiled(graph, arithmetic, threads, streams=1).create_infer_request()

    def __call__(self, crops: RgbCrops) -> Tensor:
        """Embeddings [B, C, s, s] of crops uint8 [B, side, side, 3] RGB."""
        (embeddings,) = self._request.infer([crops], share_inputs=True, share_outputs=True).values()
        return torch.from_numpy(embeddings)


class ProductsResponder:
    """`Core` for a network without a head: the compiled graph ends with the correlation's products."""

    def __init__(self, request: openvino.InferRequest, match: Affine) -> None:
        """`request`: of a `products_graph`. Made by `all_cores` and `each_core`."""
        self._request = request
        self._match = np.float32(match.weight), np.float32(match.bias)
        self._shape = (0, 0, 0)
        """Targets, regions of each, and cells a side of an exemplar, in the pass under way."""

    def __call__(self, exemplars: Float16, crops: RgbCrops, boxes: Float32) -> Float32:
        """The outputs [B, N, 1, S, S] of exemplars fp16 [B, C, e, e] in crops uint8 [B, N, side, side, 3] RGB."""
        given = self._given(exemplars, crops)
        (products,) = self._request.infer(given, share_inputs=True, share_outputs=True).values()
        return self._outputs(products)

    def start(self, exemplars: Float16, crops: RgbCrops, boxes: Float32) -> None:
        self._request.start_async(self._given(exemplars, crops), share_inputs=True)

    def finish(self) -> Float32:
        self._request.wait()
        return self._outputs(self._request.get_output_tensor().data)

    def _given(self, exemplars: Float16, crops: RgbCrops) -> list[Any]:
        (b, n), side = crops.shape[:2], exemplars.shape[-1]
        self._shape = b, n, side
        cells = exemplars.reshape(b, -1, side * side)
        return [crops.reshape(b * n, *crops.shape[2:]), cells if b == 1 else cells.repeat(n, axis=0)]

    def _outputs(self, products: Float32) -> Float32:
        (b, n, e), s = self._shape, isqrt(products.shape[-1])
        weight, bias = self._match
        maps = window_sums(products.reshape(b * n, e, e, s, s)) * weight + bias
        return maps.reshape(b, n, 1, *maps.shape[1:])


class HeadResponder:
    """`Core` for a network with a box head: the compiled graph is the whole network (`graph.step_graph`)."""

    def __init__(self, request: openvino.InferRequest) -> None:
        self._request = request
        self._targets = 0

    def __call__(self, exemplars: Float16, crops: RgbCrops, boxes: Float32) -> Float32:
        """The outputs [B, N, 6, S, S] of exemplars fp16 [B, C, e, e] in crops uint8 [B, N, side, side, 3] RGB.

        boxes: float32 [B, 2], the exemplars' boxes in crop pixels.
        """
        given = self._given(exemplars, crops, boxes)
        (outputs,) = self._request.infer(given, share_inputs=True).values()
        return self._by_target(outputs)

    def start(self, exemplars: Float16, crops: RgbCrops, boxes: Float32) -> None:
        self._request.start_async(self._given(exemplars, crops, boxes), share_inputs=True)

    def finish(self) -> Float32:
        self._request.wait()
        # A copy: the request's own memory is overwritten by its next target.
        return self._by_target(self._request.get_output_tensor().data.copy())

    def _given(self, exemplars: Float16, crops: RgbCrops, boxes: Float32) -> list[Any]:
        (b, n), side = crops.shape[:2], exemplars.shape[-1]
        self._targets = b
        cells = exemplars.reshape(b, -1, side * side)
        each = (cells, boxes) if n == 1 else (cells.repeat(n, axis=0), boxes.repeat(n, axis=0))
        return [crops.reshape(b * n, *crops.shape[2:]), *each]

    def _by_target(self, outputs: Float32) -> Float32:
        return outputs.reshape(self._targets, -1, *outputs.shape[1:])


Responder = ProductsResponder | HeadResponder


def all_cores(weights: Weights, arithmetic: Arithmetic, threads: int) -> Responder:
    """A responder that uses `threads` of this CPU's cores together."""
    return _responders(weights, arithmetic, threads, streams=1, count=1)[0]


def each_core(weights: Weights, arithmetic: Arithmetic, threads: int) -> list[Responder]:
    """Responders that use a core each and may run at the same time: two for each of `threads` cores.

    They share one copy of the weights. The second of a core waits until the first is done.
    """
    return _responders(weights, arithmetic, threads, streams=threads, count=2 * threads)


def _responders(weights: Weights, arithmetic: Arithmetic, threads: int, streams: int, count: int) -> list[Responder]:
    given = weights.network, weights.preprocessing, arithmetic
    if weights.network.head is not None:
        whole = _compiled(step_graph(*given), arithmetic, threads, streams)
        return [HeadResponder(whole.create_infer_request()) for _ in range(count)]
    norm = weights.network.match_norm
    assert isinstance(norm, nn.BatchNorm2d)
    match = Affine.from_norm(norm)
    compiled = _compiled(products_graph(*given), arithmetic, threads, streams)
    return [ProductsResponder(compiled.create_infer_request(), match) for _ in range(count)]


def _compiled(graph: openvino.Model, arithmetic: Arithmetic, threads: int, streams: int) -> openvino.CompiledModel:
    # The int8 graph's output, which is not int8, is bf16 where that is fast.
    half = arithmetic != "fp32" and "bf16" in arithmetics()
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
        # Two servers on one machine would pin their threads to the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    return _core().compile_model(graph, "CPU", settings)


@cache
def _core() -> openvino.Core:
    """OpenVINO's core, one for as long as the process lives.

    A core loads the CPU plugin, which gives the calling thread a stack for its signal handlers and, when unloaded, puts
    back the stack it found. Plugins that are not unloaded last in, first out leave the thread with a stack that is
    freed: the next signal, such as SIGTERM, is a segmentation fault or overwrites other memory.
    """
    return openvino.Core()
