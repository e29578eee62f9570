"""`siamfc track` with several targets, several sources, some of the frames, and in every format."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import pytest

from model.inference.predictor import Predictor
from tests.siamfc.cli.conftest import COUNT, Run
from tests.support.fake_server import FakeServer

BOX = "10,20,8,6"


@pytest.fixture(params=["here", "server"])
def where(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tiny_predictor: Predictor, server: FakeServer
) -> list[str]:
    """The options that say where the network is: in this process, the small one, or a server."""
    monkeypatch.setattr("siamfc.cli.track.make_predictor", lambda *_: tiny_predictor)
    return ["--server", server.url] if request.param == "server" else []


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("boxes", "names"),
    [
        pytest.param([BOX], ["0"], id="one without a name"),
        pytest.param([BOX, "30,10,9,9"], ["0", "1"], id="two without"),
        pytest.param(["cup=" + BOX, "30,10,9,9", "my dog = [1,2,9,9]"], ["cup", "1", "my dog"], id="names"),
        pytest.param(["a=b=" + BOX], ["a=b"], id="a name with an equals sign"),
        pytest.param(["Käfer=" + BOX], ["Käfer"], id="a name with a mark"),
        pytest.param(["=" + BOX], ["0"], id="an empty name is none"),
    ],
)
def test_targets_and_their_names(run: Run, folder: Path, where: list[str], boxes: list[str], names: list[str]) -> None:
    arguments = [part for box in boxes for part in ("--box", box)]
    result = run("track", folder, *arguments, *where)
    assert result.exit_code == 0, result.stderr
    found = lines(result.stdout)
    assert len(found) == COUNT
    assert all([target["id"] for target in line["targets"]] == names for line in found)
    assert found[0]["targets"][0]["box"] == [10, 20, 8, 6]


def test_every_target_is_followed_as_if_it_were_alone(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, tiny_predictor: Predictor
) -> None:
    monkeypatch.setattr("siamfc.cli.track.make_predictor", lambda *_: tiny_predictor)
    both = lines(run("track", folder, "--box", BOX, "--box", "30,10,9,9").stdout)
    second = lines(run("track", folder, "--box", "1=30,10,9,9").stdout)
    assert [line["targets"][1] for line in both] == [line["targets"][0] for line in second]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        pytest.param(["--box", "a=" + BOX, "--box", "a=1,2,9,9"], "two boxes are called 'a'", id="a name twice"),
        pytest.param(["--box", "1=" + BOX, "--box", "1,2,9,9"], "two boxes are called '1'", id="a name and a place"),
        pytest.param(["--box", "x" * 65 + "=" + BOX], "is no name", id="a long name"),
        pytest.param(["--box", "a\nb=" + BOX], "is no name", id="a line break"),
        pytest.param(["--box", BOX, "--box", "off=500,20,8,6"], "target off: the box does not", id="which box is off"),
        pytest.param(["--box", BOX, "--start", "-1"], "--start", id="a frame before the first"),
        pytest.param(["--box", BOX, "--every", "0"], "--every", id="no frame at all"),
        pytest.param(["--box", BOX, "--start", "5"], "there is no frame 5", id="a frame past the end"),
        pytest.param(["--box", BOX, "--format", "yaml"], "--format", id="no such format"),
        pytest.param(["--box", BOX, "--out", "a.b"], "say it with --format", id="an ending that says nothing"),
        pytest.param(["--box", BOX, "--out", "-", "--json", "-"], "both go to stdout", id="stdout twice"),
    ],
)
def test_wrong_usage(
    run: Run,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_predictor: Predictor,
    arguments: list[str],
    part: str,
) -> None:
    monkeypatch.setattr("siamfc.cli.track.make_predictor", lambda *_: tiny_predictor)
    result = run("track", folder, *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert part in result.stderr


@pytest.mark.parametrize("kind", ["folder", "video"])
@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        pytest.param([], [0, 1, 2, 3, 4], id="all"),
        pytest.param(["--start", "2"], [2, 3, 4], id="from a frame on"),
        pytest.param(["--every", "2"], [0, 2, 4], id="every second"),
        pytest.param(["--start", "1", "--every", "3"], [1, 4], id="both"),
        pytest.param(["--every", "100"], [0], id="the first alone"),
    ],
)
def test_some_of_the_frames(
    run: Run, folder: Path, video: Path, where: list[str], kind: str, options: list[str], numbers: list[int]
) -> None:
    source = folder if kind == "folder" else video
    result = run("track", source, "--box", BOX, *options, *where)
    assert result.exit_code == 0, result.stderr
    assert [line["frame_index"] for line in lines(result.stdout)] == numbers


def test_a_video_of_every_second_frame_plays_as_fast(run: Run, video: Path, where: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert run("track", video, "--box", BOX, "--every", "2", "--video", out, *where).exit_code == 0
    capture = cv2.VideoCapture(str(out))
    assert (capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)) == (6, 3)
    capture.release()


def test_every_format(run: Run, folder: Path, where: list[str], tmp_path: Path) -> None:
    for ending in ("jsonl", "csv", "txt", "xml", "json"):
        out = tmp_path / f"out.{ending}"
        result = run("track", folder, "--box", "cup=" + BOX, "--out", out, *where)
        assert result.exit_code == 0, result.stderr
    boxes = [line["targets"][0]["box"] for line in lines((tmp_path / "out.jsonl").read_text())]
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [(row["frame"], row["id"]) for row in rows] == [(str(k), "cup") for k in range(COUNT)]
    assert [float(row["x"]) for row in rows] == pytest.approx([box[0] for box in boxes], abs=0.006)
    mot = [line.split(",") for line in (tmp_path / "out.txt").read_text().splitlines()]
    assert mot[0][:6] == ["1", "1", "10.0", "20.0", "8.0", "6.0"]
    track = ElementTree.parse(tmp_path / "out.xml").getroot().find("track")
    assert track is not None
    assert (track.get("label"), len(track.findall("box"))) == ("cup", COUNT)
    coco = json.loads((tmp_path / "out.json").read_text())
    assert [image["width"] for image in coco["images"]] == [64] * COUNT
    assert coco["annotations"][0]["bbox"] == [10, 20, 8, 6]


def test_a_format_on_stdout(run: Run, folder: Path, where: list[str]) -> None:
    result = run("track", folder, "--box", BOX, "--format", "csv", *where)
    head, first, *rest = result.stdout.splitlines()
    assert head == "frame,id,x,y,w,h,score,status"
    assert first.startswith("0,0,10.0,20.0,8.0,6.0,")
    assert len(rest) == COUNT - 1


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        pytest.param([], r"", id="to stdout"),
        pytest.param(["--json", "o.jsonl", "--video", "o.mp4"], r" -> o\.jsonl, o\.mp4", id="to files"),
    ],
)
def test_the_last_line(
    run: Run,
    folder: Path,
    where: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    ending: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("track", folder, "--box", BOX, *options, *where)
    assert re.fullmatch(rf"5 frames, \d lost, [\d.]+ fps{ending}\n", result.stderr)
    assert run("track", folder, "--box", BOX, *options, *where, "--quiet").stderr == ""


@pytest.fixture
def clips(tmp_path: Path, folder: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `a`, a video `b.avi`, and a place for results, in the present folder."""
    (tmp_path / "out").mkdir()
    shutil.copytree(folder, tmp_path / "a")
    shutil.copy(video, tmp_path / "b.avi")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_several_sources(run: Run, clips: Path, where: list[str], server: FakeServer) -> None:
    result = run("track", "a", "b.avi", "--box", BOX, "--out", "out/{name}.csv", "--video", "out/{name}.mp4", *where)
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in (clips / "out").iterdir()) == ["a.csv", "a.mp4", "b.csv", "b.mp4"]
    assert [len((clips / "out" / name).read_text().splitlines()) for name in ("a.csv", "b.csv")] == [COUNT + 1] * 2
    assert [line.partition(" -> ")[2] for line in result.stderr.splitlines()] == [
        "out/a.csv, out/a.mp4", "out/b.csv, out/b.mp4",
    ]  # fmt: skip
    assert server.sessions == {}


def test_one_source_that_fails_does_not_keep_the_others_from_their_turn(
    run: Run, clips: Path, where: list[str]
) -> None:
    (clips / "a" / "10.png").write_bytes(b"no image")
    (clips / "c.mp4").write_bytes(b"no video")
    result = run("track", "a", "c.mp4", "b.avi", "--box", BOX, "--out", "out/{name}.jsonl", *where)
    assert result.exit_code == 2
    told = result.stderr.splitlines()
    assert told[0].startswith("siamfc: a/10.png: ")
    assert told[1].startswith("siamfc: c.mp4: cannot be opened as a video")
    assert told[2].startswith("5 frames, ")
    assert told[3:] == ["siamfc: 2 of 3 sources failed"]
    assert [len(lines((clips / "out" / name).read_text())) for name in ("a.jsonl", "b.jsonl")] == [2, COUNT]


def test_a_server_that_is_gone_is_told_once(run: Run, clips: Path) -> None:
    assert clips.is_dir()
    with FakeServer().running() as gone:
        url = gone.url
    result = run("track", "a", "b.avi", "--box", BOX, "--out", "out/{name}.csv", "--server", url)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        pytest.param(["a", "b.avi"], "put {name} into", id="both to stdout"),
        pytest.param(["a", "b.avi", "--out", "o.csv"], "put {name} into", id="both into one file"),
        pytest.param(["a", "b.avi", "--out", "{name}.csv", "--video", "o.mp4"], "put {name}", id="both into one video"),
        pytest.param(["a", "a", "--out", "{name}.csv"], "given twice", id="one twice"),
        pytest.param(["a", "frames/../a", "--out", "{name}.csv"], "are the same file", id="one name for two"),
        pytest.param(["a", "b.avi", "--format", "mot", "--out", "out/../{name}.avi"], "the same file", id="a source"),
        pytest.param(["a", "none.mp4", "--out", "{name}.csv"], "none.mp4: no such file", id="one is not there"),
        pytest.param([], "SOURCE", id="none"),
    ],
)
def test_sources_that_are_refused(run: Run, clips: Path, server: FakeServer, arguments: list[str], part: str) -> None:
    before = (clips / "b.avi").read_bytes()
    result = run("track", *arguments, "--box", BOX, "--server", server.url)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert part in result.stderr
    assert (clips / "b.avi").read_bytes() == before
    assert server.created == []
