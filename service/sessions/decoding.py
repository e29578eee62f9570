"""Decodes frames from untrusted bytes: the model's decoder, with the service's errors."""

from __future__ import annotations

from model import images
from model.images import ScaledImage
from service.errors import ImageTooLarge, InvalidImage
from service.wire import hints


def decode_frame(data: bytes, max_pixels: int, shrink: int = 1) -> ScaledImage:
    """Decode an image; a JPEG may be scaled down by `shrink` (1, 2, 4 or 8).

    Raises InvalidImage, ImageTooLarge (checked before decoding).
    """
    try:
        return images.decode_scaled(data, max_pixels, shrink)
    except images.ImageTooLargeError as error:
        raise ImageTooLarge(str(error)) from None
    except images.InvalidImageError as error:
        raise InvalidImage(f"{error}{hints.of_bytes(data)}") from None
