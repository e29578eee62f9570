"""One client's session: what it follows, how far it is, who drives it. Plain values; no clock, no device."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from model.tracker import Track
from service.engine.slots import Slot
from service.errors import SessionBusy, SessionEnded, TargetNotFound
from service.metrics import EndReason


@dataclass(frozen=True, slots=True)
class Target:
    """One followed object: its name, where it is, and the slot of its exemplar."""

    id: str
    track: Track
    slot: Slot


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session is: the index of its last answered frame, and its targets as of that frame."""

    frame_index: int
    targets: tuple[Target, ...]


class Session:
    """A session's identity and its progress, which is only ever replaced whole."""

    def __init__(
        self,
        session_id: str,
        owner: str,
        frame_size: tuple[int, int],
        targets: tuple[Target, ...],
        ttl_s: float,
        created_at: datetime,
        now: float,
    ) -> None:
        """`frame_size`: (width, height). `created_at` is for people, `now` (monotonic seconds) for expiry."""
        self.id, self.owner, self.frame_size = session_id, owner, frame_size
        self.ttl_s, self.created_at = ttl_s, created_at
        self._progress = Progress(0, targets)
        self._made = self._touched = now
        self._driven = False
        self._end_reason: EndReason | None = None
        self._watchers: set[asyncio.Event] = set()

    @property
    def progress(self) -> Progress:
        """The state as after the last answered frame."""
        return self._progress

    @property
    def ended(self) -> EndReason | None:
        """Why the session ended; None while it lives."""
        return self._end_reason

    @property
    def expires_at(self) -> datetime:
        """When it ends unless another frame comes."""
        return self.created_at + timedelta(seconds=self._touched - self._made + self.ttl_s)

    def due(self, now: float) -> bool:
        """Whether it has been idle for its time to live."""
        return now - self._touched >= self.ttl_s

    def target(self, target_id: str) -> Target:
        """The target of that name; raises TargetNotFound."""
        for target in self._progress.targets:
            if target.id == target_id:
                return target
        raise TargetNotFound(f"the session follows no target {target_id!r}")

    def advance(self, progress: Progress, now: float) -> None:
        """Replace the progress; raises SessionEnded where the session ended meanwhile."""
        self.check()
        self._progress, self._touched = progress, now

    def check(self) -> None:
        """Raises SessionEnded where the session has ended."""
        if self._end_reason is not None:
            raise SessionEnded(f"the session was {self._end_reason}")

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Drive the session: one at a time. Raises SessionBusy, SessionEnded."""
        self.check()
        if self._driven:
            raise SessionBusy("another connection drives this session")
        self._driven = True
        try:
            yield
        finally:
            self._driven = False

    @contextmanager
    def watched(self, event: asyncio.Event) -> Iterator[None]:
        """Have `event` set when the session ends."""
        self._watchers.add(event)
        try:
            yield
        finally:
            self._watchers.discard(event)

    def end(self, reason: EndReason) -> tuple[Target, ...]:
        """End it, once; returns the targets whose slots are now nobody's."""
        if self._end_reason is not None:
            return ()
        self._end_reason = reason
        targets, self._progress = self._progress.targets, Progress(self._progress.frame_index, ())
        for event in self._watchers:
            event.set()
        return targets
