"""Access over HTTP: API keys, ownership, rates, other origins; and wrong settings at start."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration import scene
from tests.integration.calls import (
    PROTOCOL,
    Json,
    ask,
    assert_problem,
    create,
    http_client,
    multipart,
    post_frame,
    receive_ready,
    refusal_code,
    session_on,
    state,
    stream,
)
from tests.integration.conftest import KEYS, ORIGIN
from tests.support.server import Server, environment, running_server

JPEG = scene.frame()
BOX = scene.truth(0)


@pytest.fixture
def keyed_client(keyed_server: Server) -> Iterator[httpx.Client]:
    with http_client(keyed_server, KEYS[0]) as client:
        yield client


@pytest.fixture
def bare_client(keyed_server: Server) -> Iterator[httpx.Client]:
    with http_client(keyed_server) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def bearer_subprotocol(key: str) -> str:
    return "base64url.bearer.authorization." + base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


V1_CALLS = [
    pytest.param("POST", "", {"json": {"frame": scene.base64_frame(), "box": BOX}}, id="create-json"),
    pytest.param("POST", "", {"files": multipart(JPEG, box="1,1,20,20")}, id="create-form"),
    pytest.param("GET", "/{id}", {}, id="get"),
    pytest.param("DELETE", "/{id}", {}, id="delete"),
    pytest.param("POST", "/{id}/frames", {"content": JPEG, "headers": {"Content-Type": "image/jpeg"}}, id="frame"),
    pytest.param("PUT", "/{id}/targets/0", {"json": {"frame": scene.base64_frame(), "box": BOX}}, id="put-target"),
    pytest.param("DELETE", "/{id}/targets/0", {}, id="delete-target"),
    pytest.param("GET", "/../model", {}, id="model"),
]


@pytest.mark.parametrize(("method", "path", "body"), V1_CALLS)
def test_every_call_needs_a_key(
    keyed_client: httpx.Client, bare_client: httpx.Client, method: str, path: str, body: Json
) -> None:
    with session_on(keyed_client) as session:
        before = state(keyed_client, session["session_id"])
        response = bare_client.request(method, f"/v1/sessions{path.format(id=session['session_id'])}", **body)
        assert_problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert state(keyed_client, session["session_id"]) == before


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("Bearer wrong", id="wrong-key"),
        pytest.param("Bearer", id="no-key"),
        pytest.param(f"Bearer {KEYS[0][:-1]}", id="part-of-a-key"),
        pytest.param(f"Bearer {','.join(KEYS)}", id="all-keys-at-once"),
        pytest.param(KEYS[0], id="no-scheme"),
        pytest.param(f"Basic {KEYS[0]}", id="other-scheme"),
        pytest.param("Bearer \xff\xfe", id="not-ascii"),
    ],
)
def test_bad_keys(bare_client: httpx.Client, authorization: str) -> None:
    response = bare_client.get("/v1/model", headers={b"Authorization": authorization.encode("latin-1")})
    assert_problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("name", ["key", "api_key", "token", "access_token"])
def test_a_key_in_the_url_is_not_taken(bare_client: httpx.Client, name: str) -> None:
    assert_problem(bare_client.get("/v1/model", params={name: KEYS[0]}), 401)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_every_key_is_good(bare_client: httpx.Client, scheme: str, key: str) -> None:
    assert bare_client.get("/v1/model", headers={"Authorization": f"{scheme} {key}"}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/", "/docs", "/openapi.json"])
def test_what_needs_no_key(bare_client: httpx.Client, path: str) -> None:
    assert bare_client.get(path).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), [call for call in V1_CALLS if "/{id}" in str(call.values[1])])
def test_another_keys_session_does_not_exist(
    keyed_server: Server, keyed_client: httpx.Client, method: str, path: str, body: Json
) -> None:
    with session_on(keyed_client) as session, http_client(keyed_server, KEYS[1]) as stranger:
        before = state(keyed_client, session["session_id"])
        response = stranger.request(method, f"/v1/sessions{path.format(id=session['session_id'])}", **body)
        assert_problem(response, 404)
        assert state(keyed_client, session["session_id"]) == before


@pytest.mark.parametrize("key", KEYS)
def test_socket_with_a_key_as_subprotocol(keyed_server: Server, key: str) -> None:
    with http_client(keyed_server, key) as client, session_on(client) as session:
        offered = (PROTOCOL, bearer_subprotocol(key))
        for subprotocols in (offered, offered[::-1]):
            with stream(keyed_server, session["session_id"], subprotocols=subprotocols) as connection:
                assert connection.subprotocol == PROTOCOL
                receive_ready(connection)
                assert ask(connection, scene.frame(1))["type"] == "result"


def test_socket_with_a_key_as_header(keyed_server: Server, keyed_client: httpx.Client) -> None:
    with (
        session_on(keyed_client) as session,
        stream(keyed_server, session["session_id"], headers=bearer(KEYS[0])) as connection,
    ):
        receive_ready(connection)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        pytest.param({}, 1008, id="no-key"),
        pytest.param({"headers": bearer("wrong")}, 1008, id="wrong-header"),
        pytest.param({"subprotocols": (PROTOCOL, bearer_subprotocol("wrong"))}, 1008, id="wrong-subprotocol"),
        pytest.param(
            {"subprotocols": (PROTOCOL, "base64url.bearer.authorization.!!!")}, 1008, id="subprotocol-not-base64"
        ),
        pytest.param({"query": f"?key={KEYS[0]}"}, 1008, id="key-in-the-url"),
        pytest.param({"headers": bearer(KEYS[1])}, 4404, id="another-key-by-header"),
        pytest.param({"subprotocols": (PROTOCOL, bearer_subprotocol(KEYS[1]))}, 4404, id="another-key-by-subprotocol"),
    ],
)
def test_sockets_that_are_refused(keyed_server: Server, keyed_client: httpx.Client, options: Json, code: int) -> None:
    with session_on(keyed_client) as session:
        assert refusal_code(keyed_server, session["session_id"], **options) == code


def test_pages_of_an_allowed_origin_may_call(bare_client: httpx.Client) -> None:
    preflight = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    response = bare_client.options("/v1/sessions/x/targets/0", headers=preflight)
    assert response.status_code in (200, 204)
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert {"PUT", "POST", "DELETE"} <= set(
        response.headers["access-control-allow-methods"].replace(" ", "").split(",")
    )
    assert "authorization" in response.headers["access-control-allow-headers"].lower()
    refused = bare_client.get("/v1/model", headers={"Origin": ORIGIN})
    assert refused.headers["access-control-allow-origin"] == ORIGIN, "a page must be able to read a refusal"


def test_pages_of_other_origins_may_not(bare_client: httpx.Client, client: httpx.Client) -> None:
    for caller in (bare_client, client):
        response = caller.get("/healthz", headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in response.headers


def test_over_the_rate(tmp_path: Path, weights_file: Path) -> None:
    settings = {"RATE_LIMIT_FPS": "1", "API_KEYS": ",".join(KEYS), "WEIGHTS": str(weights_file)}
    with running_server(tmp_path / "rate.log", **settings) as server, http_client(server, KEYS[0]) as client:
        session_id = create(client)["session_id"]
        answers = [post_frame(client, session_id, scene.frame(k)) for k in range(1, 10)]
        refused = [response for response in answers if response.status_code != 200]
        assert refused, "nine frames at once passed a limit of one a second"
        for response in refused:
            assert_problem(response, 429)
            assert int(response.headers["retry-after"]) >= 1
        assert client.get(f"/v1/sessions/{session_id}").json()["frame_index"] == len(answers) - len(refused)
        with http_client(server, KEYS[1]) as other:
            assert post_frame(other, create(other)["session_id"], scene.frame(1)).status_code in (200, 429)


@pytest.mark.parametrize(
    ("proxies", "statuses"),
    [
        pytest.param("", [201, 429], id="by-default"),
        pytest.param("192.0.2.0/24", [201, 429], id="another-proxy"),
        pytest.param("127.0.0.1", [201, 201], id="a-trusted-proxy"),
    ],
)
def test_a_forwarded_address_counts_where_the_proxy_is_trusted(
    tmp_path: Path, weights_file: Path, proxies: str, statuses: list[int]
) -> None:
    # A burst of one, and a thousand seconds until the next frame.
    settings = {"RATE_LIMIT_FPS": "0.001", "WEIGHTS": str(weights_file), "TRUSTED_PROXIES": proxies}
    with running_server(tmp_path / "proxy.log", **settings) as server, http_client(server) as client:
        answers = [
            client.post(
                "/v1/sessions",
                json={"frame": scene.base64_frame(), "box": BOX},
                headers={"X-Forwarded-For": address},
            ).status_code
            for address in ("198.51.100.1", "198.51.100.2")
        ]
        assert answers == statuses


def test_a_foreign_page_cannot_open_a_socket(keyed_server: Server, keyed_client: httpx.Client) -> None:
    with session_on(keyed_client) as session:
        headers = bearer(KEYS[0]) | {"Origin": "https://evil.example"}
        assert refusal_code(keyed_server, session["session_id"], headers=headers) == 1008


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("MAX_SESION", "3", id="misspelt"),
        pytest.param("MAX_SESSIONS", "0", id="out-of-bounds"),
        pytest.param("TRUSTED_PROXIES", "balancer", id="no-address"),
        pytest.param("KEYS_FOR", "page", id="nothing-that-asks-for-keys"),
        pytest.param("MAX_SESSIONS", "many", id="not-a-number"),
        pytest.param("DEVICE", "abacus", id="no-such-device"),
        pytest.param("PRECISION", "int3", id="no-such-precision"),
        pytest.param("WEIGHTS", "missing.safetensors", id="no-such-weights"),
        pytest.param("API_KEYS_FILE", "missing.txt", id="no-such-key-file"),
    ],
)
def test_a_wrong_setting_is_refused_at_start(name: str, value: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service"],
        env=environment({"PORT": "0", name: str(tmp_path / value) if value.startswith("missing") else value}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert value in done.stderr or f"SIAMFC_{name}" in done.stderr
