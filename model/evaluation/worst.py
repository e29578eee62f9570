"""The worst frames of a run, and pictures of them with the boxes drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from model.arrays import Float64
from model.boxes import iou
from model.evaluation.metrics import scored_frames
from model.evaluation.one_pass import Run
from model.opencv_images import read_bgr

LineColour = tuple[int, int, int]
"""Red, green, blue, 0..255."""


def overlap_by_frame(run: Run) -> Float64:
    """Intersection over union of every frame, float64 [N]; nan in frames that are not scored."""
    overlap = np.full(len(run.boxes), np.nan)
    scored = scored_frames(run.sequence.truth)
    overlap[scored] = np.nan_to_num(iou(run.boxes[scored], run.sequence.truth[scored]), nan=0.0)
    return overlap


def worst_frames(run: Run, count: int = 3, apart: int = 10) -> list[int]:
    """Indexes, in order, of the scored frames with the least overlap, at least `apart` frames from one another.

    The earliest of equals comes first: the frame in which a target is lost, rather than one of the many after it. Fewer
    than `count` if the sequence has no more so far apart.
    """
    overlap = overlap_by_frame(run)
    left = {index for index in range(len(overlap)) if not np.isnan(overlap[index])}
    chosen: list[int] = []
    while left and len(chosen) < count:
        worst = min(left, key=lambda index: (overlap[index], index))
        chosen.append(worst)
        left = {index for index in left if abs(index - worst) >= apart}
    return sorted(chosen)


def picture(frame: Path, boxes: Sequence[tuple[Float64, LineColour]], width: int = 360, quality: int = 80) -> bytes:
    """The image file as JPEG, at most `width` pixels wide, with boxes `x, y, w, h` of its own pixels drawn in.

    A box of nan is left out; later boxes lie over earlier ones. Raises ModelError, naming a file that is no image.
    """
    image = read_bgr(frame)
    scale = min(1.0, width / image.shape[1])
    if scale < 1:
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    for box, colour in boxes:
        if not np.isfinite(box).all():
            continue
        x, y, w, h = box * scale
        corners = np.clip([x, y, x + w, y + h], -1e4, 1e4).round().astype(int).tolist()
        # A dark line under the coloured one, so that it shows on any ground.
        for line, thickness in (((0, 0, 0), 3), (colour[::-1], 1)):
            cv2.rectangle(image, tuple(corners[:2]), tuple(corners[2:]), line, thickness, cv2.LINE_AA)
    written, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert written
    return data.tobytes()
