"""A pass that hangs, a worker that dies: all who wait are answered, and the process ends so that another is started."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.integration import crowd, scene
from tests.integration.calls import Json, assert_problem_object, code_of
from tests.support.server import Server, start_server
from tests.support.waiting import eventually

EXIT_DEADLINE_S = 10.0
RESTARTING = 1012
STREAMS = 3

_LOST = """
import sys, threading
from service.engine.predictor import DevicePredictor

def hang():
    print("hanging", flush=True)
    threading.Event().wait()

def die():
    raise SystemExit

respond, calls = DevicePredictor.respond, []

def lose(self, slots, searches):
    calls.append(slots)
    if len(calls) > {after}:
        {how}()
    return respond(self, slots, searches)

DevicePredictor.respond = lose
from service.__main__ import main
sys.exit(main())
"""


def lost_server(log: Path, how: str, more: int, **settings: str) -> Server:
    """A server whose network answers the starts of the streams and `more` passes, and then hangs or dies."""
    return start_server(log, settings, ("-c", _LOST.format(how=how, after=STREAMS + more)))


async def follow(server: Server, session_id: str) -> tuple[list[Json], int]:
    """Keep the window full until the server closes; the answers, and the close code."""
    answers: list[Json] = []
    async with crowd.socket_of(server, session_id) as connection:
        window = (await crowd.receive(connection))["window"]
        try:
            for k in range(window):
                await connection.send(scene.frame(k))
            while True:
                answers.append(await crowd.receive(connection))
        except ConnectionClosed as closed:
            return answers, code_of(closed)


@pytest.mark.parametrize("how", ["hang", "die"])
def test_all_who_wait_are_answered_and_the_process_ends(tmp_path: Path, weights_file: Path, how: str) -> None:
    async def scenario(server: Server) -> tuple[list[tuple[list[Json], int]], int]:
        async with crowd.async_client(server) as http, asyncio.TaskGroup() as group:
            sessions = [await crowd.create(http, path) for path in range(STREAMS)]
            streams = [group.create_task(follow(server, session["session_id"])) for session in sessions]
            status = await asyncio.to_thread(server.wait, EXIT_DEADLINE_S)
        return [stream.result() for stream in streams], status

    server = lost_server(tmp_path / "lost.log", how, 2, WEIGHTS=str(weights_file), PASS_LIMIT_S="1")
    streams, status = asyncio.run(scenario(server))
    assert status == 1
    failed = [answer for answers, _ in streams for answer in answers if answer["type"] == "error"]
    assert failed
    for answer in failed:
        assert_problem_object(answer["problem"], 503, "model-unavailable")
    for answers, code in streams:
        assert [answer["seq"] for answer in answers] == list(range(len(answers)))
        assert code == RESTARTING
    assert "so that another is started" in server.printed()


def test_sigterm_ends_it_while_a_pass_hangs(tmp_path: Path, weights_file: Path) -> None:
    async def scenario(server: Server) -> list[httpx.Response]:
        async with crowd.async_client(server) as http, asyncio.TaskGroup() as group:
            sessions = [await crowd.create(http, path) for path in range(STREAMS)]
            paths = [f"/v1/sessions/{session['session_id']}/frames" for session in sessions]
            typed = {"Content-Type": "image/jpeg"}
            calls = [group.create_task(http.post(path, content=scene.frame(1), headers=typed)) for path in paths * 2]
            await eventually(lambda: "hanging" in server.printed())
            begun = time.monotonic()
            server.terminate()
            await asyncio.to_thread(server.wait, EXIT_DEADLINE_S)
            assert time.monotonic() - begun < EXIT_DEADLINE_S
        return [call.result() for call in calls]

    server = lost_server(tmp_path / "hang.log", "hang", 0, WEIGHTS=str(weights_file), PASS_LIMIT_S="600")
    assert {answer.status_code for answer in asyncio.run(scenario(server))} <= {200, 409, 500, 503}
