"""Where `siamfc track` takes its frames from: a folder of images, a video file, a camera, a stream."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamfc.cli.failures import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class SourceFrame:
    """One frame: an image file's bytes as they are, or decoded pixels, uint8 BGR [H, W, 3]. `label` names it."""

    label: str
    content: bytes | Pixels

    def rgb(self) -> Pixels:
        """uint8 RGB [H, W, 3], decoded as the server does. Raises InputError, naming the frame."""
        from model.images import InvalidImageError, decode

        if not isinstance(self.content, bytes):
            return np.ascontiguousarray(self.content[..., ::-1])
        try:
            return decode(self.content)
        except InvalidImageError as error:
            raise InputError(f"{self.label}: {error}") from error

    def bgr(self) -> Pixels:
        """uint8 BGR [H, W, 3] to draw on. Raises InputError, naming the frame."""
        if not isinstance(self.content, bytes):
            return self.content
        data = np.frombuffer(self.content, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
        if image is None:
            raise InputError(f"{self.label}: the image cannot be decoded")
        return np.asarray(image, np.uint8)


@dataclass(frozen=True, slots=True)
class Folder:
    """The images of a folder, in the natural order of their names (2 before 10)."""

    files: tuple[Path, ...]
    live = False
    fps = 30.0

    @property
    def total(self) -> int | None:
        """Frames in all."""
        return len(self.files)

    def frames(self) -> Iterator[SourceFrame]:
        """Every file's bytes, as they are. Raises InputError, naming a file that cannot be read."""
        for path in self.files:
            try:
                yield SourceFrame(str(path), path.read_bytes())
            except OSError as error:
                raise InputError(f"{path}: cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Video:
    """What OpenCV can play: a file to its end, or (live) a camera or stream until it stops or is stopped."""

    name: str
    capture: Any
    live: bool

    @property
    def total(self) -> int | None:
        """Frames in all, as far as the container says."""
        count = 0 if self.live else int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return count if count > 0 else None

    @property
    def fps(self) -> float:
        """Frames a second as the container says, else 30."""
        fps = float(self.capture.get(cv2.CAP_PROP_FPS))
        return fps if 1 <= fps <= 1000 else 30.0

    def frames(self) -> Iterator[SourceFrame]:
        """Every frame until there are no more."""
        index = 0
        try:
            while True:
                there, pixels = self.capture.read()
                if not there:
                    return
                yield SourceFrame(f"{self.name}, frame {index}", pixels)
                index += 1
        finally:
            self.capture.release()


Source = Folder | Video


def open_source(text: str) -> Source:
    """The source of that name. Raises InputError where there is none, or nothing in it can be read."""
    path = Path(text)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise InputError(f"{text} is one image; give the folder of images it is in")
        return _video(text, text, live=False)
    if text.isdecimal():
        return _video(f"camera {text}", int(text), live=True)
    if "://" in text:
        return _video(text, text, live=True)
    raise InputError(f"{text}: no such file or folder, nor a camera's number or a stream's URL")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts numbers inside names by their value: frame2 before frame10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def _folder(path: Path) -> Folder:
    files = [file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
    if not files:
        hint = f"; there is {path / 'img'}" if (path / "img").is_dir() else ""
        raise InputError(f"{path}: no JPEG, PNG or WebP images in this folder{hint}")
    return Folder(tuple(sorted(files, key=lambda file: natural_key(file.name))))


def _video(name: str, where: str | int, *, live: bool) -> Video:
    # OpenCV and FFmpeg would add their own lines to the one that says what is wrong.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(where)
    if not capture.isOpened():
        raise InputError(f"{name}: cannot be opened as a video")
    return Video(name, capture, live)
