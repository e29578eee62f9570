"""Frames that the fake predictor can follow: a white square on grey."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 160, 120
SIDE = 16


def picture(x: float, y: float, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """uint8 [height, width, 3]: a white square of 16 px with its top-left corner at (x, y), whole pixels."""
    image = np.full((height, width, 3), 90, np.uint8)
    image[int(y) : int(y) + SIDE, int(x) : int(x) + SIDE] = 255
    return image


def frame(x: float, y: float, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """The picture as PNG."""
    return encoded(picture(x, y, width, height))


def encoded(image: NDArray[np.uint8]) -> bytes:
    """A picture, or a part of one, as PNG. Its colours are grey, so the order of channels says nothing."""
    return cv2.imencode(".png", image)[1].tobytes()


def box(x: float, y: float) -> tuple[float, float, float, float]:
    """The square's box."""
    return float(x), float(y), float(SIDE), float(SIDE)
