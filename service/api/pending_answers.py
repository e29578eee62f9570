"""Answers of a stream that its session's store does not have yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from service.sessions.stores.store import FrameAnswer


class PendingAnswers:
    """Answers to frames that failed or were dropped; they are stored with the next committed step.

    Until then nothing is lost without them: such a frame changed nothing, so that a client which comes back may send it
    again.
    """

    def __init__(self, most: int) -> None:
        """`most`: how many answers are kept; older ones are forgotten."""
        self._waiting: deque[FrameAnswer] = deque(maxlen=most)

    def add(self, seq: int, text: str) -> None:
        """Add the answer `text` to frame `seq`."""
        self._waiting.append(FrameAnswer(seq, (text,)))

    @contextmanager
    def carried(self) -> Iterator[list[FrameAnswer]]:
        """Hand the answers to the block, which stores them; if it raises they stay pending."""
        carried, self._waiting = self._waiting, deque(maxlen=self._waiting.maxlen)
        try:
            yield list(carried)
        except BaseException:
            carried.extend(self._waiting)
            self._waiting = carried
            raise
