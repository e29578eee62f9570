"""Log lines go out in order, never hold their sender up, and what is not written is counted and told."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator

import pytest

from service.operations.log_queue import CAPACITY, PERIOD_S, REPEATS, LogQueue, installed
from tests.support.clock import Clock

DEADLINE_S = 20.0


class Pipe:
    """What is written; a write waits while nobody reads."""

    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self.read = threading.Event()
        self.read.set()
        self.waits = threading.Event()

    def __call__(self, data: bytes) -> None:
        if not self.read.is_set():
            self.waits.set()
        assert self.read.wait(DEADLINE_S)
        self.lines.put(data.decode())

    def next(self) -> str:
        return self.lines.get(timeout=DEADLINE_S)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.read.set()


def record(text: str, *arguments: object, name: str = "a") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "", 0, text, arguments, None)


def test_lines_go_out_in_order(pipe: Pipe) -> None:
    lines = LogQueue(pipe)
    for k in range(REPEATS):
        lines.emit(record("line %d of größe", k))
    assert [pipe.next() for _ in range(REPEATS)] == [f"line {k} of größe\n" for k in range(REPEATS)]
    lines.flush()
    assert (lines.dropped, lines.summarised) == (0, 0)


def test_a_reader_who_does_not_read_holds_nobody_up(pipe: Pipe) -> None:
    lines = LogQueue(pipe)
    pipe.read.clear()
    lines.emit(record("first"))
    assert pipe.waits.wait(DEADLINE_S)
    for k in range(CAPACITY + 50):
        lines.emit(record("line %d", k, name=f"logger {k % 100}"))
    assert lines.dropped == 50
    lines.flush()
    pipe.read.set()
    written = [pipe.next() for _ in range(CAPACITY + 2)]
    assert written[0] == "first\n"
    assert [line for line in written if "dropped" in line] == ["50 lines were dropped: nobody read them\n"]
    assert lines.dropped == 50


def test_lines_that_repeat_are_counted_and_told(pipe: Pipe) -> None:
    clock = Clock()
    lines = LogQueue(pipe, clock)
    for k in range(REPEATS + 300):
        lines.emit(record("frame %d failed", k))
    assert lines.summarised == 300
    assert [pipe.next() for _ in range(REPEATS)] == [f"frame {k} failed\n" for k in range(REPEATS)]
    clock.advance(PERIOD_S)
    assert pipe.next() == "300 more lines like this: frame %d failed\n"
    lines.emit(record("frame %d failed", 7))
    assert pipe.next() == "frame 7 failed\n"


def test_kinds_without_end_are_bounded(pipe: Pipe) -> None:
    lines = LogQueue(pipe, Clock())
    for k in range(5000):
        lines.emit(record(f"line {k}"))
        if k % 100 == 0:
            lines.flush()
    assert lines.summarised == 5000 - 1000 - REPEATS
    assert len(lines._seen) <= 1001


def test_a_long_line_is_cut(pipe: Pipe) -> None:
    LogQueue(pipe).emit(record("x" * 1_000_000))
    assert len(pipe.next()) < 20_000


def test_a_closed_pipe_is_no_error() -> None:
    failed = threading.Event()

    def write(data: bytes) -> None:
        failed.set()
        raise BrokenPipeError

    lines = LogQueue(write)
    lines.emit(record("x"))
    assert failed.wait(DEADLINE_S)
    lines.flush()
    assert lines.dropped == 1


def test_those_of_the_root_logger_are_found(pipe: Pipe) -> None:
    lines, root = LogQueue(pipe), logging.getLogger()
    assert lines not in installed()
    root.addHandler(lines)
    try:
        assert lines in installed()
    finally:
        root.removeHandler(lines)
