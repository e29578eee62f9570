"""Metrics of boxes against the truth. numpy only.

Boxes are float64 [N, 4] `x, y, w, h` of the N frames of a sequence; a truth of nan means that the target is absent.
The frames that show the target are scored, except the first of them, whose box was given. A predicted box of nan
overlaps nothing and is infinitely far.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from model.arrays import Float64
from model.boxes import center_error, iou
from model.errors import SequenceError

OVERLAP_THRESHOLDS = tuple(index / 20 for index in range(21))
"""0, 0.05 … 1 (Wu et al. 2013, Online Object Tracking: A Benchmark)."""
ERROR_THRESHOLDS = tuple(float(pixels) for pixels in range(51))
"""0 … 50 pixels."""


@dataclass(frozen=True, slots=True)
class SequenceScore:
    """One sequence's numbers, each 0..1.

    auc: mean of the success curve. precision_20: share of frames whose centre is at most 20 px off. ao: mean overlap.
    sr_50, sr_75: share of frames with an overlap above 0.5, 0.75 (Huang et al. 2018, GOT-10k).
    """

    auc: float
    precision_20: float
    ao: float
    sr_50: float
    sr_75: float


def scored_frames(truth: Float64) -> NDArray[np.bool_]:
    """The frames that count, bool [N]: the target is present, and it is not the first such frame."""
    scored = np.asarray(np.isfinite(truth).all(axis=1), np.bool_)
    scored[scored.argmax()] = False
    return scored


def overlaps(boxes: Float64, truth: Float64) -> Float64:
    """Intersection over union in the scored frames, float64 [M]. Raises SequenceError where the shapes differ."""
    scored = _scored(boxes, truth)
    return np.nan_to_num(iou(boxes[scored], truth[scored]), nan=0.0)


def center_errors(boxes: Float64, truth: Float64) -> Float64:
    """Distances of the centres in the scored frames, pixels, float64 [M]. Raises SequenceError as `overlaps`."""
    scored = _scored(boxes, truth)
    return np.nan_to_num(center_error(boxes[scored], truth[scored]), nan=np.inf, posinf=np.inf)


def success_curve(overlap: Float64) -> Float64:
    """Share of frames whose overlap [M] is above each of OVERLAP_THRESHOLDS, float64 [21]."""
    return np.asarray((overlap[:, None] > np.array(OVERLAP_THRESHOLDS)).mean(axis=0), np.float64)


def precision_curve(errors: Float64) -> Float64:
    """Share of frames whose centre error [M] is at most each of ERROR_THRESHOLDS, float64 [51]."""
    return np.asarray((errors[:, None] <= np.array(ERROR_THRESHOLDS)).mean(axis=0), np.float64)


def score(boxes: Float64, truth: Float64) -> SequenceScore:
    """The numbers of one sequence. Raises SequenceError where the shapes differ or no frame counts."""
    overlap = overlaps(boxes, truth)
    if not len(overlap):
        raise SequenceError("no frame to score: the target must be present in at least two")
    return SequenceScore(
        auc=float(success_curve(overlap).mean()),
        precision_20=float((center_errors(boxes, truth) <= 20).mean()),
        ao=float(overlap.mean()),
        sr_50=float((overlap > 0.5).mean()),
        sr_75=float((overlap > 0.75).mean()),
    )


def mean_score(scores: SequenceOf[SequenceScore]) -> SequenceScore:
    """The mean over sequences, each counting the same however long. Raises SequenceError where there is none."""
    if not scores:
        raise SequenceError("no sequence to take the mean of")
    names = (field.name for field in fields(SequenceScore))
    return SequenceScore(**{name: float(np.mean([getattr(each, name) for each in scores])) for name in names})


def _scored(boxes: Float64, truth: Float64) -> NDArray[np.bool_]:
    if boxes.shape != truth.shape or truth.ndim != 2 or truth.shape[1] != 4:
        raise SequenceError(f"boxes of shape {boxes.shape} for a truth of shape {truth.shape}")
    return scored_frames(truth)
