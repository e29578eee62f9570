"""One client's session as this process knows it. Plain values: no clock, no device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from model.tracker import Track
from service.engine.slots import Slot
from service.errors import SessionEnded, TargetNotFound
from service.operations.metrics import EndReason
from service.sessions.stores.store import Facts, State, StoredTarget

if TYPE_CHECKING:
    from service.sessions.lease import Lease


@dataclass(frozen=True, slots=True)
class Target(StoredTarget):
    """A target with the slot of its exemplar on this process's device."""

    slot: Slot

    def moved(self, track: Track) -> Target:
        """The target with a new track."""
        return replace(self, track=track)


@dataclass(frozen=True, slots=True)
class Progress:
    """A session after a frame: the frame's index, and the targets as of that frame."""

    frame_index: int
    targets: tuple[Target, ...]

    def updated(self, targets: Iterable[Target], *, frames: int = 0) -> Progress:
        """Progress `frames` later: a target replaces the one of its id, in its place, or comes last."""
        by_id = {target.id: target for target in self.targets} | {target.id: target for target in targets}
        return Progress(self.frame_index + frames, tuple(by_id.values()))


class Session:
    """A cache of what the store has: facts that never change, and progress that is replaced as a whole."""

    def __init__(self, facts: Facts, progress: Progress, expires_at: datetime, deadline: float) -> None:
        """The session expires at `deadline` (monotonic seconds), which is the moment `expires_at` (UTC)."""
        self.facts = facts
        self.lease: Lease | None = None
        """The lease that is held through this process; None if there is none."""
        self._progress = progress
        self._expires_at, self._deadline = expires_at, deadline
        self._end_reason: EndReason | None = None

    @property
    def id(self) -> str:
        """The session's id."""
        return self.facts.session_id

    @property
    def progress(self) -> Progress:
        """The progress after the last answered frame."""
        return self._progress

    @property
    def state(self) -> State:
        """The session's state in the form that a store keeps."""
        return State(self._progress.frame_index, self._progress.targets, self._expires_at)

    @property
    def ended(self) -> EndReason | None:
        """Why the session ended; None while it lives."""
        return self._end_reason

    def due(self, now: float) -> bool:
        """Whether the session has expired at `now` (monotonic seconds)."""
        return now >= self._deadline

    def remaining_s(self, now: float) -> float:
        """Seconds until the session expires."""
        return self._deadline - now

    def target(self, target_id: str) -> Target:
        """Find a target by id. Raises TargetNotFound."""
        for target in self._progress.targets:
            if target.id == target_id:
                return target
        raise TargetNotFound(f"the session follows no target {target_id!r}")

    def expiry_from(self, now: float) -> datetime:
        """The moment at which the session expires if a frame is answered `now` (monotonic seconds)."""
        return self._expires_at + timedelta(seconds=now + self.facts.ttl_s - self._deadline)

    def advance(self, progress: Progress, now: float) -> None:
        """Replace the progress and prolong the session's life. Raises SessionEnded."""
        if self._end_reason is not None:
            raise SessionEnded(f"the session was {self._end_reason}")
        self._expires_at, self._deadline = self.expiry_from(now), now + self.facts.ttl_s
        self._progress = progress

    def restore(self, progress: Progress, expires_at: datetime, deadline: float) -> None:
        """Replace everything that can change by what the store has."""
        self._progress, self._expires_at, self._deadline = progress, expires_at, deadline

    def end(self, reason: EndReason) -> tuple[Target, ...]:
        """End the session and revoke its lease; returns the targets whose slots are to be given back."""
        if self._end_reason is not None:
            return ()
        self._end_reason = reason
        targets, self._progress = self._progress.targets, Progress(self._progress.frame_index, ())
        if self.lease is not None:
            self.lease.revoke(SessionEnded(f"the session was {reason}"))
        return targets
