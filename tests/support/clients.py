"""One scenario for both clients: the blocking one behind the asyncio one's interface, and frames to send."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

import cv2
import numpy as np

from siamfc import Reconnect

JPEG = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
BOX = (10.0, 20.0, 8.0, 6.0)
AT_ONCE_ATTEMPTS = 4
AT_ONCE = Reconnect(attempts=AT_ONCE_ATTEMPTS, first_delay_s=0.0, max_delay_s=0.0)

MakeClient: TypeAlias = Callable[..., Any]
"""Makes a client of the fake server, blocking (as `Awaited`) or asyncio."""


class Awaited:
    """A blocking object under the asyncio client's interface, so that one scenario drives either."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        if not inspect.ismethod(value):
            return value
        if name == "stream":
            return lambda *args, **options: self._each(value(*args, **options))

        async def call(*args: Any, **options: Any) -> Any:
            made = value(*args, **options)
            return Awaited(made) if name in ("start", "session") else made

        return call

    async def _each(self, answers: Iterator[Any]) -> AsyncIterator[Any]:
        for answer in answers:
            yield answer

    async def __aenter__(self) -> Awaited:
        self.inner.__enter__()
        return self

    async def __aexit__(self, *details: Any) -> None:
        self.inner.__exit__(*details)


def frames(count: int) -> list[bytes]:
    """Frames that can be told apart."""
    return [JPEG + bytes([index]) for index in range(count)]


async def followed(session: Any, sent: Any, **options: Any) -> list[Any]:
    return [answer async for answer in session.stream(sent, **options)]
