"""Targets as supervision's own `Detections`, read back through that package."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

from siamfc import Result, Target
from siamfc.exports.supervision import number_of

TARGETS = (Target("0", (10.0, 20.0, 8.0, 6.0), 0.9, "tracking"), Target("cup", (1.5, 2.0, 3.0, 4.0), 0.2, "lost"))


def test_detections() -> None:
    supervision = pytest.importorskip("supervision", reason="the package supervision is not installed")
    found = Result(0, 1, TARGETS).to_supervision()
    assert isinstance(found, supervision.Detections)
    assert found.xyxy.tolist() == [[10, 20, 18, 26], [1.5, 2, 4.5, 6]]
    assert found.box_area.tolist() == [48, 12]
    assert found.tracker_id.tolist() == [0, number_of("cup")]
    assert found.data["status"].tolist() == ["tracking", "lost"]
    assert found[found.data["status"] == "tracking"].data["target"].tolist() == ["0"]
    drawn = supervision.BoxAnnotator().annotate(np.zeros((48, 64, 3), np.uint8), found)
    drawn = supervision.TraceAnnotator().annotate(drawn, found)
    assert drawn[20, 10:18].any()


def test_no_targets_are_no_detections() -> None:
    supervision = pytest.importorskip("supervision", reason="the package supervision is not installed")
    assert len(Result(0, 1, ()).to_supervision()) == len(supervision.Detections.empty()) == 0


@pytest.mark.parametrize(
    ("target_id", "number"),
    [
        pytest.param("7", 7, id="a number"),
        pytest.param("007", 7, id="zeros before it"),
        pytest.param("-1", 808273962, id="a sign"),
        pytest.param("9" * 30, 150262222, id="too long a number"),
        pytest.param("٣", 1593614075, id="another script's digit"),
    ],
)
def test_an_id_has_one_number(target_id: str, number: int) -> None:
    assert number_of(target_id) == number


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "supervision":
            raise ModuleNotFoundError("No module named 'supervision'", name="supervision")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install supervision"):
        Result(0, 1, TARGETS).to_supervision()
