"""Whose turn it is on the device. Bookkeeping only: no thread, no clock, no torch."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from service.engine.jobs import Job


@dataclass(slots=True, eq=False)
class Waiting:
    """A job in line since `since` (seconds): how many of its targets were taken, and what has come of them so far."""

    job: Job
    future: asyncio.Future[Any]
    since: float
    taken: int = 0
    over: bool = False
    """Whether it has been answered: nobody wants what is left of it."""
    infer_s: float = 0.0
    results: list[Any] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Targets not taken yet."""
        return len(self.job.slots) - self.taken


@dataclass(frozen=True, slots=True)
class Part:
    """What one pass takes of a job: its targets from `start` to `stop`, perhaps all."""

    waiting: Waiting
    start: int
    stop: int

    @property
    def job(self) -> Job:
        """The part as a job of its own."""
        job = self.waiting.job
        return job if self.whole else job.part(self.start, self.stop)

    @property
    def whole(self) -> bool:
        """Whether it is all of its job."""
        return self.stop - self.start == len(self.waiting.job.slots)

    @property
    def last(self) -> bool:
        """Whether the job is done with it."""
        return self.stop == len(self.waiting.job.slots)


class FairQueue:
    """The jobs that wait, fair between sessions.

    A session's jobs run in the order they came in. When a job gets to the head of its session's line it is due its
    own cost after what its session had last was due, or after the line's clock, whichever is later; the clock stands
    at the due time of what the latest pass began with. What is due first is taken first, and of two the one that got
    there first: fair queueing by finish times, with the device's own progress for a clock. So while others wait every
    session has the same share of the device, however many targets or frames it brings: sixteen targets are due after
    sixteen turns of a session with one. Nobody starves, since whatever a session gets puts off what it gets next; and
    one that was silent has saved nothing up.

    A job of which only a part fits into a pass goes on in the next one. One that nobody waits for any more costs its
    session nothing.
    """

    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[Waiting]] = {}
        self._heads: list[tuple[float, int, Hashable]] = []
        self._arrivals = itertools.count()
        self._clock = 0.0
        self._had: dict[Hashable, float] = {}
        """When what each session had last was due, where that is later than the clock."""
        self._jobs = 0
        self.targets = 0
        """Targets that wait, those of callers who have gone included."""

    def __len__(self) -> int:
        return self._jobs

    def add(self, waiting: Waiting) -> None:
        """One more job."""
        # A new session has no name yet: its jobs are a line of their own.
        session = waiting.job.session or waiting
        line = self._lines.setdefault(session, deque())
        line.append(waiting)
        self._jobs += 1
        self.targets += waiting.left
        if len(line) == 1:
            self._head(session)

    def take(self, most: int) -> list[Part]:
        """The parts of the next pass, in the order of their turns: at most `most` targets."""
        parts: list[Part] = []
        while self._heads:
            due, _, session = self._heads[0]
            waiting = self._lines[session][0]
            if waiting.over or waiting.future.done():
                self._pop(session)
                continue
            if waiting.left and not most:
                break
            if not parts:
                self._clock = due
                self._had = {each: had for each, had in self._had.items() if had > due}
            count = min(waiting.left, most)
            parts.append(Part(waiting, waiting.taken, waiting.taken + count))
            self._had[session] = due
            waiting.taken += count
            self.targets -= count
            most -= count
            if not waiting.left:
                self._pop(session)
        return parts

    def clear(self) -> list[Waiting]:
        """Empty it; returns who waited."""
        left = [waiting for line in self._lines.values() for waiting in line]
        self._lines.clear()
        self._heads.clear()
        self._had.clear()
        self._jobs = self.targets = 0
        return left

    def _head(self, session: Hashable) -> None:
        begins = max(self._clock, self._had.get(session, 0.0))
        heapq.heappush(self._heads, (begins + self._lines[session][0].job.cost, next(self._arrivals), session))

    def _pop(self, session: Hashable) -> None:
        """Drop the first of all heads, which is that session's, and make the next one its head."""
        heapq.heappop(self._heads)
        line = self._lines[session]
        self.targets -= line.popleft().left
        self._jobs -= 1
        if line:
            self._head(session)
        else:
            del self._lines[session]
