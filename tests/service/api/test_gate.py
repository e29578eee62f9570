"""The gate before every route, seen from outside."""

from __future__ import annotations

import logging

import httpx
import pytest

from service.operations.logs import JsonFormatter
from service.operations.request_ids import RequestIdFilter
from tests.service.api.conftest import count
from tests.service.conftest import Running, RunService
from tests.support.asgi_socket import connect

pytestmark = pytest.mark.anyio

PAGE = {"Origin": "https://evil.example"}


def problem_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["type"].partition("#")[2]


async def test_a_foreign_page_may_not_call(service: Running) -> None:
    session = await service.create()
    refused = await service.client.delete(f"/v1/sessions/{session['session_id']}", headers=PAGE)
    assert problem_of(refused) == (403, "forbidden-origin")
    assert (await service.client.get(f"/v1/sessions/{session['session_id']}")).status_code == 200
    assert count(service, 'siamfc_refusals_total{problem="forbidden-origin"}') == 1


async def test_a_foreign_page_may_not_stream(service: Running) -> None:
    session = await service.create()
    async with connect(service.app, session["stream_url"], headers=[("origin", "https://evil.example")]) as socket:
        assert (await socket.closed())[0] == 1008


@pytest.mark.parametrize("origin", ["http://test", "https://listed.example"])
async def test_its_own_page_and_listed_ones_may(run_service: RunService, origin: str) -> None:
    async with run_service(cors_origins="https://listed.example") as service:
        assert (await service.client.get("/v1/model", headers={"Origin": origin})).status_code == 200


async def test_with_any_origin_listed_every_page_may(run_service: RunService) -> None:
    async with run_service(cors_origins="*") as service:
        assert (await service.client.get("/v1/model", headers=PAGE)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/model", "/metrics"])
async def test_a_rebound_name_reaches_nothing(service: Running, path: str) -> None:
    assert problem_of(await service.client.get(path, headers={"Host": "evil.example"})) == (421, "unknown-host")


async def test_a_listed_host_is_answered(run_service: RunService) -> None:
    async with run_service(host="0.0.0.0", allowed_hosts="tracker.example.org") as service:
        for host, status in [("tracker.example.org:8000", 200), ("127.0.0.1:8000", 200), ("evil.example", 421)]:
            assert (await service.client.get("/healthz", headers={"Host": host})).status_code == status, host


async def test_every_answer_has_security_headers(service: Running) -> None:
    for path in ("/", "/docs", "/web/app.js", "/healthz", "/v1/model", "/v1/sessions/none", "/nothing"):
        headers = (await service.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer"
        assert headers.get_list("content-security-policy", split_commas=False), path
        assert len(headers.get_list("content-security-policy", split_commas=False)) == 1, path
        assert "frame-ancestors" in headers["content-security-policy"]
        assert " ws:" not in headers["content-security-policy"]


async def test_the_page_s_files_have_the_page_s_policy(service: Running) -> None:
    # A worker is bound by the policy that its own script came with.
    policies = {(await service.client.get(path)).headers["content-security-policy"] for path in ("/", "/web/app.js")}
    assert len(policies) == 1
    assert "connect-src 'self'" in policies.pop()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param("abc-1.2_3", True, id="good"),
        pytest.param("a" * 64, True, id="longest"),
        pytest.param("a" * 65, False, id="too-long"),
        pytest.param("a b", False, id="space"),
        pytest.param('a"b', False, id="quote"),
        pytest.param("", False, id="empty"),
    ],
)
async def test_request_ids(service: Running, given: str, kept: bool) -> None:
    response = await service.client.get("/v1/sessions/none", headers={"X-Request-ID": given})
    answered = response.headers["x-request-id"]
    assert (answered == given) is kept
    assert 0 < len(answered) <= 64
    assert response.json()["request_id"] == answered


async def test_two_requests_without_an_id_get_two(service: Running) -> None:
    ids = {(await service.client.get("/healthz")).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2


async def test_log_lines_carry_the_request_s_id(
    service: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def fail(*_: object) -> None:
        record = logging.LogRecord("a", logging.INFO, "a", 1, "within", (), None)
        RequestIdFilter().filter(record)
        lines.append(JsonFormatter().format(record))
        raise ZeroDivisionError

    monkeypatch.setattr(service.components.leases.store, "read", fail)
    with caplog.at_level(logging.CRITICAL):
        response = await service.client.get("/v1/sessions/x", headers={"X-Request-ID": "mine"})
    assert response.status_code == 500
    assert '"request_id": "mine"' in lines[0]


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/openapi.json", "/asyncapi.yaml"])
async def test_keys_beside_v1(run_service: RunService, path: str) -> None:
    async with run_service(api_keys="key", keys_for="metrics,docs") as service:
        refused = await service.client.get(path)
        assert problem_of(refused) == (401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert (await service.client.get(path, headers={"Authorization": "Bearer key"})).status_code == 200
        assert (await service.client.get("/readyz")).status_code == 200


async def test_sessions_of_a_key_are_limited(run_service: RunService) -> None:
    async with run_service(api_keys="one,other", max_sessions_per_key=2) as service:
        service.client.headers["Authorization"] = "Bearer one"
        sessions = [await service.create() for _ in range(2)]
        with pytest.raises(AssertionError, match="at-capacity"):
            await service.create()
        await service.client.delete(f"/v1/sessions/{sessions[0]['session_id']}")
        await service.create()
        service.client.headers["Authorization"] = "Bearer other"
        await service.create()
