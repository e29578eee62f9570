"""The HTTP calls, used well."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from tests.integration import scene
from tests.integration.calls import Json, create, multipart, post_frame, session_on, state

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
STATUSES = {"tracking", "uncertain", "lost"}
BOX = scene.truth(0)
ELSEWHERE = [100.0, 80.0, 30.0, 24.0]


def as_text(box: list[float]) -> str:
    return ",".join(map(str, box))


def json_body(**fields: Any) -> Json:
    return {"json": {"frame": scene.base64_frame(), **fields}}


def form_body(**parts: Any) -> Json:
    return {"files": multipart(scene.frame(), **parts)}


def assert_target(target: Json) -> None:
    assert isinstance(target["id"], str)
    assert len(target["box"]) == 4
    assert 0 <= target["score"] <= 1
    assert target["status"] in STATUSES


@pytest.mark.parametrize(
    ("request_body", "ids"),
    [
        pytest.param(form_body(box=as_text(BOX)), ["0"], id="form-box"),
        pytest.param(form_body(box="30, 24, 34, 30"), ["0"], id="form-box-with-spaces"),
        pytest.param(form_body(targets=[{"box": BOX}]), ["0"], id="form-targets"),
        pytest.param(form_body(targets=[{"box": BOX}, {"box": ELSEWHERE}]), ["0", "1"], id="form-two-targets"),
        pytest.param(form_body(targets=[{"id": "cat", "box": BOX}]), ["cat"], id="form-given-id"),
        pytest.param(json_body(box=BOX), ["0"], id="json-box"),
        pytest.param(json_body(targets=[{"box": BOX}]), ["0"], id="json-targets"),
        pytest.param(json_body(targets=[{"box": BOX}, {"box": ELSEWHERE}]), ["0", "1"], id="json-two-targets"),
        pytest.param(
            json_body(targets=[{"id": "cat", "box": BOX}, {"id": "Käfer 2", "box": ELSEWHERE}]),
            ["cat", "Käfer 2"],
            id="json-given-ids",
        ),
        pytest.param(json_body(box=BOX, ttl_s=60), ["0"], id="json-ttl"),
        pytest.param(json_body(box=[30, 24, 34, 30]), ["0"], id="json-whole-numbers"),
    ],
)
def test_create(client: httpx.Client, request_body: Json, ids: list[str]) -> None:
    response = client.post("/v1/sessions", **request_body)
    assert response.status_code == 201, response.text
    session = response.json()
    path = f"/v1/sessions/{session['session_id']}"
    try:
        assert httpx.URL(response.headers["location"]).path == path
        assert session["frame_index"] == 0
        assert session["frame_size"] == scene.SIZE
        assert session["stream_url"] == f"{path}/stream"
        assert [target["id"] for target in session["targets"]] == ids
        assert session["targets"][0]["box"] == BOX
        for target in session["targets"]:
            assert_target(target)
        for name in ("created_at", "expires_at"):
            assert MOMENT.fullmatch(session[name]), session[name]
        assert client.get(path).json() == session
    finally:
        assert client.delete(path).status_code == 204


def test_a_generated_id_avoids_the_given_ones(client: httpx.Client) -> None:
    targets = [{"id": "0", "box": BOX}, {"box": ELSEWHERE}, {"id": "1", "box": ELSEWHERE}]
    with session_on(client, targets=targets) as session:
        ids = [target["id"] for target in session["targets"]]
        assert (ids[0], ids[2], len(set(ids))) == ("0", "1", 3)


def test_session_ids_cannot_be_guessed(client: httpx.Client) -> None:
    with session_on(client) as first, session_on(client) as second:
        assert min(len(first["session_id"]), len(second["session_id"])) >= 16
        assert first["session_id"] != second["session_id"]


def test_time_to_live_counts_from_the_last_frame(client: httpx.Client) -> None:
    with session_on(client, ttl_s=90) as session:
        moments = {name: datetime.fromisoformat(session[name]) for name in ("created_at", "expires_at")}
        assert (
            timedelta(0)
            <= moments["expires_at"] - moments["created_at"] - timedelta(seconds=90)
            < timedelta(seconds=30)
        )
        post_frame(client, session["session_id"], scene.frame(1)).raise_for_status()
        later = datetime.fromisoformat(client.get(f"/v1/sessions/{session['session_id']}").json()["expires_at"])
        assert later > moments["expires_at"]


@pytest.mark.parametrize(
    ("image", "media"),
    [
        pytest.param(scene.frame(), "image/jpeg", id="jpeg"),
        pytest.param(scene.frame(), "image/*", id="any-image-type"),
        pytest.param(scene.frame(), "application/octet-stream", id="bytes-of-no-said-type"),
        pytest.param(scene.frame(), "image/png", id="type-that-lies-about-the-format"),
        pytest.param(scene.encoded(scene.picture(0), "PNG"), "image/png", id="png"),
        pytest.param(scene.encoded(scene.picture(0), "WEBP"), "image/webp", id="webp"),
        pytest.param(scene.encoded(scene.picture(0)[..., 0], "JPEG"), "image/jpeg", id="grey-jpeg"),
        pytest.param(scene.encoded(scene.picture(0)[..., 0], "PNG"), "image/png", id="grey-png"),
        pytest.param(
            scene.encoded(np.dstack([scene.picture(0), scene.picture(0)[..., :1]]), "PNG"), "image/png", id="alpha-png"
        ),
    ],
)
def test_frame_formats(client: httpx.Client, image: bytes, media: str) -> None:
    with session_on(client) as session:
        response = post_frame(client, session["session_id"], image, media)
        assert response.status_code == 200, response.text
        assert response.json()["frame_index"] == 1


def test_exif_orientation_is_ignored(client: httpx.Client) -> None:
    turned = bytes.fromhex("45786966000049492a0008000000010012010300010000000600000000000000")
    response = client.post(
        "/v1/sessions", files=multipart(scene.encoded(scene.picture(0), "JPEG", exif=turned), box=as_text(BOX))
    )
    assert response.status_code == 201, response.text
    assert response.json()["frame_size"] == scene.SIZE
    client.delete(f"/v1/sessions/{response.json()['session_id']}")


def test_frames_over_http_follow_the_target(client: httpx.Client) -> None:
    with session_on(client) as session:
        for k in range(1, 6):
            response = post_frame(client, session["session_id"], scene.frame(k))
            assert response.status_code == 200, response.text
            result = response.json()
            assert result["frame_index"] == k
            assert {"decode", "queue", "infer", "total"} <= result["timing_ms"].keys()
            assert all(value >= 0 for value in result["timing_ms"].values())
            (target,) = result["targets"]
            assert_target(target)
            assert scene.overlap(target["box"], scene.truth(k)) > 0.5
        after = client.get(f"/v1/sessions/{session['session_id']}").json()
        assert (after["frame_index"], after["targets"]) == (5, result["targets"])


def test_targets_of_one_session_do_not_touch_each_other(client: httpx.Client) -> None:
    both = [{"id": "patch", "box": BOX}, {"id": "ground", "box": ELSEWHERE}]
    with (
        session_on(client, targets=both) as two,
        session_on(client, targets=both[:1]) as patch,
        session_on(client, targets=both[1:]) as ground,
    ):
        for k in range(1, 4):
            together = post_frame(client, two["session_id"], scene.frame(k)).json()["targets"]
            apart = [
                post_frame(client, one["session_id"], scene.frame(k)).json()["targets"][0] for one in (patch, ground)
            ]
            assert [target["id"] for target in together] == ["patch", "ground"]
            for joint, alone in zip(together, apart, strict=True):
                assert joint["box"] == pytest.approx(alone["box"], abs=0.5)


def put_json(client: httpx.Client, path: str, k: int, box: list[float]) -> httpx.Response:
    return client.put(path, json={"frame": scene.base64_frame(k), "box": box})


def put_form(client: httpx.Client, path: str, k: int, box: list[float]) -> httpx.Response:
    return client.put(path, files=multipart(scene.frame(k), box=as_text(box)))


@pytest.mark.parametrize("put", [pytest.param(put_json, id="json"), pytest.param(put_form, id="form")])
@pytest.mark.parametrize(
    ("target_id", "ids"),
    [
        pytest.param("0", ["0"], id="corrects"),
        pytest.param("new", ["0", "new"], id="adds"),
        pytest.param("Käfer 2", ["0", "Käfer 2"], id="adds-an-id-that-needs-quoting"),
    ],
)
def test_put_target(client: httpx.Client, put: Callable[..., httpx.Response], target_id: str, ids: list[str]) -> None:
    box = scene.truth(3)
    with session_on(client) as session:
        response = put(client, f"/v1/sessions/{session['session_id']}/targets/{target_id}", 3, box)
        assert response.status_code == 200, response.text
        boxes = {target["id"]: target["box"] for target in response.json()["targets"]}
        assert list(boxes) == ids
        assert boxes[target_id] == box
        (followed,) = (
            target
            for target in post_frame(client, session["session_id"], scene.frame(4)).json()["targets"]
            if target["id"] == target_id
        )
        assert scene.overlap(followed["box"], scene.truth(4)) > 0.5


def test_delete_target(client: httpx.Client) -> None:
    with session_on(client, targets=[{"id": "a", "box": BOX}, {"id": "b", "box": ELSEWHERE}]) as session:
        path = f"/v1/sessions/{session['session_id']}"
        assert client.delete(f"{path}/targets/a").status_code == 204
        assert [target["id"] for target in client.get(path).json()["targets"]] == ["b"]
        assert client.delete(f"{path}/targets/a").status_code == 404
        result = post_frame(client, session["session_id"], scene.frame(1)).json()
        assert [target["id"] for target in result["targets"]] == ["b"]


def test_a_session_without_targets_takes_frames_and_new_targets(client: httpx.Client) -> None:
    with session_on(client) as session:
        path = f"/v1/sessions/{session['session_id']}"
        assert client.delete(f"{path}/targets/0").status_code == 204
        assert post_frame(client, session["session_id"], scene.frame(1)).json()["targets"] == []
        assert put_json(client, f"{path}/targets/again", 2, scene.truth(2)).status_code == 200
        assert [target["id"] for target in state(client, session["session_id"])["targets"]] == ["again"]


def test_delete_session_twice(client: httpx.Client) -> None:
    path = f"/v1/sessions/{create(client)['session_id']}"
    first = client.delete(path)
    assert (first.status_code, first.content) == (204, b"")
    assert client.delete(path).status_code in (404, 410)
    assert client.get(path).status_code in (404, 410)


def test_model_says_what_runs(client: httpx.Client, weights_file: Path) -> None:
    model = client.get("/v1/model").json()
    text = str(model)
    assert hashlib.sha256(weights_file.read_bytes()).hexdigest() in text
    expected = {"network": "swift", "stride": 16, "exemplar_size": 127, "search_size": 255, "scales": [1.0]}
    assert expected.items() <= model.items(), model
    assert {"device", "precision", "runtime"} <= model.keys()


@pytest.mark.parametrize(
    ("path", "media", "content"),
    [
        pytest.param("/healthz", "application/json", "", id="healthz"),
        pytest.param("/readyz", "application/json", "", id="readyz"),
        pytest.param("/metrics", "text/plain", "# TYPE", id="metrics"),
        pytest.param("/", "text/html", "<title>", id="page"),
        pytest.param("/docs", "text/html", "openapi", id="docs"),
        pytest.param("/openapi.json", "application/json", "openapi", id="openapi"),
        pytest.param("/asyncapi.yaml", "yaml", "asyncapi:", id="asyncapi"),
    ],
)
def test_pages(client: httpx.Client, path: str, media: str, content: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert media in response.headers["content-type"]
    assert content in response.text


def test_openapi_says_what_the_contract_says(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    contract = {
        "/v1/sessions": {"post": {"201", "401", "413", "415", "422", "429", "503"}},
        "/v1/sessions/{session_id}": {"get": {"200", "404"}, "delete": {"204", "404"}},
        "/v1/sessions/{session_id}/frames": {"post": {"200", "404", "409", "413", "415", "422", "429"}},
        "/v1/sessions/{session_id}/targets/{target_id}": {
            "put": {"200", "404", "409", "413", "415", "422"},
            "delete": {"204", "404", "409"},
        },
        "/v1/model": {"get": {"200"}},
        "/healthz": {"get": {"200"}},
        "/readyz": {"get": {"200", "503"}},
        "/metrics": {"get": {"200"}},
    }
    for path, methods in contract.items():
        for method, statuses in methods.items():
            described = paths[path][method]["responses"].keys()
            assert statuses <= described, f"{method} {path} lacks {statuses - described}"
    bodies = paths["/v1/sessions"]["post"]["requestBody"]["content"].keys()
    assert bodies == {"multipart/form-data", "application/json"}


def test_openapi_has_no_dangling_reference(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    references = set(re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', client.get("/openapi.json").text))
    assert references
    assert references <= document["components"]["schemas"].keys()


def test_asyncapi_names_every_message(client: httpx.Client) -> None:
    text = client.get("/asyncapi.yaml").text
    document = yaml.safe_load(text)
    assert document["asyncapi"].startswith("3.")
    for kind in ("ready", "result", "dropped", "error", "bye", "set_target", "remove_target", "end"):
        assert re.search(rf"\b{kind}\b", text), kind
    for code in ("1001", "1003", "1008", "1009", "1011", "1012", "1013", "4404", "4409", "4410"):
        assert code in text, code
