"""Cross-correlation of exemplar and search embeddings, and the learned affine that follows it.

Shape legend: B pairs, C channels, h x w cells of the exemplar, H x W cells of the search region; the map has
(H-h+1) x (W-w+1) cells. All tensors are floating point.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from torch import Tensor, nn

Floating = TypeVar("Floating", np.float32, np.float64)


def correlate(exemplars: Tensor, searches: Tensor) -> Tensor:
    """Correlate each exemplar with its own search region(s).

    exemplars: [B, C, h, w]; searches: [B, C, H, W]. Returns [B, 1, H-h+1, W-w+1]. The batch is folded into channels
    so that one grouped convolution does it (rafellerc/Pytorch-SiamFC `SiameseNet.match_corr`). Raises ValueError
    where batch or channels differ.
    """
    b, c, height, width = searches.shape
    if exemplars.shape[:2] != (b, c):
        raise ValueError(f"exemplars {tuple(exemplars.shape)} and searches {tuple(searches.shape)} do not pair up")
    maps = F.conv2d(searches.reshape(1, b * c, height, width), exemplars, groups=b)  # (1, B, H', W')
    return maps.permute(1, 0, 2, 3)


def correlate_scales(exemplars: Tensor, searches: Tensor) -> Tensor:
    """Correlate each exemplar with all search regions of its target, in one call.

    exemplars: [B, C, h, w]; searches: [B, N, C, H, W] (N scales). Returns [B, N, H-h+1, W-w+1], equal to `correlate`
    of every exemplar repeated N times, without the repetition.
    """
    b, n, c, height, width = searches.shape
    folded = searches.transpose(0, 1).reshape(n, b * c, height, width)
    maps: Tensor = F.conv2d(folded, exemplars, groups=b).transpose(0, 1)  # (B, N, H', W')
    return maps


def correlate_by_products(exemplars: Tensor, searches: Tensor) -> Tensor:
    """`correlate_scales` by multiplying matrices: the faster form on a CPU, where grouped convolutions are slow.

    Every exemplar cell meets every search cell, two vectors of C numbers; `window_sums` does the rest. One target after
    the other, so that the products stay in the cache.
    """
    maps = [_correlate_one(exemplar, of_target) for exemplar, of_target in zip(exemplars, searches, strict=True)]
    return torch.stack(maps)


def _correlate_one(exemplar: Tensor, searches: Tensor) -> Tensor:
    (c, h, w), (n, _, height, width) = exemplar.shape, searches.shape
    products = exemplar.reshape(c, h * w).T @ searches.reshape(n, c, height * width)
    return torch.from_numpy(window_sums(products.reshape(n, h, w, height, width).numpy()))


def window_sums(products: NDArray[Floating]) -> NDArray[Floating]:
    """Maps [N, H-h+1, W-w+1] from the products [N, h, w, H, W] of every exemplar cell with every search cell.

    A map's cell sums h x w products, which lie at a fixed stride from one another: a view of them, no copy, is summed.
    `window_sums_by_loop` is the plain form.
    """
    n, h, w, height, width = products.shape
    scale, i, j, y, x = products.strides
    shape = (n, height - h + 1, width - w + 1, h, w)
    windows = as_strided(products, shape, (scale, y, x, i + y, j + x), writeable=False)
    summed: NDArray[Floating] = windows.sum((-1, -2))
    return summed


def window_sums_by_loop(products: NDArray[Floating]) -> NDArray[Floating]:
    """The plain form of `window_sums`: for each cell of the exemplar its products, moved over the map, are added."""
    n, h, w, height, width = products.shape
    rows, columns = height - h + 1, width - w + 1
    summed = np.zeros((n, rows, columns), products.dtype)
    for i in range(h):
        for j in range(w):
            summed += products[:, i, j, i : i + rows, j : j + columns]
    return summed


def correlate_by_loop(exemplars: Tensor, searches: Tensor) -> Tensor:
    """The plain form of `correlate`, its oracle: one sum of products a cell of the map."""
    b, _, h, w = exemplars.shape
    rows, columns = searches.shape[2] - h + 1, searches.shape[3] - w + 1
    maps = searches.new_empty(b, 1, rows, columns)
    for n in range(b):
        for i in range(rows):
            for j in range(columns):
                maps[n, 0, i, j] = (exemplars[n] * searches[n, :, i : i + h, j : j + w]).sum()
    return maps


def match_corr(exemplars: Tensor, searches: Tensor, match_norm: nn.Module, upscaled_size: int | None = None) -> Tensor:
    """Correlation, match batch norm, and bilinear upscaling where `upscaled_size` is given.

    Returns logits [B, 1, S, S], S the map's side or `upscaled_size` = (map - 1) * stride + 1. Source:
    rafellerc/Pytorch-SiamFC `SiameseNet.match_corr`.
    """
    maps: Tensor = match_norm(correlate(exemplars, searches))
    if upscaled_size is None:
        return maps
    return F.interpolate(maps, (upscaled_size, upscaled_size), mode="bilinear", align_corners=False)
