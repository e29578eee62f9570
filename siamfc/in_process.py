"""Targets tracked by a network in this process: the one place where the user's package drives the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.boxes import Box
from model.errors import InvalidBoxError
from model.frames import Frame as ModelFrame
from model.frames import Window
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
        pixels, to_rgb = _read(frame)
        self._size = pixels.shape[1], pixels.shape[0]
        try:
            given = Box.checked(checked_box(box), self._size)
        except InvalidBoxError as error:
            raise from_kind(INVALID_BOX, str(error)) from error
        self._inner = SingleTracker(self._predictor)
        return _target(self._inner.start(to_rgb(pixels), given))

    def update(self, frame: Frame) -> Target:
        if self._inner is None:
            raise RuntimeError("update before start")
        pixels, to_rgb = _read(frame)
        size = pixels.shape[1], pixels.shape[0]
        if size != self._size:
            was, now = (f"{width} x {height}" for width, height in (self._size, size))
            raise from_kind(FRAME_SIZE_CHANGED, f"the frame is {now}; the first frame was {was}")
        # Colours are turned round only where they are read: in a large frame that takes longer than the network.
        part = self._inner.wants(size) or Window(0, 0, *size)
        return _target(self._inner.follow(ModelFrame(to_rgb(part.view(pixels)), size, part)))

    def close(self) -> None:
        self._inner = None


def _read(frame: Frame) -> tuple[NDArray[np.uint8], Callable[[NDArray[np.uint8]], RgbImage]]:
    """The frame's pixels, and what turns them, or a part of them, into RGB [H, W, 3]."""
    from model.images import InvalidImageError, decode

    if isinstance(frame, np.ndarray):
        return checked_array(frame), _rgb
    try:
        return decode(read_bytes(frame)), lambda pixels: pixels
    except InvalidImageError as error:
        raise from_kind(INVALID_IMAGE, str(error)) from error


def _rgb(pixels: NDArray[np.uint8]) -> RgbImage:
    """RGB [H, W, 3], from BGR [H, W, 3] or grey [H, W]."""
    import cv2

    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB), np.uint8)


def _target(track: Track) -> Target:
    x, y, w, h = track.box.as_list()
    return Target(TARGET_ID, (x, y, w, h), track.score, track.status)
