"""A target's search in one frame: the regions, and their pixels for the network.

The tracker decides a search (`model.tracker.Tracker.search`); a cutter adds the pixels. A predictor says with which
cutter: `cut_crops` where crops are cut here, `cut_windows` where the network's device cuts them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.arrays import RgbCrops, RgbImage
from model.crops import Colour, Region, cut
from model.windows import FrameWindows, frame_windows


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """The N regions of a frame in which one target is searched, and their pixels.

    regions: scales of one place, the smallest first; or, where `apart`, places of their own, the target's present one
    in the middle. shares: the cosine window's share in each region's map, 0..1. size: side of the crops. fill: colour
    outside the frame. maps: whether the correlation maps are wanted back from a device, beside the peaks read there.
    crops: uint8 [N, size, size, 3], where they are cut here. windows: what a device cuts them from.
    """

    regions: tuple[Region, ...]
    shares: tuple[float, ...]
    size: int
    fill: Colour
    apart: bool = False
    maps: bool = False
    crops: RgbCrops | None = None
    windows: FrameWindows | None = None

    @property
    def cost(self) -> int:
        """Values that the network embeds for it."""
        return len(self.regions) * self.size * self.size * 3


Cutter = Callable[[RgbImage, Search], Search]
"""Adds a frame's pixels to a search. Pure."""


def cut_crops(frame: RgbImage, search: Search) -> Search:
    """The search with crops, cut here."""
    return replace(search, crops=cut(frame, search.regions, search.size, search.fill))


def cut_windows(frame: RgbImage, search: Search) -> Search:
    """The search with the windows of the frame from which a device cuts the crops."""
    return replace(search, windows=frame_windows(frame, search.regions, search.size, search.fill))


def crops_of(searches: Sequence[Search]) -> RgbCrops:
    """The crops of several searches, uint8 [B, N, side, side, 3]; not copied where there is one.

    Raises ValueError for a search without crops.
    """
    crops = [search.crops for search in searches if search.crops is not None]
    if len(crops) != len(searches) or not crops:
        raise ValueError("this predictor takes searches with crops; prepare them with its own cutter")
    return crops[0][None] if len(crops) == 1 else np.stack(crops)


def windows_of(searches: Sequence[Search]) -> list[FrameWindows]:
    """The windows of several searches. Raises ValueError for a search without any."""
    windows = [search.windows for search in searches if search.windows is not None]
    if len(windows) != len(searches) or not windows:
        raise ValueError("this predictor takes searches with windows; prepare them with its own cutter")
    return windows
