"""Hands results from the engine's thread to the futures of the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

_log = logging.getLogger(__name__)

Outcome = tuple[asyncio.Future[Any], Any, BaseException | None]
"""A future with the value or the error that it gets."""


def post(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: Any) -> None:
    """Let the loop make the call; a loop that is closed has nobody who waits."""
    try:
        loop.call_soon_threadsafe(call, *arguments)
    except RuntimeError:
        _log.debug("the event loop is closed, so a result is lost")


def settle_all(outcomes: Sequence[Outcome]) -> None:
    """Settle every future. On the loop's own thread."""
    for future, value, error in outcomes:
        settle(future, value, error)


def settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    """Give a future its value, or its error if there is one; a future that is done stays as it is."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
