"""A follower that runs the network in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from model.boxes import Box
from model.evaluation.one_pass import Found
from model.images import Image, InvalidImageError, decode
from model.inference.single import SingleTracker

if TYPE_CHECKING:
    from model.inference.predictor import Predictor


class InProcessFollower:
    """`model.evaluation.one_pass.Follower` over a predictor, which many may share one after the other."""

    def __init__(self, predictor: Predictor) -> None:
        self._tracker = SingleTracker(predictor)

    def start(self, frame: Path, box: Box) -> None:
        """Follow the target in `box` from this image file on. Raises InvalidImageError, naming a file that is none."""
        self._tracker.start(_read(frame), box)

    def update(self, frame: Path) -> Found:
        """The target's box and score in the next image file. Raises InvalidImageError as `start`."""
        track = self._tracker.update(_read(frame))
        return Found(track.box, track.score)


def _read(frame: Path) -> Image:
    try:
        return decode(frame.read_bytes())
    except InvalidImageError as error:
        raise InvalidImageError(f"{frame}: {error}") from None
