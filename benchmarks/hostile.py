"""Honest cameras beside each kind of hostile client: their latency with the attack and without it, in one run.

For every attack the cameras stream first without it and then beside two hostile clients; meanwhile somebody asks for
`/healthz` again and again. Aimed at: p99 at most twice its value without the attack, every frame answered once,
`/healthz` within a second. Clients and server share the machine: what the attackers cost is in the figures.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks._attacks import CLIENTS, Attack, attacks
from benchmarks._machine import facts
from benchmarks._server import Server
from benchmarks._streams import (
    Chosen,
    Footage,
    Json,
    Streamed,
    camera,
    client_of,
    model_of,
    percentiles,
    run_loop,
    serving,
    sessions,
)

P99_MOST, HEALTH_S = 2.0, 1.0
"""The aims: p99 over its value without the attack, and the longest wait for `/healthz` in seconds."""

_LOOK_S = 0.05
_SETTLE_S = 0.3


def run(
    seconds: float = 3.0,
    cameras: int = 2,
    fps: float = 5.0,
    width: int = 320,
    only: str | None = None,
    weights: Path | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> dict[str, Any]:
    """`seconds` with each attack and as many without; `only`: the attacks whose name holds this text."""
    machine, footage, chosen = facts(), Footage.rendered(width), Chosen(weights, runtime, precision, threads)
    wanted = {name: attack for name, attack in attacks(footage[0]).items() if only is None or only in name}
    with serving(chosen) as server:
        rows, model = run_loop(_measure(server, footage, wanted, seconds, cameras, fps))
    aims = {"p99_over_quiet": P99_MOST, "healthz_s": HEALTH_S}
    return {"machine": machine, "model": model, "cameras": cameras, "fps": fps, "attacks": rows, "aims": aims}


async def _measure(
    server: Server, footage: Footage, wanted: dict[str, Attack], seconds: float, cameras: int, fps: float
) -> tuple[dict[str, Json], Json]:
    rows = {}
    async with client_of(server) as client:
        model = await model_of(client)
        for name, attack in wanted.items():
            async with sessions(client, footage, cameras) as honest, sessions(client, footage, CLIENTS) as theirs:
                quiet = await _honest(server, client, honest, footage, seconds, fps)
                block = attack(server.url, [session["session_id"] for session in theirs])
                await asyncio.to_thread(block.__enter__)
                try:
                    await asyncio.sleep(_SETTLE_S)
                    attacked = await _honest(server, client, honest, footage, seconds, fps)
                finally:
                    await asyncio.to_thread(block.__exit__, None, None, None)
            rows[name] = {"quiet": quiet, "attacked": attacked, "p99_over_quiet": _ratio(attacked, quiet)}
            print(f"{name}: p99 {rows[name]['p99_over_quiet']} times, /healthz {attacked['healthz_s']} s", flush=True)
    return rows, model


async def _honest(
    server: Server, client: httpx.AsyncClient, honest: list[Json], footage: Footage, seconds: float, fps: float
) -> Json:
    """The cameras' latencies, whether every frame was answered once and in order, `/healthz`, and the memory."""
    first = time.perf_counter()
    looking = asyncio.create_task(_look(client))
    streams: list[Streamed] = await asyncio.gather(
        *(camera(server, session, footage, fps=fps, seconds=seconds, first=first) for session in honest)
    )
    looking.cancel()
    (times,) = await asyncio.gather(looking)
    return {
        "latency_ms": percentiles([value for streamed in streams for value in streamed.latencies_ms()]),
        "sent": sum(len(streamed.sent) for streamed in streams),
        "results": sum(streamed.kinds().count("result") for streamed in streams),
        "all_in_order": all(streamed.in_order for streamed in streams),
        "healthz_s": round(max(times, default=0.0), 3),
        "memory_mb": _memory_mb(server),
    }


async def _look(client: httpx.AsyncClient) -> list[float]:
    times: list[float] = []
    try:
        while True:
            begun = time.perf_counter()
            (await client.get("/healthz")).raise_for_status()
            times.append(time.perf_counter() - begun)
            await asyncio.sleep(_LOOK_S)
    except asyncio.CancelledError:
        return times


def _memory_mb(server: Server) -> float | None:
    """The server's resident memory, where the system says it."""
    try:
        status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    return round(int(status.partition("VmRSS:")[2].split()[0]) / 1024, 1)


def _ratio(attacked: Json, quiet: Json) -> float | None:
    if attacked["latency_ms"] is None or quiet["latency_ms"] is None:
        return None
    return round(float(attacked["latency_ms"]["p99"] / quiet["latency_ms"]["p99"]), 2)


def table(result: dict[str, Any]) -> list[list[str]]:
    """A row for every attack."""
    rows = [["attack", "p99 without", "p99 with", "times", "answered in order", "longest /healthz", "memory"]]
    for name, each in result["attacks"].items():
        quiet, attacked = each["quiet"], each["attacked"]
        rows.append(
            [
                name,
                *(f"{side['latency_ms']['p99']} ms" if side["latency_ms"] else "" for side in (quiet, attacked)),
                str(each["p99_over_quiet"]),
                str(attacked["all_in_order"]),
                f"{attacked['healthz_s']} s",
                f"{quiet['memory_mb']} to {attacked['memory_mb']} MB",
            ]
        )
    return rows
