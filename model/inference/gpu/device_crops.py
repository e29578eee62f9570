"""Crops read on the device out of windows of frames: bilinear, many at once. Any device.

Shape legend: M crops of S x S pixels, P pixels of all windows.
"""

from __future__ import annotations

import torch
from torch import Tensor


def read_crops(pixels: Tensor, numbers: Tensor, size: int) -> Tensor:
    """Crops float32 [M, 3, S, S], whole numbers 0..255 RGB, channels last in memory.

    pixels: uint8 [P, 3], every window's rows end to end; numbers: float64 [M, 10] as in `model.windows.FrameWindows`,
    the first pixel counted from the first of `pixels`. Equal to `model.crops.crop` up to rounding, unless scales share
    a window that was averaged: then other pixels were averaged together.
    """
    first, width, height, left, step_x, top, step_y = numbers[:, :7, None].unbind(1)
    places = torch.arange(size, dtype=torch.float64, device=pixels.device)
    columns, across = _taps(left + places * step_x, width)
    rows, down = _taps(top + places * step_y, height)
    # An empty window may begin behind the last pixel; its reads, with weight 0, are moved inside.
    lines = first.long().clamp(max=len(pixels) - 1) + rows * width.long()
    # Both sums are 1 inside the window; the rest of the weight is the fill's.
    beyond = 1 - down.sum(0)[:, :, None] * across.sum(0)[:, None, :]
    total = beyond[..., None] * numbers[:, None, None, 7:].float()  # (M, S, S, 3)
    for line, of_line in zip(lines, down, strict=True):
        for column, of_column in zip(columns, across, strict=True):
            weight = of_line[:, :, None] * of_column[:, None, :]
            total += weight[..., None] * pixels[line[:, :, None] + column[:, None, :]]
    return total.round_().permute(0, 3, 1, 2)


def _taps(places: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """The two pixels beside each place [M, S] of lines of `length` [M, 1], int64 [2, M, S], and their weights, float32.

    A pixel outside the line has weight 0 and an index inside the line.
    """
    before = places.floor()
    part = places - before
    indexes = torch.stack([before, before + 1])
    inside = (indexes >= 0) & (indexes < length)
    weights = torch.stack([1 - part, part]) * inside
    return indexes.minimum(length - 1).clamp(min=0).long(), weights.float()
