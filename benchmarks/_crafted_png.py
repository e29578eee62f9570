"""PNG images that ask a decoder for as much work as their few bytes can say. Written from the PNG specification and
RFC 1951."""

from __future__ import annotations

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PAETH = 4
_BYTES_A_PIXEL = 8
"""Four channels of 16 bits."""
_CODE_LENGTH_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width: int, height: int, depth: int = 16, colour: int = 6, interlaced: int = 0) -> bytes:
    """Signature and header; colour 6: RGBA."""
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def image(width: int, height: int, pixels: bytes, *, before: bytes = b"", chunks: int = 1) -> bytes:
    """RGBA of 16 bits, of compressed pixels in so many chunks; `before`: chunks between header and pixels."""
    size = -(-len(pixels) // chunks)
    parts = [chunk(b"IDAT", pixels[at : at + size]) for at in range(0, len(pixels), size)]
    return header(width, height) + before + b"".join(parts) + chunk(b"IEND", b"")


def rows(width: int, height: int, noise: int = 0) -> bytes:
    """Rows filtered by Paeth's predictor, of which the first `noise` bytes are random."""
    made = np.zeros((height, 1 + width * _BYTES_A_PIXEL), np.uint8)
    made[:, 0] = PAETH
    made[:, 1 : 1 + noise] = np.random.default_rng(0).integers(0, 256, (height, noise))
    return made.tobytes()


def plain(width: int, height: int, noise: int = 0, *, chunks: int = 1, before: bytes = b"") -> bytes:
    """An image of such rows."""
    return image(width, height, zlib.compress(rows(width, height, noise), 6), before=before, chunks=chunks)


def tabled(width: int, height: int, size: int) -> bytes:
    """An image of `size` bytes: at first blocks that define a Huffman code and say nothing with it, then its rows."""
    content = rows(width, height)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    tail = compressor.compress(content) + compressor.flush()
    eight = np.frombuffer((_empty_block() * 8).encode(), np.uint8) - ord("0")
    unit = np.packbits(eight, bitorder="little").tobytes()
    pixels = (
        b"\x78\xda" + unit * ((size - len(tail) - 100) // len(unit)) + tail + struct.pack(">I", zlib.adler32(content))
    )
    return image(width, height, pixels)


def bomb(kind: bytes, times: int, size: int = 1 << 20) -> bytes:
    """Chunks of a text or a profile that a thousandth of their bytes say."""
    return chunk(kind, b"a\0\0" + zlib.compress(bytes(size), 9)) * times


def _empty_block() -> str:
    """A block that defines a code for its own end (256) alone, and ends. The first bit is the lowest."""
    lengths = {18: 1, 1: 1}  # the code's code: "so many zeros", "one bit"
    given = _CODE_LENGTH_ORDER[: 1 + _CODE_LENGTH_ORDER.index(1)]
    counts = _bits(0, 5) + _bits(0, 5) + _bits(len(given) - 4, 4)
    one, zeros = "0", "1"
    literals = zeros + _bits(138 - 11, 7) + zeros + _bits(118 - 11, 7) + one
    return "0" + "01" + counts + "".join(_bits(lengths.get(each, 0), 3) for each in given) + literals + one + "0"


def _bits(value: int, count: int) -> str:
    return format(value, f"0{count}b")[::-1]
