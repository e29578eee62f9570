"""Real replicas over a real Redis: one is killed, one is told to stop, and their clients do not notice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks._balancer import Balancer
from siamfc import Answer, AsyncClient, Client, Reconnect, Result, SessionBusy
from tests.integration import scene
from tests.integration.calls import create, eventually, post_frame, receive, receive_ready, stream
from tests.support.redis_server import RedisServer, running_redis
from tests.support.server import Server, running_server, start_server

# Three starts of a server: more than the suite gives a test on a machine that is busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FRAMES, CLIENTS = 24, 2
PATIENT = Reconnect(attempts=200, first_delay_s=0.05, max_delay_s=0.4)


@pytest.fixture(scope="module")
def settings(redis: RedisServer, weights_file: Path) -> dict[str, str]:
    """Settings of every replica."""
    return {"STORE": redis.url, "WEIGHTS": str(weights_file), "THREADS": "1"}


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Iterator[Server]:
    """The replica that nothing happens to."""
    with running_server(tmp_path_factory.mktemp("survivor") / "log", **settings) as server:
        yield server


def port_of(server: Server) -> int:
    return httpx.URL(server.url).port or 0


async def follow(url: str, path: int, half_way: asyncio.Event | None = None) -> list[Answer]:
    """A client's answers to a whole scene; `half_way` is set in the middle of it."""
    answers: list[Answer] = []
    async with AsyncClient(url, reconnect=PATIENT) as client:
        session = await client.start(scene.frame(0, path), scene.truth(0, path))
        async for answer in session.stream([scene.frame(k, path) for k in range(1, FRAMES)]):
            answers.append(answer)
            if half_way is not None and len(answers) == FRAMES // 2:
                half_way.set()
        await session.close()
        await client.session(session.id)
    return answers


def check(answers: list[Answer], undisturbed: list[Answer]) -> None:
    """Every frame answered once, counted once, and where it would have been."""
    assert [answer.seq for answer in answers] == list(range(FRAMES - 1))
    for answer, other in zip(answers, undisturbed, strict=True):
        assert isinstance(answer, Result)
        assert isinstance(other, Result)
        assert answer.frame_index == answer.seq + 1
        assert answer.box == pytest.approx(other.box, abs=0.5)


async def disturbed(survivor: Server, victim: Server, disturb: str) -> list[list[Answer]]:
    half_way = asyncio.Event()
    # All begin on the victim: the survivor joins the balancer when they are half way.
    async with Balancer([port_of(victim)]).running() as balancer, asyncio.TaskGroup() as group:
        clients = [group.create_task(follow(balancer.url, path, half_way)) for path in range(CLIENTS)]
        await half_way.wait()
        balancer.ports.append(port_of(survivor))
        if disturb == "kill":
            victim.process.kill()
        else:
            victim.terminate()
    assert sum(passage.port == port_of(survivor) and bool(passage.session_id) for passage in balancer.passages)
    return [client.result() for client in clients]


@pytest.mark.parametrize("disturb", ["kill", "terminate"])
def test_streams_outlive_their_replica(
    tmp_path: Path, settings: dict[str, str], survivor: Server, disturb: str
) -> None:
    victim = start_server(tmp_path / "victim.log", settings)
    try:
        with httpx.Client(base_url=victim.url, timeout=30, trust_env=False) as client:
            waiting = create(client)["session_id"]
        # Someone else's session on the victim, held by a stream that says nothing.
        with stream(victim, waiting) as connection, Client(survivor.url) as there:
            receive_ready(connection)
            held = there.session(waiting)
            with pytest.raises(SessionBusy):
                held.update(scene.frame(1))
            followed = asyncio.run(disturbed(survivor, victim, disturb))
            begun = time.monotonic()
            with httpx.Client(base_url=survivor.url, timeout=30, trust_env=False) as client:
                eventually(lambda: post_frame(client, waiting, scene.frame(1)).status_code, lambda code: code == 200)
            assert time.monotonic() - begun < 3, "a dead owner's lease did not lapse"
        if disturb == "terminate":
            assert victim.wait() == 0
    finally:
        victim.process.kill()
        victim.process.wait()

    async def calm() -> list[list[Answer]]:
        return [await follow(survivor.url, path) for path in range(CLIENTS)]

    for answers, undisturbed in zip(followed, asyncio.run(calm()), strict=True):
        check(answers, undisturbed)


def test_redis_comes_and_goes(tmp_path: Path, weights_file: Path) -> None:
    """A server loses Redis in mid-stream, says so, and goes on when it is back."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with running_redis(folder, durable=True) as redis:
        server_settings = {"STORE": redis.url, "WEIGHTS": str(weights_file), "THREADS": "1"}
        with (
            running_server(tmp_path / "log", **server_settings) as server,
            httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client,
        ):
            session_id = create(client)["session_id"]
            with stream(server, session_id) as connection:
                receive_ready(connection)
                connection.send(scene.frame(1))
                assert receive(connection)["frame_index"] == 1
                redis.kill()
                connection.send(scene.frame(2))
                assert receive(connection)["problem"]["type"] == "about:blank#store-unavailable"
                assert client.get("/readyz").status_code == 503
                redis.start()
                eventually(lambda: client.get("/readyz").status_code, lambda code: code == 200)
                connection.send(scene.frame(2))
                assert receive(connection)["frame_index"] == 2
