"""CUDA graphs of passes: each size recorded once, then replayed from the same memory into the same memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

_log = logging.getLogger(__name__)

_WARM_UPS = 3
"""Passes before one is recorded: libraries choose their kernels and allocate in the first ones."""

PassOutput = tuple[Tensor, Tensor]
"""On the device: peaks float32 [B, N, 5] and maps float32 [B, N, S, S]."""


class Graph(Protocol):
    """A recorded pass, such as a `torch.cuda.CUDAGraph`."""

    def replay(self) -> None: ...


class Graphs:
    """The recorded passes by size, and the tensors in which their answers lie."""

    def __init__(self) -> None:
        self._by_size: dict[int, tuple[Graph, PassOutput]] = {}

    def __contains__(self, size: int) -> bool:
        return size in self._by_size

    @property
    def sizes(self) -> list[int]:
        """The sizes that were recorded, in that order."""
        return list(self._by_size)

    def add(self, size: int, graph: Graph, answer: PassOutput) -> None:
        """Keep a recorded pass."""
        self._by_size[size] = graph, answer

    def replay(self, size: int) -> PassOutput:
        """Queue the pass of that size; its answer is overwritten by the next one."""
        graph, answer = self._by_size[size]
        graph.replay()
        return answer

    def record(self, sizes: Sequence[int], compute: Callable[[int], PassOutput]) -> None:
        """Record `compute` for each size, the largest first: the others then fit into its memory.

        A size that cannot be recorded is left out, with a warning: it runs one operation after the other.
        """
        pool = None
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        for size in reversed(sizes):
            try:
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    for _ in range(_WARM_UPS):
                        compute(size)
                torch.cuda.current_stream().wait_stream(side)
                graph = torch.cuda.CUDAGraph()
                # Other threads may use the device meanwhile.
                with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
                    answer = compute(size)
            except RuntimeError:
                _log.warning("no CUDA graph for passes of %d targets; they run without", size, exc_info=True)
                continue
            pool = graph.pool() if pool is None else pool
            self.add(size, graph, answer)
