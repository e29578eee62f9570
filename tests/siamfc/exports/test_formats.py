"""The formats by name, and a whole video saved at once."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from siamfc import Target, TrackedFrame, track_video
from siamfc.cli.frames import SourceFrame
from siamfc.exports import FORMATS, Clip, export, save
from tests.siamfc.cli.conftest import COUNT, folder
from tests.support.fake_server import FakeServer

__all__ = ["folder"]


@pytest.mark.parametrize("format", list(FORMATS))
def test_what_was_written_until_an_error_is_whole(format: str) -> None:
    """Cut after frame 0, the text is what that frame alone gives."""
    one = [Target("0", (1.0, 2.0, 3.0, 4.0), 1.0, "tracking")]
    alone, cut = io.StringIO(), io.StringIO()
    with export(format, alone, Clip("a", (9, 9))) as writer:
        writer.write(0, one)
    with contextlib.suppress(OSError), export(format, cut, Clip("a", (9, 9))) as writer:
        writer.write(0, one)
        raise OSError("gone")
    assert cut.getvalue() == alone.getvalue() != ""


def test_an_unknown_format() -> None:
    with (
        pytest.raises(ValueError, match="one of csv, jsonl, mot, cvat, coco, not 'xls'"),
        export("xls", io.StringIO(), Clip("a", (9, 9))),
    ):
        pass


def test_a_video_is_saved(folder: Path, server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "result.csv"
    assert save(track_video(folder, (10, 20, 8, 6), server=server.url), path, "csv") == COUNT
    with path.open(newline="") as file:
        assert [row["x"] for row in csv.DictReader(file)] == [f"{10 + k}.0" for k in range(COUNT)]


def test_a_video_that_breaks_off_is_saved_as_far_as_it_came(tmp_path: Path) -> None:
    black = SourceFrame("black", np.zeros((9, 9, 3), np.uint8))

    def frames() -> Iterator[TrackedFrame]:
        yield TrackedFrame(0, (Target("0", (1, 2, 3, 4), 1.0, "tracking"),), black)
        raise OSError("cut short")

    path = tmp_path / "result.jsonl"
    with pytest.raises(OSError, match="cut short"):
        save(frames(), path, "jsonl")
    assert path.read_text().count("\n") == 1


def test_no_frame_is_nothing_to_save(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no frame"):
        save(iter(()), tmp_path / "result.csv", "csv")
    assert not list(tmp_path.iterdir())


def test_the_old_file_stays_until_there_is_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "result.jsonl"
    path.write_text("old")
    seen: list[str] = []
    black = SourceFrame("black", np.zeros((9, 9, 3), np.uint8))

    def frames() -> Iterator[TrackedFrame]:
        for index in range(2):
            yield TrackedFrame(index, (Target("0", (1, 2, 3, 4), 1.0, "tracking"),), black)
            seen.append(path.read_text())

    with pytest.raises(ValueError, match="not 'xls'"):
        save(frames(), path, "xls")
    assert path.read_text() == "old"
    save(frames(), path, "jsonl")
    assert set(seen) == {"old"}
    assert path.read_text().count("\n") == 2
    assert list(tmp_path.iterdir()) == [path]
