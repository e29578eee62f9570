"""Where frames come from."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.errors import ModelError
from siamfc.cli.failures import InputError
from siamfc.cli.frames import SourceFrame
from siamfc.cli.sources import Camera, open_source
from tests.siamfc.cli.conftest import COUNT, pictures


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
        pytest.param(lambda path: _pipe(path / "pipe.mp4"), "is a pipe, not a video file", id="a pipe"),
        pytest.param(lambda _: "/dev/null", "is a device, not a video file", id="a device"),
        pytest.param(lambda _: "-", "stdin, which cannot be a source", id="stdin"),
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


def _pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _file(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"nothing")
    return path
