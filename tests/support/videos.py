"""Videos rendered by PyAV, whole and broken. A broken one is a whole one with bytes taken away or changed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

FRAMES = 40
SIZE = (64, 48)
BOX = "10,20,12,10"

Change = Callable[[bytes], bytes]


def picture(index: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A bright square that moves over a noisy ground, uint8 BGR: noise, so that a coded frame has some bytes."""
    frame = np.random.default_rng(7).integers(60, 120, (size[1], size[0], 3), np.uint8)
    left = 10 + index % 30
    cv2.rectangle(frame, (left, 20), (left + 11, 29), (40, 90, 250), -1)
    return frame


def write_video(
    path: Path,
    codec: str = "libx264",
    *,
    frames: int = FRAMES,
    rate: Fraction | int = 12,
    size: tuple[int, int] = SIZE,
    faststart: bool = False,
    pixels: str = "yuv420p",
    sound_s: float = 0.0,
) -> Path:
    """Write a video of `picture`s, a key frame in ten, with `sound_s` seconds of silence beside it; returns `path`."""
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, width=size[0], height=size[1], pix_fmt=pixels)
        assert isinstance(stream, VideoStream)
        stream.codec_context.gop_size = 10
        sound = container.add_stream("aac", rate=8000, layout="mono") if sound_s else None
        for index in range(frames):
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture(index, size), format="bgr24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
        if sound is not None:
            samples = av.AudioFrame.from_ndarray(np.zeros((1, int(8000 * sound_s)), np.float32), "fltp", "mono")
            samples.sample_rate = 8000
            for frame in (samples, None):
                for packet in sound.encode(frame):
                    container.mux(packet)
    return path


def cut(share: float) -> Change:
    """Keep the first part of the bytes, as an interrupted copy does."""
    return lambda data: data[: int(len(data) * share)]


def zeroed(start: float, count: int) -> Change:
    """Bytes from that share of the file on become zero, as a bad sector's do."""

    def change(data: bytes) -> bytes:
        first = int(len(data) * start)
        return data[:first] + bytes(count) + data[first + count :]

    return change


def recoded(data: bytes) -> bytes:
    """An AVI of Motion JPEG that says it is coded as something that nobody knows."""
    return data.replace(b"MJPG", b"QQQQ")


_SHORT = r"\d+ of about 40 frames could be read; the file is cut short"

BROKEN: dict[str, tuple[str, str, Change, str]] = {
    "an AVI cut short": ("cut.avi", "mjpeg", cut(0.4), _SHORT),
    "an AVI with a damaged middle": ("hole.avi", "mjpeg", zeroed(0.5, 6000), r"\d+ of about 40 .*could not be decoded"),
    "an AVI of an unknown codec": ("odd.avi", "mjpeg", recoded, "there is no decoder here for its coding"),
    "an MP4 cut short, its index first": ("first.mp4", "faststart", cut(0.5), _SHORT),
    "an MP4 cut short, its index lost": ("last.mp4", "libx264", cut(0.5), "its index is missing"),
    "a WebM cut short": ("cut.webm", "libvpx", cut(0.5), _SHORT),
    "a Matroska cut short": ("cut.mkv", "libx264", cut(0.5), _SHORT),
    "an empty file": ("empty.mp4", "libx264", lambda _: b"", r"it is empty \(0 bytes\)"),
    "a web page": ("page.mp4", "libx264", lambda _: b"<!DOCTYPE html><html>404</html>", "it is a web page"),
    "a Git LFS pointer": ("lfs.mp4", "libx264", lambda _: b"version https://git-lfs.github.com/spec/v1", "LFS pointer"),
}
"""What is wrong, by name: the file, what it is made with, what happens to its bytes, and what is said of it."""


def write_broken(name: str, folder: Path) -> Path:
    """Render the broken video of that name into `folder`."""
    file, codec, change, _ = BROKEN[name]
    path = folder / file
    if codec == "faststart":
        write_video(path, faststart=True)
    else:
        write_video(path, codec, pixels="yuvj420p" if codec == "mjpeg" else "yuv420p")
    path.write_bytes(change(path.read_bytes()))
    return path
