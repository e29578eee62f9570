"""Log lines on their way out: a bounded queue and a thread that writes. A reader who does not read holds nobody up.

A line that finds the queue full is dropped and counted. Lines that repeat are written a few times in a period, and then
counted; one line says how many there were.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

CAPACITY = 1000
"""Lines that may wait."""

REPEATS, PERIOD_S = 20, 10.0
"""How many lines of one kind are written in a period."""

_MAX_LINE = 16 * 1024
"""Characters of one line, its traceback included; more are cut."""

_MAX_KINDS = 1000
"""Kinds of lines that are told apart in a period; all further ones are one kind."""

_LOOK_S = 1.0
_FLUSH_S = 1.0

Kind = tuple[str, int, str]
"""A line's logger, level, and text before its arguments are put in."""


class LogQueue(logging.Handler):
    """A handler whose `emit` never waits."""

    def __init__(
        self, write: Callable[[bytes], object] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`write`: writes bytes and may wait; None writes to file descriptor 2. `clock`: monotonic seconds."""
        super().__init__()
        self._write, self._clock = write or _write_stderr, clock
        self._lines: queue.Queue[bytes] = queue.Queue(CAPACITY)
        # Not the handler's own lock, which `logging` holds while it flushes.
        self._counting = threading.Lock()
        self._seen: Counter[Kind] = Counter()
        self._period_ends = clock() + PERIOD_S
        self._untold = 0
        self.dropped = 0
        """Lines that were dropped because too many waited."""
        self.summarised = 0
        """Lines that were counted and not written, because there were many like them."""
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Put the record's line into the queue, or count it."""
        try:
            if self._is_new(record):
                self._put(self._line(record))
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Wait until all lines are written, a second at most."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, _FLUSH_S)

    def _is_new(self, record: logging.LogRecord) -> bool:
        kind = (record.name, record.levelno, str(record.msg))
        with self._counting:
            if kind not in self._seen and len(self._seen) >= _MAX_KINDS:
                kind = (__name__, logging.WARNING, "lines of other kinds")
            self._seen[kind] += 1
            new = self._seen[kind] <= REPEATS
            self.summarised += not new
        return new

    def _put(self, line: bytes) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            with self._counting:
                self.dropped += 1
                self._untold += 1

    def _line(self, record: logging.LogRecord) -> bytes:
        text = self.format(record)
        if len(text) > _MAX_LINE:
            text = text[:_MAX_LINE] + "…"
        return text.encode(errors="backslashreplace") + b"\n"

    def _run(self) -> None:
        while True:
            with suppress(queue.Empty):
                line = self._lines.get(timeout=_LOOK_S)
                self._try_to_write(line)
                self._lines.task_done()
            for told in self._told():
                self._try_to_write(self._line(told))

    def _try_to_write(self, line: bytes) -> None:
        try:
            self._write(line)
        except OSError:
            # The other end of the pipe is closed.
            with self._counting:
                self.dropped += 1

    def _told(self) -> list[logging.LogRecord]:
        """What is to be said of lines that were not written."""
        with self._counting:
            untold, self._untold = self._untold, 0
            told = [_record(__name__, logging.WARNING, f"{untold} lines were dropped: nobody read them")] * bool(untold)
            if self._clock() < self._period_ends:
                return told
            seen, self._seen = self._seen, Counter()
            self._period_ends = self._clock() + PERIOD_S
        for (name, level, text), count in seen.items():
            if count > REPEATS:
                told.append(_record(name, level, f"{count - REPEATS} more lines like this: {text}"))
        return told


def installed() -> list[LogQueue]:
    """The queues that the process's log goes to."""
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, LogQueue)]


def _record(name: str, level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, text, None, None)


def _write_stderr(data: bytes) -> None:
    # Not by sys.stderr, whose lock a thread that waits here would hold while the interpreter ends.
    while data:
        data = data[os.write(2, data) :]
