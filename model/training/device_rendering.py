"""Views rendered in batches with torch, on the device where the corpus is resident; from the same plans as on the CPU.

Geometry, fill, colour and blur are those of `model.training.rendering` up to rounding. Two things differ: images are
shrunk by halves before they are read, and compression is the quantisation of JPEG's blocks, without subsampled colour.
Shape legend: B views, S x S pixels a view.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.data.corpus import Corpus
from model.training.augment import FloatArray, Layer, Plan, compose, resized
from model.training.config import TrainingConfig
from model.training.image_pool import Border, ImagePool, image_part
from model.training.jpeg import compressed
from model.training.pairs import Batch, BoxBatch, PairSampler
from model.training.rendering import colour_matrix

_WIDEST = 19
"""Rows of the largest blur."""


class DeviceBatches:
    """The batches of a sampler, rendered on a device. Batch `step` of a seed is always the same."""

    def __init__(self, corpus: Corpus, sampler: PairSampler, device: torch.device, config: TrainingConfig) -> None:
        self._sampler, self._boxes = sampler, config.objective == "box"
        self._pool = ImagePool(corpus, device, config.resident_mib * 2**20)
        # A batch is assumed to need a quarter of it at most.
        self._headroom = config.resident_mib * 2**18

    def batch(self, step: int) -> Batch | BoxBatch:
        """The batch of that step; its pixels are tensors on the device."""
        self._pool.reserve(self._headroom)
        planned = self._sampler.plan(step, self._pool)
        views = render_all(planned.views, self._pool)
        return planned.box_batch(views) if self._boxes else planned.batch(views)


@torch.no_grad()
def render_all(plans: tuple[Plan, ...], pool: ImagePool) -> Tensor:
    """The views, uint8 [B, S, S, 3] RGB on the pool's device."""
    pixels = _pictures(plans, pool)
    for slot in range(max(len(plan.cutouts) for plan in plans)):
        chosen = [index for index, plan in enumerate(plans) if len(plan.cutouts) > slot]
        layers = [plans[index].cutouts[slot] for index in chosen]
        over = _read(pool, layers, plans[0].side, 4, "constant")
        pixels[chosen] = over[:, :3] + pixels[chosen] * (1 - over[:, 3:] / 255)
    pixels = _degraded(_recoloured(_coarsened(pixels, plans), plans), plans)
    return (pixels + 0.5).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _pictures(plans: tuple[Plan, ...], pool: ImagePool) -> Tensor:
    """The pictures, with the fill beyond their edges, [B, 3, S, S]."""
    side = plans[0].side
    pixels = torch.empty(len(plans), 3, side, side, device=pool.device)
    for fill in ("mean", "mirror", "scenery"):
        chosen = [index for index, plan in enumerate(plans) if plan.fill == fill]
        if not chosen:
            continue
        layers, bounds = [plans[i].picture for i in chosen], [plans[i].bounds for i in chosen]
        border: Border = "mirror" if fill == "mirror" else "constant"
        pixels[chosen] = _read(pool, layers, side, 3, border, bounds)
        if fill == "scenery":
            around = [_filling(plans[i], pool) for i in chosen]
            inside = _inside(pool, layers, side, bounds)
            pixels[chosen] = torch.where(inside, pixels[chosen], _read(pool, around, side, 3, "mirror"))
    return pixels


def _filling(plan: Plan, pool: ImagePool) -> Layer:
    """The scenery stretched over the whole view."""
    assert plan.scenery is not None
    width, height = pool.size(plan.scenery)
    return Layer(plan.scenery, resized((width / plan.side, height / plan.side)))


def _inside(pool: ImagePool, layers: list[Layer], side: int, bounds: list[tuple[int, int, int, int]]) -> Tensor:
    """Whether a pixel shows the picture itself, bool [B, 1, S, S]: its place is within half a pixel of the bounds."""
    x, y = _places(np.stack([layer.matrix for layer in layers]), side, pool.device)
    x0, y0, x1, y1 = torch.tensor(bounds, dtype=torch.float32, device=pool.device).T[..., None, None]
    inside: Tensor = (x >= x0 - 0.5) & (x <= x1 - 0.5) & (y >= y0 - 0.5) & (y <= y1 - 0.5)
    return inside[:, None]


def _read(
    pool: ImagePool,
    layers: list[Layer],
    side: int,
    channels: int,
    border: Border,
    bounds: list[tuple[int, int, int, int]] | None = None,
) -> Tensor:
    windows, matrices = [], []
    for index, layer in enumerate(layers):
        resident = pool.resident(layer.image, channels)
        level = resident.levels[resident.level(math.sqrt(abs(np.linalg.det(layer.matrix[:, :2]))))]
        ratio = level.width / resident.size[0], level.height / resident.size[1]
        whole = (0, 0, *resident.size)
        x0, y0, x1, y1 = whole if bounds is None else bounds[index]
        low = round(x0 * ratio[0]), round(y0 * ratio[1])
        high = max(low[0] + 1, round(x1 * ratio[0])), max(low[1] + 1, round(y1 * ratio[1]))
        windows.append(image_part(level, (*low, *high), channels, resident.colour))
        matrix = compose(resized(ratio), layer.matrix)
        matrix[:, 2] -= low
        matrices.append(matrix)
    return pool.read(windows, *_places(np.stack(matrices), side, pool.device), channels, border)


def _places(matrices: FloatArray, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Image indexes x, y [B, S, S] of the views' pixels, by matrices [B, 2, 3]."""
    m = torch.from_numpy(matrices).to(device=device, dtype=torch.float32)
    line = torch.arange(side, device=device, dtype=torch.float32)
    u, v = line[None, None, :], line[None, :, None]
    x, y = (m[:, i, 0, None, None] * u + m[:, i, 1, None, None] * v + m[:, i, 2, None, None] for i in (0, 1))
    return x, y


def _coarsened(pixels: Tensor, plans: tuple[Plan, ...]) -> Tensor:
    """The views of lower resolution made small and large again."""
    side = pixels.shape[-1]
    for index, plan in enumerate(plans):
        small = max(32, round(side / plan.resolution))
        if small != side:
            less = F.interpolate(pixels[index, None], (small, small), mode="bilinear", antialias=True)
            pixels[index] = F.interpolate(less, (side, side), mode="bilinear", align_corners=False)[0]
    return pixels


def _recoloured(pixels: Tensor, plans: tuple[Plan, ...]) -> Tensor:
    # The matrix is linear in the mean, so the mean need not leave the device.
    at_0, at_1 = (np.stack([colour_matrix(plan.colour, mean) for plan in plans]) for mean in (0.0, 1.0))
    linear, offset = (torch.from_numpy(each).to(pixels) for each in (at_0[:, :, :3], at_1[:, :, 3:]))
    means = torch.einsum("bchw,c->b", pixels, pixels.new_tensor([0.299, 0.587, 0.114])) / pixels[0, 0].numel()
    mixed = torch.einsum("bij,bjhw->bihw", linear, pixels) + offset[..., None] * means[:, None, None, None]
    return mixed.clamp(0, 255)


def _degraded(pixels: Tensor, plans: tuple[Plan, ...]) -> Tensor:
    blurred = [index for index, plan in enumerate(plans) if plan.kernel is not None]
    if blurred:
        pixels[blurred] = _blurred(pixels[blurred], [plans[index] for index in blurred])
    for index, plan in enumerate(plans):
        if plan.noise:
            generator = torch.Generator(pixels.device).manual_seed(plan.noise_seed)
            noise = torch.randn(pixels.shape[1:], generator=generator, device=pixels.device)
            pixels[index] = (pixels[index] + plan.noise * noise).clamp(0, 255)
    packed = [index for index, plan in enumerate(plans) if plan.jpeg]
    if packed:
        pixels[packed] = compressed(pixels[packed], [plans[index].jpeg for index in packed])
    return pixels


def _blurred(pixels: Tensor, plans: list[Plan]) -> Tensor:
    b, channels, side, _ = pixels.shape
    kernels = np.zeros((b, _WIDEST, _WIDEST), np.float32)
    for kernel, plan in zip(kernels, plans, strict=True):
        assert plan.kernel is not None
        low = (_WIDEST - len(plan.kernel)) // 2
        kernel[low : low + len(plan.kernel), low : low + len(plan.kernel)] = plan.kernel
    weights = torch.from_numpy(kernels).to(pixels)[:, None].repeat_interleave(channels, 0)
    padded = F.pad(pixels, [_WIDEST // 2] * 4, mode="reflect")
    one = padded.reshape(1, b * channels, *padded.shape[2:])
    return F.conv2d(one, weights, groups=b * channels).reshape(b, channels, side, side)
