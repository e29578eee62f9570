"""How much work an encoded image may ask for, and what a walk over its bytes finds.

Decoders are linear in bytes and pixels but for what is bounded here: passes over the same blocks, and the number of
small parts, each of which costs more than its bytes. Metadata costs nothing, because decoders never see it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model.errors import ImageTooLargeError, InvalidImageError

MAX_SIDE = 65_535
"""Pixels of an image's width or height: JPEG's own limit, for every format. A row costs more than its pixels."""

MAX_SCANS = 256
"""Scans of a JPEG. Encoders write about ten; nvImageCodec has the same limit."""

MAX_SEGMENTS = 1_024
"""Segments of a JPEG between its start and its end: ten or so in a photograph, 255 for the largest colour profile."""

MAX_CHUNKS = 16_384
"""Chunks of a PNG up to the end of its pixels, or of a WebP up to its first picture. Some encoders write one a row."""

MAX_PASSES = 24
"""Times that a JPEG as large as allowed may code its pixels, over all scans and components. Encoders need up to 18."""

_LARGE = 4096 * 4096
"""Pixels that the passes are counted for where no limit is given, unless the image has more."""


@dataclass(frozen=True, slots=True)
class Walked:
    """An image whose bytes ask for bounded work.

    `data`: the image without metadata, for the decoder; the given bytes themselves where there was none. `width` and
    `height`: pixels. `ended`: False for a JPEG without its end marker, which is added to `data`; whether the last scan
    is whole is for the decoder to find out.
    """

    data: bytes
    width: int
    height: int
    ended: bool = True


def check_size(width: int, height: int, max_pixels: int | None) -> None:
    """Raises InvalidImageError for an empty image, ImageTooLargeError for one of too many pixels or too long a side."""
    if not width or not height:
        raise InvalidImageError(f"the image is empty: {width} x {height} pixels")
    if max_pixels is not None and width * height > max_pixels:
        raise ImageTooLargeError(f"{width} x {height} pixels; at most {max_pixels} are allowed")
    if max(width, height) > MAX_SIDE:
        raise ImageTooLargeError(f"{width} x {height} pixels; a side may have at most {MAX_SIDE}")


def most_blocks(pixels: int, max_pixels: int | None) -> int:
    """Blocks of 8 x 8 samples that the scans of an image of `pixels` may code in all."""
    return MAX_PASSES * (max_pixels if max_pixels is not None else max(pixels, _LARGE)) // 64


class Kept:
    """The parts of some bytes that are kept, in their order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._spans: list[tuple[int, int]] = []

    def add(self, start: int, end: int) -> None:
        """Keep the bytes from `start` to before `end`."""
        if self._spans and self._spans[-1][1] == start:
            start = self._spans.pop()[0]
        self._spans.append((start, end))

    def joined(self, *more: bytes) -> bytes:
        """Join the kept bytes, then `more`. Where all bytes are kept, the given object itself is returned."""
        if not more and self._spans == [(0, len(self._data))]:
            return self._data
        return b"".join((*self._views(), *more))

    def _views(self) -> Iterable[memoryview]:
        view = memoryview(self._data)
        return (view[start:end] for start, end in self._spans)
