"""Frames a second for each key: token buckets."""

from __future__ import annotations

from collections.abc import Callable

_LEAST_SWEEP = 1024
"""Buckets up to which none is thrown away."""

_ROUNDING = 1e-9
"""Share of a token that rounding may cost: who waits as long as told gets one."""


class RateLimiter:
    """A bucket for each owner that fills at `rate` and holds one second's worth. Rate 0: no limit."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        """`rate`: frames a second; `clock`: monotonic seconds."""
        self._rate, self._clock = rate, clock
        self._burst = max(1.0, rate)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._sweep_at = _LEAST_SWEEP

    def take(self, owner: str) -> float:
        """Take a token. Returns 0 where there was one, else the seconds until there is one (none is taken)."""
        if not self._rate:
            return 0.0
        now = self._clock()
        if len(self._buckets) >= self._sweep_at:
            self._sweep(now)
        tokens = self._tokens(self._buckets.get(owner, (self._burst, now)), now)
        if tokens < 1 - _ROUNDING:
            self._buckets[owner] = (tokens, now)
            return (1 - tokens) / self._rate
        self._buckets[owner] = (tokens - 1, now)
        return 0.0

    def _tokens(self, bucket: tuple[float, float], now: float) -> float:
        tokens, at = bucket
        return min(self._burst, tokens + (now - at) * self._rate)

    def _sweep(self, now: float) -> None:
        """Throw away the buckets that are full again: a new one would be the same."""
        left = {owner: each for owner, each in self._buckets.items() if self._tokens(each, now) < self._burst}
        self._buckets, self._sweep_at = left, max(_LEAST_SWEEP, 2 * len(left))
