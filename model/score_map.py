"""The peak of correlation maps: a target's new place and scale. numpy only, pure.

Shape legend: N scales, S x S cells of a map, U x U values of the upscaled map, U = (S - 1) * upscale + 1: corner cells
lie on the corners, so the middle of either is a displacement of zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from model.arrays import Float32
from model.box_reading import BoxReading
from model.config import TrackerConfig
from model.patches import Patches, patches_of, upscale_matrix

_ROUNDING = 1e-5
"""Float tolerance, relative to the map's maximum."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The place of the target on its maps.

    scale: index of the search region it was found in. dx, dy: displacement from that region's centre in cells.
    logit: the upscaled response there, unpenalised and without window. contrast: the height
    of the peak above the mean of the map outside it, in standard deviations of the map outside it (the peak-to-sidelobe
    ratio). zoom: the target's size against the middle region's, in scale steps. box: a box head's
    reading there, if the network has one.
    """

    scale: int
    dx: float
    dy: float
    logit: float
    contrast: float
    zoom: float = 0.0
    box: BoxReading | None = None


@lru_cache(maxsize=16)
def cosine_window(size: int) -> Float32:
    """Hann window float32 [size, size] with sum 1 (Bertinetto et al. 2016, section 3.1: penalises large jumps)."""
    line = np.hanning(size + 2)[1:-1]
    window: Float32 = (np.outer(line, line) / line.sum() ** 2).astype(np.float32)
    window.setflags(write=False)
    return window


def upscale(maps: Float32, factor: int) -> Float32:
    """Maps [..., S, S] upscaled to [..., U, U]."""
    matrix = upscale_matrix(maps.shape[-1], factor)
    return np.asarray(matrix @ maps @ matrix.T, np.float32)


def find_peak(maps: Float32, config: TrackerConfig, influence: float | None = None) -> Peak:
    """The peak of a target's maps [N, S, S] (finite logits; N as many as `config.scale_factors`).

    influence: the window's share, 0..1; by default the configuration's `window_influence`.
    Upscale, subtract the common floor, penalise every scale but the middle one, take the scale with the highest
    value, blend in the cosine window, take the highest value (Bertinetto et al. 2016, section 3.1). The floor makes
    the penalty mean the same for logits of either sign. Only patches that may hold an extreme are upscaled
    (`model.patches`); `find_peak_plainly` upscales everything.
    """
    patches = patches_of(maps.shape[-1], config.upscale)
    below, above = patches.bounds(maps)
    least, tops = maps.min(), maps.max(axis=(1, 2))
    slack = _ROUNDING * float(max(abs(least), tops.max()))
    # A patch that is flat between its cells has no value beyond theirs.
    uneven = above - below > slack
    low = patches.values(maps, np.nonzero((below <= least + slack) & uneven))
    floor = float(low.min(initial=least))
    penalties = scale_penalties(len(maps), config)
    heights = (tops - floor) * penalties
    bounds = (above - floor) * penalties[:, None, None]
    # Only the highest scale matters unless scales are interpolated.
    reached = heights[:, None, None] if config.scale_interpolation else heights.max()
    high = np.nonzero((bounds >= reached - slack) & uneven)
    np.maximum.at(heights, high[0], (patches.values(maps, high).max(axis=(1, 2)) - floor) * penalties[high[0]])
    scale, zoom = choose_scale(heights, config)
    cells = maps[scale]
    row, column, logit = _highest(
        cells, patches, above[scale], floor, slack, config.window_influence if influence is None else influence
    )
    half = (maps.shape[-1] - 1) / 2
    y, x = row / config.upscale, column / config.upscale
    return Peak(scale, x - half, y - half, logit, _contrast(cells, logit, y, x), zoom)


def find_peak_plainly(maps: Float32, config: TrackerConfig, influence: float | None = None) -> Peak:
    """The plain form of `find_peak`: upscale whole maps, then search. They differ only where rounding decides."""
    share = config.window_influence if influence is None else influence
    upscaled = upscale(maps, config.upscale)
    raised = upscaled - upscaled.min()
    scale, zoom = choose_scale(raised.max(axis=(1, 2)) * scale_penalties(len(maps), config), config)
    window = cosine_window(upscaled.shape[-1])
    total = float(raised[scale].sum(dtype=np.float64))
    gain = (1 - share) / total if total > _ROUNDING * float(np.abs(maps).max()) * window.size else 0.0
    blended = raised[scale] * gain + share * window
    row, column = divmod(int(blended.argmax()), len(window))
    logit, half = float(upscaled[scale, row, column]), (maps.shape[-1] - 1) / 2
    y, x = row / config.upscale, column / config.upscale
    return Peak(scale, x - half, y - half, logit, _contrast(maps[scale], logit, y, x), zoom)


def scale_penalties(count: int, config: TrackerConfig) -> Float32:
    """Factors on the scales' heights, float32 [count]: 1 for the middle one, `scale_penalty` for the others."""
    penalties = np.full(count, config.scale_penalty, np.float32)
    penalties[count // 2] = 1.0
    return penalties


def choose_scale(heights: Float32, config: TrackerConfig) -> tuple[int, float]:
    """The index of the best scale, and the target's size in scale steps from the middle one.

    heights: float32 [N], the scales' peaks above their floor, penalised. The best scale is the highest; of equals the
    one nearest to the middle, so that a tie leaves the size as it is. With interpolation the size lies at the top of a
    parabola through the best scale and its neighbours, at most a step from the middle one of the three.
    """
    values, middle = heights.tolist(), len(heights) // 2
    scale = max(sorted(range(len(values)), key=lambda index: abs(index - middle)), key=values.__getitem__)
    if not config.scale_interpolation or len(values) < 3:
        return scale, float(scale - middle)
    centre = min(max(scale, 1), len(values) - 2)
    below, there, above = values[centre - 1 : centre + 2]
    bend = below - 2 * there + above
    if bend >= -_ROUNDING * abs(there):
        # The parabola has no maximum.
        return scale, float(scale - middle)
    return scale, centre - middle + min(max(0.5 * (below - above) / bend, -1.0), 1.0)


def _highest(
    cells: Float32, patches: Patches, above: Float32, floor: float, slack: float, influence: float
) -> tuple[int, int, float]:
    """Row and column of the highest value of the upscaled map with the window blended in, and the value without it.

    The first of several equally high ones.
    """
    window = cosine_window((len(cells) - 1) * patches.factor + 1)
    by_patch, tops = _window_patches(len(cells), patches.factor)
    total = patches.total(cells) - floor * window.size
    # A map that is flat up to rounding has no peak of its own.
    gain = (1 - influence) / total if total > slack * window.size else 0.0
    reached = (cells - floor) * gain + influence * window[:: patches.factor, :: patches.factor]
    bounds = (above - floor) * gain + influence * tops
    rows, columns = np.nonzero(bounds >= reached.max() - slack * gain - _ROUNDING * influence * tops.max())
    values = patches.values(cells[None], (np.zeros_like(rows), rows, columns))
    blended = (values - floor) * gain + influence * by_patch[rows, columns]
    patch, u, v = np.nonzero(blended == blended.max())
    row, column = rows[patch] * patches.factor + u, columns[patch] * patches.factor + v
    first = int((row * len(window) + column).argmin())
    return int(row[first]), int(column[first]), float(values[patch[first], u[first], v[first]])


@lru_cache(maxsize=16)
def _window_patches(cells: int, factor: int) -> tuple[Float32, Float32]:
    """The cosine window's values in each patch, float32 [P, P, f + 1, f + 1], and the highest, [P, P]. Read-only."""
    window = cosine_window((cells - 1) * factor + 1)
    side = min(factor + 1, len(window))
    by_patch = sliding_window_view(window, (side, side))[::factor, ::factor]
    tops: Float32 = by_patch.max(axis=(2, 3))
    tops.setflags(write=False)
    return by_patch, tops


def _contrast(cells: Float32, logit: float, row: float, column: float) -> float:
    outside = np.ones(cells.shape, np.bool_)
    outside[_near(row), _near(column)] = False
    rest = cells[outside]
    if not len(rest):
        return 0.0
    mean = float(rest.mean())
    spread = math.sqrt(float(np.square(rest - mean).mean()))
    return (logit - mean) / spread if spread > 1e-6 and math.isfinite(spread) else 0.0


def _near(place: float) -> slice:
    """The cells of a line at most two away from a place."""
    return slice(max(0, math.ceil(place - 2)), math.floor(place + 2) + 1)
