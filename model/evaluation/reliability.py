"""Reliability of scores: whether a score is the probability that the box is right. numpy only.

A box is right if it overlaps the truth by an IoU of at least 0.5; while the target is absent every box is wrong. All
frames with a score after the first that shows the target count. Frames without the target count too: their score must
be low.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.arrays import Float64
from model.boxes import iou
from model.errors import SequenceError

RIGHT_FROM = 0.5
BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The frames whose score lies in [low, high) (the last bin includes 1).

    score: their mean score, right: the share of them whose box is right; both None where there are none.
    """

    low: float
    high: float
    count: int
    score: float | None
    right: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram and its two summaries.

    ece: expected calibration error, the mean distance of score and share of right boxes over the bins, each counting
    by its frames (Naeini et al. 2015). auroc: the chance that a right box has a higher score than a wrong one, ties
    counting half; None where all boxes are right, or all wrong.
    """

    ece: float
    auroc: float | None
    frames: int
    right: float
    score: float
    bins: tuple[Bin, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values, as the report has them: `right` and `score` are means over all frames."""
        bins = [
            {"low": each.low, "high": each.high, "count": each.count, "score": each.score, "right": each.right}
            for each in self.bins
        ]
        return {
            "ece": self.ece,
            "auroc": self.auroc,
            "frames": self.frames,
            "right": self.right,
            "score": self.score,
            "bins": bins,
        }


def judged(boxes: Float64, scores: Float64, truth: Float64) -> tuple[Float64, NDArray[np.bool_]]:
    """The counted frames' scores, float64 [M], and whether their boxes are right, bool [M].

    boxes and truth: float64 [N, 4], a truth of nan where absent. scores: float64 [N], 0..1, nan where none was given.
    Raises SequenceError where the lengths differ.
    """
    if boxes.shape != truth.shape or scores.shape != truth.shape[:1]:
        raise SequenceError(f"{len(boxes)} boxes and {len(scores)} scores for {len(truth)} frames")
    present = np.isfinite(truth).all(axis=1)
    counted = np.isfinite(scores) & (np.arange(len(truth)) > present.argmax())
    overlap = np.nan_to_num(iou(boxes[counted], truth[counted]), nan=0.0)
    return scores[counted], np.asarray(overlap >= RIGHT_FROM, np.bool_)


def reliability(scores: Float64, right: NDArray[np.bool_], bins: int = BINS) -> Reliability | None:
    """The diagram of `scores` float64 [M], 0..1, whose boxes are right or not, bool [M]; None where M is 0.

    Bins are equally wide. Raises SequenceError for scores outside 0..1 or lengths that differ.
    """
    if scores.shape != right.shape or scores.ndim != 1:
        raise SequenceError(f"scores of shape {scores.shape} for answers of shape {right.shape}")
    if not len(scores):
        return None
    if not ((scores >= 0) & (scores <= 1)).all():
        raise SequenceError("a score must lie in 0..1")
    index = np.minimum((scores * bins).astype(int), bins - 1)
    rows = []
    for each in range(bins):
        inside = index == each
        count = int(inside.sum())
        rows.append(
            Bin(
                low=each / bins,
                high=(each + 1) / bins,
                count=count,
                score=float(scores[inside].mean()) if count else None,
                right=float(right[inside].mean()) if count else None,
            )
        )
    gaps = (row.count * abs(row.score - row.right) for row in rows if row.score is not None and row.right is not None)
    return Reliability(
        ece=sum(gaps) / len(scores),
        auroc=auroc(scores, right),
        frames=len(scores),
        right=float(right.mean()),
        score=float(scores.mean()),
        bins=tuple(rows),
    )


def auroc(scores: Float64, right: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve of telling right [M] by `scores` [M]; None where one of the two kinds is missing."""
    positives, negatives = np.sort(scores[right]), np.sort(scores[~right])
    if not len(positives) or not len(negatives):
        return None
    # For every right box, the number of wrong boxes below its score, and at it.
    below = np.searchsorted(negatives, positives, side="left")
    up_to = np.searchsorted(negatives, positives, side="right")
    return float((below + up_to).sum() / (2 * len(positives) * len(negatives)))
