"""The ladder of trials, and what a trial comes to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks._streams import Streamed
from benchmarks.sessions import largest, summary


@pytest.mark.parametrize(
    ("capacity", "most", "found", "tried"),
    [
        pytest.param(0, 64, 0, [1], id="not even one"),
        pytest.param(1, 64, 1, [1, 2], id="one"),
        pytest.param(6, 64, 6, [1, 2, 4, 6, 7, 8], id="between two rungs"),
        pytest.param(8, 8, 8, [1, 2, 4, 8], id="all"),
        pytest.param(99, 6, 6, [1, 2, 4, 6], id="more than are tried"),
    ],
)
def test_the_largest_number_that_holds(capacity: int, most: int, found: int, tried: list[int]) -> None:
    async def trial(count: int) -> dict[str, Any]:
        return {"sessions": count, "holds": count <= capacity}

    result = asyncio.run(largest(trial, most))
    assert result["sessions"] == found
    assert [rung["sessions"] for rung in result["rungs"]] == tried
    assert result["best"]["sessions"] == max(found, 1)


def streamed(kinds: str) -> Streamed:
    """A letter a frame: r result, d dropped, e error; sent a second apart and answered after 10 ms each."""
    names = {"r": "result", "d": "dropped", "e": "error"}
    sent = [float(index) for index in range(len(kinds))]
    answers = [{"type": names[kind], "seq": seq} for seq, kind in enumerate(kinds)]
    return Streamed(sent, [at + 0.01 for at in sent], answers)


@pytest.mark.parametrize(
    ("streams", "holds", "dropped", "failed"),
    [
        pytest.param([streamed("r" * 50), streamed("r" * 50)], True, 0.0, 0, id="all answered"),
        pytest.param([streamed("r" * 99 + "d")], True, 0.01, 0, id="one in a hundred dropped"),
        pytest.param([streamed("r" * 50), streamed("r" * 48 + "dd")], False, 0.02, 0, id="two in a hundred dropped"),
        pytest.param([streamed("r" * 50 + "e")], False, 0.0, 1, id="one failed"),
    ],
)
def test_a_trial(streams: list[Streamed], holds: bool, dropped: float, failed: int) -> None:
    result = summary(streams, len(streams), 0.0, {})
    assert (result["holds"], result["dropped_share"], result["failed"]) == (holds, dropped, failed)
    assert result["latency_ms"] == {"p50": 10.0, "p95": 10.0, "p99": 10.0}


def test_the_time_to_warm_up_does_not_count() -> None:
    result = summary([streamed("dd" + "r" * 10)], 1, 2.0, {})
    assert (result["holds"], result["frames"], result["dropped_share"]) == (True, 10, 0.0)


def test_an_answer_that_is_missing_fails_the_trial() -> None:
    stream = streamed("rrr")
    stream.sent.append(3.0)
    assert not summary([stream], 1, 0.0, {})["holds"]


def test_a_trial_without_any_result_says_so() -> None:
    assert summary([streamed("dddd")], 1, 0.0, {})["latency_ms"] is None
