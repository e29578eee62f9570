"""The dependencies of routes."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from service.api.dependencies import charge_frame, components_of, owner_of, rate_limit_key
from service.api.keys import ANYONE, Keyring
from service.api.rate_limit import RateLimiter
from service.errors import RateLimited, ShuttingDown, Unauthorized
from tests.service.conftest import Running
from tests.support.clock import Clock

pytestmark = pytest.mark.anyio


def connection(app: Any, host: str | None = "192.0.2.1", key: str | None = None) -> HTTPConnection:
    headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
    client = (host, 50000) if host else None
    return HTTPConnection({"type": "http", "app": app, "headers": headers, "client": client})


async def test_before_the_start_there_are_no_components() -> None:
    with pytest.raises(ShuttingDown):
        components_of(connection(SimpleNamespace(state=SimpleNamespace())))


async def test_components_are_the_applications(service: Running) -> None:
    assert components_of(connection(service.app)) is service.components


async def test_owners(service: Running) -> None:
    assert owner_of(connection(service.app), service.components) == ANYONE
    keyed = dataclasses.replace(service.components, keyring=Keyring(["sesame"]))
    owner = owner_of(connection(service.app, key="sesame"), keyed)
    assert owner != ANYONE
    with pytest.raises(Unauthorized):
        owner_of(connection(service.app, key="wrong"), keyed)
    # With keys the bucket is the key's, whatever the address; without keys it is the address's.
    assert rate_limit_key(connection(service.app, key="sesame"), keyed, owner) == owner
    assert rate_limit_key(connection(service.app), service.components, ANYONE) == "192.0.2.1"
    assert rate_limit_key(connection(service.app, host=None), service.components, ANYONE) == ANYONE


async def test_frames_are_taken_from_the_senders_bucket(service: Running) -> None:
    clock = Clock()
    components = dataclasses.replace(service.components, rate=RateLimiter(1, clock))
    charge_frame(connection(service.app), components, ANYONE)
    with pytest.raises(RateLimited) as caught:
        charge_frame(connection(service.app), components, ANYONE)
    assert caught.value.retry_after_s == pytest.approx(1)
    charge_frame(connection(service.app, host="192.0.2.2"), components, ANYONE)
    clock.advance(1)
    charge_frame(connection(service.app), components, ANYONE)
