"""The right to advance a session, for one connection or one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ServiceError
from service.sessions.session import Session
from service.sessions.stores.store import Claim, FrameAnswer, LeaseToken


class Lease:
    """One connection's, or one request's, right to advance a session, until it lets go or loses it."""

    def __init__(self, session: Session, claim: Claim) -> None:
        self.session = session
        self.token: LeaseToken = claim.token
        self.missed: tuple[FrameAnswer, ...] | None = claim.missed
        """Answers that the client may not have had; None where it did not resume."""
        self.version = claim.version
        self.commit_unknown = False
        """Whether the store may have been given a step that its client was not."""
        self.committing = False
        self.committed_at = 0.0
        self._lost: ServiceError | None = None
        self._waker: asyncio.Event | None = None

    @property
    def lost(self) -> ServiceError | None:
        """Why this is no right any more: the session ended, or another drives it."""
        return self._lost

    def check(self) -> None:
        """Raises SessionEnded or SessionBusy where the right is lost."""
        if self._lost is not None:
            raise self._lost

    def revoke(self, error: ServiceError) -> None:
        """Take the right away, once, and wake whoever waits for it."""
        if self._lost is None:
            self._lost = error
            if self._waker is not None:
                self._waker.set()

    @contextmanager
    def watched(self, event: asyncio.Event) -> Iterator[None]:
        """Have `event` set when the right is lost."""
        self._waker = event
        if self._lost is not None:
            event.set()
        try:
            yield
        finally:
            self._waker = None
