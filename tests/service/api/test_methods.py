"""HEAD where probes ask it, and 405 says what is allowed."""

from __future__ import annotations

import pytest

from tests.service.conftest import Running

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics"])
async def test_head_is_get_without_its_body(service: Running, path: str) -> None:
    got, headed = await service.client.get(path), await service.client.head(path)
    assert headed.status_code == got.status_code == 200
    assert headed.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        pytest.param("PUT", "/v1/sessions", "POST", id="sessions"),
        pytest.param("POST", "/v1/sessions/a", "DELETE, GET", id="session"),
        pytest.param("GET", "/v1/sessions/a/frames", "POST", id="frames"),
        pytest.param("GET", "/v1/sessions/a/targets/0", "DELETE, PUT", id="target"),
        pytest.param("POST", "/healthz", "GET, HEAD", id="liveness"),
        pytest.param("DELETE", "/v1/model", "GET", id="model"),
        pytest.param("DELETE", "/web/app.js", "GET, HEAD", id="file"),
    ],
)
async def test_405_says_what_is_allowed(service: Running, method: str, path: str, allowed: str) -> None:
    response = await service.client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed


async def test_the_schema_of_a_box_has_four_numbers(service: Running) -> None:
    schemas = service.app.openapi()["components"]["schemas"]
    boxes = [schemas[name]["properties"]["box"] for name in ("CreateIn", "PlaceIn", "TargetIn")]
    assert [(box["minItems"], box["maxItems"]) for box in boxes] == [(4, 4)] * 3
