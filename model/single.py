"""One target, tracked in process: the whole step for a script, the command line and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.boxes import Box
from model.crops import Image
from model.tracker import Track, conclude, search_regions, start

if TYPE_CHECKING:
    from torch import Tensor

    from model.inference import Predictor


class SingleTracker:
    """`start` with a frame and a box, `update` with every later frame. Several may share one predictor."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._track: Track | None = None
        self._exemplar: Tensor | None = None

    def start(self, frame: Image, box: Box) -> Track:
        """Follow what `box` shows in `frame` (uint8 [height, width, 3] RGB) from now on."""
        weights = self._predictor.weights
        self._track, pixels = start(frame, box, weights.network.config, weights.tracker)
        self._exemplar = self._predictor.embed(pixels[None])
        return self._track

    def update(self, frame: Image) -> Track:
        """The target in the next frame. Raises RuntimeError before `start`."""
        if self._track is None or self._exemplar is None:
            raise RuntimeError("update before start")
        weights = self._predictor.weights
        network = weights.network.config
        search = search_regions(frame, self._track, network, weights.tracker)
        maps = self._predictor.respond(self._exemplar, search.crops[None])[0]
        size = frame.shape[1], frame.shape[0]
        self._track = conclude(self._track, search, maps, size, network, weights.tracker, weights.calibration)
        return self._track
