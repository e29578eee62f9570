"""The walk over an encoded image of any kind."""

from __future__ import annotations

from model.encoded import jpeg, png, webp
from model.encoded.bounds import Walked
from model.errors import InvalidImageError


def walk(data: bytes, max_pixels: int | None = None) -> Walked:
    """An image's size, and its bytes without metadata, from its markers or chunks alone; linear in their number.

    Raises InvalidImageError where it is no JPEG, PNG or WebP, or asks for more work than `model.encoded.bounds` allows,
    and ImageTooLargeError for more than `max_pixels` or too long a side.
    """
    if data.startswith(jpeg.SIGNATURE):
        return jpeg.walk(data, max_pixels)
    if data.startswith(png.SIGNATURE):
        return png.walk(data, max_pixels)
    if webp.recognises(data):
        return webp.walk(data, max_pixels)
    raise InvalidImageError("the bytes are not a JPEG, PNG or WebP image")
