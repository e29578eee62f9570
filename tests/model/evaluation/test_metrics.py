from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import SequenceError
from model.evaluation.metrics import (
    ERROR_THRESHOLDS,
    OVERLAP_THRESHOLDS,
    SequenceScore,
    center_errors,
    mean_score,
    overlaps,
    precision_curve,
    score,
    scored_frames,
    success_curve,
)

ABSENT = [np.nan] * 4

# Overlaps with a truth of [0, 0, 10, 10]: 1, 1/3 (50 of 150), 0.6 (60 of 100), 0.8 (80 of 100), 0.
TRUTH = np.array([[0.0, 0, 10, 10]] * 6)
BOXES = np.array([[77.0, 77, 1, 1], [0, 0, 10, 10], [5, 0, 10, 10], [0, 0, 10, 6], [0, 0, 8, 10], [40, 0, 10, 10]])


def test_by_hand() -> None:
    # The first frame is not scored. Of the 21 thresholds, 1 is above 20 (0 … 0.95), 1/3 above 7 (0 … 0.3), 0.6 above
    # 12 (0 … 0.55), 0.8 above 16 (0 … 0.75), 0 above none. Centres are off by 0, 2.5, 2, 1 and 40 px.
    result = score(BOXES, TRUTH)
    assert result.auc == pytest.approx((20 + 7 + 12 + 16 + 0) / (21 * 5))
    assert result.ao == pytest.approx((1 + 1 / 3 + 0.6 + 0.8 + 0) / 5)
    assert (result.sr_50, result.sr_75, result.precision_20) == (0.6, 0.4, 0.8)


def score_by_loop(boxes: np.ndarray, truth: np.ndarray) -> SequenceScore:
    """The obvious form: one frame after the other, one threshold after the other."""
    shares, distances, started = [], [], False
    for (x, y, w, h), (tx, ty, tw, th) in zip(boxes.tolist(), truth.tolist(), strict=True):
        if tx != tx:
            continue
        if not started:
            started = True
            continue
        wide = max(0.0, min(x + w, tx + tw) - max(x, tx))
        high = max(0.0, min(y + h, ty + th) - max(y, ty))
        shares.append(wide * high / (w * h + tw * th - wide * high))
        distances.append(((x + w / 2 - tx - tw / 2) ** 2 + (y + h / 2 - ty - th / 2) ** 2) ** 0.5)
    count = len(shares)
    successes = [sum(share > index / 20 for share in shares) / count for index in range(21)]
    return SequenceScore(
        auc=sum(successes) / 21,
        precision_20=sum(distance <= 20 for distance in distances) / count,
        ao=sum(shares) / count,
        sr_50=sum(share > 0.5 for share in shares) / count,
        sr_75=sum(share > 0.75 for share in shares) / count,
    )


@given(st.integers(0, 10**6), st.integers(3, 40))
def test_equals_the_obvious_loop(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(1, 60, (count, 4))
    boxes = truth + rng.normal(size=(count, 4)) * rng.choice([0.1, 5, 40])
    boxes[:, 2:] = np.abs(boxes[:, 2:]) + 0.1
    truth[rng.random(count) < 0.3] = np.nan
    truth[[0, -1]] = 1.0
    result, expected = score(boxes, truth), score_by_loop(boxes, truth)
    for name in SequenceScore.__slots__:
        assert getattr(result, name) == pytest.approx(getattr(expected, name), abs=1e-12), name


def test_absent_frames_and_the_first_present_one_are_not_scored() -> None:
    truth = np.array([ABSENT, [0, 0, 10, 10], ABSENT, [0, 0, 10, 10], [0, 0, 10, 10]])
    assert scored_frames(truth).tolist() == [False, False, False, True, True]
    boxes = np.array([[9.0, 9, 9, 9]] * 3 + [[0, 0, 10, 10], [50, 50, 10, 10]])
    assert score(boxes, truth).ao == 0.5


def test_a_perfect_run_has_an_auc_just_below_one() -> None:
    # No overlap exceeds the last threshold, 1.
    assert score(TRUTH, TRUTH) == SequenceScore(auc=20 / 21, precision_20=1, ao=1, sr_50=1, sr_75=1)


@pytest.mark.parametrize("box", [ABSENT, [np.inf, 0, 10, 10]], ids=["nan", "infinite"])
def test_a_box_that_is_none_counts_as_a_miss(box: list[float]) -> None:
    boxes = TRUTH.copy()
    boxes[3] = box
    result = score(boxes, TRUTH)
    assert result.ao == pytest.approx(0.8)
    assert result.precision_20 == pytest.approx(0.8)
    assert result.auc == pytest.approx(0.8 * 20 / 21)


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [(0.5, 0.0), (0.5000001, 1.0)],
    ids=["an overlap of exactly 0.5 is no success", "any more is"],
)
def test_success_means_above_the_threshold(overlap: float, expected: float) -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10 * overlap]])
    assert score(boxes, TRUTH[:2]).sr_50 == expected


def test_precision_means_at_most_the_threshold() -> None:
    # 20 = hypot(12, 16) counts, a little more does not.
    for dx, expected in ((12.0, 1.0), (12.001, 0.0)):
        assert score(np.array([[0, 0, 10, 10], [dx, 16, 10, 10]]), TRUTH[:2]).precision_20 == expected


def test_success_curve_by_hand() -> None:
    curve = success_curve(np.array([0.0, 0.5, 0.5, 0.99]))
    assert len(curve) == len(OVERLAP_THRESHOLDS) == 21
    np.testing.assert_array_equal(curve, [0.75] * 10 + [0.25] * 10 + [0])


def test_precision_curve_by_hand() -> None:
    curve = precision_curve(np.array([0.0, 2.0, 2.5, 60.0]))
    assert len(curve) == len(ERROR_THRESHOLDS) == 51
    np.testing.assert_array_equal(curve, [0.25, 0.25, 0.5] + [0.75] * 48)


def test_curves_are_of_the_scored_frames() -> None:
    assert overlaps(BOXES, TRUTH) == pytest.approx([1, 1 / 3, 0.6, 0.8, 0])
    assert center_errors(BOXES, TRUTH) == pytest.approx([0, 5, 2, 1, 40])


def test_the_mean_counts_every_sequence_alike() -> None:
    mean = mean_score([SequenceScore(0.2, 0.4, 0.6, 0.8, 1.0), SequenceScore(0.4, 0.4, 0.2, 0.0, 0.0)])
    assert mean.auc == pytest.approx(0.3)
    assert (mean.precision_20, mean.ao, mean.sr_50, mean.sr_75) == pytest.approx((0.4, 0.4, 0.4, 0.5))


def test_refusals() -> None:
    with pytest.raises(SequenceError, match="no sequence"):
        mean_score([])
    with pytest.raises(SequenceError, match=r"boxes of shape \(5, 4\) for a truth of shape \(6, 4\)"):
        score(BOXES[1:], TRUTH)
    with pytest.raises(SequenceError, match="no frame to score"):
        score(TRUTH[:1], TRUTH[:1])


def test_the_arrays_are_only_read() -> None:
    boxes, truth = BOXES.copy(), TRUTH.copy()
    score(boxes, truth)
    np.testing.assert_array_equal(boxes, BOXES)
    np.testing.assert_array_equal(truth, TRUTH)
