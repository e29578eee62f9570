"""Arrays to image bytes and back: by OpenCV where it is installed, which is faster, else by Pillow."""

from __future__ import annotations

import io
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

ImageFormat: TypeAlias = Literal[".jpg", ".png", ".webp"]

_QUICK_PNG = 1


def encoded(pixels: NDArray[np.uint8], format: ImageFormat, quality: int) -> bytes:
    """The image file of pixels, uint8 BGR [H, W, 3] or grey [H, W].

    quality: 0..100 of `.jpg` and `.webp`; a `.webp` above 100 is exact, as a `.png` always is. Raises ValueError where
    the pixels cannot be encoded, as where there are too many of them.
    """
    try:
        import cv2
    except ModuleNotFoundError:
        return _encoded_by_pillow(pixels, format, quality)
    flag = {".jpg": cv2.IMWRITE_JPEG_QUALITY, ".webp": cv2.IMWRITE_WEBP_QUALITY}.get(format)
    try:
        done, data = cv2.imencode(format, pixels, [] if flag is None else [flag, quality])
    except cv2.error as error:
        raise ValueError(str(error)) from error
    if not done:
        raise ValueError("OpenCV does not encode it")
    return data.tobytes()


def decoded_grey(data: bytes) -> NDArray[np.uint8]:
    """The pixels of an image file in grey, uint8 [H, W]. Raises ValueError for what is no image."""
    try:
        import cv2
    except ModuleNotFoundError:
        return _decoded_by_pillow(data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if image is None:
        raise ValueError("it is no image")
    return np.asarray(image, np.uint8)


def _encoded_by_pillow(pixels: NDArray[np.uint8], format: ImageFormat, quality: int) -> bytes:
    from PIL import Image

    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).tobytes()
    colour = pixels.ndim == 3
    image = Image.frombytes("RGB" if colour else "L", (width, height), data, "raw", "BGR" if colour else "L")
    options: dict[str, dict[str, Any]] = {
        ".jpg": {"format": "JPEG", "quality": quality},
        ".png": {"format": "PNG", "compress_level": _QUICK_PNG},
        ".webp": {"format": "WEBP", "quality": min(quality, 100), "lossless": quality > 100},
    }
    file = io.BytesIO()
    try:
        image.save(file, **options[format])
    except OSError as error:
        raise ValueError(str(error)) from error
    return file.getvalue()


def _decoded_by_pillow(data: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("L"), np.uint8)
    except (OSError, SyntaxError) as error:
        raise ValueError(f"it is no image: {error}") from error
