from __future__ import annotations

import numpy as np
import pytest

from model.errors import ConfigError
from model.labels import create_bce_logit_label


def test_odd_map_by_hand() -> None:
    # Thresholds of 1 and 2 cells; squared distances from the middle:
    # 8 5 4 5 8 / 5 2 1 2 5 / 4 1 0 1 4 / ...; positive up to 1, negative above 4, 2 and 4 are neutral.
    label = create_bce_logit_label(5, pos_thr=4, neg_thr=8, upscale_factor=4)
    assert label.dtype == np.float32
    np.testing.assert_array_equal(
        label[..., 0],
        [[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]],
    )
    np.testing.assert_array_equal(
        label[..., 1],
        [[1, 1, 0, 1, 1], [1, 0, 1, 0, 1], [0, 1, 1, 1, 0], [1, 0, 1, 0, 1], [1, 1, 0, 1, 1]],
    )


def test_even_map_by_hand() -> None:
    # The centre lies between pixels: squared distances 4.5 2.5 2.5 4.5 / 2.5 0.5 0.5 2.5 / ...
    # 3 px are 0.75 cells (0.5625), 8 px 2 cells (4): the middle four are positive, 2.5 is neutral, corners negative.
    label = create_bce_logit_label(4, pos_thr=3, neg_thr=8, upscale_factor=4)
    np.testing.assert_array_equal(label[..., 0], [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(label[..., 1], [[1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]])


def test_the_reference_thresholds_count_what_they_must() -> None:
    # 16 and 24 px at 4 px a cell: lattice points within 4 (49) and beyond 6 (113 lie within) of 33 x 33.
    label = create_bce_logit_label(33, 16, 24)
    assert label[..., 0].sum() == 49
    assert label[..., 1].sum() == 33 * 33 - (113 - 49)


def test_thresholds_of_zero_on_an_even_map_mean_an_empty_frame() -> None:
    label = create_bce_logit_label(4, 0, 0)
    assert not label[..., 0].any()
    assert label[..., 1].all()


def test_thresholds_of_zero_on_an_odd_map_leave_the_centre() -> None:
    label = create_bce_logit_label(3, 0, 0)
    np.testing.assert_array_equal(label[..., 0], [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert label[..., 1].all()


def test_equal_thresholds_leave_nothing_neutral() -> None:
    assert create_bce_logit_label(17, 16, 16, 8)[..., 1].all()


@pytest.mark.parametrize(
    ("size", "positive", "negative", "factor"),
    [(33, 16, 24, 4), (17, 12, 20, 8), (129, 16, 24, 1), (6, 5.5, 9.25, 2.5)],
)
def test_equals_the_obvious_loop(size: int, positive: float, negative: float, factor: float) -> None:
    label = create_bce_logit_label(size, positive, negative, factor)
    middle = (size - 1) / 2
    for row in range(size):
        for column in range(size):
            distance = ((row - middle) ** 2 + (column - middle) ** 2) ** 0.5 * factor
            near, far = distance <= positive + 1e-9, distance > negative + 1e-9
            assert label[row, column].tolist() == [float(near), float(near or far)]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((0, 1, 2, 4), id="no cells"),
        pytest.param((5, -1, 2, 4), id="negative threshold"),
        pytest.param((5, 3, 2, 4), id="positives reach into negatives"),
        pytest.param((5, 1, 2, 0), id="no pixels a cell"),
    ],
)
def test_refusals(arguments: tuple[int, float, float, float]) -> None:
    with pytest.raises(ConfigError, match="label needs"):
        create_bce_logit_label(*arguments)
