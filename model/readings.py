"""What was read off a target's correlation maps where they are: the numbers from which `locate` chooses.

`model.score_map` reads maps here, with numpy; `model.runtimes.peaks` reads them on the network's device and hands a
`Reading` of each target back. Both mean the same by a peak. Shape legend: N maps of a target, S x S cells each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from model.config import TrackerConfig
from model.score_map import FloatArray, Peak, choose_scale, scale_penalties

NUMBERS = 5
"""Of each map: `Reading.numbers`."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One target's maps, read.

    numbers: float32 [N, 5], for each map the height of its upscaled response above the floor; where its peak lies to
    the right of and below the middle, in upscaled cells; the peak's logit and contrast as `Peak` has them. maps: the
    logits [N, S, S] themselves, where they were asked for.
    """

    numbers: FloatArray
    maps: FloatArray | None = None

    @property
    def finite(self) -> bool:
        """Whether the maps were: a value that is not finite leaves no height that is."""
        return bool(np.isfinite(self.numbers).all())

    def best(self, config: TrackerConfig) -> Peak:
        """The peak of all maps, as `score_map.find_peak` has it, where they are scales of one region."""
        heights = self.numbers[:, 0] * scale_penalties(len(self.numbers), config)
        scale, zoom = choose_scale(heights, config)
        return replace(self.peaks(config)[scale], zoom=zoom)

    def peaks(self, config: TrackerConfig) -> list[Peak]:
        """The peak of every map; its `scale` is the map's index."""
        return [
            Peak(index, right / config.upscale, down / config.upscale, logit, contrast)
            for index, (_, right, down, logit, contrast) in enumerate(self.numbers.tolist())
        ]
