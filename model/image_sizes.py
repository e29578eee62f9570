"""An image file's size from its header alone: no decoder, and a few bytes read."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_FRAME_HEADERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's markers SOF0 to SOF15; those left out are tables and a reserve (ITU-T T.81, table B.1)."""
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers without a length: TEM, RST0 to RST7, SOI."""


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a JPEG, PNG or WebP file, as `stated_size`. Raises OSError."""
    with path.open("rb") as file:
        return stated_size(file)


def stated_size(file: BinaryIO) -> tuple[int, int] | None:
    """Width and height of a JPEG, PNG or WebP image, as stored; None where the header does not tell them.

    `file` stands at its start. Sources: ITU-T T.81, annex B; PNG, section 11.2.2; RFC 9649, section 2. Raises OSError.
    """
    start = file.read(30)
    if start.startswith(b"\xff\xd8"):
        file.seek(2)
        return _jpeg(file)
    if start.startswith(b"\x89PNG\r\n\x1a\n") and len(start) >= 24:
        return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP" and len(start) == 30:
        return _webp(start)
    return None


def _jpeg(file: BinaryIO) -> tuple[int, int] | None:
    """The size in the first frame header; `file` stands behind the start marker."""
    while True:
        if file.read(1) != b"\xff":
            return None
        code = file.read(1)
        while code == b"\xff":  # a marker may be filled up with any number of these
            code = file.read(1)
        if not code or code == b"\x00":
            return None
        marker = code[0]
        if marker in _ALONE:
            continue
        length = int.from_bytes(file.read(2), "big")
        if length < 2:
            return None
        if marker in _FRAME_HEADERS:
            header = file.read(5)
            if len(header) < 5:
                return None
            return int.from_bytes(header[3:5], "big"), int.from_bytes(header[1:3], "big")
        file.seek(length - 2, 1)


def _webp(start: bytes) -> tuple[int, int] | None:
    """The size that the first chunk states: lossy, lossless or extended."""
    kind = start[12:16]
    if kind == b"VP8 ":
        return int.from_bytes(start[26:28], "little") & 0x3FFF, int.from_bytes(start[28:30], "little") & 0x3FFF
    if kind == b"VP8L":
        bits = int.from_bytes(start[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(start[24:27], "little") + 1, int.from_bytes(start[27:30], "little") + 1
    return None
