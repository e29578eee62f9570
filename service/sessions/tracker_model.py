"""The tracker that goes with the loaded weights, as a session's steps use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.frames import Frame
from model.search import Cutter, Search, cut_crops
from model.tracker import Track, Tracker
from service.sessions.stores.store import Geometry


@dataclass(frozen=True, slots=True)
class TrackerModel:
    """The tracker, the weights' SHA-256, and the cutter of the predictor."""

    tracker: Tracker
    weights: str = ""
    cutter: Cutter = cut_crops

    @property
    def geometry(self) -> Geometry:
        """How its exemplars are cut."""
        return Geometry(self.tracker.network.exemplar_size, self.tracker.constants.context)

    def searches(self, frame: Frame, tracks: Sequence[Track], *, maps: bool = False) -> tuple[Search, ...]:
        """Make the tracks' searches in a frame, with their pixels; `maps`: as `Tracker.search` has it."""
        return tuple(self.tracker.search(frame, track, self.cutter, maps=maps) for track in tracks)
