"""JPEG images that ask a decoder for as much work as their few bytes can say. Written bit by bit from ITU-T T.81."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
_SEQUENTIAL, _PROGRESSIVE, _HUFFMAN, _SCAN, _QUANTISATION = 0xC0, 0xC2, 0xC4, 0xDA, 0xDB
_LONGEST_RUN = 32_767
"""Blocks in which one code says that nothing changes."""

Code = tuple[int, int]
"""(length in bits, symbol)."""


def segment(marker: int, body: bytes) -> bytes:
    """A marker with its length and body."""
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def header(width: int, height: int, components: int, *, progressive: bool = False, sampling: int = 1) -> bytes:
    """Start, a quantisation table of ones and the frame header.

    `sampling`: columns of the first component for each one of the others.
    """
    factors = [sampling << 4 | 1, *(0x11,) * (components - 1)]
    named = b"".join(bytes((name + 1, each, 0)) for name, each in enumerate(factors))
    size = bytes((8, *height.to_bytes(2, "big"), *width.to_bytes(2, "big"), components))
    frame = segment(_PROGRESSIVE if progressive else _SEQUENTIAL, size + named)
    return SOI + segment(_QUANTISATION, bytes((0, *(1,) * 64))) + frame


def table(kind: int, codes: Sequence[Code]) -> bytes:
    """A Huffman table, of kind 0 (DC) or 1 (AC); the codes in the order of their length."""
    counts = (sum(length == each for length, _ in codes) for each in range(1, 17))
    return segment(_HUFFMAN, bytes((kind << 4, *counts, *(symbol for _, symbol in codes))))


def scan(components: Iterable[int], first: int, last: int, approximation: int, data: bytes) -> bytes:
    """A scan of components, by number from 0, with its coded data."""
    named = b"".join(bytes((each + 1, 0)) for each in components)
    return segment(_SCAN, bytes((len(named) // 2, *named, first, last, approximation))) + data


def coded(pattern: str, times: int = 1) -> bytes:
    """The pattern of 0 and 1, as often as is said, padded with ones; stuffed."""
    bits: NDArray[np.uint8] = np.tile(np.frombuffer(pattern.encode(), np.uint8) - ord("0"), times)
    padded = np.concatenate([bits, np.ones(-len(bits) % 8, np.uint8)])
    return np.packbits(padded).tobytes().replace(b"\xff", b"\xff\0")


def dense(width: int, height: int, components: int, coefficients: int, sampling: int = 1) -> bytes:
    """Sequential; `coefficients` AC values in each block, two bits each, none of them 0. `sampling`: as in `header`."""
    block = "0" + "01" * coefficients + ("10" if coefficients < 63 else "")
    tables = table(0, [(1, 0)]) + table(1, [(1, 1), (2, 0)])
    data = coded(block, (sampling + components - 1) * blocks(-(-width // sampling), height))
    return header(width, height, components, sampling=sampling) + tables + scan(range(components), 0, 63, 0, data) + EOI


def smoothed(width: int, height: int, components: int) -> bytes:
    """Progressive, of one DC scan: the decoder guesses the rest from the neighbours."""
    tables = table(0, [(1, 0), (2, 6)])
    data = coded("1011111110000000", components * blocks(width, height) // 2)
    return header(width, height, components, progressive=True) + tables + scan(range(components), 0, 0, 0, data) + EOI


def refined(width: int, height: int, components: int, scans: int, *, doubt: bool = False) -> bytes:
    """Progressive, of `scans` scans; all but the first visit every block of a component to say one bit of nothing.

    They follow one another as the standard wants. `doubt`: bytes without meaning lie before the end marker, where a
    strict decoder finds them when all is done.
    """
    silence = coded(_runs(blocks(width, height)))
    further = (
        scan([component], coefficient, coefficient, approximation, silence)
        for approximation in (0x03, 0x32, 0x21, 0x10)
        for coefficient in range(1, 64)
        for component in range(components)
    )
    start = _empty(width, height, components)
    return b"".join((start, *islice(further, scans - 1), bytes(8) if doubt else b"", EOI))


def repeated(width: int, height: int, components: int, scans: int) -> bytes:
    """Progressive, of `scans` scans; all but the first say one bit of every coefficient, the same again and again."""
    silence = coded(_runs(blocks(width, height)))
    further = [scan([each % components], 1, 63, 0x10, silence) for each in range(scans - 1)]
    return b"".join((_empty(width, height, components), *further, EOI))


def with_exif(image: bytes, segments: int, body: bytes = b"") -> bytes:
    """The image with EXIF segments after its start."""
    return SOI + segment(0xE1, b"Exif\0\0" + body) * segments + image[2:]


def blocks(width: int, height: int) -> int:
    """Blocks of a component that is not subsampled."""
    return -(-width // 8) * -(-height // 8)


def _empty(width: int, height: int, components: int) -> bytes:
    """A progressive image's beginning: the tables of all scans, and the first scan, of grey."""
    tables = table(0, [(1, 0)]) + table(1, [(1, 0xE0), (2, 0x00)])
    grey = scan(range(components), 0, 0, 0, coded("0", components * blocks(width, height)))
    return header(width, height, components, progressive=True) + tables + grey


def _runs(count: int) -> str:
    """That nothing changes in `count` blocks: "end of band" for 2^14 and so many more, or for one."""
    bits = ""
    while count:
        run = min(count, _LONGEST_RUN) if count >= 2**14 else 1
        bits += "0" + format(run - 2**14, "014b") if run > 1 else "10"
        count -= run
    return bits
