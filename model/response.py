"""The network's response to a search: one face for maps that are read here and for maps that a device has read.

Shape legend: N maps of a target, S x S cells a map.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from model.arrays import Float32
from model.box_reading import OUTPUTS, BoxReading, read_box, with_quality
from model.config import TrackerConfig
from model.score_map import Peak, choose_scale, find_peak, scale_penalties

NUMBERS = 5
"""Columns of `DeviceResponse.numbers` for a network without a box head."""
HEAD_NUMBERS = NUMBERS + OUTPUTS
"""The same with one."""


class Response(Protocol):
    """The correlation maps of one target's search, or the numbers that were read off them.

    Where the network has a box head, every peak comes with the box that the head reads there (`Peak.box`).
    """

    @property
    def maps(self) -> Float32 | None:
        """The maps, logits [N, S, S]; None where they stayed on the device because the search did not ask for them."""

    @property
    def finite(self) -> bool:
        """Whether all maps are finite. The peaks of others mean nothing."""

    def best(self, constants: TrackerConfig) -> Peak:
        """The peak among all maps, where they are scales of one region; as `model.score_map.find_peak` has it."""

    def peaks(self, constants: TrackerConfig) -> list[Peak]:
        """The peak of every map by itself, where the regions are apart; a peak's `scale` is the map's index."""


@dataclass(frozen=True, slots=True, eq=False)
class MapResponse:
    """Maps that are read here, with numpy.

    maps: logits float32 [N, S, S]. shares: the cosine window's share in each map (`model.search.Search.shares`).
    boxes: the box head's outputs float32 [N, 5, S, S], if the network has one.
    """

    maps: Float32
    shares: tuple[float, ...]
    boxes: Float32 | None = None

    @classmethod
    def of(cls, outputs: Float32, shares: tuple[float, ...], quality_influence: float = 0.0) -> MapResponse:
        """The response in a network's outputs [N, K, S, S]: the map, and behind it the box head's five, if any.

        quality_influence: weight of the head's quality in the response's maps.
        """
        maps, boxes = outputs[:, 0], outputs[:, 1:]
        if not boxes.shape[1]:
            return cls(maps, shares)
        return cls(with_quality(maps, boxes, quality_influence), shares, boxes)

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.maps).all()) and (self.boxes is None or bool(np.isfinite(self.boxes).all()))

    def best(self, constants: TrackerConfig) -> Peak:
        return self._with_box(find_peak(self.maps, constants, self.shares[len(self.shares) // 2]))

    def peaks(self, constants: TrackerConfig) -> list[Peak]:
        alone = [self.maps[index : index + 1] for index in range(len(self.maps))]
        found = [find_peak(one, constants, share) for one, share in zip(alone, self.shares, strict=True)]
        return [self._with_box(replace(peak, scale=index)) for index, peak in enumerate(found)]

    def _with_box(self, peak: Peak) -> Peak:
        return peak if self.boxes is None else replace(peak, box=read_box(self.boxes[peak.scale], peak.dx, peak.dy))


@dataclass(frozen=True, slots=True, eq=False)
class DeviceResponse:
    """Peaks that the network's device has read (`model.inference.gpu.peaks`).

    numbers: float32 [N, 5], a row a map: height of its upscaled peak above the floor; the peak's place right of and
    below the middle, in upscaled cells; logit and contrast as `Peak` has them. With a box head [N, 10]: then
    its five outputs there. maps: the logits [N, S, S], where the search asked for them.
    """

    numbers: Float32
    maps: Float32 | None = None

    @property
    def finite(self) -> bool:
        # A value that is not finite leaves no height that is.
        return bool(np.isfinite(self.numbers).all())

    def best(self, constants: TrackerConfig) -> Peak:
        heights = self.numbers[:, 0] * scale_penalties(len(self.numbers), constants)
        scale, zoom = choose_scale(heights, constants)
        return replace(self.peaks(constants)[scale], zoom=zoom)

    def peaks(self, constants: TrackerConfig) -> list[Peak]:
        found = []
        for index, (_, right, down, logit, contrast, *head) in enumerate(self.numbers.tolist()):
            dx, dy = right / constants.upscale, down / constants.upscale
            box = BoxReading.of(dx, dy, head) if head else None
            found.append(Peak(index, dx, dy, logit, contrast, box=box))
        return found
