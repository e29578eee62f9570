"""The sessions that this process knows: admission, look-up, expiry and eviction."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.engine.slots import Slot, SlotTable
from service.errors import AtCapacity, ShuttingDown
from service.operations.metrics import EndReason, Metrics
from service.sessions.session import Session


class SessionRegistry:
    """Sessions by id. A session that leaves gives its slots back."""

    def __init__(
        self,
        slots: SlotTable,
        metrics: Metrics,
        max_sessions: int,
        clock: Callable[[], float],
        *,
        cache: bool = False,
    ) -> None:
        """`clock`: monotonic seconds; `cache`: whether a store has the sessions too, so idle ones may be forgotten."""
        self._slots, self._metrics, self._max, self._clock = slots, metrics, max_sessions, clock
        self._cache = cache
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._admitted: list[str] = []
        self._closed = False

    def __len__(self) -> int:
        return len(self._sessions)

    @contextmanager
    def admission(self, owner: str = "", most: int = 0) -> Iterator[None]:
        """Reserve a place for one more session while the block runs. Raises AtCapacity, ShuttingDown.

        `most`: the sessions that `owner` may have here; 0 is no limit.
        """
        if self._closed:
            raise ShuttingDown("the server is shutting down", retry_after_s=5)
        if len(self._sessions) + len(self._admitted) >= self._max:
            self.sweep()
        if most and len(self.owned(owner)) + self._admitted.count(owner) >= most:
            raise AtCapacity(f"a key may have {most} sessions at once, and this one has as many", retry_after_s=5)
        while len(self._sessions) + len(self._admitted) >= self._max:
            if not self._evict():
                raise AtCapacity(f"all {self._max} sessions are in use", retry_after_s=5)
        self._admitted.append(owner)
        try:
            yield
        finally:
            self._admitted.remove(owner)

    def owned(self, owner: str) -> list[Session]:
        """The sessions of that owner that this process knows."""
        return [session for session in self._sessions.values() if session.facts.owner == owner]

    def allocate(self, count: int) -> tuple[Slot, ...]:
        """Allocate slots for new exemplars, evicting idle sessions if that helps. Raises AtCapacity."""
        while True:
            try:
                return self._slots.allocate(count)
            except AtCapacity:
                if not self._evict():
                    raise

    def release(self, slots: Iterator[Slot] | tuple[Slot, ...]) -> None:
        """Give slots back."""
        for slot in slots:
            self._slots.release(slot)

    def add(self, session: Session) -> None:
        """Add a session, within its `admission`."""
        self._sessions[session.id] = session

    def find(self, session_id: str) -> Session | None:
        """Find a session by id; None if this process does not know it."""
        return self._sessions.get(session_id)

    def used(self, session: Session) -> None:
        """Mark a session as just used: it is evicted last."""
        if session.id in self._sessions:
            self._sessions.move_to_end(session.id)

    def end(self, session: Session, reason: EndReason) -> None:
        """End a session and give its slots back. A session that has ended is left alone."""
        if session.ended is None:
            self.release(tuple(target.slot for target in session.end(reason)))
            self._metrics.ended(reason)
        self._drop(session)

    def sweep(self) -> list[Session]:
        """End or forget every session that is due; returns them."""
        now = self._clock()
        due = [session for session in self._sessions.values() if session.due(now)]
        for session in due:
            if self._cache and session.lease is None:
                # Another replica may have prolonged it.
                self._forget(session)
            else:
                self.end(session, "expired")
        return due

    def close(self) -> None:
        """Admit no more sessions."""
        self._closed = True

    def _evict(self) -> bool:
        """Forget the session that was used here least recently and has no lease. Returns False if there is none."""
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
