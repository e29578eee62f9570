"""Notices a call of the predictor that does not return. No thread of its own, and no clock."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

_LOOKS = 10
"""How often a call is seen under way before it is given up."""


class Calls:
    """The calls that the engine's thread makes, one after the other; the event loop looks at them."""

    def __init__(self) -> None:
        self._begun = self._ended = 0

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Mark the block as one call. For one thread alone."""
        self._begun += 1
        try:
            yield
        finally:
            self._ended = self._begun

    @property
    def under_way(self) -> int | None:
        """The number of the call under way; None if there is none."""
        begun = self._begun
        return begun if begun != self._ended else None

    async def overdue(self, limit_s: float) -> None:
        """Return once one call has taken `limit_s` seconds.

        Looks are counted and not seconds, so that a process which was stopped for a while, or whose event loop stood
        still, does not give up a call that had no chance to end.
        """
        seen, looks = None, 0
        while looks < _LOOKS:
            await asyncio.sleep(limit_s / _LOOKS)
            call = self.under_way
            looks = looks + 1 if call is not None and call == seen else 0
            seen = call


def stack_of(thread: threading.Thread) -> str:
    """Where a thread is now, as a traceback shows it; empty for one that is dead."""
    frame = sys._current_frames().get(thread.ident) if thread.ident is not None else None
    return "".join(traceback.format_stack(frame)) if frame is not None else ""
