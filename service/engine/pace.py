"""How many targets one pass of the network should hold, by how long the last ones have taken."""

from __future__ import annotations

from collections.abc import Sequence

from service.engine.jobs import Job, Respond

_WEIGHT = 0.3
"""Of the last pass in what is known of the device's pace."""


class Pace:
    """The room in the next pass: as much as the device does in `pass_s`, at least one target, at most `most`.

    Where more targets in a pass cost proportionally more, as on a CPU, large passes only make everybody wait for the
    slowest; where they cost next to nothing more, as on a GPU, `most` is reached.
    """

    def __init__(self, most: int, pass_s: float) -> None:
        """`pass_s`: seconds; 0: always `most`."""
        self._most, self._pass_s = most, pass_s
        self._each_s = 0.0

    @property
    def room(self) -> int:
        """Targets for the next pass."""
        if not self._pass_s or self._each_s * self._most <= self._pass_s:
            return self._most
        return max(1, int(self._pass_s / self._each_s))

    def passed(self, jobs: Sequence[Job], seconds: float) -> None:
        """A pass of these jobs has taken so long. What is known is the time of a search; others have their share."""
        searches = [job for job in jobs if isinstance(job, Respond) and job.slots]
        if not searches:
            return
        share = sum(job.cost for job in searches) / sum(job.cost for job in jobs)
        each_s = seconds * share / sum(len(job.slots) for job in searches)
        self._each_s = self._each_s + _WEIGHT * (each_s - self._each_s) if self._each_s else each_s
