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

    def __init__(self, weights: Weights, arithmetic: Arithmetic, threads: int) -> None:
        """`threads`: how many of this CPU's cores it may use."""
        graph = embedding_graph(layers_of(weights.network, weights.preprocessing), arithmetic)
        # What int8 leaves, the output, is bf16 where that is fast.
        half = arithmetic != "fp32" and "bf16" in arithmetics()
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # Two servers on one machine would pin their threads to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._request = _core().compile_model(graph, "CPU", settings).create_infer_request()

    def __call__(self, crops: Pixels) -> Tensor:
        (embeddings,) = self._request.infer([crops], share_inputs=True, share_outputs=True).values()
        return torch.from_numpy(embeddings)


@cache
def _core() -> openvino.Core:
    """One for as long as the process lives.

    Each loads the CPU plugin, which gives the calling thread a stack for its signal handlers and, when unloaded, puts
    back the one it found. Unless they go last in, first out, the thread is left with one that is freed: the next
    signal, SIGTERM say, is a segmentation fault or overwrites what lies there by then.
    """
    return openvino.Core()
