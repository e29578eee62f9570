"""Whether the server is behind its frames, and so whether another session may begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.errors import AtCapacity

_TICK_S = 0.5
_SLOW, _FAST = 0.1, 0.4
"""Weights of one tick's mean: the slow average knows the last five seconds or so, the fast one the last one."""

_FALLING = 0.8
"""The fast average below this share of the slow one: what there was is being worked off."""

_RELIEF = 0.7
"""Share of the bound under which the fast average has to come before sessions are taken again."""

_FORGOTTEN = 200
"""Ticks without frames after which nothing is left of what was."""

_RETRY_S = 5.0


@dataclass(slots=True)
class Passage:
    """One frame under way. Whoever carries it says at the end how long it waited in all, in seconds."""

    waited_s: float | None = None


class OverloadGuard:
    """Refuses new sessions while frames wait too long. Sessions that are there go on.

    Judged is how long a frame waits for a worker or for the device, divided by its targets: the time that passes until
    each of the sessions that compete has had one target served. A client that sends as fast as it is answered keeps
    the device busy and waits for nobody, so it is no overload however full its window is; nor is a session of many
    targets, whose frames wait longer by right. It is averaged over ticks of half a second, a tick without frames
    counting as no wait, so that neither a burst nor the first frames after a start refuse anybody.

    New sessions are refused from when the slow average is above the bound and the fast one is not falling away from
    it, until the fast one is well below the bound. Use it from one thread.
    """

    def __init__(self, bound_s: float, clock: Callable[[], float]) -> None:
        """`bound_s`: seconds that a frame may wait for each target, 0 for any; `clock`: monotonic seconds."""
        self._bound_s, self._clock = bound_s, clock
        self._slow = self._fast = 0.0
        self._sum, self._frames, self._under_way = 0.0, 0, 0
        self._tick_began = clock()
        self._refusing = False

    @property
    def wait_s(self) -> float:
        """The fast average, in seconds: how long a frame waits for each of its targets."""
        self._catch_up()
        return self._fast

    @property
    def refusing(self) -> bool:
        """Whether new sessions are refused now."""
        self._catch_up()
        return self._refusing

    def check(self) -> None:
        """Raises AtCapacity where no session should begin now."""
        if self.refusing:
            raise AtCapacity(
                f"the server is behind its streams: a frame waits {self._fast:.1f} s for each target",
                retry_after_s=_RETRY_S,
            )

    @contextmanager
    def passage(self, targets: int) -> Iterator[Passage]:
        """Carry one frame of so many targets through. One that fails says nothing of how long frames wait."""
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
        """Close the ticks that have ended. Comes before every change of what is under way, so that held in all."""
        ticks = int((self._clock() - self._tick_began) / _TICK_S)
        if not ticks:
            return
        self._tick_began += ticks * _TICK_S
        if self._frames:
            self._blend(self._sum / self._frames)
            self._sum, self._frames, ticks = 0.0, 0, ticks - 1
        if self._under_way:
            # Frames are under way and none has come through: nothing is known of these ticks.
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
