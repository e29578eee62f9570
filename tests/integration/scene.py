"""A rendered scene with exact truth, small enough to stream fast: a patch that slides over a textured ground."""

from __future__ import annotations

import base64
import io
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 192, 144
SIZE = [WIDTH, HEIGHT]
PATCH_WIDTH, PATCH_HEIGHT = 34, 30


def truth(k: int, path: int = 0) -> list[float]:
    """The patch's box in frame `k`; `path` picks one of many ways across the ground."""
    x = 30 + (path * 37) % 70 + 2 * k
    y = 24 + (path * 23) % 50 + k
    return [float(x % (WIDTH - PATCH_WIDTH)), float(y % (HEIGHT - PATCH_HEIGHT)), PATCH_WIDTH, PATCH_HEIGHT]


@lru_cache(maxsize=256)
def picture(k: int, path: int = 0) -> Picture:
    """Frame `k`, uint8 [HEIGHT, WIDTH, 3] RGB."""
    frame = ground().copy()
    x, y = (int(value) for value in truth(k, path)[:2])
    frame[y : y + PATCH_HEIGHT, x : x + PATCH_WIDTH] = patch(path)
    return frame


def ground() -> Picture:
    """The scene without its patch."""
    return _texture(HEIGHT, WIDTH, 1)


def patch(path: int = 0) -> Picture:
    """The patch that goes that way, uint8 [PATCH_HEIGHT, PATCH_WIDTH, 3] RGB."""
    return 255 - _texture(PATCH_HEIGHT, PATCH_WIDTH, 100 + path) // 2


@lru_cache(maxsize=1024)
def frame(k: int = 0, path: int = 0) -> bytes:
    """Frame `k` as JPEG."""
    return encoded(picture(k, path), "JPEG")


def encoded(pixels: NDArray[np.uint8], kind: str, **options: object) -> bytes:
    """Pixels (grey [h, w], RGB [h, w, 3] or RGBA [h, w, 4]) as an image file of that kind."""
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def base64_frame(k: int = 0, path: int = 0) -> str:
    """Frame `k` as base64 of JPEG, for JSON bodies."""
    return base64.b64encode(frame(k, path)).decode("ascii")


def overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


@lru_cache(maxsize=64)
def _texture(height: int, width: int, seed: int) -> Picture:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    fine = random.integers(0, 60, (height, width, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) // 2 + fine, np.uint8)
