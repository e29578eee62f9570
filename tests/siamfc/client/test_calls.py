"""The HTTP calls, and what is made of their answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import uvicorn

from siamfc import AsyncClient, Client
from siamfc.client import calls, errors
from siamfc.client.calls import ServerAddress, body_of, checked_box, targets_of

REQUEST = httpx.Request("GET", "http://host/v1/model")
PROBLEM = {"Content-Type": "application/problem+json; charset=utf-8"}


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        pytest.param("http://h:9", "ws://h:9/v1/sessions/a%2Fb/stream?mode=latest&map=1", id="plain"),
        pytest.param("https://h/", "wss://h/v1/sessions/a%2Fb/stream?mode=latest&map=1", id="tls"),
        pytest.param("http://h/way/", "ws://h/way/v1/sessions/a%2Fb/stream?mode=latest&map=1", id="behind a path"),
    ],
)
def test_the_sockets_address(base: str, expected: str) -> None:
    assert ServerAddress(base).stream_url("a/b", "latest", True) == expected


@pytest.mark.parametrize("base", ["host:8000", "ftp://host", "http://", ""])
def test_addresses_that_are_none(base: str) -> None:
    with pytest.raises(ValueError, match="http"):
        ServerAddress(base)


def test_the_key_is_a_header_and_nothing_else() -> None:
    server = ServerAddress("http://h", "secret")
    assert server.headers == {"Authorization": "Bearer secret"}
    assert "secret" not in server.stream_url("s", "every", False) + repr(server)
    assert ServerAddress("http://h").headers == {}


def test_create_says_the_frames_type() -> None:
    form = calls.create(b"\x89PNG\r\n\x1a\n...", [{"box": [1, 2, 3, 4]}], None).arguments["files"]
    assert form["frame"][2] == "image/png"
    assert calls.create(b"x", [], 5.0).arguments["json"] == {"frame": "eA==", "targets": [], "ttl_s": 5.0}


def test_paths_quote_ids() -> None:
    assert calls.delete_target("s/1", "a b").path == "/v1/sessions/s%2F1/targets/a%20b"


def test_targets() -> None:
    assert targets_of((1, 2, 3, 4), None) == [{"box": [1.0, 2.0, 3.0, 4.0]}]
    assert targets_of(None, [{"id": "a", "box": (1, 2, 3, 4)}]) == [{"id": "a", "box": [1.0, 2.0, 3.0, 4.0]}]
    with pytest.raises(TypeError):
        targets_of(None, None)
    with pytest.raises(TypeError):
        targets_of((1, 2, 3, 4), [])


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((1, 2, 3), id="three"),
        pytest.param((1, 2, 3, float("nan")), id="nan"),
        pytest.param("1,2,3,4", id="text"),
        pytest.param(None, id="none"),
    ],
)
def test_boxes_that_json_cannot_carry(box: Any) -> None:
    with pytest.raises(errors.InvalidBox):
        checked_box(box)


@pytest.mark.parametrize(
    ("response", "expected", "detail", "retry_after_s"),
    [
        pytest.param(
            httpx.Response(503, headers=PROBLEM | {"Retry-After": "7"},
                json={"type": "#at-capacity", "detail": "full"}),
            errors.AtCapacity, "full", 7.0, id="a problem",
        ),
        pytest.param(
            httpx.Response(429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, text="slow down"),
            errors.RateLimited, "http://host/v1/model answered 429", None, id="a proxy's words",
        ),
        pytest.param(
            httpx.Response(500, headers=PROBLEM, text="{"),
            errors.ServerFault, "http://host/v1/model answered 500", None, id="broken json",
        ),
        pytest.param(
            httpx.Response(404, headers=PROBLEM, json=[1]),
            errors.SessionNotFound, "http://host/v1/model answered 404", None, id="no object",
        ),
    ],
)  # fmt: skip
def test_refusals(
    response: httpx.Response, expected: type[errors.ProblemError], detail: str, retry_after_s: float | None
) -> None:
    response.request = REQUEST
    with pytest.raises(errors.ProblemError) as caught:
        body_of(response)
    assert type(caught.value) is expected
    assert (caught.value.detail, caught.value.retry_after_s) == (detail, retry_after_s)
    assert caught.value.status == response.status_code


@pytest.mark.parametrize(
    "response",
    [pytest.param(httpx.Response(200, text="<html>"), id="no json"), pytest.param(httpx.Response(302), id="redirect")],
)
def test_answers_that_are_no_json(response: httpx.Response) -> None:
    response.request = REQUEST
    with pytest.raises(errors.UnexpectedAnswer):
        body_of(response)


def test_bodies() -> None:
    assert body_of(httpx.Response(204, request=REQUEST)) is None
    assert body_of(httpx.Response(200, request=REQUEST, json={"a": 1})) == {"a": 1}


@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_idle_connections_are_given_up_before_the_server_does(
    make: type[Client] | type[AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[httpx.Limits] = []
    name = "Client" if make is Client else "AsyncClient"
    monkeypatch.setattr(httpx, name, lambda **given: asked.append(given["limits"]))
    make("http://localhost:8000")
    (limits,) = asked
    assert limits.keepalive_expiry is not None
    assert limits.keepalive_expiry + 1 < uvicorn.Config("app").timeout_keep_alive
