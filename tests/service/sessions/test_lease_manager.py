"""Two replicas over one Redis, in one process: which one holds the lease, and what each of them keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from model.config import TrackerConfig, preset
from model.tracker import Tracker
from service.engine.batcher import Batcher
from service.engine.slots import SlotTable
from service.errors import (
    AtCapacity,
    IncompatibleReplica,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    StoreUnavailable,
)
from service.operations.metrics import Metrics
from service.sessions.decode_pool import DecodePool
from service.sessions.exemplars import Exemplars
from service.sessions.lease_manager import LeaseManager
from service.sessions.registry import SessionRegistry
from service.sessions.requests import Limits, Placement
from service.sessions.stores.redis import RedisStore
from service.sessions.stores.store import FrameAnswer, Resume
from service.sessions.tracker_model import TrackerModel
from service.sessions.tracking import Tracking
from tests.service.sessions.conftest import Core, advance, boxes
from tests.support import blobs
from tests.support.fake_predictor import FakePredictor
from tests.support.redis_server import RedisServer, running_redis
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio

MODEL = TrackerModel(Tracker(preset("paper"), TrackerConfig(scales=1)), "a" * 64)
OTHER_WEIGHTS = replace(MODEL, weights="b" * 64)
OTHER_GEOMETRY = replace(OTHER_WEIGHTS, tracker=Tracker(preset("paper"), TrackerConfig(scales=1, context=0.7)))


class Replica(Core):
    """A core over a shared store, with its metrics."""

    metrics: Metrics

    def count(self, sample: str) -> float:
        lines = self.metrics.render().decode().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{sample} ")), 0.0)


Start = Callable[..., AbstractAsyncContextManager[Replica]]


@asynccontextmanager
async def running(
    url: str, model: TrackerModel = MODEL, max_sessions: int = 3, slots: int = 6
) -> AsyncIterator[Replica]:
    """Run a replica within the block."""
    import time

    predictor, table, metrics, clock = FakePredictor(), SlotTable(slots), Metrics(), time.monotonic
    registry = SessionRegistry(table, metrics, max_sessions, clock, cache=True)
    batcher = Batcher(predictor, table, metrics, batch_max=8)
    store = RedisStore(url, metrics)
    with ThreadPoolExecutor(2) as pool, DecodePool(2) as decoders:
        exemplars = Exemplars(model, batcher, registry, store, metrics, pool)
        leases = LeaseManager(store, registry, exemplars, metrics, clock)
        limits = Limits(3, blobs.WIDTH * blobs.HEIGHT, 60.0)
        tracking = Tracking(model, batcher, registry, exemplars, leases, metrics, limits, pool, decoders, clock)
        await batcher.start()
        await store.start()
        await leases.start()
        replica = Replica(tracking, batcher, predictor, table, registry, leases, clock)  # type: ignore[arg-type]
        replica.metrics = metrics
        try:
            yield replica
        finally:
            await leases.stop()
            await store.stop()
            await batcher.stop()


@pytest.fixture
async def a(redis: RedisServer) -> AsyncIterator[Replica]:
    async with running(redis.url) as replica:
        yield replica


@pytest.fixture
async def b(redis: RedisServer) -> AsyncIterator[Replica]:
    async with running(redis.url) as replica:
        yield replica


async def test_a_session_made_on_one_replica_advances_on_the_other_and_back(a: Replica, b: Replica) -> None:
    session = await a.start((60, 50), (10, 10))
    for index, (replica, x) in enumerate([(b, 62), (b, 64), (a, 66), (b, 68)], 1):
        step = await replica.advance(session, await replica.decoded(x, 50))
        assert step.progress.frame_index == index
        assert step.progress.targets[0].track.box.as_list() == pytest.approx([x, 50, 16, 16], abs=1)
    # The exemplars were copied exactly, and once: those on the device stay there.
    assert len(b.predictor.of("write")) == 1
    assert (b.predictor.of("embed"), b.count("siamfc_reembeds_total")) == ([], 0)
    there = b.registry.find(session.id)
    assert there is not None
    for target in there.progress.targets:
        assert b.predictor.exemplars[target.slot.index][1] == pytest.approx(
            a.predictor.exemplars[session.target(target.id).slot.index][1], rel=1e-3
        )


async def test_targets_come_and_go_for_both(a: Replica, b: Replica) -> None:
    session = await a.start((60, 50), (10, 10))
    await b.correct(session, await b.decoded(60, 50), Placement("new", blobs.box(30, 30)))
    await b.remove(session, "0")
    await a.advance(session, await a.decoded(60, 50))
    assert list(boxes(session)) == ["1", "new"]
    assert a.slots.used == b.slots.used == 2
    names = {target.exemplar for target in session.progress.targets}
    assert set(await a.leases.store.exemplars(session.id, [*names, "0"])) == names


async def test_one_replica_holds_the_lease_at_a_time(a: Replica, b: Replica) -> None:
    session = await a.start()
    async with a.leases.hold(session.id, "me"):
        with pytest.raises(SessionBusy):
            await b.advance(session, await b.decoded(62, 50))
    await b.advance(session, await b.decoded(62, 50))
    with pytest.raises(SessionNotFound):
        await b.leases.read(session.id, "you")


async def test_a_resuming_client_takes_over_and_the_old_holder_is_fenced(a: Replica, b: Replica) -> None:
    session = await a.start()
    async with a.leases.hold(session.id, "me") as old:
        await advance(a.tracking, old, await a.decoded(62, 50), answers=[FrameAnswer(0, ("first",))])
        frame = await a.decoded(64, 50)
        with a.predictor.held("respond") as begun:
            late = asyncio.ensure_future(advance(a.tracking, old, frame))
            await reached(begun)
            async with b.leases.hold(session.id, "me", Resume(old.token.value, 0)) as new:
                assert new.missed == (FrameAnswer(0, ("first",)),)
                assert b.count("siamfc_lease_takeovers_total") == 1
                await advance(b.tracking, new, await b.decoded(66, 50))
        with pytest.raises(SessionBusy):
            await late
        assert isinstance(old.lost, SessionBusy)
    snapshot = await a.leases.read(session.id, "me")
    assert snapshot.state.frame_index == 2
    assert snapshot.state.targets[0].track.box.as_list() == pytest.approx([66, 50, 16, 16], abs=1)
    # The fenced replica then goes on from the store's state.
    step = await a.advance(session, await a.decoded(68, 50))
    assert step.progress.frame_index == 3


async def test_a_takeover_within_one_replica_wakes_the_old_connection(a: Replica) -> None:
    session = await a.start()
    async with a.leases.hold(session.id, "me") as old:
        event = asyncio.Event()
        with old.watched(event):
            async with a.leases.hold(session.id, "me", Resume(old.token.value, 0)) as new:
                assert event.is_set()
                await advance(a.tracking, new, await a.decoded(62, 50))
                with pytest.raises(SessionBusy):
                    await advance(a.tracking, old, await a.decoded(62, 50))
    assert session.lease is None
    assert session.progress.frame_index == 1


@pytest.mark.parametrize("what", ["deleted", "taken"])
async def test_an_idle_holder_is_told_by_the_heartbeat(a: Replica, b: Replica, what: str) -> None:
    session = await a.start()
    async with a.leases.hold(session.id, "me") as lease:
        if what == "deleted":
            await b.leases.delete(session.id, "me")
            await eventually(lambda: isinstance(lease.lost, SessionEnded))
            assert (a.slots.used, len(a.registry)) == (0, 0)
        else:
            async with b.leases.hold(session.id, "me", Resume(lease.token.value, 0)):
                await eventually(lambda: isinstance(lease.lost, SessionBusy))


async def test_other_weights_embed_the_kept_crop_again(a: Replica, redis: RedisServer) -> None:
    session = await a.start((60, 50), (10, 10))
    async with running(redis.url, OTHER_WEIGHTS) as other:
        step = await other.advance(session, await other.decoded(62, 50), [Placement("new", blobs.box(30, 30))])
        assert step.progress.frame_index == 1
        assert other.count("siamfc_reembeds_total") == 2
        assert other.predictor.of("write") == []
        theirs = other.registry.find(session.id)
        assert theirs is not None
        for name in "01":
            # The fake predictor's embedding is the mean of the crop's pixels, so it is exact without fp16.
            mine = a.predictor.exemplars[session.target(name).slot.index][1]
            assert other.predictor.exemplars[theirs.target(name).slot.index][1] == mine
        # The exemplars that it made are of its own weights, so the first replica embeds them again.
        await a.advance(session, await a.decoded(64, 50))
        assert a.count("siamfc_reembeds_total") == 1


async def test_another_geometry_is_refused_and_nothing_is_lost(a: Replica, redis: RedisServer) -> None:
    session = await a.start()
    async with running(redis.url, OTHER_GEOMETRY) as other:
        with pytest.raises(IncompatibleReplica, match=r"context 0\.5; this replica's model needs .* 0\.7"):
            await other.advance(session, await other.decoded(62, 50))
        assert (other.slots.used, len(other.registry)) == (0, 0)
    await a.advance(session, await a.decoded(62, 50))


async def test_idle_sessions_are_evicted_and_come_back(redis: RedisServer) -> None:
    async with running(redis.url, max_sessions=2, slots=2) as replica:
        sessions = [await replica.start((60, 50)) for _ in range(5)]
        assert (len(replica.registry), replica.slots.used) == (2, 2)
        for session in sessions:
            step = await replica.advance(session, await replica.decoded(62, 50))
            assert step.progress.frame_index == 1
        async with (
            replica.leases.hold(sessions[0].id, "me"),
            replica.leases.hold(sessions[1].id, "me"),
        ):
            with pytest.raises(AtCapacity):
                await replica.start((60, 50))
            with pytest.raises(AtCapacity):
                await replica.advance(sessions[2], await replica.decoded(62, 50))
        # The refused session has not kept its lease.
        await replica.advance(sessions[2], await replica.decoded(62, 50))


async def test_while_redis_is_unreachable_nothing_advances_and_nothing_is_lost(tmp_path: Path) -> None:
    with running_redis(tmp_path, durable=True) as redis:
        async with running(redis.url) as replica:
            session = await replica.start()
            async with replica.leases.hold(session.id, "me") as lease:
                frames = [await replica.decoded(x, 50) for x in (62, 64)]
                await advance(replica.tracking, lease, frames[0])
                redis.kill()
                for _ in range(3):
                    with pytest.raises(StoreUnavailable):
                        await advance(replica.tracking, lease, frames[1])
                with pytest.raises(StoreUnavailable):
                    await replica.start()
                assert (session.progress.frame_index, replica.slots.used, len(replica.registry)) == (1, 1, 1)
                redis.start()
                await eventually(lambda: replica.leases.store.failure is None)
                assert (await advance(replica.tracking, lease, frames[1])).progress.frame_index == 2
            assert (await replica.leases.read(session.id, "me")).state.frame_index == 2


async def test_a_step_that_the_store_may_have_is_taken_back(a: Replica, redis: RedisServer) -> None:
    """Redis writes a step but answers too late: the client was told that the frame failed."""
    session = await a.start()
    async with a.leases.hold(session.id, "me") as lease:
        frame = await a.decoded(62, 50)
        with redis.frozen(), pytest.raises(StoreUnavailable):
            await advance(a.tracking, lease, frame)
        assert session.progress.frame_index == 0
        await eventually(lambda: not lease.commit_unknown)
        assert (await a.leases.read(session.id, "me")).state.frame_index == 0
        assert (await advance(a.tracking, lease, frame)).progress.frame_index == 1
    assert (await a.leases.read(session.id, "me")).state.frame_index == 1


async def test_a_cancelled_frame_leaves_cache_and_store_agreed_after_the_next_claim(a: Replica) -> None:
    session = await a.start()
    for _ in range(5):
        async with a.leases.hold(session.id, "me") as lease:
            frame = await a.decoded(62, 50)
            task = asyncio.ensure_future(advance(a.tracking, lease, frame))
            await asyncio.sleep(0.002)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with a.leases.hold(session.id, "me"):
            snapshot = await a.leases.read(session.id, "me")
            assert session.progress.frame_index == snapshot.state.frame_index
            assert a.slots.used == 1
