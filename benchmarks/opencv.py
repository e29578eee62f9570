"""OpenCV's own trackers and ours on the same rendered scene, in the same run: frames a second and overlap.

All see the same frames in memory, decoding in neither; an overlap is the mean IoU over all frames but the first.
Which trackers there are depends on the build of OpenCV: CSRT and KCF come with the contrib modules only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks._machine import facts
from benchmarks._report import plain_numbers
from benchmarks._scenes import translation
from model.arrays import RgbImage
from model.boxes import Box, iou
from model.checkpoints import find_weights, load_weights
from model.data.rendered import Scene
from model.evaluation.opencv import available
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker

WANTED = ("csrt", "kcf", "mil")

NextBox = Callable[[RgbImage], list[float]]
"""An RGB frame to the target's box in it."""


def run(
    frames: int = 60,
    rounds: int = 2,
    trackers: tuple[str, ...] = WANTED,
    weights: Path | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> dict[str, Any]:
    """`trackers`: of OpenCV; those that this build lacks are said to be missing."""
    machine, scene, makers = facts(), translation(frames), available()
    predictor = load_predictor(
        load_weights(find_weights(weights)), runtime=runtime, precision=precision, threads=threads
    )
    starts: dict[str, Callable[[Scene], NextBox]] = {"ours": lambda scene: _ours(predictor, scene)}
    for name in trackers:
        if name in makers:
            starts[name] = lambda scene, make=makers[name]: _opencv(make(), scene)  # type: ignore[misc]
    rows: dict[str, dict[str, float]] = {name: {"fps": 0.0, "overlap": 0.0} for name in starts}
    for _ in range(rounds):
        # In turn, so that a busy moment of the machine falls on all of them.
        for name, start in starts.items():
            fps, overlap = _follow(start(scene), scene)
            rows[name] = {"fps": round(max(fps, rows[name]["fps"]), 1), "overlap": round(overlap, 3)}
    return {
        "machine": machine | {"opencv": cv2.__version__},
        "runtime": predictor.runtime,
        "precision": predictor.precision,
        "frames": frames,
        "frame_size": list(scene.size),
        "trackers": rows,
        "missing": sorted(set(trackers) - set(makers)),
    }


def _follow(update: NextBox, scene: Scene) -> tuple[float, float]:
    """Frames a second by the median frame, and the mean overlap."""
    taken, boxes = [], []
    for frame in scene.frames[1:]:
        begun = time.perf_counter()
        boxes.append(update(frame))
        taken.append(time.perf_counter() - begun)
    return 1 / float(np.median(taken)), float(np.mean(iou(np.array(boxes), scene.truth[1:])))


def _ours(predictor: Predictor, scene: Scene) -> NextBox:
    tracker = SingleTracker(predictor)
    tracker.start(scene.frames[0], Box(*scene.truth[0]))
    return lambda frame: tracker.update(frame).box.as_list()


def _opencv(tracker: Any, scene: Scene) -> NextBox:
    box = [float(value) for value in scene.truth[0]]
    tracker.init(_bgr(scene.frames[0]), tuple(round(value) for value in box))

    def update(frame: RgbImage) -> list[float]:
        nonlocal box
        found, seen = tracker.update(_bgr(frame))
        box = [float(value) for value in seen] if found else box
        return box

    return update


def _bgr(frame: RgbImage) -> RgbImage:
    return np.ascontiguousarray(frame[..., ::-1])


def table(result: dict[str, Any]) -> list[list[str]]:
    """A row a tracker; those that are missing are named."""
    rows = [["tracker", "fps", "mean overlap"]]
    rows += [[name, f"{each['fps']:.1f}", f"{each['overlap']:.3f}"] for name, each in result["trackers"].items()]
    return rows + [[name, "not in this build of OpenCV", ""] for name in result["missing"]]


def plot(result: dict[str, Any], figure: Any) -> None:
    """Overlap against speed."""
    axes = figure.add_subplot(xlabel="frames a second", ylabel="mean overlap", xscale="log", ylim=(0, 1))
    for name, each in result["trackers"].items():
        axes.plot(each["fps"], each["overlap"], "o")
        axes.annotate(name, (each["fps"], each["overlap"]), xytext=(5, 5), textcoords="offset points")
    plain_numbers(axes.xaxis)
