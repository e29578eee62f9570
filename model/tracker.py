"""The tracker step, split around the network's forward pass.

`Tracker.start` and `Tracker.search` say what to embed, `Tracker.conclude` reads the response. All three are pure: a
track is a frozen value, the frame is only read, and the network is not known here. That lets the steps of many tracks
share one batch. Boxes and regions are in frame pixels; of a frame, only a part may be at hand (`model.frames`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from model.arrays import RgbCrops
from model.boxes import Box
from model.calibration import Calibration, Status
from model.config import NetworkConfig, TrackerConfig
from model.crops import Colour, Region, context_side, cut, mean_colour
from model.frames import Frame, Size, Window
from model.parts import ENOUGH, shrink_for, wanted_part
from model.redetection import probes
from model.response import Response
from model.score_map import Peak
from model.search import Cutter, Search, cut_crops

_FIRST_SPEED = 16.0
"""Assumed speed of a target that has not been followed yet, in search region pixels a frame."""
_STAYS_FOR = 4
"""Frames that a lost target with one search region is looked for at its place alone, before other places have turns."""
_SPEED_WEIGHT = 0.2
"""Weight of the last frame in a track's speed."""
_LEAST_MARGIN = 8.0
"""The margin for motion of a target that stands still, in search region pixels."""
_FARTHEST_ZERO = 1.0
"""Greatest displacement, in cells, in the first frame's own reading; beyond it the head looks at something else."""
_BORDER = 2.0
"""Frame pixels around a region that its crop reads too."""


@dataclass(frozen=True, slots=True)
class Track:
    """One target's state between frames.

    box: where it is now. first_size: (w, h) of the box it was started with, the bound on growth. fill: the first
    frame's mean colour, which stands for everything outside a frame. score and status: as last concluded. seen: its
    centre in the last frame in which it was not lost; None before the first. lost_for: frames since then. speed: how
    far it moves, in pixels of its search region a frame, a moving average. zero: what the box head reads in the first
    frame, where the truth is known: displacement in cells (x, y), logarithms of the width's and the height's ratio.
    """

    box: Box
    first_size: tuple[float, float]
    fill: Colour
    score: float = 1.0
    status: Status = "tracking"
    seen: tuple[float, float] | None = None
    lost_for: int = 0
    speed: float = _FIRST_SPEED
    zero: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The track after a frame, and the peak it was put at."""

    track: Track
    peak: Peak


@dataclass(frozen=True, slots=True)
class Tracker:
    """The pure steps of tracking, for a network of this geometry, with these constants and this calibration."""

    network: NetworkConfig
    constants: TrackerConfig = field(default_factory=TrackerConfig)
    calibration: Calibration = field(default_factory=Calibration)

    def start(self, frame: Frame, box: Box) -> tuple[Track, RgbCrops]:
        """A new track, and the exemplar crop, uint8 [127, 127, 3], whose embedding is the target's appearance."""
        fill = mean_colour(frame.pixels)
        side = context_side(box.size, self.constants.context)
        (pixels,) = cut(frame, [Region(*box.center, side)], self.network.exemplar_size, fill)
        return Track(box=box, first_size=box.size, fill=fill), pixels

    def settle(self, track: Track, search: Search, response: Response) -> Track:
        """The new track, given the response to a search in its own first frame: later readings are relative to it.

        The head's idea of where a target ends differs from the given box by nearly the same in every frame, and the
        first frame shows by how much. Without a head, or where the frame's part shows too little, nothing changes.
        """
        box = response.best(self.constants).box
        if box is None or search.shown(0) < ENOUGH or max(abs(box.dx), abs(box.dy)) > _FARTHEST_ZERO:
            return track
        return replace(track, zero=(box.dx, box.dy, math.log(box.width_ratio), math.log(box.height_ratio)))

    def search(self, frame: Frame, track: Track, cutter: Cutter = cut_crops, *, maps: bool = False) -> Search:
        """Where to look for the track in the next frame, with the pixels that `cutter` cuts.

        maps: whether a device is to hand the maps back.
        """
        return cutter(frame, self.plan(track, frame.size, maps=maps))

    def wants(self, track: Track, frame_size: Size) -> Window | None:
        """The part of the next frame that the track's search will read, with a margin for the target's motion.

        None: the whole frame, because a lost target is searched elsewhere or because the part would save nothing.
        """
        search = self.plan(track, frame_size)
        if search.apart:
            return None
        pixel = max(region.side for region in search.regions) / search.size
        return wanted_part(search.regions, _BORDER + pixel * max(track.speed, _LEAST_MARGIN), frame_size)

    def shrink(self, track: Track, frame_size: Size) -> int:
        """The factor, 1, 2, 4 or 8, by which the next frame may be scaled down for the track's search."""
        return shrink_for(self.plan(track, frame_size).regions, self.network.search_size)

    def plan(self, track: Track, frame_size: Size, *, maps: bool = False) -> Search:
        """Where to look for the track in the next frame: a search without pixels.

        One region a scale around the track's present place. For a lost track, one region there and the others at the
        places of `model.redetection.probes`; with one region, the two in turn.
        """
        network, constants = self.network, self.constants
        side = context_side(track.box.size, constants.context) * network.search_size / network.exemplar_size
        share = constants.influence(track.speed)
        apart = track.status == "lost" and constants.redetect
        if apart:
            regions, here = self._spread(track, side, frame_size)
            # Away from the track nothing says that the target is near the region's middle.
            shares = tuple(share if index == here else 0.0 for index in range(len(regions)))
        else:
            regions = tuple(Region(*track.box.center, side * factor) for factor in constants.scale_factors)
            shares, here = (share,) * len(regions), len(regions) // 2
        return Search(
            regions,
            shares,
            network.search_size,
            track.fill,
            self.exemplar_box(track),
            constants.quality_influence,
            apart,
            here,
            maps,
        )

    def exemplar_box(self, track: Track) -> tuple[float, float]:
        """Width and height of the track's first box as its exemplar's crop shows it, in pixels."""
        scale = self.network.exemplar_size / context_side(track.first_size, self.constants.context)
        return track.first_size[0] * scale, track.first_size[1] * scale

    def conclude(self, track: Track, search: Search, response: Response, frame_size: Size) -> Conclusion:
        """The track after the frame that was searched.

        frame_size: (width, height); the target's centre stays inside it, its size within the constants' bounds. Where
        too little of the region was at hand, the target may be in what was not: see `_doubted`.
        """
        found = self._concluded(track, search, response, frame_size)
        shown = search.shown(found.peak.scale)
        return found if shown >= ENOUGH else self._doubted(track, search, found, shown)

    def _doubted(self, track: Track, search: Search, found: Conclusion, shown: float) -> Conclusion:
        """A conclusion from a region of which only the share `shown` was at hand: never "tracking".

        The track moves only to a target that would be believed and that the part shows; else it stays where it was.
        """
        calibration, coverage = self.calibration, search.coverage
        believed = found.track.status == "tracking" and coverage is not None and coverage.shows(found.track.box)
        limit = calibration.uncertain_below if believed or track.status != "lost" else calibration.lost_below
        score = min(found.track.score, limit) * shown
        status = calibration.status(score)
        if status == "lost":
            seen = track.seen or track.box.center
            lost = replace(track, score=score, status=status, seen=seen, lost_for=track.lost_for + 1)
            return replace(found, track=lost)
        kept = found.track if believed else track
        return replace(found, track=replace(kept, score=score, status=status, seen=kept.box.center, lost_for=0))

    def _concluded(self, track: Track, search: Search, response: Response, frame_size: Size) -> Conclusion:
        network = self.network
        peak = self.locate(search, response)
        if search.apart and peak.scale != search.here and not self._believed(peak, search):
            return Conclusion(replace(track, lost_for=track.lost_for + 1), peak)
        region = search.regions[peak.scale]
        cell = network.stride * region.side / network.search_size
        dx, dy = self._displacement(track, peak)
        width, height = frame_size
        center = (
            min(max(region.cx + dx * cell, 0.0), float(width)),
            min(max(region.cy + dy * cell, 0.0), float(height)),
        )
        score = self._score(peak, search)
        status = self.calibration.status(score)
        # A target that is lost, or was until now, has no scale to measure: the size waits for its return.
        still = "lost" in (status, track.status)
        size = track.box.size if still else self._resized(track, peak, region, frame_size)
        moved = replace(track, box=Box.around(center, size), score=score, status=status)
        if status == "lost":
            seen = track.seen or track.box.center
            return Conclusion(replace(moved, seen=seen, lost_for=track.lost_for + 1), peak)
        # The way back from where it was lost is no speed.
        speed = track.speed
        if not still:
            speed += _SPEED_WEIGHT * (network.stride * math.hypot(dx, dy) - speed)
        return Conclusion(replace(moved, seen=center, lost_for=0, speed=speed), peak)

    def locate(self, search: Search, response: Response) -> Peak:
        """The peak that says where the target is; its `scale` is the index of the region.

        A lost track leaves its place only for a peak that scores better, and at least `redetect_score`. Where its place
        was not searched, the best peak elsewhere is returned whether it is believed or not. What was not at hand of a
        region lowers its peak's score.
        """
        if not search.apart:
            return response.best(self.constants)
        peaks = response.peaks(self.constants)
        best = max(peaks, key=lambda peak: self._score(peak, search) * search.shown(peak.scale))
        return best if self._believed(best, search) or search.here is None else peaks[search.here]

    def _believed(self, peak: Peak, search: Search) -> bool:
        """Whether a lost target is taken to be at this peak away from its place."""
        return self._score(peak, search) * search.shown(peak.scale) >= self.constants.redetect_score

    def _score(self, peak: Peak, search: Search) -> float:
        return self.calibration.score(peak, min(search.exemplar_box))

    def map_region(self, search: Search, scale: int) -> Region:
        """The square of the frame that a region's correlation map covers: its displacements, as places."""
        region = search.regions[scale]
        return replace(region, side=region.side * self.network.upscaled_size / self.network.search_size)

    def _spread(self, track: Track, side: float, frame_size: tuple[int, int]) -> tuple[tuple[Region, ...], int | None]:
        """A lost track's regions, and the index of the one at its present place, if it is among them."""
        seen = track.seen or track.box.center
        # Neighbours lie as far apart as a map reaches: both see what is between them.
        spacing = side * self.network.upscaled_size / self.network.search_size
        others, here = self.constants.scales - 1, (self.constants.scales - 1) // 2
        away = track.lost_for - _STAYS_FOR
        if not others and away > 0 and away % 2 == 1:
            ((x, y),) = probes(seen, spacing, frame_size, away // 2 + 1, 1)
            return (Region(x, y, side),), None
        places = list(probes(seen, spacing, frame_size, (track.lost_for - 1) * others, others))
        places.insert(here, track.box.center)
        return tuple(Region(x, y, side) for x, y in places), here

    def _displacement(self, track: Track, peak: Peak) -> tuple[float, float]:
        """The target's displacement from its region's centre, in cells: the peak's, with a head in part the box's."""
        if peak.box is None:
            return peak.dx, peak.dy
        share, box, (right, down, _, _) = self.constants.offset_share, peak.box, track.zero
        return peak.dx + share * (box.dx - right - peak.dx), peak.dy + share * (box.dy - down - peak.dy)

    def _resized(self, track: Track, peak: Peak, region: Region, frame_size: tuple[int, int]) -> tuple[float, float]:
        """The new (w, h), within the constants' bounds."""
        constants = self.constants
        if peak.box is None:
            change = 1 + constants.scale_damping * (constants.scale_step**peak.zoom - 1)
            return _bounded_together(track, change, frame_size, constants)
        pixel = region.side / self.network.search_size
        ratios = peak.box.width_ratio * math.exp(-track.zero[2]), peak.box.height_ratio * math.exp(-track.zero[3])
        share = constants.scale_damping * peak.box.likelihood
        w, h = (
            now * (shown * ratio * pixel / now) ** share
            for now, shown, ratio in zip(track.box.size, self.exemplar_box(track), ratios, strict=True)
        )
        return _bounded_apart(track, (w, h), frame_size, constants)


def _bounded_together(
    track: Track, change: float, frame_size: tuple[int, int], constants: TrackerConfig
) -> tuple[float, float]:
    """The new (w, h): `change` times the old, the aspect kept, within the bounds unless the old size was not."""
    w, h = track.box.size
    least = max(constants.min_side / w, constants.min_side / h)
    most = min(
        limit / length
        for length, first, frame in zip((w, h), track.first_size, frame_size, strict=True)
        for limit in (first * constants.max_growth, frame * constants.max_frame_share)
    )
    # A target given outside the bounds may stay as it is, but not go further out.
    change = min(max(change, min(least, 1.0)), max(most, 1.0))
    return w * change, h * change


def _bounded_apart(
    track: Track, size: tuple[float, float], frame_size: tuple[int, int], constants: TrackerConfig
) -> tuple[float, float]:
    """A new (w, h) within the bounds, each side by itself; a side that was outside may stay, but not go further out."""
    w, h = (
        min(
            max(new, min(constants.min_side, old)),
            max(min(first * constants.max_growth, frame * constants.max_frame_share), old),
        )
        for new, old, first, frame in zip(size, track.box.size, track.first_size, frame_size, strict=True)
    )
    return w, h
