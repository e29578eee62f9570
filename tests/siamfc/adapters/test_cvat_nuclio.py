"""The Nuclio function: its entry points with the SDK's own Context and Event, and its file."""

from __future__ import annotations

import base64
import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

from siamfc.adapters.cvat_nuclio import Trackers
from siamfc.adapters.cvat_points import box_of, points_of
from siamfc.backends import Backend
from tests.siamfc.cli.conftest import pictures
from tests.support.fake_server import FakeServer

nuclio_sdk = pytest.importorskip("nuclio_sdk", reason="the package nuclio-sdk is not installed")

FUNCTION = Path(__file__).parents[3] / "docker" / "cvat"
Call = Callable[..., Any]


def encoded(index: int) -> str:
    return base64.b64encode(cv2.imencode(".png", pictures()[index])[1].tobytes()).decode()


@pytest.fixture
def call(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls the function, started for that server, as CVAT does; the response."""
    monkeypatch.setenv("SERVER", server.url)
    entry = runpy.run_path(str(FUNCTION / "main.py"))
    context = nuclio_sdk.Context(logger=nuclio_sdk.Logger("ERROR"))
    entry["init_context"](context)

    def call(body: Any) -> Any:
        return entry["handler"](context, nuclio_sdk.Event(body=body, content_type="application/json"))

    return call


def test_a_target_from_its_shape_on(call: Call) -> None:
    first = call({"image": encoded(0), "shapes": [[10, 20, 18, 26], [1, 2, 5, 9]], "states": []})
    assert (first.status_code, first.content_type) == (200, "application/json")
    began = json.loads(first.body)
    assert began["shapes"] == [[10, 20, 18, 26], [1, 2, 5, 9]]
    # CVAT fills the shapes up with nulls where it goes on, and signs the states, which are JSON.
    body = {"image": encoded(1), "shapes": [None, None], "states": began["states"]}
    went_on = json.loads(call(body).body)
    assert went_on["shapes"] == [[11, 20, 19, 26], [2, 2, 6, 9]]
    body = {"image": encoded(2), "shapes": [None], "states": went_on["states"][1:]}
    assert json.loads(call(body).body)["shapes"] == [[3, 2, 7, 9]]


def test_a_lost_target_has_no_shape(call: Call, server: FakeServer) -> None:
    began = json.loads(call({"image": encoded(0), "shapes": [[10, 20, 18, 26]], "states": []}).body)
    next(iter(server.sessions.values()))["targets"][0]["status"] = "lost"
    went_on = json.loads(call({"image": encoded(1), "shapes": [None], "states": began["states"]}).body)
    assert went_on["shapes"] == [None]
    assert went_on["states"][0]["box"] == [11, 20, 8, 6]


def test_a_function_that_was_started_again_begins_anew(call: Call, server: FakeServer) -> None:
    state = {"tracker": "of an earlier process", "box": [30, 30, 8, 6]}
    answer = json.loads(call({"image": encoded(1), "shapes": [None], "states": [state]}).body)
    assert answer == {"shapes": [[30, 30, 38, 36]], "states": [state]}
    answer = json.loads(call({"image": encoded(2), "shapes": [None], "states": [state]}).body)
    assert answer["shapes"] == [[31, 30, 39, 36]]
    assert len(server.created) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"no JSON", "KeyError: 'image'", id="no JSON"),
        pytest.param(b"[]", "KeyError: 'image'", id="no object"),
        pytest.param({"image": "%"}, "Error: ", id="no base64"),
        pytest.param({"image": "", "shapes": [[1, 2, 3, 4]]}, "InvalidFrame: a frame cannot be empty", id="no bytes"),
        pytest.param({"image": encoded(0), "shapes": [[1, 2, 3]]}, "points x1, y1, x2, y2", id="three numbers"),
        pytest.param({"image": encoded(0), "shapes": [None]}, "needs a shape", id="neither shape nor state"),
        pytest.param({"image": encoded(0), "states": [{"id": 1}]}, "not a state", id="a strange state"),
    ],
)
def test_a_malformed_request_is_refused_with_its_reason(call: Call, body: Any, reason: str) -> None:
    response = call(body)
    assert response.status_code == 400
    assert reason in response.body


def test_the_least_used_tracker_goes_first(on_server: Backend, server: FakeServer) -> None:
    trackers = Trackers(on_server, limit=2)
    image = base64.b64decode(encoded(0))
    states = [trackers.answer(image, [[10, 20, 18, 26]], [])["states"][0] for _ in range(2)]
    trackers.answer(image, [], states[:1])
    trackers.answer(image, [[10, 20, 18, 26]], [])
    assert list(server.sessions) == ["s1", "s3"]


def test_the_function_s_file_names_what_is_there() -> None:
    function = yaml.safe_load((FUNCTION / "function.yaml").read_text())
    assert function["metadata"]["annotations"]["type"] == "tracker"
    module, _, entry = function["spec"]["handler"].partition(":")
    assert entry in runpy.run_path(str(FUNCTION / f"{module}.py"))
    assert function["spec"]["triggers"]["http"]["numWorkers"] == 1


def test_points_and_boxes() -> None:
    assert box_of([5, 9, 1, 2]) == (1, 2, 4, 7)
    assert points_of((1, 2, 4, 7)) == [1, 2, 5, 9]
