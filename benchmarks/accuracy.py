"""The cost of a runtime and a precision in accuracy: boxes against those of torch in fp32, and success AUC.

Drift is over rendered scenes: the mean over the frames of the greatest difference in x, y, w and h, each run on its own
track from the first frame on. With the option `data`, a folder of sequences in any layout that `siamfc eval` reads, the
mean AUC over them is measured too (minutes for each row).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._machine import facts
from benchmarks._runtimes import predictor, ways, weights_at_hand
from benchmarks._scenes import occlusion, scale_change, translation
from model.boxes import Box
from model.checkpoints import Weights
from model.data.rendered import Scene
from model.data.sequences import read_sequences
from model.evaluation.in_process import InProcessFollower
from model.evaluation.one_pass import evaluate
from model.inference.choice import REFERENCE, Candidate
from model.inference.predictor import Predictor
from model.inference.probe import drift
from model.inference.single import SingleTracker

FRAMES = 40


def run(data: Path | None = None) -> dict[str, Any]:
    """Mean drift in pixels by network, runtime and precision; and mean AUC (None without data)."""
    machine = facts()
    scenes = [translation(FRAMES), scale_change(FRAMES), occlusion(FRAMES)]
    rows = []
    for name, weights in weights_at_hand().items():
        for row in drifts(weights, ways(weights.network.config), scenes):
            way = Candidate(row["runtime"], row["precision"])
            score = auc(predictor(weights, way), data) if data is not None else None
            rows.append({"network": name, **row, "auc": score})
    return {"machine": machine, "frames": sum(len(scene.frames) - 1 for scene in scenes), "rows": rows}


def table(result: dict[str, Any]) -> list[list[str]]:
    """The result of `run` as rows of text, the header first."""
    lines = [["network", "runtime", "precision", "mean drift (px)", "AUC"]]
    for row in result["rows"]:
        measured = f"{row['drift_px']:.3f}", "" if row["auc"] is None else f"{row['auc']:.4f}"
        lines.append([row["network"], row["runtime"], row["precision"], *measured])
    return lines


def drifts(weights: Weights, chosen: Sequence[Candidate], scenes: Sequence[Scene]) -> list[dict[str, Any]]:
    """One row a candidate: its boxes' mean distance, over all the scenes, from the reference's."""
    expected = _boxes(predictor(weights, REFERENCE), scenes)
    return [
        {
            "runtime": way.runtime,
            "precision": way.precision,
            "drift_px": round(drift(_boxes(predictor(weights, way), scenes), expected), 4),
        }
        for way in chosen
    ]


def auc(network: Predictor, folder: Path) -> float:
    """Mean success AUC over the sequences in the folder. Raises SequenceError."""
    report = evaluate(read_sequences(folder), lambda: InProcessFollower(network))
    return round(float(report.as_json()["mean"]["auc"]), 4)


def _boxes(network: Predictor, scenes: Sequence[Scene]) -> list[list[float]]:
    boxes = []
    for scene in scenes:
        tracker = SingleTracker(network)
        tracker.start(scene.frames[0], Box(*scene.truth[0].tolist()))
        boxes += [tracker.update(frame).box.as_list() for frame in scene.frames[1:]]
    return boxes
