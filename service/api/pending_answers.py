"""Answers of a stream that the store does not have yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from service.sessions.stores.store import FrameAnswer


class PendingAnswers:
    """Answers that changed nothing (a frame failed, or was dropped): the next step takes them along to the store.

    Only then do they matter: of a frame that was not counted, and after which none was, nothing is lost if it is sent
    again.
    """

    def __init__(self, most: int) -> None:
        """`most`: how many can matter."""
        self._waiting: deque[FrameAnswer] = deque(maxlen=most)

    def add(self, seq: int, text: str) -> None:
        """One more answer."""
        self._waiting.append(FrameAnswer(seq, (text,)))

    @contextmanager
    def carried(self) -> Iterator[list[FrameAnswer]]:
        """The answers to take along; they go on waiting where the block raises."""
        carried, self._waiting = self._waiting, deque(maxlen=self._waiting.maxlen)
        try:
            yield list(carried)
        except BaseException:
            carried.extend(self._waiting)
            self._waiting = carried
            raise
