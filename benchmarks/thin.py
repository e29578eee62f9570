"""Whether the tracker holds long thin targets, and knows when it does not: rendered scenes with exact boxes.

A band of one photograph moves two pixels a frame over another. Most of a thin target's exemplar is background, so the
map may be sure of the background. A square target stands beside them to compare with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._machine import facts
from model.boxes import Box, iou
from model.checkpoints import find_weights, load_weights
from model.data.rendered import Photograph, Place, Scene, along, detail, photograph, render
from model.evaluation.reliability import judged, reliability
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker
from model.tracker import Track

SHAPES = ((200, 3), (200, 10), (120, 6), (6, 120), (10, 200), (60, 60))
"""Width and height in pixels; the last is no thin one."""

SPEED = 2.0
"""Pixels a frame."""

_GROUNDS: tuple[Photograph, ...] = ("chelsea", "coffee", "rocket")
_WIDTH = 480


@dataclass(frozen=True, slots=True)
class Numbers:
    """Figures over the frames after the first of some scenes.

    share: of the exemplar's area that is target. wrong: frames whose box overlaps the target by IoU < 0.5; of these,
    called_tracking: those with the status `tracking`. ece: calibration error of the score, see
    `model.evaluation.reliability`.
    """

    share: float
    frames: int
    wrong: int
    called_tracking: int
    ece: float


def run(frames: int = 60, weights: Path | None = None) -> dict[str, Any]:
    """The numbers of each shape, over three grounds, and over all thin shapes together."""
    machine = facts()
    predictor = load_predictor(load_weights(find_weights(weights)))
    context = predictor.weights.constants.context
    runs = {shape: [_followed(predictor, scene(shape, ground, frames)) for ground in _GROUNDS] for shape in SHAPES}
    rows = {f"{w} x {h}": numbers(each, target_share((w, h), context)) for (w, h), each in runs.items()}
    thin = [pair for shape, each in runs.items() if shape[0] != shape[1] for pair in each]
    mean_share = float(np.mean([target_share(shape, context) for shape in SHAPES if shape[0] != shape[1]]))
    rows["thin"] = numbers(thin, mean_share)
    return {
        "machine": machine,
        "weights": predictor.weights.sha256,
        "precision": predictor.precision,
        "numbers": {name: asdict(each) for name, each in rows.items()},
    }


def scene(shape: tuple[int, int], ground: Photograph, frames: int) -> Scene:
    """A band of the given width and height that moves across its length, over a photograph 480 px wide."""
    below = photograph(ground, _WIDTH)
    band = detail(photograph("astronaut"), (150, 60, 200, 200), shape)
    height = below.shape[0]
    travel = SPEED * (frames - 1)
    if shape[0] >= shape[1]:
        start = (height - travel) / 2
        path = along(lambda t: Place(_WIDTH / 2, start + travel * t), frames)
    else:
        start = (_WIDTH - travel) / 2
        path = along(lambda t: Place(start + travel * t, height / 2), frames)
    return render(below, band, path)


def target_share(shape: tuple[int, int], context: float) -> float:
    """The share of an exemplar's crop that its target fills: the crop has a margin of `context` half perimeters."""
    w, h = shape
    margin = context * (w + h)
    return w * h / ((w + margin) * (h + margin))


def numbers(runs: Sequence[tuple[Scene, Sequence[Track]]], share: float) -> Numbers:
    """The numbers of some scenes, each with the track after each of its frames."""
    scores, right, tracking = [], [], []
    for scene, tracks in runs:
        boxes = np.array([track.box.as_list() for track in tracks])
        given = np.array([np.nan, *(track.score for track in tracks[1:])])
        told, _ = judged(boxes, given, scene.truth)
        scores.append(told)
        right.append(iou(boxes[1:], scene.truth[1:]) >= 0.5)
        tracking.append([track.status == "tracking" for track in tracks[1:]])
    is_right, says_tracking = np.concatenate(right), np.concatenate(tracking)
    worth = reliability(np.concatenate(scores), is_right)
    assert worth is not None
    return Numbers(
        share=round(share, 4),
        frames=len(is_right),
        wrong=int((~is_right).sum()),
        called_tracking=int((~is_right & says_tracking).sum()),
        ece=round(worth.ece, 4),
    )


def table(result: dict[str, Any]) -> list[list[str]]:
    """A row a shape."""
    rows = [["target, px", "share of the exemplar", "frames", "wrong", "of these `tracking`", "calibration error"]]
    for name, each in result["numbers"].items():
        counts = (str(each[key]) for key in ("frames", "wrong", "called_tracking"))
        rows.append([name, f"{each['share']:.3f}", *counts, f"{each['ece']:.3f}"])
    return rows


def _followed(predictor: Predictor, scene: Scene) -> tuple[Scene, list[Track]]:
    tracker = SingleTracker(predictor)
    first = tracker.start(scene.frames[0], Box(*scene.truth[0].tolist()))
    return scene, [first, *(tracker.update(frame) for frame in scene.frames[1:])]
