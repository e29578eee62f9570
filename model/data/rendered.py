"""Rendered sequences with exact boxes: a picture moves over another, and perhaps under a third.

Compositing is exact below the pixel: a frame pixel shows as much of the target as of its area the target covers. Boxes
are 0-indexed float pixels `[x, y, w, h]`. The photographs are those inside scikit-image (the extra `dev`); nothing is
downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from model.arrays import Float32, Float64, RgbImage
from model.errors import ModelError
from model.opencv_images import read_bgr

Photograph = Literal["astronaut", "chelsea", "coffee", "rocket", "retina", "hubble_deep_field"]
XYWH = tuple[float, float, float, float]

_SUFFIX = {"rocket": "jpg", "retina": "jpg", "hubble_deep_field": "jpg"}


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """frames: uint8 [height, width, 3] RGB. truth: float64 [N, 4], rows of nan where the target cannot be seen.

    visible: float64 [N], the share of the target's area that is in the frame and not covered, 0..1.
    """

    frames: tuple[RgbImage, ...]
    truth: Float64
    visible: Float64

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether any of the target can be seen, bool [N]."""
        return np.asarray(self.visible > 0, np.bool_)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self.frames[0].shape[1], self.frames[0].shape[0]


@dataclass(frozen=True, slots=True)
class Place:
    """A picture's centre in the frame, and its size as a multiple of its own pixels."""

    cx: float
    cy: float
    scale: float = 1.0


Path2D = Callable[[float], Place]
"""A place for each time t, 0 at the first frame and 1 at the last."""


def along(path: Path2D, frames: int) -> list[Place]:
    """The places of a path at so many equally spaced times."""
    return [path(index / (frames - 1)) for index in range(frames)]


@lru_cache(maxsize=16)
def photograph(name: Photograph, width: int = 0) -> RgbImage:
    """A photograph, uint8 [height, width, 3] RGB, resized to `width` where one is given; not to be written to.

    Raises ModelError where scikit-image is not installed or ships it no more.
    """
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise ModelError("rendered scenes need scikit-image; install the extra: pip install 'siamfc-service[dev]'")
    file = Path(found.origin).parent / "data" / f"{name}.{_SUFFIX.get(name, 'png')}"
    if not file.is_file():
        raise ModelError(f"{file} is not in this scikit-image")
    pixels = read_bgr(file)
    image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    if width:
        height = round(image.shape[0] * width / image.shape[1])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    image.setflags(write=False)
    return np.asarray(image, np.uint8)


def detail(image: RgbImage, box: tuple[int, int, int, int], size: tuple[int, int]) -> RgbImage:
    """The part of an image in the box x, y, w, h (whole pixels), resized to `size` (width, height)."""
    x, y, w, h = box
    return np.asarray(cv2.resize(image[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA), np.uint8)


def render(
    background: RgbImage,
    target: RgbImage,
    places: Sequence[Place],
    occluder: RgbImage | None = None,
    occlusions: Sequence[Place | None] = (),
) -> Scene:
    """Frames of `target` at each of the places, over `background` and under `occluder` at its places (if any)."""
    frames: list[RgbImage] = []
    truth, visible = np.full((len(places), 4), np.nan), np.zeros(len(places))
    height, width = background.shape[:2]
    for index, place in enumerate(places):
        frame = background.astype(np.float32)
        box = _composite(frame, target, place)
        over = occlusions[index] if index < len(occlusions) else None
        covered: XYWH = (0.0, 0.0, 0.0, 0.0)
        if occluder is not None and over is not None:
            covered = _composite(frame, occluder, over)
        frames.append(np.round(frame).astype(np.uint8))
        visible[index] = _visible(box, covered, (width, height))
        if visible[index] > 0:
            truth[index] = box
    return Scene(tuple(frames), truth, visible)


def _composite(frame: Float32, picture: RgbImage, place: Place) -> XYWH:
    """Blend the picture into the frame, in place; returns its box."""
    rows, columns = picture.shape[:2]
    w, h = columns * place.scale, rows * place.scale
    x, y = place.cx - w / 2, place.cy - h / 2
    height, width = frame.shape[:2]
    # Picture index u covers [u, u + 1), so its middle u + 1/2 lies at x + (u + 1/2) * scale in the frame.
    offset = place.scale / 2 - 0.5
    matrix = np.array([[place.scale, 0, x + offset], [0, place.scale, y + offset]])
    moved = cv2.warpAffine(
        picture.astype(np.float32), matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = np.outer(_cover(y, h, height), _cover(x, w, width))[..., None]
    frame[...] = moved * alpha + frame * (1 - alpha)
    return x, y, w, h


def _cover(start: float, length: float, count: int) -> Float32:
    """The share of each pixel [i, i + 1) that the span [start, start + length) covers, float32 [count]."""
    left = np.arange(count)
    covered = np.minimum(left + 1, start + length) - np.maximum(left, start)
    return np.asarray(np.clip(covered, 0, 1), np.float32)


def _visible(box: XYWH, cover: XYWH, size: tuple[int, int]) -> float:
    """Share of the box that lies in a frame of `size` (width, height) and outside the box `cover`."""
    x, y, w, h = box
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, size[0]), min(y + h, size[1])
    inside = max(right - left, 0.0) * max(bottom - top, 0.0)
    wide = min(right, cover[0] + cover[2]) - max(left, cover[0])
    high = min(bottom, cover[1] + cover[3]) - max(top, cover[1])
    hidden = max(wide, 0.0) * max(high, 0.0)
    share = (inside - hidden) / (w * h)
    return share if share > 1e-9 else 0.0  # a hidden target keeps a rounding error
