"""One target, tracked in process: the whole step for a script, the command line and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.boxes import Box
from model.crops import Image
from model.readings import Reading
from model.score_map import FloatArray, Peak
from model.tracker import Search, Track, conclude, search_regions, start, together

if TYPE_CHECKING:
    from torch import Tensor

    from model.inference import Predictor


@dataclass(frozen=True, slots=True)
class Step:
    """One frame's step: the new track, where it was searched, what was found there, and the peak chosen.

    found: the maps, logits [N, S, S], or what the device read off them.
    """

    track: Track
    search: Search
    found: FloatArray | Reading
    peak: Peak


def step(predictor: Predictor, track: Track, exemplar: Tensor, frame: Image) -> Step:
    """Follow a track, whose exemplar's embedding is fp16 [1, C, e, e] on the device, into `frame`."""
    weights = predictor.weights
    network, tracker, calibration = weights.network.config, weights.tracker, weights.calibration
    search = search_regions(frame, track, network, tracker, predictor.cut)
    found = predictor.respond(exemplar, together([search]))[0]
    size = frame.shape[1], frame.shape[0]
    moved, peak = conclude(track, search, found, size, network, tracker, calibration)
    return Step(moved, search, found, peak)


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
        self._track = step(self._predictor, self._track, self._exemplar, frame).track
        return self._track
