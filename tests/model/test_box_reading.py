"""What a box head's outputs say at a peak. Maps here have 5 cells a side; the middle is cell 2."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.box_reading import OUTPUTS, BoxReading, read_box, with_quality
from model.inference.gpu.peaks import PeakReader

CELLS = 5


def outputs_at(row: int, column: int, values: tuple[float, ...]) -> np.ndarray:
    maps = np.zeros((OUTPUTS, CELLS, CELLS), np.float32)
    maps[:, row, column] = values
    return maps


@pytest.mark.parametrize(
    ("dx", "dy", "expected"),
    [
        pytest.param(0.0, 0.0, (0.5, -0.25, 2.0, 0.5, 1.5), id="on the cell: its outputs"),
        pytest.param(0.5, 0.0, (0.75, -0.125, 2**0.5, 0.5**0.5, 0.75), id="half way to a neighbour of zeros"),
        pytest.param(0.5, 0.5, (0.625, 0.4375, 2**0.25, 0.5**0.25, 0.375), id="between four cells: a quarter"),
        pytest.param(2.0, 2.0, (2.0, 2.0, 1.0, 1.0, 0.0), id="the last cell"),
        pytest.param(3.5, -9.0, (3.5, -9.0, 1.0, 1.0, 0.0), id="beyond the map: the edge's"),
    ],
)
def test_outputs_are_interpolated(dx: float, dy: float, expected: tuple[float, ...]) -> None:
    maps = outputs_at(2, 2, (0.5, -0.25, math.log(2), -math.log(2), 1.5))
    box = read_box(maps, dx, dy)
    found = box.dx, box.dy, box.width_ratio, box.height_ratio, box.quality
    assert found == pytest.approx(expected, abs=1e-6)


def test_ratios_are_held_within_bounds() -> None:
    box = BoxReading.of(0, 0, (0, 0, 99, -99, 0))
    assert (box.width_ratio, box.height_ratio) == pytest.approx((math.exp(3), math.exp(-3)))


@pytest.mark.parametrize(("logit", "expected"), [(0.0, 0.5), (math.log(3), 0.75), (-5000.0, 0.0), (800.0, 1.0)])
def test_the_likelihood_of_a_quality(logit: float, expected: float) -> None:
    assert BoxReading(0, 0, 1, 1, logit).likelihood == pytest.approx(expected)


@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(0, 99))
def test_a_device_reads_what_is_read_here(dx: float, dy: float, seed: int) -> None:
    upscale = 16
    # A peak lies on a value of the upscaled map.
    dx, dy = (min(max(round(each * upscale) / upscale, -2.0), 2.0) for each in (dx, dy))
    maps = np.random.default_rng(seed).normal(size=(OUTPUTS, CELLS, CELLS)).astype(np.float32)
    numbers = torch.tensor([[[1.0, dx * upscale, dy * upscale, 0.0, 0.0]]])
    reader = PeakReader(CELLS, upscale, torch.device("cpu"))
    read = reader.read_boxes(numbers, torch.from_numpy(maps)[None, None])[0, 0].tolist()
    here, there = read_box(maps, dx, dy), BoxReading.of(dx, dy, read)
    for name in BoxReading.__slots__:
        assert getattr(there, name) == pytest.approx(getattr(here, name), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("influence", "quality", "expected"),
    [
        pytest.param(0.0, 2.0, 1.0, id="no influence: the correlation alone"),
        pytest.param(0.5, 2.0, 2.0, id="half of the quality's logit beside it"),
        pytest.param(0.5, 9.0, 2.5, id="no more than 3 of it"),
        pytest.param(0.5, -99.0, -3.0, id="no less than -8"),
    ],
)
def test_the_quality_counts_in_the_response(influence: float, quality: float, expected: float) -> None:
    boxes = np.zeros((2, 5, 3, 3), np.float32)
    boxes[1, 4, 0, 2] = quality
    found = with_quality(np.ones((2, 3, 3), np.float32), boxes, influence)
    assert found.dtype == np.float32
    assert found[1, 0, 2] == pytest.approx(expected)
    found[1, 0, 2] = 1
    assert (found == 1).all()
