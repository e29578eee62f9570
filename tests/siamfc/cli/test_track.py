"""`siamfc track`, in process and through a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from model.boxes import Box
from model.errors import ConfigError
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker
from siamfc.cli.frames import Sampling, SourceFrame
from tests.siamfc.cli.conftest import COUNT, Run, pictures
from tests.support.fake_server import FakeServer

BOX = "10,20,8,6"


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, tiny_predictor: Predictor) -> Predictor:
    """The command has the small network instead of the bundled one."""
    monkeypatch.setattr("siamfc.cli.track.make_predictor", lambda *_: tiny_predictor)
    return tiny_predictor


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_through_a_server(run: Run, server: FakeServer, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = run("track", folder, "--box", BOX, "--server", server.url, "--json", out, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert [line["frame_index"] for line in lines(out.read_text())] == list(range(COUNT))
    assert [line["targets"][0]["box"] for line in lines(out.read_text())] == [[10 + k, 20, 8, 6] for k in range(COUNT)]
    assert set(lines(out.read_text())[0]["targets"][0]) == {"id", "box", "score", "status"}
    # The files' own bytes were sent, and nothing is left behind.
    assert server.created == [(folder / "8.png").read_bytes()]
    assert server.frames == [(folder / f"{index}.png").read_bytes() for index in range(9, 13)]
    assert server.sessions == {}


def test_a_video_through_a_server(run: Run, server: FakeServer, video: Path) -> None:
    result = run("track", video, "--box", BOX, "--server", server.url)
    assert (result.exit_code, len(lines(result.stdout))) == (0, COUNT)
    assert all(frame.startswith(b"\xff\xd8") for frame in server.frames)
    assert server.corners == [None] * (COUNT - 1)


def test_a_video_goes_in_parts_to_a_server_that_takes_them(run: Run, server: FakeServer, video: Path) -> None:
    server.script.parts, server.script.window = True, 1
    result = run("track", video, "--box", BOX, "--server", server.url)
    assert [line["targets"][0]["box"] for line in lines(result.stdout)] == [[10 + k, 20, 8, 6] for k in range(COUNT)]
    # The first answer says what is wanted.
    assert server.corners[1:] != [None] * (COUNT - 2)


def test_in_process(run: Run, in_process: Predictor, folder: Path) -> None:
    result = run("track", folder, "--box", BOX, "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
    tracker = SingleTracker(in_process)
    frames = [frame[..., ::-1].copy() for frame in pictures()]
    tracks = [tracker.start(frames[0], Box(10, 20, 8, 6)), *map(tracker.update, frames[1:])]
    assert lines(result.stdout) == [
        {"frame_index": k, "targets": [{"id": "0", "box": t.box.as_list(), "score": t.score, "status": t.status}]}
        for k, t in enumerate(tracks)
    ]


def test_an_overlay_video_alone_prints_nothing(run: Run, in_process: Predictor, video: Path, tmp_path: Path) -> None:
    result = run("track", video, "--box", BOX, "--video", tmp_path / "out.mp4", "-q")
    assert (result.exit_code, result.output) == (0, "")
    capture = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == COUNT
    capture.release()


@pytest.mark.parametrize("where", ["here", "server"])
def test_a_frame_that_cannot_be_decoded(
    run: Run, server: FakeServer, in_process: Predictor, folder: Path, tmp_path: Path, where: str
) -> None:
    (folder / "10.png").write_bytes(b"no image")
    out = tmp_path / "out.jsonl"
    remote = ("--server", server.url) if where == "server" else ()
    result = run("track", folder, "--box", BOX, "--json", out, *remote)
    assert result.exit_code == 2
    assert str(folder / "10.png") in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(lines(out.read_text())) == 2
    assert server.sessions == {}


@pytest.mark.parametrize("where", ["here", "server"])
def test_a_first_frame_that_cannot_be_decoded_is_named(
    run: Run, server: FakeServer, in_process: Predictor, folder: Path, where: str
) -> None:
    (folder / "8.png").write_bytes(b"no image")
    remote = ("--server", server.url) if where == "server" else ()
    result = run("track", folder, "--box", BOX, *remote)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith(f"siamfc: {folder / '8.png'}: ")


def test_the_frame_of_a_refused_box_is_named(run: Run, in_process: Predictor, folder: Path) -> None:
    result = run("track", folder, "--box", "500,20,8,6")
    assert result.stderr.startswith(f"siamfc: {folder / '8.png'}: the box does not overlap")


def test_a_frame_of_another_size(run: Run, in_process: Predictor, folder: Path) -> None:
    cv2.imwrite(str(folder / "9.png"), np.zeros((20, 30, 3), np.uint8))
    result = run("track", folder, "--box", BOX)
    assert result.exit_code == 2
    assert "9.png: is 30 x 20; the first frame is 64 x 48" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        pytest.param(["--box", "500,20,8,6"], "does not overlap", id="off the frame"),
        pytest.param(["--box", "1,2,3"], "four numbers", id="three numbers"),
        pytest.param(["--box", "1,2,3,x"], "four numbers", id="no number"),
        pytest.param(["--box", "1,2,3,nan"], "not finite", id="nan"),
        pytest.param(["--box", "1,2,0,4"], "at least 1 pixel", id="no width"),
        pytest.param(["--box", "0.1,0.2,0.3,0.4"], "0..1? pixels of the frame are meant", id="shares of the frame"),
        pytest.param(["--box", "[1,2,3,4"], "four numbers", id="half a pair of brackets"),
        pytest.param(["--box", "1,,2,3"], "four numbers", id="a comma too many"),
        pytest.param(["--box", "1 2 3"], "four numbers", id="three with spaces"),
        pytest.param([], "--box", id="no box"),
        pytest.param(["--box", BOX, "--json", "/no/such/folder/x"], "/no/such/folder/x", id="no place to write"),
        pytest.param(["--box", BOX, "--server", "localhost:8000"], "http", id="no url"),
        pytest.param(["--box", BOX, "--server", "http://h", "--device", "cpu"], "--device", id="here and there"),
        pytest.param(["--box", BOX, "--api-key", "k"], "--server", id="a key for nobody"),
        pytest.param(["--box", BOX, "--weights", "/no/such.safetensors"], "/no/such", id="no weights"),
    ],
)
def test_wrong_input(run: Run, in_process: Predictor, folder: Path, arguments: list[str], part: str) -> None:
    result = run("track", folder, *arguments)
    assert result.exit_code == 2
    assert part in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("box", ["[10,20,8,6]", "(10, 20, 8, 6)", "10 20 8 6", " 10,20, 8 ,6 ", "[10.0 20.0 8 6]"])
def test_ways_to_write_a_box(run: Run, in_process: Predictor, folder: Path, box: str) -> None:
    result = run("track", folder, "--box", box, "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines(result.stdout)[0]["targets"][0]["box"] == [10, 20, 8, 6]


def test_a_server_that_is_not_there(run: Run, folder: Path) -> None:
    with FakeServer().running() as gone:
        url = gone.url
    result = run("track", folder, "--box", BOX, "--server", url)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert url in result.stderr


class Endless:
    """A source that is interrupted after three frames."""

    files: tuple[Path, ...] = ()
    total, fps, fault = None, 30.0, None

    def __init__(self, live: bool) -> None:
        self.live = live

    def frames(self, sampling: Sampling) -> Iterator[SourceFrame]:
        for frame in pictures()[:3]:
            yield SourceFrame("camera", frame)
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("live", "status"),
    [pytest.param(True, 0, id="a camera: done"), pytest.param(False, 130, id="a file: cut short")],
)
def test_ctrl_c_keeps_what_there_is(
    run: Run, in_process: Predictor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, live: bool, status: int
) -> None:
    monkeypatch.setattr("siamfc.cli.tracking.open_source", lambda *_: Endless(live))
    out, video = tmp_path / "out.jsonl", tmp_path / "out.mp4"
    result = run("track", "0", "--box", BOX, "--json", out, "--video", video)
    assert result.exit_code == status
    assert result.stderr.startswith("3 frames, " if live else "interrupted after 3 frames, ")
    assert len(lines(out.read_text())) == 3
    capture = cv2.VideoCapture(str(video))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    capture.release()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param(["--runtime", "abacus"], "no runtime 'abacus'", id="no such runtime"),
        pytest.param(["--device", "cpu", "--runtime", "torch", "--precision", "int8"], "needs the runtime", id="int8"),
    ],
)
def test_a_network_that_cannot_be_had(run: Run, folder: Path, options: list[str], reason: str) -> None:
    result = run("track", folder, "--box", BOX, *options)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert reason in result.stderr


def test_the_network_is_asked_for_by_name(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def predictor(weights: Any, *, remembered: object, **options: Any) -> Any:
        asked.append(options)
        raise ConfigError("enough")

    monkeypatch.setattr("model.inference.loading.load_predictor", predictor)
    run("track", folder, "--box", BOX, "--device", "cpu", "--runtime", "openvino", "--precision", "int8")
    run("track", folder, "--box", BOX)
    assert asked == [
        {"device": "cpu", "runtime": "openvino", "precision": "int8"},
        {"device": "auto", "runtime": "auto", "precision": "auto"},
    ]
