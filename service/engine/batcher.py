"""Continuous batching: one thread gives the device a pass of queued jobs whenever the device is free.

`submit` is called on the event loop and awaits the job's result. `FairQueue` decides which jobs a pass takes. If a pass
is not ready at once, the next one is begun while the device works on it. Every job is answered: a failed pass fails its
jobs, and a thread that is dead, or does not come back from a pass, fails all jobs. No torch: a `SlotPredictor` runs the
network.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from service.engine.calls import Calls, stack_of
from service.engine.fair_queue import FairQueue, JobPart, QueuedJob
from service.engine.jobs import Job, JobResult, Respond, SlotPredictor
from service.engine.pace import Pace
from service.engine.passes import Pass, joined
from service.engine.settling import post, settle, settle_all
from service.engine.slots import SlotTable
from service.errors import ModelUnavailable, SessionEnded
from service.operations.metrics import Metrics

_log = logging.getLogger(__name__)

_RETRY_S = 1.0

_JOIN_S = 1.0
"""How long the stop waits for the passes under way."""


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A pass that the device was given at `begun` (seconds), and the parts of jobs that it holds."""

    parts: list[JobPart]
    run: Pass
    begun: float


class Batcher:
    """Owns the engine's thread. Use: `start`, then `submit` jobs, then `stop`."""

    def __init__(
        self,
        predictor: SlotPredictor,
        slots: SlotTable,
        metrics: Metrics,
        *,
        batch_max: int,
        wait_s: float = 0.0,
        pass_s: float = 0.0,
        pass_limit_s: float = 30.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`batch_max`: most targets in one pass; a larger job runs in several. `wait_s`: seconds to let a pass fill.

        `pass_s`: seconds that a pass should take at most, 0 for no limit; a pass has at least one target.
        `pass_limit_s`: seconds after which a pass is given up for ever. `clock`: monotonic seconds.
        """
        self._predictor, self._slots, self._metrics = predictor, slots, metrics
        self._batch_max, self._wait_s, self._clock = batch_max, wait_s, clock
        self._pace, self._pass_limit_s = Pace(batch_max, pass_s), pass_limit_s
        self._queue = FairQueue()
        self._changed = threading.Condition()
        self._stopping = False
        self._failure: str | None = "the model is not warmed up yet"
        self._lost: str | None = None
        self._calls = Calls()
        self._guard: asyncio.Task[None] | None = None
        self._beginning: list[JobPart] = []
        """The parts of the pass that the device is being given."""
        self._under_way: deque[_UnderWay] = deque()
        self._free_since = 0.0
        """When the device finished the last pass."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._warmed: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def targets_waiting(self) -> int:
        """Targets waiting for the device."""
        return self._queue.targets

    @property
    def failure(self) -> str | None:
        """Why the model cannot be used now; None if it can."""
        return self._lost or self._failure

    @property
    def lost(self) -> str | None:
        """Why the model can never be used again in this process; None if it can, or may soon."""
        return self._lost

    @property
    def working(self) -> bool:
        """Whether the thread is alive. It cannot be ended from outside."""
        return self._thread.is_alive()

    async def start(self) -> None:
        """Start the thread and wait until the predictor is warmed up. Raises the errors of its probe."""
        self._loop = asyncio.get_running_loop()
        self._warmed = self._loop.create_future()
        self._thread.start()
        await self._warmed
        self._guard = self._loop.create_task(self._give_up_the_overdue())

    async def stop(self) -> None:
        """End the thread after the passes under way; jobs that still wait fail with ModelUnavailable.

        A pass that does not end within a second is left alone.
        """
        if self._guard is not None:
            self._guard.cancel()
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._loop is not None:
            await asyncio.to_thread(self._thread.join, _JOIN_S)
        if self.working:
            _log.warning("a pass of the network does not end, and is left alone")
            self._fail_all(ModelUnavailable("the server is stopping", retry_after_s=_RETRY_S))

    async def submit(self, job: Job) -> JobResult:
        """Run a job when its turn comes. Raises ModelUnavailable (the model failed), SessionEnded (stale slots)."""
        failure = self.failure
        if failure is not None:
            raise ModelUnavailable(failure, retry_after_s=_RETRY_S)
        assert self._loop is not None
        queued = QueuedJob(job, self._loop.create_future(), self._clock())
        with self._changed:
            if self._stopping:
                raise ModelUnavailable("the server is stopping", retry_after_s=_RETRY_S)
            self._queue.add(queued)
            self._changed.notify()
        result: JobResult = await queued.future
        return result

    def _run(self) -> None:
        assert self._loop is not None
        assert self._warmed is not None
        try:
            self._predictor.probe()
        except BaseException as error:
            _log.exception("the model does not work")
            self._failure = f"the model does not work: {type(error).__name__}"
            # An error like SystemExit, set on the future, would end the event loop.
            told = error if isinstance(error, Exception) else RuntimeError(self._failure)
            post(self._loop, settle, self._warmed, None, told)
            return
        self._failure = None
        post(self._loop, settle, self._warmed, None, None)
        try:
            self._work()
        finally:
            if not self._stopping:
                self._lost = "the model worker has ended"
            self._failure = self._failure or "the model worker has ended"
            self._fail_all(ModelUnavailable("the model worker has ended", retry_after_s=_RETRY_S))

    async def _give_up_the_overdue(self) -> None:
        await self._calls.overdue(self._pass_limit_s)
        self._lost = f"the model does not answer: a pass takes more than {self._pass_limit_s:g} s"
        _log.error("%s; the worker is at\n%s", self._lost, stack_of(self._thread))
        self._fail_all(ModelUnavailable(self._lost, retry_after_s=_RETRY_S))

    def _fail_all(self, error: ModelUnavailable) -> None:
        """Fail every job, and take no more."""
        with self._changed:
            self._stopping = True
            left = self._queue.clear()
        left += [part.queued for each in tuple(self._under_way) for part in each.parts]
        left += [part.queued for part in self._beginning]
        self._fail(left, error)

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._begin(batch)
            while self._under_way and self._due(idle=not batch):
                self._finish()
            if self._failure is not None:
                self._recover()
        while self._under_way:
            self._finish()

    def _due(self, *, idle: bool) -> bool:
        """Whether to finish the first pass under way before another is begun."""
        return idle or len(self._under_way) > 1 or self._under_way[0].run.ready or self._failure is not None

    def _next_batch(self) -> list[JobPart] | None:
        """Take the parts of the next pass: none if only a pass under way is left, None at the end."""
        with self._changed:
            while not self._queue and not self._stopping and not self._under_way:
                self._changed.wait()
            if self._stopping:
                return None
            if self._wait_s and not self._under_way:
                self._fill()
            return self._queue.take(min(self._pace.targets, self._predictor.capacity(self._queue.targets)))

    def _fill(self) -> None:
        deadline = time.perf_counter() + self._wait_s
        while (left := deadline - time.perf_counter()) > 0 and not self._stopping:
            if self._queue.targets >= self._pace.targets:
                return
            self._changed.wait(left)

    def _begin(self, batch: list[JobPart]) -> None:
        """Give the device a pass of those parts whose slots are still valid; fail the others."""
        fresh = [part for part in batch if all(map(self._slots.holds, part.queued.job.slots))]
        stale = [part.queued for part in batch if part not in fresh]
        self._fail(stale, SessionEnded("the target was removed meanwhile"))
        if not fresh:
            return
        begun = self._clock()
        self._beginning = fresh
        with self._failing(fresh), self._calls.calling():
            run = Pass.begin(self._predictor, [part.job for part in fresh])
            self._under_way.append(_UnderWay(fresh, run, begun))
        self._beginning = []

    def _finish(self) -> None:
        """Wait for the first pass under way and answer the jobs that it completes."""
        done = self._under_way[0]
        results: list[Any] | None = None
        with self._failing(done.parts), self._calls.calling():
            results = done.run.results()
        self._under_way.popleft()
        if results is None:
            return
        ended = self._clock()
        # A pass begun ahead waits for the one before it: that time is not its own.
        infer_s = ended - max(done.begun, self._free_since)
        self._free_since = ended
        self._metrics.batch(sum(len(job.slots) for job in done.run.jobs), infer_s)
        self._pace.passed(done.run.jobs, infer_s)
        completed = []
        for part, result in zip(done.parts, results, strict=True):
            part.queued.infer_s += infer_s
            if result is not None:
                part.queued.results.append(result)
            if part.last:
                completed.append((part.queued.future, _job_result(part.queued, ended), None))
        assert self._loop is not None
        post(self._loop, settle_all, completed)

    @contextmanager
    def _failing(self, parts: list[JobPart]) -> Iterator[None]:
        """Fail the parts' jobs if the block raises; then no pass is begun until a probe succeeds."""
        jobs = [part.queued for part in parts]
        try:
            yield
        except Exception as error:
            _log.exception("a batch failed")
            self._failure = f"the model failed: {type(error).__name__}"
            self._fail(jobs, ModelUnavailable(self._failure, retry_after_s=_RETRY_S))
        except BaseException:
            self._fail(jobs, ModelUnavailable("the model worker has ended"))
            raise

    def _recover(self) -> None:
        """Probe the predictor until it works again; meanwhile fail the jobs that wait."""
        while True:
            try:
                with self._calls.calling():
                    self._predictor.probe()
            except Exception as error:
                self._failure = f"the model does not work: {type(error).__name__}"
                with self._changed:
                    left = self._queue.clear()
                self._fail(left, ModelUnavailable(self._failure, retry_after_s=_RETRY_S))
                with self._changed:
                    if self._changed.wait_for(lambda: self._stopping, _RETRY_S):
                        return
            else:
                self._failure = None
                return

    def _fail(self, jobs: Sequence[QueuedJob], error: Exception) -> None:
        for queued in jobs:
            queued.over = True
        if jobs:
            assert self._loop is not None
            post(self._loop, settle_all, [(queued.future, None, error) for queued in jobs])


def _job_result(queued: QueuedJob, ended: float) -> JobResult:
    queue_s = ended - queued.since - queued.infer_s
    result = joined(queued.results) if queued.results else None
    if isinstance(queued.job, Respond):
        return JobResult(result, queue_s, queued.infer_s)
    return JobResult(None, queue_s, queued.infer_s, result)
