from __future__ import annotations

import math

import pytest

from model.calibration import Calibration
from model.errors import ConfigError
from model.score_map import Peak


def peak(logit: float, contrast: float = 0.0) -> Peak:
    return Peak(scale=0, dx=0, dy=0, logit=logit, contrast=contrast)


@pytest.mark.parametrize(
    ("calibration", "reading", "expected"),
    [
        pytest.param(Calibration(), peak(0), 0.5, id="nothing known"),
        pytest.param(Calibration(), peak(math.log(3)), 0.75, id="odds of three"),
        pytest.param(Calibration(bias=1, logit=2, contrast=0.5), peak(-1, 2 + 2 * math.log(4)), 0.8, id="all parts"),
        pytest.param(Calibration(), peak(1e6), 1.0, id="overflow above"),
        pytest.param(Calibration(), peak(-1e3), 0.0, id="e to the 1000 overflows"),
        pytest.param(Calibration(), peak(-1e6), 0.0, id="overflow below"),
    ],
)
def test_scores_by_hand(calibration: Calibration, reading: Peak, expected: float) -> None:
    assert calibration.score(reading) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("narrow", "expected"),
    [
        pytest.param(math.inf, 0.0, id="not said"),
        pytest.param(40.0, 0.0, id="no thin target"),
        pytest.param(8.0, 0.0, id="just none"),
        pytest.param(8 / math.e, -2.0, id="an e-fold thinner"),
        pytest.param(8 / math.e**2, -4.0, id="two"),
    ],
)
def test_thin_targets_are_believed_less(narrow: float, expected: float) -> None:
    score = Calibration(thinness=2.0).score(peak(0), narrow)
    assert math.log(score / (1 - score)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("score", "status"),
    [(0.0, "lost"), (0.199, "lost"), (0.2, "uncertain"), (0.499, "uncertain"), (0.5, "tracking"), (1.0, "tracking")],
)
def test_status_of_a_score(score: float, status: str) -> None:
    assert Calibration(uncertain_below=0.5, lost_below=0.2).status(score) == status


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"bias": math.nan}, id="nan"),
        pytest.param({"logit": math.inf}, id="infinite"),
        pytest.param({"lost_below": 0.6, "uncertain_below": 0.5}, id="lost above uncertain"),
        pytest.param({"uncertain_below": 1.1}, id="beyond one"),
        pytest.param({"slope": 1.0}, id="unknown"),
    ],
)
def test_calibration_refusals(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Calibration.from_dict(values)
