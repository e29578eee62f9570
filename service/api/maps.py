"""Response maps as clients see them: a PNG and its place in the frame."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from model.score_map import upscale
from service.sessions.results import Evidence
from service.sessions.tracker_model import TrackerModel
from service.wire.messages import TargetState


def with_map(state: TargetState, evidence: Evidence | None, model: TrackerModel) -> TargetState:
    """Add the response map and its box, in frame pixels; a target that was not searched for stays without."""
    if evidence is None:
        return state
    maps = evidence.response.maps
    assert maps is not None
    scale = evidence.peak.scale
    region = model.tracker.map_region(evidence.search, scale)
    left, top = region.cx - region.side / 2, region.cy - region.side / 2
    picture = _png(upscale(maps[scale], model.tracker.constants.upscale))
    box = [round(number, 3) for number in (left, top, region.side, region.side)]
    return replace(state, response_map=picture, map_box=box)


def _png(logits: NDArray[np.float32]) -> bytes:
    """Encode logits [U, U] as an 8-bit grey PNG: 255 times the logistic function."""
    grey = (255 / (1 + np.exp(-np.clip(logits, -30, 30)))).round().astype(np.uint8)
    return cv2.imencode(".png", grey)[1].tobytes()
