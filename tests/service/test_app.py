"""The whole application: start, stop, error responses, and the OpenAPI document."""

from __future__ import annotations

import re
import threading
from typing import Any

import httpx
import pytest

from model.errors import CheckpointError
from service.app import create_app
from service.settings import Settings
from tests.service.conftest import Running, RunService
from tests.support import blobs
from tests.support.fake_predictor import FakePredictor
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio

ORIGIN = "https://app.example"


async def document(service: Running) -> dict[str, Any]:
    body: dict[str, Any] = (await service.client.get("/openapi.json")).json()
    return body


def references(node: Any) -> set[str]:
    if isinstance(node, list):
        return {each for child in node for each in references(child)}
    if not isinstance(node, dict):
        return set()
    here = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return here.union(*(references(child) for child in node.values()))


def resolve(made: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/"), reference
    node: Any = made
    for part in reference[2:].split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


async def test_no_reference_of_the_openapi_document_dangles(service: Running) -> None:
    made = await document(service)
    found = references(made)
    assert "#/components/schemas/TargetIn" in found
    for reference in found:
        resolve(made, reference)
    assert "$defs" not in str(made)


async def test_both_forms_of_a_body_are_described(service: Running) -> None:
    made = await document(service)
    for path, method, schema in (
        ("/v1/sessions", "post", "CreateIn"),
        ("/v1/sessions/{session_id}/targets/{target_id}", "put", "PlaceIn"),
    ):
        content = made["paths"][path][method]["requestBody"]["content"]
        assert content["application/json"]["schema"] == {"$ref": f"#/components/schemas/{schema}"}
        assert "frame" in content["multipart/form-data"]["schema"]["required"]
        assert "frame" in made["components"]["schemas"][schema]["required"]


async def test_refusals_are_described_as_problems(service: Running) -> None:
    made = await document(service)
    operations = [
        (path, operation)
        for path, methods in made["paths"].items()
        for operation in methods.values()
        if path.startswith("/v1/sessions")
    ]
    assert len(operations) == 6
    for path, operation in operations:
        refusals = {status for status in operation["responses"] if int(status) >= 400}
        assert refusals >= {"401", "404", "409", "413", "415", "422", "429", "503"}, path
        for status in refusals:
            assert operation["responses"][status]["content"].keys() == {"application/problem+json"}


async def test_the_key_is_described_on_the_calls_that_need_it(service: Running) -> None:
    made = await document(service)
    (name,) = made["components"]["securitySchemes"]
    for path, methods in made["paths"].items():
        for operation in methods.values():
            assert (operation.get("security") == [{}, {name: []}]) == path.startswith("/v1/"), path


async def test_a_second_application_has_the_same_document(service: Running, run_service: RunService) -> None:
    async with run_service() as other:
        assert await document(other) == await document(service)
        assert await document(service) == await document(service)


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        pytest.param("GET", "/nope", 404, "not-found", id="no-such-page"),
        pytest.param("PUT", "/v1/sessions", 405, "method-not-allowed", id="no-such-method"),
        pytest.param("POST", "/web/app.js", 405, "method-not-allowed", id="static"),
    ],
)
async def test_routing_errors_are_problems(service: Running, method: str, path: str, status: int, slug: str) -> None:
    response = await service.client.request(method, path)
    assert response.status_code == response.json()["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == f"about:blank#{slug}"
    assert f'siamfc_refusals_total{{problem="{slug}"}} 1.0' in service.components.metrics.render().decode()


async def test_a_bug_is_a_problem_without_its_text(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ArithmeticError("/secret/path")

    monkeypatch.setattr(service.components.leases, "read", broken)
    response = await service.client.get("/v1/sessions/x")
    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
    assert response.json()["type"] == "about:blank#internal-error"
    assert "secret" not in response.text


async def test_bodies_are_bounded(service: Running) -> None:
    response = await service.client.post("/v1/sessions", content=bytes(700_000))
    assert (response.status_code, response.json()["type"]) == (413, "about:blank#payload-too-large")

    async def endless() -> Any:
        for _ in range(100):
            yield bytes(10_000)

    response = await service.client.post(
        "/v1/sessions", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert (response.status_code, response.json()["type"]) == (413, "about:blank#payload-too-large")


async def test_pages_of_allowed_origins_may_call(run_service: RunService, service: Running) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "Authorization",
    }
    async with run_service(cors_origins=ORIGIN) as open_to_pages:
        for method, path in (("OPTIONS", "/v1/sessions/x/targets/0"), ("GET", "/v1/sessions/nope")):
            response = await open_to_pages.client.request(method, path, headers=asked)
            assert response.headers["access-control-allow-origin"] == ORIGIN
        response = await open_to_pages.client.get("/healthz", headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in response.headers
    response = await service.client.get("/healthz", headers=asked)
    assert "access-control-allow-origin" not in response.headers


async def test_idle_sessions_expire_by_themselves(run_service: RunService) -> None:
    async with run_service() as service:
        await service.create(ttl_s=0.01)
        await eventually(lambda: "siamfc_slots_used 0.0" in service.components.metrics.render().decode())
        assert 'siamfc_sessions_ended_total{reason="expired"} 1.0' in service.components.metrics.render().decode()


async def test_stopping_ends_the_worker(run_service: RunService) -> None:
    async with run_service() as service:
        await service.create()
        assert service.components.batcher.failure is None
    assert service.components.batcher.failure is not None
    assert not any(thread.name == "engine" for thread in threading.enumerate())


async def test_while_it_stops_no_session_is_admitted(service: Running) -> None:
    service.components.tracking.registry.close()
    files = {"frame": ("f.png", blobs.frame(60, 50), "image/png")}
    response = await service.client.post("/v1/sessions", files=files, data={"box": "60,50,16,16"})
    assert (response.status_code, response.json()["type"]) == (503, "about:blank#shutting-down")


async def test_before_the_start_calls_are_refused() -> None:
    app = create_app(Settings())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/v1/model")).status_code == 503
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200


async def test_a_model_that_does_not_work_fails_the_start(run_service: RunService) -> None:
    predictor = FakePredictor()
    predictor.fail("probe", RuntimeError("no kernel"))
    with pytest.raises(RuntimeError, match="no kernel"):
        async with run_service(predictor):
            pass


async def test_missing_weights_fail_the_start(tmp_path: Any) -> None:
    app = create_app(Settings(weights=tmp_path / "missing.safetensors"))
    with pytest.raises(CheckpointError, match="missing"):
        async with app.router.lifespan_context(app):
            pass


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
async def test_the_real_predictor_serves_too(random_weights: Any, runtime: Any) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="the extra openvino is not installed")
    named: Any = {"device": "cpu", "runtime": runtime, "precision": "fp32", "threads": 1}
    settings = Settings(weights=random_weights, max_sessions=1, max_targets=1, **named)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            facts = (await client.get("/v1/model")).json()
            assert (facts["device"], facts["precision"], facts["runtime"]) == ("cpu", "fp32", runtime)
            files = {"frame": ("f.png", blobs.frame(60, 50), "image/png")}
            response = await client.post("/v1/sessions", files=files, data={"box": "60,50,16,16"})
            path = response.headers["location"]
            response = await client.post(
                f"{path}/frames", content=blobs.frame(60, 50), headers={"Content-Type": "image/png"}
            )
            (target,) = response.json()["targets"]
            assert re.fullmatch("tracking|uncertain|lost", target["status"])
            assert all(abs(a - b) < 64 for a, b in zip(target["box"], (60, 50, 16, 16), strict=True))
