"""Encoded images to RGB arrays: what a frame is, in process and in the service alike.

JPEG, PNG and WebP; EXIF orientation is ignored (pixels as stored); grey, palette, alpha and deep images become RGB.
The header's dimensions are checked before any pixel is decoded.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from model.errors import ModelError

Image = NDArray[np.uint8]
FORMATS = ("JPEG", "PNG", "WEBP")

# `decode`'s own bound replaces Pillow's, whose warning depends on the process's warning filters.
Pillow.MAX_IMAGE_PIXELS = None


class InvalidImageError(ModelError):
    """The bytes are no JPEG, PNG or WebP image, or a damaged one."""


class ImageTooLargeError(ModelError):
    """The image has more pixels than allowed."""


def decode(data: bytes, max_pixels: int | None = None) -> Image:
    """Decode an image to uint8 [height, width, 3] RGB.

    Raises InvalidImageError (not an image, or a damaged or truncated one) and ImageTooLargeError (more than
    `max_pixels`, by the header, before decoding).
    """
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if max_pixels is not None and width * height > max_pixels:
                raise ImageTooLargeError(f"{width} x {height} pixels; at most {max_pixels} are allowed")
            return _rgb(image)
    except UnidentifiedImageError:
        raise InvalidImageError("the bytes are not a JPEG, PNG or WebP image") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        if isinstance(error, ModelError):
            raise
        raise InvalidImageError(f"the image cannot be decoded: {error}") from None


def _rgb(image: Pillow.Image) -> Image:
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion would clip instead of scale.
        grey = (np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    image.load()
    # Pillow warns of a palette with alpha values, which are dropped here all the same.
    image.info.pop("transparency", None)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
