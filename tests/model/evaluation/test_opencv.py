from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from model.boxes import Box
from model.data.sequences import Sequence
from model.errors import ModelError
from model.evaluation.one_pass import evaluate
from model.evaluation.opencv import OpenCVFollower, available


@pytest.mark.parametrize("name", sorted(available()))
def test_every_tracker_of_this_build_follows(name: str, sequences: list[Sequence]) -> None:
    report = evaluate([each for each in sequences if each.name == "crossing"], lambda: OpenCVFollower(name))
    assert np.isfinite(report.runs[0].boxes).all()
    assert report.reliability() is None
    if name == "mil":
        assert report.mean()["ao"] > 0.5


def test_mil_is_in_every_build() -> None:
    assert "mil" in available()


class Stub:
    """An OpenCV tracker that gives the answers it was made with, in turn."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.started: list[object] = []

    def init(self, image: np.ndarray, box: object) -> None:
        self.started.append(box)

    def update(self, image: np.ndarray) -> object:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An OpenCV without trackers of its own."""
    for attribute in [each for each in dir(cv2) if each.startswith("Tracker")]:
        monkeypatch.delattr(cv2, attribute)
    monkeypatch.delattr(cv2, "legacy", raising=False)
    return monkeypatch


def test_a_frame_in_which_nothing_is_found_has_the_last_box(
    build: pytest.MonkeyPatch, sequences: list[Sequence]
) -> None:
    frame = sequences[0].frames[0]
    stub = Stub((True, (1, 2, 3, 4)), (False, (9, 9, 9, 9)), (True, (5, 5, 0, 4)), cv2.error("gone"))
    build.setattr(cv2, "TrackerStub_create", lambda: stub, raising=False)
    follower = OpenCVFollower("stub")
    follower.start(frame, Box(10.6, 20.4, 0.3, 7.5))
    assert stub.started == [(11, 20, 1, 8)]
    assert [follower.update(frame).box.as_list() for _ in range(4)] == [[1, 2, 3, 4]] * 4


@pytest.mark.parametrize("first", ["legacy", "new"])
def test_both_generations_of_names_are_known(build: pytest.MonkeyPatch, first: str) -> None:
    class Legacy:
        TrackerCSRT_create = staticmethod(lambda: "legacy")
        MultiTracker_create = None

    build.setattr(cv2, "legacy", Legacy, raising=False)
    assert available()["csrt"]() == "legacy"
    if first == "new":
        build.setattr(cv2, "TrackerCSRT_create", lambda: "new", raising=False)
    build.setattr(cv2, "TrackerVit_create", None, raising=False)
    assert sorted(available()) == ["csrt"]
    assert available()["csrt"]() == first


def test_a_tracker_that_is_not_in_the_build(build: pytest.MonkeyPatch) -> None:
    build.setattr(cv2, "TrackerMIL_create", lambda: None, raising=False)
    with pytest.raises(ModelError, match=r"no tracker 'csrt', only mil; .*opencv-contrib-python-headless") as caught:
        OpenCVFollower("csrt")
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="'vit' needs model files"):
        OpenCVFollower("vit")


def test_what_cannot_be_followed_is_named(build: pytest.MonkeyPatch, tmp_path: Path, sequences: list[Sequence]) -> None:
    class Refusing(Stub):
        def init(self, image: np.ndarray, box: object) -> None:
            raise cv2.error("too small")

    build.setattr(cv2, "TrackerStub_create", lambda: Refusing(), raising=False)
    follower = OpenCVFollower("stub")
    with pytest.raises(ModelError, match=r"0001\.png: OpenCV's stub does not start"):
        follower.start(sequences[0].frames[0], Box(0, 0, 5, 5))
    (tmp_path / "1.jpg").write_bytes(b"no image")
    with pytest.raises(ModelError, match=r"1\.jpg: not an image"):
        follower.update(tmp_path / "1.jpg")
