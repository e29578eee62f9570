"""Views of a target: the crop around it, warped, recoloured, occluded and degraded.

A view is a 255 px search region in which the target may lie off the centre; its exemplar is cut later, from the
embedding. All randomness comes from the generator given, so that a batch can be made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.boxes import Box
from model.crops import context_side, mean_colour
from model.training.config import AugmentConfig

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class View:
    """A crop, uint8 [side, side, 3] RGB, and where the target's centre lies from the crop's centre, in its pixels.

    `log_scale`: how much of the picture it covers, as the logarithm of the ratio to what the target's box asks for.
    """

    pixels: Image
    dx: float
    dy: float
    log_scale: float


Fill = Literal["mean", "mirror", "scenery"]


@dataclass(frozen=True, slots=True)
class Shared:
    """What the two views of a pair have in common."""

    flip: bool
    grey: bool
    resolution: float
    """Rendered at 1 / resolution of the full size, then enlarged."""
    fill: Fill
    """What stands beyond the picture's edge."""

    @classmethod
    def draw(cls, config: AugmentConfig, rng: Generator) -> Shared:
        low = rng.random() < config.low_resolution
        where = rng.random()
        fill: Fill = "mean"
        if where < config.mirror_fill + config.scenery_fill:
            fill = "mirror" if where < config.mirror_fill else "scenery"
        return cls(
            flip=bool(rng.random() < config.flip),
            grey=bool(rng.random() < config.grey),
            resolution=float(rng.uniform(1.3, 4.0)) if low else 1.0,
            fill=fill,
        )


def make_view(
    image: Image,
    box: Box,
    side: int,
    exemplar_side: int,
    shared: Shared,
    scenery: Image,
    cutouts: list[Image],
    config: AugmentConfig,
    rng: Generator,
) -> View:
    """One view of the target at `box`, `side` px wide, at the scale that makes its exemplar `exemplar_side` px.

    `scenery`: another picture, for what lies beyond the edge; `cutouts`: RGBA images that may be pasted, or none.
    """
    dx, dy = rng.uniform(-config.max_shift, config.max_shift, 2)
    log_scale = float(rng.normal(0, config.scale_jitter))
    pixels = _warp(image, box, side, exemplar_side, (dx, dy), log_scale, shared, scenery, config, rng)
    scale = exemplar_side / context_side(box.size, 0.5)
    target = (box.w * scale, box.h * scale)
    if cutouts and rng.random() < config.distractor:
        _paste_beside(pixels, cutouts[0], (dx, dy), target, rng)
    if cutouts and rng.random() < config.occluder:
        _paste_over(pixels, cutouts[-1], (dx, dy), target, rng)
    return View(_degrade(_recolour(pixels, shared, config, rng), config, rng), float(dx), float(dy), log_scale)


def _warp(
    image: Image,
    box: Box,
    side: int,
    exemplar_side: int,
    shift: tuple[float, float],
    log_scale: float,
    shared: Shared,
    scenery: Image,
    config: AugmentConfig,
    rng: Generator,
) -> Image:
    zoom = context_side(box.size, 0.5) / exemplar_side * np.exp(log_scale)
    stretch = np.exp(rng.normal(0, config.aspect_jitter) / 2)
    angle = np.deg2rad(rng.normal(0, config.rotation))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([zoom * stretch * (-1 if shared.flip else 1), zoom / stretch])
    resolution = shared.resolution * float(rng.uniform(0.85, 1.15)) if shared.resolution > 1 else 1.0
    small = max(32, round(side / resolution))
    ratio = side / small
    # Crop index u (of `small`) -> crop pixels from the target's centre -> frame index.
    offset = np.array([(0.5 * ratio - side / 2) - shift[0], (0.5 * ratio - side / 2) - shift[1]])
    matrix = np.empty((2, 3))
    matrix[:, :2] = linear * ratio
    matrix[:, 2] = linear @ offset + np.array(box.center) - 0.5
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrink > 2:
        image, matrix = _shrunk(image, matrix, shrink)
    warped = _resample(image, matrix, small, shared.fill)
    if shared.fill == "scenery":
        inside = _resample(np.full(image.shape[:2], 255, np.uint8), matrix, small, "mean")
        around = cv2.resize(scenery, (small, small), interpolation=cv2.INTER_AREA)
        warped = np.where(inside[..., None] > 127, warped, around)
    if small != side:
        return np.asarray(cv2.resize(warped, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    return warped


def _resample(image: Image, matrix: NDArray[np.float64], side: int, fill: Fill) -> Image:
    mirror = fill == "mirror"
    warped = cv2.warpAffine(
        image,
        matrix,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101 if mirror else cv2.BORDER_CONSTANT,
        borderValue=mean_colour(image) if image.ndim == 3 else 0,
    )
    return np.asarray(warped, np.uint8)


def _shrunk(image: Image, matrix: NDArray[np.float64], factor: float) -> tuple[Image, NDArray[np.float64]]:
    height, width = image.shape[:2]
    columns, rows = max(1, round(width / factor)), max(1, round(height / factor))
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    ratio = np.array([columns / width, rows / height])
    matrix = matrix * ratio[:, None]
    matrix[:, 2] += 0.5 * ratio - 0.5
    return np.asarray(small, np.uint8), matrix


def paste(pixels: Image, cutout: Image, center: tuple[float, float], size: tuple[int, int]) -> None:
    """Blend an RGBA cut-out into `pixels` in place, its middle at `center` (x, y), resized to `size` (w, h)."""
    columns, rows = size
    height, width = pixels.shape[:2]
    small = cv2.resize(cutout, (columns, rows), interpolation=cv2.INTER_AREA)
    x, y = round(center[0] - columns / 2), round(center[1] - rows / 2)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + columns), min(height, y + rows)
    if x0 >= x1 or y0 >= y1:
        return
    part = small[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.float32)
    alpha = part[..., 3:] / 255
    region = pixels[y0:y1, x0:x1]
    region[...] = (part[..., :3] * alpha + region * (1 - alpha)).astype(np.uint8)


def _paste_sized(pixels: Image, cutout: Image, offset: tuple[float, float], height: float, rng: Generator) -> None:
    side = pixels.shape[0]
    size = max(4, round(cutout.shape[1] * height / cutout.shape[0])), max(4, round(height))
    if max(size) > 2 * side:
        return
    if rng.random() < 0.5:
        cutout = np.ascontiguousarray(cutout[:, ::-1])
    paste(pixels, cutout, (side / 2 + offset[0], side / 2 + offset[1]), size)


def _paste_beside(
    pixels: Image, cutout: Image, at: tuple[float, float], target: tuple[float, float], rng: Generator
) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    reach = float(np.hypot(*target)) * rng.uniform(0.7, 1.3)
    center = (at[0] + reach * np.cos(angle), at[1] + reach * np.sin(angle))
    _paste_sized(pixels, cutout, center, max(target) * float(rng.uniform(0.5, 1.1)), rng)


def _paste_over(
    pixels: Image, cutout: Image, at: tuple[float, float], target: tuple[float, float], rng: Generator
) -> None:
    center = (at[0] + target[0] * rng.uniform(-0.5, 0.5), at[1] + target[1] * rng.uniform(-0.5, 0.5))
    _paste_sized(pixels, cutout, center, max(target) * float(rng.uniform(0.3, 0.6)), rng)


def _recolour(pixels: Image, shared: Shared, config: AugmentConfig, rng: Generator) -> Image:
    brightness, contrast, saturation = 1 + rng.uniform(-config.colour, config.colour, 3)
    tint = 1 + rng.uniform(-config.colour, config.colour, 3) / 3
    image: NDArray[np.float32] = pixels.astype(np.float32)
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)[..., None]
    mean = float(grey.mean())
    image = np.repeat(grey, 3, axis=2) if shared.grey else (grey + (image - grey) * saturation) * tint
    image = (image - mean) * contrast + mean * brightness
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _degrade(pixels: Image, config: AugmentConfig, rng: Generator) -> Image:
    if rng.random() < config.blur:
        moved = rng.random() < 0.6
        blurred = _motion_blur(pixels, rng) if moved else cv2.GaussianBlur(pixels, (0, 0), rng.uniform(1, 3))
        pixels = np.asarray(blurred, np.uint8)
    if rng.random() < config.noise:
        noise = rng.normal(0, rng.uniform(2, 10), pixels.shape).astype(np.float32)
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    if rng.random() < config.jpeg:
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 70))])
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(pixels, np.uint8)


def _motion_blur(pixels: Image, rng: Generator) -> Image:
    length = int(rng.integers(5, 17)) | 1
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (length - 1) / 2
    ends = [(round(reach + s * reach * np.cos(angle)), round(reach + s * reach * np.sin(angle))) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(pixels, -1, kernel / kernel.sum()), np.uint8)
