"""SIGTERM under load: what was accepted is answered, sockets are closed with a reason, the process ends well."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.integration import crowd, scene
from tests.integration.calls import Json, code_of, http_client
from tests.support.server import Server, running_server, start_server
from tests.support.waiting import eventually

CLIENTS = 6
EXIT_DEADLINE_S = 10.0
GOING_AWAY = (1001, 1012)


async def stream_until_closed(server: Server, session_id: str, loaded: asyncio.Barrier) -> tuple[int, list[Json], int]:
    """Keeps the window full until the server closes.

    Returns how many frames the server is known to have accepted before the signal, the answers and the close code.
    """
    answers: list[Json] = []
    async with crowd.socket_of(server, session_id) as connection:
        accepted = (await crowd.receive(connection))["window"] - 1
        for k in range(1, accepted + 1):
            await connection.send(scene.frame(k))
        # The complaint about this text says that everything before it has been read.
        await connection.send("?")
        while (message := await crowd.receive(connection)).get("seq") is not None:
            answers.append(message)
        await loaded.wait()
        try:
            for k in range(accepted + 1, 10_000):
                await connection.send(scene.frame(k % 50))
                answers.append(await crowd.receive(connection))
        except ConnectionClosed as closed:
            code = code_of(closed)
        # A send that found the connection closed leaves answers to be read.
        with suppress(ConnectionClosed):
            while True:
                answers.append(await crowd.receive(connection))
    return accepted, answers, code


@pytest.mark.slow
def test_sigterm_under_load(tmp_path: Path, weights_file: Path) -> None:
    async def scenario(server: Server) -> list[tuple[int, list[Json], int]]:
        loaded = asyncio.Barrier(CLIENTS + 1)
        async with crowd.async_client(server) as http, asyncio.TaskGroup() as group:
            sessions = [await crowd.create(http, path) for path in range(CLIENTS)]
            streams = [
                group.create_task(stream_until_closed(server, session["session_id"], loaded)) for session in sessions
            ]
            await loaded.wait()
            server.terminate()
        return [stream.result() for stream in streams]

    with running_server(tmp_path / "drain.log", WEIGHTS=str(weights_file)) as server:
        for accepted, answers, code in asyncio.run(scenario(server)):
            assert [answer["seq"] for answer in answers] == list(range(len(answers)))
            assert len(answers) >= accepted
            assert {answer["type"] for answer in answers} == {"result"}
            assert code in GOING_AWAY
        assert server.wait(EXIT_DEADLINE_S) == 0


_ENDLESS = """
import sys, threading
from service.sessions import tracking

def endless(*_):
    print("decoding", flush=True)
    threading.Event().wait()

tracking.decode_frame = endless
from service.__main__ import main
sys.exit(main())
"""


@pytest.mark.slow
def test_sigterm_while_a_frame_is_decoded_without_end(tmp_path: Path, weights_file: Path) -> None:
    async def scenario(server: Server) -> tuple[int, list[httpx.Response]]:
        async with crowd.async_client(server) as http, asyncio.TaskGroup() as group:
            body = {"frame": scene.base64_frame(0, 0), "box": scene.truth(0, 0)}
            calls = [group.create_task(http.post("/v1/sessions", json=body)) for _ in range(CLIENTS)]
            await eventually(lambda: "decoding" in server.printed())
            server.terminate()
            status = await asyncio.to_thread(server.wait, EXIT_DEADLINE_S)
        return status, [call.result() for call in calls]

    server = start_server(tmp_path / "endless.log", {"WEIGHTS": str(weights_file)}, ("-c", _ENDLESS))
    status, answers = asyncio.run(scenario(server))
    assert status == 0
    assert [answer.status_code for answer in answers] == [503] * CLIENTS
    assert {answer.json()["type"] for answer in answers} == {"about:blank#shutting-down"}
    assert "Traceback" not in server.printed(), server.printed()


def test_sigterm_when_idle(tmp_path: Path, weights_file: Path) -> None:
    with running_server(tmp_path / "idle.log", WEIGHTS=str(weights_file)) as server, http_client(server) as client:
        # The connection stays open: it must not hold the server up.
        assert client.get("/healthz").status_code == 200
        server.terminate()
        assert server.wait(EXIT_DEADLINE_S) == 0
