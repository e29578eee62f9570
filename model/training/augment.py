"""Plans of views: how a picture of a target is cropped, warped, covered, recoloured and degraded.

A view is a 255 px search region in which the target may lie off the centre; its exemplar is cut later, from the
embedding. A plan is all that is random about a view, as numbers: `model.training.rendering` makes pixels of it with
OpenCV, `model.training.device_rendering` with torch on a GPU. Maps between pixel indexes are float64 [2, 3] matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.boxes import Box
from model.crops import context_side
from model.data.records import Member
from model.training.config import AugmentConfig

FloatArray = NDArray[np.float64]
Fill = Literal["mean", "mirror", "scenery"]
Bounds = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """An image as a view shows it; `matrix` leads from the view's pixel indexes to the image's."""

    image: Member
    matrix: FloatArray


@dataclass(frozen=True, slots=True)
class Colour:
    """Factors of recolouring; `tint` of R, G and B."""

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    grey: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One view, `side` px wide. dx, dy: where the target's centre lies from the view's centre, in its pixels.

    `size`: the width and height of its box there.

    `log_scale`: how much of the picture it covers, as the logarithm of the ratio to what the target's box asks for.
    `bounds`: x0, y0, x1, y1 of the part of the picture that is used; beyond it lies the fill. `cutouts`: RGBA images,
    pasted in this order. `kernel`: a blur, float32 [k, k] of sum 1, k odd. `noise`: its standard deviation; `jpeg`: a
    quality, 0 for none.
    """

    side: int
    dx: float
    dy: float
    size: tuple[float, float]
    log_scale: float
    picture: Layer
    bounds: Bounds
    fill: Fill
    scenery: Member | None
    cutouts: tuple[Layer, ...]
    resolution: float
    colour: Colour
    kernel: NDArray[np.float32] | None
    noise: float
    noise_seed: int
    jpeg: int


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
            resolution=float(np.exp(rng.uniform(np.log(1.3), np.log(config.coarsest)))) if low else 1.0,
            fill=fill,
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """A target in an image of `size` (w, h): its box, and the cut-out that is pasted there to be the target, if any."""

    image: Member
    size: tuple[int, int]
    box: Box
    pasted: Member | None = None
    pasted_size: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Props:
    """Images a plan may use: `scenery` for what lies beyond the edge; cut-outs and their sizes (w, h)."""

    scenery: Member | None = None
    distractor: tuple[Member, tuple[int, int]] | None = None
    occluder: tuple[Member, tuple[int, int]] | None = None


def plan_view(
    picture: Picture,
    sides: tuple[int, int],
    shared: Shared,
    props: Props,
    config: AugmentConfig,
    rng: Generator,
) -> Plan:
    """A view of the target, sides[0] px wide, at the scale that makes its exemplar sides[1] px."""
    side, exemplar_side = sides
    shift = tuple(map(float, rng.uniform(-config.max_shift, config.max_shift, 2)))
    log_scale = float(rng.normal(0, config.scale_jitter))
    matrix, seen = _view_matrix(picture.box, sides, (shift[0], shift[1]), log_scale, shared.flip, config, rng)
    scale = exemplar_side / context_side(picture.box.size, 0.5)
    target = (picture.box.w * scale, picture.box.h * scale)
    cutouts = []
    if picture.pasted is not None:
        cutouts.append(Layer(picture.pasted, compose(_into(picture.box, picture.pasted_size), matrix)))
    if props.distractor is not None:
        cutouts += _beside(*props.distractor, (shift[0], shift[1]), target, side, rng)
    if props.occluder is not None:
        cutouts += _over(*props.occluder, (shift[0], shift[1]), target, side, rng)
    blurred = rng.random() < config.blur
    noisy = rng.random() < config.noise
    compressed = rng.random() < config.jpeg
    return Plan(
        side=side,
        dx=shift[0],
        dy=shift[1],
        size=seen,
        log_scale=log_scale,
        picture=Layer(picture.image, matrix),
        bounds=_bounds(picture, config, rng),
        fill=shared.fill,
        scenery=props.scenery,
        cutouts=tuple(cutouts),
        resolution=shared.resolution * float(rng.uniform(0.85, 1.15)) if shared.resolution > 1 else 1.0,
        colour=_colour(shared.grey, config, rng),
        kernel=_blur(rng) if blurred else None,
        noise=float(rng.uniform(2, 10)) if noisy else 0.0,
        noise_seed=int(rng.integers(2**31)),
        jpeg=int(rng.integers(20, 70)) if compressed else 0,
    )


def compose(outer: FloatArray, inner: FloatArray) -> FloatArray:
    """The matrix [2, 3] that does what `inner` does, then what `outer` does."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def resized(ratio: tuple[float, float]) -> FloatArray:
    """The matrix from an image's pixel indexes to those of the image resized by `ratio` (x, y)."""
    x, y = ratio
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5]])


def _view_matrix(
    box: Box,
    sides: tuple[int, int],
    shift: tuple[float, float],
    log_scale: float,
    flip: bool,
    config: AugmentConfig,
    rng: Generator,
) -> tuple[FloatArray, tuple[float, float]]:
    """The view's matrix, and the width and height of the target's box in the view."""
    side, exemplar_side = sides
    zoom = context_side(box.size, 0.5) / exemplar_side * np.exp(log_scale)
    stretch = np.exp(rng.normal(0, config.aspect_jitter) / 2)
    angle = np.deg2rad(rng.normal(0, config.rotation))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([zoom * stretch * (-1 if flip else 1), zoom / stretch])
    # View index u -> view pixels from the target's centre -> image index.
    offset = 0.5 - side / 2 - np.array(shift)
    # Turned, a target fills its box as an ellipse does rather than as a rectangle.
    (w, h), (cos, sin) = box.size, (np.cos(angle), np.sin(angle))
    seen = float(np.hypot(w * cos, h * sin) / (zoom * stretch)), float(np.hypot(w * sin, h * cos) * stretch / zoom)
    return np.column_stack([linear, linear @ offset + np.array(box.center) - 0.5]), seen


def _into(box: Box, size: tuple[int, int]) -> FloatArray:
    """From the indexes of what a cut-out of `size` (w, h) is pasted on, at `box`, to the cut-out's."""
    x, y = size[0] / box.w, size[1] / box.h
    return np.array([[x, 0, (0.5 - box.x) * x - 0.5], [0, y, (0.5 - box.y) * y - 0.5]])


def _pasted(
    image: Member, size: tuple[int, int], offset: tuple[float, float], height: float, side: int, rng: Generator
) -> list[Layer]:
    """The cut-out, `height` px high, its middle at `offset` from the view's; mirrored half of the time."""
    mirrored = rng.random() < 0.5
    extent = max(4.0, size[0] * height / size[1]), max(4.0, height)
    if max(extent) > 2 * side:
        return []
    matrix = _into(Box.around((side / 2 + offset[0], side / 2 + offset[1]), extent), size)
    if mirrored:
        matrix[0] = np.array([0, 0, size[0] - 1]) - matrix[0]
    return [Layer(image, matrix)]


def _beside(
    image: Member,
    size: tuple[int, int],
    at: tuple[float, float],
    target: tuple[float, float],
    side: int,
    rng: Generator,
) -> list[Layer]:
    angle = rng.uniform(0, 2 * np.pi)
    reach = float(np.hypot(*target)) * rng.uniform(0.7, 1.3)
    offset = (at[0] + reach * np.cos(angle), at[1] + reach * np.sin(angle))
    return _pasted(image, size, offset, max(target) * float(rng.uniform(0.5, 1.1)), side, rng)


def _over(
    image: Member,
    size: tuple[int, int],
    at: tuple[float, float],
    target: tuple[float, float],
    side: int,
    rng: Generator,
) -> list[Layer]:
    offset = (at[0] + target[0] * rng.uniform(-0.5, 0.5), at[1] + target[1] * rng.uniform(-0.5, 0.5))
    return _pasted(image, size, offset, max(target) * float(rng.uniform(0.3, 0.6)), side, rng)


def _bounds(picture: Picture, config: AugmentConfig, rng: Generator) -> Bounds:
    """The whole picture; or, truncated, one that ends within the target."""
    width, height = picture.size
    if rng.random() >= config.truncation:
        return 0, 0, width, height
    box, part = picture.box, float(rng.uniform(0.05, 0.4))
    left, top = round(box.x + part * box.w), round(box.y + part * box.h)
    right, bottom = round(box.x + (1 - part) * box.w), round(box.y + (1 - part) * box.h)
    choices = [(left, 0, width, height), (0, top, width, height), (0, 0, right, height), (0, 0, width, bottom)]
    x0, y0, x1, y1 = choices[int(rng.integers(4))]
    x0, y0 = min(max(x0, 0), width - 2), min(max(y0, 0), height - 2)
    return max(x0, 0), max(y0, 0), min(max(x1, x0 + 2), width), min(max(y1, y0 + 2), height)


def _colour(grey: bool, config: AugmentConfig, rng: Generator) -> Colour:
    brightness, contrast, saturation = (float(value) for value in 1 + rng.uniform(-config.colour, config.colour, 3))
    red, green, blue = (float(value) for value in 1 + rng.uniform(-config.colour, config.colour, 3) / 3)
    return Colour(brightness, contrast, saturation, (red, green, blue), grey)


def _blur(rng: Generator) -> NDArray[np.float32]:
    if rng.random() >= 0.6:
        line = cv2.getGaussianKernel(19, rng.uniform(1, 3))
        return np.asarray(line @ line.T, np.float32)
    length = int(rng.integers(5, 17)) | 1
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (length - 1) / 2
    ends = [(round(reach + s * reach * np.cos(angle)), round(reach + s * reach * np.sin(angle))) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)
