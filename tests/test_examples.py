"""The examples run."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamfc import Client
from tests.support.fake_server import FakeServer

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.0, (64, 48))
    for level in range(4):
        writer.write(np.full((48, 64, 3), 40 * level, np.uint8))
    writer.release()
    return path


def test_track_video(clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer().running() as server:
        monkeypatch.setattr("siamfc.Client", lambda _: Client(server.url))
        monkeypatch.setattr(sys, "argv", ["track_video.py", str(clip), "10,20,8,6"])
        runpy.run_path(str(EXAMPLES / "track_video.py"))
        assert server.sessions == {}
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"{k} tracking ({10.0 + k}, 20.0, 8.0, 6.0)" for k in (1, 2, 3)]


def test_the_webcam_example_says_what_it_lacks() -> None:
    """The project's own OpenCV has no windows."""
    command = [sys.executable, str(EXAMPLES / "webcam_client.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "opencv-python-headless" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_every_example_is_listed(name: str) -> None:
    assert f"`{name}`" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg here")
def test_ffmpeg_pipe(clip: Path, tmp_path: Path) -> None:
    """The three processes of the example's first lines, over real pipes."""
    out = tmp_path / "out.mp4"
    with FakeServer().running() as server:
        ffmpeg = ["ffmpeg", "-loglevel", "error"]
        raw = ["-f", "rawvideo", "-pix_fmt", "bgr24"]
        example = [sys.executable, str(EXAMPLES / "ffmpeg_pipe.py"), "64x48", "10,20,8,6", server.url]
        first = subprocess.Popen([*ffmpeg, "-i", str(clip), *raw, "-"], stdout=subprocess.PIPE)
        middle = subprocess.Popen(example, stdin=first.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        last = [*ffmpeg, *raw, "-s", "64x48", "-r", "12", "-i", "-", "-pix_fmt", "yuv420p", str(out)]
        assert subprocess.run(last, stdin=middle.stdout, timeout=60, check=False).returncode == 0
        with middle, first:
            assert middle.stderr is not None
            lines = [json.loads(line) for line in middle.stderr]
        assert (first.returncode, middle.returncode) == (0, 0)
        assert server.sessions == {}
    assert [(line["frame_index"], line["box"][0], line["found"]) for line in lines] == [
        (index, 10 + index, True) for index in range(4)
    ]
    video = cv2.VideoCapture(str(out))
    shown = [frame for there, frame in iter(video.read, (False, None)) if there]
    video.release()
    assert len(shown) == 4
    # The box is drawn: green on black.
    assert shown[0][20, 14, 1] > 100
