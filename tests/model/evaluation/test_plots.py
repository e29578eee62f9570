from __future__ import annotations

import sys
from pathlib import Path

import cv2
import pytest

from model.errors import ModelError
from model.evaluation.one_pass import Report
from model.evaluation.plots import write_plots


def test_three_pictures_are_written(report: Report, tmp_path: Path) -> None:
    paths = write_plots(report, tmp_path / "new" / "plots")
    assert [path.name for path in paths] == ["success.png", "precision.png", "reliability.png"]
    for path in paths:
        image = cv2.imread(str(path))
        assert image is not None
        assert image.std() > 5


def test_without_scores_there_is_no_reliability_to_draw(scoreless: Report, tmp_path: Path) -> None:
    assert [path.name for path in write_plots(scoreless, tmp_path)] == ["success.png", "precision.png"]


def test_other_trackers_are_drawn_beside_it(report: Report, scoreless: Report, tmp_path: Path) -> None:
    alone, *_ = write_plots(report, tmp_path / "alone")
    beside, *_ = write_plots(report, tmp_path / "beside", "ours", {"mil": scoreless})
    assert alone.read_bytes() != beside.read_bytes()


def test_without_matplotlib_the_error_says_what_to_install(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModelError, match=r"siamfc-service\[train\]"):
        write_plots(report, tmp_path)
    assert not list(tmp_path.iterdir())
