"""The embedding, and its correlation, compiled by OpenVINO for this CPU (the extra `openvino`)."""

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
from model.inference.openvino.graph import Arithmetic, embedding_graph, products_graph
from model.inference.openvino.layers import folded_layers
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
        graph = embedding_graph(folded_layers(weights.network, weights.preprocessing), arithmetic)
        self._request = _compiled(graph, arithmetic, threads, streams=1).create_infer_request()

    def __call__(self, crops: RgbCrops) -> Tensor:
        """Embeddings [B, C, s, s] of crops uint8 [B, side, side, 3] RGB."""
        (embeddings,) = self._request.infer([crops], share_inputs=True, share_outputs=True).values()
        return torch.from_numpy(embeddings)


class OpenVinoResponder:
    """`Core` on the CPU: exemplars and search crops in, correlation maps, logits float32 [B, N, S, S], out."""

    def __init__(self, request: openvino.InferRequest, match: Affine) -> None:
        """`request`: of a `products_graph`. Made by `all_cores` and `each_core`."""
        self._request = request
        self._match = np.float32(match.weight), np.float32(match.bias)
        self._shape = (0, 0, 0)
        """Targets, regions of each, and cells a side of an exemplar, in the pass under way."""

    def __call__(self, exemplars: Float16, crops: RgbCrops) -> Float32:
        """The maps of exemplars fp16 [B, C, e, e] in crops uint8 [B, N, side, side, 3] RGB."""
        given = self._given(exemplars, crops)
        (products,) = self._request.infer(given, share_inputs=True, share_outputs=True).values()
        return self._maps(products)

    def start(self, exemplars: Float16, crops: RgbCrops) -> None:
        self._request.start_async(self._given(exemplars, crops), share_inputs=True)

    def finish(self) -> Float32:
        self._request.wait()
        return self._maps(self._request.get_output_tensor().data)

    def _given(self, exemplars: Float16, crops: RgbCrops) -> list[Any]:
        (b, n), side = crops.shape[:2], exemplars.shape[-1]
        self._shape = b, n, side
        cells = exemplars.reshape(b, -1, side * side)
        return [crops.reshape(b * n, *crops.shape[2:]), cells if b == 1 else cells.repeat(n, axis=0)]

    def _maps(self, products: Float32) -> Float32:
        (b, n, e), s = self._shape, isqrt(products.shape[-1])
        weight, bias = self._match
        maps = window_sums(products.reshape(b * n, e, e, s, s)) * weight + bias
        return maps.reshape(b, n, *maps.shape[1:])


def all_cores(weights: Weights, arithmetic: Arithmetic, threads: int) -> OpenVinoResponder:
    """A responder that uses `threads` of this CPU's cores together."""
    return _responders(weights, arithmetic, threads, streams=1, count=1)[0]


def each_core(weights: Weights, arithmetic: Arithmetic, threads: int) -> list[OpenVinoResponder]:
    """Responders that use a core each and may run at the same time: two for each of `threads` cores.

    They share one copy of the weights. The second of a core waits until the first is done.
    """
    return _responders(weights, arithmetic, threads, streams=threads, count=2 * threads)


def _responders(
    weights: Weights, arithmetic: Arithmetic, threads: int, streams: int, count: int
) -> list[OpenVinoResponder]:
    norm = weights.network.match_norm
    assert isinstance(norm, nn.BatchNorm2d)
    match = Affine.from_norm(norm)
    graph = products_graph(folded_layers(weights.network, weights.preprocessing), arithmetic)
    compiled = _compiled(graph, arithmetic, threads, streams)
    return [OpenVinoResponder(compiled.create_infer_request(), match) for _ in range(count)]


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
