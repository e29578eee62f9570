"""The time that the service adds to a frame: one stream through a real socket against the same step in this process.

The two take turns on the same JPEG frames with the same network, runtime and precision: decode, cut, embed, correlate,
conclude here; the server's own `total` there, with one frame under way. The client's latency, sockets included, and
the frames a second with the window full are shown beside.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._machine import facts
from benchmarks._server import Server
from benchmarks._streams import (
    Chosen,
    Footage,
    client_of,
    flood,
    model_of,
    percentiles,
    run_loop,
    serving,
    sessions,
    stage_sums,
    stages_ms,
)
from model.boxes import Box
from model.images import decode
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker

TOTAL_MOST, P99_MOST = 1.15, 1.6
"""The aims: the server's total over the step, and its p99 over its p50."""

_WARM = 5


def run(
    frames: int = 100,
    rounds: int = 3,
    width: int = 640,
    weights: Path | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> dict[str, Any]:
    """`frames` of each side a round."""
    machine, footage, chosen = facts(), Footage.rendered(width), Chosen(weights, runtime, precision, threads)
    with serving(chosen) as server:
        return {"machine": machine} | run_loop(_measure(server, chosen, footage, frames, rounds))


async def _measure(server: Server, chosen: Chosen, footage: Footage, frames: int, rounds: int) -> dict[str, Any]:
    steps: list[float] = []
    totals: list[float] = []
    latencies: list[float] = []
    ratios: list[float] = []
    full_s = 0.0
    async with client_of(server) as client:
        model = await model_of(client)
        predictor = chosen.predictor(model)
        before: dict[str, tuple[float, float]] = {}
        for _ in range(rounds):
            here = in_process_ms(predictor, footage, frames)
            async with sessions(client, footage, 1) as (session,):
                await flood(server, session, footage, frames=_WARM, window=1)
                before = before or await stage_sums(client)
                streamed = await flood(server, session, footage, frames=frames, window=1)
            there = [answer["timing_ms"]["total"] for answer in streamed.answers]
            steps, totals, latencies = steps + here, totals + there, latencies + streamed.latencies_ms()
            ratios.append(float(np.median(there) / np.median(here)))
        stages = stages_ms(before, await stage_sums(client))
        async with sessions(client, footage, 1) as (session,):
            begun = time.perf_counter()
            await flood(server, session, footage, frames=frames)
            full_s = time.perf_counter() - begun
    total = percentiles(totals, 2)
    assert total is not None
    return {
        "model": model,
        "frame_size": list(footage.size),
        "frames": len(totals),
        "step_ms": percentiles(steps, 2),
        "server_total_ms": total,
        "client_ms": percentiles(latencies, 2),
        "stages_ms": stages,
        "total_over_step": round(float(np.median(ratios)), 3),
        "p99_over_p50": round(total["p99"] / total["p50"], 3),
        "window_full_fps": round(frames / full_s, 1),
        "aims": {"total_over_step": TOTAL_MOST, "p99_over_p50": P99_MOST},
    }


def in_process_ms(predictor: Predictor, footage: Footage, frames: int) -> list[float]:
    """Milliseconds of each frame's step, decoding included."""
    tracker, taken = SingleTracker(predictor), []
    tracker.start(decode(footage[0]), Box(*footage.box))
    for index in range(1, _WARM + frames + 1):
        begun = time.perf_counter()
        tracker.update(decode(footage[index]))
        taken.append(1e3 * (time.perf_counter() - begun))
    return taken[_WARM:]


def table(result: dict[str, Any]) -> list[list[str]]:
    """The step, the server and the client."""
    rows = [["", "p50 ms", "p95 ms", "p99 ms"]]
    names = {"step_ms": "step in process", "server_total_ms": "server, total", "client_ms": "client"}
    for name, label in names.items():
        rows.append([label, *(f"{result[name][share]:.1f}" for share in ("p50", "p95", "p99"))])
    rows.append(["total over step", f"{result['total_over_step']:.2f}", "", ""])
    rows.append(["server, p99 over p50", f"{result['p99_over_p50']:.2f}", "", ""])
    return rows


def plot(result: dict[str, Any], figure: Any) -> None:
    """Where the server's time goes, in the order of the stages."""
    axes = figure.add_subplot(ylabel="ms a frame, mean")
    stages = ("decode", "crop", "queue", "infer", "conclude", "store", "send", "total")
    values = [result["stages_ms"].get(stage, 0.0) for stage in stages]
    axes.bar_label(axes.bar(stages, values), fmt="%.2f")
    axes.axhline(result["step_ms"]["p50"], linestyle="--", color="grey", label="step in process, p50")
    axes.legend()
