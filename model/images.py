"""Encoded images to RGB arrays, for frames in process and in the service alike.

JPEG, PNG and WebP; EXIF orientation is ignored (pixels as stored); grey, palette, alpha and deep images become RGB.
A walk over the bytes checks the header's dimensions, and how much work they ask for, before any pixel is decoded;
decoders see no metadata.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from model.encoded.bounds import Walked
from model.encoded.walk import walk
from model.errors import ImageTooLargeError, InvalidImageError

__all__ = ["FORMATS", "Image", "ImageTooLargeError", "InvalidImageError", "ScaledImage", "decode", "decode_scaled"]

Image = NDArray[np.uint8]
FORMATS = ("JPEG", "PNG", "WEBP")

_JPEG = b"\xff\xd8\xff"
_PLAIN = ("YCbCr", "Gray")
"""The colour spaces of nearly every JPEG; what is rarer, such as CMYK, is Pillow's."""

_CMYK = ("CMYK", "YCCK")

# The walk's own bound replaces Pillow's, whose warning depends on the process's warning filters.
Pillow.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True, eq=False)
class ScaledImage:
    """A decoded image, perhaps scaled down by its decoder.

    pixels: uint8 [h, w, 3] RGB. size: the image's own (width, height). shrink: the image's pixels along a side of one
    of `pixels`; h and w are the image's height and width divided by it, rounded up.
    """

    pixels: Image
    size: tuple[int, int]
    shrink: int = 1


def decode(data: bytes, max_pixels: int | None = None) -> Image:
    """Decode an image to uint8 [height, width, 3] RGB.

    Raises InvalidImageError (not an image, a damaged or truncated one, or one that asks for more work than
    `model.encoded.bounds` allows) and ImageTooLargeError (more than `max_pixels`, by the header); size and work are
    checked before decoding. A JPEG that lacks nothing but its end marker is taken.
    """
    return decode_scaled(data, max_pixels).pixels


def decode_scaled(data: bytes, max_pixels: int | None = None, shrink: int = 1) -> ScaledImage:
    """Decode an image, a JPEG of the usual kind scaled down by `shrink` (1, 2, 4 or 8). Raises as `decode` does.

    A JPEG decoder scales in the frequency domain: the fewer pixels come out, the less it computes.
    """
    walked = walk(data, max_pixels)
    plain = _plain_jpeg(walked, shrink)
    if plain is not None:
        return plain
    pixels = _any(walked)
    return ScaledImage(pixels, (pixels.shape[1], pixels.shape[0]))


def _plain_jpeg(walked: Walked, shrink: int) -> ScaledImage | None:
    """The image, where it is a sound JPEG of the usual kind: the pixels that Pillow gives, at less cost. Else None.

    Whether damage is slight enough to look past is decided in one place, by Pillow. But where there is no end marker,
    any doubt says that the image was cut off within its last scan: raises InvalidImageError.
    """
    if not walked.data.startswith(_JPEG):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(walked.data)
        if colours not in _PLAIN and walked.ended:
            return None
        # Strict: otherwise it takes fatal errors too for slight ones, and leaves pixels as they were in memory.
        kind = "CMYK" if colours in _CMYK else "RGB"
        rows, columns = -(-height // shrink), -(-width // shrink)
        pixels: Image = simplejpeg.decode_jpeg(walked.data, kind, min_height=rows, min_width=columns, strict=True)
    except (ValueError, KeyError) as error:  # KeyError: sampling factors that it has no name for
        if not walked.ended:
            raise InvalidImageError(f"the JPEG is cut off: {error}") from None
        return None
    if colours not in _PLAIN:
        return None
    assert pixels.shape == (rows, columns, 3), "the decoder scales to the next larger size that was asked for"
    return ScaledImage(pixels, (width, height), shrink)


def _any(walked: Walked) -> Image:
    try:
        with Pillow.open(io.BytesIO(walked.data), formats=FORMATS) as image:
            return _rgb(image)
    except UnidentifiedImageError:
        raise InvalidImageError("the bytes are not a JPEG, PNG or WebP image") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
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
