from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.patches import patches_of, upscale_matrix
from model.score_map import upscale


@given(cells=st.integers(1, 40), factor=st.integers(1, 16))
@settings(max_examples=40)
def test_upscaling_keeps_constants_and_cells(cells: int, factor: int) -> None:
    matrix = upscale_matrix(cells, factor)
    assert matrix.shape == ((cells - 1) * factor + 1, cells)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(matrix[::factor], np.eye(cells), atol=1e-6)


def test_upscaling_by_two_uses_keys_weights() -> None:
    # Midway between cells: -1/16, 9/16, 9/16, -1/16; at the edge the outer one falls on the edge itself.
    matrix = upscale_matrix(5, 2)
    np.testing.assert_allclose(matrix[3], [-1 / 16, 9 / 16, 9 / 16, -1 / 16, 0], atol=1e-7)
    np.testing.assert_allclose(matrix[1], [8 / 16, 9 / 16, -1 / 16, 0, 0], atol=1e-7)


def test_upscaling_reproduces_a_parabola_inside() -> None:
    # Keys 1981: third-order convergence, so quadratics come back exactly away from the edges.
    line = np.arange(9, dtype=np.float32)
    fine = upscale_matrix(9, 4) @ (line - 4) ** 2
    np.testing.assert_allclose(fine[4:-4], (np.arange(33)[4:-4] / 4 - 4) ** 2, atol=1e-4)


def test_cached_arrays_cannot_be_changed() -> None:
    patches = patches_of(5, 2)
    for array in (upscale_matrix(5, 2), patches.hull, patches.lines, patches.across, patches.sums):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def every_patch(maps: np.ndarray) -> tuple[np.ndarray, ...]:
    n, side = len(maps), max(1, maps.shape[-1] - 1)
    return tuple(np.indices((n, side, side)).reshape(3, -1))


@given(seed=st.integers(0, 2**32 - 1), cells=st.integers(1, 12), factor=st.integers(1, 9))
def test_values_and_total_are_those_of_the_upscaled_maps(seed: int, cells: int, factor: int) -> None:
    maps = np.random.default_rng(seed).normal(size=(2, cells, cells)).astype(np.float32)
    whole, patches = upscale(maps, factor), patches_of(cells, factor)
    where = every_patch(maps)
    for each, row, column, values in zip(*where, patches.values(maps, where), strict=True):
        expected = whole[each, row * factor : (row + 1) * factor + 1, column * factor : (column + 1) * factor + 1]
        np.testing.assert_allclose(values, expected, atol=1e-5)
    assert patches.total(maps[1]) == pytest.approx(float(whole[1].sum(dtype=np.float64)), abs=1e-4 * whole[1].size)


@given(seed=st.integers(0, 2**32 - 1), cells=st.integers(1, 12), factor=st.integers(1, 16), offset=st.floats(-9, 9))
def test_no_value_leaves_its_bounds(seed: int, cells: int, factor: int, offset: float) -> None:
    maps = (np.random.default_rng(seed).normal(size=(3, cells, cells)) + offset).astype(np.float32)
    patches = patches_of(cells, factor)
    below, above = patches.bounds(maps)
    values = patches.values(maps, every_patch(maps))
    assert (values.min(axis=(1, 2)) >= below.ravel() - 1e-5).all()
    assert (values.max(axis=(1, 2)) <= above.ravel() + 1e-5).all()


def test_the_bounds_of_a_plane_are_its_corners() -> None:
    # Bézier ordinates of what is linear lie on it; at the map's edge the repeated cell bends it inwards.
    plane = np.add.outer(10 * np.arange(6), np.arange(6)).astype(np.float32)[None]
    below, above = patches_of(6, 4).bounds(plane)
    np.testing.assert_allclose(below[0], plane[0, :-1, :-1], atol=1e-4)
    np.testing.assert_allclose(above[0], plane[0, 1:, 1:], atol=1e-4)


def test_the_bounds_of_a_spike_by_hand() -> None:
    # Beside a spike of 1 the tangents of its neighbours are 1/2: a third of that above and below them.
    spike = np.zeros((1, 7, 7), np.float32)
    spike[0, 3, 3] = 1
    below, above = patches_of(7, 8).bounds(spike)
    assert above[0, 3, 3] == pytest.approx(1)
    assert below[0, 3, 4] == pytest.approx(-1 / 6)
    assert above[0, 1, 1] == pytest.approx(1 / 36)
    assert (below[0, 0, 0], above[0, 0, 0]) == (0, 0)
