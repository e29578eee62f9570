"""The cost of a session: memory of ten thousand idle ones in a real server, and how many begin and end in a second.

The server's resident memory before, with all of them, and after all are deleted; what was warmed up before is not
counted. On a CPU a target's slot, whose pages are touched when it is first used, is part of that; on a GPU the slots
are allocated at the start, for as many targets as the settings allow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from benchmarks._machine import facts
from benchmarks._server import Server
from benchmarks._streams import Chosen, Footage, client_of, create, delete, model_of, resident_bytes, run_loop, serving
from model.checkpoints import find_weights, load_weights

AIM_PER_S = 50.0
"""Sessions begun and ended in a second, on a CPU."""

Made = TypeVar("Made")


def run(
    sessions: int = 10_000,
    churn: int = 500,
    at_once: int = 16,
    width: int = 320,
    weights: Path | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> dict[str, Any]:
    """`sessions` idle at the same time; `churn` of them begun and ended in turn, `at_once` under way."""
    machine, footage = facts(), Footage.rendered(width, 2)
    config = load_weights(find_weights(weights)).network.config
    slot_bytes = 2 * config.channels * config.exemplar_side**2
    settings = {"MAX_SESSIONS": sessions + churn, "MAX_TARGETS": 1, "SESSION_TTL_S": 86_400}
    with serving(Chosen(weights, runtime, precision, threads), **settings) as server:
        measured = run_loop(_measure(server, footage, sessions, churn, at_once))
    return {"machine": machine, "sessions": sessions, "slot_bytes": slot_bytes} | measured


async def _measure(server: Server, footage: Footage, count: int, churn: int, at_once: int) -> dict[str, Any]:
    async with client_of(server) as client:
        model = await model_of(client)
        await _pairs(client, footage, churn, at_once)  # warm
        resident, begun = {"before": resident_bytes(server)}, time.perf_counter()
        made = await bounded([partial(create, client, footage)] * count, at_once)
        resident["full"], created_s = resident_bytes(server), time.perf_counter() - begun
        begun = time.perf_counter()
        await bounded([partial(delete, client, session) for session in made], at_once)
        resident["after_deleting"], deleted_s = resident_bytes(server), time.perf_counter() - begun
        pairs = {most: await _pairs(client, footage, churn, most) for most in (1, at_once)}
    return {
        "model": model,
        "resident_mb": {name: round(value / 2**20, 1) for name, value in resident.items()},
        "host_bytes_a_session": round((resident["full"] - resident["before"]) / count),
        "slots_are": "part of the host's bytes" if model["device"] == "cpu" else "on the device, beside them",
        "creates_per_s": round(count / created_s, 1),
        "deletes_per_s": round(count / deleted_s, 1),
        "create_and_delete_per_s": {f"{most} at once": value for most, value in pairs.items()},
        "aims": {"create_and_delete_per_s": AIM_PER_S},
    }


async def bounded(calls: list[Callable[[], Awaitable[Made]]], at_once: int) -> list[Made]:
    """The results of the calls, in order; at most `at_once` calls run at the same time."""
    room = asyncio.Semaphore(at_once)

    async def one(call: Callable[[], Awaitable[Made]]) -> Made:
        async with room:
            return await call()

    return await asyncio.gather(*map(one, calls))


async def _pairs(client: httpx.AsyncClient, footage: Footage, count: int, at_once: int) -> float:
    """Sessions begun and ended, a second."""

    async def pair() -> None:
        await delete(client, await create(client, footage))

    begun = time.perf_counter()
    await bounded([pair] * count, at_once)
    return round(count / (time.perf_counter() - begun), 1)


def table(result: dict[str, Any]) -> list[list[str]]:
    """The figures one below the other."""
    resident, pairs = result["resident_mb"], result["create_and_delete_per_s"]
    return [
        ["", f"{result['sessions']} sessions of one target"],
        ["resident before, MB", f"{resident['before']:.0f}"],
        ["with all, MB", f"{resident['full']:.0f}"],
        ["after deleting, MB", f"{resident['after_deleting']:.0f}"],
        ["host bytes a session", f"{result['host_bytes_a_session']}"],
        ["of a slot", f"{result['slot_bytes']}, {result['slots_are']}"],
        ["created a second", f"{result['creates_per_s']:.0f}"],
        ["deleted a second", f"{result['deletes_per_s']:.0f}"],
        *([f"created and deleted a second, {how}", f"{value:.0f}"] for how, value in pairs.items()),
    ]


def plot(result: dict[str, Any], figure: Any) -> None:
    """Resident memory before, with all sessions, and after."""
    axes = figure.add_subplot(ylabel="resident, MB", title=f"{result['sessions']} idle sessions")
    resident = result["resident_mb"]
    axes.bar_label(axes.bar([name.replace("_", " ") for name in resident], list(resident.values())), fmt="%.0f")
