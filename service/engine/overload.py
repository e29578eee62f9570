"""Measures how far the server is behind its frames, and refuses new sessions when it is too far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.errors import AtCapacity

_TICK_S = 0.5
_SLOW, _FAST = 0.1, 0.4
"""Weights of one tick's mean: the slow average covers about the last five seconds, the fast one the last second."""

_FALLING = 0.8
"""If the fast average is below this share of the slow one, the server is catching up."""

_RELIEF = 0.7
"""New sessions are accepted again when the fast average is below this share of the bound."""

_FORGOTTEN = 200
"""After so many ticks without frames both averages are zero for every purpose."""

_RETRY_S = 5.0


@dataclass(slots=True)
class Passage:
    """One frame under way. Its caller sets `waited_s`, the frame's whole wait in seconds, at the end."""

    waited_s: float | None = None


class OverloadGuard:
    """Refuses new sessions while frames wait too long. Existing sessions go on.

    The measure is a frame's wait, for a worker and for the device, divided by its targets: about the time in which
    every competing session has one target served. So a single client that sends as fast as it is answered is no
    overload: it keeps the device busy, but waits for nobody. Nor is a session of many targets, whose frames rightly
    wait longer. The measure is averaged over ticks of half a second, and a tick without frames counts as no wait, so
    that neither a burst nor the first frames after a start cause refusals.

    Refusing starts when the slow average is above the bound and the fast one is not well below the slow one. It stops
    when the fast average is well below the bound. Use a guard from one thread.
    """

    def __init__(self, bound_s: float, clock: Callable[[], float]) -> None:
        """`bound_s`: the longest wait for each target in seconds, 0 for no limit; `clock`: monotonic seconds."""
        self._bound_s, self._clock = bound_s, clock
        self._slow = self._fast = 0.0
        self._sum, self._frames, self._under_way = 0.0, 0, 0
        self._tick_began = clock()
        self._refusing = False

    @property
    def wait_s(self) -> float:
        """A frame's wait for each of its targets, in seconds: the fast average."""
        self._catch_up()
        return self._fast

    @property
    def refusing(self) -> bool:
        """Whether new sessions are refused now."""
        self._catch_up()
        return self._refusing

    def check(self) -> None:
        """Raises AtCapacity if new sessions are refused now."""
        if self.refusing:
            raise AtCapacity(
                f"the server is behind its streams: a frame waits {self._fast:.1f} s for each target",
                retry_after_s=_RETRY_S,
            )

    @contextmanager
    def passage(self, targets: int) -> Iterator[Passage]:
        """Follow one frame with that many targets through the block. A frame without a `waited_s` is not counted."""
        passage = Passage()
        self._catch_up()
        self._under_way += 1
        try:
            yield passage
        finally:
            self._catch_up()
            self._under_way -= 1
            if passage.waited_s is not None and targets:
                self._sum += max(0.0, passage.waited_s) / targets
                self._frames += 1

    def _catch_up(self) -> None:
        """Close the ticks that have ended. Called before `_under_way` changes, so its value held in all of them."""
        ticks = int((self._clock() - self._tick_began) / _TICK_S)
        if not ticks:
            return
        self._tick_began += ticks * _TICK_S
        if self._frames:
            self._blend(self._sum / self._frames)
            self._sum, self._frames, ticks = 0.0, 0, ticks - 1
        if self._under_way:
            # Frames are under way and none has finished: these ticks are unknown, not zero.
            return
        for _ in range(min(ticks, _FORGOTTEN)):
            self._blend(0.0)

    def _blend(self, wait_s: float) -> None:
        self._slow += _SLOW * (wait_s - self._slow)
        self._fast += _FAST * (wait_s - self._fast)
        if self._refusing:
            self._refusing = self._fast > _RELIEF * self._bound_s
        elif self._bound_s:
            self._refusing = self._slow > self._bound_s and self._fast >= _FALLING * self._slow
