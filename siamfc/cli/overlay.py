"""The overlay video of `siamfc track`: every frame with its boxes, coloured by status, and their scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from siamfc.cli.failures import InputError

COLOURS = {"tracking": (80, 200, 60), "uncertain": (0, 180, 255), "lost": (60, 60, 230)}
"""BGR by status."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FAR = 32_000


def draw(frame: NDArray[np.uint8], targets: list[dict[str, Any]]) -> NDArray[np.uint8]:
    """A copy of a frame, uint8 BGR [H, W, 3], with the targets drawn on it."""
    drawn = frame.copy()
    thickness = max(1, round(min(frame.shape[:2]) / 240))
    for target in targets:
        colour = COLOURS.get(target["status"], (200, 200, 200))
        x, y, w, h = target["box"]
        # A box may lie anywhere; OpenCV draws within 16 bits.
        corners = np.clip([x, y, x + w, y + h], -_FAR, _FAR).round().astype(int).tolist()
        cv2.rectangle(drawn, tuple(corners[:2]), tuple(corners[2:]), colour, thickness)
        text = f"{target['id']} {target['score']:.2f}"
        place = (max(0, corners[0]), max(12 * thickness, corners[1] - 3 * thickness))
        cv2.putText(drawn, text, place, _FONT, 0.4 * thickness, colour, thickness, cv2.LINE_AA)
    return drawn


class OverlayVideo:
    """An MP4 file that takes frames one by one; the first says its size."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: NDArray[np.uint8], targets: list[dict[str, Any]]) -> None:
        """Add a frame. Raises InputError where the file cannot be written."""
        if self._writer is None:
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            height, width = frame.shape[:2]
            fourcc = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), fourcc, self._fps, (width, height))
            if not self._writer.isOpened():
                raise InputError(f"{self._path}: cannot be written as an MP4 video")
        self._writer.write(draw(frame, targets))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.release()
