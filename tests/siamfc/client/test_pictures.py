"""Encoding and decoding by OpenCV and by Pillow: the same pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamfc.client.pictures import ImageFormat, decoded_grey, encoded
from tests.support.fake_server import RESPONSE_MAP, FakeServer

ROOT = Path(__file__).parents[3]
SMOOTH = np.stack(np.meshgrid(np.arange(40) * 6, np.arange(30) * 8), axis=-1).astype(np.uint8)
COLOUR = np.dstack([SMOOTH, np.full((30, 40), 90, np.uint8)])

TEN_LINES = """
import sys
sys.modules["cv2"] = None
import av
from siamfc import Client

with av.open(sys.argv[1]) as video, Client(sys.argv[2]) as client:
    frames = (frame.to_ndarray(format="bgr24") for frame in video.decode(video=0))
    with client.start(next(frames), box=(10, 20, 8, 6)) as session:
        for result in session.stream(frames, response_maps=True):
            print(result.box, result.target.response_map.tolist())
"""


@pytest.fixture(params=["OpenCV", "Pillow"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With Pillow, OpenCV cannot be imported."""
    if request.param == "Pillow":
        monkeypatch.setitem(sys.modules, "cv2", None)
    name: str = request.param
    return name


@pytest.mark.parametrize("pixels", [pytest.param(COLOUR, id="colour"), pytest.param(COLOUR[..., 0], id="grey")])
@pytest.mark.parametrize(
    ("format", "quality", "mean_error"),
    [
        pytest.param(".jpg", 95, 3, id="jpeg"),
        pytest.param(".png", 95, 0, id="png"),
        pytest.param(".webp", 101, 0, id="exact webp"),
        pytest.param(".webp", 90, 5, id="webp"),
    ],
)
def test_pixels_come_back(library: str, pixels: np.ndarray, format: ImageFormat, quality: int, mean_error: int) -> None:
    data = encoded(pixels, format, quality)
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR if pixels.ndim == 3 else cv2.IMREAD_GRAYSCALE)
    assert back is not None
    assert np.abs(back.astype(int) - pixels).mean() <= mean_error


def test_a_part_of_an_array_is_encoded_as_it_looks(library: str) -> None:
    part = COLOUR[::2, ::-1]
    back = cv2.imdecode(np.frombuffer(encoded(part, ".png", 0), np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert np.array_equal(back, part)


def test_too_large_for_the_format(library: str) -> None:
    with pytest.raises(ValueError):
        encoded(np.zeros((1, 70_000), np.uint8), ".webp", 90)


def test_grey_is_read(library: str) -> None:
    assert np.array_equal(decoded_grey(cv2.imencode(".png", RESPONSE_MAP)[1].tobytes()), RESPONSE_MAP)


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image(library: str, data: bytes) -> None:
    with pytest.raises(ValueError):
        decoded_grey(data)


def test_a_video_is_tracked_on_a_server_without_opencv(tmp_path: Path, server: FakeServer) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.0, (64, 48))
    for level in range(3):
        writer.write(np.full((48, 64, 3), 40 * level, np.uint8))
    writer.release()
    call = [sys.executable, "-c", TEN_LINES, str(path), server.url]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    lines = [f"{(10.0 + k, 20.0, 8.0, 6.0)} {RESPONSE_MAP.tolist()}" for k in (1, 2)]
    assert done.stdout.splitlines() == lines, done.stderr
