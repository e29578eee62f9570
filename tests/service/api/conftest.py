"""Helpers that speak to a stream of the running application."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from tests.service.conftest import Running
from tests.support.asgi_socket import AsgiSocket, connect


def stream(
    service: Running, session: dict[str, Any], query: str = "", **options: Any
) -> AbstractAsyncContextManager[AsgiSocket]:
    """Connect to the session's stream."""
    return connect(service.app, session["stream_url"], query, **options)


async def ask(socket: AsgiSocket, data: bytes) -> dict[str, Any]:
    """Send a frame and return the next message."""
    socket.send_frame(data)
    return await socket.receive()


def count(service: Running, sample: str) -> float:
    """Read a metric by the name and labels that /metrics writes; 0 if it is not there yet."""
    lines = service.components.metrics.render().decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{sample} ")), 0.0)


def dropped(service: Running) -> float:
    """Count the frames that were answered as dropped."""
    return count(service, 'siamfc_frames_total{outcome="dropped"}')
