"""Many clients at once, as asyncio coroutines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.integration import scene
from tests.integration.calls import ANSWER_S, PROTOCOL, Json
from tests.support.server import Server


def async_client(server: Server) -> httpx.AsyncClient:
    """An HTTP client of that server, with room for a crowd."""
    limits = httpx.Limits(max_connections=64)
    return httpx.AsyncClient(base_url=server.url, timeout=2 * ANSWER_S, trust_env=False, limits=limits)


def socket_of(server: Server, session_id: str, query: str = "") -> connect:
    """A socket of the session, to be awaited or entered."""
    return connect(
        f"{server.socket_url}/v1/sessions/{session_id}/stream{query}",
        subprotocols=[Subprotocol(PROTOCOL)],
        proxy=None,
        open_timeout=ANSWER_S,
        close_timeout=ANSWER_S,
    )


async def create(client: httpx.AsyncClient, path: int, **body: Any) -> Json:
    """A session that follows the patch on its way number `path`."""
    targets = [{"id": f"patch-{path}", "box": scene.truth(0, path)}]
    request = {"frame": scene.base64_frame(0, path), "targets": targets, **body}
    response = await client.post("/v1/sessions", json=request)
    assert response.status_code == 201, response.text
    session: Json = response.json()
    return session


async def receive(connection: ClientConnection) -> Json:
    """The next message."""
    async with asyncio.timeout(4 * ANSWER_S):
        message: Json = json.loads(await connection.recv())
    return message


async def follow(server: Server, session_id: str, frames: Iterable[bytes]) -> list[Json]:
    """Stream frames in `every` mode, the window always full; their answers."""
    bodies = list(frames)
    async with socket_of(server, session_id) as connection:
        window = (await receive(connection))["window"]
        answers: list[Json] = []
        for sent, body in enumerate(bodies):
            if sent - len(answers) == window:
                answers.append(await receive(connection))
            await connection.send(body)
        while len(answers) < len(bodies):
            answers.append(await receive(connection))
    return answers
