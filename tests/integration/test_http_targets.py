"""Boxes, targets and times to live that a request may and may not ask for."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.integration import scene
from tests.integration.calls import (
    Json,
    assert_problem,
    multipart,
    post_frame,
    session_on,
    state,
)

BOX = scene.truth(0)
JPEG = scene.frame()

BAD_BOXES = [
    pytest.param([10, 10, 0, 20], ["invalid-box"], id="no-width"),
    pytest.param([10, 10, 20, 0.99], ["invalid-box"], id="height-below-one"),
    pytest.param([10, 10, -20, 20], ["invalid-box"], id="negative-width"),
    pytest.param([float("nan"), 10, 20, 20], ["invalid-box"], id="nan"),
    pytest.param([10, float("inf"), 20, 20], ["invalid-box"], id="infinity"),
    pytest.param([10, 10, 20, float("-inf")], ["invalid-box"], id="minus-infinity"),
    pytest.param([192, 10, 20, 20], ["invalid-box"], id="right-of-the-frame"),
    pytest.param([10, 144, 20, 20], ["invalid-box"], id="below-the-frame"),
    pytest.param([-20, 10, 20, 20], ["invalid-box"], id="left-of-the-frame"),
    pytest.param([10, -20, 20, 20], ["invalid-box"], id="above-the-frame"),
    pytest.param([1e300, 1e300, 1e300, 1e300], ["invalid-box"], id="huge"),
    pytest.param([10, 10, 20], ["invalid-box", "invalid-request"], id="three-numbers"),
    pytest.param([10, 10, 20, 20, 20], ["invalid-box", "invalid-request"], id="five-numbers"),
    pytest.param([], ["invalid-box", "invalid-request"], id="empty"),
]

JSON_ONLY_BOXES = [
    pytest.param(["a", "b", "c", "d"], ["invalid-box", "invalid-request"], id="strings"),
    pytest.param([True, 1, 20, 20], ["invalid-box", "invalid-request"], id="boolean"),
    pytest.param([None, 1, 20, 20], ["invalid-box", "invalid-request"], id="null"),
    pytest.param([[1], 1, 20, 20], ["invalid-box", "invalid-request"], id="nested"),
    pytest.param({"x": 1}, ["invalid-box", "invalid-request"], id="object"),
    pytest.param("10,10,20,20", ["invalid-box", "invalid-request"], id="text"),
    pytest.param([10**400, 1, 20, 20], ["invalid-box", "invalid-request"], id="integer-beyond-floats"),
]


def send_json(client: httpx.Client, method: str, path: str, body: Json) -> httpx.Response:
    """JSON as a careless client writes it: with NaN and Infinity."""
    return client.request(method, path, content=json.dumps(body), headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(("box", "slugs"), BAD_BOXES + JSON_ONLY_BOXES)
def test_bad_boxes_in_json(client: httpx.Client, box: Any, slugs: list[str]) -> None:
    frame = scene.base64_frame()
    assert_problem(send_json(client, "POST", "/v1/sessions", {"frame": frame, "box": box}), 422, *slugs)
    targets = [{"box": BOX}, {"box": box}]
    problem = assert_problem(
        send_json(client, "POST", "/v1/sessions", {"frame": frame, "targets": targets}), 422, *slugs
    )
    if slugs == ["invalid-box"]:
        assert any("targets/1/box" in error["pointer"] for error in problem["errors"]), problem
    with session_on(client) as session:
        before = state(client, session["session_id"])
        path = f"/v1/sessions/{session['session_id']}/targets/0"
        assert_problem(send_json(client, "PUT", path, {"frame": frame, "box": box}), 422, *slugs)
        assert state(client, session["session_id"]) == before


@pytest.mark.parametrize(("box", "slugs"), BAD_BOXES)
def test_bad_boxes_in_a_form(client: httpx.Client, box: list[float], slugs: list[str]) -> None:
    text = ",".join(map(str, box))
    assert_problem(client.post("/v1/sessions", files=multipart(JPEG, box=text)), 422, *slugs)
    assert_problem(client.post("/v1/sessions", files=multipart(JPEG, targets=[{"box": box}])), 422, *slugs)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([-10, -10, 30, 30], id="over-the-corner"),
        pytest.param([180, 130, 60, 60], id="over-the-other-corner"),
        pytest.param([-50, -50, 400, 400], id="larger-than-the-frame"),
        pytest.param([0, 0, 1, 1], id="one-pixel"),
        pytest.param([191.5, 143.5, 5, 5], id="half-a-pixel-inside"),
    ],
)
def test_boxes_that_stick_out_are_accepted(client: httpx.Client, box: list[float]) -> None:
    with session_on(client, box=box) as session:
        result = post_frame(client, session["session_id"], scene.frame(1))
        assert result.status_code == 200, result.text
        assert np.isfinite(result.json()["targets"][0]["box"]).all()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="neither-box-nor-targets"),
        pytest.param({"box": BOX, "targets": [{"box": BOX}]}, id="both"),
        pytest.param({"targets": []}, id="no-targets"),
        pytest.param({"targets": [{"id": "a", "box": BOX}, {"id": "a", "box": BOX}]}, id="id-twice"),
        pytest.param({"targets": [{"id": "a"}]}, id="target-without-box"),
        pytest.param({"targets": {"box": BOX}}, id="targets-not-a-list"),
        pytest.param({"targets": ["a"]}, id="target-not-an-object"),
        pytest.param({"targets": [{"id": 7, "box": BOX}]}, id="id-not-a-string"),
        pytest.param({"targets": [{"id": "", "box": BOX}]}, id="empty-id"),
        pytest.param({"targets": [{"id": "x" * 5000, "box": BOX}]}, id="endless-id"),
    ],
)
def test_bad_targets(client: httpx.Client, fields: Json) -> None:
    assert_problem(client.post("/v1/sessions", json={"frame": scene.base64_frame(), **fields}), 422)
    assert_problem(client.post("/v1/sessions", files=multipart(JPEG, **fields)), 422)


@pytest.mark.parametrize(
    "ttl_s",
    [
        pytest.param(0, id="zero"),
        pytest.param(-1, id="negative"),
        pytest.param("soon", id="text"),
        pytest.param(float("nan"), id="nan"),
        pytest.param(float("inf"), id="infinite"),
        pytest.param([1], id="list"),
    ],
)
def test_bad_ttl(client: httpx.Client, ttl_s: Any) -> None:
    body = {"frame": scene.base64_frame(), "box": BOX, "ttl_s": ttl_s}
    problem = assert_problem(send_json(client, "POST", "/v1/sessions", body), 422)
    assert "ttl_s" in str(problem)
