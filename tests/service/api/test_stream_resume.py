"""Resuming: the next connection gets the answers that the last one lost, and no frame counts twice. Both stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.errors import StoreUnavailable
from tests.service.api.conftest import ask, count, stream
from tests.service.conftest import Running, RunService
from tests.support import blobs
from tests.support.asgi_socket import connect
from tests.support.redis_server import RedisServer, running_redis
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio

Json = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """Two applications: the session is made and streamed on the first; its client comes back to the second."""

    first: Running
    second: Running


@pytest.fixture(params=["memory", "redis"])
async def pair(request: pytest.FixtureRequest, run_service: RunService) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            alone = await stack.enter_async_context(run_service())
            yield Pair(alone, alone)
        else:
            redis: RedisServer = request.getfixturevalue("redis")
            replicas = [await stack.enter_async_context(run_service(store=redis.url)) for _ in range(2)]
            yield Pair(*replicas)


def seqs(messages: list[Json]) -> list[tuple[str, int]]:
    return [(message["type"], message["seq"]) for message in messages]


async def test_answers_lost_in_a_drop_are_resent(pair: Pair) -> None:
    session = await pair.first.create()
    async with stream(pair.first, session) as socket:
        token = (await socket.receive())["connection"]
        socket.send_frame(blobs.frame(61, 50))
        socket.send_frame(b"damaged")
        for x in (62, 63):
            socket.send_frame(blobs.frame(x, 50))
        heard = [await socket.receive() for _ in range(4)]
    # The client says that it has only the first answer.
    async with stream(pair.second, session, f"resume={token}:1") as socket:
        ready = await socket.receive()
        assert ready["missed"] == heard[1:]
        assert seqs(ready["missed"]) == [("error", 1), ("result", 2), ("result", 3)]
        assert (ready["frame_index"], ready["connection"] != token) == (3, True)
        answer = await ask(socket, blobs.frame(64, 50))
        assert (answer["seq"], answer["frame_index"]) == (0, 4)


async def test_a_resuming_client_takes_over_from_a_connection_that_seems_alive(pair: Pair) -> None:
    session = await pair.first.create()
    async with stream(pair.first, session) as old:
        token = (await old.receive())["connection"]
        assert (await ask(old, blobs.frame(61, 50)))["frame_index"] == 1
        async with stream(pair.second, session, "resume=someone-else:0") as stranger:
            assert (await stranger.closed())[0] == 4409
        async with stream(pair.second, session, f"resume={token}:1") as new:
            assert (await new.receive())["missed"] == []
            assert (await ask(new, blobs.frame(62, 50)))["frame_index"] == 2
            assert (await old.closed())[0] == 4409
            assert (await ask(new, blobs.frame(63, 50)))["frame_index"] == 3
    assert count(pair.second, "siamfc_lease_takeovers_total") == 1


async def test_a_frame_on_the_device_of_the_old_owner_is_not_counted(pair: Pair) -> None:
    session = await pair.first.create()
    async with stream(pair.first, session) as old:
        token = (await old.receive())["connection"]
        with pair.first.predictor.held("respond") as begun:
            old.send_frame(blobs.frame(99, 50))
            await reached(begun)
            async with stream(pair.second, session, f"resume={token}:0") as new:
                assert (await new.receive())["frame_index"] == 0
        answer = await old.receive()
        assert answer["problem"]["type"] == "about:blank#session-busy"
        assert (await old.closed())[0] == 4409
    state = (await pair.second.client.get(f"/v1/sessions/{session['session_id']}")).json()
    assert state["frame_index"] == 0


async def test_answers_to_dropped_frames_are_resent_too(pair: Pair) -> None:
    session = await pair.first.create()
    async with stream(pair.first, session, "mode=latest") as socket:
        token = (await socket.receive())["connection"]
        with pair.first.predictor.held("respond") as begun:
            socket.send_frame(blobs.frame(61, 50))
            await reached(begun)
            for k in range(3):
                socket.send_frame(blobs.frame(62 + k, 50))
            await eventually(lambda: count(pair.first, 'siamfc_frames_total{outcome="dropped"}') == 2)
        for _ in range(4):
            await socket.receive()
    async with stream(pair.second, session, f"mode=latest&resume={token}:1") as socket:
        assert seqs((await socket.receive())["missed"]) == [("dropped", 1), ("dropped", 2), ("result", 3)]


async def test_maps_are_not_resent_but_refusals_are(pair: Pair) -> None:
    session = await pair.first.create()
    async with stream(pair.first, session, "map=1") as socket:
        token = (await socket.receive())["connection"]
        socket.say("set_target", id="off", box=[5000, 5000, 9, 9])
        fault = await ask(socket, blobs.frame(61, 50))
        result = await socket.receive()
        assert "response_map" in result["targets"][0]
    async with stream(pair.second, session, f"map=1&resume={token}:0") as socket:
        missed = (await socket.receive())["missed"]
        assert missed[0] == fault
        assert seqs(missed[1:]) == [("result", 0)]
        assert missed[1]["targets"][0].keys() == {"id", "box", "score", "status", "wants"}


async def test_a_session_that_another_has_held_since_cannot_be_resumed(pair: Pair) -> None:
    session = await pair.first.create()
    async with stream(pair.first, session) as socket:
        token = (await socket.receive())["connection"]
        await ask(socket, blobs.frame(61, 50))
    assert (await pair.second.post_frame(session["session_id"], blobs.frame(62, 50))).status_code == 200
    async with stream(pair.second, session, f"resume={token}:0") as socket:
        ready = await socket.receive()
        assert "missed" not in ready
        assert ready["frame_index"] == 2


async def test_a_malformed_resume_is_refused(pair: Pair) -> None:
    session = await pair.first.create()
    async with stream(pair.second, session, "resume=nonsense") as socket:
        assert (await socket.closed())[0] == 1008


async def test_a_session_deleted_on_one_replica_is_closed_on_the_other(pair: Pair) -> None:
    session = await pair.first.create()
    async with stream(pair.first, session) as socket:
        await socket.receive()
        response = await pair.second.client.delete(f"/v1/sessions/{session['session_id']}")
        assert response.status_code == 204
        assert (await socket.closed())[0] == 4410


async def test_a_stream_releases_its_lease_before_it_says_bye(pair: Pair) -> None:
    session = await pair.first.create()
    for service, word in ((pair.first, "end"), (pair.second, "end"), (pair.first, "drain")):
        async with connect(service.app, session["stream_url"]) as socket:
            assert (await socket.receive())["type"] == "ready"
            if word == "end":
                socket.say("end")
                assert await socket.receive() == {"type": "bye"}
            else:
                finishing = asyncio.create_task(service.components.drain.finish(20))
            code, _ = await socket.closed()
            assert code == (1000 if word == "end" else 1012)
            response = await pair.second.post_frame(session["session_id"], blobs.frame(61, 50))
            assert response.status_code == 200, "the lease outlived the farewell"
    await finishing


async def test_keys_are_the_same_everywhere(run_service: RunService, redis: RedisServer) -> None:
    async with (
        run_service(store=redis.url, api_keys="first,second") as one,
        run_service(store=redis.url, api_keys="first,second") as two,
    ):
        one.client.headers["Authorization"] = "Bearer first"
        session = await one.create()
        path = f"/v1/sessions/{session['session_id']}"
        for key, status in (("first", 200), ("second", 404)):
            response = await two.client.get(path, headers={"Authorization": f"Bearer {key}"})
            assert response.status_code == status
            async with stream(two, session, headers=[("Authorization", f"Bearer {key}")]) as socket:
                if status == 200:
                    await socket.receive()
                else:
                    assert (await socket.closed())[0] == 4404


async def test_while_redis_is_away(run_service: RunService, tmp_path: Path) -> None:
    with running_redis(tmp_path, durable=True) as redis:
        async with run_service(store=redis.url) as service:
            session = await service.create()
            async with stream(service, session) as socket:
                await socket.receive()
                assert (await ask(socket, blobs.frame(61, 50)))["frame_index"] == 1
                redis.kill()
                for seq in (1, 2):
                    answer = await ask(socket, blobs.frame(62, 50))
                    assert (answer["seq"], answer["problem"]["status"]) == (seq, 503)
                    assert answer["problem"]["type"] == "about:blank#store-unavailable"
                ready = await service.client.get("/readyz")
                assert (ready.status_code, "session store" in ready.json()["status"]) == (503, True)
                assert (await service.client.get("/healthz")).status_code == 200
                files = {"frame": ("f.png", blobs.frame(60, 50), "image/png")}
                refused = await service.client.post("/v1/sessions", files=files, data={"box": "60,50,16,16"})
                assert refused.status_code == 503
                assert "Retry-After" in refused.headers
                assert count(service, "siamfc_store_up") == 0
                redis.start()
                await eventually(lambda: service.components.leases.store.failure is None)
                answer = await ask(socket, blobs.frame(62, 50))
                assert (answer["type"], answer["seq"], answer["frame_index"]) == ("result", 3, 2)
                assert (await service.client.get("/readyz")).status_code == 200
            async with stream(service, session, f"resume={'x' * 9}:0") as socket:
                assert (await socket.receive())["frame_index"] == 2


async def test_frames_behind_one_that_could_not_be_stored_are_refused_until_their_sender_knows(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a client that sends the failed frame again would send it after later frames."""
    store = service.components.leases.store
    commit = store.commit

    async def away_once(*arguments: Any) -> Any:
        monkeypatch.setattr(store, "commit", commit)
        raise StoreUnavailable("away for a moment")

    async with stream(service, await service.create()) as socket:
        await socket.receive()
        monkeypatch.setattr(store, "commit", away_once)
        with service.predictor.held("respond") as begun:
            for k in range(4):
                socket.send_frame(blobs.frame(61 + k, 50))
            await reached(begun)
            await eventually(lambda: socket.received == 5)
        answers = [await socket.receive() for _ in range(4)]
        assert [answer["seq"] for answer in answers] == [0, 1, 2, 3]
        assert {answer["problem"]["type"] for answer in answers} == {"about:blank#store-unavailable"}
        # All frames are answered, so the client knows.
        assert (await ask(socket, blobs.frame(61, 50)))["frame_index"] == 1


async def test_a_client_that_never_waits_is_refused_only_until_it_can_know(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = service.components.leases.store
    commit, window = store.commit, service.components.settings.window

    async def away_once(*arguments: Any) -> Any:
        monkeypatch.setattr(store, "commit", commit)
        raise StoreUnavailable("away for a moment")

    async with stream(service, await service.create()) as socket:
        await socket.receive()
        monkeypatch.setattr(store, "commit", away_once)
        for k in range(window + 3):
            socket.send_frame(blobs.frame(61 + k, 50))
        answers = [await socket.receive() for _ in range(window + 3)]
        assert [answer["type"] for answer in answers] == ["error"] * window + ["result"] * 3
