"""What a shared store costs a frame: the same stream over memory and over Redis, by turns, in one process.

The network is left out: a stand-in answers at once, and frames come without a network connection, so that the store is
most of what differs. Redis is a real one, on this machine. Everything else is the service's own: socket protocol,
decoding of a small PNG, tracking, the commit of each step.

Needs `redis-server`.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI

from benchmarks._machine import facts
from benchmarks._streams import percentiles
from model.checkpoints import bundled_weights, load_weights
from service.app import create_app
from service.settings import Settings
from tests.support import blobs
from tests.support.asgi_socket import AsgiSocket, connect
from tests.support.fake_predictor import FakePredictor
from tests.support.redis_server import running_redis

FRAMES, WARM = 200, 10


def run() -> dict[str, Any]:
    """Milliseconds from sending a frame to its answer, and those of its commit; memory and Redis take turns."""
    machine = facts()
    with tempfile.TemporaryDirectory() as folder, running_redis(Path(folder)) as redis:
        return {"machine": machine} | asyncio.run(_measure(redis.url))


async def _measure(url: str) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        apps = {
            name: await stack.enter_async_context(_service(store))
            for name, store in (("memory", "memory://"), ("redis", url))
        }
        sockets = {name: await stack.enter_async_context(_stream(app)) for name, app in apps.items()}
        commits = {name: _timed_commits(app) for name, app in apps.items()}
        taken: dict[str, list[float]] = {name: [] for name in sockets}
        for index in range(WARM + FRAMES):
            frame = blobs.frame(40 + index % 20, 50)
            for name, socket in sockets.items():
                begun = time.perf_counter()
                socket.send_frame(frame)
                answer = await socket.receive()
                taken[name].append(1e3 * (time.perf_counter() - begun))
                assert answer["type"] == "result", answer
    steps = {name: np.array(values[WARM:]) for name, values in commits.items()}
    times = {name: np.array(values[WARM:]) for name, values in taken.items()}
    return {
        "frames_each": FRAMES,
        "frame_ms": {name: percentiles(values, 3) for name, values in times.items()},
        # Frame by frame, so that a busy moment of the machine falls on both.
        "redis_minus_memory_ms": percentiles(times["redis"] - times["memory"], 3),
        "commit_ms": {name: percentiles(values, 3) for name, values in steps.items()},
        "redis_minus_memory_commit_ms": percentiles(steps["redis"] - steps["memory"], 3),
    }


@asynccontextmanager
async def _service(store: str) -> AsyncIterator[FastAPI]:
    predictor, names = FakePredictor(), {"device": "none", "precision": "none", "runtime": "none"}
    app = create_app(
        Settings(store=store),
        make_predictor=lambda weights, settings, slots: (predictor, names),
        weights=load_weights(bundled_weights()),
    )
    async with app.router.lifespan_context(app):
        yield app


@asynccontextmanager
async def _stream(app: FastAPI) -> AsyncIterator[AsgiSocket]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench") as client:
        files = {"frame": ("0.png", blobs.frame(40, 50), "image/png")}
        box = ",".join(map(str, blobs.box(40, 50)))
        made = await client.post("/v1/sessions", files=files, data={"box": box})
        made.raise_for_status()
    async with connect(app, made.json()["stream_url"]) as socket:
        assert (await socket.receive())["type"] == "ready"
        yield socket


def table(result: dict[str, Any]) -> list[list[str]]:
    """A row a measure, milliseconds."""
    rows = [["ms", "p50", "p95", "p99"]]
    for measure, label in (("ms", "frame"), ("commit_ms", "its commit")):
        sides = result["frame_ms" if measure == "ms" else measure]
        named = {**sides, "redis - memory": result[f"redis_minus_memory_{measure}"]}
        rows += [[f"{label}, {name}", *(f"{value:.2f}" for value in values.values())] for name, values in named.items()]
    return rows


def plot(result: dict[str, Any], figure: Any) -> None:
    """Frame and commit, memory beside Redis."""
    for axes, measure in zip(figure.subplots(1, 2), ("frame_ms", "commit_ms"), strict=True):
        axes.set(title=measure.removesuffix("_ms"), ylabel="ms")
        for offset, (name, values) in enumerate(result[measure].items()):
            places = [index + 0.4 * offset - 0.2 for index in range(len(values))]
            axes.bar(places, list(values.values()), width=0.4, label=name)
        axes.set_xticks(range(len(values)), list(values))
        axes.legend()


def _timed_commits(app: FastAPI) -> list[float]:
    """Milliseconds of every step's commit from now on: the part of a frame that is the store's."""
    leases = app.state.components.driving
    commit, taken = leases.commit, list[float]()

    async def timed(*arguments: Any, **options: Any) -> None:
        begun = time.perf_counter()
        await commit(*arguments, **options)
        taken.append(1e3 * (time.perf_counter() - begun))

    leases.commit = timed
    return taken
