"""Threads that decode frames, shared fairly between callers.

No thread can be ended from outside, so the work of an image is bounded before it begins (`model.encoded`), one caller
never has every thread, and stopping waits for none: the threads are daemons.
"""

from __future__ import annotations

import asyncio
import functools
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from types import TracebackType
from typing import Any, Self, TypeVar

from service.errors import ShuttingDown

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    caller: str
    call: Callable[[], Any]
    answer: asyncio.Future[Any]


class DecodePool:
    """A bounded pool of threads for one event loop. Callers who wait have their turns one after the other."""

    def __init__(self, threads: int) -> None:
        """`threads`: two or more; a caller has all but one of them at most."""
        if threads < 2:
            raise ValueError(f"a decode pool needs two threads, not {threads}")
        self._free, self._share = threads, threads - 1
        self._running: set[_Job] = set()
        self._held: Counter[str] = Counter()
        """Threads by the caller whose jobs they run."""
        self._waiting: dict[str, deque[_Job]] = {}
        """The jobs of each caller who has any, in the order of the callers' turns."""
        self._begun: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        for index in range(threads):
            threading.Thread(target=_work, args=(self._begun, self._end), name=f"decode-{index}", daemon=True).start()
        self._threads, self._closed = threads, False

    async def run(self, caller: str, call: Callable[..., Result], *arguments: object) -> Result:
        """What `call(*arguments)` returns or raises in a thread. A job that is cancelled before its turn never runs.

        Raises ShuttingDown where the pool is closed before the job is done.
        """
        if self._closed:
            raise ShuttingDown("the server is shutting down")
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        job = _Job(caller, functools.partial(call, *arguments), answer)
        self._waiting.setdefault(caller, deque()).append(job)
        self._begin()
        try:
            return await answer
        except asyncio.CancelledError:
            self._forget(job)
            raise

    def close(self) -> None:
        """Let every thread end after the job it has, and all that are awaited fail. Returns at once."""
        if self._closed:
            return
        self._closed = True
        for job in [*self._running, *chain.from_iterable(self._waiting.values())]:
            if not job.answer.done():
                job.answer.set_exception(ShuttingDown("the server is shutting down"))
        self._waiting.clear()
        for _ in range(self._threads):
            self._begun.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> None:
        """Give the free threads to those whose turn it is."""
        while self._free and (caller := self._next()) is not None:
            jobs = self._waiting.pop(caller)
            job = jobs.popleft()
            self._begun.put(job)
            self._free -= 1
            self._running.add(job)
            self._held[caller] += 1
            if jobs:
                # At the end: the others come first now.
                self._waiting[caller] = jobs

    def _next(self) -> str | None:
        return next((caller for caller in self._waiting if self._held[caller] < self._share), None)

    def _end(self, job: _Job, result: Any, error: BaseException | None) -> None:
        """Called by a thread when its job is done."""
        # The loop may be closed by now; then nobody waits for the answer.
        with suppress(RuntimeError):
            job.answer.get_loop().call_soon_threadsafe(self._answer, job, result, error)

    def _answer(self, job: _Job, result: Any, error: BaseException | None) -> None:
        self._free += 1
        self._running.remove(job)
        self._held -= Counter((job.caller,))
        if not job.answer.done():
            if error is None:
                job.answer.set_result(result)
            else:
                job.answer.set_exception(error)
        self._begin()

    def _forget(self, job: _Job) -> None:
        jobs = self._waiting.get(job.caller)
        if jobs is not None and job in jobs:
            jobs.remove(job)
            if not jobs:
                del self._waiting[job.caller]


def _work(begun: queue.SimpleQueue[_Job | None], end: Callable[[_Job, Any, BaseException | None], None]) -> None:
    """A thread's life: jobs, until None comes instead of one."""
    while (job := begun.get()) is not None:
        try:
            result, error = job.call(), None
        except BaseException as raised:
            result, error = None, raised
        end(job, result, error)
        # Not kept until the next job comes: a frame may be large.
        del job, result, error
