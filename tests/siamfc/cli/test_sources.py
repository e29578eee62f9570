"""Where frames come from."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model.errors import ModelError
from siamfc.cli.failures import InputError
from siamfc.cli.frames import SourceFrame
from siamfc.cli.sources import Camera, open_source, openable
from siamfc.cli.videos import Video
from tests.siamfc.cli.conftest import COUNT, Run, pictures
from tests.support.fake_server import FakeServer
from tests.support.videos import BOX, write_video


def test_a_folders_images_in_natural_order_as_they_are(folder: Path) -> None:
    source = open_source(str(folder))
    frames = list(source.frames())
    assert [Path(frame.label).name for frame in frames] == ["8.png", "9.png", "10.png", "11.png", "12.png"]
    assert [frame.content for frame in frames] == [Path(frame.label).read_bytes() for frame in frames]
    assert (source.total, source.live) == (COUNT, False)


def test_both_channel_orders(folder: Path) -> None:
    (frame, *_) = open_source(str(folder)).frames()
    assert np.array_equal(frame.bgr(), pictures()[0])
    assert np.array_equal(frame.rgb(), pictures()[0][..., ::-1])
    pixels = SourceFrame("camera", pictures()[0])
    assert np.array_equal(pixels.rgb(), frame.rgb())


def test_a_frame_s_size(folder: Path) -> None:
    (frame, *_) = open_source(str(folder)).frames()
    assert frame.size() == SourceFrame("camera", pictures()[0]).size() == (64, 48)
    with pytest.raises(InputError, match="a file: the image does not say its size"):
        SourceFrame("a file", b"no image").size()


def test_without_opencv_an_image_file_s_pixels_are_missed_and_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (frame, *_) = open_source(str(folder)).frames()
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.delitem(sys.modules, "model.opencv_images", raising=False)
    with pytest.raises(InputError, match=r"needs cv2, which is not installed: pip install 'siamfc-service\[opencv\]'"):
        frame.bgr()


def test_a_video(video: Path) -> None:
    source = open_source(str(video))
    assert (source.total, source.fps, source.live) == (COUNT, 12.0, False)
    assert len(list(source.frames())) == COUNT


class Capture:
    """A capture that gives two frames and then none, and knows nothing of itself."""

    def __init__(self) -> None:
        self.left, self.released = 2, False

    def get(self, _: int) -> float:
        return 0.0

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return self.left >= 0, np.zeros((2, 2, 3), np.uint8)

    def release(self) -> None:
        self.released = True


def test_a_camera() -> None:
    capture = Capture()
    source = Camera("camera 0", capture)
    assert (source.total, source.fps, source.live) == (None, 30.0, True)
    assert [frame.label for frame in source.frames()] == ["camera 0, frame 0", "camera 0, frame 1"]
    assert capture.released
    assert source.fault is not None
    assert (source.fault.status, source.fault.message) == (
        1, "camera 0: stopped after 2 frames: unplugged, or taken by another?",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: path / "nothing", "no such file or folder", id="nothing there"),
        pytest.param(lambda path: path, "no JPEG, PNG or WebP images", id="no images"),
        pytest.param(lambda path: _file(path / "one.jpg"), "is one image", id="one image"),
        pytest.param(lambda path: _file(path / "broken.mp4"), "cannot be opened as a video", id="no video"),
        pytest.param(lambda path: _socket(path / "s"), "is a socket, not a video file", id="a socket"),
        pytest.param(lambda _: "/dev/null", "is a device, not a video file", id="a device"),
        pytest.param(lambda path: _file(path / "color" / "1.jpg").parents[1], "color", id="a VOT sequence's folder"),
        pytest.param(lambda path: _empty(path / "2.jpg").parent, "2.jpg: the image file is empty", id="an empty image"),
        pytest.param(lambda path: _file(path / "img" / "1.jpg").parents[1], "there is", id="a sequence's folder"),
    ],
)
def test_what_is_no_source(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises((InputError, ModelError)) as caught:
        open_source(str(make(tmp_path)))
    assert message in str(caught.value)


@pytest.mark.parametrize("method", ["rgb", "bgr"])
@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_broken_image_is_named(method: str, content: bytes) -> None:
    with pytest.raises(InputError) as caught:
        getattr(SourceFrame("0007.jpg", content), method)()
    assert "0007.jpg" in caught.value.message


def test_a_terminal_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(InputError, match="stdin, which is a terminal here"):
        openable("-")


SIAMFC = [sys.executable, "-c", "from siamfc.cli import main; main()"]


@pytest.mark.parametrize("ending", ["mkv", "ts", "nut", "y4m", "mjpeg", "mp4"])
def test_stdin(ending: str, tmp_path: Path, server: FakeServer) -> None:
    codec = {"y4m": "wrapped_avframe", "mjpeg": "mjpeg"}.get(ending, "libx264")
    pixels = "yuvj420p" if ending == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / f"clip.{ending}", codec, frames=6, faststart=True, pixels=pixels)
    done = subprocess.run(
        [*SIAMFC, "track", "-", "--box", BOX, "--format", "csv", "--server", server.url],
        input=path.read_bytes(), capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 7


def test_a_named_pipe(run: Run, tmp_path: Path, server: FakeServer) -> None:
    data = write_video(tmp_path / "clip.mkv", frames=6).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[data])
    writer.start()
    result = run("track", tmp_path / "pipe", "--box", BOX, "--format", "csv", "--server", server.url)
    writer.join(10)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 7)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "stdin: cannot be read as a video", id="nothing"),
        pytest.param(b"<html>" * 500, "a pipe takes what is read from front to back", id="a web page"),
    ],
)
def test_a_pipe_without_a_video(data: bytes, message: str) -> None:
    pipe = io.BytesIO(data)
    with pytest.raises(InputError, match=message):
        Video("stdin", pipe=pipe)
    assert pipe.closed


def test_a_file_that_stdin_reads_is_no_output(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", frames=3)
    before = path.read_bytes()
    with path.open("rb") as file:
        done = subprocess.run(
            [*SIAMFC, "track", "-", "--box", BOX, "--video", str(path)],
            stdin=file, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert (done.returncode, path.read_bytes()) == (2, before)
    assert "is the same file as the input" in done.stderr


def _socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _file(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"nothing")
    return path
