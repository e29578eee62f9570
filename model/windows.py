"""The parts of a frame from which a device cuts a target's crops itself.

A crop is mostly the frame's own pixels read at other places, three times over for three scales. A device that can read
them itself is sent the *windows*, the parts of the frame that the regions see, once. Regions are in frame pixels, as in
`model.crops`. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from model.arrays import Float64, RgbImage
from model.crops import Colour, Region, reduced, reduction, sampling
from model.frames import Frame

NUMBERS = 10
"""Columns of `FrameWindows.numbers`."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameWindows:
    """The windows of a frame that one target's N search regions see, and how crops are read out of them.

    images: uint8 [h, w, 3] each, perhaps views of the frame and perhaps empty. Their pixels count as lying end to end,
    rows without gaps. numbers: float64 [N, 10], a row a region: the first pixel of its window in that order, the
    window's width and height; left, across, top and down of `model.crops.Sampling`; red, green and blue of everything
    outside the frame.
    """

    images: tuple[RgbImage, ...]
    numbers: Float64

    @property
    def pixels(self) -> int:
        """Pixels of all images."""
        return sum(image.shape[0] * image.shape[1] for image in self.images)


def frame_windows(frame: Frame, regions: Sequence[Region], size: int, fill: Colour) -> FrameWindows:
    """The windows from which crops [size, size] of the regions can be read; `fill` is the colour outside the frame.

    Regions around one place share a window. A window more than twice as fine as the crops is averaged first, so that
    nothing aliases and the pixels sent stay within about four times the crop's.
    """
    groups: dict[tuple[float, float, int], list[int]] = {}
    for index, region in enumerate(regions):
        groups.setdefault((region.cx, region.cy, reduction(region, size, frame.shrink)), []).append(index)
    numbers = np.empty((len(regions), NUMBERS))
    images: list[RgbImage] = []
    first = 0
    for (cx, cy, factor), members in groups.items():
        widest = Region(cx, cy, max(regions[index].side for index in members))
        window = widest.seen_in(frame)
        image = reduced(frame.view(window), factor)
        height, width = image.shape[:2]
        for index in members:
            places = sampling(regions[index], size, window, image)
            numbers[index] = first, width, height, *astuple(places), *fill
        images.append(image)
        first += height * width
    return FrameWindows(tuple(images), numbers)
