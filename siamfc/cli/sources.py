"""The sources of `siamfc track`: a folder of images, a video file, a pipe, a camera, a stream."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.folders import IMAGE_SUFFIXES, image_files
from siamfc.cli.failures import Failure, InputError, needs_extra
from siamfc.cli.frames import EVERY_FRAME, Sampling, Source, SourceFrame
from siamfc.cli.options import TIMEOUT_S

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Folder:
    """The images of a folder, sorted by name with numbers by value (2 before 10)."""

    files: tuple[Path, ...]
    live = False
    fps = 30.0
    fault = None

    @property
    def total(self) -> int | None:
        """The number of frames."""
        return len(self.files)

    def frames(self, sampling: Sampling = EVERY_FRAME) -> Iterator[SourceFrame]:
        """The files' bytes. Raises InputError, naming a file that cannot be read."""
        for index in range(sampling.start, len(self.files), sampling.every):
            path = self.files[index]
            try:
                yield SourceFrame(str(path), path.read_bytes(), index)
            except OSError as error:
                raise InputError(f"{path}: cannot be read: {error.strerror}") from error


@dataclass(slots=True)
class Camera:
    """A camera, by OpenCV, until it stops or is stopped. `fault` says that it stopped."""

    name: str
    capture: Any
    files: tuple[Path, ...] = field(default=(), init=False)
    live: bool = field(default=True, init=False)
    total: int | None = field(default=None, init=False)
    fault: Failure | None = field(default=None, init=False)

    @property
    def fps(self) -> float:
        """Frames a second as the camera says, else 30."""
        import cv2

        fps = float(self.capture.get(cv2.CAP_PROP_FPS))
        return fps if 1 <= fps <= 1000 else 30.0

    def frames(self, sampling: Sampling = EVERY_FRAME) -> Iterator[SourceFrame]:
        """The frames until the source ends."""
        index = 0
        try:
            while True:
                there, pixels = self.capture.read()
                if not there:
                    self.fault = Failure(f"{self.name}: stopped after {index} frames: unplugged, or taken by another?")
                    return
                if sampling.takes(index):
                    yield SourceFrame(f"{self.name}, frame {index}", pixels, index)
                index += 1
        finally:
            self.capture.release()


def open_source(text: str, timeout_s: float = TIMEOUT_S) -> Source:
    """The source of that name; `timeout_s` bounds the wait for a stream's opening and for each of its frames.

    Raises InputError where there is none, or nothing in it can be read, and Failure where a stream does not answer.
    """
    return openable(text)(timeout_s)


def openable(text: str) -> Callable[[float], Source]:
    """What opens the source of that name, given a time limit. Raises InputError where it is seen to be none."""
    from siamfc.cli.videos import Video

    path = Path(text)
    if text == STDIN:
        return _stdin()
    if path.is_dir():
        folder = _folder(path)
        return lambda _: folder
    if path.is_file():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise InputError(f"{text} is one image; give the folder that holds the images")
        return lambda _: Video(text)
    if path.is_fifo():
        return lambda _: Video(text, pipe=path.open("rb"))
    if path.exists():
        raise InputError(_special(path))
    if text.isdecimal():
        return lambda _: _camera(int(text))
    if "://" in text:
        return lambda timeout_s: Video(text, live=True, timeout_s=timeout_s)
    raise InputError(f"{text}: no such file or folder, and neither a camera's number nor a stream's URL")


def files_of(text: str) -> tuple[Path, ...]:
    """The files that the source of that name reads, as far as there are any; nothing is opened."""
    if text == STDIN:
        return (Path("/dev/stdin"),) if _is_redirected() else ()
    path = Path(text)
    return image_files(path) if path.is_dir() else (path,) if path.is_file() else ()


def _stdin() -> Callable[[float], Source]:
    from siamfc.cli.videos import Video

    if sys.stdin.isatty():
        raise InputError("- is stdin, which is a terminal here; pipe a video into it, or give another source")
    return lambda _: Video("stdin", pipe=open(sys.stdin.fileno(), "rb", closefd=False))


def _is_redirected() -> bool:
    """Whether stdin is a file."""
    try:
        return stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _folder(path: Path) -> Folder:
    files = image_files(path)
    if not files:
        inside = next((path / name for name in ("img", "color") if (path / name).is_dir()), None)
        hint = f"; there is {inside}" if inside is not None else ""
        raise InputError(f"{path}: no JPEG, PNG or WebP images in this folder{hint}")
    return Folder(files)


def _camera(number: int) -> Camera:
    with needs_extra("opencv", "a camera"):
        import cv2
    # OpenCV would add its own lines to the one that says what is wrong.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise InputError(f"camera {number}: cannot be opened; is it there, and not taken by another program?")
    return Camera(f"camera {number}", capture)


def _special(path: Path) -> str:
    """What is there and no file, in a message."""
    mode = path.stat().st_mode
    if path.name.startswith("video") and path.name[5:].isdecimal() and path.parent == Path("/dev"):
        return f"{path}: is a camera's device; give its number, {path.name[5:]}"
    kind = "socket" if stat.S_ISSOCK(mode) else "device"
    return f"{path}: is a {kind}, not a video file; save it to a file first, or give a stream's URL"
