"""Many sessions at once through a real server: real process, real sockets, real JPEG.

First, how many cameras it sustains: each sends at its own frame rate in `latest`; so many are sustained when at most
one frame in a hundred is dropped and none fails. Their number doubles until that no longer holds, then the last gap is
halved. Shown for the largest number that held: latency from sending to answer, and the stages as /metrics has them.

Then one stream alone, and a crowd of the same streams at once, in `every` with their windows full: frames a second,
latency, whether every frame was answered once and in order, how far the boxes differ from those of the stream that was
alone, and what is left after all are deleted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
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
    Streamed,
    camera,
    client_of,
    flood,
    gauges,
    model_of,
    percentiles,
    run_loop,
    serving,
    sessions,
    stage_sums,
    stages_ms,
)

DROPPED_MOST = 0.01
_WARM_S, _LEAD_S = 1.0, 0.2

Rung = dict[str, Any]


def run(
    fps: tuple[float, ...] = (30.0, 15.0, 10.0, 5.0),
    rung_s: float = 4.0,
    most: int = 512,
    crowd: int = 16,
    crowd_frames: int = 40,
    width: int = 640,
    weights: Path | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> dict[str, Any]:
    """`fps`: of each camera, one after the other. `rung_s`: seconds of a trial, beside one to warm up."""
    machine, footage = facts(), Footage.rendered(width)
    with serving(Chosen(weights, runtime, precision, threads), MAX_SESSIONS=max(most, crowd) + 1) as server:
        return {"machine": machine} | run_loop(_measure(server, footage, fps, rung_s, most, crowd, crowd_frames))


async def _measure(
    server: Server, footage: Footage, fps: tuple[float, ...], rung_s: float, most: int, crowd: int, crowd_frames: int
) -> dict[str, Any]:
    async with client_of(server) as client:
        model = await model_of(client)
        async with sessions(client, footage, 1) as (session,):
            await flood(server, session, footage, frames=10)  # warm

        def trial(rate: float) -> Callable[[int], Awaitable[Rung]]:
            return lambda count: _cameras(server, client, footage, count, rate, rung_s)

        return {
            "model": model,
            "frame_size": list(footage.size),
            "sustained": [{"fps": rate} | await largest(trial(rate), most) for rate in fps],
            "together": await _crowd(server, client, footage, crowd, crowd_frames),
        }


async def largest(trial: Callable[[int], Awaitable[Rung]], most: int) -> dict[str, Any]:
    """The largest number of sessions whose trial holds, with that trial and all others; 0 where not one does."""
    rungs: dict[int, Rung] = {}

    async def holds(count: int) -> bool:
        rungs[count] = await trial(count)
        return bool(rungs[count]["holds"])

    good, bad, count = 0, most + 1, 1
    while count <= most:
        if not await holds(count):
            bad = count
            break
        good, count = count, min(2 * count, most) if count < most else most + 1
    while bad - good > max(1, good // 16):
        middle = (good + bad) // 2
        good, bad = (middle, bad) if await holds(middle) else (good, middle)
    best = rungs.get(good, rungs[min(rungs)])
    return {"sessions": good, "best": best, "rungs": [rungs[each] for each in sorted(rungs)]}


async def _cameras(
    server: Server, client: httpx.AsyncClient, footage: Footage, count: int, fps: float, seconds: float
) -> Rung:
    async with sessions(client, footage, count) as made:
        first = time.perf_counter() + _LEAD_S
        before = await stage_sums(client)
        streams = await asyncio.gather(
            *(
                # Not all at the same moment: cameras do not know of each other.
                camera(server, each, footage, fps=fps, seconds=_WARM_S + seconds, first=first + k / count / fps)
                for k, each in enumerate(made)
            )
        )
        after = await stage_sums(client)
    return summary(streams, count, first + _WARM_S, stages_ms(before, after))


def summary(streams: list[Streamed], count: int, after: float, stages: dict[str, float]) -> Rung:
    """A trial in numbers, of the frames sent after that moment; `holds`: whether the server kept up."""
    kinds = [kind for each in streams for kind in each.kinds(after)]
    dropped = kinds.count("dropped") / len(kinds)
    failed = len(kinds) - kinds.count("dropped") - kinds.count("result")
    answered = all(each.in_order for each in streams)
    return {
        "sessions": count,
        "holds": dropped <= DROPPED_MOST and not failed and answered,
        "frames": len(kinds),
        "dropped_share": round(dropped, 4),
        "failed": failed,
        "latency_ms": percentiles([latency for each in streams for latency in each.latencies_ms(after)]),
        "stages_ms": stages,
    }


async def _crowd(server: Server, client: httpx.AsyncClient, footage: Footage, count: int, frames: int) -> Json:
    before = await gauges(client, server)
    async with sessions(client, footage, 1) as (session,):
        begun = time.perf_counter()
        alone = await flood(server, session, footage, frames=frames)
        alone_s = time.perf_counter() - begun
    async with sessions(client, footage, count) as made:
        begun = time.perf_counter()
        together = await asyncio.gather(*(flood(server, each, footage, frames=frames) for each in made))
        together_s = time.perf_counter() - begun
    reference = _boxes(alone)
    return {
        "sessions": count,
        "frames_each": frames,
        "answers": sum(len(each.answers) for each in together),
        "all_in_order": all(each.in_order for each in together),
        "largest_box_difference_px": max(float(np.abs(_boxes(each) - reference).max()) for each in together),
        "alone_fps": round(frames / alone_s, 1),
        "alone_latency_ms": percentiles(alone.latencies_ms()),
        "together_fps": round(count * frames / together_s, 1),
        "together_latency_ms": percentiles([latency for each in together for latency in each.latencies_ms()]),
        "before": before,
        "after_deleting": await gauges(client, server),
    }


def _boxes(streamed: Streamed) -> Any:
    return np.array([answer["targets"][0]["box"] for answer in streamed.answers])


def table(result: dict[str, Any]) -> list[list[str]]:
    """A row a frame rate."""
    rows = [["camera fps", "sessions", "p50 ms", "p95 ms", "p99 ms", "dropped", "decode ms", "queue ms", "infer ms"]]
    for each in result["sustained"]:
        best = each["best"]
        latency, stages = best["latency_ms"] or {}, best["stages_ms"]
        rows.append(
            [f"{each['fps']:g}", str(each["sessions"])]
            + [f"{latency.get(share, float('nan')):.0f}" for share in ("p50", "p95", "p99")]
            + [f"{100 * best['dropped_share']:.1f} %"]
            + [f"{stages.get(stage, float('nan')):.1f}" for stage in ("decode", "queue", "infer")]
        )
    return rows


def plot(result: dict[str, Any], figure: Any) -> None:
    """p99 latency against the number of cameras, by frame rate; hollow where the server did not keep up."""
    axes = figure.add_subplot(xlabel="cameras", ylabel="p99 latency, ms", xscale="log", yscale="log")
    for each in result["sustained"]:
        rungs = [rung for rung in each["rungs"] if rung["latency_ms"]]
        line = axes.plot(
            [rung["sessions"] for rung in rungs],
            [rung["latency_ms"]["p99"] for rung in rungs],
            label=f"{each['fps']:g} fps: {each['sessions']}",
        )[0]
        for rung in rungs:
            fill = line.get_color() if rung["holds"] else "white"
            axes.plot(rung["sessions"], rung["latency_ms"]["p99"], "o", color=line.get_color(), markerfacecolor=fill)
    plain_numbers(axes.xaxis, axes.yaxis)
    axes.legend(title="sustained")
