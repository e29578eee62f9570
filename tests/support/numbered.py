"""Clips whose every frame says its own number: eight blocks along the top edge, white for a bit that is set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

BITS = 8
BLOCK = 16
TIME_BASE = Fraction(1, 1000)
STEP_MS = 40

Picture = NDArray[np.uint8]


def numbered(picture: Picture, number: int) -> Picture:
    """A copy of the picture, uint8 [height, width, 3], with the number in its top left corner, lowest bit first."""
    marked = picture.copy()
    for bit in range(BITS):
        marked[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
    return marked


def write_clip(
    path: Path,
    codec: str,
    frames: int,
    draw: Callable[[int], Picture],
    *,
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
) -> Path:
    """Write `frames` numbered pictures of `draw` (RGB), 40 ms apart or at `times_ms`; returns `path`.

    `options` are the encoder's, `container` the muxer's.
    """
    height, width = draw(0).shape[:2]
    with av.open(str(path), "w", options=container or {}) as output:
        settings: dict[str, Any] = {"width": width, "height": height, "pix_fmt": "yuv420p", "options": options or {}}
        stream = output.add_stream(codec, rate=Fraction(1000, STEP_MS), **settings)
        assert isinstance(stream, VideoStream)
        stream.codec_context.time_base = TIME_BASE
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(draw(index), index), format="rgb24")
            frame.pts = times_ms[index] if times_ms is not None else index * STEP_MS
            frame.time_base = TIME_BASE
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path
