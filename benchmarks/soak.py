"""Minutes of mixed load with clients that come, go, break and correct: memory, errors, every frame answered once.

Each client visits again and again. A visit begins a session of one to three targets and drives it over one to three
connections, in `every` or `latest`: frames, some of them damaged, boxes corrected, targets added and removed. A
connection ends with `end`, with a plain close, or by breaking off in the middle. Most sessions are deleted, the others
left to expire. Shown: what was answered, every rule that was broken, and how the server's resident memory went: where
it began, stood at half time and ended, what is still held when every session is gone, and its slope over the second
half and over the last quarter, in which a cache that fills has levelled off and a leak has not.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks._machine import facts
from benchmarks._server import Server
from benchmarks._streams import (
    Chosen,
    Footage,
    client_of,
    gauges,
    model_of,
    percentiles,
    resident_bytes,
    run_loop,
    serving,
)
from benchmarks._visits import Record, Visitor

_SAMPLES = 120
_POLL_S = 0.25


def run(
    minutes: float = 10.0,
    clients: int = 8,
    seed: int = 0,
    expiry_s: float = 30.0,
    width: int = 320,
    weights: Path | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> dict[str, Any]:
    """`clients` at once, for so many minutes; what they do is drawn from the seed. Sessions left live `expiry_s`."""
    machine, footage = facts(), Footage.rendered(width)
    settings = {"SESSION_TTL_S": expiry_s, "MAX_TARGETS": 4}
    with serving(Chosen(weights, runtime, precision, threads), **settings) as server:
        measured = run_loop(_measure(server, footage, 60 * minutes, clients, seed, expiry_s))
    return {"machine": machine, "minutes": minutes, "clients": clients, "seed": seed} | measured


async def _measure(
    server: Server, footage: Footage, seconds: float, clients: int, seed: int, expiry_s: float
) -> dict[str, Any]:
    record = Record()
    async with client_of(server) as client:
        model = await model_of(client)
        begun = time.monotonic()
        visitors = [Visitor(server, client, footage, record, np.random.default_rng([seed, k])) for k in range(clients)]
        sampling = asyncio.create_task(_sample(server, begun, seconds))
        async with asyncio.TaskGroup() as group:
            for visitor in visitors:
                group.create_task(visitor.visit_until(begun + seconds))
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
        samples = sampling.result() if not sampling.cancelled() else []
        left = await _settled(client, server, expiry_s)
    return {
        "model": model,
        "counts": dict(sorted(record.counts.items())),
        "broken_rules": record.broken[:20],
        "broken_rules_count": len(record.broken),
        "latency_ms": percentiles(record.latencies_ms),
        "resident_mb": samples,
        "memory_mb": marks(samples),
        "slope_mb_a_minute": slope(samples),
        "last_slope_mb_a_minute": slope(samples, 0.25),
        "left_after_expiry": left,
    }


async def _sample(server: Server, begun: float, seconds: float) -> list[tuple[float, float]]:
    """Resident MB by seconds since the beginning; ends with what it has when it is cancelled."""
    samples: list[tuple[float, float]] = []
    try:
        while True:
            samples.append((round(time.monotonic() - begun, 1), round(resident_bytes(server) / 2**20, 1)))
            await asyncio.sleep(seconds / _SAMPLES)
    except asyncio.CancelledError:
        return samples


def slope(samples: list[tuple[float, float]], share: float = 0.5) -> float | None:
    """MB a minute over the last `share` of the samples; None of too few."""
    late = np.array(samples[round(len(samples) * (1 - share)) :])
    if len(late) < 3:
        return None
    return round(60 * float(np.polyfit(late[:, 0], late[:, 1], 1)[0]), 3)


def marks(samples: list[tuple[float, float]]) -> dict[str, float]:
    """Resident MB at the beginning, at half time, at the end and at most; nothing of no samples."""
    sizes = [size for _, size in samples]
    if not sizes:
        return {}
    return {"begin": sizes[0], "half": sizes[len(sizes) // 2], "end": sizes[-1], "most": max(sizes)}


async def _settled(client: httpx.AsyncClient, server: Server, expiry_s: float) -> dict[str, float]:
    """The gauges, once every session that was left has expired, or should have."""
    ends = time.monotonic() + expiry_s + 10
    while True:
        left = await gauges(client, server)
        if not left["siamfc_sessions_active"] or time.monotonic() >= ends:
            return left
        await asyncio.sleep(_POLL_S)


def table(result: dict[str, Any]) -> list[list[str]]:
    """The counts, and the memory that they cost."""
    latency, memory = result["latency_ms"] or {}, result["memory_mb"]
    slopes = [result[name] for name in ("slope_mb_a_minute", "last_slope_mb_a_minute")]
    return [
        ["", f"{result['minutes']:g} minutes, {result['clients']} clients"],
        *([name.replace("_", " "), str(count)] for name, count in result["counts"].items()),
        ["rules broken", str(result["broken_rules_count"])],
        ["p50, p99 of results, ms", ", ".join(f"{latency[share]:.0f}" for share in ("p50", "p99") if share in latency)],
        [f"memory at {', '.join(memory)}, MB", ", ".join(f"{size:.0f}" for size in memory.values())],
        [
            "MB a minute over the second half, the last quarter",
            ", ".join("too few samples" if each is None else f"{each:+.2f}" for each in slopes),
        ],
        ["memory when all sessions are gone, MB", f"{result['left_after_expiry']['resident_mb']:.0f}"],
        ["sessions left", f"{result['left_after_expiry']['siamfc_sessions_active']:.0f}"],
    ]


def plot(result: dict[str, Any], figure: Any) -> None:
    """Resident memory over time."""
    axes = figure.add_subplot(xlabel="minutes", ylabel="resident, MB")
    samples = np.array(result["resident_mb"])
    if len(samples):
        axes.plot(samples[:, 0] / 60, samples[:, 1])
        axes.set_ylim(0, None)
