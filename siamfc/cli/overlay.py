"""The overlay video of `siamfc track`, as a file that browsers play."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from siamfc.cli.drawing import Overlay
from siamfc.cli.failures import InputError

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

    from siamfc.client.results import Target

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""What the file's ending means, in FFmpeg's names."""

_X264 = {"preset": "veryfast", "crf": "20"}


class OverlayVideo:
    """A video file in H.264, which browsers play, that takes frames one by one; the first says its size.

    H.264 as players take it has an even width and height: of a frame that has not, the last row or column is doubled.
    """

    def __init__(self, path: Path, fps: float, container: str = "mp4") -> None:
        """`fps`: any positive rate. `container`: one of CONTAINERS' values."""
        self._overlay = Overlay()
        self._path, self._container_name = path, container
        # As close as a clock of 16 bits comes, which every player can count by.
        self._rate = Fraction(fps).limit_denominator(1001)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None

    def write(self, frame: NDArray[np.uint8], targets: Sequence[Target]) -> None:
        """Add a frame. Raises InputError where the file cannot be written."""
        drawn = self._overlay.draw(frame, targets)
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
