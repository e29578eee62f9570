"""WebP images that ask a decoder for as much work as their few bytes can say. Written bit by bit from RFC 9649."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_TILE = 4
"""The power of two that is a tile's side."""
_MOST_GROUPS = 65_536
_LENGTH_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_HAS_ALPHA, _LOSSLESS_ALPHA, _GRADIENT = 0x10, 0x01, 0x0C


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk, padded to an even length."""
    return kind + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    """The file of those chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def canvas(width: int, height: int, flags: int) -> bytes:
    """The header of the extended format."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return chunk(b"VP8X", bytes((flags, 0, 0, 0)) + size)


def many_codes(width: int, height: int) -> bytes:
    """Lossless: as many groups of Huffman codes as there can be, one a tile, and three transforms."""
    size = _bits(0x2F, 8) + _bits(width - 1, 14) + _bits(height - 1, 14) + "0" + "000"
    transforms = _predictor(11) + _colour_transform() + "1" + _bits(2, 2)
    deep = _code([*range(1, 9), 8])
    return riff(chunk(b"VP8L", _packed(size, _picture(width, height, transforms, [deep, deep], "00"))))


def with_alpha(width: int, height: int, amplitude: int) -> bytes:
    """Lossy noise of an amplitude under an alpha channel of as many groups of codes as there can be."""
    alpha = _packed("", _picture(width, height, _predictor(11), [_code([1, 2, 3, 3])], "0"))
    described = bytes((_LOSSLESS_ALPHA | _GRADIENT,)) + alpha
    return riff(canvas(width, height, _HAS_ALPHA), chunk(b"ALPH", described), noise(width, height, amplitude))


def noise(width: int, height: int, amplitude: int) -> bytes:
    """The chunk of a lossy picture of noise."""
    grey = 128 + amplitude * np.random.default_rng(0).integers(0, 2, (height, width, 1), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(grey, 3, 2)).save(buffer, "WEBP", quality=100, method=1)
    return buffer.getvalue()[12:]


def _picture(width: int, height: int, transforms: str, codes: list[str], pixel: str) -> NDArray[np.uint8]:
    """Transforms, each tile's group of codes, the groups, the pixels, as bits. `codes`: the first of each group."""
    tiles = -(-width >> _TILE) * -(-height >> _TILE)
    groups = min(_MOST_GROUPS, tiles)
    used = np.arange(tiles) % groups
    even = _code([8] * 256)
    head = transforms + "0" + "0" + "1" + _bits(_TILE - 2, 3) + "0" + even * 2 + _single(0) * 3
    names = np.unpackbits(np.stack([used & 255, used >> 8], 1).astype(np.uint8), axis=1).reshape(-1)
    group = "".join([*codes, *map(_single, (1, 2, 255, 0)[len(codes) - 1 :])])
    return np.concatenate([_array(head), names, np.tile(_array(group), groups), np.tile(_array(pixel), width * height)])


def _single(symbol: int) -> str:
    """A code of one symbol, which takes no bits."""
    return "10" + ("1" + _bits(symbol, 8) if symbol > 1 else "0" + _bits(symbol, 1))


def _code(lengths: list[int]) -> str:
    """A code by the lengths of the codes of the first symbols; the lengths are coded in turn."""
    distinct = sorted(set(lengths))
    longest = (len(distinct) - 1).bit_length()
    shorter = 2**longest - len(distinct)
    codes, position = {}, 0
    for index, length in enumerate(distinct):
        bits = longest - (index < shorter)
        codes[length] = format(position >> (longest - bits), f"0{bits}b") if bits else ""
        position += 1 << (longest - bits)
    given = 1 + max(3, *map(_LENGTH_ORDER.index, distinct))
    # A code of one symbol is said to have one bit, and takes none.
    said = "".join(_bits(max(1, len(codes[each])) if each in codes else 0, 3) for each in _LENGTH_ORDER[:given])
    count = len(lengths) - 2
    size = max(2, count.bit_length() + count.bit_length() % 2)
    return (
        "0"
        + _bits(given - 4, 4)
        + said
        + "1"
        + _bits(size // 2 - 1, 3)
        + _bits(count, size)
        + "".join(codes[length] for length in lengths)
    )


def _predictor(mode: int) -> str:
    """The transform in which each pixel is predicted by its neighbours, everywhere in the same way."""
    return "1" + _bits(0, 2) + _bits(_TILE - 2, 3) + "0" + "".join(map(_single, (mode, 0, 0, 255, 0)))


def _colour_transform() -> str:
    """The transform in which red and blue are predicted by green, everywhere in the same way."""
    return "1" + _bits(1, 2) + _bits(_TILE - 2, 3) + "0" + "".join(map(_single, (37, 91, 53, 255, 0)))


def _bits(value: int, count: int) -> str:
    """The lowest bit first."""
    return format(value, f"0{count}b")[::-1]


def _array(bits: str) -> NDArray[np.uint8]:
    return np.frombuffer(bits.encode(), np.uint8) - np.uint8(ord("0"))


def _packed(head: str, bits: NDArray[np.uint8]) -> bytes:
    """Bytes of the bits, and some that a decoder may read ahead."""
    return np.packbits(np.concatenate([_array(head), bits, np.zeros(64, np.uint8)]), bitorder="little").tobytes()
