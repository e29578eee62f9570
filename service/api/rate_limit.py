"""The limit on frames a second: a token bucket for each API key or address."""

from __future__ import annotations

from collections.abc import Callable

_LEAST_SWEEP = 1024
"""Full buckets are thrown away only when there are more buckets than this."""

_ROUNDING = 1e-9
"""Tolerance in tokens: after the wait that `take` returned, rounding must not cost the caller its token."""


class RateLimiter:
    """Token buckets by key. A bucket fills at `rate` and holds the tokens of one second, at least one."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        """`rate`: frames a second, 0 for no limit; `clock`: monotonic seconds."""
        self._rate, self._clock = rate, clock
        self._burst = max(1.0, rate)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._sweep_at = _LEAST_SWEEP

    def take(self, key: str) -> float:
        """Take a token and return 0, or take none and return the seconds until there is one."""
        if not self._rate:
            return 0.0
        now = self._clock()
        if len(self._buckets) >= self._sweep_at:
            self._sweep(now)
        tokens = self._tokens(self._buckets.get(key, (self._burst, now)), now)
        if tokens < 1 - _ROUNDING:
            self._buckets[key] = (tokens, now)
            return (1 - tokens) / self._rate
        self._buckets[key] = (tokens - 1, now)
        return 0.0

    def _tokens(self, bucket: tuple[float, float], now: float) -> float:
        tokens, at = bucket
        return min(self._burst, tokens + (now - at) * self._rate)

    def _sweep(self, now: float) -> None:
        """Throw away full buckets: a new bucket starts full anyway."""
        left = {key: bucket for key, bucket in self._buckets.items() if self._tokens(bucket, now) < self._burst}
        self._buckets, self._sweep_at = left, max(_LEAST_SWEEP, 2 * len(left))
