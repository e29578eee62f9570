"""The part of the loaded weights that the steps outside the network need."""

from __future__ import annotations

from dataclasses import dataclass

from model.config import NetworkConfig, TrackerConfig
from model.tracker import Calibration, Cutter, cut_crops
from service.sessions.stores.store import Geometry


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
