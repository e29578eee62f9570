"""Several worker processes on one port over a real Redis: sessions are everybody's, and a killed worker is replaced."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks._server import START_DEADLINE_S
from siamfc import Answer, AsyncClient, Reconnect, Result
from tests.integration import scene
from tests.integration.calls import create, eventually, http_client, post_frame
from tests.support.redis_server import RedisServer
from tests.support.server import Server, running_server, start_server

# Two workers start one after the other: more than the suite gives a test on a machine that is busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FRAMES = 24
PATIENT = Reconnect(attempts=200, first_delay_s=0.05, max_delay_s=0.4)


@pytest.fixture(scope="module")
def settings(redis: RedisServer, weights_file: Path) -> dict[str, str]:
    return {"STORE": redis.url, "WEIGHTS": str(weights_file), "WORKERS": "2"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Iterator[Server]:
    """Both workers are ready. At the end SIGTERM must end them all, with status 0."""
    with running_server(tmp_path_factory.mktemp("workers") / "log", **settings) as made:
        eventually(lambda: up(made), lambda found: found == [1, 1], START_DEADLINE_S)
        yield made


def by_worker(server: Server, name: str) -> list[float]:
    """The values of a metric, in the order of the workers. A connection of its own may reach either."""
    with http_client(server) as client:
        text = client.get("/metrics").text
    return [float(value) for value in re.findall(rf'^{name}{{worker="\d"}} (\S+)$', text, re.MULTILINE)]


def up(server: Server) -> list[float]:
    return by_worker(server, "siamfc_worker_up")


def processes(server: Server) -> dict[int, int]:
    """The workers' processes by number, the latest of each."""
    return {int(number): int(pid) for number, pid in re.findall(r"worker (\d) of 2 is process (\d+)", server.printed())}


def test_any_worker_serves_any_session(server: Server) -> None:
    with http_client(server) as client:
        made = [create(client)["session_id"] for _ in range(2)]
    before = by_worker(server, "siamfc_sessions_created_total")
    assert sum(before) >= 2
    for session_id in made:
        for k in range(1, 9):
            # A new connection each time, so that it comes to either worker.
            with http_client(server) as client:
                answer = post_frame(client, session_id, scene.frame(k))
            assert answer.status_code == 200
            assert answer.json()["frame_index"] == k
            assert scene.overlap(answer.json()["targets"][0]["box"], scene.truth(k)) > 0.5


def test_metrics_are_told_by_worker(server: Server) -> None:
    assert up(server) == [1, 1]
    assert by_worker(server, "siamfc_ready") == [1, 1]
    assert len(processes(server)) == 2


async def follow(url: str, half_way: asyncio.Event | None = None) -> list[Answer]:
    answers: list[Answer] = []
    async with (
        AsyncClient(url, reconnect=PATIENT) as client,
        await client.start(scene.frame(0), scene.truth(0)) as session,
    ):
        async for answer in session.stream([scene.frame(k) for k in range(1, FRAMES)]):
            answers.append(answer)
            if half_way is not None and len(answers) == FRAMES // 2:
                half_way.set()
    return answers


async def killed_half_way(server: Server) -> list[Answer]:
    """The answers of a stream whose worker is killed in its middle."""
    half_way = asyncio.Event()
    following = asyncio.create_task(follow(server.url, half_way))
    await half_way.wait()
    driven = await asyncio.to_thread(by_worker, server, "siamfc_streams")
    # The stream may have ended meanwhile, on a machine where this thread waits long: any worker then does.
    victim = driven.index(1) if 1 in driven else 0
    os.kill(processes(server)[victim], signal.SIGKILL)
    return await following


def test_a_killed_worker_is_replaced_and_its_streams_go_on(server: Server) -> None:
    before = processes(server)
    found, undisturbed = asyncio.run(killed_half_way(server)), asyncio.run(follow(server.url))
    assert [answer.seq for answer in found] == list(range(FRAMES - 1))
    for answer, other in zip(found, undisturbed, strict=True):
        assert isinstance(answer, Result)
        assert isinstance(other, Result)
        assert answer.frame_index == answer.seq + 1
        assert answer.box == pytest.approx(other.box, abs=0.5)
    eventually(lambda: up(server), lambda seen: seen == [1, 1], START_DEADLINE_S)
    eventually(lambda: processes(server), lambda seen: seen != before)
    assert "ended with status -9; another takes its place" in server.printed()


def refuses(server: Server) -> bool:
    try:
        httpx.get(f"{server.url}/healthz", trust_env=False)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        # Accepted by a worker that was about to end.
        pass
    return False


def test_workers_end_when_the_process_that_started_them_is_killed(tmp_path: Path, settings: dict[str, str]) -> None:
    server = start_server(tmp_path / "log", settings)
    server.process.kill()
    server.process.wait()
    eventually(lambda: refuses(server), bool, 60)
    assert "the process that started this worker has gone" in server.printed()


def test_weights_that_cannot_be_used_end_all_with_2(tmp_path: Path, settings: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match="ended with status 2 at start"):
        start_server(tmp_path / "log", settings | {"WEIGHTS": str(tmp_path / "missing.safetensors")})
    printed = (tmp_path / "log").read_text()
    assert printed.count("missing.safetensors") == 1
    assert "Traceback" not in printed
