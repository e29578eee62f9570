"""Sessions over HTTP, through the whole application around a fake predictor."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.service.conftest import Running, RunService
from tests.support import blobs
from tests.support.waiting import eventually, reached

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


def slug(response: Any) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    kind: str = body["type"].removeprefix("about:blank#")
    return kind


def form(x: float, y: float) -> dict[str, Any]:
    return {
        "files": {"frame": ("f.png", blobs.frame(x, y), "image/png")},
        "data": {"box": ",".join(map(str, blobs.box(x, y)))},
    }


async def test_the_life_of_a_session(service: Running) -> None:
    response = await service.client.post("/v1/sessions", **form(60, 50))
    session = response.json()
    path = f"/v1/sessions/{session['session_id']}"
    assert (response.status_code, response.headers["location"]) == (201, path)
    assert session["targets"] == [
        {"id": "0", "box": [60, 50, 16, 16], "score": 1, "status": "tracking", "wants": [28, 18, 80, 80]}
    ]
    assert (session["frame_index"], session["frame_size"]) == (0, [160, 120])
    assert (await service.client.get(path)).json() == session

    result = (await service.post_frame(session["session_id"], blobs.frame(63, 52))).json()
    assert result["frame_index"] == 1
    assert result["targets"][0]["box"] == pytest.approx([63, 52, 16, 16], abs=1)
    assert all(result["timing_ms"][name] >= 0 for name in ("decode", "queue", "infer", "total"))
    assert (await service.client.get(path)).json()["targets"] == result["targets"]

    put = await service.client.put(f"{path}/targets/cat", **form(20, 30))
    assert (put.status_code, put.json()["frame_index"]) == (200, 1)
    assert [target["id"] for target in put.json()["targets"]] == ["0", "cat"]
    assert (await service.client.delete(f"{path}/targets/0")).status_code == 204
    assert [target["id"] for target in (await service.client.get(path)).json()["targets"]] == ["cat"]

    assert (await service.client.delete(path)).status_code == 204
    assert service.components.tracking.registry.__len__() == 0
    assert slug(await service.client.get(path)) == "session-not-found"
    assert slug(await service.client.delete(path)) == "session-not-found"


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("DELETE", ""), ("POST", "/frames"), ("PUT", "/targets/0"), ("DELETE", "/targets/0")],
)
async def test_no_such_session(service: Running, method: str, suffix: str) -> None:
    response = await service.client.request(method, f"/v1/sessions/nope{suffix}")
    assert (response.status_code, slug(response)) == (404, "session-not-found")


async def test_no_such_target(service: Running) -> None:
    session = await service.create()
    response = await service.client.delete(f"/v1/sessions/{session['session_id']}/targets/cat")
    assert (response.status_code, slug(response)) == (404, "target-not-found")


async def test_refusals_say_where_and_change_nothing(service: Running) -> None:
    session = await service.create()
    path = f"/v1/sessions/{session['session_id']}"
    body = json.dumps({"frame": "", "targets": [{"box": [0, 0, 1, 1]}, {"box": [0, 0, 0, 1]}]})
    response = await service.client.post("/v1/sessions", content=body, headers=JSON)
    assert (response.status_code, slug(response)) == (422, "invalid-box")
    assert response.json()["errors"][0]["pointer"] == "/targets/1/box"

    cases = [
        (await service.post_frame(session["session_id"], b"hello"), 422, "invalid-image"),
        (await service.post_frame(session["session_id"], blobs.frame(0, 0, 160, 119)), 409, "frame-size-changed"),
        (await service.post_frame(session["session_id"], blobs.frame(0, 0, 400, 400)), 422, "image-too-large"),
        (await service.post_frame(session["session_id"], bytes(60_000)), 413, "payload-too-large"),
        (await service.client.post(f"{path}/frames", content=b"", headers=JSON), 415, "unsupported-media"),
        (await service.client.put(f"{path}/targets/0", content=b"{}", headers=JSON), 422, "invalid-request"),
    ]
    for response, status, name in cases:
        assert (response.status_code, slug(response)) == (status, name)
    assert (await service.client.get(path)).json() == session


async def test_full(service: Running) -> None:
    sessions = [await service.create() for _ in range(4)]
    response = await service.client.post("/v1/sessions", **form(60, 50))
    assert (response.status_code, slug(response)) == (503, "at-capacity")
    assert int(response.headers["retry-after"]) >= 1
    await service.client.delete(f"/v1/sessions/{sessions[0]['session_id']}")
    await service.create()


async def test_a_second_call_on_the_session_is_refused(service: Running) -> None:
    session = await service.create()
    path = f"/v1/sessions/{session['session_id']}"
    with service.predictor.held("respond") as begun:
        first = asyncio.create_task(service.post_frame(session["session_id"], blobs.frame(61, 50)))
        await reached(begun)
        refused = [
            await service.post_frame(session["session_id"], blobs.frame(62, 50)),
            await service.client.put(f"{path}/targets/0", **form(62, 50)),
            await service.client.delete(f"{path}/targets/0"),
        ]
        assert (await service.client.get(path)).json() == session
    for response in refused:
        assert (response.status_code, slug(response)) == (409, "session-busy")
    assert (await first).json()["frame_index"] == 1


async def test_deleting_a_session_ends_the_call_under_way(service: Running) -> None:
    session = await service.create()
    with service.predictor.held("respond") as begun:
        frame = asyncio.create_task(service.post_frame(session["session_id"], blobs.frame(61, 50)))
        await reached(begun)
        assert (await service.client.delete(f"/v1/sessions/{session['session_id']}")).status_code == 204
    response = await frame
    assert (response.status_code, slug(response)) == (410, "session-ended")


async def test_a_failing_model_is_503_and_the_session_goes_on(service: Running) -> None:
    session = await service.create()
    service.predictor.fail("respond", RuntimeError("device lost"))
    response = await service.post_frame(session["session_id"], blobs.frame(61, 50))
    assert (response.status_code, slug(response)) == (503, "model-unavailable")
    assert "retry-after" in response.headers
    service.predictor.mend("respond")
    await eventually(lambda: service.components.batcher.failure is None)
    response = await service.post_frame(session["session_id"], blobs.frame(61, 50))
    assert response.json()["frame_index"] == 1


async def test_keys_own_their_sessions(run_service: RunService) -> None:
    async with run_service(api_keys="first,second") as service:
        first, second = ({"Authorization": f"Bearer {key}"} for key in ("first", "second"))
        response = await service.client.post("/v1/sessions", **form(60, 50))
        assert (response.status_code, slug(response)) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
        path = (await service.client.post("/v1/sessions", **form(60, 50), headers=first)).headers["location"]
        assert (await service.client.get(path, headers=first)).status_code == 200
        assert slug(await service.client.get(path, headers=second)) == "session-not-found"
        assert slug(await service.client.get(path)) == "unauthorized"
        for open_path in ("/healthz", "/readyz", "/metrics", "/", "/openapi.json", "/asyncapi.yaml"):
            assert (await service.client.get(open_path)).status_code == 200


async def test_over_the_rate(run_service: RunService) -> None:
    async with run_service(rate_limit_fps=0.001) as service:
        session = await service.create()
        response = await service.post_frame(session["session_id"], blobs.frame(61, 50))
        assert (response.status_code, slug(response)) == (429, "rate-limited")
        # One frame in a thousand seconds, and the first is gone.
        assert 900 < int(response.headers["retry-after"]) <= 1000
        assert (await service.client.get(f"/v1/sessions/{session['session_id']}")).json() == session


async def test_frames_are_counted(service: Running) -> None:
    session = await service.create()
    await service.post_frame(session["session_id"], blobs.frame(61, 50))
    await service.post_frame(session["session_id"], b"hello")
    text = (await service.client.get("/metrics")).text
    assert 'siamfc_frames_total{outcome="result"} 1.0' in text
    assert 'siamfc_refusals_total{problem="invalid-image"} 1.0' in text
    assert "siamfc_sessions_active 1.0" in text
    assert "siamfc_slots_used 1.0" in text
