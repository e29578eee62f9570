"""Rendered scenes with exact boxes: those of the benchmarks, one more, and a way to write one to disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks._scenes import cup, face, occlusion, scale_change, translation
from model.data.rendered import Photograph, Place, Scene, along, photograph, render

__all__ = [
    "Place",
    "Scene",
    "cup",
    "face",
    "leaving_and_returning",
    "occlusion",
    "photograph",
    "render",
    "scale_change",
    "translation",
    "write_sequence",
]


def leaving_and_returning(frames: int = 36, background: Photograph = "rocket") -> Scene:
    """The face leaves by the right edge and comes back; it is absent for about a fifth of the time."""
    path = along(lambda t: Place(230 + 125 * np.sin(np.pi * t), 100), frames)
    return render(photograph(background, 320), face(), path)


def write_sequence(scene: Scene, folder: Path) -> Path:
    """The scene on disk in the project's own layout, lossless: `folder/img/NNNN.png` and `groundtruth.txt`."""
    images = folder / "img"
    images.mkdir(parents=True)
    for index, frame in enumerate(scene.frames, 1):
        cv2.imwrite(str(images / f"{index:04d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    lines = (",".join(f"{value:.6f}" for value in box) for box in scene.truth)
    (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
