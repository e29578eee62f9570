"""Servers that live as long as the test session: starting one costs seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.integration.browser import ARGUMENTS, CHROMIUM, opened_page
from tests.integration.calls import http_client
from tests.support.redis_server import RedisServer, running_redis
from tests.support.server import Server, running_server

KEYS = ("first-key", "second-key/with+signs=")
ORIGIN = "https://app.example"
HOST = "tracker.example"
"""Another name of the shared server."""
SMALL = {"MAX_SESSIONS": "2", "MAX_TARGETS": "3", "MAX_FRAME_BYTES": "20000", "MAX_FRAME_PIXELS": "40000"}


@pytest.fixture(scope="session")
def weights_file() -> Path:
    """The bundled default."""
    from model.checkpoints import bundled_weights

    return bundled_weights()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A store of the module's own."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def _server(tmp_path_factory: pytest.TempPathFactory, name: str, **settings: str) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server") / f"{name}.log", **settings) as server:
        yield server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, weights_file: Path) -> Iterator[Server]:
    """The server most tests share."""
    yield from _server(tmp_path_factory, "default", WEIGHTS=str(weights_file), ALLOWED_HOSTS=HOST)


@pytest.fixture(scope="session")
def small_server(tmp_path_factory: pytest.TempPathFactory, weights_file: Path) -> Iterator[Server]:
    """A server with low limits (`SMALL`)."""
    yield from _server(tmp_path_factory, "small", WEIGHTS=str(weights_file), **SMALL)


@pytest.fixture(scope="session")
def keyed_server(tmp_path_factory: pytest.TempPathFactory, weights_file: Path) -> Iterator[Server]:
    """A server that asks for one of `KEYS` and lets pages of `ORIGIN` call."""
    settings = {"API_KEYS": ",".join(KEYS), "CORS_ORIGINS": ORIGIN}
    yield from _server(tmp_path_factory, "keyed", WEIGHTS=str(weights_file), **settings)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """An HTTP client of the shared server."""
    with http_client(server) as made:
        yield made


@pytest.fixture
def small_client(small_server: Server) -> Iterator[httpx.Client]:
    """An HTTP client of the small server."""
    with http_client(small_server) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium with a camera that is not one. Its event loop must not outlive the tests that know of it."""
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)) as launched,
    ):
        yield launched


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page; whatever goes wrong in its scripts, or is blocked by its policy, fails the test."""
    with opened_page(browser) as opened:
        yield opened
