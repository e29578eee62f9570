"""Frames in every form that a caller may give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from siamfc.client.errors import InvalidFrame
from siamfc.client.frames import Encoding, content_type

COLOUR = np.zeros((12, 16, 3), np.uint8) + np.array([200, 30, 60], np.uint8)


def decoded(data: bytes) -> np.ndarray[Any, Any]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


@pytest.mark.parametrize(
    ("encoding", "media"),
    [
        pytest.param(Encoding(), "image/jpeg", id="jpeg"),
        pytest.param(Encoding(".png"), "image/png", id="png"),
        pytest.param(Encoding(".webp", 101), "image/webp", id="webp"),
    ],
)
def test_arrays_are_encoded_as_bgr(encoding: Encoding, media: str) -> None:
    data = encoding.encode(COLOUR)
    assert content_type(data) == media
    assert np.abs(decoded(data).astype(int) - COLOUR).max() <= (2 if media == "image/jpeg" else 0)


def test_grey_arrays_stay_grey() -> None:
    assert decoded(Encoding(".png").encode(COLOUR[..., 0])).shape == (12, 16)


def test_quality_counts(rng: np.random.Generator) -> None:
    noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(Encoding(quality=20).encode(noise)) < len(Encoding(quality=95).encode(noise))


def test_bytes_and_files_are_sent_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "frame.jpg"
    path.write_bytes(b"any bytes")
    assert [Encoding().encode(frame) for frame in (b"any bytes", bytearray(b"any bytes"), path, str(path))] == [
        b"any bytes"
    ] * 4


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        pytest.param(b"", "cannot be empty", id="no bytes"),
        pytest.param("/no/such/file.jpg", "/no/such/file.jpg", id="no such file"),
        pytest.param("a\0b", "cannot be read", id="no path"),
        pytest.param(None, "not NoneType", id="none"),
        pytest.param(COLOUR.astype(np.float32), "float32", id="floats"),
        pytest.param(np.zeros((4, 4, 4), np.uint8), "[4, 4, 4]", id="alpha"),
        pytest.param(np.zeros((0, 4, 3), np.uint8), "[0, 4, 3]", id="no rows"),
    ],
)
def test_what_is_no_frame(frame: Any, message: str) -> None:
    with pytest.raises(InvalidFrame) as caught:
        Encoding().encode(frame)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [pytest.param((".bmp", 95), id="format"), pytest.param((".jpg", 101), id="quality")],
)
def test_bounds(arguments: Any) -> None:
    with pytest.raises(ValueError):
        Encoding(*arguments)


def test_unknown_bytes_have_no_image_type() -> None:
    assert content_type(b"RIFF0000WAVE") == "application/octet-stream"
