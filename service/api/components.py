"""The running server's components, and the order to drain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.api.bodies import BodyReader
from service.api.keys import Keyring
from service.api.rate_limit import RateLimiter
from service.api.schemas import ModelOut
from service.engine.batcher import Batcher
from service.operations.metrics import Metrics
from service.sessions.lease_manager import LeaseManager
from service.sessions.tracking import Tracking
from service.settings import Settings


@dataclass(frozen=True)
class Components:
    """Everything a route needs, as `create_app` put it together. Lives in `app.state.components`."""

    settings: Settings
    tracking: Tracking
    bodies: BodyReader
    leases: LeaseManager
    batcher: Batcher
    metrics: Metrics
    keyring: Keyring
    rate: RateLimiter
    model: ModelOut
    clock: Callable[[], float]
    drain: Drain = field(default_factory=lambda: Drain())


def running_components(app: object) -> Components | None:
    """The components of an application; None before it has started."""
    found = getattr(getattr(app, "state", None), "components", None)
    return found if isinstance(found, Components) else None


class Drain:
    """The order to finish: streams stop reading, answer the frames they have accepted, and close; requests end."""

    def __init__(self) -> None:
        self._begun = False
        self._wakers: set[asyncio.Event] = set()
        self._at_begin: list[Callable[[], None]] = []
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def begun(self) -> bool:
        """Whether the server is draining."""
        return self._begun

    def at_begin(self, call: Callable[[], None]) -> None:
        """Call this once, when draining begins."""
        self._at_begin.append(call)

    def enter(self, waker: asyncio.Event) -> None:
        """Register a stream to wait for; `waker` is set when draining begins."""
        self._wakers.add(waker)
        self._empty.clear()
        if self._begun:
            waker.set()

    def leave(self, waker: asyncio.Event) -> None:
        """Unregister a stream that has closed."""
        self._wakers.discard(waker)
        if not self._wakers:
            self._empty.set()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Register work that ends by itself, such as a request, for as long as the block runs."""
        waker = asyncio.Event()
        self.enter(waker)
        try:
            yield
        finally:
            self.leave(waker)

    async def finish(self, limit_s: float) -> bool:
        """Begin to drain and wait for all registered work; returns False if some is left after `limit_s` seconds."""
        self._begun = True
        while self._at_begin:
            self._at_begin.pop()()
        for waker in self._wakers:
            waker.set()
        try:
            async with asyncio.timeout(limit_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
