from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.boxes import Box, center_error, from_one_indexed, iou
from model.errors import InvalidBoxError

sides = st.floats(0.5, 500, allow_subnormal=False)
places = st.floats(-500, 500, allow_subnormal=False)
boxes = st.tuples(places, places, sides, sides).map(lambda values: np.array(values))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param([0, 0, 10, 10], [0, 0, 10, 10], 1.0, id="identical"),
        pytest.param([0, 0, 10, 10], [5, 0, 10, 10], 1 / 3, id="half beside: intersection 50, union 150"),
        pytest.param([0, 0, 10, 10], [5, 5, 10, 10], 1 / 7, id="quarter: intersection 25, union 175"),
        pytest.param([0, 0, 10, 10], [10, 0, 10, 10], 0.0, id="touching edge"),
        pytest.param([0, 0, 10, 10], [10, 10, 5, 5], 0.0, id="touching corner"),
        pytest.param([0, 0, 10, 10], [20, 20, 5, 5], 0.0, id="apart"),
        pytest.param([0, 0, 10, 10], [2, 2, 5, 4], 0.2, id="contained: intersection 20, union 100"),
        pytest.param([0, 0, 10, 10], [4, 4, 0, 5], 0.0, id="one without area"),
        pytest.param([3, 3, 0, 0], [3, 3, 0, 0], 0.0, id="both without area"),
        pytest.param([0, 0, -5, 10], [0, 0, 10, 10], 0.0, id="negative width has no area"),
        pytest.param([1e6, 1e6, 4, 4], [1e6 + 1, 1e6, 4, 4], 12 / 20, id="far away: intersection 12, union 20"),
        pytest.param([0.25, 0, 1, 1], [0.75, 0, 1, 1], 1 / 3, id="below the pixel: intersection 0.5, union 1.5"),
    ],
)
def test_iou_of_named_situations(a: list[float], b: list[float], expected: float) -> None:
    assert iou(np.array(a), np.array(b)) == pytest.approx(expected, abs=1e-12)


def test_iou_of_nan_is_nan() -> None:
    result = iou(np.array([[np.nan] * 4, [0, 0, 1, 1]]), np.array([0.0, 0, 1, 1]))
    assert np.isnan(result[0])
    assert result[1] == 1


def test_iou_broadcasts_every_box_against_every_other() -> None:
    a = np.array([[0.0, 0, 2, 2], [1, 0, 2, 2], [9, 9, 1, 1]])
    matrix = iou(a[:, None], a[None])
    expected = [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]]  # 2 of 6
    np.testing.assert_allclose(matrix, expected)


@given(boxes, boxes)
def test_iou_is_symmetric_and_a_share(a: np.ndarray, b: np.ndarray) -> None:
    value = float(iou(a, b))
    assert 0 <= value <= 1 + 1e-12
    assert value == pytest.approx(float(iou(b, a)), abs=1e-12)


@given(boxes, boxes, places, places)
def test_iou_does_not_change_when_both_move(a: np.ndarray, b: np.ndarray, dx: float, dy: float) -> None:
    shift = np.array([dx, dy, 0, 0])
    assert float(iou(a + shift, b + shift)) == pytest.approx(float(iou(a, b)), abs=1e-9)


@given(boxes, st.integers(0, 3), st.floats(0.01, 100))
def test_iou_is_one_for_the_same_box_alone(a: np.ndarray, index: int, change: float) -> None:
    other = a.copy()
    other[index] += change
    assert float(iou(a, a)) == pytest.approx(1, abs=1e-9)
    assert float(iou(a, other)) < 1 - 1e-6


def test_center_error_is_the_distance_of_the_middles() -> None:
    # Middles (5, 5) and (8, 9): 3 and 4 apart.
    assert center_error(np.array([0, 0, 10, 10]), np.array([6, 8, 4, 2])) == 5


def test_one_indexed_boxes_move_by_one_pixel_and_keep_their_size() -> None:
    given_boxes = np.array([[1.0, 1, 30, 40], [11, 6, 2, 3]])
    np.testing.assert_array_equal(from_one_indexed(given_boxes), [[0, 0, 30, 40], [10, 5, 2, 3]])
    np.testing.assert_array_equal(given_boxes[0], [1, 1, 30, 40])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        pytest.param([0, 0, 5], "four numbers", id="three numbers"),
        pytest.param([0, 0, 5, 5, 5], "four numbers", id="five numbers"),
        pytest.param([math.nan, 0, 5, 5], "finite", id="nan"),
        pytest.param([0, math.inf, 5, 5], "finite", id="infinite place"),
        pytest.param([0, 0, math.inf, 5], "finite", id="infinite side"),
        pytest.param([0, 0, 0.99, 5], "at least 1 pixel", id="too narrow"),
        pytest.param([0, 0, 5, -5], "at least 1 pixel", id="negative height"),
        pytest.param([100, 0, 5, 5], "does not overlap", id="right of the frame"),
        pytest.param([-5, 0, 5, 5], "does not overlap", id="left of the frame, touching it"),
        pytest.param([0, 50, 5, 5], "does not overlap", id="below the frame, touching it"),
        pytest.param([0, -7, 5, 5], "does not overlap", id="above the frame"),
        pytest.param([-2e6, 0, 4e6, 5], "million", id="absurdly large"),
    ],
)
def test_a_given_box_is_refused(values: list[float], reason: str) -> None:
    with pytest.raises(InvalidBoxError, match=reason):
        Box.checked(values, (100, 50))


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([0, 0, 100, 50], id="the whole frame"),
        pytest.param([-4, -4, 5, 5], id="sticks out at the top left"),
        pytest.param([99.5, 49.5, 30, 30], id="sticks out at the bottom right"),
        pytest.param([-500, -500, 2000, 2000], id="larger than the frame"),
        pytest.param([3, 4, 1, 1], id="a single pixel"),
    ],
)
def test_a_given_box_is_taken_as_it_is(values: list[float]) -> None:
    assert Box.checked(values, (100, 50)).as_list() == values


@given(boxes)
def test_a_box_is_rebuilt_from_its_centre_and_size(values: np.ndarray) -> None:
    box = Box(*values.tolist())
    rebuilt = Box.around(box.center, box.size)
    assert rebuilt.as_list() == pytest.approx(box.as_list(), abs=1e-9)
