"""Both clients of the fake server."""

from __future__ import annotations

from typing import Any

import pytest

from siamfc import AsyncClient, Client
from tests.support.clients import AT_ONCE, Awaited, MakeClient
from tests.support.fake_server import FakeServer


@pytest.fixture(params=["blocking", "asyncio"])
def make(request: pytest.FixtureRequest, server: FakeServer) -> MakeClient:
    """Makes a client of the server."""

    def make(**options: Any) -> Any:
        options = {"base_url": server.url, "timeout_s": 20.0, "reconnect": AT_ONCE, **options}
        return AsyncClient(**options) if request.param == "asyncio" else Awaited(Client(**options))

    return make
