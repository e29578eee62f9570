"""Which outputs the options ask for, and the line that sums up."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import click
import numpy as np
import pytest

from siamfc.cli.following import Followed
from siamfc.cli.frames import SourceFrame
from siamfc.cli.recording import FORMATS, Output, Outputs, Recording
from siamfc.client import Target
from siamfc.exports import FORMATS as WRITERS

FRAME = SourceFrame("camera", np.zeros((48, 64, 3), np.uint8))


def test_every_format_can_be_chosen() -> None:
    assert FORMATS == ("jsonl", "csv", "mot", "cvat", "coco")
    assert set(FORMATS) == set(WRITERS)


@pytest.mark.parametrize(
    ("asked", "results"),
    [
        pytest.param((None, None, None, None), [("-", "jsonl")], id="nothing: lines to stdout"),
        pytest.param((None, "csv", None, None), [("-", "csv")], id="a format alone: to stdout"),
        pytest.param((None, None, None, "v.mp4"), [], id="a video alone"),
        pytest.param((None, "mot", None, "v.mp4"), [("-", "mot")], id="a video, and a format to stdout"),
        pytest.param((None, None, "a.jsonl", None), [("a.jsonl", "jsonl")], id="--json"),
        pytest.param(("a.csv", None, "-", None), [("a.csv", "csv"), ("-", "jsonl")], id="a file and stdout"),
        pytest.param(("-", "coco", None, None), [("-", "coco")], id="stdout by name"),
        pytest.param(("-", None, None, None), [("-", "jsonl")], id="stdout has no ending"),
        pytest.param(("a.jsonl", None, None, None), [("a.jsonl", "jsonl")], id="jsonl by ending"),
        pytest.param(("a.TXT", None, None, None), [("a.TXT", "mot")], id="mot by ending, in any case"),
        pytest.param(("a.xml", None, None, None), [("a.xml", "cvat")], id="cvat by ending"),
        pytest.param(("a.json", None, None, None), [("a.json", "coco")], id="coco by ending"),
        pytest.param(("a.xml", "csv", None, None), [("a.xml", "csv")], id="--format decides"),
    ],
)
def test_the_outputs_that_are_asked_for(asked: tuple[str | None, ...], results: list[tuple[str, str]]) -> None:
    outputs = Outputs.chosen(*asked)
    assert [(output.path, output.kind) for output in outputs.results] == results
    assert outputs.video == (None if asked[3] is None else Output("--video", "v.mp4", "mp4"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param(("a.out", None, None, None), "say it with --format", id="an ending that says nothing"),
        pytest.param(("-", None, "-", None), "--out and --json would both go to stdout", id="stdout twice"),
        pytest.param(
            (None, "csv", "-", None), "--format and --json would both go to stdout", id="stdout twice, unsaid"
        ),
        pytest.param((None, None, None, "v.gif"), "the ending must be .mp4", id="a GIF"),
    ],
)
def test_outputs_that_cannot_be(asked: tuple[str | None, ...], message: str) -> None:
    with pytest.raises(click.ClickException, match=message):
        Outputs.chosen(*asked)


@pytest.mark.parametrize(
    ("source", "path"), [("clips/a.b.mp4", "out/a.b.csv"), ("clips/frames/", "out/frames.csv"), ("-", "out/stdin.csv")]
)
def test_the_source_s_name_in_a_path(source: str, path: str) -> None:
    outputs = Outputs.chosen("out/{name}.csv", None, None, "{name}.mp4").of(source)
    assert outputs.results[0].path == path
    assert outputs.video is not None
    assert outputs.video.path == Path(path).with_suffix(".mp4").name


def followed(index: int, *statuses: str) -> Followed:
    targets = tuple(Target(str(place), (1.0, 2.0, 3.0, 4.0), 0.5, status) for place, status in enumerate(statuses))
    return Followed(FRAME, index, targets)


@pytest.mark.parametrize(
    ("frames", "begins"),
    [
        pytest.param([followed(0, "tracking")], "1 frame, 0 lost -> ", id="one"),
        pytest.param([followed(0, "tracking"), followed(1, "lost")], "2 frames, 1 lost, ", id="one of two"),
        pytest.param(
            [followed(0, "tracking", "tracking"), followed(1, "lost", "lost"), followed(2, "uncertain", "lost")],
            "3 frames, 2 lost, ", id="frames are counted, not targets",
        ),
    ],
)  # fmt: skip
def test_the_line_that_sums_up(tmp_path: Path, frames: list[Followed], begins: str) -> None:
    paths = tmp_path / "a.csv", tmp_path / "b.jsonl"
    with Recording(Outputs.chosen(str(paths[0]), None, str(paths[1]), None), "clip.mp4", 12) as recording:
        for frame in frames:
            recording.write(frame)
    assert recording.summary().startswith(begins)
    assert recording.summary().endswith(f" -> {paths[0]}, {paths[1]}")
    assert len(paths[1].read_text().splitlines()) == len(frames)


def test_nothing_is_opened_before_the_first_frame(tmp_path: Path) -> None:
    with Recording(Outputs.chosen(str(tmp_path / "a.csv"), None, None, None), "clip.mp4", 12) as recording:
        assert list(tmp_path.iterdir()) == []
    assert recording.summary().startswith("0 frames")


def test_what_was_written_before_an_error_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    outputs = Outputs.chosen(str(path), None, None, None)
    with suppress(ConnectionError), Recording(outputs, "clip.mp4", 12) as recording:
        recording.write(followed(7, "tracking"))
        raise ConnectionError
    assert [image["file_name"] for image in json.loads(path.read_text())["images"]] == ["frame_000007.jpg"]
