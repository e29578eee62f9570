"""A budget that fills with time: what one connection may spend."""

from __future__ import annotations

from collections.abc import Callable

_ROUNDING = 1e-9
"""Tolerance in units: after the wait that was told, rounding must not cost one more."""


class Budget:
    """A token bucket. It fills at `rate` units a second up to `most`, and begins full."""

    def __init__(self, rate: float, most: float, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._rate, self._most, self._clock = rate, most, clock
        self._units, self._at = most, clock()

    @property
    def whole(self) -> int:
        """The whole units that are there now."""
        self._fill()
        return int(self._units + _ROUNDING)

    @property
    def wait_s(self) -> float:
        """Seconds until a whole unit is there; 0 if one is there now."""
        self._fill()
        return max(0.0, 1 - _ROUNDING - self._units) / self._rate

    def spend(self, units: int = 1) -> None:
        """Take units, which must be there."""
        self._fill()
        self._units -= units

    def _fill(self) -> None:
        now = self._clock()
        self._units = min(self._most, self._units + (now - self._at) * self._rate)
        self._at = now
