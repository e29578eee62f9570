"""Frames as a caller gives them, and as bytes to send."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from siamfc.client.errors import InvalidFrame
from siamfc.client.pictures import ImageFormat, encoded

Frame: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | NDArray[Any]
"""A frame: the bytes of an image file, a path to one (both are sent as they are), or a uint8 array, BGR [H, W, 3] as
OpenCV reads it or grey [H, W]. The type says any array, because OpenCV's own types do; another dtype raises
InvalidFrame."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How arrays are encoded: `.jpg` (quality 0..100), `.png` (exact) or `.webp` (quality; above 100 exact)."""

    format: ImageFormat = ".jpg"
    quality: int = 95

    def __post_init__(self) -> None:
        if self.format not in (".jpg", ".png", ".webp"):
            raise ValueError(f"frames can be encoded as .jpg, .png or .webp, not {self.format!r}")
        if not 0 <= self.quality <= (101 if self.format == ".webp" else 100):
            raise ValueError(f"a quality must lie in 0..100, not {self.quality}")

    def encode(self, frame: Frame) -> bytes:
        """The bytes to send. Raises InvalidFrame for what cannot be a frame."""
        if isinstance(frame, np.ndarray):
            pixels = checked_array(frame)
            try:
                return encoded(pixels, self.format, self.quality)
            except ValueError as error:
                raise InvalidFrame(f"the frame cannot be encoded as {self.format}: {error}") from error
        return read_bytes(frame)


def read_bytes(frame: bytes | bytearray | memoryview | str | os.PathLike[str]) -> bytes:
    """An image's bytes, given as such or by the path of its file. Raises InvalidFrame for what is no frame."""
    if isinstance(frame, (bytes, bytearray, memoryview)):
        data = bytes(frame)
    elif isinstance(frame, (str, os.PathLike)):
        try:
            data = Path(frame).read_bytes()
        except (OSError, ValueError) as error:
            raise InvalidFrame(f"the frame {os.fspath(frame)!r} cannot be read: {error}") from error
    else:
        raise InvalidFrame(f"a frame is bytes, a path or a uint8 array, not {type(frame).__name__}")
    if not data:
        raise InvalidFrame("a frame cannot be empty")
    return data


def checked_array(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """The array itself. Raises InvalidFrame unless it is uint8 BGR [H, W, 3] or grey [H, W]."""
    colour = frame.ndim == 3 and frame.shape[2] == 3
    if frame.dtype != np.uint8 or not (colour or frame.ndim == 2) or frame.size == 0:
        raise InvalidFrame(f"a frame is a uint8 array [H, W, 3] or [H, W], not {frame.dtype} {list(frame.shape)}")
    return frame


def content_type(data: bytes) -> str:
    """The media type that the first bytes tell; `application/octet-stream` where they tell none."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "application/octet-stream"
