"""Fixtures: the service around a fake predictor, with an event loop for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.components import Components
from service.app import create_app
from service.settings import Settings
from tests.support import blobs
from tests.support.fake_predictor import FakePredictor
from tests.support.redis_server import RedisServer, running_redis

Json = dict[str, Any]


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the service does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.upper().startswith("SIAMFC_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of the `paper` network, untrained."""
    import torch

    from model.checkpoints import Weights, save_weights
    from model.config import Preprocessing, preset
    from model.network import SiamFC, initialise

    network = SiamFC(preset("paper"))
    initialise(network, torch.Generator().manual_seed(0))
    # Scaled so that logits are about one.
    torch.nn.init.constant_(network.match_norm.weight, 1e-5)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(path, Weights(network, Preprocessing(mean=127.0, std=64.0)))
    return path


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis shared by all tests that leave it running. Skips without a redis-server."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """An empty Redis."""
    assert redis_server.say("FLUSHALL") == b"+OK\r\n"
    return redis_server


@dataclass(frozen=True)
class Running:
    """A started application: its components, its predictor, and an HTTP client of it."""

    app: FastAPI
    components: Components
    predictor: FakePredictor
    client: httpx.AsyncClient

    async def create(self, x: float = 60, y: float = 50, **fields: Any) -> Json:
        """Create a session that follows the square at (x, y)."""
        files = {"frame": ("0.png", blobs.frame(x, y), "image/png")}
        data = {"box": ",".join(map(str, blobs.box(x, y)))} | fields
        response = await self.client.post("/v1/sessions", files=files, data=data)
        assert response.status_code == 201, response.text
        body: Json = response.json()
        return body

    async def post_frame(self, session_id: str, data: bytes) -> httpx.Response:
        """Post one more frame."""
        path = f"/v1/sessions/{session_id}/frames"
        return await self.client.post(path, content=data, headers={"Content-Type": "image/png"})


RunService = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def run_service(random_weights: Path) -> RunService:
    """A function that starts the whole application around a fake predictor, with settings by name."""

    @asynccontextmanager
    async def start(predictor: FakePredictor | None = None, **settings: Any) -> AsyncIterator[Running]:
        fake = predictor if predictor is not None else FakePredictor()
        names = {"device": "cpu", "precision": "fp32", "runtime": "torch"}
        app = create_app(
            Settings(weights=random_weights, **settings), make_predictor=lambda weights, known, slots: (fake, names)
        )
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                yield Running(app, app.state.components, fake, client)

    return start


@pytest.fixture
async def service(run_service: RunService) -> AsyncIterator[Running]:
    """The whole application, started with small limits."""
    async with run_service(max_sessions=4, max_targets=3, max_frame_bytes=50_000, max_frame_pixels=40_000) as running:
        yield running
