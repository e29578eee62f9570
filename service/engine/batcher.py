"""Continuous batching: one thread runs the network on what waits, whenever the device is free.

`submit` is called on the event loop and awaits its own answer. What a pass takes is `FairQueue`'s to say. Where the
predictor lets its answers be awaited, the next pass is prepared while the device is at the last one. Nobody waits for
ever: a failed pass answers each of its jobs with the failure, a dead worker answers all that wait. Torch-free; what
runs is a `Predictor`.
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

import numpy as np
from numpy.typing import NDArray

from model.response import Response
from service.engine.fair_queue import FairQueue, JobPart, QueuedJob
from service.engine.jobs import Job, Predictor, Respond
from service.engine.pace import Pace
from service.engine.passes import Pass, joined
from service.engine.slots import SlotTable
from service.errors import ModelUnavailable, SessionEnded
from service.operations.metrics import Metrics

_log = logging.getLogger(__name__)

_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Responses or embeddings, as asked; and the job's times in seconds: waiting for the device, and on it."""

    responses: list[Response] | None
    queue_s: float
    infer_s: float
    embeddings: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A pass that the device was given at `begun` (seconds), and whose it is."""

    parts: list[JobPart]
    run: Pass
    begun: float


class Batcher:
    """Owns the engine's thread. `start` it, `submit` jobs, `stop` it."""

    def __init__(
        self,
        predictor: Predictor,
        slots: SlotTable,
        metrics: Metrics,
        *,
        batch_max: int,
        wait_s: float = 0.0,
        pass_s: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`batch_max`: targets in one pass; a job with more runs in several. `wait_s`: time to let a batch fill.

        `pass_s`: how long a pass should take at most, 0 for any; a pass holds a target at least. `clock`: seconds.
        """
        self._predictor, self._slots, self._metrics = predictor, slots, metrics
        self._batch_max, self._wait_s, self._clock = batch_max, wait_s, clock
        self._pace = Pace(batch_max, pass_s)
        self._waiting = FairQueue()
        self._changed = threading.Condition()
        self._stopping = False
        self._failure: str | None = "the model is not warmed up yet"
        self._under_way: deque[_UnderWay] = deque()
        self._free_since = 0.0
        """When the device had done the last pass."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._warmed: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def targets_waiting(self) -> int:
        """Targets that wait for the device."""
        return self._waiting.targets

    @property
    def failure(self) -> str | None:
        """Why the model cannot be used now; None where it can."""
        if self._loop is not None and not self._thread.is_alive() and not self._stopping:
            return "the model worker is dead"
        return self._failure

    async def start(self) -> None:
        """Start the thread and wait until the predictor is warmed up; raises what its probe raises."""
        self._loop = asyncio.get_running_loop()
        self._warmed = self._loop.create_future()
        self._thread.start()
        await self._warmed

    async def stop(self) -> None:
        """End the thread after the batch it runs; whatever still waits is answered with ModelUnavailable."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._loop is not None:
            await asyncio.to_thread(self._thread.join)

    async def submit(self, job: Job) -> Answer:
        """Run a job in the next batch. Raises ModelUnavailable (the model failed), SessionEnded (stale slots)."""
        failure = self.failure
        if failure is not None:
            raise ModelUnavailable(failure, retry_after_s=_RETRY_S)
        assert self._loop is not None
        waiting = QueuedJob(job, self._loop.create_future(), self._clock())
        with self._changed:
            if self._stopping:
                raise ModelUnavailable("the server is stopping", retry_after_s=_RETRY_S)
            self._waiting.add(waiting)
            self._changed.notify()
        answer: Answer = await waiting.future
        return answer

    def _run(self) -> None:
        assert self._loop is not None
        assert self._warmed is not None
        try:
            self._predictor.probe()
        except BaseException as error:
            _log.exception("the model does not work")
            self._failure = f"the model does not work: {type(error).__name__}"
            # What is no Exception would end the event loop instead of the start.
            told = error if isinstance(error, Exception) else RuntimeError(self._failure)
            _post(self._loop, _settle, self._warmed, None, told)
            return
        self._failure = None
        _post(self._loop, _settle, self._warmed, None, None)
        try:
            self._work()
        finally:
            self._failure = self._failure or "the model worker has ended"
            with self._changed:
                self._stopping = True
                left = self._waiting.clear()
            left += [part.queued for each in self._under_way for part in each.parts]
            self._fail(left, ModelUnavailable("the model worker has ended", retry_after_s=_RETRY_S))

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
        """Whether the first pass under way is to be answered before another is begun."""
        return idle or len(self._under_way) > 1 or self._under_way[0].run.there or self._failure is not None

    def _next_batch(self) -> list[JobPart] | None:
        """What runs next, perhaps nothing while a pass is under way; None at the end."""
        with self._changed:
            while not self._waiting and not self._stopping and not self._under_way:
                self._changed.wait()
            if self._stopping:
                return None
            if self._wait_s and not self._under_way:
                self._fill()
            return self._waiting.take(min(self._pace.room, self._predictor.capacity(self._waiting.targets)))

    def _fill(self) -> None:
        deadline = time.perf_counter() + self._wait_s
        while (left := deadline - time.perf_counter()) > 0 and not self._stopping:
            if self._waiting.targets >= self._pace.room:
                return
            self._changed.wait(left)

    def _begin(self, batch: list[JobPart]) -> None:
        """Give the device a pass."""
        fresh = [part for part in batch if all(map(self._slots.holds, part.queued.job.slots))]
        stale = [part.queued for part in batch if part not in fresh]
        self._fail(stale, SessionEnded("the target was removed meanwhile"))
        if not fresh:
            return
        begun = self._clock()
        with self._failing(fresh):
            run = Pass.begin(self._predictor, [part.job for part in fresh])
            self._under_way.append(_UnderWay(fresh, run, begun))

    def _finish(self) -> None:
        """Wait for the first pass under way and answer its jobs."""
        done = self._under_way[0]
        results: list[Any] | None = None
        with self._failing(done.parts):
            results = done.run.results()
        self._under_way.popleft()
        if results is None:
            return
        ended = self._clock()
        # Before that the device was at another pass.
        infer_s = ended - max(done.begun, self._free_since)
        self._free_since = ended
        self._metrics.batch(sum(len(job.slots) for job in done.run.jobs), infer_s)
        self._pace.passed(done.run.jobs, infer_s)
        answers = []
        for part, result in zip(done.parts, results, strict=True):
            part.queued.infer_s += infer_s
            if result is not None:
                part.queued.results.append(result)
            if part.last:
                answers.append((part.queued.future, _answer(part.queued, ended), None))
        assert self._loop is not None
        _post(self._loop, _settle_all, answers)

    @contextmanager
    def _failing(self, parts: list[JobPart]) -> Iterator[None]:
        """Where the block, the device's, fails, the parts' jobs do, and nothing is taken until a probe passes."""
        waiting = [part.queued for part in parts]
        try:
            yield
        except Exception as error:
            _log.exception("a batch failed")
            self._failure = f"the model failed: {type(error).__name__}"
            self._fail(waiting, ModelUnavailable(self._failure, retry_after_s=_RETRY_S))
        except BaseException:
            self._fail(waiting, ModelUnavailable("the model worker has ended"))
            raise

    def _recover(self) -> None:
        """After a failed batch: not ready until the predictor's probe passes again."""
        while True:
            try:
                self._predictor.probe()
            except Exception as error:
                self._failure = f"the model does not work: {type(error).__name__}"
                with self._changed:
                    left = self._waiting.clear()
                self._fail(left, ModelUnavailable(self._failure, retry_after_s=_RETRY_S))
                with self._changed:
                    if self._changed.wait_for(lambda: self._stopping, _RETRY_S):
                        return
            else:
                self._failure = None
                return

    def _fail(self, waiting: Sequence[QueuedJob], error: Exception) -> None:
        for each in waiting:
            each.over = True
        if waiting:
            assert self._loop is not None
            _post(self._loop, _settle_all, [(each.future, None, error) for each in waiting])


def _answer(waiting: QueuedJob, ended: float) -> Answer:
    queue_s = ended - waiting.since - waiting.infer_s
    result = joined(waiting.results) if waiting.results else None
    if isinstance(waiting.job, Respond):
        return Answer(result, queue_s, waiting.infer_s)
    return Answer(None, queue_s, waiting.infer_s, result)


def _post(loop: asyncio.AbstractEventLoop, call: Any, *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(call, *arguments)
    except RuntimeError:
        _log.debug("the event loop is closed; an answer has nobody to go to")


def _settle_all(answers: list[tuple[asyncio.Future[Answer], Answer | None, Exception | None]]) -> None:
    for future, answer, error in answers:
        _settle(future, answer, error)


def _settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
