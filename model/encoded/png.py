"""A PNG's chunks (W3C PNG specification, section 5), walked before decoding.

Kept are header, palette and pixels. Compressed texts and profiles, of which a few bytes may become a megabyte, EXIF and
further frames of an animation are left out. Pixels may come in many chunks: the decoder gets one.
"""

from __future__ import annotations

import zlib

from model.encoded.bounds import MAX_CHUNKS, Walked, check_size
from model.errors import InvalidImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_HEADER_LENGTH = 13
_FRAME = 12
"""Bytes of a chunk around its body: length, kind, checksum."""
_FEW = 64
"""Chunks of pixels that are not worth joining."""


def walk(data: bytes, max_pixels: int | None) -> Walked:
    """Raises InvalidImageError, and ImageTooLargeError as soon as the header is read."""
    position, count, plain = len(SIGNATURE), 0, True
    width = height = 0
    heads: list[bytes] = []
    pixels: list[memoryview] = []
    view = memoryview(data)
    while (chunk := _chunk_at(data, position)) is not None:
        kind, end = chunk
        if pixels and kind != b"IDAT":
            break
        if not kind.isalpha():
            raise InvalidImageError(f"the PNG has a broken chunk at byte {position}")
        if not count:
            width, height = _size(data, position, kind, end)
            check_size(width, height, max_pixels)
        elif kind == b"IHDR":
            raise InvalidImageError("the PNG has two headers")
        count += 1
        if count > MAX_CHUNKS:
            raise InvalidImageError(f"the PNG has more than {MAX_CHUNKS} chunks before the end of its pixels")
        if kind == b"IDAT":
            # A file that is cut off ends within its body; whether that is too early is for the decoder to say.
            pixels.append(view[position + 8 : end - 4])
        elif kind in (b"IHDR", b"PLTE"):
            heads.append(data[position:end])
        else:
            plain = False
        position = end
    if not pixels:
        raise InvalidImageError("the PNG has no pixels")
    if plain and len(pixels) <= _FEW and len(data) == position + _FRAME and data[position + 4 : -4] == b"IEND":
        return Walked(data, width, height)
    body = b"".join(pixels)
    return Walked(b"".join((SIGNATURE, *heads, _chunk(b"IDAT", body), _chunk(b"IEND", b""))), width, height)


def _chunk_at(data: bytes, position: int) -> tuple[bytes, int] | None:
    """A chunk's kind and end; None where the file ends."""
    kind = data[position + 4 : position + 8]
    if len(kind) < 4:
        return None
    return kind, position + _FRAME + int.from_bytes(data[position : position + 4], "big")


def _size(data: bytes, position: int, kind: bytes, end: int) -> tuple[int, int]:
    body = data[position + 8 : end - 4]
    if kind != b"IHDR" or len(body) != _HEADER_LENGTH:
        raise InvalidImageError("the PNG does not begin with its header")
    return int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return b"".join((len(body).to_bytes(4, "big"), kind, body, checksum.to_bytes(4, "big")))
