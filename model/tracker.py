"""The tracker step, split around the network's forward pass.

`start` and `search_regions` say what to embed, `conclude` reads the answer. All three are pure: a track is a frozen
value, the frame is only read, and the network is not known here. That is what lets the steps of many tracks share one
batch. Frames are uint8 [height, width, 3] RGB; boxes and regions are in frame pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model.boxes import Box
from model.config import NetworkConfig, TrackerConfig, _FromDict, _require
from model.crops import Colour, Image, Region, context_side, crop, cut, mean_colour
from model.readings import Reading
from model.redetection import probes
from model.score_map import FloatArray, Peak, find_peak
from model.windows import Cut

Status = Literal["tracking", "uncertain", "lost"]
Pixels = NDArray[np.uint8]

_FIRST_SPEED = 16.0
"""Search region pixels a frame that a target is taken to move at before it was followed."""
_SPEED_WEIGHT = 0.2
"""Of the last frame in a track's speed."""


@dataclass(frozen=True, slots=True)
class Calibration(_FromDict):
    """From a peak to a score: the logistic of `bias + logit * peak.logit + contrast * peak.contrast`.

    Fitted so that the score is the probability that the box overlaps the truth by an IoU of at least 0.5.
    `uncertain_below` and `lost_below` are the scores under which a target's status says so.
    """

    bias: float = 0.0
    logit: float = 1.0
    contrast: float = 0.0
    uncertain_below: float = 0.5
    lost_below: float = 0.2

    def __post_init__(self) -> None:
        _require(
            all(map(math.isfinite, (self.bias, self.logit, self.contrast))), "a calibration's numbers must be finite"
        )
        _require(
            0 <= self.lost_below <= self.uncertain_below <= 1,
            f"0 <= lost_below <= uncertain_below <= 1 must hold: {self.lost_below}, {self.uncertain_below}",
        )

    def score(self, peak: Peak) -> float:
        """The score of a peak, 0..1."""
        z = self.bias + self.logit * peak.logit + self.contrast * peak.contrast
        return 1 / (1 + math.exp(-z)) if z > -700 else 0.0

    def status(self, score: float) -> Status:
        """What a score says of the target."""
        if score < self.lost_below:
            return "lost"
        return "uncertain" if score < self.uncertain_below else "tracking"


@dataclass(frozen=True, slots=True)
class Track:
    """One target's state between frames.

    box: where it is now. first_size: (w, h) of the box it was started with, the bound on growth. fill: the first
    frame's mean colour, which stands for what lies outside a frame. score and status: as last concluded. seen: its
    centre in the last frame in which it was not lost; None before the first. lost_for: frames since then. speed: how
    far it moves, in pixels of its search region a frame, the last frames counting most.
    """

    box: Box
    first_size: tuple[float, float]
    fill: Colour
    score: float = 1.0
    status: Status = "tracking"
    seen: tuple[float, float] | None = None
    lost_for: int = 0
    speed: float = _FIRST_SPEED


@dataclass(frozen=True, slots=True)
class Search:
    """A frame's search regions of one track and their pixels: uint8 [N, side, side, 3], or what they are cut from.

    Smallest first around the track's place; of a lost track the middle one lies there, the others elsewhere.
    """

    regions: tuple[Region, ...]
    crops: Pixels | Cut


class Cutter(Protocol):
    """Where crops are cut: here (`cut_crops`), or on the network's device (`model.windows.cut_windows`)."""

    def __call__(
        self,
        frame: Image,
        regions: Sequence[Region],
        size: int,
        fill: Colour,
        *,
        apart: bool = False,
        into: Pixels | None = None,
    ) -> Pixels | Cut:
        """The regions' pixels, [size, size] each; `apart`: each is a region of its own, not all scales of one.

        Crops are written to `into`, uint8 [N, size, size, 3], where it is given.
        """


def cut_crops(
    frame: Image,
    regions: Sequence[Region],
    size: int,
    fill: Colour,
    *,
    apart: bool = False,
    into: Pixels | None = None,
) -> Pixels:
    """Crops uint8 [N, size, size, 3] of the regions."""
    crops = np.empty((len(regions), size, size, 3), np.uint8) if into is None else into
    cut(frame, regions, fill, crops)
    return crops


def start(frame: Image, box: Box, network: NetworkConfig, tracker: TrackerConfig) -> tuple[Track, Image]:
    """A new track, and the exemplar crop, uint8 [127, 127, 3], whose embedding is its appearance from now on."""
    fill = mean_colour(frame)
    side = context_side(box.size, tracker.context)
    pixels = crop(frame, Region(*box.center, side), network.exemplar_size, fill)
    return Track(box=box, first_size=box.size, fill=fill), pixels


def search_shape(network: NetworkConfig, tracker: TrackerConfig) -> tuple[int, int, int, int]:
    """The shape of a search's crops: (N, side, side, 3)."""
    return tracker.scales, network.search_size, network.search_size, 3


def search_regions(
    frame: Image,
    track: Track,
    network: NetworkConfig,
    tracker: TrackerConfig,
    cutter: Cutter = cut_crops,
    into: Pixels | None = None,
) -> Search:
    """Where to look for the track in the next frame: one region a scale around its present place.

    Of a lost track, one region there and the others where `redetection.probes` has them. Crops are written to `into`,
    of `search_shape`, where it is given.
    """
    side = context_side(track.box.size, tracker.context) * network.search_size / network.exemplar_size
    apart = _searched_apart(track, tracker)
    if apart:
        regions = _spread(track, side, (frame.shape[1], frame.shape[0]), network, tracker)
    else:
        regions = tuple(Region(*track.box.center, side * factor) for factor in tracker.scale_factors)
    crops = cutter(frame, regions, network.search_size, track.fill, apart=apart, into=into)
    if isinstance(crops, Cut):
        crops = replace(crops, influence=tracker.influence(track.speed))
    return Search(regions, crops)


def together(searches: Sequence[Search], rows: Pixels | None = None, *, maps: bool = False) -> Pixels | tuple[Cut, ...]:
    """The crops of several targets as the network takes them: uint8 [B, N, side, side, 3], or one cut a target.

    rows: the array of that shape that the crops were cut into, if they were. maps: whether the targets' maps are
    wanted; those of crops that were cut here are always there.
    """
    cuts = tuple(replace(search.crops, maps=maps) for search in searches if isinstance(search.crops, Cut))
    if cuts:
        return cuts
    return np.stack([search.crops for search in searches]) if rows is None else rows  # type: ignore[misc]


def _searched_apart(track: Track, tracker: TrackerConfig) -> bool:
    return track.status == "lost" and tracker.redetect


def _spread(
    track: Track, side: float, frame_size: tuple[int, int], network: NetworkConfig, tracker: TrackerConfig
) -> tuple[Region, ...]:
    seen = track.seen or track.box.center
    # As far apart as a map reaches: what lies between two places is seen from both.
    spacing = side * network.upscaled_size / network.search_size
    others = tracker.scales - 1
    places = list(probes(seen, spacing, frame_size, (track.lost_for - 1) * others, others))
    places.insert(others // 2, track.box.center)
    return tuple(Region(x, y, side) for x, y in places)


def conclude(
    track: Track,
    search: Search,
    found: FloatArray | Reading,
    frame_size: tuple[int, int],
    network: NetworkConfig,
    tracker: TrackerConfig,
    calibration: Calibration,
) -> tuple[Track, Peak]:
    """The track after the frame whose correlation maps (logits [N, S, S]) these are, and the peak it was put at.

    found: the maps, or what was read off them. `frame_size` is (width, height): the target's centre stays inside it,
    its size within the tracker's bounds.
    """
    peak = locate(track, found, tracker, calibration)
    region = search.regions[peak.scale]
    cell = network.stride * region.side / network.search_size
    width, height = frame_size
    center = (
        min(max(region.cx + peak.dx * cell, 0.0), float(width)),
        min(max(region.cy + peak.dy * cell, 0.0), float(height)),
    )
    score = calibration.score(peak)
    status = calibration.status(score)
    # What is lost, or was until now, has no scale to measure: the size waits for the target's return.
    still = "lost" in (status, track.status)
    change = 1.0 if still else 1 + tracker.scale_damping * (tracker.scale_step**peak.zoom - 1)
    moved = replace(
        track,
        box=Box.around(center, _bounded(track, change, frame_size, tracker)),
        score=score,
        status=status,
    )
    if status == "lost":
        return replace(moved, seen=track.seen or track.box.center, lost_for=track.lost_for + 1), peak
    # The way back from where it was lost is no speed.
    speed = track.speed
    if not still:
        speed += _SPEED_WEIGHT * (network.stride * math.hypot(peak.dx, peak.dy) - speed)
    return replace(moved, seen=center, lost_for=0, speed=speed), peak


def locate(track: Track, found: FloatArray | Reading, tracker: TrackerConfig, calibration: Calibration) -> Peak:
    """The peak, among a track's maps [N, S, S], that says where the target is; its `scale` is the map's index.

    A lost track leaves its place only for a peak that scores better, and at least `redetect_score`.
    """
    # The device has been told by `search_regions`.
    influence = tracker.influence(track.speed)
    if not _searched_apart(track, tracker):
        return found.best(tracker) if isinstance(found, Reading) else find_peak(found, tracker, influence)
    peaks = found.peaks(tracker) if isinstance(found, Reading) else _peak_of_each(found, tracker, influence)
    best = max(peaks, key=calibration.score)
    return best if calibration.score(best) >= tracker.redetect_score else peaks[len(peaks) // 2]


def _peak_of_each(maps: FloatArray, tracker: TrackerConfig, influence: float) -> list[Peak]:
    middle = len(maps) // 2
    # Elsewhere nothing says that the target is near the region's middle.
    shares = [influence if index == middle else 0.0 for index in range(len(maps))]
    found = [find_peak(maps[index : index + 1], tracker, share) for index, share in enumerate(shares)]
    return [replace(peak, scale=index) for index, peak in enumerate(found)]


def map_region(search: Search, scale: int, network: NetworkConfig) -> Region:
    """The square of the frame that a correlation map covers: the displacements it speaks of, as places."""
    region = search.regions[scale]
    return replace(region, side=region.side * network.upscaled_size / network.search_size)


def _bounded(track: Track, change: float, frame_size: tuple[int, int], tracker: TrackerConfig) -> tuple[float, float]:
    """The new (w, h): `change` times the old, the aspect kept, within the bounds where the old size was."""
    w, h = track.box.size
    least = max(tracker.min_side / w, tracker.min_side / h)
    most = min(
        limit / length
        for length, first, frame in zip((w, h), track.first_size, frame_size, strict=True)
        for limit in (first * tracker.max_growth, frame * tracker.max_frame_share)
    )
    # A target given outside the bounds may stay as it is, but not go further out.
    change = min(max(change, min(least, 1.0)), max(most, 1.0))
    return w * change, h * change
