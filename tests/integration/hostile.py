"""What an attack does to a server's other callers: how long `/healthz` takes meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.integration.calls import POLL_S, http_client
from tests.support.server import Server

HEALTHY_S = 1.0
"""`/healthz` must answer within this, whatever one client does."""

_QUIET = 20


@dataclass
class Watch:
    """The times of `/healthz` during an attack, in seconds; `quiet_s`: the longest one just before it."""

    quiet_s: float
    times: list[float] = field(default_factory=list)

    @property
    def worst_s(self) -> float:
        """The longest time, less what a busy machine takes without any attack."""
        return max(self.times) - self.quiet_s


@contextmanager
def watched(server: Server) -> Iterator[Watch]:
    """Ask for `/healthz` again and again while the block runs."""
    with http_client(server) as client:
        watch, ended = Watch(max(_time(client) for _ in range(_QUIET))), threading.Event()

    def look() -> None:
        with http_client(server) as client:
            while not watch.times or not ended.is_set():
                watch.times.append(_time(client))
                ended.wait(POLL_S)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


def _time(client: httpx.Client) -> float:
    begun = time.monotonic()
    assert client.get("/healthz").status_code == 200
    return time.monotonic() - begun


def attacked(server: Server, attack: Callable[[httpx.Client], httpx.Response]) -> tuple[httpx.Response, float]:
    """Make one hostile call; returns its answer, and the longest time of `/healthz` meanwhile in seconds."""
    with http_client(server) as client, watched(server) as watch:
        answer = attack(client)
    return answer, watch.worst_s
