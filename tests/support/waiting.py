"""Waiting for what no event tells of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

DEADLINE_S = 20.0
_POLL_S = 0.002


async def eventually(condition: Callable[[], object]) -> None:
    """Until `condition()` holds; AssertionError where it does not within the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - waits for what sets no event
            await asyncio.sleep(_POLL_S)


async def reached(event: threading.Event) -> None:
    """Until another thread has set the event."""
    assert await asyncio.to_thread(event.wait, DEADLINE_S), "not reached in time"
