"""CVAT's XML, as it is written and as Datumaro reads it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from tests.siamfc.exports.conftest import CUP, ReadByDatumaro, Written


def test_tracks(written: Written) -> None:
    root = ElementTree.fromstring(written("cvat"))
    assert [name.text for name in root.iterfind("meta/task/labels/label/name")] == ["target", CUP]
    facts = {each.tag: each.text for each in root.iterfind("meta/task/*")}
    assert (facts["name"], facts["size"], facts["stop_frame"]) == ("clip.mp4", "4", "3")
    tracks = [
        (track.get("label"), [(box.get("frame"), box.get("outside")) for box in track]) for track in root.iter("track")
    ]
    # The cup is outside in frame 1, where it is lost, and in frame 2, where its track is over.
    assert tracks == [("target", [("0", "0"), ("1", "0"), ("3", "0")]), (CUP, [("0", "0"), ("1", "1"), ("2", "1")])]


def test_by_datumaro(written: Written, tmp_path: Path, read_by_datumaro: ReadByDatumaro) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(written("cvat"), encoding="utf-8")
    assert read_by_datumaro(path, "cvat") == [
        ["frame_000000", 0, [10, 20, 8, 6], False, 0],
        ["frame_000000", 1, [1.5, 2, 3, 4], False, 1],
        ["frame_000001", 0, [11.13, 20, 8, 6], False, 0],
        ["frame_000001", 1, [2, 2, 3, 4], True, 1],
        ["frame_000002", 1, [2, 2, 3, 4], True, 1],
        ["frame_000003", 0, [13, 20, 8, 6], False, 0],
    ]
