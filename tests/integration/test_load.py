"""Many streams at once give what each would give alone, and leave nothing behind."""

from __future__ import annotations

import asyncio

import httpx
import numpy as np
import pytest

from tests.integration import crowd, scene
from tests.integration.calls import Json, eventually, metric
from tests.support.server import Server

SESSIONS = 32
FRAMES = 15
ALONE = range(0, SESSIONS, 8)
"""The sessions that are streamed once more, one after the other."""
USUAL_PX, TOLERANCE_PX = 0.1, 1.0
"""Half of all coordinates, and every one, differ by less: passes of other sizes round otherwise, and a difference goes
on into the next frame's search region."""


def frames_of(path: int) -> list[bytes]:
    return [scene.frame(k, path) for k in range(1, FRAMES + 1)]


def boxes(answers: list[Json]) -> np.ndarray:
    return np.array([answer["targets"][0]["box"] for answer in answers])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_crowd_gets_what_each_would_get_alone(server: Server, client: httpx.Client) -> None:
    async def together() -> tuple[list[list[Json]], dict[int, list[Json]]]:
        async with crowd.async_client(server) as http:
            sessions = await asyncio.gather(*(crowd.create(http, path) for path in range(SESSIONS)))
            assert metric(client, "siamfc_slots_used") == SESSIONS
            everyone = await asyncio.gather(
                *(crowd.follow(server, session["session_id"], frames_of(path)) for path, session in enumerate(sessions))
            )
            alone = {}
            # On few cores the crowd is an overload, during which no session may begin.
            assert eventually(lambda: metric(client, "siamfc_overloaded"), lambda refusing: refusing == 0) == 0
            for path in ALONE:
                again = await crowd.create(http, path)
                alone[path] = await crowd.follow(server, again["session_id"], frames_of(path))
                sessions.append(again)
            for session in sessions:
                assert (await http.delete(f"/v1/sessions/{session['session_id']}")).status_code == 204
        return everyone, alone

    everyone, alone = asyncio.run(together())
    for path, answers in enumerate(everyone):
        assert [answer["type"] for answer in answers] == ["result"] * FRAMES
        assert [answer["seq"] for answer in answers] == list(range(FRAMES))
        assert [answer["frame_index"] for answer in answers] == list(range(1, FRAMES + 1))
        assert all([target["id"] for target in answer["targets"]] == [f"patch-{path}"] for answer in answers)
    for path, answers in alone.items():
        apart = np.abs(boxes(everyone[path]) - boxes(answers))
        assert np.median(apart) <= USUAL_PX
        assert apart.max() <= TOLERANCE_PX
    assert eventually(lambda: metric(client, "siamfc_slots_used"), lambda used: used == 0) == 0
    assert metric(client, "siamfc_sessions_active") == 0
    assert metric(client, "siamfc_streams") == 0
