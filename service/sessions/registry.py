"""All sessions of this process: admission, look-up, expiry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.engine.slots import SlotTable
from service.errors import AtCapacity, SessionNotFound, ShuttingDown
from service.metrics import EndReason, Metrics
from service.sessions.session import Session


class SessionRegistry:
    """Sessions by id. Every way out of it gives the slots back."""

    def __init__(self, slots: SlotTable, metrics: Metrics, max_sessions: int, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._slots, self._metrics, self._max, self._clock = slots, metrics, max_sessions, clock
        self._sessions: dict[str, Session] = {}
        self._admitted = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._sessions)

    @contextmanager
    def admission(self) -> Iterator[None]:
        """A place for a session about to be started. Raises AtCapacity, ShuttingDown before any work is done."""
        if self._closed:
            raise ShuttingDown("the server is shutting down", retry_after_s=5)
        if len(self._sessions) + self._admitted >= self._max:
            self.sweep()
        if len(self._sessions) + self._admitted >= self._max:
            raise AtCapacity(f"all {self._max} sessions are taken", retry_after_s=5)
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    def add(self, session: Session) -> None:
        """Take a session in (within its `admission`)."""
        self._sessions[session.id] = session
        self._metrics.created()

    def get(self, session_id: str, owner: str) -> Session:
        """The session; raises SessionNotFound where there is none, it is due, or it is another owner's."""
        session = self._sessions.get(session_id)
        if session is not None and session.due(self._clock()):
            self.end(session, "expired")
            session = None
        if session is None or session.owner != owner:
            raise SessionNotFound("there is no such session")
        return session

    def end(self, session: Session, reason: EndReason) -> None:
        """End a session and free its memory; one that has ended already is left alone."""
        if session.ended is None:
            for target in session.end(reason):
                self._slots.release(target.slot)
            self._metrics.ended(reason)
        self._sessions.pop(session.id, None)

    def sweep(self) -> int:
        """End every session that is due; returns how many."""
        now = self._clock()
        due = [session for session in self._sessions.values() if session.due(now)]
        for session in due:
            self.end(session, "expired")
        return len(due)

    def close(self) -> None:
        """Take no new session from now on."""
        self._closed = True
