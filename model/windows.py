"""What a device needs to cut a target's crops itself: the parts of a frame that its search regions see.

A crop is mostly the frame's own pixels read at other places, three times over for three scales. Where the network's
device can read them itself, a *window*, the part of the frame that the regions around one place see, is brought there
once. Frames are uint8 [height, width, 3] RGB; regions are in frame pixels, as in `model.crops`. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.crops import Colour, Image, Region, averaged, clip_span

NUMBERS = 10
"""Of each region: `Cut.numbers`."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One target's N search regions in a frame, to be cut elsewhere.

    windows: uint8 [h, w, 3] each, perhaps views of the frame and perhaps empty; they count as lying end to end, rows
    without gaps. numbers: float64 [N, 10], for each region the first of its window's pixels in that order, the window's
    width and height, then left, step across, top, step down: the crop's pixel (u, v) reads the window's place
    (left + u * step across, top + v * step down), whole numbers being pixels' middles; then the red, green and blue of
    what lies beyond. size: the crops' side in pixels. apart: whether each region is one of its own, rather than all
    scales of one. maps: whether the correlation maps are wanted back, beside what is read off them. influence: the
    cosine window's share in the map, of regions apart in the middle one's alone.
    """

    windows: tuple[Image, ...]
    numbers: NDArray[np.float64]
    size: int
    apart: bool = False
    maps: bool = False
    influence: float = 0.0

    @property
    def pixels(self) -> int:
        """Pixels of all its windows."""
        return sum(each.shape[0] * each.shape[1] for each in self.windows)

    @property
    def values(self) -> int:
        """Values of the crops that it stands for, N * size * size * 3."""
        return len(self.numbers) * self.size * self.size * 3


def cut_windows(
    frame: Image,
    regions: Sequence[Region],
    size: int,
    fill: Colour,
    *,
    apart: bool = False,
    into: Image | None = None,
) -> Cut:
    """The windows of a frame from which crops [size, size] of the regions can be read; `fill` is beyond the frame.

    `into` is for crops, of which there are none here.

    Regions around one place share a window. A window more than twice as fine as the crops is averaged first, so that
    nothing aliases and what is brought to the device stays within about four times the crop's pixels.
    """
    groups: dict[tuple[float, float, int], list[int]] = {}
    for index, region in enumerate(regions):
        groups.setdefault((region.cx, region.cy, _reduction(region.side / size)), []).append(index)
    numbers = np.empty((len(regions), NUMBERS))
    windows: list[Image] = []
    first = 0
    for (cx, cy, reduction), members in groups.items():
        widest = Region(cx, cy, max(regions[index].side for index in members))
        window, (x0, y0), (rx, ry) = _window(frame, widest, reduction)
        for index in members:
            side = regions[index].side
            step, (left, top) = side / size, (cx - side / 2, cy - side / 2)
            across, down = (left + step / 2 - x0) / rx - 0.5, (top + step / 2 - y0) / ry - 0.5
            shape = window.shape[1], window.shape[0]
            numbers[index] = first, *shape, across, step / rx, down, step / ry, *fill
        windows.append(window)
        first += window.shape[0] * window.shape[1]
    return Cut(tuple(windows), numbers, size, apart)


def _reduction(step: float) -> int:
    """How many frame pixels a side become one before a crop with pixels `step` apart is read."""
    return math.floor(step) if step > 2 else 1


def _window(frame: Image, region: Region, reduction: int) -> tuple[Image, tuple[int, int], tuple[float, float]]:
    """What a region sees of a frame, its first pixel's x, y there, and frame pixels a window pixel across and down."""
    height, width = frame.shape[:2]
    x0, x1 = clip_span(region.cx - region.side / 2, region.side, width)
    y0, y1 = clip_span(region.cy - region.side / 2, region.side, height)
    if x0 >= x1 or y0 >= y1:
        return np.empty((0, 0, 3), np.uint8), (0, 0), (1.0, 1.0)
    part: Image = frame[y0:y1, x0:x1]
    if reduction == 1:
        return part, (x0, y0), (1.0, 1.0)
    reduced = averaged(part, reduction)
    rows, columns = reduced.shape[:2]
    return reduced, (x0, y0), ((x1 - x0) / columns, (y1 - y0) / rows)
