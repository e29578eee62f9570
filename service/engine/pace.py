"""How many targets one pass of the network should hold, by the time that recent passes took."""

from __future__ import annotations

from collections.abc import Sequence

from service.engine.jobs import Job, Respond

_WEIGHT = 0.3
"""Weight of the last pass in the moving average."""


class Pace:
    """Chooses as many targets as the device does in `pass_s` seconds: at least one, at most `most`.

    On a CPU twice the targets take about twice the time, so larger passes only make every caller wait for the slowest.
    On a GPU more targets take hardly longer, so `most` is reached.
    """

    def __init__(self, most: int, pass_s: float) -> None:
        """`pass_s`: seconds that a pass should take at most; 0: always `most` targets."""
        self._most, self._pass_s = most, pass_s
        self._target_s = 0.0
        """Seconds of the device for one target's search: a moving average, 0 before the first pass."""

    @property
    def targets(self) -> int:
        """Targets for the next pass."""
        if not self._pass_s or self._target_s * self._most <= self._pass_s:
            return self._most
        return max(1, int(self._pass_s / self._target_s))

    def passed(self, jobs: Sequence[Job], seconds: float) -> None:
        """Learn from a pass of these jobs. Its time is shared out by cost, and only the searches' share counts."""
        searches = [job for job in jobs if isinstance(job, Respond) and job.slots]
        if not searches:
            return
        share = sum(job.cost for job in searches) / sum(job.cost for job in jobs)
        target_s = seconds * share / sum(len(job.slots) for job in searches)
        self._target_s = self._target_s + _WEIGHT * (target_s - self._target_s) if self._target_s else target_s
