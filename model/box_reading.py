"""The box head's outputs at a peak of the map, and the box that they say. numpy only, pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.arrays import Float32

OUTPUTS = 5
"""Outputs of the head a cell: offset right, offset down, log width ratio, log height ratio, quality logit."""

QUALITY_RANGE = (-8.0, 3.0)
"""Quality logits beyond it count no further in a response: good boxes do not differ by place."""

_MOST = 3.0
"""Greatest logarithm of a ratio that is believed, either way."""


@dataclass(frozen=True, slots=True)
class BoxReading:
    """A target's box as the head sees it in the search region.

    dx, dy: its centre's displacement from the region's centre, in cells. width_ratio, height_ratio: its width and
    height against the exemplar's box, both as the crops show them. quality: the logit of the IoU that is expected.
    """

    dx: float
    dy: float
    width_ratio: float
    height_ratio: float
    quality: float

    @classmethod
    def of(cls, dx: float, dy: float, outputs: Sequence[float]) -> BoxReading:
        """The box that the head's five outputs say at a displacement from the region's centre, in cells."""
        right, down, width, height, quality = outputs
        ratios = [math.exp(min(max(each, -_MOST), _MOST)) for each in (width, height)]
        return cls(dx + right, dy + down, ratios[0], ratios[1], quality)

    @property
    def likelihood(self) -> float:
        """The quality as a number 0..1."""
        return 1 / (1 + math.exp(-max(self.quality, -700.0)))


def with_quality(logits: Float32, boxes: Float32, influence: float) -> Float32:
    """The response [N, S, S]: the correlation's logits and `influence` times the quality of boxes [N, 5, S, S]."""
    return np.asarray(logits + np.float32(influence) * boxes[:, OUTPUTS - 1].clip(*QUALITY_RANGE), np.float32)


def read_box(outputs: Float32, dx: float, dy: float) -> BoxReading:
    """The box at a peak, of a head's outputs [5, S, S]; dx, dy: the peak's displacement from the middle, in cells.

    Between cells the outputs are interpolated bilinearly, so that a peak that moves a little changes the box a little.
    """
    cells = outputs.shape[-1]
    (top, bottom, down), (left, right, across) = (_between(each, cells) for each in (dy, dx))
    upper = outputs[:, top, left] * (1 - across) + outputs[:, top, right] * across
    lower = outputs[:, bottom, left] * (1 - across) + outputs[:, bottom, right] * across
    found = np.asarray(upper * (1 - down) + lower * down)
    return BoxReading.of(dx, dy, found.tolist())


def _between(displacement: float, cells: int) -> tuple[int, int, float]:
    """The two cells of a line that a displacement from its middle lies between, and how far it is from the first."""
    place = min(max(displacement + (cells - 1) / 2, 0.0), cells - 1.0)
    first = min(math.floor(place), max(cells - 2, 0))
    return first, min(first + 1, cells - 1), place - first
