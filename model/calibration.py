"""From a peak to a score, and from a score to a status."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from model.checks import FromDict, require
from model.score_map import Peak

_THIN = 8.0
"""Exemplar pixels: a target with a narrower side hardly shows in the features of its exemplar."""

Status = Literal["tracking", "uncertain", "lost"]


@dataclass(frozen=True, slots=True)
class Calibration(FromDict):
    """The score of a peak: the logistic of `bias + logit * peak.logit + contrast * peak.contrast`.

    With a box head, `quality` times the logit of its quality is added. For a thin target `thinness` times the logarithm
    of 8 px over its narrower side in the exemplar's crop is subtracted: peaks of the ground behind it look as sure.

    It is fitted so that the score is the probability that the box overlaps the truth by an IoU of at least 0.5.
    A target with a score below `uncertain_below` is uncertain; below `lost_below` it is lost.
    """

    bias: float = 0.0
    logit: float = 1.0
    contrast: float = 0.0
    quality: float = 0.0
    thinness: float = 0.0
    uncertain_below: float = 0.5
    lost_below: float = 0.2

    def __post_init__(self) -> None:
        require(
            all(map(math.isfinite, (self.bias, self.logit, self.contrast, self.quality, self.thinness))),
            "a calibration's numbers must be finite",
        )
        require(
            0 <= self.lost_below <= self.uncertain_below <= 1,
            f"0 <= lost_below <= uncertain_below <= 1 must hold: {self.lost_below}, {self.uncertain_below}",
        )

    def score(self, peak: Peak, narrow: float = math.inf) -> float:
        """The score of a peak, 0..1; `narrow`: the narrower side of the exemplar's box in its crop, in pixels."""
        z = self.bias + self.logit * peak.logit + self.contrast * peak.contrast
        if peak.box is not None:
            z += self.quality * peak.box.quality
        if 0 < narrow < _THIN:
            z -= self.thinness * math.log(_THIN / narrow)
        return 1 / (1 + math.exp(-z)) if z > -700 else 0.0

    def status(self, score: float) -> Status:
        """The status of a target with this score."""
        if score < self.lost_below:
            return "lost"
        return "uncertain" if score < self.uncertain_below else "tracking"
