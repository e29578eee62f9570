"""Many sessions at once through a real server: real process, real sockets, real JPEG.

Every session streams the same rendered scene in `every` mode; first one alone, then all at once, on one server. Shown:
frames a second, latency, whether every frame was answered once and in order, how far the boxes differ from those of
the stream that was alone, and what is left after all are deleted.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from websockets.asyncio.client import connect

from benchmarks._machine import facts
from tests.support.scenes import translation
from tests.support.server import Server, running_server

SESSIONS, FRAMES = 32, 100


@dataclass(frozen=True)
class Streamed:
    """One session's answers: boxes [N, 4], milliseconds from sending to answer, whether in order and complete."""

    boxes: list[list[float]]
    latencies_ms: list[float]
    in_order: bool


def run() -> dict[str, Any]:
    """Measure `SESSIONS` sessions of `FRAMES` frames."""
    machine = facts()
    scene = translation(FRAMES + 1)
    frames = [cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes() for frame in scene.frames]
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "log") as server:
        return {"machine": machine} | asyncio.run(_measure(server, frames, scene.truth[0].tolist()))


async def _measure(server: Server, frames: list[bytes], box: list[float]) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=server.url, timeout=120, trust_env=False) as client:
        await _one(server, client, frames[:10], box)  # warm
        before = await _gauges(client, server)
        begun = time.perf_counter()
        alone = await _one(server, client, frames, box)
        alone_s = time.perf_counter() - begun
        begun = time.perf_counter()
        crowd = await asyncio.gather(*(_one(server, client, frames, box) for _ in range(SESSIONS)))
        crowd_s = time.perf_counter() - begun
        after = await _gauges(client, server)
    reference = np.array(alone.boxes)
    latencies = np.concatenate([each.latencies_ms for each in crowd])
    return {
        "sessions": SESSIONS,
        "frames_each": FRAMES,
        "answers": sum(len(each.boxes) for each in crowd),
        "all_in_order": all(each.in_order for each in crowd),
        "largest_box_difference_px": max(float(np.abs(np.array(each.boxes) - reference).max()) for each in crowd),
        "alone_fps": round(FRAMES / alone_s, 1),
        "alone_latency_ms": _percentiles(np.array(alone.latencies_ms)),
        "together_fps": round(SESSIONS * FRAMES / crowd_s, 1),
        "together_latency_ms": _percentiles(latencies),
        "before": before,
        "after_deleting": after,
    }


async def _one(server: Server, client: httpx.AsyncClient, frames: list[bytes], box: list[float]) -> Streamed:
    targets = json.dumps([{"box": box}])
    made = await client.post("/v1/sessions", files={"frame": frames[0]}, data={"targets": targets})
    made.raise_for_status()
    session = made.json()
    sent: list[float] = []
    boxes: list[list[float]] = []
    latencies: list[float] = []
    in_order = True
    async with connect(server.socket_url + session["stream_url"], compression=None) as socket:
        window = json.loads(await socket.recv())["window"]
        for seq in range(len(frames) - 1 + window):
            if seq < len(frames) - 1:
                await socket.send(frames[seq + 1])
                sent.append(time.perf_counter())
            if seq >= window - 1 and len(boxes) < len(frames) - 1:
                answer = json.loads(await socket.recv())
                latencies.append(1e3 * (time.perf_counter() - sent[len(boxes)]))
                in_order &= answer["type"] == "result" and answer["seq"] == len(boxes)
                boxes.append(answer["targets"][0]["box"])
    (await client.delete(f"/v1/sessions/{session['session_id']}")).raise_for_status()
    return Streamed(boxes, latencies, in_order and len(boxes) == len(frames) - 1)


async def _gauges(client: httpx.AsyncClient, server: Server) -> dict[str, float]:
    text = (await client.get("/metrics")).text
    names = ("siamfc_sessions_active", "siamfc_slots_used", "siamfc_streams")
    values = {name: float(re.findall(rf"^{name} (\S+)", text, re.MULTILINE)[0]) for name in names}
    return values | _resident(server.process.pid)


def _resident(pid: int) -> dict[str, float]:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return {}
    return {"resident_mb": round(int(re.findall(r"VmRSS:\s+(\d+)", status.read_text())[0]) / 1024, 1)}


def _percentiles(values: Any) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 95, 99)}
