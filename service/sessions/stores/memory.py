"""A store in this process's memory, for a server without replicas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.errors import SessionBusy, SessionNotFound
from service.sessions.stores.store import (
    Claim,
    Commit,
    Exemplar,
    Facts,
    FrameAnswer,
    LeaseToken,
    Resume,
    Snapshot,
    Standing,
    State,
)


@dataclass(slots=True)
class _Record:
    facts: Facts
    state: State
    deadline: float
    version: int = 0
    generation: int = 0
    holder: str = ""
    held: bool = False
    resumed: str = ""
    """The connection that the present holder resumed from; empty once it has committed a step."""
    journal: dict[int, tuple[str, FrameAnswer]] = field(default_factory=dict)


class MemoryStore:
    """A `SessionStore`. Leases do not lapse, because a holder cannot die without the store.

    It keeps no exemplars, because a session's slots are never given up before the session ends.
    """

    shared = False
    failure: str | None = None

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._clock = clock
        self._records: dict[str, _Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def create(self, facts: Facts, state: State, exemplars: Sequence[tuple[str, Exemplar]]) -> None:
        self._records[facts.session_id] = _Record(facts, state, self._clock() + facts.ttl_s)

    async def read(self, session_id: str, owner: str) -> Snapshot:
        return self._snapshot(self._record(session_id, owner))

    async def acquire(self, session_id: str, owner: str, token: str, resume: Resume | None = None) -> Claim:
        record = self._record(session_id, owner)
        known = resume is not None and resume.token in (record.holder, record.resumed)
        if record.held and not known:
            raise SessionBusy("another connection holds this session")
        living, record.held, record.holder = record.held, True, token
        record.resumed = resume.token if known and resume is not None else ""
        record.generation += 1
        missed = None
        if known and resume is not None:
            kept = [answer for writer, answer in record.journal.values() if writer == resume.token]
            missed = tuple(sorted((each for each in kept if each.seq >= resume.seq), key=lambda each: each.seq))
        return Claim(
            LeaseToken(session_id, token, record.generation), self._snapshot(record), record.version, missed, living
        )

    async def commit(self, token: LeaseToken, commit: Commit) -> Standing:
        record = self._records.get(token.session_id)
        if record is None or record.holder != token.value:
            return "gone" if record is None else "fenced"
        if commit.version < record.version:
            return "late"
        record.state, record.version, record.held, record.resumed = commit.state, commit.version, True, ""
        record.deadline = self._clock() + commit.ttl_s
        for answer in commit.answers:
            record.journal[answer.seq % commit.ring] = token.value, answer
        return "held"

    async def renew(self, tokens: Sequence[LeaseToken]) -> list[Standing]:
        return [self._standing(token) for token in tokens]

    async def release(self, token: LeaseToken) -> None:
        if self._standing(token) == "held":
            self._records[token.session_id].held = False

    async def delete(self, session_id: str, owner: str) -> None:
        self._record(session_id, owner)
        del self._records[session_id]

    async def exemplars(self, session_id: str, names: Sequence[str]) -> dict[str, Exemplar]:
        return {}

    def sweep(self) -> None:
        now = self._clock()
        for session_id in [each for each, record in self._records.items() if record.deadline <= now]:
            del self._records[session_id]

    def _record(self, session_id: str, owner: str) -> _Record:
        record = self._records.get(session_id)
        if record is None or record.facts.owner != owner or record.deadline <= self._clock():
            raise SessionNotFound("there is no such session")
        return record

    def _snapshot(self, record: _Record) -> Snapshot:
        return Snapshot(record.facts, record.state, record.deadline - self._clock())

    def _standing(self, token: LeaseToken) -> Standing:
        record = self._records.get(token.session_id)
        if record is None:
            return "gone"
        return "held" if record.holder == token.value else "fenced"
