"""The part of the loaded weights that the steps outside the network need."""

from __future__ import annotations

from dataclasses import dataclass

from model.search import Cutter, cut_crops
from model.tracker import Tracker
from service.sessions.stores.store import Geometry


@dataclass(frozen=True, slots=True)
class TrackerModel:
    """The pure steps that go with the weights, the weights' SHA-256, and the predictor's cutter."""

    tracker: Tracker
    weights: str = ""
    cutter: Cutter = cut_crops

    @property
    def geometry(self) -> Geometry:
        """How exemplars are cut for it."""
        return Geometry(self.tracker.network.exemplar_size, self.tracker.constants.context)
