"""Continuous batching: one thread runs the network on everything that waits whenever the device is free.

`submit` is called on the event loop and awaits its own answer. Nobody waits for ever: a failed batch answers each of
its jobs with the failure, a dead worker answers all that wait. Torch-free; what runs is a `Predictor`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.engine.jobs import Embed, Job, Load, Predictor, Respond
from service.engine.slots import SlotTable
from service.errors import ModelUnavailable, SessionEnded
from service.metrics import Metrics

_log = logging.getLogger(__name__)

_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job asked for, maps or embeddings, and its times in seconds: waiting for the device, and on it."""

    maps: NDArray[np.float32] | None
    queue_s: float
    infer_s: float
    embeddings: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    job: Job
    future: asyncio.Future[Answer]
    since: float


class Batcher:
    """Owns the engine's thread. `start` it, `submit` jobs, `stop` it."""

    def __init__(
        self, predictor: Predictor, slots: SlotTable, metrics: Metrics, *, batch_max: int, wait_s: float = 0.0
    ) -> None:
        """`batch_max`: targets in one pass; a job with more runs in several. `wait_s`: time to let a batch fill."""
        self._predictor, self._slots, self._metrics = predictor, slots, metrics
        self._batch_max, self._wait_s = batch_max, wait_s
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._failure: str | None = "the model is not warmed up yet"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._warmed: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

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
        waiting = _Waiting(job, self._loop.create_future(), time.perf_counter())
        with self._changed:
            if self._stopping:
                raise ModelUnavailable("the server is stopping", retry_after_s=_RETRY_S)
            self._waiting.append(waiting)
            self._changed.notify()
        return await waiting.future

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
            while (batch := self._next_batch()) is not None:
                self._serve(batch)
        finally:
            self._failure = self._failure or "the model worker has ended"
            with self._changed:
                self._stopping = True
                left = list(self._waiting)
                self._waiting.clear()
            self._fail(left, ModelUnavailable("the model worker has ended", retry_after_s=_RETRY_S))

    def _next_batch(self) -> list[_Waiting] | None:
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return None
            if self._wait_s:
                self._fill()
            batch: list[_Waiting] = []
            size = 0
            while self._waiting:
                size += len(self._waiting[0].job.slots)
                if batch and size > self._batch_max:
                    break
                batch.append(self._waiting.popleft())
        # A cancelled caller wants no answer: do not spend the device on it.
        return [waiting for waiting in batch if not waiting.future.cancelled()]

    def _fill(self) -> None:
        deadline = time.perf_counter() + self._wait_s
        while (left := deadline - time.perf_counter()) > 0 and not self._stopping:
            if sum(len(waiting.job.slots) for waiting in self._waiting) >= self._batch_max:
                return
            self._changed.wait(left)

    def _serve(self, batch: list[_Waiting]) -> None:
        fresh = [waiting for waiting in batch if all(map(self._slots.holds, waiting.job.slots))]
        stale = [waiting for waiting in batch if waiting not in fresh]
        self._fail(stale, SessionEnded("the target was removed meanwhile"))
        if not fresh:
            return
        begun = time.perf_counter()
        try:
            results = self._forward([waiting.job for waiting in fresh])
        except Exception as error:
            _log.exception("a batch failed")
            self._failure = f"the model failed: {type(error).__name__}"
            self._fail(fresh, ModelUnavailable(self._failure, retry_after_s=_RETRY_S))
            self._recover()
            return
        except BaseException:
            self._fail(fresh, ModelUnavailable("the model worker has ended"))
            raise
        infer_s = time.perf_counter() - begun
        self._metrics.batch(sum(len(waiting.job.slots) for waiting in fresh), infer_s)
        assert self._loop is not None
        answers = [
            (waiting.future, _answer(waiting.job, result, begun - waiting.since, infer_s), None)
            for waiting, result in zip(fresh, results, strict=True)
        ]
        _post(self._loop, _settle_all, answers)

    def _forward(self, jobs: list[Job]) -> list[NDArray[Any] | None]:
        """Answers in the jobs' order; embeddings first, so that a batch may hold a target's first and next frame."""
        results: list[NDArray[Any] | None] = [None] * len(jobs)
        for index, job in enumerate(jobs):
            if isinstance(job, Embed):
                self._chunked(job, self._predictor.embed)
                results[index] = self._predictor.read(job.slots) if job.read_back else None
            elif isinstance(job, Load):
                self._predictor.write(job.slots, job.embeddings)
        responds = [(index, job) for index, job in enumerate(jobs) if isinstance(job, Respond) and job.slots]
        if len(responds) == 1:
            index, job = responds[0]
            results[index] = np.concatenate(self._chunked(job, self._predictor.respond))
        elif responds:
            merged = Respond(
                tuple(slot for _, job in responds for slot in job.slots),
                np.concatenate([job.crops for _, job in responds]),
            )
            maps = np.concatenate(self._chunked(merged, self._predictor.respond))
            at = 0
            for index, job in responds:
                results[index] = maps[at : at + len(job.slots)]
                at += len(job.slots)
        return results

    def _chunked(self, job: Embed | Respond, call: Any) -> list[Any]:
        step = self._batch_max
        return [call(job.slots[at : at + step], job.crops[at : at + step]) for at in range(0, len(job.slots), step)]

    def _recover(self) -> None:
        """After a failed batch: not ready until the predictor's probe passes again."""
        while True:
            try:
                self._predictor.probe()
            except Exception as error:
                self._failure = f"the model does not work: {type(error).__name__}"
                with self._changed:
                    left = list(self._waiting)
                    self._waiting.clear()
                self._fail(left, ModelUnavailable(self._failure, retry_after_s=_RETRY_S))
                with self._changed:
                    if self._changed.wait_for(lambda: self._stopping, _RETRY_S):
                        return
            else:
                self._failure = None
                return

    def _fail(self, waiting: list[_Waiting], error: Exception) -> None:
        if waiting:
            assert self._loop is not None
            _post(self._loop, _settle_all, [(each.future, None, error) for each in waiting])


def _answer(job: Job, result: NDArray[Any] | None, queue_s: float, infer_s: float) -> Answer:
    if isinstance(job, Respond):
        return Answer(result, queue_s, infer_s)
    return Answer(None, queue_s, infer_s, result)


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
