"""Frames a second for each key: token buckets."""

from __future__ import annotations

from collections.abc import Callable


class RateLimiter:
    """A bucket for each owner that fills at `rate` and holds one second's worth. Rate 0: no limit."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        """`rate`: frames a second; `clock`: monotonic seconds."""
        self._rate, self._clock = rate, clock
        self._burst = max(1.0, rate)
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, owner: str) -> float:
        """Take a token. Returns 0 where there was one, else the seconds until there is one (none is taken)."""
        if not self._rate:
            return 0.0
        now = self._clock()
        tokens, at = self._buckets.get(owner, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        if tokens < 1:
            self._buckets[owner] = (tokens, now)
            return (1 - tokens) / self._rate
        self._buckets[owner] = (tokens - 1, now)
        return 0.0
