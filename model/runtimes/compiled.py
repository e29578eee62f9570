"""The embedding compiled by OpenVINO for this CPU (the extra `openvino`)."""

from __future__ import annotations

from functools import cache

import openvino
import torch
from torch import Tensor

from model.checkpoints import Weights
from model.runtimes.embedding import Pixels
from model.runtimes.graph import Arithmetic, embedding_graph
from model.runtimes.layers import layers_of


def arithmetics() -> tuple[Arithmetic, ...]:
    """What this CPU multiplies in hardware, as OpenVINO sees it."""
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    rest: tuple[tuple[Arithmetic, str], ...] = (("bf16", "BF16"), ("int8", "INT8"))
    return "fp32", *(arithmetic for arithmetic, name in rest if name in capabilities)


class OpenVinoEmbedder:
    """`Embedder` on the CPU. One compiled graph takes any number of crops, of any size.

    Embeddings are float32 and lie in memory that the next call overwrites.
    """

    def __init__(self, request: openvino.InferRequest) -> None:
        """Made by `all_cores` and `each_core`."""
        self._request = request

    def __call__(self, crops: Pixels) -> Tensor:
        (embeddings,) = self._request.infer([crops], share_inputs=True, share_outputs=True).values()
        return torch.from_numpy(embeddings)

    def start(self, crops: Pixels) -> None:
        """Begin to embed crops, which may not change until `finish`."""
        self._request.start_async([crops], share_inputs=True)

    def finish(self) -> Tensor:
        """What was begun, waited for."""
        self._request.wait()
        return torch.from_numpy(self._request.get_output_tensor().data)


def all_cores(weights: Weights, arithmetic: Arithmetic, threads: int) -> OpenVinoEmbedder:
    """An embedder that uses so many of this CPU's cores together."""
    return OpenVinoEmbedder(_compiled(weights, arithmetic, threads, streams=1).create_infer_request())


def each_core(weights: Weights, arithmetic: Arithmetic, threads: int) -> list[OpenVinoEmbedder]:
    """Embedders that use a core each and may run at the same time: two for each of so many cores.

    They share one copy of the weights. The second of a core waits until the first is done.
    """
    compiled = _compiled(weights, arithmetic, threads, streams=threads)
    return [OpenVinoEmbedder(compiled.create_infer_request()) for _ in range(2 * threads)]


def _compiled(weights: Weights, arithmetic: Arithmetic, threads: int, streams: int) -> openvino.CompiledModel:
    graph = embedding_graph(layers_of(weights.network, weights.preprocessing), arithmetic)
    # What int8 leaves, the output, is bf16 where that is fast.
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
    """One for as long as the process lives.

    Each loads the CPU plugin, which gives the calling thread a stack for its signal handlers and, when unloaded, puts
    back the one it found. Unless they go last in, first out, the thread is left with one that is freed: the next
    signal, SIGTERM say, is a segmentation fault or overwrites what lies there by then.
    """
    return openvino.Core()
