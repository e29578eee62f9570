"""Backoff: doubling, jitter, bounds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamfc.client.reconnect import Reconnect


def test_delays_double_up_to_the_longest() -> None:
    policy = Reconnect(attempts=6, first_delay_s=1, max_delay_s=5, give_up_after_s=1000)
    assert list(policy.delays(chance=lambda: 0.0, clock=lambda: 0.0)) == [1, 2, 4, 5, 5, 5]
    assert list(policy.delays(chance=lambda: 0.5, clock=lambda: 0.0)) == [0.75, 1.5, 3, 3.75, 3.75, 3.75]


def test_time_bounds_them() -> None:
    # The clock is read once at the start and once before each attempt: 1 + 2 + 4 = 7, four more would be eleven.
    clock = iter((0.0, 0.0, 1.0, 3.0, 7.0))
    policy = Reconnect(attempts=99, first_delay_s=1, max_delay_s=4, give_up_after_s=10)
    assert list(policy.delays(chance=lambda: 0.0, clock=lambda: next(clock))) == [1, 2, 4]


def test_by_default_time_alone_bounds_them() -> None:
    waits: list[float] = []
    for wait in Reconnect().delays(chance=lambda: 0.0, clock=lambda: sum(waits)):
        waits.append(wait)
    assert sum(waits) <= 60 < sum(waits) + waits[-1]
    assert len(waits) > 10


def test_no_attempts() -> None:
    assert list(Reconnect(attempts=0).delays()) == []


@given(chance=st.floats(0, 1, exclude_max=True), first=st.floats(0.001, 10), attempts=st.integers(0, 30))
def test_jitter_cuts_at_most_half(chance: float, first: float, attempts: int) -> None:
    policy = Reconnect(attempts=attempts, first_delay_s=first, max_delay_s=20, give_up_after_s=1e6)
    whole = list(policy.delays(chance=lambda: 0.0, clock=lambda: 0.0))
    cut = list(policy.delays(chance=lambda: chance, clock=lambda: 0.0))
    assert len(cut) == attempts
    assert all(long / 2 <= short <= long <= 20 for short, long in zip(cut, whole, strict=True))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"attempts": -1}, id="attempts"),
        pytest.param({"first_delay_s": 9.0}, id="first above longest"),
        pytest.param({"first_delay_s": -1.0}, id="negative"),
        pytest.param({"give_up_after_s": 0.0}, id="no time"),
    ],
)
def test_bounds(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Reconnect(**fields)
