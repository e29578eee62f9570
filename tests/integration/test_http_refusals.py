"""Every HTTP refusal of the contract; a refused request changes nothing."""

from __future__ import annotations

import base64
import struct
import zlib

import httpx
import numpy as np
import pytest

from benchmarks import _crafted_jpeg as crafted
from tests.integration import scene
from tests.integration.calls import (
    Json,
    assert_problem,
    create,
    http_client,
    metric,
    multipart,
    post_frame,
    session_on,
    state,
)
from tests.integration.conftest import SMALL
from tests.support.server import Server

BOX = scene.truth(0)
JPEG = scene.frame()
GONE = (404, 410)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header_of(width: int, height: int) -> bytes:
    """A PNG whose header claims that size and whose pixels are missing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def noise_png(width: int, height: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return scene.encoded(pixels, "PNG")


BOMB = png_header_of(60_000, 60_000)
HEAVY = noise_png(100, 100)
"""About 30,000 bytes: more than the small server takes, in fewer pixels than its limit."""

BAD_IMAGES = [
    pytest.param(b"", 422, "invalid-image", id="empty"),
    pytest.param(b"hello", 422, "invalid-image", id="text"),
    pytest.param(bytes(1000), 422, "invalid-image", id="zeros"),
    pytest.param(JPEG[: len(JPEG) // 2], 422, "invalid-image", id="truncated-jpeg"),
    pytest.param(JPEG[:20], 422, "invalid-image", id="jpeg-header-only"),
    pytest.param(scene.encoded(scene.picture(0), "PNG")[:-400], 422, "invalid-image", id="truncated-png"),
    pytest.param(scene.encoded(scene.picture(0), "WEBP")[:300], 422, "invalid-image", id="truncated-webp"),
    pytest.param(scene.encoded(scene.picture(0), "GIF"), 422, "invalid-image", id="gif"),
    pytest.param(scene.encoded(scene.picture(0), "BMP"), 422, "invalid-image", id="bmp"),
    pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "invalid-image", id="svg"),
    pytest.param(png_header_of(100, 100), 422, "invalid-image", id="png-without-pixels"),
    pytest.param(png_header_of(0, 0), 422, "invalid-image", id="png-of-no-size"),
    pytest.param(BOMB, 422, "image-too-large", id="pixel-bomb"),
    pytest.param(crafted.refined(4096, 4096, 1, 60), 422, "invalid-image", id="thousands-of-passes"),
    pytest.param(crafted.with_exif(JPEG, 2_000), 422, "invalid-image", id="thousands-of-exif-segments"),
]


@pytest.mark.parametrize(("image", "status", "slug"), BAD_IMAGES)
def test_bad_images_are_refused_everywhere(client: httpx.Client, image: bytes, status: int, slug: str) -> None:
    text = base64.b64encode(image).decode("ascii")
    before_slots = metric(client, "siamfc_slots_used")
    assert_problem(client.post("/v1/sessions", files=multipart(image, box="1,1,20,20")), status, slug)
    assert_problem(client.post("/v1/sessions", json={"frame": text, "box": BOX}), status, slug)
    assert metric(client, "siamfc_slots_used") == before_slots
    with session_on(client) as session:
        before = state(client, session["session_id"])
        path = f"/v1/sessions/{session['session_id']}"
        assert_problem(post_frame(client, session["session_id"], image), status, slug)
        assert_problem(client.put(f"{path}/targets/0", json={"frame": text, "box": BOX}), status, slug)
        assert_problem(client.put(f"{path}/targets/1", files=multipart(image, box="1,1,20,20")), status, slug)
        assert state(client, session["session_id"]) == before


@pytest.mark.parametrize(
    ("method", "path", "media", "body", "statuses"),
    [
        pytest.param("POST", "/v1/sessions", "text/plain", b"hello", {415}, id="create-from-text"),
        pytest.param("POST", "/v1/sessions", "image/jpeg", JPEG, {415}, id="create-from-a-bare-image"),
        pytest.param(
            "POST", "/v1/sessions", "application/x-www-form-urlencoded", b"box=1", {415}, id="create-urlencoded"
        ),
        pytest.param("POST", "/v1/sessions", "", b"hello", {415}, id="create-without-type"),
        pytest.param("POST", "/v1/sessions", "application/json", b"{", {400, 422}, id="create-broken-json"),
        pytest.param("POST", "/v1/sessions", "application/json", b"[]", {400, 422}, id="create-json-list"),
        pytest.param("POST", "/v1/sessions", "application/json", b"\xff\xfe", {400, 422}, id="create-json-not-utf8"),
        pytest.param("POST", "/v1/sessions", "application/json", b"[" * 50_000, {400, 422}, id="create-deep-json"),
        pytest.param(
            "POST", "/v1/sessions", "multipart/form-data", b"x", {400, 422}, id="create-form-without-boundary"
        ),
        pytest.param(
            "POST", "/v1/sessions", "multipart/form-data; boundary=b", b"--b\r\nx", {400, 422}, id="create-broken-form"
        ),
        pytest.param("POST", "{session}/frames", "text/plain", JPEG, {415}, id="frame-as-text"),
        pytest.param("POST", "{session}/frames", "application/json", b"{}", {415}, id="frame-as-json"),
        pytest.param("POST", "{session}/frames", "", JPEG, {415}, id="frame-without-type"),
        pytest.param("PUT", "{session}/targets/0", "image/jpeg", JPEG, {415}, id="correction-from-a-bare-image"),
        pytest.param("PUT", "{session}/targets/0", "application/json", b"{}", {422}, id="correction-without-fields"),
    ],
)
def test_bad_bodies(client: httpx.Client, method: str, path: str, media: str, body: bytes, statuses: set[int]) -> None:
    with session_on(client) as session:
        before = state(client, session["session_id"])
        full = path.format(session=f"/v1/sessions/{session['session_id']}")
        response = client.request(method, full, content=body, headers={"Content-Type": media} if media else {})
        assert response.status_code in statuses, response.text
        assert_problem(response, response.status_code)
        assert state(client, session["session_id"]) == before


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(multipart(box="1,1,20,20"), id="no-frame"),
        pytest.param({"frame": (None, "text"), "box": (None, "1,1,20,20")}, id="frame-as-text-part"),
        pytest.param(multipart(JPEG, targets="{"), id="targets-not-json"),
        pytest.param(multipart(JPEG, box="one,two,three,four"), id="box-of-words"),
        pytest.param(multipart(JPEG, box=""), id="empty-box"),
    ],
)
def test_bad_forms(client: httpx.Client, files: Json) -> None:
    assert_problem(client.post("/v1/sessions", files=files), 422)


CALLS_ON_A_SESSION = [
    pytest.param("GET", "", {}, id="get"),
    pytest.param("DELETE", "", {}, id="delete"),
    pytest.param("POST", "/frames", {"content": JPEG, "headers": {"Content-Type": "image/jpeg"}}, id="frame"),
    pytest.param("PUT", "/targets/0", {"json": {"frame": scene.base64_frame(), "box": BOX}}, id="put-target"),
    pytest.param("DELETE", "/targets/0", {}, id="delete-target"),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS_ON_A_SESSION)
@pytest.mark.parametrize("session_id", ["nope", "0" * 32, "%2e%2e", "a b", "x" * 3000, "%00"])
def test_unknown_sessions(client: httpx.Client, session_id: str, method: str, path: str, body: Json) -> None:
    assert_problem(client.request(method, f"/v1/sessions/{session_id}{path}", **body), 404)


@pytest.mark.parametrize(("method", "path", "body"), CALLS_ON_A_SESSION)
def test_deleted_sessions(client: httpx.Client, method: str, path: str, body: Json) -> None:
    session_path = f"/v1/sessions/{create(client)['session_id']}"
    client.delete(session_path)
    response = client.request(method, f"{session_path}{path}", **body)
    assert response.status_code in GONE
    assert_problem(response, response.status_code)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/nope", 404, id="no-such-page"),
        pytest.param("GET", "/v1/nope", 404, id="no-such-call"),
        pytest.param("PUT", "/v1/sessions", 405, id="method-of-create"),
        pytest.param("POST", "/v1/model", 405, id="method-of-model"),
        pytest.param("DELETE", "/healthz", 405, id="method-of-health"),
    ],
)
def test_routing_errors_are_problems_too(client: httpx.Client, method: str, path: str, status: int) -> None:
    response = client.request(method, path)
    assert_problem(response, status)
    assert status != 405 or response.headers["allow"]


def test_frame_size_changed(client: httpx.Client) -> None:
    other = scene.encoded(scene.picture(0)[:-1], "JPEG")
    with session_on(client) as session:
        before = state(client, session["session_id"])
        path = f"/v1/sessions/{session['session_id']}/targets/0"
        assert_problem(post_frame(client, session["session_id"], other), 409, "frame-size-changed")
        assert_problem(client.put(path, files=multipart(other, box="1,1,20,20")), 409, "frame-size-changed")
        assert state(client, session["session_id"]) == before
        assert post_frame(client, session["session_id"], scene.frame(1)).json()["frame_index"] == 1


def test_too_many_bytes(small_client: httpx.Client) -> None:
    text = base64.b64encode(HEAVY).decode("ascii")
    assert_problem(small_client.post("/v1/sessions", files=multipart(HEAVY, box="1,1,20,20")), 413)
    assert_problem(small_client.post("/v1/sessions", json={"frame": text, "box": [1, 1, 20, 20]}), 413)
    with session_on(small_client) as session:
        before = state(small_client, session["session_id"])
        assert_problem(post_frame(small_client, session["session_id"], HEAVY), 413)
        assert state(small_client, session["session_id"]) == before


def test_too_many_bytes_of_unknown_length(small_client: httpx.Client) -> None:
    with session_on(small_client) as session:
        response = small_client.post(
            f"/v1/sessions/{session['session_id']}/frames",
            content=(HEAVY[k : k + 4096] for k in range(0, len(HEAVY), 4096)),
            headers={"Content-Type": "image/png"},
        )
        assert_problem(response, 413)


def test_too_many_pixels(small_client: httpx.Client) -> None:
    wide = scene.encoded(np.zeros((201, 200, 3), np.uint8), "PNG")
    assert_problem(small_client.post("/v1/sessions", files=multipart(wide, box="1,1,20,20")), 422, "image-too-large")
    fits = scene.encoded(np.zeros((200, 200, 3), np.uint8), "PNG")
    response = small_client.post("/v1/sessions", files=multipart(fits, box="1,1,20,20"))
    assert response.status_code == 201, response.text
    small_client.delete(f"/v1/sessions/{response.json()['session_id']}")


def test_too_many_targets(small_client: httpx.Client) -> None:
    most = int(SMALL["MAX_TARGETS"])
    body = {"frame": scene.base64_frame(), "targets": [{"box": BOX}] * (most + 1)}
    assert_problem(small_client.post("/v1/sessions", json=body), 422)
    with session_on(small_client, targets=[{"box": BOX}] * most) as session:
        before = state(small_client, session["session_id"])
        path = f"/v1/sessions/{session['session_id']}/targets"
        one = {"frame": scene.base64_frame(), "box": BOX}
        assert_problem(small_client.put(f"{path}/another", json=one), 422)
        assert state(small_client, session["session_id"]) == before
        assert small_client.put(f"{path}/0", json=one).status_code == 200


def test_at_capacity(small_server: Server) -> None:
    with http_client(small_server) as client:
        sessions = [create(client) for _ in range(int(SMALL["MAX_SESSIONS"]))]
        refused = client.post("/v1/sessions", json={"frame": scene.base64_frame(), "box": BOX})
        assert_problem(refused, 503, "at-capacity")
        assert int(refused.headers["retry-after"]) >= 1
        client.delete(f"/v1/sessions/{sessions.pop()['session_id']}")
        sessions.append(create(client))
        for session in sessions:
            assert client.delete(f"/v1/sessions/{session['session_id']}").status_code == 204
