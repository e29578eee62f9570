"""The Redis store alone: lapsing leases, expiring sessions, forgotten scripts, and an unreachable Redis."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.errors import SessionBusy, SessionNotFound, StoreUnavailable
from service.operations.metrics import Metrics
from service.sessions.stores.redis import LEASE_S, RedisStore, redacted
from tests.service.sessions.stores.test_store import answered, exemplar, facts, state, step, take
from tests.support.redis_server import RedisServer, running_redis
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(redis: RedisServer) -> AsyncIterator[RedisStore]:
    made = RedisStore(redis.url, Metrics(), lease_s=0.3)
    await made.start()
    await made.create(facts(), state(), [("e0", exemplar())])
    yield made
    await made.stop()


async def until_free(store: RedisStore, token: str) -> float:
    """Measure the seconds until another can take the lease."""
    begun = time.monotonic()
    while time.monotonic() < begun + 20:
        try:
            await take(store, token)
        except SessionBusy:
            await asyncio.sleep(0.01)
        else:
            return time.monotonic() - begun
    raise AssertionError("the lease does not lapse")


def test_a_dead_holders_lease_lapses_within_three_seconds() -> None:
    assert LEASE_S < 3


async def test_a_lease_lapses_unless_it_is_renewed(store: RedisStore) -> None:
    token = (await take(store, "A")).token
    for _ in range(4):
        await asyncio.sleep(0.1)
        assert await store.renew([token]) == ["held"]
        with pytest.raises(SessionBusy):
            await take(store, "B")
    assert 0.15 < await until_free(store, "B") < 3
    # The fence is the token, not the time.
    assert await store.commit(token, step(1)) == "fenced"


async def test_a_step_renews_the_lease(store: RedisStore) -> None:
    token = (await take(store, "A")).token
    for version in range(1, 5):
        await asyncio.sleep(0.1)
        assert await store.commit(token, step(version)) == "held"
    with pytest.raises(SessionBusy):
        await take(store, "B")


async def test_a_lapsed_lease_that_nobody_took_still_commits(store: RedisStore) -> None:
    token = (await take(store, "A")).token
    await asyncio.sleep(0.4)
    assert await store.commit(token, step(1)) == "held"
    with pytest.raises(SessionBusy):
        await take(store, "B")


async def test_a_session_expires_by_itself_and_a_step_prolongs_it(store: RedisStore) -> None:
    await store.create(facts("brief", ttl_s=0.4), state(), [])
    token = (await store.acquire("brief", "me", "A")).token
    await asyncio.sleep(0.2)
    assert await store.commit(token, step(1)) == "held"
    assert (await store.read("brief", "me")).remaining_s > 50
    await store.create(facts("brief", ttl_s=0.05), state(), [])
    await asyncio.sleep(0.1)
    with pytest.raises(SessionNotFound):
        await store.read("brief", "me")


async def test_scripts_that_redis_has_forgotten_are_loaded_again(store: RedisStore, redis: RedisServer) -> None:
    token = (await take(store, "A")).token
    calls = [
        lambda: store.commit(token, step(1)),
        lambda: store.renew([token, token]),
        lambda: store.read("s1", "me"),
        lambda: store.delete("s1", "me"),
    ]
    for call in calls:
        assert redis.say("SCRIPT", "FLUSH") == b"+OK\r\n"
        await call()


async def test_a_step_is_one_round_trip(store: RedisStore, redis: RedisServer) -> None:
    token = (await take(store, "A")).token
    await store.commit(token, step(1))

    def calls() -> int:
        text = redis.say("INFO", "commandstats").decode()
        (line,) = [each for each in text.splitlines() if each.startswith("cmdstat_evalsha:")]
        return int(line.partition("calls=")[2].partition(",")[0])

    before = calls()
    for version in range(2, 12):
        await store.commit(token, step(version, *answered(version)))
    assert calls() - before == 10


async def test_while_redis_is_unreachable_calls_fail_at_once(tmp_path: Path) -> None:
    with running_redis(tmp_path, durable=True) as redis:
        store = RedisStore(redis.url, Metrics())
        await store.start()
        assert store.failure is None
        await store.create(facts(), state(), [])
        token = (await take(store, "A")).token
        redis.kill()
        for _ in range(3):
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable) as caught:
                await store.commit(token, step(1))
            assert caught.value.retry_after_s
            assert time.monotonic() - begun < 5
        assert store.failure is not None
        redis.start()
        await eventually(lambda: store.failure is None)
        assert await store.commit(token, step(1)) == "held"
        await store.stop()


async def test_a_hanging_redis_fails_calls_in_bounded_time(store: RedisStore, redis: RedisServer) -> None:
    token = (await take(store, "A")).token
    with redis.frozen():
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.commit(token, step(1))
        assert time.monotonic() - begun < 5
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.commit(token, step(1))
        assert time.monotonic() - begun < 0.5, "after the first call all are refused at once"
    await eventually(lambda: store.failure is None)
    # If the first step was written late, it does not block the next one.
    assert await store.commit(token, step(2)) == "held"
    assert (await store.read("s1", "me")).state == state(2)


async def test_a_caller_that_is_cancelled_leaves_a_whole_step(store: RedisStore, redis: RedisServer) -> None:
    token = (await take(store, "A")).token
    with redis.frozen():
        task = asyncio.ensure_future(store.commit(token, step(1)))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await store.read("s1", "me")).state == state(1)


async def test_a_full_redis_refuses_is_told_as_full_and_can_still_be_read(
    store: RedisStore, redis: RedisServer
) -> None:
    token = (await take(store, "A")).token
    redis.say("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match="full"):
            await store.create(facts("one-more"), state(), [("e0", exemplar())])
        with pytest.raises(StoreUnavailable, match="full"):
            await store.commit(token, step(1))
        assert store.failure == "the session store is full"
        assert (await store.read("s1", "me")).state == state()
    finally:
        redis.say("CONFIG", "SET", "maxmemory", "0")
    await eventually(lambda: store.failure is None)
    assert await store.commit(token, step(1)) == "held"


async def test_the_start_does_not_wait_for_redis(tmp_path: Path) -> None:
    with running_redis(tmp_path) as redis:
        redis.kill()
        store = RedisStore(redis.url, Metrics())
        await store.start()
        assert store.failure is not None
        with pytest.raises(StoreUnavailable):
            await store.read("s1", "me")
        redis.start()
        await eventually(lambda: store.failure is None)
        await store.stop()


async def test_passwords_are_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert redacted("redis://me:hunter2@here:6380/3") == "redis://here:6380/3"
    with running_redis(tmp_path) as redis, caplog.at_level(logging.DEBUG):
        redis.kill()
        store = RedisStore(redis.url.replace("//", "//:hunter2@"), Metrics())
        await store.start()
        await store.stop()
    assert "cannot be reached" in caplog.text
    assert "hunter2" not in caplog.text


async def test_calls_are_measured(redis: RedisServer) -> None:
    metrics = Metrics()
    store = RedisStore(redis.url, metrics)
    await store.start()
    await store.create(facts("measured"), state(), [])
    await store.read("measured", "me")
    await store.stop()
    text = metrics.render().decode()
    for call in ("create", "read"):
        assert f'siamfc_store_seconds_count{{call="{call}"}} 1.0' in text
