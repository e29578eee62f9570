"""One target, tracked in process: the whole step for a script, the command line and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.arrays import RgbImage
from model.boxes import Box
from model.frames import Frame, Size, Window
from model.response import Response
from model.score_map import Peak
from model.search import Search
from model.tracker import Track, Tracker

if TYPE_CHECKING:
    from torch import Tensor

    from model.inference.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Update:
    """One frame's step: the new track, where it was searched, the network's response, and the peak chosen."""

    track: Track
    search: Search
    response: Response
    peak: Peak


def start(predictor: Predictor, tracker: Tracker, frame: Frame, box: Box) -> tuple[Track, Tensor]:
    """A new track of what `box` shows in `frame`, and its exemplar's embedding, fp16 [1, C, e, e] on the device."""
    track, pixels = tracker.start(frame, box)
    exemplar = predictor.embed(pixels[None])
    if tracker.network.head is None:
        return track, exemplar
    search = tracker.search(frame, track, predictor.cutter)
    (response,) = predictor.respond(exemplar, [search])
    return tracker.settle(track, search, response), exemplar


def update(predictor: Predictor, tracker: Tracker, track: Track, exemplar: Tensor, frame: Frame) -> Update:
    """Follow a track into `frame`; its exemplar's embedding is fp16 [1, C, e, e] on the device."""
    search = tracker.search(frame, track, predictor.cutter)
    (response,) = predictor.respond(exemplar, [search])
    concluded = tracker.conclude(track, search, response, frame.size)
    return Update(concluded.track, search, response, concluded.peak)


class SingleTracker:
    """`start` with a frame and a box, `update` with every later frame. Several may share one predictor."""

    def __init__(self, predictor: Predictor, tracker: Tracker | None = None) -> None:
        """`tracker`: other constants than those of the predictor's weights."""
        self._predictor = predictor
        self._tracker = tracker if tracker is not None else predictor.tracker
        self._track: Track | None = None
        self._exemplar: Tensor | None = None

    def start(self, frame: RgbImage, box: Box) -> Track:
        """Follow the target that `box` shows in `frame` (uint8 [height, width, 3] RGB) from now on."""
        self._track, self._exemplar = start(self._predictor, self._tracker, Frame.whole(frame), box)
        return self._track

    def wants(self, frame_size: Size) -> Window | None:
        """The part of the next frame, of that (width, height), that `follow` reads; None: the whole frame.

        Raises RuntimeError before `start`.
        """
        if self._track is None:
            raise RuntimeError("update before start")
        return self._tracker.wants(self._track, frame_size)

    def update(self, frame: RgbImage) -> Track:
        """The target in the next frame. Raises RuntimeError before `start`."""
        return self.follow(Frame.whole(frame))

    def follow(self, frame: Frame) -> Track:
        """The target in the next frame, of which a part may be at hand. Raises RuntimeError before `start`."""
        if self._track is None or self._exemplar is None:
            raise RuntimeError("update before start")
        self._track = update(self._predictor, self._tracker, self._track, self._exemplar, frame).track
        return self._track
