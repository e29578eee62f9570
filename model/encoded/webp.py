"""A WebP's chunks (RFC 9649, section 2), walked before decoding.

Kept is the picture with its alpha; of an animation the first one. Colour profile, EXIF, XMP, unknown chunks and further
pictures are left out.
"""

from __future__ import annotations

from model.encoded.bounds import MAX_CHUNKS, Walked, check_size
from model.errors import InvalidImageError

_CANVAS_LENGTH, _FRAME_LENGTH = 10, 16
_BESIDE_PICTURES = (b"ANIM", b"ALPH")
_METADATA_FLAGS = 0x20 | 0x08 | 0x04
"""VP8X says that there is a colour profile, EXIF, XMP."""


def recognises(data: bytes) -> bool:
    """Whether the bytes begin as a WebP does."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def walk(data: bytes, max_pixels: int | None) -> Walked:
    """Raises InvalidImageError, and ImageTooLargeError as soon as the header is read."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise InvalidImageError("the WebP is cut off: it is shorter than it says")
    chunks = _Chunks(data, 12, end)
    kind, body = chunks.take()
    if kind != b"VP8X":
        width, height = _picture_size(kind, body)
        check_size(width, height, max_pixels)
        return _walked(data, width, height, _chunk(kind, body))
    if len(body) < _CANVAS_LENGTH:
        raise InvalidImageError("the WebP's header is too short")
    width, height = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    check_size(width, height, max_pixels)
    canvas = _chunk(kind, bytes((body[0] & ~_METADATA_FLAGS, *body[1:_CANVAS_LENGTH])))
    kept = chunks.until(b"VP8 ", b"VP8L", b"ANMF")
    kind, body = chunks.last
    if kind == b"ANMF":
        kept = [*kept[:-1], _first_of_animation(body, max_pixels)]
    else:
        check_size(*_picture_size(kind, body), max_pixels)
    return _walked(data, width, height, canvas, *kept)


def _first_of_animation(body: bytes, max_pixels: int | None) -> bytes:
    """The chunk of an animation's first picture, without metadata of its own."""
    if len(body) < _FRAME_LENGTH:
        raise InvalidImageError("the WebP has a picture of an animation without its header")
    chunks = _Chunks(body, _FRAME_LENGTH, len(body))
    kept = chunks.until(b"VP8 ", b"VP8L")
    check_size(*_picture_size(*chunks.last), max_pixels)
    return _chunk(b"ANMF", b"".join((body[:_FRAME_LENGTH], *kept)))


class _Chunks:
    """The chunks of some bytes, one after the other. `last`: kind and body of the one that was taken last."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data, self._position, self._end = data, start, end
        self._taken = 0
        self.last = b"", b""

    def take(self) -> tuple[bytes, bytes]:
        """The next chunk. Raises InvalidImageError where there is none, or too many were taken."""
        self._taken += 1
        if self._taken > MAX_CHUNKS:
            raise InvalidImageError(f"the WebP has more than {MAX_CHUNKS} chunks before its picture")
        start = self._position + 8
        end = start + int.from_bytes(self._data[start - 4 : start], "little")
        if start > self._end or end > self._end:
            raise InvalidImageError("the WebP is cut off: it has no whole picture")
        self._position = end + (end - start) % 2
        self.last = self._data[start - 8 : start - 4], self._data[start:end]
        return self.last

    def until(self, *kinds: bytes) -> list[bytes]:
        """Take chunks up to the first of one of the kinds; returns that one and those that it cannot do without."""
        kept: list[bytes] = []
        while True:
            kind, body = self.take()
            if kind in kinds or kind in _BESIDE_PICTURES:
                kept.append(_chunk(kind, body))
            if kind in kinds:
                return kept


def _picture_size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a" and len(body) >= 10:
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    if kind == b"VP8L" and body[:1] == b"\x2f" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise InvalidImageError("the WebP does not begin with a picture")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join((kind, len(body).to_bytes(4, "little"), body, b"\0" * (len(body) % 2)))


def _walked(data: bytes, width: int, height: int, *chunks: bytes) -> Walked:
    body = b"".join((b"WEBP", *chunks))
    kept = b"".join((b"RIFF", len(body).to_bytes(4, "little"), body))
    return Walked(data if kept == data else kept, width, height)
