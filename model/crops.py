"""Square crops of a frame around a target: which region, and its pixels.

Frames are uint8 [height, width, 3] RGB. A region is given in frame pixels (pixel i covers [i, i + 1)); what of it
lies outside the frame is filled with one colour. Work and memory depend on the crop's and region's part inside the
frame only: the frame itself is never copied or padded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Region:
    """A square: centre x, y and side, in frame pixels."""

    cx: float
    cy: float
    side: float


def context_side(size: tuple[float, float], context: float) -> float:
    """Side, in frame pixels, of the square that an exemplar covers for a target of `size` (w, h).

    sqrt((w + m)(h + m)) with m = context * (w + h); Bertinetto et al. 2016, section 3.1 (its p is m / 2).
    """
    w, h = size
    margin = context * (w + h)
    return math.sqrt((w + margin) * (h + margin))


def mean_colour(frame: Image) -> Colour:
    """Mean R, G, B of a frame; the colour that stands for what lies outside it."""
    red, green, blue, _ = cv2.mean(frame)
    return red, green, blue


def crop(frame: Image, region: Region, size: int, fill: Colour) -> Image:
    """The region's pixels, resampled to uint8 [size, size, 3].

    Bilinear; where the region is more than twice the crop, its pixels are averaged first so that nothing aliases.
    """
    step = region.side / size
    left, top = region.cx - region.side / 2, region.cy - region.side / 2
    height, width = frame.shape[:2]
    # Two pixels of margin let the bilinear kernel read real neighbours instead of the fill.
    x0, x1 = _clip_span(left, region.side, width)
    y0, y1 = _clip_span(top, region.side, height)
    if x0 >= x1 or y0 >= y1:
        return np.full((size, size, 3), np.round(fill), np.uint8)
    part: Image = frame[y0:y1, x0:x1]
    rx = ry = 1.0
    if step > 2:
        columns, rows = (max(1, round(length / math.floor(step))) for length in (x1 - x0, y1 - y0))
        rx, ry = (x1 - x0) / columns, (y1 - y0) / rows
        part = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    # Crop index u reads frame index left + (u + 0.5) * step - 0.5.
    matrix = np.array(
        [
            [step / rx, 0.0, (left + step / 2 - x0) / rx - 0.5],
            [0.0, step / ry, (top + step / 2 - y0) / ry - 0.5],
        ]
    )
    pixels = cv2.warpAffine(
        part,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )
    return np.asarray(pixels, np.uint8)


def _clip_span(start: float, length: float, limit: int) -> tuple[int, int]:
    return max(0, math.floor(start) - 2), min(limit, math.ceil(start + length) + 2)
