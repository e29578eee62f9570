"""Square crops of a frame around a target: which region, and its pixels.

Frames are uint8 [height, width, 3] RGB. A region is given in frame pixels (pixel i covers [i, i + 1)); what of it
lies outside the frame is filled with one colour. Work and memory depend on the crop's and region's part inside the
frame only: the frame itself is never copied or padded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    pixels = np.empty((1, size, size, 3), np.uint8)
    cut(frame, (region,), fill, pixels)
    return np.asarray(pixels[0])


def cut(frame: Image, regions: Sequence[Region], fill: Colour, into: Image) -> None:
    """Write the pixels of N regions, each as `crop` gives them, to `into`, uint8 [N, size, size, 3]."""
    size = into.shape[1]
    parts = [_part(frame, region) for region in regions]
    widest = max(parts, key=lambda part: part.right - part.left)
    # Regions around one place lie in the largest of them, which is made ready for all at once.
    together = all(map(widest.holds, parts)) and not any(region.side > 2 * size for region in regions)
    common = _padded(widest.of(frame)) if together and not widest.empty else None
    for pixels, region, part in zip(into, regions, parts, strict=True):
        if part.empty:
            pixels[...] = np.round(fill)
        elif common is not None:
            _warp(part.inside(widest).of(common), region, part, fill, pixels)
        else:
            read = part.of(frame)
            if region.side > 2 * size:
                read = averaged(read, region.side / size)
            _warp(_padded(read), region, part, fill, pixels)


@dataclass(frozen=True, slots=True)
class _Part:
    """A rectangle of whole pixels, from left and top up to right and bottom."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        return self.left >= self.right or self.top >= self.bottom

    def holds(self, other: _Part) -> bool:
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom

    def inside(self, other: _Part) -> _Part:
        """The same, counted from the other's corner."""
        x, y = other.left, other.top
        return _Part(self.left - x, self.top - y, self.right - x, self.bottom - y)

    def of(self, image: Image) -> Image:
        return image[self.top : self.bottom, self.left : self.right]


def _part(frame: Image, region: Region) -> _Part:
    """What of the frame a region needs."""
    height, width = frame.shape[:2]
    left, right = clip_span(region.cx - region.side / 2, region.side, width)
    top, bottom = clip_span(region.cy - region.side / 2, region.side, height)
    return _Part(left, top, right, bottom)


def clip_span(start: float, length: float, limit: int) -> tuple[int, int]:
    """The whole pixels of a line of `limit` that a span needs, from and up to; the first is not below the second where
    there are none. Two pixels of margin let the bilinear kernel read real neighbours instead of the fill."""
    return max(0, math.floor(start) - 2), min(limit, math.ceil(start + length) + 2)


def averaged(pixels: Image, step: float) -> Image:
    """Pixels averaged to about one a step, which is how far apart they will be read."""
    height, width = pixels.shape[:2]
    columns, rows = (max(1, round(length / math.floor(step))) for length in (width, height))
    return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _padded(pixels: Image) -> Image:
    """With a fourth channel: OpenCV warps four in half the time that it takes for three, to the same values."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), np.uint8)


def _warp(padded: Image, region: Region, part: _Part, fill: Colour, into: Image) -> None:
    """Read the region bilinearly out of the pixels of `part`, uint8 [h, w, 4], which may have been averaged."""
    size, (rows, columns) = len(into), padded.shape[:2]
    step = region.side / size
    left, top = region.cx - region.side / 2, region.cy - region.side / 2
    rx, ry = (part.right - part.left) / columns, (part.bottom - part.top) / rows
    # Crop index u reads frame index left + (u + 0.5) * step - 0.5.
    matrix = np.array(
        [
            [step / rx, 0.0, (left + step / 2 - part.left) / rx - 0.5],
            [0.0, step / ry, (top + step / 2 - part.top) / ry - 0.5],
        ]
    )
    warped = cv2.warpAffine(
        padded,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )
    cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB, dst=into)
