"""One step of a session: prepared, shown to the caller, and committed or dropped."""

from __future__ import annotations

from collections.abc import Sequence

from service.errors import ServiceError
from service.operations.metrics import Metrics
from service.sessions.exemplars import Placed
from service.sessions.lease import Lease
from service.sessions.lease_manager import LeaseManager
from service.sessions.results import Evidence, Tracked
from service.sessions.session import Progress, Target
from service.sessions.stores.store import RING, FrameAnswer


class Step:
    """A session's transaction. The session is unchanged until `commit` returns.

    Made by `Tracking.step`, whose block gives back the slots of new targets when it ends without a commit.
    """

    def __init__(
        self,
        leases: LeaseManager,
        metrics: Metrics,
        lease: Lease,
        before: Progress,
        placed: Placed,
        faults: tuple[ServiceError, ...] = (),
    ) -> None:
        """`before`: the session's progress that the step goes on from; `placed`: its new targets."""
        self._leases, self._metrics, self._lease, self._placed = leases, metrics, lease, placed
        self.progress = before.updated(placed.targets)
        """The session as it will be."""
        self.evidence: dict[str, Evidence] = {}
        """Why each target is where it is, by its id; targets with a box drawn on this frame have none."""
        self.faults = faults
        """Why some of the boxes drawn on this frame could not be used."""
        self.missed: tuple[str, ...] = ()
        """Targets of whose wanted part the frame did not show everything, by id."""
        self.queue_s = self.infer_s = 0.0
        """Seconds of waiting for the device, and on it."""
        self.committed = False

    def advance(self, targets: Sequence[Target], tracked: Tracked) -> None:
        """Count one more frame, in which `targets` have the tracks of `tracked`, in the same order."""
        moved = [target.moved(track) for target, track in zip(targets, tracked.tracks, strict=True)]
        self.progress = self.progress.updated(moved, frames=1)
        self.evidence = {target.id: each for target, each in zip(targets, tracked.evidence, strict=True)}
        self.queue_s, self.infer_s = tracked.queue_s, tracked.infer_s

    async def commit(self, answers: Sequence[FrameAnswer] = (), ring: int = RING) -> None:
        """Write the step to the store, then make it the session's state.

        `answers` are kept with it, for a client that comes back; the store keeps the last `ring` of them. Raises
        SessionEnded, SessionBusy (another connection took the session over) and StoreUnavailable; then nothing has
        changed.
        """
        assert not self.committed, "a step is committed once"
        with self._metrics.timed("store"):
            await self._leases.commit(self._lease, self.progress, answers=answers, ring=ring, added=self._placed.kept)
        self.committed = True
