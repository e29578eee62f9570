"""What goes into and comes out of a step of tracking, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.config import NetworkConfig, TrackerConfig
from model.readings import Reading
from model.score_map import Peak
from model.tracker import Calibration, Cutter, Search, Track, cut_crops
from service.errors import ServiceError
from service.sessions.decoding import Image
from service.sessions.session import Progress
from service.sessions.stores.store import Geometry


@dataclass(frozen=True, slots=True)
class Placement:
    """A box that a client drew on a frame; `pointer` says where it stood in the request."""

    id: str
    box: Sequence[float]
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class TrackerModel:
    """The parts of the weights that the pure steps need, their SHA-256, and how crops are cut for the predictor."""

    network: NetworkConfig
    tracker: TrackerConfig
    calibration: Calibration
    weights: str = ""
    cut: Cutter = cut_crops

    @property
    def geometry(self) -> Geometry:
        """How exemplars are cut for it."""
        return Geometry(self.network.exemplar_size, self.tracker.context)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a client may ask for."""

    max_targets: int
    max_frame_pixels: int
    session_ttl_s: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame's pixels, uint8 [height, width, 3] RGB, and how long decoding took, in seconds."""

    image: Image
    decode_s: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.image.shape[1], self.image.shape[0]


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
class Followed:
    """Targets in a new frame, in their order: evidence, tracks, and seconds of waiting for the device and on it."""

    evidence: tuple[Evidence, ...] = ()
    tracks: tuple[Track, ...] = ()
    queue_s: float = 0.0
    infer_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Advance:
    """One frame's outcome. `evidence`: by id, of the targets searched; `faults`: placements that were refused."""

    progress: Progress
    evidence: dict[str, Evidence]
    faults: tuple[ServiceError, ...]
    queue_s: float
    infer_s: float
