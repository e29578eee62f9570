"""A target's search in one frame: the regions, and their pixels for the network.

The tracker decides a search (`model.tracker.Tracker.search`); a cutter adds the pixels. A predictor says with which
cutter: `cut_crops` where crops are cut here, `cut_windows` where the network's device cuts them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.arrays import Float32, RgbCrops
from model.crops import Colour, Region, cut
from model.frames import Frame
from model.parts import Coverage
from model.windows import FrameWindows, frame_windows


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """The N regions of a frame in which one target is searched, and their pixels.

    regions: scales of one place, the smallest first; or, where `apart`, places of their own. here: the index of the
    region at the target's present place; None where it is not among them. shares: the cosine window's share in each
    region's map, 0..1. quality_influence: weight of a box head's quality in the response. size: side of the crops.
    fill: colour outside the frame. exemplar_box: width and height of the exemplar's box in its crop, in pixels. maps:
    whether the correlation maps are wanted back from a device, beside the peaks read there. crops: uint8 [N, size,
    size, 3], where they are cut here. windows: what a device cuts them from. coverage: how much of the regions the part
    of the frame shows that is at hand; None: everything.
    """

    regions: tuple[Region, ...]
    shares: tuple[float, ...]
    size: int
    fill: Colour
    exemplar_box: tuple[float, float] = (0.0, 0.0)
    quality_influence: float = 0.0
    apart: bool = False
    here: int | None = None
    maps: bool = False
    crops: RgbCrops | None = None
    windows: FrameWindows | None = None
    coverage: Coverage | None = None

    @property
    def cost(self) -> int:
        """Values that the network embeds for it."""
        return len(self.regions) * self.size * self.size * 3

    def shown(self, index: int) -> float:
        """The share of a region's area inside the frame that was at hand, 0..1."""
        return 1.0 if self.coverage is None else self.coverage.shares[index]


Cutter = Callable[[Frame, Search], Search]
"""Adds a frame's pixels to a search. Pure."""


def cut_crops(frame: Frame, search: Search) -> Search:
    """The search with crops, cut here."""
    crops = cut(frame, search.regions, search.size, search.fill)
    return replace(search, crops=crops, coverage=Coverage.of(frame, search.regions))


def cut_windows(frame: Frame, search: Search) -> Search:
    """The search with the windows of the frame from which a device cuts the crops."""
    windows = frame_windows(frame, search.regions, search.size, search.fill)
    return replace(search, windows=windows, coverage=Coverage.of(frame, search.regions))


def crops_of(searches: Sequence[Search]) -> RgbCrops:
    """The crops of several searches, uint8 [B, N, side, side, 3]; not copied where there is one.

    Raises ValueError for a search without crops.
    """
    crops = [search.crops for search in searches if search.crops is not None]
    if len(crops) != len(searches) or not crops:
        raise ValueError("this predictor takes searches with crops; prepare them with its own cutter")
    return crops[0][None] if len(crops) == 1 else np.stack(crops)


def exemplar_boxes_of(searches: Sequence[Search]) -> Float32:
    """The exemplars' boxes of several searches: float32 [B, 2], width and height in their crops' pixels."""
    return np.array([search.exemplar_box for search in searches], np.float32)


def windows_of(searches: Sequence[Search]) -> list[FrameWindows]:
    """The windows of several searches. Raises ValueError for a search without any."""
    windows = [search.windows for search in searches if search.windows is not None]
    if len(windows) != len(searches) or not windows:
        raise ValueError("this predictor takes searches with windows; prepare them with its own cutter")
    return windows
