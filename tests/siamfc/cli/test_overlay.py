"""The overlay: boxes in their status's colour, a file that plays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from siamfc.cli.failures import InputError
from siamfc.cli.overlay import COLOURS, OverlayVideo, draw


def target(box: list[float], status: str = "tracking") -> dict[str, Any]:
    return {"id": "0", "box": box, "score": 0.5, "status": status}


@pytest.mark.parametrize("status", list(COLOURS))
def test_the_statuss_colour(status: str) -> None:
    frame = np.zeros((60, 80, 3), np.uint8)
    drawn = draw(frame, [target([20.2, 30.4, 10, 12], status)])
    assert drawn[30, 25].tolist() == list(COLOURS[status])
    assert drawn[36, 25].tolist() == [0, 0, 0]
    assert not frame.any()


@pytest.mark.parametrize("box", [[-50, -50, 10, 10], [1e6, 1e6, 1e6, 1e6], [-1e5, 3, 2e5, 5], [0, 0, 0.4, 0.4]])
def test_boxes_anywhere(box: list[float]) -> None:
    assert draw(np.zeros((60, 80, 3), np.uint8), [target(box)]).shape == (60, 80, 3)


def test_the_file_plays(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with OverlayVideo(path, 12.0) as video:
        for _ in range(3):
            video.write(np.full((48, 64, 3), 128, np.uint8), [target([5, 20, 20, 20])])
    capture = cv2.VideoCapture(str(path))
    assert [capture.get(key) for key in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FRAME_WIDTH)] == [3, 64]
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12)
    capture.release()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with OverlayVideo(tmp_path / "no" / "out.mp4", 12.0) as video, pytest.raises(InputError, match="cannot be written"):
        video.write(np.zeros((48, 64, 3), np.uint8), [])
