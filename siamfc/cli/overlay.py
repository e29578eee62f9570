"""The overlay video of `siamfc track`: frames with boxes, coloured by status, and scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from siamfc.cli.failures import InputError

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""What the file's ending means, in FFmpeg's names."""

COLOURS = {"tracking": (80, 200, 60), "uncertain": (0, 180, 255), "lost": (60, 60, 230)}
"""The BGR colour of a status."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FAR = 32_000

_X264 = {"preset": "veryfast", "crf": "20"}


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
    """A video file in H.264, which browsers play, that takes frames one by one; the first says its size.

    H.264 as players take it has an even width and height: of a frame that has not, the last row or column is doubled.
    """

    def __init__(self, path: Path, fps: float, container: str = "mp4") -> None:
        """`fps`: any positive rate. `container`: one of CONTAINERS' values."""
        self._path, self._container_name = path, container
        # As close as a clock of 16 bits comes, which every player can count by.
        self._rate = Fraction(fps).limit_denominator(1001)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None

    def write(self, frame: NDArray[np.uint8], targets: list[dict[str, Any]]) -> None:
        """Add a frame. Raises InputError where the file cannot be written."""
        drawn = draw(frame, targets)
        drawn = np.pad(drawn, ((0, drawn.shape[0] % 2), (0, drawn.shape[1] % 2), (0, 0)), "edge")
        with _named(self._path):
            if self._container is None:
                self._open(drawn.shape[1], drawn.shape[0])
            self._encode(av.VideoFrame.from_ndarray(drawn, format="bgr24"))

    def _open(self, width: int, height: int) -> None:
        options = {"movflags": "+faststart"} if self._container_name in ("mp4", "mov") else {}
        self._container = av.open(str(self._path), "w", format=self._container_name, options=options)
        self._stream = self._container.add_stream(
            "libx264", rate=self._rate, width=width, height=height, pix_fmt="yuv420p", options=_X264
        )
        self._container.start_encoding()

    def _encode(self, frame: av.VideoFrame | None) -> None:
        assert self._container is not None
        assert self._stream is not None
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._container is None:
            return
        with _named(self._path):
            try:
                self._encode(None)
            finally:
                self._container.close()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, av.error.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be written as a video: {reason}") from error
