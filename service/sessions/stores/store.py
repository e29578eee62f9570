"""A session as a store keeps it, and the protocol of a store.

The store's state is the truth; a process's sessions, and the exemplars on its device, are a cache of it. A lease is
fenced: acquiring makes a fresh token, and a commit with any other token changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model.tracker import Track
from service.errors import InvalidRequest

RING = 64
"""The most answers that a store keeps of one connection: as many as can be unanswered in either mode."""


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """One target: its id, its track, and the name of its exemplar, which no other exemplar ever has."""

    id: str
    track: Track
    exemplar: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The part of a session that never changes.

    `owner`: digest of the API key, or `anyone`; `frame_size`: (width, height) in pixels; `ttl_s`: idle seconds after
    which it expires; `created_at`: UTC.
    """

    session_id: str
    owner: str
    frame_size: tuple[int, int]
    ttl_s: float
    created_at: datetime


@dataclass(frozen=True, slots=True)
class State:
    """A session after its last answered frame; `expires_at` is UTC."""

    frame_index: int
    targets: tuple[StoredTarget, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session as the store has it. It expires after `remaining_s` seconds."""

    facts: Facts
    state: State
    remaining_s: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """How exemplars are cut: side in pixels, and margin around the target as a share of its size."""

    exemplar_size: int
    context: float


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A target's appearance.

    `embedding`: fp16 [C, e, e], made by the weights whose SHA-256 is `weights`; `crop`: uint8 [side, side, 3] RGB with
    the geometry's side, from which other weights can embed it again.
    """

    weights: str
    geometry: Geometry
    embedding: NDArray[np.float16]
    crop: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FrameAnswer:
    """The messages that answered frame `seq` of a connection. The last one carries that `seq`."""

    seq: int
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resume:
    """A client's claim that its last connection was `token`, and that it has every answer before `seq`."""

    token: str
    seq: int

    @classmethod
    def parse(cls, text: str) -> Resume:
        """Parse `TOKEN:SEQ`. Raises InvalidRequest."""
        match = re.fullmatch(r"([A-Za-z0-9_-]{1,64}):(\d{1,12})", text, re.ASCII)
        if match is None:
            raise InvalidRequest("resume must be CONNECTION:SEQ, with the connection that `ready` named")
        return cls(match[1], int(match[2]))


@dataclass(frozen=True, slots=True)
class LeaseToken:
    """A lease as the store knows it.

    `value` fences every write; `generation` is the number of leases that the session has had.
    """

    session_id: str
    value: str
    generation: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease just acquired, and the session as of now.

    `version`: the state's version, from which the holder counts on. `missed`: answers that the resuming client may not
    have received, in order; None if it was not the last holder. `living`: whether another lease was still held.
    """

    token: LeaseToken
    snapshot: Snapshot
    version: int
    missed: tuple[FrameAnswer, ...] | None
    living: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """One step of a session, written atomically; the session then lives for `ttl_s` seconds.

    `version` grows with every step. `ring`: the number of answers that are kept. `added` and `gone`: exemplars to keep
    and to forget, by name.
    """

    version: int
    state: State
    ttl_s: float
    answers: Sequence[FrameAnswer] = ()
    ring: int = RING
    added: Sequence[tuple[str, Exemplar]] = ()
    gone: Sequence[str] = ()


Standing = Literal["held", "late", "fenced", "gone"]
"""A lease's standing: held; held, but a newer step is written; taken over by another; or the session has ended."""


class SessionStore(Protocol):
    """Keeps sessions. Calls raise StoreUnavailable if it cannot be reached, and take bounded time."""

    shared: bool
    """Whether other processes use the store too. Then it keeps exemplars as well."""

    @property
    def failure(self) -> str | None:
        """Why the store cannot be used now; None if it can."""

    async def start(self) -> None:
        """Begin to watch the store. Does not wait until it can be reached."""

    async def stop(self) -> None:
        """Close the connections."""

    async def create(self, facts: Facts, state: State, exemplars: Sequence[tuple[str, Exemplar]]) -> None:
        """Add a new session without a lease."""

    async def read(self, session_id: str, owner: str) -> Snapshot:
        """Read a session. Raises SessionNotFound if there is none of that owner."""

    async def acquire(self, session_id: str, owner: str, token: str, resume: Resume | None = None) -> Claim:
        """Take the lease with a fresh `token`. Raises SessionNotFound, SessionBusy.

        SessionBusy: another holds the lease, and `resume` does not name its connection.
        """

    async def commit(self, token: LeaseToken, commit: Commit) -> Standing:
        """Write a step and renew the lease and the session's life, in one round trip; written only if `held`."""

    async def renew(self, tokens: Sequence[LeaseToken]) -> list[Standing]:
        """Renew leases, but not their sessions' lives, in one round trip; returns their standings in order."""

    async def release(self, token: LeaseToken) -> None:
        """Release the lease, if it is still held."""

    async def delete(self, session_id: str, owner: str) -> None:
        """End a session, whether its lease is held or not. Raises SessionNotFound."""

    def sweep(self) -> None:
        """Forget expired sessions, if the store does not do so by itself."""

    async def exemplars(self, session_id: str, names: Sequence[str]) -> dict[str, Exemplar]:
        """Read exemplars of a session by name; missing ones are left out."""
