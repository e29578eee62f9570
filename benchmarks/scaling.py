"""Throughput and latency against the number of sessions, and of targets a session.

Clients in `every` with two frames under way, so that each always has one waiting. Beside it the best that the runtime
alone does in this process, without server, decoding, cutting or concluding: targets a second over batches of one size
after the other, before and after the server's turn, the better of the two.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks._machine import facts
from benchmarks._report import plain_numbers
from benchmarks._server import Server
from benchmarks._streams import (
    Chosen,
    Footage,
    Json,
    client_of,
    flood,
    model_of,
    percentiles,
    run_loop,
    serving_workers,
    sessions,
    stage_sums,
    stages_ms,
)
from model.boxes import Box
from model.frames import Frame
from model.inference.predictor import Predictor

AIM_SESSIONS, AIM = 16, 0.95
"""So many sessions should reach this share of the runtime's best."""

_WARM_S, _WINDOW = 1.0, 2
_BATCHES = (1, 2, 4, 8, 16, 32)


def run(
    sessions: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64),
    targets: tuple[int, ...] = (2, 4, 8, 16),
    seconds: float = 6.0,
    width: int = 640,
    weights: Path | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    workers: int = 1,
) -> dict[str, Any]:
    """`sessions` of one target each, then `targets` in one session, each for so many seconds after one to warm up.

    `workers`: processes of the server; more than one over a Redis of their own, with an equal share of the cores each.
    """
    machine, footage, chosen = facts(), Footage.rendered(width), Chosen(weights, runtime, precision, threads)
    settings = {"MAX_SESSIONS": max(sessions) + 1, "MAX_TARGETS": max(targets)}
    crowds = [(count, 1) for count in sessions] + [(1, count) for count in targets]
    with serving_workers(chosen, workers, **settings) as server:
        return {"machine": machine, "workers": workers} | run_loop(_measure(server, chosen, footage, crowds, seconds))


async def _measure(
    server: Server, chosen: Chosen, footage: Footage, crowds: list[tuple[int, int]], seconds: float
) -> dict[str, Any]:
    async with client_of(server) as client:
        model = await model_of(client)
        predictor = chosen.predictor(model, max(_BATCHES))
        alone = batch_throughput(predictor, seconds / 4)
        rows = [await _crowd(server, client, footage, each, seconds) for each in crowds]
        again = batch_throughput(predictor, seconds / 4)
    alone = {size: max(alone[size], again[size]) for size in alone}
    best = max(alone.values())
    for row in rows:
        row["share_of_the_runtime"] = round(row["targets_per_s"] / best, 3)
    return {
        "model": model,
        "frame_size": list(footage.size),
        "runtime_alone_targets_per_s": {str(size): round(value, 1) for size, value in alone.items()},
        "rows": rows,
        "aims": {f"share_at_{AIM_SESSIONS}_sessions": AIM},
    }


def batch_throughput(predictor: Predictor, seconds: float) -> dict[int, float]:
    """Targets a second of the network and what runs with it, by targets in a pass: the median pass of each size."""
    tracker = predictor.tracker
    rng, most = np.random.default_rng(0), max(_BATCHES)
    frame = Frame.whole(rng.integers(0, 256, (512, 512, 3), np.uint8))
    track, exemplar = tracker.start(frame, Box.around((256, 256), (64, 64)))
    searches = [tracker.search(frame, track, predictor.cutter)] * most
    exemplars = predictor.embed(np.stack([exemplar] * most))
    taken: dict[int, list[float]] = {size: [] for size in _BATCHES}
    ends = time.perf_counter() + seconds
    while len(taken[most]) < 3 or time.perf_counter() < ends:
        # In turn, so that a busy moment of the machine falls on all of them.
        for size in _BATCHES:
            begun = time.perf_counter()
            predictor.respond(exemplars[:size], searches[:size])
            taken[size].append(time.perf_counter() - begun)
    return {size: size / float(np.median(seconds)) for size, seconds in taken.items()}


async def _crowd(
    server: Server, client: httpx.AsyncClient, footage: Footage, crowd: tuple[int, int], seconds: float
) -> Json:
    count, targets = crowd
    async with sessions(client, footage, count, targets) as made:
        before, begun = await stage_sums(client), time.perf_counter()
        lasts = _WARM_S + seconds
        streams = await asyncio.gather(*(flood(server, each, footage, seconds=lasts, window=_WINDOW) for each in made))
        after = await stage_sums(client)
    counted = [came for each in streams for came in each.came if begun + _WARM_S <= came < begun + lasts]
    return {
        "sessions": count,
        "targets": targets,
        "all_in_order": all(each.in_order for each in streams),
        "frames_per_s": round(len(counted) / seconds, 2),
        "targets_per_s": round(targets * len(counted) / seconds, 2),
        "latency_ms": percentiles([latency for each in streams for latency in each.latencies_ms(begun + _WARM_S)]),
        "stages_ms": stages_ms(before, after),
    }


def table(result: dict[str, Any]) -> list[list[str]]:
    """A row a crowd, and the runtime alone by batch."""
    rows = [["sessions", "targets each", "targets/s", "of the runtime's best", "p50 ms", "p99 ms"]]
    for row in result["rows"]:
        latency = row["latency_ms"] or {"p50": float("nan"), "p99": float("nan")}
        numbers = [f"{row['targets_per_s']:.1f}", f"{row['share_of_the_runtime']:.2f}"]
        times = [f"{latency[share]:.0f}" for share in ("p50", "p99")]
        rows.append([str(row["sessions"]), str(row["targets"]), *numbers, *times])
    for size, value in result["runtime_alone_targets_per_s"].items():
        rows.append([f"runtime alone, batch {size}", "", f"{value:.1f}", "", "", ""])
    return rows


def plot(result: dict[str, Any], figure: Any) -> None:
    """Throughput and p50 latency against the sessions, and against the targets of one."""
    left, right = figure.subplots(1, 2)
    best = max(result["runtime_alone_targets_per_s"].values())
    for label, key in (("sessions of one target", "sessions"), ("targets of one session", "targets")):
        rows = [row for row in result["rows"] if row["sessions" if key == "targets" else "targets"] == 1]
        rows = [row for row in rows if row["latency_ms"]]
        left.plot([row[key] for row in rows], [row["targets_per_s"] for row in rows], "o-", label=label)
        right.plot([row[key] for row in rows], [row["latency_ms"]["p50"] for row in rows], "o-", label=label)
    left.axhline(best, linestyle="--", color="grey", label="runtime alone, best batch")
    left.set(xlabel="how many", ylabel="targets a second", xscale="log", ylim=(0, None))
    right.set(xlabel="how many", ylabel="p50 latency, ms", xscale="log", yscale="log")
    plain_numbers(left.xaxis, right.xaxis, right.yaxis)
    left.legend()
