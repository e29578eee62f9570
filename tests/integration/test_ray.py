"""Two replicas under Ray Serve and one Redis: any replica serves any session, and one may die in mid-stream."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from siamfc import Answer, Client, Reconnect, Result, Session
from tests.integration import crowd, scene
from tests.integration.calls import Json, assert_problem, code_of, eventually, http_client
from tests.support.ray_serve import START_DEADLINE_S, RayServer, running_on_ray
from tests.support.redis_server import running_redis

pytest.importorskip("ray.serve", reason="Ray is not installed (the extra `ray`)", exc_type=ImportError)
pytest.importorskip("redis", reason="redis is not installed (the extra `redis`)", exc_type=ImportError)

# Ray alone takes half a minute to start on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

REPLICAS = 2
STOP_S = 60.0


@dataclass(frozen=True)
class Watched(Reconnect):
    """The usual policy; `tries` has the delay before each attempt."""

    tries: list[float] = field(default_factory=list)

    def delays(self, **chance_and_clock: Any) -> Iterator[float]:
        for delay in super().delays(**chance_and_clock):
            self.tries.append(delay)
            yield delay


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Json]:
    """Two replicas, and the store that they share."""
    with running_redis(tmp_path_factory.mktemp("redis")) as redis:
        yield {"store": redis.url, "min_replicas": REPLICAS, "max_replicas": REPLICAS}


@pytest.fixture(scope="module")
def settings(weights_file: Path) -> dict[str, str]:
    """Settings from the environment."""
    return {"WEIGHTS": str(weights_file), "MAX_FRAME_BYTES": "100000"}


@pytest.fixture(scope="module")
def on_ray(tmp_path_factory: pytest.TempPathFactory, arguments: Json, settings: dict[str, str]) -> Iterator[RayServer]:
    """The service on a cluster of its own."""
    # Ray puts sockets there, whose paths may have 107 bytes.
    with (
        tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as short,
        running_on_ray(tmp_path_factory.mktemp("ray"), arguments, settings, Path(short)) as server,
    ):
        yield server


def test_every_session_is_everybodys(on_ray: RayServer) -> None:
    """One replica starts a session and another continues it: Serve spreads six streams as it likes."""

    async def scenario() -> list[list[Json]]:
        async with crowd.async_client(on_ray) as http:
            sessions = [(await crowd.create(http, path))["session_id"] for path in range(6)]
            frames = [[scene.frame(k, path) for k in range(1, 9)] for path in range(6)]
            streams = [crowd.follow(on_ray, *pair) for pair in zip(sessions, frames, strict=True)]
            answers = await asyncio.gather(*streams)
            states = [(await http.get(f"/v1/sessions/{session}")).json() for session in sessions]
            assert [state["frame_index"] for state in states] == [8] * 6
            return answers

    assert len(on_ray.replicas()) == REPLICAS
    for path, answers in enumerate(asyncio.run(scenario())):
        assert [(answer["type"], answer["seq"]) for answer in answers] == [("result", k) for k in range(8)]
        assert scene.overlap(answers[-1]["targets"][0]["box"], scene.truth(8, path)) > 0.3


def test_refusals_are_the_applications_own(on_ray: RayServer) -> None:
    with http_client(on_ray) as client:
        assert_problem(client.get("/v1/sessions/none"), 404, "session-not-found")
        assert_problem(client.get("/nowhere"), 404, "not-found")


def test_a_frame_over_the_limit_closes_with_1009(on_ray: RayServer) -> None:
    """Serve's proxy takes up to 16 MiB; the limit is the application's."""

    async def scenario() -> int:
        async with crowd.async_client(on_ray) as http:
            session = await crowd.create(http, 0)
        async with crowd.socket_of(on_ray, session["session_id"]) as connection:
            assert (await crowd.receive(connection))["type"] == "ready"
            await connection.send(b"x" * 100_001)
            with pytest.raises(ConnectionClosed) as closed:
                await crowd.receive(connection)
        return code_of(closed.value)

    assert asyncio.run(scenario()) == 1009


def following(session: Session, path: int, enough: threading.Event, more: int) -> tuple[threading.Thread, list[Answer]]:
    """A thread that streams until `enough`, and then `more` frames; its answers as they come."""
    answers: list[Answer] = []

    def frames() -> Iterator[bytes]:
        count = itertools.count(1)
        for k in count:
            yield scene.frame(k % 50, path)
            if enough.is_set():
                break
        for k in itertools.islice(count, more):
            yield scene.frame(k % 50, path)

    thread = threading.Thread(target=lambda: answers.extend(session.stream(frames())))
    thread.start()
    return thread, answers


def assert_each_frame_once(session: Session, thread: threading.Thread, answers: list[Answer], at_least: int) -> None:
    """The stream has ended well: one result a frame, in order, each counted once."""
    thread.join(STOP_S)
    assert not thread.is_alive()
    assert len(answers) > at_least
    assert [answer.seq for answer in answers] == list(range(len(answers)))
    counted = [answer.frame_index for answer in answers if isinstance(answer, Result)]
    assert counted == list(range(1, len(answers) + 1))
    assert session.state().frame_index == len(answers)


def test_a_replica_killed_in_mid_stream_costs_no_frame(on_ray: RayServer) -> None:
    more, path, enough, policy = 30, 1, threading.Event(), Watched()
    with (
        Client(on_ray.url, reconnect=policy) as client,
        client.start(scene.frame(0, path), scene.truth(0, path)) as session,
    ):
        thread, answers = following(session, path, enough, more)
        driver = on_ray.busiest()
        answered = len(answers)
        os.kill(driver, signal.SIGKILL)
        enough.set()
        assert_each_frame_once(session, thread, answers, answered + more)
        assert answered
        assert policy.tries, "another replica than the stream's was killed"
    # Serve starts another in its place.
    eventually(lambda: set(on_ray.replicas()) - {driver}, lambda living: len(living) == REPLICAS, START_DEADLINE_S)


def test_an_update_drains_every_replica(on_ray: RayServer, arguments: Json, settings: dict[str, str]) -> None:
    """Streams end with 1012 after their last answer, and go on where the next replica is."""

    async def until_closed(session_id: str) -> tuple[list[Json], int]:
        answers: list[Json] = []
        async with crowd.socket_of(on_ray, session_id) as connection:
            await crowd.receive(connection)
            try:
                for k in itertools.count(1):
                    await connection.send(scene.frame(k % 50, 2))
                    answers.append(await crowd.receive(connection))
            except ConnectionClosed as closed:
                code = code_of(closed)
            # A send that found the connection closed leaves answers to be read.
            with suppress(ConnectionClosed):
                while True:
                    answers.append(await crowd.receive(connection))
        return answers, code

    async def scenario() -> tuple[list[Json], int]:
        async with crowd.async_client(on_ray) as http:
            session = await crowd.create(http, 2)
        stream = asyncio.create_task(until_closed(session["session_id"]))
        await asyncio.to_thread(on_ray.update, fewer, settings)
        return await stream

    path, enough, policy = 3, threading.Event(), Watched()
    fewer = arguments | {"min_replicas": 1, "max_replicas": 1, "window": 3}
    before = set(on_ray.replicas())
    with (
        Client(on_ray.url, reconnect=policy) as client,
        client.start(scene.frame(0, path), scene.truth(0, path)) as session,
    ):
        thread, followed = following(session, path, enough, 10)
        answers, code = asyncio.run(scenario())
        enough.set()
        assert_each_frame_once(session, thread, followed, 10)
    assert policy.tries
    eventually(lambda: set(on_ray.replicas()), lambda living: len(living) == 1 and not living & before)
    assert code == 1012
    assert [(answer["type"], answer["seq"]) for answer in answers] == [("result", k) for k in range(len(answers))]


def test_interrupted_it_ends(on_ray: RayServer) -> None:
    """The last test of the module: it ends the cluster."""
    on_ray.interrupt()
    assert on_ray.wait(STOP_S) == 0
    assert "Traceback" not in on_ray.printed(), on_ray.printed()
