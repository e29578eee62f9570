"""Passes are recorded largest first, into the memory of the first."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from model.inference.gpu.graphs import Graphs


def test_sizes_are_recorded_largest_first_in_one_pool_and_one_that_fails_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, pools = inspect.signature(torch.cuda.graph.__init__), []

    @contextmanager
    def graph(*given: Any, **named: Any) -> Iterator[None]:
        pools.append(real.bind(None, *given, **named).arguments["pool"])
        if len(pools) == 2:
            raise RuntimeError("out of memory")
        yield

    stream = SimpleNamespace(wait_stream=lambda other: None)
    fakes = {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda given: nullcontext(),
        "CUDAGraph": lambda: SimpleNamespace(pool=lambda: "the first one's", replay=lambda: None),
        "graph": graph,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    graphs = Graphs()
    graphs.record((1, 2, 4), lambda size: (torch.zeros(size, 3, 5), torch.zeros(size, 3, 17, 17)))
    assert graphs.sizes == [4, 1]
    assert pools == [None, "the first one's", "the first one's"]
    assert [graphs.replay(size)[0].shape for size in graphs.sizes] == [(4, 3, 5), (1, 3, 5)]
    assert "no CUDA graph for passes of 2 targets" in caplog.text
