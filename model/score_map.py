"""Reading a target's new place and scale off correlation maps. numpy only, pure.

Shape legend: N scales, S x S cells of a map, U x U values of the upscaled map, U = (S - 1) * upscale + 1: corner cells
lie on the corners, so the middle of either is a displacement of zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.config import TrackerConfig

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Peak:
    """Where the target is on its maps.

    scale: index of the search region it was found in. dx, dy: displacement from that region's centre in cells.
    logit: the upscaled response there, unpenalised and without window. contrast: how far that stands above the map's
    mean outside the peak, in the standard deviations there (the peak-to-sidelobe ratio).
    """

    scale: int
    dx: float
    dy: float
    logit: float
    contrast: float


@lru_cache(maxsize=16)
def upscale_matrix(cells: int, factor: int) -> FloatArray:
    """Bicubic upscaling of a line as a matrix: float32 [(cells - 1) * factor + 1, cells].

    Keys' kernel with a = -0.5, edges repeated; every row sums to 1 and row i * factor picks cell i.
    """
    size = (cells - 1) * factor + 1
    matrix = np.zeros((size, cells), np.float32)
    for row in range(size):
        base, part = divmod(row, factor)
        t = part / factor
        for tap in range(-1, 3):
            matrix[row, min(max(base + tap, 0), cells - 1)] += _keys(tap - t)
    matrix.setflags(write=False)
    return matrix


def _keys(x: float, a: float = -0.5) -> float:
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


@lru_cache(maxsize=16)
def cosine_window(size: int) -> FloatArray:
    """Hann window float32 [size, size] with sum 1 (Bertinetto et al. 2016, section 3.1: penalises large jumps)."""
    line = np.hanning(size + 2)[1:-1]
    window: FloatArray = (np.outer(line, line) / line.sum() ** 2).astype(np.float32)
    window.setflags(write=False)
    return window


def upscale(maps: FloatArray, factor: int) -> FloatArray:
    """Maps [..., S, S] upscaled to [..., U, U]."""
    matrix = upscale_matrix(maps.shape[-1], factor)
    return np.asarray(matrix @ maps @ matrix.T, np.float32)


def find_peak(maps: FloatArray, config: TrackerConfig) -> Peak:
    """The peak of a target's maps [N, S, S] (logits; N as many as `config.scale_factors`).

    Upscale, subtract the common floor, penalise every scale but the middle one, take the scale with the highest
    value, blend in the cosine window, take the highest value (Bertinetto et al. 2016, section 3.1). The floor makes
    the penalty mean the same for logits of either sign.
    """
    upscaled = upscale(maps, config.upscale)
    raised = upscaled - upscaled.min()
    peaks = raised.max(axis=(1, 2))
    middle = len(maps) // 2
    penalties = np.full(len(maps), config.scale_penalty, np.float32)
    penalties[middle] = 1.0
    # The middle first, so that a tie leaves the size as it is.
    order = sorted(range(len(maps)), key=lambda index: abs(index - middle))
    scale = max(order, key=lambda index: float(peaks[index] * penalties[index]))
    response = raised[scale]
    size = response.shape[0]
    total = float(response.sum())
    blended = response * ((1 - config.window_influence) / total if total > 0 else 0.0)
    blended += config.window_influence * cosine_window(size)
    row, column = divmod(int(blended.argmax()), size)
    half = (size - 1) / 2
    logit = float(upscaled[scale, row, column])
    return Peak(
        scale=scale,
        dx=(column - half) / config.upscale,
        dy=(row - half) / config.upscale,
        logit=logit,
        contrast=_contrast(maps[scale], logit, row / config.upscale, column / config.upscale),
    )


def _contrast(cells: FloatArray, logit: float, row: float, column: float) -> float:
    line = np.arange(cells.shape[0])
    outside = (np.abs(line - row)[:, None] > 2) | (np.abs(line - column)[None, :] > 2)
    rest = cells[outside]
    if not len(rest):
        return 0.0
    spread = float(rest.std())
    return (logit - float(rest.mean())) / spread if spread > 1e-6 and math.isfinite(spread) else 0.0
