"""Square crops of a frame around a target: the geometry, and crops cut with OpenCV.

Images are uint8 [height, width, 3] RGB. A region is given in frame pixels (pixel i covers [i, i + 1)); what of a
region lies outside the frame, or outside the part of it that is at hand, is filled with one colour. Work and memory
depend on the crop's size and on the region's part inside the frame only: the frame itself is never copied or padded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from model.arrays import RgbCrops, RgbImage
from model.frames import Frame, Window

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Region:
    """A square: centre x, y and side, in frame pixels."""

    cx: float
    cy: float
    side: float

    def seen_in(self, frame: Frame) -> Window:
        """The frame pixels that a crop of the region reads."""
        return frame.seen(self.cx - self.side / 2, self.cy - self.side / 2, self.side)


@dataclass(frozen=True, slots=True)
class Sampling:
    """The places that a crop's pixels are read from: pixel (u, v) reads (left + u * across, top + v * down).

    Places are pixels of a window, perhaps reduced, counted from its corner; whole numbers are the pixels' middles.
    """

    left: float
    across: float
    top: float
    down: float


def sampling(region: Region, size: int, window: Window, pixels: RgbImage) -> Sampling:
    """How a crop [size, size] of the region reads the `pixels` of its window, which may have been reduced.

    Both ways to cut crops follow it: `cut` here, and `model.windows` for crops that a device cuts.
    """
    rows, columns = pixels.shape[:2]
    step = region.side / size
    left, top = region.cx - region.side / 2, region.cy - region.side / 2
    # Frame pixels of one pixel of the window.
    rx = (window.right - window.left) / columns if columns else 1.0
    ry = (window.bottom - window.top) / rows if rows else 1.0
    # Crop pixel u has its middle at the frame's place left + (u + 0.5) * step.
    return Sampling(
        (left + step / 2 - window.left) / rx - 0.5,
        step / rx,
        (top + step / 2 - window.top) / ry - 0.5,
        step / ry,
    )


def reduction(region: Region, size: int, shrink: int = 1) -> int:
    """The number of pixels, along a side, that are averaged into one before a crop [size, size] is read.

    1 unless the pixels, `shrink` frame pixels each along a side, are more than twice as fine as the crop: then the crop
    would alias.
    """
    step = region.side / size / shrink
    return math.floor(step) if step > 2 else 1


def reduced(pixels: RgbImage, factor: int) -> RgbImage:
    """Pixels averaged by `factor` along both sides, to one at least; as they are for a factor of 1 or without any."""
    if factor == 1 or not pixels.size:
        return pixels
    columns, rows = (max(1, round(length / factor)) for length in (pixels.shape[1], pixels.shape[0]))
    return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def context_side(size: tuple[float, float], context: float) -> float:
    """Side, in frame pixels, of the square that an exemplar covers for a target of `size` (w, h).

    sqrt((w + m)(h + m)) with m = context * (w + h); Bertinetto et al. 2016, section 3.1 (its p is m / 2).
    """
    w, h = size
    margin = context * (w + h)
    return math.sqrt((w + margin) * (h + margin))


def mean_colour(image: RgbImage) -> Colour:
    """Mean red, green and blue of an image; the colour of everything outside it."""
    red, green, blue, _ = cv2.mean(image)
    return red, green, blue


def crop(image: RgbImage, region: Region, size: int, fill: Colour) -> RgbImage:
    """The region's pixels of a whole frame, resampled to uint8 [size, size, 3].

    Bilinear; a region more than twice as fine as the crop is averaged first so that nothing aliases.
    """
    return np.asarray(cut(Frame.whole(image), (region,), size, fill)[0])


def cut(frame: Frame, regions: Sequence[Region], size: int, fill: Colour) -> RgbCrops:
    """The crops uint8 [N, size, size, 3] of N regions, each as `crop` gives it."""
    crops = np.empty((len(regions), size, size, 3), np.uint8)
    windows = [region.seen_in(frame) for region in regions]
    factors = [reduction(region, size, frame.shrink) for region in regions]
    widest = max(windows, key=lambda window: window.right - window.left)
    # Regions around one place lie in the largest window, which is made ready for all of them at once.
    shared = all(map(widest.holds, windows)) and max(factors) == 1
    common = _padded(frame.view(widest)) if shared and not widest.empty else None
    for into, region, window, factor in zip(crops, regions, windows, factors, strict=True):
        if window.empty:
            into[...] = np.round(fill)
        elif common is not None:
            _warp(window.within(widest).divided(frame.shrink).view(common), region, window, fill, into)
        else:
            _warp(_padded(reduced(frame.view(window), factor)), region, window, fill, into)
    return crops


def _padded(pixels: RgbImage) -> RgbImage:
    """Pixels with a fourth channel: OpenCV warps four in half the time that it takes for three, to the same values."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), np.uint8)


def _warp(padded: RgbImage, region: Region, window: Window, fill: Colour, into: RgbImage) -> None:
    """Read the region bilinearly out of its window's pixels, uint8 [h, w, 4]."""
    places = sampling(region, len(into), window, padded)
    warped = cv2.warpAffine(
        padded,
        np.array([[places.across, 0.0, places.left], [0.0, places.down, places.top]]),
        (len(into), len(into)),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )
    cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB, dst=into)
