"""Images as Pillow has them, as frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image


def frame_of(image: Image) -> NDArray[np.uint8]:
    """The image as a frame: uint8 BGR [H, W, 3]; other modes become RGB first."""
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"), np.uint8)
    return np.ascontiguousarray(pixels[..., ::-1])
