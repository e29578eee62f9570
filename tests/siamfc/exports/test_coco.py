"""COCO's JSON, read by pycocotools, supervision and Datumaro."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.siamfc.exports.conftest import CUP, ReadByDatumaro, Written


@pytest.fixture
def dataset(written: Written, tmp_path: Path) -> Path:
    """A folder as Datumaro wants it: annotations, and a folder of images beside them."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations" / "instances_clip.json").write_text(written("coco"), encoding="utf-8")
    for index in (0, 1, 3):
        assert cv2.imwrite(str(tmp_path / "images" / f"frame_{index:06d}.jpg"), np.zeros((48, 64, 3), np.uint8))
    return tmp_path


def test_by_pycocotools(dataset: Path) -> None:
    tools = pytest.importorskip("pycocotools.coco", reason="the package pycocotools is not installed")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = tools.COCO(str(dataset / "annotations" / "instances_clip.json"))
    assert coco.getImgIds() == [1, 2, 4]
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["target", CUP]
    (cup,) = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(catNms=[CUP])))
    assert (cup["image_id"], cup["bbox"], cup["area"]) == (1, [1.5, 2, 3, 4], 12)
    third = coco.loadAnns(coco.getAnnIds(imgIds=[4]))
    assert [(each["score"], each["attributes"]) for each in third] == [(0.5, {"track_id": 1, "status": "uncertain"})]


def test_by_supervision(dataset: Path) -> None:
    supervision = pytest.importorskip("supervision", reason="the package supervision is not installed")
    read = supervision.DetectionDataset.from_coco(
        str(dataset / "images"), str(dataset / "annotations" / "instances_clip.json")
    )
    found = {Path(path).name: detections.xyxy.tolist() for path, _, detections in read}
    assert found["frame_000000.jpg"] == [[10, 20, 18, 26], [1.5, 2, 4.5, 6]]
    assert found["frame_000003.jpg"] == [[13, 20, 21, 26]]


def test_by_datumaro(dataset: Path, read_by_datumaro: ReadByDatumaro) -> None:
    found = read_by_datumaro(dataset, "coco_instances")
    assert [(item, label, box) for item, label, box, _, _ in found] == [
        ("frame_000000", 0, [10, 20, 8, 6]),
        ("frame_000000", 1, [1.5, 2, 3, 4]),
        ("frame_000001", 0, [11.13, 20, 8, 6]),
        ("frame_000003", 0, [13, 20, 8, 6]),
    ]
