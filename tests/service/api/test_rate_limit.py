"""Token buckets under a clock that stands still."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.rate_limit import RateLimiter
from tests.support.clock import Clock


@pytest.mark.parametrize(
    ("rate", "takes", "waits"),
    [
        pytest.param(0, [0, 0, 0], [0, 0, 0], id="no-limit"),
        pytest.param(1, [0, 0], [0, 1], id="one-a-second"),
        # Half a second refills half a token: half a second more is needed.
        pytest.param(1, [0, 0.5], [0, 0.5], id="half-refilled"),
        pytest.param(1, [0, 1, 0], [0, 0, 1], id="refilled"),
        pytest.param(2, [0, 0, 0], [0, 0, 0.5], id="one-seconds-worth-at-once"),
        # A long pause fills the bucket with the tokens of one second, no more.
        pytest.param(2, [0, 100, 0, 0], [0, 0, 0, 0.5], id="rest-is-capped"),
        pytest.param(0.5, [0, 0, 2], [0, 2, 0], id="below-one-a-second"),
        # A refused take takes nothing.
        pytest.param(1, [0, 0, 0, 1], [0, 1, 1, 0], id="refusals-are-free"),
    ],
)
def test_buckets(rate: float, takes: list[float], waits: list[float]) -> None:
    clock = Clock()
    limiter = RateLimiter(rate, clock)
    seen = []
    for pause in takes:
        clock.advance(pause)
        seen.append(limiter.take("a"))
    assert seen == pytest.approx(waits)


def test_owners_have_buckets_of_their_own() -> None:
    limiter = RateLimiter(1, Clock())
    assert limiter.take("a") == 0
    assert limiter.take("a") > 0
    assert limiter.take("b") == 0


@given(st.floats(0.01, 1e6), st.lists(st.floats(0, 3), max_size=60))
def test_no_more_than_a_burst_and_the_rate_is_given(rate: float, pauses: list[float]) -> None:
    clock = Clock()
    limiter = RateLimiter(rate, clock)
    begun, taken = clock.now, 0
    for pause in pauses:
        clock.advance(pause)
        taken += limiter.take("a") == 0
        assert taken <= max(1, rate) + rate * (clock.now - begun) + 1e-6


@given(st.floats(0.01, 1e5), st.integers(1, 200))
def test_a_caller_that_waits_as_told_gets_a_token(rate: float, takes: int) -> None:
    clock = Clock(0.0)
    limiter = RateLimiter(rate, clock)
    for _ in range(takes):
        wait = limiter.take("a")
        if wait:
            clock.advance(wait)
            assert limiter.take("a") == 0


def test_buckets_of_callers_who_left_are_thrown_away() -> None:
    clock = Clock()
    limiter = RateLimiter(1, clock)
    for owner in range(20_000):
        clock.advance(0.01)
        limiter.take(str(owner))
    assert len(limiter._buckets) < 3000


def test_only_full_buckets_are_thrown_away() -> None:
    clock = Clock()
    limiter = RateLimiter(1, clock)
    for owner in range(5000):
        assert limiter.take(str(owner)) == 0
    assert all(limiter.take(str(owner)) > 0 for owner in range(5000))
