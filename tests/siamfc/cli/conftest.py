"""Inputs of the commands: a folder of frames, a video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from siamfc.cli.program import program

Run: TypeAlias = Callable[..., Result]
"""Runs `siamfc` with those arguments."""

SIZE = (64, 48)
COUNT = 5


def pictures() -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """A bright square on a gradient, moving right by two pixels a frame, uint8 BGR [48, 64, 3]."""
    frames = []
    for index in range(COUNT):
        frame = np.repeat(np.tile(np.arange(64, dtype=np.uint8) * 2, (48, 1))[..., None], 3, axis=2)
        cv2.rectangle(frame, (10 + 2 * index, 20), (18 + 2 * index, 26), (40, 90, 250), -1)
        frames.append(frame)
    return frames


@pytest.fixture
def run() -> Run:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(program, [str(argument) for argument in arguments], prog_name="siamfc")

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Frames 8.png to 12.png, whose natural order is not that of their letters."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, frame in enumerate(pictures()):
        assert cv2.imwrite(str(folder / f"{index + 8}.png"), frame)
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.0, SIZE)
    for frame in pictures():
        writer.write(frame)
    writer.release()
    return path
