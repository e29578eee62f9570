"""The cost of a shared store for a frame: one stream over memory and one over Redis, frame by frame in turns.

Two real servers, one with each store, run the same network the same way: `light` by torch in fp32 on one thread, unless
told otherwise. A frame goes to one server and then to the other, so that a busy moment of the machine falls on both.
Frames are small, and Redis runs on this machine. The commit is the stage `store` of `/metrics`: the part of a frame in
which its step is written.

Needs `redis-server`.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._machine import facts
from benchmarks._redis import running_redis
from benchmarks._server import Server
from benchmarks._streams import (
    Chosen,
    Footage,
    client_of,
    percentiles,
    run_loop,
    serving,
    sessions,
    socket_of,
    stage_sums,
    stages_ms,
)

WARM = 10


def run(
    frames: int = 200,
    width: int = 160,
    weights: Path | None = Path("light"),
    runtime: str = "torch",
    precision: str = "fp32",
    threads: int = 1,
) -> dict[str, Any]:
    """Milliseconds from sending a frame to its answer by store, and the mean of its commit."""
    machine, chosen = facts(), Chosen(weights, runtime, precision, threads)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        redis = stack.enter_context(running_redis(Path(folder)))
        stores = {"memory": "memory://", "redis": redis.url}
        servers = {name: stack.enter_context(serving(chosen, STORE=store)) for name, store in stores.items()}
        return {"machine": machine} | run_loop(_measure(servers, Footage.rendered(width), frames))


async def _measure(servers: dict[str, Server], footage: Footage, frames: int) -> dict[str, Any]:
    taken: dict[str, list[float]] = {name: [] for name in servers}
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(client_of(server)) for name, server in servers.items()}
        sockets = {}
        for name, server in servers.items():
            (session,) = await stack.enter_async_context(sessions(clients[name], footage, 1))
            sockets[name], _ = await stack.enter_async_context(socket_of(server, session))
        before = {name: await stage_sums(client) for name, client in clients.items()}
        for index in range(WARM + frames):
            # The first of a turn comes after an idle moment; each store is first in half of the turns.
            turn = list(sockets.items())[:: 1 if index % 2 else -1]
            for name, socket in turn:
                begun = time.perf_counter()
                await socket.send(footage[index + 1])
                answer = json.loads(await socket.recv())
                taken[name].append(1e3 * (time.perf_counter() - begun))
                assert answer["type"] == "result", answer
        commits = {name: stages_ms(before[name], await stage_sums(client)) for name, client in clients.items()}
    times = {name: np.array(values[WARM:]) for name, values in taken.items()}
    return {
        "frames_each": frames,
        "frame_ms": {name: percentiles(values, 3) for name, values in times.items()},
        "redis_minus_memory_ms": percentiles(times["redis"] - times["memory"], 3),
        "commit_mean_ms": {name: stages["store"] for name, stages in commits.items()},
    }


def table(result: dict[str, Any]) -> list[list[str]]:
    """A row for each store and for the difference, milliseconds."""
    rows = [["ms", "p50", "p95", "p99", "commit, mean"]]
    named = {**result["frame_ms"], "redis - memory": result["redis_minus_memory_ms"]}
    for name, values in named.items():
        commit = result["commit_mean_ms"].get(name)
        rows.append([name, *(f"{value:.2f}" for value in values.values()), "" if commit is None else f"{commit:.2f}"])
    return rows


def plot(result: dict[str, Any], figure: Any) -> None:
    """A frame's time, memory beside Redis."""
    axes = figure.subplots()
    axes.set(title="frame", ylabel="ms")
    for offset, (name, values) in enumerate(result["frame_ms"].items()):
        places = [index + 0.4 * offset - 0.2 for index in range(len(values))]
        axes.bar(places, list(values.values()), width=0.4, label=name)
    axes.set_xticks(range(len(values)), list(values))
    axes.legend()
