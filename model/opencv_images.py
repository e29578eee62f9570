"""Image files decoded by OpenCV: pixels to draw on and to give to its own trackers, and cut-outs with their alpha.

What is tracked and trained on is decoded by `model.images`, which refuses damaged images. Here too pixels are as
stored: OpenCV would turn a picture by its EXIF orientation unless it is told not to.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.errors import ModelError

Pixels = NDArray[np.uint8]

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decode_bgr(data: bytes) -> Pixels | None:
    """uint8 BGR [H, W, 3]; None where the bytes are no image that OpenCV decodes."""
    return _decode(data, _AS_STORED)


def decode_rgba(data: bytes) -> Pixels | None:
    """uint8 RGBA [H, W, 4], opaque where there is no alpha channel; None where the bytes are no colour image."""
    image = _decode(data, cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.dtype != np.uint8:
        return None
    conversion = cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGBA
    return np.asarray(cv2.cvtColor(image, conversion), np.uint8)


def read_bgr(path: Path) -> Pixels:
    """The image file, uint8 BGR [H, W, 3]. Raises ModelError, naming a file that is no image."""
    try:
        image = decode_bgr(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    if image is None:
        raise ModelError(f"{path}: not an image that OpenCV reads")
    return image


def _decode(data: bytes, flags: int) -> Pixels | None:
    if data.startswith(_JPEG_START) and not data.endswith(_JPEG_END):
        data += _JPEG_END  # some cameras leave it out; OpenCV wants it, and `model.images` judges what is cut earlier
    encoded = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(encoded, flags) if encoded.size else None
    return None if image is None else np.asarray(image)
