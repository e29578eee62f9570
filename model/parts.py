"""Parts of frames: which part a search reads, how much of a search a part shows, how far an image may be scaled down.

All in frame pixels, as `model.frames` counts them. Pure; no pixel is touched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.boxes import Box
from model.crops import Region
from model.frames import Frame, Size, Window

ENOUGH = 0.9
"""Share of a region, or of a box, from which a part shows it. The rest lies beyond the reach of the correlation map."""

_WORTH = 0.75
"""Share of the frame from which a part saves nothing."""

_SHRINKS = (8, 4, 2)
"""Factors by which a JPEG decoder scales down, the largest first."""
_FINER = 1.25
"""A scaled image stays so much finer than the crops that are read from it: a target may shrink until the next frame."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a search a part of a frame shows.

    part: the part. frame_size: (width, height) of the frame. shares: for every region, the share of its area inside the
    frame that the part shows, 0..1; 1 where none of it lies inside.
    """

    part: Window
    frame_size: Size
    shares: tuple[float, ...]

    @classmethod
    def of(cls, frame: Frame, regions: Sequence[Region]) -> Coverage | None:
        """The coverage of the regions by the part at hand; None where the whole frame is."""
        if frame.complete:
            return None
        squares = [
            (region.cx - region.side / 2, region.cy - region.side / 2, region.side, region.side) for region in regions
        ]
        return cls(frame.part, frame.size, tuple(_share(frame.part, frame.size, square) for square in squares))

    def shows(self, box: Box) -> bool:
        """Whether the part shows the box, as far as it lies inside the frame."""
        return _share(self.part, self.frame_size, (box.x, box.y, box.w, box.h)) >= ENOUGH


def wanted_part(regions: Iterable[Region], margin: float, frame_size: Size) -> Window | None:
    """The part of a frame of `frame_size` (width, height) that holds all regions with a margin around them.

    Left and top are even, right and bottom even or the frame's edge: chroma subsampling then costs nothing. None where
    the part saves nothing against the whole frame.
    """
    width, height = frame_size
    corners = [
        (region.cx - reach, region.cy - reach, region.cx + reach, region.cy + reach)
        for region in regions
        for reach in (region.side / 2 + margin,)
    ]
    left, top, right, bottom = zip(*corners, strict=True)
    part = Window(
        max(0, math.floor(min(left) / 2) * 2),
        max(0, math.floor(min(top) / 2) * 2),
        min(width, math.ceil(max(right) / 2) * 2),
        min(height, math.ceil(max(bottom) / 2) * 2),
    )
    return None if part.empty or part.area > _WORTH * width * height else part


def holds_wanted(frame: Frame, wanted: Window | None) -> bool:
    """Whether the pixels at hand hold a wanted part; None: the whole frame."""
    return frame.complete or (wanted is not None and frame.part.holds(wanted))


def shrink_for(regions: Iterable[Region], size: int) -> int:
    """The factor, 1, 2, 4 or 8, by which an image may be scaled down before crops [size, size] are read from it."""
    finest = min((region.side for region in regions), default=0.0) / size
    return next((factor for factor in _SHRINKS if finest >= factor * _FINER), 1)


def _share(part: Window, frame_size: Size, rectangle: tuple[float, float, float, float]) -> float:
    """The share of a rectangle (x, y, w, h) that the part shows, where only what lies inside the frame counts."""
    inside = _overlap(rectangle, Window(0, 0, *frame_size))
    return _overlap(rectangle, part) / inside if inside > 0 else 1.0


def _overlap(rectangle: tuple[float, float, float, float], window: Window) -> float:
    x, y, w, h = rectangle
    across = min(x + w, window.right) - max(x, window.left)
    down = min(y + h, window.bottom) - max(y, window.top)
    return max(across, 0.0) * max(down, 0.0)
