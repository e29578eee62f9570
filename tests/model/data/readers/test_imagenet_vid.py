from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from model.boxes import Box
from model.data.corpus import Corpus
from model.data.readers import imagenet_vid
from model.errors import CorpusError
from tests.support.scenes import photograph

Objects = list[tuple[str, tuple[int, int, int, int]]]


def write_frame(root: Path, clip: str, index: int, objects: Objects) -> None:
    """A frame and its annotation, the bounds as xmin, ymin, xmax, ymax."""
    frame = root / "Data" / "VID" / clip / f"{index:06d}.JPEG"
    frame.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(frame.with_suffix(".jpg")), photograph("coffee", 80)[..., ::-1])
    frame.with_suffix(".jpg").rename(frame)
    entries = "".join(
        f"<object><trackid>{track}</trackid><name>n02084071</name><bndbox><xmax>{x1}</xmax><xmin>{x0}</xmin>"
        f"<ymax>{y1}</ymax><ymin>{y0}</ymin></bndbox><occluded>0</occluded></object>"
        for track, (x0, y0, x1, y1) in objects
    )
    annotation = root / "Annotations" / "VID" / clip / f"{index:06d}.xml"
    annotation.parent.mkdir(parents=True, exist_ok=True)
    annotation.write_text(f"<annotation><size><width>80</width><height>53</height></size>{entries}</annotation>")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    first = "train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000"
    write_frame(tmp_path, first, 0, [("0", (10, 5, 40, 25)), ("1", (50, 5, 60, 15))])
    write_frame(tmp_path, first, 1, [("0", (12, 6, 42, 26))])
    write_frame(tmp_path, first, 2, [("0", (14, 7, 44, 27)), ("1", (52, 5, 52, 15))])
    write_frame(tmp_path, "train/ILSVRC2015_train_00000001", 0, [("0", (0, 0, 20, 20))])
    write_frame(tmp_path, "val/ILSVRC2015_val_00000000", 0, [("0", (0, 0, 9, 9))])
    return tmp_path


def test_objects_become_tracks_joined_by_their_number(root: Path) -> None:
    assert imagenet_vid.recognises(root)
    first, second, third = imagenet_vid.read(root).tracks
    assert first.clip == second.clip == "train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000"
    assert first.boxes == (Box(10, 5, 30, 20), Box(12, 6, 30, 20), Box(14, 7, 30, 20))
    assert second.boxes == (Box(50, 5, 10, 10), None, None)  # without area is absent
    assert third.clip == "train/ILSVRC2015_train_00000001"
    assert first.ordered


def test_the_folder_above_is_taken_too_and_frames_decode(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    above = tmp_path_factory.mktemp("above")
    root.rename(above / "ILSVRC2015")
    corpus = Corpus(above)
    assert len(corpus.tracks) == 3
    assert corpus.rgb(corpus.tracks[0].frames[1]).shape == (53, 80, 3)


def test_without_train_every_split_is_read(root: Path) -> None:
    (root / "Annotations" / "VID" / "train").rename(root / "train")
    (track,) = imagenet_vid.read(root).tracks
    assert track.clip.startswith("val/")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("<annotation>", "no element|mismatched|unclosed", id="no XML"),
        pytest.param("<annotation><object><trackid>0</trackid></object></annotation>", "convert", id="no box"),
    ],
)
def test_a_malformed_annotation_is_named(root: Path, text: str, reason: str) -> None:
    path = next((root / "Annotations").rglob("000001.xml"))
    path.write_text(text)
    with pytest.raises(CorpusError, match=rf"000001\.xml.*({reason})"):
        imagenet_vid.read(root)


def test_refusals(root: Path, tmp_path: Path) -> None:
    frame = next((root / "Data").rglob("000002.JPEG"))
    frame.unlink()
    with pytest.raises(CorpusError, match="there is no frame"):
        imagenet_vid.read(root)
    empty = tmp_path / "empty"
    for part in ("Data/VID/train", "Annotations/VID/train"):
        (empty / part).mkdir(parents=True)
    with pytest.raises(CorpusError, match="no annotated objects"):
        imagenet_vid.read(empty)


def test_companions_are_no_annotations_and_an_empty_frame_is_named(root: Path) -> None:
    clip = "train/ILSVRC2015_train_00000001"
    (root / "Annotations" / "VID" / clip / "._000000.xml").write_bytes(b"companion")
    assert len(imagenet_vid.read(root).tracks) == 3
    (root / "Data" / "VID" / clip / "000000.JPEG").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"000000\.JPEG: the image file is empty"):
        imagenet_vid.read(root)
