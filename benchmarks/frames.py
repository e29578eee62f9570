"""Frames of all sizes, VGA to 4K: arrays sent whole, JPEG bytes, parts of arrays, and tracking in this process.

Beside them OpenCV's own trackers, among them those whose ONNX files are given: `-o nano=BACKBONE.onnx,HEAD.onnx`,
`-o vit=FILE.onnx`. All follow the same face in the same run, by turns. A time is that of `update`, one frame under way:
the lowest of the rounds' medians. Frames a second are those of a stream with the server's window full. The client and
the server share the machine's cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks._contenders import Contender, Followed, InThisProcess, ThroughServer, opencv_contenders, truth_of
from benchmarks._machine import facts
from benchmarks._report import plain_numbers
from benchmarks._server import Server
from benchmarks._sizes import SIZES, Clip
from benchmarks._streams import Chosen, Json, client_of, model_of, percentiles, run_loop, serving
from model.arrays import Float64
from model.boxes import iou
from siamfc.in_process import InProcess

_WARM, _CLIP = 3, 12
_MOST_BYTES = 32 * 2**20


def run(
    frames: int = 30,
    rounds: int = 2,
    sizes: tuple[str, ...] = tuple(SIZES),
    weights: tuple[str, ...] = ("swift",),
    trackers: tuple[str, ...] = (),
    nano: tuple[Path, ...] = (),
    vit: Path | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> dict[str, Any]:
    """`frames` of each contender, size and round. `weights`: files, or bundled weights by name, each with a server.

    `trackers`: of OpenCV, that need no files. Raises ValueError for an unknown size.
    """
    unknown = sorted(set(sizes) - set(SIZES))
    if unknown:
        raise ValueError(f"no size {', '.join(unknown)}; there are {', '.join(SIZES)}")
    machine, rows = facts() | {"opencv": cv2.__version__}, []
    models: dict[str, Any] = {}
    for name in weights:
        chosen = Chosen(Path(name), runtime, precision, threads)
        with serving(chosen, MAX_FRAME_BYTES=_MOST_BYTES) as server:
            models[name] = run_loop(_model(server))
            here = InProcess(chosen.predictor(models[name]))
            contenders: dict[str, Contender] = {
                f"{name}, arrays": ThroughServer(server.url, "arrays"),
                f"{name}, JPEG": ThroughServer(server.url, "jpeg"),
                f"{name}, parts": ThroughServer(server.url, "parts"),
                f"{name}, in process": InThisProcess(here.tracker),
            }
            if name == weights[0]:
                contenders |= opencv_contenders(trackers, nano, vit)
            for size in sizes:
                rows += _compare(contenders, size, frames, rounds)
    return {"machine": machine, "models": models, "frames": frames * rounds, "rows": rows}


async def _model(server: Server) -> Json:
    async with client_of(server) as client:
        return await model_of(client)


def _compare(contenders: dict[str, Contender], size: str, frames: int, rounds: int) -> list[Json]:
    """A row a contender for frames of one size."""
    clip = Clip.rendered(SIZES[size], _CLIP)
    runs: dict[str, list[Followed]] = {name: [] for name in contenders}
    for _ in range(rounds):
        # In turn, so that a busy moment of the machine falls on all of them.
        for name, contender in contenders.items():
            runs[name].append(contender.follow(clip, frames, _WARM))
    truth = truth_of(clip, frames, _WARM)
    return [_row(size, name, followed, truth) for name, followed in runs.items()]


def _row(size: str, name: str, followed: list[Followed], truth: Float64) -> Json:
    fps = [each.fps for each in followed if each.fps is not None]
    kb = [each.kb for each in followed if each.kb is not None]
    return {
        "size": size,
        "pixels": list(SIZES[size]),
        "contender": name,
        "ms": round(min(float(np.median(each.ms)) for each in followed), 2),
        "all_ms": percentiles([ms for each in followed for ms in each.ms], 2),
        "stream_fps": round(max(fps), 1) if fps else None,
        "kb_a_frame": round(max(kb), 1) if kb else None,
        "overlap": round(float(np.mean([iou(np.array(each.boxes), truth).mean() for each in followed])), 3),
    }


def table(result: dict[str, Any]) -> list[list[str]]:
    """A row a size and contender; `of the first size`: its time over that for frames of the first size."""
    first = {row["contender"]: row["ms"] for row in reversed(result["rows"])}
    rows = [["frame", "", "ms", "of the first size", "p95 ms", "fps, window full", "kB a frame", "overlap"]]
    for row in result["rows"]:
        size, p95 = "{} × {}".format(*row["pixels"]), row["all_ms"]["p95"]
        fps, kb = ("" if row[key] is None else f"{row[key]:.0f}" for key in ("stream_fps", "kb_a_frame"))
        share = f"{row['ms'] / first[row['contender']]:.2f}"
        rows.append([size, row["contender"], f"{row['ms']:.1f}", share, f"{p95:.1f}", fps, kb, f"{row['overlap']:.2f}"])
    return rows


def plot(result: dict[str, Any], figure: Any) -> None:
    """Time against the frame's width."""
    axes = figure.add_subplot(xlabel="pixels across", ylabel="ms a frame", xscale="log", yscale="log")
    for name in dict.fromkeys(row["contender"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["contender"] == name]
        axes.plot([row["pixels"][0] for row in rows], [row["ms"] for row in rows], "o-", label=name)
    plain_numbers(axes.xaxis, axes.yaxis)
    axes.legend(fontsize="small")
