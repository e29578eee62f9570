"""Takes, renews and releases leases, commits steps, and keeps this process's sessions true to the store.

A step is done when the store has it. The holder of a lost lease finds out at its next commit or heartbeat; until then
it has changed nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from service.errors import (
    ServiceError,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    StoreUnavailable,
    Unauthorized,
)
from service.operations.metrics import Metrics
from service.sessions.exemplars import Exemplars
from service.sessions.lease import Lease
from service.sessions.registry import SessionRegistry
from service.sessions.session import Progress, Session, Target
from service.sessions.stores.store import (
    RING,
    Claim,
    Commit,
    Exemplar,
    FrameAnswer,
    Resume,
    SessionStore,
    Snapshot,
    Standing,
    State,
)

_log = logging.getLogger(__name__)

HEARTBEAT_S = 0.5
"""Seconds between renewals of the leases that no commit renews. A session deleted elsewhere is noticed as late."""


class LeaseManager:
    """Gives out leases and commits every step to the store."""

    def __init__(
        self,
        store: SessionStore,
        registry: SessionRegistry,
        exemplars: Exemplars,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        """`clock`: monotonic seconds."""
        self.store = store
        self._registry, self._exemplars, self._metrics, self._clock = registry, exemplars, metrics, clock
        self._leases: set[Lease] = set()
        self._claiming: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin the heartbeat, if the store's leases lapse."""
        if self.store.shared:
            self._beating = asyncio.create_task(self._beat_on())

    async def stop(self) -> None:
        """End the heartbeat."""
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating

    def check(self) -> None:
        """Raises StoreUnavailable if the store cannot be used now, so that no work is done in vain."""
        if self.store.failure is not None:
            raise StoreUnavailable(self.store.failure, retry_after_s=1)

    async def read(self, session_id: str, owner: str) -> Snapshot:
        """Read the session as the store has it. Raises SessionNotFound, StoreUnavailable."""
        return await self.store.read(session_id, owner)

    async def delete(self, session_id: str, owner: str) -> None:
        """End the session, whichever process holds its lease. Raises SessionNotFound, StoreUnavailable."""
        await self.store.delete(session_id, owner)
        session = self._registry.find(session_id)
        if session is not None:
            self._registry.end(session, "deleted")

    async def revoke(self, owner: str) -> None:
        """End all sessions of an owner whose key is accepted no more; their sockets close as for an unknown key.

        Sessions that only the store knows can be reached by nobody from now on, and expire there.
        """
        for session in self._registry.owned(owner):
            if session.lease is not None:
                session.lease.revoke(Unauthorized("the API key is accepted no more"))
            with contextlib.suppress(SessionNotFound, StoreUnavailable):
                await self.store.delete(session.id, owner)
            self._registry.end(session, "deleted")

    @asynccontextmanager
    async def hold(self, session_id: str, owner: str, resume: Resume | None = None) -> AsyncIterator[Lease]:
        """Hold the session's lease within the block.

        `resume`: the client's earlier connection, whose lease it may take over. Raises SessionNotFound, SessionBusy,
        AtCapacity, IncompatibleReplica, ModelUnavailable, StoreUnavailable.
        """
        # One claim at a time, so that the session here is brought up to date in the order of the store's answers.
        lock = self._claiming.get(session_id)
        if lock is None:
            lock = self._claiming[session_id] = asyncio.Lock()
        async with lock:
            claim = await self.store.acquire(session_id, owner, secrets.token_urlsafe(12), resume)
            if claim.living:
                self._metrics.taken_over()
            try:
                lease = await self._take(claim)
            except BaseException:
                await self._let_go(claim)
                raise
        try:
            yield lease
        finally:
            await self.release(lease)

    async def release(self, lease: Lease) -> None:
        """Release the lease before its block ends. A released lease is left alone."""
        if lease not in self._leases:
            return
        self._leases.discard(lease)
        session = lease.session
        if session.lease is lease:
            session.lease = None
            self._registry.used(session)
        if lease.lost is None:
            await asyncio.shield(self._let_go(lease))

    async def commit(
        self,
        lease: Lease,
        progress: Progress,
        *,
        answers: Sequence[FrameAnswer] = (),
        ring: int = RING,
        added: Sequence[tuple[str, Exemplar]] = (),
    ) -> None:
        """Write `progress` to the store, then make it the session's.

        `answers`: what the client will be told, of which the store keeps the last `ring`. `added`: new exemplars by
        name. Raises SessionEnded, SessionBusy (another connection took the session over) and StoreUnavailable; then to
        every client the session is unchanged.
        """
        lease.check()
        session, now = lease.session, self._clock()
        state = State(progress.frame_index, progress.targets, session.expiry_from(now))
        gone = _names(session.progress.targets) - _names(progress.targets)
        lease.version += 1
        step = Commit(lease.version, state, session.facts.ttl_s, answers, ring, added, tuple(gone))
        lease.committing = True
        try:
            standing = await self.store.commit(lease.token, step)
        except StoreUnavailable:
            # The store may have written it all the same; the heartbeat then overwrites it.
            lease.commit_unknown = True
            raise
        finally:
            lease.committing = False
        self._judge(lease, standing)
        lease.check()
        lease.commit_unknown, lease.committed_at = False, now
        before = session.progress.targets
        session.advance(progress, now)
        self._release_others(before, progress.targets)

    async def _take(self, claim: Claim) -> Lease:
        """Make the session here equal to the store's, with this claim's lease as its only one."""
        snapshot, session_id = claim.snapshot, claim.token.session_id
        session = self._registry.find(session_id)
        if session is None:
            with self._registry.admission():
                progress = await self._progress(claim, ())
                session = Session(snapshot.facts, progress, snapshot.state.expires_at, self._deadline(snapshot))
                self._registry.add(session)
                lease = session.lease = Lease(session, claim)
        else:
            if session.lease is not None:
                session.lease.revoke(SessionBusy("another connection has taken the session over"))
            lease = session.lease = Lease(session, claim)
            # First the deadline: another replica may have prolonged it, and the sweep uses the one known here.
            session.restore(session.progress, snapshot.state.expires_at, self._deadline(snapshot))
            try:
                await self._restore(session, claim)
            except BaseException:
                session.lease = None
                raise
        self._leases.add(lease)
        lease.committed_at = self._clock()
        return lease

    async def _restore(self, session: Session, claim: Claim) -> None:
        before = session.progress.targets
        progress = await self._progress(claim, before)
        if session.ended is not None:
            self._registry.release(tuple(target.slot for target in progress.targets if target not in before))
            raise SessionEnded(f"the session was {session.ended}")
        session.restore(progress, claim.snapshot.state.expires_at, self._deadline(claim.snapshot))
        self._release_others(before, progress.targets)

    def _release_others(self, before: Sequence[Target], now: Sequence[Target]) -> None:
        """Give back the slots that the session no longer uses."""
        kept = {target.slot for target in now}
        self._registry.release(tuple(target.slot for target in before if target.slot not in kept))

    async def _progress(self, claim: Claim, here: Sequence[Target]) -> Progress:
        """The store's state, its exemplars in slots. `here`: targets whose exemplars are in slots already."""
        state = claim.snapshot.state
        slots = {target.exemplar: target.slot for target in here}
        missing = [target.exemplar for target in state.targets if target.exemplar not in slots]
        slots |= await self._exemplars.bring(claim.token.session_id, missing)
        targets = (Target(each.id, each.track, each.exemplar, slots[each.exemplar]) for each in state.targets)
        return Progress(state.frame_index, tuple(targets))

    def _deadline(self, snapshot: Snapshot) -> float:
        return self._clock() + snapshot.remaining_s

    async def _let_go(self, held: Lease | Claim) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self.store.release(held.token)

    def _judge(self, lease: Lease, standing: Standing) -> None:
        if standing == "gone":
            due = lease.session.due(self._clock() + 1)
            self._registry.end(lease.session, "expired" if due else "deleted")
            lease.revoke(SessionEnded("the session has ended"))
        elif standing == "fenced":
            lease.revoke(SessionBusy("another connection has taken the session over"))

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            try:
                await self._beat()
            except ServiceError as error:
                _log.debug("leases were not renewed: %s", error)
            except Exception:
                _log.exception("the heartbeat failed")

    async def _beat(self) -> None:
        """Renew the leases that no commit has renewed, and overwrite steps that may have been written in vain."""
        now = self._clock()
        quiet = [lease for lease in self._leases if now - lease.committed_at >= HEARTBEAT_S / 2]
        for lease in [each for each in quiet if each.commit_unknown and not each.committing]:
            lease.version = version = lease.version + 1
            session = lease.session
            again = Commit(version, session.state, max(session.remaining_s(now), 0.0))
            self._judge(lease, await self.store.commit(lease.token, again))
            lease.commit_unknown = lease.commit_unknown and lease.version != version
        if quiet:
            for lease, standing in zip(quiet, await self.store.renew([each.token for each in quiet]), strict=True):
                if lease in self._leases:
                    self._judge(lease, standing)


def _names(targets: Sequence[Target]) -> set[str]:
    return {target.exemplar for target in targets}
