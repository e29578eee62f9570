"""The results of tracking a frame, as values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.readings import Reading
from model.score_map import Peak
from model.tracker import Search, Track


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a target was put where it is: its search; its maps, logits [N, S, S], or what was read off them; the peak."""

    search: Search
    found: NDArray[np.float32] | Reading
    peak: Peak

    @property
    def maps(self) -> NDArray[np.float32] | None:
        """The maps; None where they stayed on the device, not having been asked for."""
        return self.found.maps if isinstance(self.found, Reading) else self.found


@dataclass(frozen=True, slots=True)
class Tracked:
    """Targets tracked into a new frame, in order: evidence and tracks; seconds of waiting for the device and on it."""

    evidence: tuple[Evidence, ...] = ()
    tracks: tuple[Track, ...] = ()
    queue_s: float = 0.0
    infer_s: float = 0.0
