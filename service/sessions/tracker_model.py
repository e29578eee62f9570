"""The tracker that goes with the loaded weights, as a session's steps use it."""

from __future__ import annotations

from dataclasses import dataclass

from model.search import Cutter, cut_crops
from model.tracker import Tracker
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
