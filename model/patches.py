"""Upscaled maps, patch by patch: cheap bounds on all patches, exact values of a chosen few.

Between four neighbouring cells an upscaled map is a bicubic patch, and so lies within the hull of its 4 x 4 Bézier
ordinates. The bounds leave a handful of patches in which the maximum can be; only these are upscaled.

Shape legend: N maps, S x S cells, P = S - 1 patches a side (1 of a single cell), f = the upscaling
factor, K patches chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.arrays import Float32, Float64

Indexes = tuple[NDArray[np.intp], ...]
"""K patches: their map, row and column, each [K]."""


@lru_cache(maxsize=16)
def upscale_matrix(cells: int, factor: int) -> Float32:
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


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """The patches of maps of S x S cells, upscaled by f. Made by `patches_of`; all arrays are read-only.

    hull: float32 [3P + 1, S], from a line's cells to its Bézier ordinates. lines: float32 [P, f + 1, S], each patch's
    rows of `upscale_matrix`, both ends included; across: lines transposed, [P, S, f + 1]. sums: float64 [S], the column
    sums of `upscale_matrix`.
    """

    factor: int
    hull: Float32
    lines: Float32
    across: Float32
    sums: Float64

    def bounds(self, maps: Float32) -> tuple[Float32, Float32]:
        """Lower and upper bounds on each patch's values, float32 [N, P, P] each, of maps [N, S, S]; up to rounding."""
        ordinates: Float32 = np.asarray(self.hull @ maps @ self.hull.T, np.float32)
        return _pooled(ordinates, np.minimum), _pooled(ordinates, np.maximum)

    def values(self, maps: Float32, where: Indexes) -> Float32:
        """The chosen patches of the upscaled maps, float32 [K, f + 1, f + 1]."""
        each, row, column = where
        return np.asarray(self.lines[row] @ maps[each] @ self.across[column], np.float32)

    def total(self, cells: Float32) -> float:
        """The sum of all values of one upscaled map [S, S]."""
        return float(self.sums @ cells @ self.sums)


@lru_cache(maxsize=16)
def patches_of(cells: int, factor: int) -> Patches:
    """The patches of maps of that many cells a side."""
    matrix = upscale_matrix(cells, factor)
    lines = np.stack([matrix[at * factor : (at + 1) * factor + 1] for at in range(max(cells - 1, 1))])
    arrays = _hull_matrix(cells), lines, np.ascontiguousarray(lines.swapaxes(1, 2)), matrix.sum(0, dtype=np.float64)
    for array in arrays:
        array.setflags(write=False)
    return Patches(factor, *arrays)


def _hull_matrix(cells: int) -> Float32:
    """From cells to Bézier ordinates, float32 [3P + 1, S]: every third is a cell, the others lie on its tangent.

    Keys' kernel with a = -0.5 is Catmull and Rom's spline, whose tangent at a cell is half the difference of its
    neighbours; an ordinate lies a third of the tangent away.
    """
    patches = max(cells - 1, 1)
    one = [np.eye(cells)[min(max(at, 0), cells - 1)] for at in range(-1, patches + 2)]
    matrix = np.zeros((3 * patches + 1, cells))
    for at in range(patches):
        before, left, right, after = one[at : at + 4]
        matrix[3 * at : 3 * at + 4] = left, left + (right - before) / 6, right - (after - left) / 6, right
    return matrix.astype(np.float32)


def _pooled(ordinates: Float32, extreme: np.ufunc) -> Float32:
    """The extreme of each patch's 4 x 4 ordinates, [N, 3P + 1, 3P + 1] to [N, P, P]."""
    o = ordinates
    o = extreme(extreme(o[:, :-1:3], o[:, 1::3]), extreme(o[:, 2::3], o[:, 3::3]))  # (N, P, 3P + 1)
    pooled: Float32 = extreme(extreme(o[..., :-1:3], o[..., 1::3]), extreme(o[..., 2::3], o[..., 3::3]))
    return pooled
