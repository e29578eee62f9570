from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import SequenceError
from model.evaluation.reliability import auroc, judged, reliability

ABSENT = [np.nan] * 4
SQUARE = [0.0, 0, 10, 10]


def test_by_hand() -> None:
    # Two bins. Low: scores 0.2 and 0.4 (mean 0.3), one of them right: off by 0.2. High: 0.6, 0.8, 1 (mean 0.8), all
    # right: off by 0.2. Five frames: (2 * 0.2 + 3 * 0.2) / 5.
    worth = reliability(np.array([0.2, 0.4, 0.6, 0.8, 1.0]), np.array([1, 0, 1, 1, 1], bool), bins=2)
    assert worth is not None
    assert worth.ece == pytest.approx(0.2)
    # The right one is higher in three of the four pairs of a right and a wrong one.
    assert worth.auroc == pytest.approx(0.75)
    assert (worth.frames, worth.right, worth.score) == (5, 0.8, pytest.approx(0.6))
    low, high = worth.bins
    assert (low.low, low.high, low.count, low.score, low.right) == (0.0, 0.5, 2, pytest.approx(0.3), 0.5)
    assert (high.low, high.high, high.count, high.score, high.right) == (0.5, 1.0, 3, pytest.approx(0.8), 1.0)


@pytest.mark.parametrize(
    ("scores", "right", "expected"),
    [
        pytest.param([0.1, 0.9], [0, 1], 1.0, id="told apart"),
        pytest.param([0.1, 0.9], [1, 0], 0.0, id="the wrong way round"),
        pytest.param([0.5, 0.5, 0.5], [1, 0, 0], 0.5, id="ties count half"),
        pytest.param([0.1, 0.9], [1, 1], None, id="all right"),
        pytest.param([0.1, 0.9], [0, 0], None, id="all wrong"),
    ],
)
def test_auroc(scores: list[float], right: list[int], expected: float | None) -> None:
    assert auroc(np.array(scores), np.array(right, bool)) == expected


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=40))
def test_equals_the_obvious_loops(frames: list[tuple[int, bool]]) -> None:
    scores, right = np.array([each[0] / 8 for each in frames]), np.array([each[1] for each in frames])
    worth = reliability(scores, right)
    assert worth is not None
    pairs = [(a > b) + (a == b) / 2 for a in scores[right] for b in scores[~right]]
    assert worth.auroc == (pytest.approx(np.mean(pairs)) if pairs else None)
    ece = 0.0
    for low in range(10):
        inside = [
            (s, r) for s, r in zip(scores, right, strict=True) if low <= s * 10 < low + 1 or (low == 9 and s == 1)
        ]
        if inside:
            means = np.mean(inside, axis=0)
            ece += abs(means[0] - means[1]) * len(inside) / len(frames)
    assert worth.ece == pytest.approx(ece)


def test_the_table_of_scores_that_say_what_is_so(rng: np.random.Generator) -> None:
    scores = rng.uniform(size=20_000)
    right = rng.uniform(size=20_000) < scores
    worth = reliability(scores, right)
    assert worth is not None
    assert worth.ece < 0.02
    # A score drawn from 0..1 and right as often as it says tells right from wrong in 5 of 6 pairs.
    assert worth.auroc == pytest.approx(5 / 6, abs=0.01)
    assert reliability(scores**3, right).ece > 0.2  # type: ignore[union-attr]


def test_no_frame_has_no_worth() -> None:
    assert reliability(np.empty(0), np.empty(0, bool)) is None


def test_an_empty_bin_has_no_means() -> None:
    worth = reliability(np.array([0.05]), np.array([True]))
    assert worth is not None
    assert [(each.count, each.score, each.right) for each in worth.bins[1:]] == [(0, None, None)] * 9
    assert worth.as_json()["bins"][1] == {"low": 0.1, "high": 0.2, "count": 0, "score": None, "right": None}


def test_which_frames_are_judged() -> None:
    # Absent before the start; the given one; overlaps of 1, 0.5 exactly and 1/3; absent; no score.
    truth = np.array([ABSENT, SQUARE, SQUARE, SQUARE, SQUARE, ABSENT, SQUARE])
    boxes = np.array([ABSENT, SQUARE, SQUARE, [0, 0, 5, 10], [5, 0, 10, 10], SQUARE, SQUARE])
    scores, right = judged(boxes, np.array([np.nan, np.nan, 0.9, 0.8, 0.7, 0.6, np.nan]), truth)
    assert scores.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert right.tolist() == [True, True, False, False]


def test_a_box_that_is_none_is_wrong() -> None:
    _, right = judged(np.array([SQUARE, ABSENT]), np.array([np.nan, 0.5]), np.array([SQUARE, SQUARE]))
    assert right.tolist() == [False]


def test_refusals() -> None:
    with pytest.raises(SequenceError, match=r"0\.\.1"):
        reliability(np.array([1.5]), np.array([True]))
    with pytest.raises(SequenceError, match=r"0\.\.1"):
        reliability(np.array([np.nan]), np.array([True]))
    with pytest.raises(SequenceError, match=r"shape \(2,\) for answers of shape \(1,\)"):
        reliability(np.zeros(2), np.array([True]))
    with pytest.raises(SequenceError, match="1 boxes and 1 scores for 2 frames"):
        judged(np.array([SQUARE]), np.zeros(1), np.array([SQUARE, SQUARE]))
