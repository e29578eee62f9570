"""Targets tracked by a network in this process: the one place where the user's package drives the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.boxes import Box
from model.errors import InvalidBoxError
from model.inference.single import SingleTracker
from siamfc.backends import TargetTracker
from siamfc.client import Target
from siamfc.client.calls import BoxLike, checked_box
from siamfc.client.frames import Frame, checked_array, read_bytes
from siamfc.client.refusals import from_kind
from siamfc.contract import FRAME_SIZE_CHANGED, INVALID_BOX, INVALID_IMAGE

if TYPE_CHECKING:
    from model.arrays import RgbImage
    from model.inference.predictor import Predictor
    from model.tracker import Track

TARGET_ID = "0"


def load(
    weights: str | Path | None = None, device: str = "auto", runtime: str = "auto", precision: str = "auto"
) -> InProcess:
    """Load the network. Raises ImportError, naming the extra, and the errors of `model` for the weights."""
    try:
        from model.checkpoints import find_weights, load_weights
        from model.inference.loading import load_predictor
    except ModuleNotFoundError as error:
        raise ImportError(
            f"tracking in this process needs {error.name}: pip install 'siamfc-service[server]', or give a server"
        ) from error
    loaded = load_weights(find_weights(None if weights is None else Path(weights)))
    return InProcess(load_predictor(loaded, device=device, runtime=runtime, precision=precision))


class InProcess:
    """A loaded network, which all trackers share."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def tracker(self) -> TargetTracker:
        """A tracker over the network."""
        return _InProcessTracker(self._predictor)

    def close(self) -> None:
        """Nothing: the network goes with the last that uses it."""


class _InProcessTracker:
    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._inner: SingleTracker | None = None
        self._size = (0, 0)

    def start(self, frame: Frame, box: BoxLike) -> Target:
        pixels = _rgb(frame)
        self._size = pixels.shape[1], pixels.shape[0]
        try:
            given = Box.checked(checked_box(box), self._size)
        except InvalidBoxError as error:
            raise from_kind(INVALID_BOX, str(error)) from error
        self._inner = SingleTracker(self._predictor)
        return _target(self._inner.start(pixels, given))

    def update(self, frame: Frame) -> Target:
        if self._inner is None:
            raise RuntimeError("update before start")
        pixels = _rgb(frame)
        size = pixels.shape[1], pixels.shape[0]
        if size != self._size:
            was, now = (f"{width} x {height}" for width, height in (self._size, size))
            raise from_kind(FRAME_SIZE_CHANGED, f"the frame is {now}; the first frame was {was}")
        return _target(self._inner.update(pixels))

    def close(self) -> None:
        self._inner = None


def _rgb(frame: Frame) -> RgbImage:
    """The frame as the server sees it."""
    from model.images import InvalidImageError, decode

    if isinstance(frame, np.ndarray):
        pixels = checked_array(frame)
        grey = pixels.ndim == 2
        return np.repeat(pixels[..., None], 3, axis=2) if grey else np.ascontiguousarray(pixels[..., ::-1])
    try:
        return decode(read_bytes(frame))
    except InvalidImageError as error:
        raise from_kind(INVALID_IMAGE, str(error)) from error


def _target(track: Track) -> Target:
    x, y, w, h = track.box.as_list()
    return Target(TARGET_ID, (x, y, w, h), track.score, track.status)
