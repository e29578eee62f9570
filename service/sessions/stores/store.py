"""What outlives a connection: a session as a store keeps it, and what a store must be able to do.

The store's state is the truth; the sessions of a process, and the exemplars on its device, are a cache of it. A lease
makes one driver at a time: whoever acquires gets a fresh token, and a commit with any other token changes nothing.
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
"""Answers that a store can keep of one connection: as many as can be unanswered in either mode."""


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """One target: its name, where it is, and the name of its exemplar, which is never used for another one."""

    id: str
    track: Track
    exemplar: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a session never changes. `frame_size`: (width, height); `owner`: the digest of the key, or `anyone`."""

    session_id: str
    owner: str
    frame_size: tuple[int, int]
    ttl_s: float
    created_at: datetime


@dataclass(frozen=True, slots=True)
class State:
    """A session after its last answered frame."""

    frame_index: int
    targets: tuple[StoredTarget, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session as the store has it; `remaining_s` until it expires."""

    facts: Facts
    state: State
    remaining_s: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """How exemplars are cut: pixels a side, and the share of the target's size around it."""

    exemplar_size: int
    context: float


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A target's appearance: its embedding, fp16 [C, e, e], by the weights with that SHA-256, and what was embedded.

    `crop`: uint8 [127, 127, 3] RGB (the side is the geometry's), from which other weights can embed it anew.
    """

    weights: str
    geometry: Geometry
    embedding: NDArray[np.float16]
    crop: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FrameAnswer:
    """What a connection was told of its frame `seq`: the socket's messages, the last of which has that `seq`."""

    seq: int
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resume:
    """A client's word: it drove over the connection `token`, and has had every answer before `seq`."""

    token: str
    seq: int

    @classmethod
    def parse(cls, text: str) -> Resume:
        """`TOKEN:SEQ`; raises InvalidRequest."""
        match = re.fullmatch(r"([A-Za-z0-9_-]{1,64}):(\d{1,12})", text, re.ASCII)
        if match is None:
            raise InvalidRequest("resume must be CONNECTION:SEQ, the connection as `ready` called it")
        return cls(match[1], int(match[2]))


@dataclass(frozen=True, slots=True)
class LeaseToken:
    """The right to drive a session: the token that fences every write, and how many drivers there have been."""

    session_id: str
    value: str
    generation: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease just taken, and the session to go on from.

    `version`: of the state, to count on from. `missed`: what the client of `resume` may not have had, in order; None
    where it was not that client which drove last. `living`: whether the lease was another's until now.
    """

    token: LeaseToken
    snapshot: Snapshot
    version: int
    missed: tuple[FrameAnswer, ...] | None
    living: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """One step of a session, written whole, which then lives for `ttl_s`.

    `version` grows with each step; `ring`: how many answers are kept.

    `added` and `gone`: exemplars by name.
    """

    version: int
    state: State
    ttl_s: float
    answers: Sequence[FrameAnswer] = ()
    ring: int = RING
    added: Sequence[tuple[str, Exemplar]] = ()
    gone: Sequence[str] = ()


Standing = Literal["held", "late", "fenced", "gone"]
"""A lease's standing: still the driver's, still but with a newer step written, another's, or the session is no more."""


class SessionStore(Protocol):
    """Where sessions live. Calls raise StoreUnavailable where it cannot be reached; none waits for long."""

    shared: bool
    """Whether other processes drive its sessions too, and exemplars have to be kept beside the device."""

    @property
    def failure(self) -> str | None:
        """Why the store cannot be used now; None where it can."""

    async def start(self) -> None:
        """Begin to watch over the store; does not wait for it."""

    async def stop(self) -> None:
        """Give connections back."""

    async def create(self, facts: Facts, state: State, exemplars: Sequence[tuple[str, Exemplar]]) -> None:
        """Take a new session in, driven by nobody."""

    async def read(self, session_id: str, owner: str) -> Snapshot:
        """Raises SessionNotFound where there is none of that owner."""

    async def acquire(self, session_id: str, owner: str, token: str, resume: Resume | None = None) -> Claim:
        """Become the driver, with that fresh token. Raises SessionNotFound, SessionBusy.

        Busy is a session whose lease is another's, unless `resume` names the connection that holds it.
        """

    async def commit(self, token: LeaseToken, commit: Commit) -> Standing:
        """Write a step, renew lease and life; one round trip. Nothing is written unless the answer is `held`."""

    async def renew(self, tokens: Sequence[LeaseToken]) -> list[Standing]:
        """Renew leases, whose sessions live no longer by it; one round trip. One standing a lease."""

    async def release(self, token: LeaseToken) -> None:
        """Let the lease go, if it is still held."""

    async def delete(self, session_id: str, owner: str) -> None:
        """End a session, whoever drives it. Raises SessionNotFound."""

    async def exemplars(self, session_id: str, names: Sequence[str]) -> dict[str, Exemplar]:
        """Those of the exemplars that the session has."""
