"""Clips of any frame size, with exact boxes: a face, a sixteenth of the width, crosses a noisy picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.arrays import Float64
from model.data.rendered import detail, photograph

SIZES = {"VGA": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
"""Width and height by name."""

_NOISE = 2.0
"""Standard deviation of every pixel, in grey levels: enlarged photographs alone would be too easy to compress."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """bgr: uint8 [H, W, 3] frames. jpeg: the same, encoded at quality 95. truth: float64 [N, 4] boxes x, y, w, h."""

    bgr: tuple[NDArray[np.uint8], ...]
    jpeg: tuple[bytes, ...]
    truth: Float64

    @classmethod
    def rendered(cls, size: tuple[int, int], count: int) -> Clip:
        """A clip of so many frames, (width, height) each. The face moves by half a hundredth of the width a frame."""
        width, height = size
        rng = np.random.default_rng(0)
        side = width // 16
        ground = cv2.resize(photograph("chelsea"), size, interpolation=cv2.INTER_CUBIC)[..., ::-1]
        face = detail(photograph("astronaut"), (170, 60, 104, 104), (side, side))[..., ::-1]
        noise = rng.normal(0, _NOISE, (height, width, 3)).astype(np.int8)
        step = width / 200
        frames, truth = [], []
        for index in range(count):
            x, y = round(0.3 * width + step * index), round(0.4 * height + step * index / 2)
            frame = ground.copy()
            frame[y : y + side, x : x + side] = face
            # The noise of another frame is the same, elsewhere.
            moved = np.roll(noise, 7 * index, axis=(0, 1))
            frames.append(cv2.add(frame, moved, dtype=cv2.CV_8U))
            truth.append((x, y, side, side))
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
        jpeg = tuple(cv2.imencode(".jpg", frame, quality)[1].tobytes() for frame in frames)
        return cls(tuple(np.asarray(frame, np.uint8) for frame in frames), jpeg, np.array(truth, np.float64))

    def index(self, k: int) -> int:
        """Frame k of the clip played to and fro without end."""
        last = len(self.bgr) - 1
        at = k % (2 * last)
        return min(at, 2 * last - at)
