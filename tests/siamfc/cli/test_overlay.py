"""The overlay video: a file that plays, at any rate."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from siamfc.cli.failures import InputError
from siamfc.cli.overlay import CONTAINERS, OverlayVideo
from siamfc.client import Target
from tests.support.videos import picture

TARGETS = [Target("0", (5.0, 20.0, 20.0, 20.0), 0.5, "tracking")]


def test_the_file_plays(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with OverlayVideo(path, 12.0) as video:
        for _ in range(3):
            video.write(np.full((48, 64, 3), 128, np.uint8), TARGETS)
    capture = cv2.VideoCapture(str(path))
    assert [capture.get(key) for key in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FRAME_WIDTH)] == [3, 64]
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12)
    capture.release()


def written(path: Path, fps: float, size: tuple[int, int] = (64, 48), container: str = "mp4") -> Path:
    with OverlayVideo(path, fps, container) as video:
        for index in range(4):
            video.write(picture(index, size), TARGETS)
    return path


@pytest.mark.parametrize(
    "fps", [0.5, 10, 23.976, 30000 / 1001, 59.94, 66.667, 74.973, 120, 239.761, 1000], ids=lambda fps: f"{fps:g}"
)
def test_any_rate(tmp_path: Path, fps: float) -> None:
    with av.open(str(written(tmp_path / "out.mp4", fps))) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate or 0) == pytest.approx(fps, rel=1e-3)
        assert len(list(container.decode(stream))) == 4


@pytest.mark.parametrize("suffix", list(CONTAINERS))
@pytest.mark.parametrize(("size", "even"), [((64, 48), (64, 48)), ((63, 47), (64, 48)), ((63, 48), (64, 48))])
def test_it_is_what_browsers_play(tmp_path: Path, suffix: str, size: tuple[int, int], even: tuple[int, int]) -> None:
    path = written(tmp_path / f"out{suffix}", 12, size, CONTAINERS[suffix])
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.width, context.height) == ("h264", "yuv420p", *even)
    if suffix in (".mp4", ".m4v"):
        data = path.read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")


def test_nothing_is_written_before_the_first_frame(tmp_path: Path) -> None:
    with OverlayVideo(tmp_path / "out.mp4", 12):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with OverlayVideo(tmp_path / "no" / "out.mp4", 12.0) as video, pytest.raises(InputError, match="cannot be written"):
        video.write(np.zeros((48, 64, 3), np.uint8), [])
