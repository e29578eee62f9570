"""Liveness, readiness, and the model's description."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.service.conftest import Running
from tests.support import blobs
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio


async def test_alive_and_ready(service: Running) -> None:
    for path, status in (("/healthz", "ok"), ("/readyz", "ready")):
        response = await service.client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": status})


async def test_draining_is_alive_but_not_ready(service: Running) -> None:
    await service.components.drain.finish(1)
    response = await service.client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"status": "draining"})
    assert (await service.client.get("/healthz")).status_code == 200


async def test_a_model_that_fails_is_not_ready_until_it_works_again(service: Running) -> None:
    session = await service.create()
    service.predictor.fail("respond", RuntimeError("device lost"))
    with service.predictor.held("probe"):
        await service.post_frame(session["session_id"], b"")  # not an image: no fault of the model
        assert (await service.client.get("/readyz")).status_code == 200
        await service.post_frame(session["session_id"], blobs.frame(61, 50))
        response = await service.client.get("/readyz")
        assert response.status_code == 503
        assert "RuntimeError" in response.json()["status"]
        assert "siamfc_ready 0.0" in (await service.client.get("/metrics")).text
    await eventually(lambda: service.components.batcher.failure is None)
    assert (await service.client.get("/readyz")).status_code == 200
    assert "siamfc_ready 1.0" in (await service.client.get("/metrics")).text


async def test_metrics_are_prometheus_text(service: Running) -> None:
    response = await service.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "siamfc_frames" in response.text


@pytest.fixture
def weights_digest(random_weights: Path) -> str:
    return hashlib.sha256(random_weights.read_bytes()).hexdigest()


async def test_model(service: Running, weights_digest: str) -> None:
    facts = (await service.client.get("/v1/model")).json()
    assert facts == {
        "network": "paper",
        "stride": 8,
        "exemplar_size": 127,
        "search_size": 255,
        "map_size": 17,
        # Sixteen values a cell between the corners: 16 * 16 + 1.
        "upscaled_map_size": 257,
        "embedding_channels": 256,
        "scales": pytest.approx([1 / 1.0375, 1, 1.0375]),
        "weights_sha256": weights_digest,
        "device": "cpu",
        "precision": "fp32",
        "runtime": "torch",
        "parts": True,
    }
