"""Images made by code, of every kind that is accepted, and ways to damage them."""

from __future__ import annotations

import io
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import _crafted_jpeg, _crafted_png, _crafted_webp

_HEADER = 700
"""Bytes at the start of an image that hold most of what a decoder decides by."""
_MARKERS = (0x00, 0xFF, 0xD8, 0xDA, 0xC4, 0xC2, 0xDD, 0x01, 0x80, 0x7F)


@cache
def corpus() -> dict[str, bytes]:
    """Small images by name: JPEG of all kinds, with EXIF and without, PNG, WebP; still and moving."""
    noise = np.random.default_rng(3).integers(0, 256, (45, 61, 3), np.uint8)
    smooth = np.add.outer(np.arange(45) * 5, np.arange(61) * 3)[..., None].repeat(3, 2).astype(np.uint8)
    pictures = {"noise": Image.fromarray(noise), "smooth": Image.fromarray(smooth)}
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "a maker's name", 72.0
    second = [Image.fromarray(255 - noise)]
    ways: dict[str, tuple[str, str, dict[str, Any]]] = {
        "jpeg": ("RGB", "JPEG", {}),
        "jpeg grey": ("L", "JPEG", {}),
        "jpeg cmyk": ("CMYK", "JPEG", {}),
        "jpeg restarts": ("RGB", "JPEG", {"restart_marker_blocks": 2}),
        "jpeg exif": ("RGB", "JPEG", {"exif": exif, "comment": b"a comment", "icc_profile": bytes(400)}),
        "jpeg progressive": ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
        "jpeg progressive exif": ("RGB", "JPEG", {"progressive": True, "quality": 20, "exif": exif}),
        "jpeg progressive cmyk": ("CMYK", "JPEG", {"progressive": True}),
        "png": ("RGB", "PNG", {}),
        "png palette": ("P", "PNG", {}),
        "png alpha exif": ("RGBA", "PNG", {"exif": exif}),
        "png bits": ("1", "PNG", {}),
        "png moving": ("RGB", "PNG", {"save_all": True, "append_images": second}),
        "webp": ("RGB", "WEBP", {"exif": exif}),
        "webp lossless": ("RGB", "WEBP", {"lossless": True}),
        "webp alpha": ("RGBA", "WEBP", {"quality": 50}),
        "webp moving": ("RGB", "WEBP", {"save_all": True, "append_images": second}),
    }
    made = {
        f"{name} {which}": _encoded(picture.convert(mode), kind, options)
        for name, (mode, kind, options) in ways.items()
        for which, picture in pictures.items()
    }
    return made | {
        "jpeg many scans": _crafted_jpeg.refined(40, 32, 3, 60),
        "jpeg dense": _crafted_jpeg.dense(40, 32, 4, 31),
        "jpeg many exif": _crafted_jpeg.with_exif(_crafted_jpeg.smoothed(32, 32, 3), 30, b"II*\0\x08\0\0\0\1\0\x12\1"),
        "png tables": _crafted_png.tabled(24, 16, 1_500),
        "png texts": _crafted_png.plain(24, 16, 9, chunks=5, before=_crafted_png.bomb(b"zTXt", 2)),
        "webp codes": _crafted_webp.many_codes(70, 40),
        "webp coded alpha": _crafted_webp.with_alpha(70, 40, 9),
    }


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """The image with up to eight bytes or stretches changed, left out, put in or copied, perhaps cut off."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        reach = min(_HEADER, len(damaged)) if rng.random() < 0.5 else len(damaged)
        at, length = int(rng.integers(reach + 1)), int(rng.integers(1, 40))
        match rng.integers(5):
            case 0:
                damaged[at : at + 1] = rng.bytes(1)
            case 1:
                del damaged[at : at + length]
            case 2:
                damaged[at:at] = bytes(rng.choice(_MARKERS, length % 5 + 1).tolist())
            case 3:
                start = int(rng.integers(len(damaged) + 1))
                damaged[at:at] = damaged[start : start + 8 * length]
            case _:
                damaged[at : at + 2] = bytes(rng.choice(_MARKERS, 2).tolist())
    if damaged.startswith(_crafted_png.SIGNATURE) and rng.random() < 0.8:
        # Otherwise nearly every one would be refused for its checksums.
        damaged = _checksums_repaired(damaged)
    return bytes(damaged[: int(rng.integers(len(damaged) + 1))] if rng.random() < 0.2 else damaged)


def _checksums_repaired(png: bytearray) -> bytearray:
    at = len(_crafted_png.SIGNATURE)
    while (end := at + 8 + int.from_bytes(png[at : at + 4], "big")) + 4 <= len(png):
        png[end : end + 4] = zlib.crc32(png[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return png


def _encoded(picture: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
