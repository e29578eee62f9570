from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest

from model.boxes import Box
from model.data.sequences import Sequence
from model.errors import ModelError
from model.evaluation.one_pass import evaluate
from model.evaluation.opencv import ModelFiles, OpenCVFollower, available


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


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """An ONNX file that OpenCV reads."""
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "network.onnx"))
    return tmp_path / "network.onnx"


@pytest.mark.parametrize(
    ("name", "keys"), [("nano", ("backbone", "neckhead")), ("Vit", ("net",))], ids=["NanoTrack", "VitTrack"]
)
def test_a_network_is_given_its_files_and_says_its_score(
    build: pytest.MonkeyPatch, sequences: list[Sequence], network: Path, name: str, keys: tuple[str, ...]
) -> None:
    class Scored(Stub):
        scores = iter([0.75, 1.5])

        def getTrackingScore(self) -> float:  # noqa: N802 - OpenCV's name
            return next(self.scores)

    asked: list[SimpleNamespace] = []
    stub = Scored((True, (1, 2, 3, 4)), (False, (9, 9, 9, 9)))
    build.setattr(cv2, f"Tracker{name.capitalize()}_Params", SimpleNamespace, raising=False)
    build.setattr(cv2, f"Tracker{name.capitalize()}_create", lambda params: asked.append(params) or stub, raising=False)
    follower = OpenCVFollower(name, ModelFiles(network, network, network))
    follower.start(sequences[0].frames[0], Box(10, 20, 5, 7))
    found = [follower.update(sequences[0].frames[1]) for _ in range(2)]
    assert [(each.box.as_list(), each.score) for each in found] == [([1, 2, 3, 4], 0.75), ([1, 2, 3, 4], 1.0)]
    assert [vars(params) for params in asked] == [dict.fromkeys(keys, str(network))]


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        pytest.param("nano", (), "needs two ONNX files", id="no files"),
        pytest.param("nano", ("network.onnx", None), "needs two ONNX files", id="one of two"),
        pytest.param("vit", (), "needs the ONNX file of VitTrack", id="no file"),
        pytest.param("vit", (None, None, "gone.onnx"), "gone.onnx: there is no such file", id="a file that is gone"),
        pytest.param("vit", (None, None, "page.onnx"), "page.onnx: .* cannot load it: it is a web page", id="a page"),
        pytest.param("nano", ("network.onnx", "empty.onnx"), "empty.onnx: .* cannot load it: it is", id="empty"),
    ],
)
def test_networks_that_cannot_be_had(network: Path, name: str, files: tuple[str | None, ...], message: str) -> None:
    folder = network.parent
    (folder / "page.onnx").write_text("<!DOCTYPE html><html><body>Not found</body></html>")
    (folder / "empty.onnx").touch()
    given = ModelFiles(*(None if file is None else folder / file for file in files))
    with pytest.raises(ModelError, match=message) as caught:
        OpenCVFollower(name, given)
    assert "\n" not in str(caught.value)


def test_files_in_a_folder_are_told_by_their_names(tmp_path: Path) -> None:
    for name in ("NanoTrack_backbone_sim.onnx", "nanotrack_head.onnx", "vitTracker.onnx", "other.onnx", "nano.txt"):
        (tmp_path / name).touch()
    found = ModelFiles(vit=Path("mine.onnx")).or_in(tmp_path)
    assert found == ModelFiles(
        tmp_path / "NanoTrack_backbone_sim.onnx", tmp_path / "nanotrack_head.onnx", Path("mine.onnx")
    )
    assert found.given() == (found.nano_backbone, found.nano_head, found.vit)
    (tmp_path / "nano_v1_head.onnx").touch()
    with pytest.raises(ModelError, match=r"nano_v1_head.onnx or nanotrack_head.onnx\? Name the file"):
        ModelFiles().or_in(tmp_path)


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
