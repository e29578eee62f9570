"""The protocol of a store, tested on both: memory, and a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from model.boxes import Box
from model.tracker import Track
from service.errors import InvalidRequest, SessionBusy, SessionNotFound
from service.operations.metrics import Metrics
from service.sessions.stores.memory import MemoryStore
from service.sessions.stores.redis import RedisStore
from service.sessions.stores.store import (
    Claim,
    Commit,
    Exemplar,
    Facts,
    FrameAnswer,
    Geometry,
    Resume,
    SessionStore,
    State,
    StoredTarget,
)
from tests.support.clock import Clock
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.anyio

MADE = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
TTL_S = 60.0


def facts(name: str = "s1", owner: str = "me", ttl_s: float = TTL_S) -> Facts:
    return Facts(name, owner, (160, 120), ttl_s, MADE)


def state(index: int = 0, *exemplars: str) -> State:
    targets = tuple(
        StoredTarget(f"t{number}", Track(Box(0.1 + index, 1 / 3, 16, 12.5), (16, 12), (0.1, 90, 255)), name)
        for number, name in enumerate(exemplars or ("e0",))
    )
    return State(index, targets, MADE + timedelta(seconds=TTL_S + index))


def exemplar(seed: int = 0) -> Exemplar:
    random = np.random.default_rng(seed)
    embedding = random.normal(size=(8, 6, 6)).astype(np.float16)
    return Exemplar("abc", Geometry(127, 0.5), embedding, random.integers(0, 256, (127, 127, 3), np.uint8))


def step(version: int, *answers: FrameAnswer, index: int | None = None, ring: int = 64) -> Commit:
    return Commit(version, state(version if index is None else index), TTL_S, answers, ring)


def answered(*seqs: int) -> list[FrameAnswer]:
    return [FrameAnswer(seq, (f"fault of {seq}", f"answer {seq}")) for seq in seqs]


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[SessionStore]:
    made: SessionStore
    if request.param == "memory":
        made = MemoryStore(Clock())
    else:
        redis: RedisServer = request.getfixturevalue("redis")
        made = RedisStore(redis.url, Metrics())
    await made.start()
    await made.create(facts(), state(), [("e0", exemplar())])
    yield made
    await made.stop()


async def take(store: SessionStore, token: str, resume: Resume | None = None) -> Claim:
    return await store.acquire("s1", "me", token, resume)


async def test_a_created_session_is_read_back_equal(store: SessionStore) -> None:
    found = await store.read("s1", "me")
    assert (found.facts, found.state) == (facts(), state())
    assert found.remaining_s == pytest.approx(TTL_S, abs=1)
    claim = await take(store, "A")
    assert (claim.snapshot.facts, claim.snapshot.state) == (facts(), state())
    assert (claim.version, claim.missed, claim.living, claim.token.generation) == (0, None, False, 1)


@pytest.mark.parametrize(("name", "owner"), [("s2", "me"), ("s1", "you"), ("", "me"), ("x" * 2000, "me"), ("}{", "me")])
async def test_another_owner_sees_no_session(store: SessionStore, name: str, owner: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.read(name, owner),
        lambda: store.acquire(name, owner, "A"),
        lambda: store.delete(name, owner),
    ]
    for call in calls:
        with pytest.raises(SessionNotFound, match="there is no such session"):
            await call()  # type: ignore[misc]
    await store.read("s1", "me")


async def test_a_committed_step_is_read_by_all(store: SessionStore) -> None:
    token = (await take(store, "A")).token
    assert await store.commit(token, step(1)) == "held"
    assert (await store.read("s1", "me")).state == state(1)
    await store.release(token)
    claim = await take(store, "B")
    assert (claim.snapshot.state, claim.version, claim.token.generation) == (state(1), 1, 2)


async def test_one_lease_is_held_at_a_time(store: SessionStore) -> None:
    token = (await take(store, "A")).token
    with pytest.raises(SessionBusy):
        await take(store, "B")
    with pytest.raises(SessionBusy):
        await take(store, "B", Resume("nobody", 0))
    assert await store.renew([token]) == ["held"]
    await store.release(token)
    await take(store, "B")


async def test_a_late_write_of_a_fenced_holder_is_refused(store: SessionStore) -> None:
    old = (await take(store, "A")).token
    await store.commit(old, step(1))
    new = (await take(store, "B", Resume("A", 1))).token
    assert new.generation == old.generation + 1
    assert await store.commit(old, step(2, index=99)) == "fenced"
    assert (await store.read("s1", "me")).state == state(1)
    assert await store.renew([old, new]) == ["fenced", "held"]
    await store.release(old)
    assert await store.commit(new, step(2)) == "held", "the old holder's release let the new one's lease go"
    with pytest.raises(SessionBusy):
        await take(store, "C")


async def test_a_step_older_than_the_written_one_is_not_written(store: SessionStore) -> None:
    token = (await take(store, "A")).token
    await store.commit(token, step(2))
    assert await store.commit(token, step(1)) == "late"
    assert (await store.read("s1", "me")).state == state(2)


async def test_the_same_step_sent_twice_is_written_once(store: SessionStore) -> None:
    token = (await take(store, "A")).token
    for _ in range(2):
        assert await store.commit(token, step(1, *answered(0))) == "held"
    assert (await store.read("s1", "me")).state == state(1)
    claim = await take(store, "B", Resume("A", 0))
    assert claim.missed == tuple(answered(0))


async def test_a_deleted_session_is_gone_for_its_holder(store: SessionStore) -> None:
    token = (await take(store, "A")).token
    await store.delete("s1", "me")
    assert await store.renew([token]) == ["gone"]
    assert await store.commit(token, step(1)) == "gone"
    await store.release(token)
    for call in (store.read("s1", "me"), store.delete("s1", "me"), take(store, "B")):
        with pytest.raises(SessionNotFound):
            await call


@pytest.mark.parametrize(
    ("had", "missed"),
    [pytest.param(2, [2, 3], id="two"), pytest.param(0, [0, 1, 2, 3], id="all"), pytest.param(4, [], id="none")],
)
async def test_answers_that_the_last_holder_missed(store: SessionStore, had: int, missed: list[int]) -> None:
    token = (await take(store, "A")).token
    await store.commit(token, step(1, *answered(0)))
    await store.commit(token, step(2, *answered(1, 2)))
    await store.commit(token, step(3, *answered(3)))
    claim = await take(store, "B", Resume("A", had))
    assert claim.missed == tuple(answered(*missed))
    assert claim.living


async def test_a_ring_keeps_the_last_answers(store: SessionStore) -> None:
    token = (await take(store, "A")).token
    for seq in range(10):
        await store.commit(token, step(seq + 1, *answered(seq), ring=4))
    assert (await take(store, "B", Resume("A", 0))).missed == tuple(answered(6, 7, 8, 9))


async def test_a_resume_whose_ready_was_lost_is_asked_for_again(store: SessionStore) -> None:
    """The client never learnt of connection B, so it resumes from A again."""
    token = (await take(store, "A")).token
    await store.commit(token, step(1, *answered(0)))
    for connection in ("B", "C", "D"):
        claim = await take(store, connection, Resume("A", 0))
        assert claim.missed == tuple(answered(0))
    # Connection D was told to the client, and goes on.
    await store.commit(claim.token, step(2, *answered(0)))
    with pytest.raises(SessionBusy):
        await take(store, "E", Resume("A", 0))
    assert (await take(store, "F", Resume("D", 0))).missed == tuple(answered(0))


async def test_a_resume_of_a_connection_that_did_nothing_misses_nothing(store: SessionStore) -> None:
    await store.commit((await take(store, "A")).token, step(1, *answered(0)))
    await take(store, "B", Resume("A", 1))
    assert (await take(store, "C", Resume("B", 0))).missed == ()


async def test_a_holder_before_the_last_one_cannot_resume(store: SessionStore) -> None:
    first = (await take(store, "A")).token
    await store.commit(first, step(1, *answered(0)))
    await store.release(first)
    second = (await take(store, "B")).token
    with pytest.raises(SessionBusy):
        await take(store, "C", Resume("A", 0))
    await store.release(second)
    assert (await take(store, "C", Resume("A", 0))).missed is None


async def test_simultaneous_claims_come_one_after_the_other(store: SessionStore) -> None:
    results = await asyncio.gather(*(take(store, f"T{n}") for n in range(20)), return_exceptions=True)
    assert sum(isinstance(result, Claim) for result in results) == 1
    assert sum(isinstance(result, SessionBusy) for result in results) == 19


async def test_exemplars_come_and_go_with_steps(store: SessionStore) -> None:
    if not store.shared:
        pytest.skip("a store that is not shared keeps none")
    token = (await take(store, "A")).token
    added = replace(step(1), state=state(1, "e0", "e1"), added=[("e1", exemplar(1))])
    await store.commit(token, added)
    found = await store.exemplars("s1", ["e0", "e1", "e2"])
    assert list(found) == ["e0", "e1"]
    for seed, each in enumerate(found.values()):
        np.testing.assert_array_equal(each.embedding, exemplar(seed).embedding)
        np.testing.assert_array_equal(each.crop, exemplar(seed).crop)
        assert (each.weights, each.geometry) == ("abc", Geometry(127, 0.5))
    await store.commit(token, replace(step(2), state=state(2, "e1"), gone=["e0"]))
    assert list(await store.exemplars("s1", ["e0", "e1"])) == ["e1"]


@pytest.mark.parametrize(
    "text", ["", "a", "a:", ":1", "a:-1", "a:1.5", "a b:1", "a:1:2", "ä:1", "a:1\n", "a" * 65 + ":1"]
)
async def test_a_malformed_resume(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Resume.parse(text)


async def test_a_well_formed_resume() -> None:
    assert Resume.parse("aZ0_-:17") == Resume("aZ0_-", 17)


async def test_the_memory_store_forgets_expired_sessions(tmp_path: Path) -> None:
    clock = Clock()
    store = MemoryStore(clock)
    await store.create(facts(), state(), [])
    token = (await take(store, "A")).token
    clock.advance(50)
    await store.commit(token, step(1))
    clock.advance(59)
    store.sweep()
    assert len(store) == 1
    assert (await store.read("s1", "me")).remaining_s == pytest.approx(1)
    clock.advance(1)
    with pytest.raises(SessionNotFound):
        await store.read("s1", "me")
    store.sweep()
    assert len(store) == 0
    assert await store.commit(token, step(2)) == "gone"
