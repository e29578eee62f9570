"""Views rendered with OpenCV on the CPU, one after the other, from their plans."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

import cv2
import numpy as np

from model.arrays import RgbImage
from model.crops import mean_colour
from model.data.corpus import Corpus
from model.data.records import Member
from model.training.augment import Colour, Fill, FloatArray, Layer, Plan, compose, resized

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G, B in a pixel's grey (ITU-R BT.601)."""


class Sizes(Protocol):
    """Knows how large an image is: (w, h)."""

    def size(self, member: Member, channels: int = 3) -> tuple[int, int]: ...


class Pictures(Protocol):
    """Decoded images: `rgb` uint8 [height, width, 3], `rgba` [height, width, 4]."""

    def rgb(self, member: Member) -> RgbImage: ...

    def rgba(self, member: Member) -> RgbImage: ...


class Decoded:
    """A corpus's decoded images, the last ones kept. Do not write to them."""

    def __init__(self, corpus: Corpus, keep: int = 64) -> None:
        self._corpus, self._keep = corpus, keep
        self._images: OrderedDict[tuple[Member, int], RgbImage] = OrderedDict()

    def rgb(self, member: Member) -> RgbImage:
        return self._image(member, 3)

    def rgba(self, member: Member) -> RgbImage:
        return self._image(member, 4)

    def size(self, member: Member, channels: int = 3) -> tuple[int, int]:
        image = self._image(member, channels)
        return image.shape[1], image.shape[0]

    def _image(self, member: Member, channels: int) -> RgbImage:
        key = (member, channels)
        if key not in self._images:
            self._images[key] = self._corpus.rgb(member) if channels == 3 else self._corpus.rgba(member)
            if len(self._images) > self._keep:
                self._images.popitem(last=False)
        self._images.move_to_end(key)
        return self._images[key]


def render(plan: Plan, pictures: Pictures) -> RgbImage:
    """The view, uint8 [side, side, 3] RGB."""
    small = max(32, round(plan.side / plan.resolution))
    ratio = plan.side / small
    # From pixel indexes of the rendered picture to those of the view.
    enlarge = resized((ratio, ratio))
    pixels = _picture(plan, compose(plan.picture.matrix, enlarge), small, pictures)
    for layer in plan.cutouts:
        pixels = _over(pixels, layer, compose(layer.matrix, enlarge), small, pictures)
    if small != plan.side:
        pixels = np.asarray(cv2.resize(pixels, (plan.side, plan.side), interpolation=cv2.INTER_LINEAR), np.uint8)
    return _degrade(_recolour(pixels, plan.colour), plan)


def _picture(plan: Plan, matrix: FloatArray, side: int, pictures: Pictures) -> RgbImage:
    whole = pictures.rgb(plan.picture.image)
    x0, y0, x1, y1 = plan.bounds
    image = whole[y0:y1, x0:x1]
    matrix = matrix.copy()
    matrix[:, 2] -= (x0, y0)
    image, matrix = _shrunk(image, matrix)
    warped = _warp(image, matrix, side, plan.fill, mean_colour(whole))
    if plan.fill != "scenery" or plan.scenery is None:
        return warped
    inside = _warp(np.full(image.shape[:2], 255, np.uint8), matrix, side, "mean", (0.0, 0.0, 0.0))
    around = cv2.resize(pictures.rgb(plan.scenery), (side, side), interpolation=cv2.INTER_AREA)
    return np.where(inside[..., None] > 127, warped, np.asarray(around, np.uint8))


def _over(pixels: RgbImage, layer: Layer, matrix: FloatArray, side: int, pictures: Pictures) -> RgbImage:
    cutout, matrix = _shrunk(weighted(pictures.rgba(layer.image)), matrix)
    warped = _warp(cutout, matrix, side, "mean", (0.0, 0.0, 0.0)).astype(np.float32)
    blended = warped[..., :3] + pixels * (1 - warped[..., 3:] / 255)
    return np.asarray(np.clip(blended + 0.5, 0, 255), np.uint8)


def _warp(image: RgbImage, matrix: FloatArray, side: int, fill: Fill, colour: tuple[float, float, float]) -> RgbImage:
    warped = cv2.warpAffine(
        image,
        matrix,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101 if fill == "mirror" else cv2.BORDER_CONSTANT,
        borderValue=(*colour, 0.0),
    )
    return np.asarray(warped, np.uint8)


def _shrunk(image: RgbImage, matrix: FloatArray) -> tuple[RgbImage, FloatArray]:
    """The image averaged to about the size it is shown at, if that is less than half, so that nothing aliases."""
    factor = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if factor <= 2:
        return image, matrix
    height, width = image.shape[:2]
    columns, rows = max(1, round(width / factor)), max(1, round(height / factor))
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), compose(resized((columns / width, rows / height)), matrix)


def colour_matrix(colour: Colour, mean: float) -> FloatArray:
    """Recolouring as a matrix on R, G, B and 1, float64 [3, 4], for an image of this mean grey."""
    luma = np.tile(LUMA, (3, 1))
    mixed = luma if colour.grey else luma + (np.eye(3) - luma) * colour.saturation
    tint = np.ones(3) if colour.grey else np.array(colour.tint)
    linear = mixed * tint[:, None] * colour.contrast
    return np.column_stack([linear, np.full(3, mean * (colour.brightness - colour.contrast))])


def _recolour(pixels: RgbImage, colour: Colour) -> RgbImage:
    mean = float(np.dot(LUMA, cv2.mean(pixels)[:3]))
    return np.asarray(cv2.transform(pixels, colour_matrix(colour, mean)), np.uint8)


def _degrade(pixels: RgbImage, plan: Plan) -> RgbImage:
    if plan.kernel is not None:
        pixels = np.asarray(cv2.filter2D(pixels, -1, plan.kernel), np.uint8)
    if plan.noise:
        noise = np.random.default_rng(plan.noise_seed).standard_normal(pixels.shape, np.float32) * plan.noise
        pixels = np.clip(pixels + noise + 0.5, 0, 255).astype(np.uint8)
    if plan.jpeg:
        _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, plan.jpeg])
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.ascontiguousarray(pixels)


def weighted(rgba: RgbImage) -> RgbImage:
    """A cut-out with its colours weighted by its alpha, so that transparent pixels do not bleed in."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.dstack([rgba[..., :3] * alpha, rgba[..., 3:]]).astype(np.uint8)
