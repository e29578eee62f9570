"""A JPEG's markers (ITU-T T.81, annex B), walked before decoding.

A progressive JPEG may say in 31 bytes that every block is to be visited again, so scans, and the blocks that they
visit, are counted. Accepted are the kinds that browsers show: baseline, extended and progressive, Huffman coded, 8 bits
a sample. An arithmetic coder's work is not bounded by its bytes, and no camera sends hierarchical or lossless frames.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from model.encoded.bounds import MAX_SCANS, MAX_SEGMENTS, Kept, Walked, check_size, most_blocks
from model.errors import InvalidImageError

SIGNATURE = b"\xff\xd8\xff"

_SOI, _EOI, _SOS, _TEM, _PROGRESSIVE = 0xD8, 0xD9, 0xDA, 0x01, 0xC2
_END = bytes((0xFF, _EOI))
_FRAMES = frozenset({0xC0, 0xC1, _PROGRESSIVE})
_OTHER_FRAMES = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF})
_TABLES = frozenset({0xC4, 0xDB, 0xDD})
"""Huffman tables, quantisation tables, restart interval."""
_COLOURS = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}
"""The application segments that say how colours are coded. All others are metadata."""
_METADATA = frozenset({0xCC, 0xDC, 0xFE, *range(0xE0, 0xF0)})
"""Conditioning of arithmetic coding, number of lines, comment, application segments."""
_KNOWN = _FRAMES | _TABLES | _METADATA | {_SOS}

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""Neither a stuffed zero, nor a fill byte, nor a restart marker, which lie within a scan."""
_WINDOW = 65_536
"""Bytes searched in one call, which holds the interpreter's lock."""

_COEFFICIENTS = 64


@dataclass(frozen=True, slots=True)
class _Component:
    """`blocks`: those that a scan of the component visits."""

    blocks: int
    missing_bits: list[int] = field(default_factory=lambda: [1] * _COEFFICIENTS)
    """For each coefficient, in zigzag order, how many of its low bits no scan has brought; 1 before any scan."""


@dataclass(frozen=True, slots=True)
class _Frame:
    width: int
    height: int
    progressive: bool
    components: dict[int, _Component]

    @property
    def whole(self) -> bool:
        """Whether the scans bring every bit of every coefficient."""
        return not any(any(each.missing_bits) for each in self.components.values())


def walk(data: bytes, max_pixels: int | None) -> Walked:
    """Raises InvalidImageError, and ImageTooLargeError as soon as the header is read."""
    kept, position = Kept(data), 2
    kept.add(0, position)
    frame: _Frame | None = None
    segments, scans, blocks = 0, 0, 0
    while (at := _next_marker(data, position)) is not None:
        code = data[at + 1]
        if code == _EOI:
            if frame is None or not scans:
                raise InvalidImageError("the JPEG has no pixels")
            kept.add(at, at + 2)
            return Walked(kept.joined(), frame.width, frame.height)
        segments += 1
        if segments > MAX_SEGMENTS:
            raise InvalidImageError(f"the JPEG has more than {MAX_SEGMENTS} segments")
        position = _segment_end(data, at)
        if code in _FRAMES:
            if frame is not None:
                raise InvalidImageError("the JPEG has two frame headers")
            frame = _frame(data, at, position, max_pixels)
        elif code == _SOS:
            if frame is None:
                raise InvalidImageError("the JPEG has a scan before its frame header")
            body = data[at + 4 : position]
            scans, blocks = scans + 1, blocks + _scan(frame, body)
            if scans > MAX_SCANS:
                raise InvalidImageError(f"the JPEG has more than {MAX_SCANS} scans")
            if blocks > (most := most_blocks(frame.width * frame.height, max_pixels)):
                raise InvalidImageError(f"the JPEG's scans visit more than {most} blocks")
            single = not frame.progressive and body[0] == len(frame.components)
            position = _scan_end(data, position, single=single)
        elif not _for_decoders(data, at):
            continue
        kept.add(at, position)
    if frame is None or not scans or not frame.whole:
        raise InvalidImageError("the JPEG is cut off: it has no end marker, and not every pixel is there")
    return Walked(kept.joined(_END), frame.width, frame.height, ended=False)


def _next_marker(data: bytes, start: int) -> int | None:
    """Where the next marker begins; as in libjpeg, whatever lies before it is passed over."""
    while start < len(data):
        # One byte more, so that a marker across the edge of two windows is found.
        found = _MARKER.search(data, start, start + _WINDOW + 1)
        if found is not None:
            return found.start()
        start += _WINDOW
    return None


def _scan_end(data: bytes, start: int, *, single: bool) -> int:
    """Where the coded data of a scan end. `single`: decoders read no other scan, so the next end marker is the end.

    It is looked for from behind, where it usually is: decoders ignore what lies between it and a later one.
    """
    if single:
        end = data.rfind(_END, start)
        return len(data) if end < 0 else end
    following = _next_marker(data, start)
    return len(data) if following is None else following


def _segment_end(data: bytes, at: int) -> int:
    """Where the segment ends whose marker is at `at`. Raises InvalidImageError for a marker that is not accepted."""
    code = data[at + 1]
    if code == _TEM:
        return at + 2
    if code == _SOI:
        raise InvalidImageError("the JPEG begins twice")
    if code in _OTHER_FRAMES:
        raise InvalidImageError(
            "the JPEG is arithmetic coded, lossless or hierarchical; baseline and progressive ones are accepted"
        )
    if code not in _KNOWN:
        raise InvalidImageError(f"the JPEG has a marker that means nothing: 0xFF{code:02X}")
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if at + 4 > len(data) or end > len(data):
        raise InvalidImageError("the JPEG is cut off within a segment")
    if end < at + 4:
        raise InvalidImageError("the JPEG has a segment shorter than its own length")
    return end


def _for_decoders(data: bytes, at: int) -> bool:
    """Whether a segment, neither frame header nor scan, says something that decoding needs."""
    code = data[at + 1]
    return code in _TABLES or (code in _COLOURS and data.startswith(_COLOURS[code], at + 4))


def _frame(data: bytes, at: int, end: int, max_pixels: int | None) -> _Frame:
    code, body = data[at + 1], data[at + 4 : end]
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise InvalidImageError("the JPEG's frame header has the wrong length")
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    check_size(width, height, max_pixels)
    if body[0] != 8 or body[5] not in (1, 3, 4):
        raise InvalidImageError(
            f"the JPEG has {body[5]} components of {body[0]} bits; 1, 3 or 4 of 8 bits are accepted"
        )
    factors = {body[i]: (body[i + 1] >> 4, body[i + 1] & 15) for i in range(6, len(body), 3)}
    if len(factors) != body[5] or not all(1 <= value <= 4 for pair in factors.values() for value in pair):
        raise InvalidImageError("the JPEG's components have the same name or a sampling factor beyond 1 to 4")
    across, down = (8 * max(each) for each in zip(*factors.values(), strict=True))
    units = -(-width // across) * -(-height // down)
    components = {name: _Component(units * h * v) for name, (h, v) in factors.items()}
    return _Frame(width, height, code == _PROGRESSIVE, components)


def _scan(frame: _Frame, body: bytes) -> int:
    """The blocks that a scan visits; notes which bits of which coefficients it brings."""
    count = body[0] if body else 0
    names = body[1 : 1 + 2 * count : 2]
    if len(body) != 4 + 2 * count or not 1 <= count <= 4 or len(set(names)) != count:
        raise InvalidImageError("the JPEG has a scan header of the wrong length")
    first, last, low = body[-3], body[-2], body[-1] & 15
    if not frame.progressive:
        first, last, low = 0, _COEFFICIENTS - 1, 0
    if not first <= last < _COEFFICIENTS:
        raise InvalidImageError(f"the JPEG has a scan of the coefficients {first} to {last}; there are 0 to 63")
    visited = 0
    for name in names:
        component = frame.components.get(name)
        if component is None:
            raise InvalidImageError("the JPEG has a scan of a component that its frame header does not name")
        component.missing_bits[first : last + 1] = [low] * (last + 1 - first)
        visited += component.blocks
    return visited
