"""Targets as `supervision.Detections`, for that package's annotators, zones and traces."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from supervision import Detections

    from siamfc.client import Target


def detections(targets: Sequence[Target]) -> Detections:
    """N targets of one frame; see `Result.to_supervision`. Raises ImportError, naming the package."""
    try:
        from supervision import Detections
    except ModuleNotFoundError as error:
        raise ImportError("to_supervision needs the package supervision: pip install supervision") from error
    boxes = np.array([target.box for target in targets], np.float32).reshape(-1, 4)
    return Detections(
        xyxy=np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]),
        confidence=np.array([target.score for target in targets], np.float32),
        class_id=np.zeros(len(targets), int),
        tracker_id=np.array([number_of(target.id) for target in targets], int),
        data={
            "target": np.array([target.id for target in targets], str),
            "status": np.array([target.status for target in targets], str),
        },
    )


def number_of(target_id: str) -> int:
    """The same number for the same id in every frame: the id itself where it is a short number, else its CRC-32."""
    if target_id.isascii() and target_id.isdecimal() and len(target_id) < 10:
        return int(target_id)
    return zlib.crc32(target_id.encode())
