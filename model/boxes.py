"""Boxes: 0-indexed float pixels `[x, y, w, h]`, x and y the top-left corner. numpy only, no torch.

Pixel i covers [i, i + 1), so a box of one pixel at the origin is [0, 0, 1, 1] and its centre (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from model.arrays import Float64
from model.errors import InvalidBoxError


@dataclass(frozen=True, slots=True)
class Box:
    """One box in frame pixels. `checked` makes it of a caller's numbers; the tracker makes it without checks."""

    x: float
    y: float
    w: float
    h: float

    @classmethod
    def checked(cls, values: Sequence[float], frame_size: tuple[int, int]) -> Self:
        """The box a caller gave for a frame of `frame_size` (width, height).

        Raises InvalidBoxError unless it is four finite numbers, at least a pixel wide and high, that overlap the
        frame. A box that sticks out is accepted as it is.
        """
        if len(values) != 4:
            raise InvalidBoxError(f"a box is four numbers x, y, w, h; got {len(values)}")
        x, y, w, h = (float(value) for value in values)
        if not all(map(math.isfinite, (x, y, w, h))):
            raise InvalidBoxError("a box must be four finite numbers")
        if w < 1 or h < 1:
            raise InvalidBoxError(too_small(x, y, w, h))
        width, height = frame_size
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            raise InvalidBoxError(f"the box does not overlap the frame of {width} x {height}")
        if max(abs(x), abs(y), w, h) > 1e6:
            raise InvalidBoxError("a box must lie within a million pixels of the origin")
        return cls(x, y, w, h)

    @classmethod
    def around(cls, center: tuple[float, float], size: tuple[float, float]) -> Self:
        """The box of that centre (x, y) and size (w, h)."""
        return cls(center[0] - size[0] / 2, center[1] - size[1] / 2, size[0], size[1])

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of its middle."""
        return self.x + self.w / 2, self.y + self.h / 2

    @property
    def size(self) -> tuple[float, float]:
        """(w, h)."""
        return self.w, self.h

    def as_list(self) -> list[float]:
        """[x, y, w, h]."""
        return [self.x, self.y, self.w, self.h]


def too_small(x: float, y: float, w: float, h: float) -> str:
    """What is said of a box under a pixel, the more where its numbers seem to be shares of the frame."""
    hint = "; 0..1? pixels of the frame are meant" if all(0 <= number <= 1 for number in (x, y, w, h)) else ""
    return f"a box must be at least 1 pixel wide and high; got {w:g} x {h:g}{hint}"


def iou(a: Float64, b: Float64) -> Float64:
    """Intersection over union of boxes [..., 4] with boxes [..., 4], broadcast; 0 where either has no area.

    nan in, nan out.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    intersection = np.prod(np.maximum(high - low, 0), axis=-1)
    area_a, area_b = (np.prod(np.maximum(boxes[..., 2:], 0), axis=-1) for boxes in (a, b))
    union = area_a + area_b - intersection
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(union == 0, 0.0, intersection / union), np.float64)


def center_error(a: Float64, b: Float64) -> Float64:
    """Euclidean distance in pixels between the centres of boxes [..., 4] and boxes [..., 4], broadcast."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    difference = (a[..., :2] + a[..., 2:] / 2) - (b[..., :2] + b[..., 2:] / 2)
    return np.asarray(np.hypot(difference[..., 0], difference[..., 1]))


def from_one_indexed(boxes: Float64) -> Float64:
    """Boxes [..., 4] of a format whose first pixel is 1 (OTB, VOT, GOT-10k files) in our 0-indexed frame."""
    shifted: Float64 = np.asarray(boxes, np.float64) - np.array([1.0, 1.0, 0.0, 0.0])
    return shifted
