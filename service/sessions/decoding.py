"""Decodes frames from untrusted bytes: the model's decoder, with the service's errors."""

from __future__ import annotations

from model import images
from model.arrays import RgbImage
from service.errors import ImageTooLarge, InvalidImage
from service.wire import hints


def decode_frame(data: bytes, max_pixels: int) -> RgbImage:
    """Decode to uint8 [height, width, 3] RGB. Raises InvalidImage, ImageTooLarge (checked before decoding)."""
    try:
        return images.decode(data, max_pixels)
    except images.ImageTooLargeError as error:
        raise ImageTooLarge(str(error)) from None
    except images.InvalidImageError as error:
        raise InvalidImage(f"{error}{hints.of_bytes(data)}") from None
