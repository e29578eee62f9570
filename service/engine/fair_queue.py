"""The queue of jobs for the device, fair between sessions. Bookkeeping only: no thread, no clock, no torch."""

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
class QueuedJob:
    """A job that waits since `since` (seconds), with `taken` of its targets taken, and their results so far."""

    job: Job
    future: asyncio.Future[Any]
    since: float
    taken: int = 0
    over: bool = False
    """Whether the job has been answered, so that the rest of it need not run."""
    infer_s: float = 0.0
    """Seconds of the passes that held a part of the job."""
    results: list[Any] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Targets that no pass has taken yet."""
        return len(self.job.slots) - self.taken


@dataclass(frozen=True, slots=True)
class JobPart:
    """The share of a job that one pass takes: its targets from `start` to `stop`, perhaps all of them."""

    queued: QueuedJob
    start: int
    stop: int

    @property
    def job(self) -> Job:
        """The part as a job of its own."""
        job = self.queued.job
        return job if self.whole else job.part(self.start, self.stop)

    @property
    def whole(self) -> bool:
        """Whether the part is the whole job."""
        return self.stop - self.start == len(self.queued.job.slots)

    @property
    def last(self) -> bool:
        """Whether the part ends the job."""
        return self.stop == len(self.queued.job.slots)


class FairQueue:
    """Queued jobs, served fairly between sessions.

    This is fair queueing by finish times, with the device's own progress as the clock. A session's jobs run in the
    order of their arrival. When a job becomes the first of its session, its finish time is set: its own cost after the
    finish time of the session's previous job, or after the clock, whichever is later. The job with the earliest finish
    time runs first; of two equal ones, the one that became first in its session earlier. The clock stands at the finish
    time of the first job of the latest pass.

    So while others wait, every session gets the same share of the device, however many targets or frames it brings: a
    job of sixteen targets finishes after sixteen turns of a session with one target. No session starves, because every
    job that a session gets postpones its next one; and an idle session saves nothing up.

    A job that fits into a pass only in part continues in the next pass. A job whose caller has gone costs its session
    nothing.
    """

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[QueuedJob]] = {}
        """The jobs of every session in order of arrival; a job without a session has a queue of its own."""
        self._firsts: list[tuple[float, int, Hashable]] = []
        """A heap with an entry for every queue: its first job's finish time, a serial number, the session."""
        self._serials = itertools.count()
        self._clock = 0.0
        self._finished: dict[Hashable, float] = {}
        """The finish time of every session's previous job, if it is later than the clock."""
        self._jobs = 0
        self.targets = 0
        """Targets that wait, including targets of callers who have gone."""

    def __len__(self) -> int:
        return self._jobs

    def add(self, queued: QueuedJob) -> None:
        """Add a job."""
        # A session that is being created has no id yet.
        session = queued.job.session or queued
        queue = self._queues.setdefault(session, deque())
        queue.append(queued)
        self._jobs += 1
        self.targets += queued.left
        if len(queue) == 1:
            self._push_first(session)

    def take(self, most: int) -> list[JobPart]:
        """Take the parts of the next pass, in the order of their turns: at most `most` targets."""
        parts: list[JobPart] = []
        while self._firsts:
            finish, _, session = self._firsts[0]
            queued = self._queues[session][0]
            if queued.over or queued.future.done():
                self._pop_first(session)
                continue
            if queued.left and not most:
                break
            if not parts:
                self._clock = finish
                self._finished = {other: at for other, at in self._finished.items() if at > finish}
            count = min(queued.left, most)
            parts.append(JobPart(queued, queued.taken, queued.taken + count))
            self._finished[session] = finish
            queued.taken += count
            self.targets -= count
            most -= count
            if not queued.left:
                self._pop_first(session)
        return parts

    def clear(self) -> list[QueuedJob]:
        """Remove and return all jobs."""
        left = [queued for queue in self._queues.values() for queued in queue]
        self._queues.clear()
        self._firsts.clear()
        self._finished.clear()
        self._jobs = self.targets = 0
        return left

    def _push_first(self, session: Hashable) -> None:
        """Set the finish time of the session's first job."""
        begin = max(self._clock, self._finished.get(session, 0.0))
        heapq.heappush(self._firsts, (begin + self._queues[session][0].job.cost, next(self._serials), session))

    def _pop_first(self, session: Hashable) -> None:
        """Remove the session's first job, which is the first of all, and let its next job follow."""
        heapq.heappop(self._firsts)
        queue = self._queues[session]
        self.targets -= queue.popleft().left
        self._jobs -= 1
        if queue:
            self._push_first(session)
        else:
            del self._queues[session]
