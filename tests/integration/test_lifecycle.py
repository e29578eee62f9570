"""Sessions made, streamed, cut off, ended and left to expire by many hands at once: nothing leaks, nothing mixes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from tests.integration import crowd, scene
from tests.integration.calls import Json, assert_problem, code_of, eventually, metric, post_frame
from tests.integration.calls import create as create_session
from tests.support.server import Server

PLACES = 3
"""Sessions that the hands share."""
Deed = Literal["create", "create-brief", "stream", "cut", "post", "put", "remove", "delete"]
DEEDS: tuple[Deed, ...] = ("create", "create-brief", "stream", "cut", "post", "put", "remove", "delete")
REFUSED = {404, 409, 410}
CLOSED = {1000, 4404, 4409, 4410}
BRIEF_TTL_S = 0.15


@dataclass
class Shared:
    """State shared by the threads: a session (or none) at each place, and a running number for names."""

    server: Server
    http: httpx.AsyncClient
    places: list[tuple[str, int] | None] = field(default_factory=lambda: [None] * PLACES)
    made: list[str] = field(default_factory=list)

    async def perform(self, deed: Deed, place: int) -> None:
        """One deed on the session at that place."""
        if deed in ("create", "create-brief"):
            path = len(self.made)
            self.made.append("")
            session = await crowd.create(self.http, path, **({"ttl_s": BRIEF_TTL_S} if deed == "create-brief" else {}))
            self.made[path] = session["session_id"]
            self.places[place] = (session["session_id"], path)
            return
        held = self.places[place]
        if held is None:
            return
        session_id, path = held
        if deed in ("stream", "cut"):
            await self.stream(session_id, path, cut=deed == "cut")
        else:
            await self.call(deed, session_id, path)

    async def call(self, deed: Deed, session_id: str, path: int) -> None:
        """One HTTP call; it does what it should or is refused."""
        url = f"/v1/sessions/{session_id}"
        extra = f"patch-{path}-more"
        if deed == "post":
            headers = {"Content-Type": "image/jpeg"}
            response = await self.http.post(f"{url}/frames", content=scene.frame(1, path), headers=headers)
        elif deed == "put":
            body = {"frame": scene.base64_frame(1, path), "box": scene.truth(1, path)}
            response = await self.http.put(f"{url}/targets/{extra}", json=body)
        elif deed == "remove":
            response = await self.http.delete(f"{url}/targets/{extra}")
        else:
            response = await self.http.delete(url)
        assert response.status_code in {200, 204} | REFUSED, response.text
        if response.status_code == 200:
            self.check(response.json(), path)

    async def stream(self, session_id: str, path: int, *, cut: bool) -> None:
        """A few frames over a socket; answered, or the socket says why not."""
        connection = await crowd.socket_of(self.server, session_id)
        try:
            ready = await crowd.receive(connection)
            assert ready["session_id"] == session_id
            for k in (1, 2, 3):
                await connection.send(scene.frame(k, path))
            if cut:
                connection.transport.abort()
                return
            for seq in range(3):
                answer = await crowd.receive(connection)
                assert answer["seq"] == seq
                assert answer["type"] in ("result", "error")
                if answer["type"] == "result":
                    self.check(answer, path)
        except ConnectionClosed as closed:
            code = code_of(closed)
            assert code in CLOSED, code
        finally:
            await connection.close()

    def check(self, answer: Json, path: int) -> None:
        """The answer is about this session and no other."""
        names = {target["id"] for target in answer["targets"]}
        assert names <= {f"patch-{path}", f"patch-{path}-more"}, (names, path)


async def run(server: Server, hands: list[list[tuple[Deed, int]]]) -> None:
    async with crowd.async_client(server) as http:
        shared = Shared(server, http)

        async def work(deeds: list[tuple[Deed, int]]) -> None:
            for deed, place in deeds:
                await shared.perform(deed, place)

        async with asyncio.TaskGroup() as group:
            for deeds in hands:
                group.create_task(work(deeds))
        for session_id in shared.made:
            response = await http.delete(f"/v1/sessions/{session_id}")
            assert response.status_code in (204, 404, 410), response.text


deeds = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, PLACES - 1)), min_size=1, max_size=5)


@pytest.mark.slow
@given(st.lists(deeds, min_size=2, max_size=4))
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_hands(server: Server, client: httpx.Client, hands: list[list[tuple[Deed, int]]]) -> None:
    everyone_creates: list[tuple[Deed, int]] = [("create", place) for place in range(PLACES)]
    asyncio.run(run(server, [everyone_creates, *hands]))
    for name in ("siamfc_slots_used", "siamfc_sessions_active", "siamfc_streams"):
        eventually(partial(metric, client, name), lambda value: value == 0)


def test_an_idle_session_expires_and_gives_its_slot_back(client: httpx.Client) -> None:
    before = metric(client, "siamfc_slots_used")
    session_id = create_session(client, ttl_s=BRIEF_TTL_S)["session_id"]
    gone = eventually(lambda: client.get(f"/v1/sessions/{session_id}"), lambda response: response.status_code != 200)
    assert gone.status_code in (404, 410)
    assert_problem(gone, gone.status_code)
    refused = post_frame(client, session_id, scene.frame(1))
    assert refused.status_code in (404, 410)
    eventually(lambda: metric(client, "siamfc_slots_used"), lambda used: used == before)


def test_expiry_needs_no_visitor(client: httpx.Client) -> None:
    before = metric(client, "siamfc_slots_used")
    create_session(client, ttl_s=BRIEF_TTL_S)
    eventually(lambda: metric(client, "siamfc_slots_used"), lambda used: used == before)
