"""A Redis that answers and is of no use all the same, keys that are no sessions, and leases from the future."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from service.errors import IncompatibleReplica, SessionBusy, SessionNotFound, StoreUnavailable
from service.operations.metrics import Metrics
from service.sessions.stores.redis import RedisStore
from service.sessions.stores.store import LeaseToken
from tests.service.conftest import RunService
from tests.service.sessions.stores.test_store import exemplar, facts, state, step, take
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(redis: RedisServer) -> AsyncIterator[RedisStore]:
    made = RedisStore(redis.url, Metrics())
    await made.start()
    await made.create(facts(), state(), [("e0", exemplar())])
    yield made
    await made.stop()


USELESS = [
    pytest.param("ACL SETUSER default -@scripting", "ACL SETUSER default +@all", id="no-scripts"),
    pytest.param("ACL SETUSER default -@write", "ACL SETUSER default +@all", id="no-writes"),
    pytest.param("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", id="too-few-replicas"),
    pytest.param("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", id="out-of-memory"),
]


@pytest.mark.parametrize(("spoil", "mend"), USELESS)
async def test_a_store_that_answers_ping_and_takes_no_writes_is_not_ready(
    run_service: RunService, redis: RedisServer, spoil: str, mend: str
) -> None:
    async with run_service(store=redis.url) as service:
        assert (await service.client.get("/readyz")).status_code == 200
        store = service.components.leases.store
        try:
            assert redis.say(*spoil.split()) == b"+OK\r\n"
            assert redis.say("PING") == b"+PONG\r\n"
            await eventually(lambda: store.failure is not None)
            ready = await service.client.get("/readyz")
            assert ready.status_code == 503
            assert "session store" in ready.json()["status"]
        finally:
            redis.say(*mend.split())
        await eventually(lambda: store.failure is None)
        assert (await service.client.get("/readyz")).status_code == 200


ODD = [
    pytest.param("SET", "x", id="a-string"),
    pytest.param("LPUSH", "x", id="a-list"),
    pytest.param("HSET", "o me", id="half-a-session"),
    pytest.param("HSET", "o me f x s y v 1 d a u 0 g 0 b a", id="nonsense"),
    pytest.param("HSET", "o me f {} s {} v z d a u z g z b a", id="numbers-that-are-none"),
]


@pytest.mark.parametrize(("command", "value"), ODD)
async def test_one_odd_key_does_not_mark_the_store_away(
    store: RedisStore, redis: RedisServer, command: str, value: str
) -> None:
    redis.say(command, "siamfc:{odd}", *value.split())
    with pytest.raises((SessionNotFound, StoreUnavailable, IncompatibleReplica)):
        await store.read("odd", "me")
    with pytest.raises((SessionNotFound, StoreUnavailable, IncompatibleReplica)):
        await store.acquire("odd", "me", "A")
    assert store.failure is None
    good = (await take(store, "B")).token
    standings = await store.renew([LeaseToken("odd", "A", 1), good])
    assert standings[0] in ("gone", "fenced", "held")
    assert standings[1] == "held"
    assert await store.commit(good, step(1)) == "held"


async def test_a_lease_dated_in_the_future_lapses(store: RedisStore, redis: RedisServer) -> None:
    token = (await take(store, "A")).token
    with pytest.raises(SessionBusy):
        await take(store, "B")
    # The server's clock went back by an hour since the lease was taken.
    redis.say("HSET", "siamfc:{s1}", "u", str(int((time.time() + 3600) * 1e3)))
    await take(store, "B")
    assert await store.commit(token, step(1)) == "fenced"


async def test_the_holder_of_such_a_lease_renews_it(store: RedisStore, redis: RedisServer) -> None:
    token = (await take(store, "A")).token
    redis.say("HSET", "siamfc:{s1}", "u", str(int((time.time() + 3600) * 1e3)))
    assert await store.renew([token]) == ["held"]
    with pytest.raises(SessionBusy):
        await take(store, "B")
