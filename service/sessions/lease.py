"""The right to advance a session, for one connection or one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ServiceError
from service.sessions.session import Session
from service.sessions.stores.store import Claim, FrameAnswer, LeaseToken


class Lease:
    """The right of one connection or one request to advance a session, until it is released or lost."""

    def __init__(self, session: Session, claim: Claim) -> None:
        self.session = session
        self.token: LeaseToken = claim.token
        self.missed: tuple[FrameAnswer, ...] | None = claim.missed
        """Answers that a resuming client may not have received; None if it did not resume."""
        self.version = claim.version
        """Version of the last step that was sent to the store."""
        self.commit_unknown = False
        """Whether the store may hold a step whose commit failed here."""
        self.committing = False
        """Whether a commit is under way."""
        self.committed_at = 0.0
        """When the store was last written, in monotonic seconds."""
        self._lost: ServiceError | None = None
        self._waker: asyncio.Event | None = None

    @property
    def lost(self) -> ServiceError | None:
        """Why the lease is lost: the session ended, or another connection has taken it over. None while it is held."""
        return self._lost

    def check(self) -> None:
        """Raises SessionEnded or SessionBusy if the lease is lost."""
        if self._lost is not None:
            raise self._lost

    def revoke(self, error: ServiceError) -> None:
        """Take the lease away and wake its holder; the first reason counts."""
        if self._lost is None:
            self._lost = error
            if self._waker is not None:
                self._waker.set()

    @contextmanager
    def watched(self, event: asyncio.Event) -> Iterator[None]:
        """Set `event` when the lease is lost, for as long as the block runs."""
        self._waker = event
        if self._lost is not None:
            event.set()
        try:
            yield
        finally:
            self._waker = None
