from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.boxes import Box
from model.errors import ModelError
from model.evaluation.one_pass import Report, evaluate
from model.evaluation.plots import write_plots
from model.evaluation.sequences import Sequence


class Still:
    def start(self, frame: Path, box: Box) -> None:
        self.box = box

    def update(self, frame: Path) -> Box:
        return self.box


@pytest.fixture
def report() -> Report:
    truth = np.array([[0.0, 0, 10, 10], [2, 0, 10, 10], [8, 0, 10, 10]])
    return evaluate([Sequence("s", tuple(map(Path, "abc")), truth)], Still)


def test_two_pictures_are_written(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = write_plots(report, tmp_path / "new" / "plots")
    assert [path.name for path in paths] == ["success.png", "precision.png"]
    for path in paths:
        image = cv2.imread(str(path))
        assert image is not None
        assert image.std() > 5


def test_without_matplotlib_the_error_says_what_to_install(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModelError, match=r"siamfc-service\[train\]"):
        write_plots(report, tmp_path)
    assert not list(tmp_path.iterdir())
