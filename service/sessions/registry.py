"""The sessions that this process knows: admission, look-up, expiry, and who makes room for another."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.engine.slots import Slot, SlotTable
from service.errors import AtCapacity, ShuttingDown
from service.operations.metrics import EndReason, Metrics
from service.sessions.session import Session


class SessionRegistry:
    """Sessions by id. Every way out of it gives the slots back."""

    def __init__(
        self,
        slots: SlotTable,
        metrics: Metrics,
        max_sessions: int,
        clock: Callable[[], float],
        *,
        cache: bool = False,
    ) -> None:
        """`clock`: monotonic seconds. `cache`: whether a session that nobody drives here can be had again."""
        self._slots, self._metrics, self._max, self._clock = slots, metrics, max_sessions, clock
        self._cache = cache
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._admitted = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._sessions)

    @contextmanager
    def admission(self) -> Iterator[None]:
        """A place for a session about to be taken in. Raises AtCapacity, ShuttingDown before any work is done."""
        if self._closed:
            raise ShuttingDown("the server is shutting down", retry_after_s=5)
        if len(self._sessions) + self._admitted >= self._max:
            self.sweep()
        while len(self._sessions) + self._admitted >= self._max:
            if not self._evict():
                raise AtCapacity(f"all {self._max} sessions are taken", retry_after_s=5)
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    def allocate(self, count: int) -> tuple[Slot, ...]:
        """Slots for new exemplars; raises AtCapacity where there is no room, nor any to be made."""
        while True:
            try:
                return self._slots.allocate(count)
            except AtCapacity:
                if not self._evict():
                    raise

    def release(self, slots: Iterator[Slot] | tuple[Slot, ...]) -> None:
        """Take slots back."""
        for slot in slots:
            self._slots.release(slot)

    def add(self, session: Session) -> None:
        """Take a session in (within its `admission`)."""
        self._sessions[session.id] = session

    def find(self, session_id: str) -> Session | None:
        """The session, if it is here."""
        return self._sessions.get(session_id)

    def used(self, session: Session) -> None:
        """The session has just been driven: the last to make room for another."""
        if session.id in self._sessions:
            self._sessions.move_to_end(session.id)

    def end(self, session: Session, reason: EndReason) -> None:
        """End a session and free its memory; one that has ended already is left alone."""
        if session.ended is None:
            self.release(tuple(target.slot for target in session.end(reason)))
            self._metrics.ended(reason)
        self._drop(session)

    def sweep(self) -> list[Session]:
        """End every session that is due; returns them."""
        now = self._clock()
        due = [session for session in self._sessions.values() if session.due(now)]
        for session in due:
            if self._cache and session.lease is None:
                # It may have lived on elsewhere.
                self._forget(session)
            else:
                self.end(session, "expired")
        return due

    def close(self) -> None:
        """Take no new session from now on."""
        self._closed = True

    def _evict(self) -> bool:
        """Forget the session that has not been driven here for longest; False where all are, or none may be."""
        idle = next((each for each in self._sessions.values() if each.lease is None), None) if self._cache else None
        if idle is None:
            return False
        self._forget(idle)
        return True

    def _forget(self, session: Session) -> None:
        self.release(tuple(target.slot for target in session.progress.targets))
        self._drop(session)

    def _drop(self, session: Session) -> None:
        if self._sessions.get(session.id) is session:
            del self._sessions[session.id]
