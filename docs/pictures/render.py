"""Renders docs/pictures/tracked.png: `python docs/pictures/render.py` in a checkout after `make setup`.

A photograph's cut-out moves over another photograph (both ship inside scikit-image); the bundled weights follow it.
Left: the frame, the truth (thin) and the tracked box. Right: the upscaled correlation map, laid over the part of the
frame that it speaks of.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from model.boxes import Box
from model.checkpoints import bundled_weights, load_weights
from model.frames import Frame
from model.inference.loading import load_predictor
from model.inference.single import start, update
from model.score_map import upscale

Image = NDArray[np.uint8]

SIZE = (640, 426)
FRAMES = 40
TARGET = (92.0, 92.0)
GREEN, WHITE = (80, 220, 120), (255, 255, 255)


def scene(index: int) -> tuple[Image, Box]:
    """Frame `index` and the true box: the cat's face over the coffee table, along an arc."""
    background = cv2.resize(data.coffee(), SIZE, interpolation=cv2.INTER_AREA)
    cat = cv2.resize(data.chelsea()[20:220, 120:320], (int(TARGET[0]), int(TARGET[1])), interpolation=cv2.INTER_AREA)
    part = index / (FRAMES - 1)
    x, y = 70 + 380 * part, 90 + 190 * np.sin(np.pi * part * 0.9)
    mask = np.zeros((cat.shape[0], cat.shape[1], 1), np.float32)
    cv2.ellipse(mask, (46, 46), (43, 43), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    place = np.array([[1, 0, x], [0, 1, y]])
    over = cv2.warpAffine(cat, place, SIZE).astype(np.float32)
    alpha = cv2.warpAffine(mask, place, SIZE)[..., None]
    return np.asarray(over * alpha + background * (1 - alpha), np.uint8), Box(x, y, *TARGET)


def main(picture: Path) -> None:
    """Track the scene, and draw its frame two thirds on to the file `picture`."""
    weights = load_weights(bundled_weights())
    predictor = load_predictor(weights, device="cpu", precision="fp32")
    tracker = weights.tracker
    frame, truth = scene(0)
    track, exemplar = start(predictor, tracker, Frame.whole(frame), truth)
    for index in range(1, FRAMES * 2 // 3):
        frame, truth = scene(index)
        last = update(predictor, tracker, track, exemplar, Frame.whole(frame))
        track = last.track
    region = tracker.map_region(last.search, last.peak.scale)
    left = frame.copy()
    _rectangle(left, truth, WHITE, 1)
    _rectangle(left, track.box, GREEN, 3)
    label = f"{track.status} {track.score:.2f}"
    at = round(track.box.x), round(track.box.y) - 8
    cv2.putText(left, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, GREEN, 2, cv2.LINE_AA)
    right = (frame * 0.35).astype(np.uint8)
    maps = last.response.maps
    assert maps is not None
    heat = _heat(upscale(maps[last.peak.scale], tracker.constants.upscale), round(region.side))
    _lay(right, heat, round(region.cx - region.side / 2), round(region.cy - region.side / 2))
    _rectangle(right, track.box, GREEN, 2)
    both = np.hstack([left, np.full((SIZE[1], 6, 3), 255, np.uint8), right])
    cv2.imwrite(str(picture), cv2.cvtColor(both, cv2.COLOR_RGB2BGR))


def _rectangle(image: Image, box: Box, colour: tuple[int, int, int], thickness: int) -> None:
    corner = round(box.x), round(box.y)
    cv2.rectangle(image, corner, (round(box.x + box.w), round(box.y + box.h)), colour, thickness, cv2.LINE_AA)


def _heat(logits: NDArray[np.float32], side: int) -> Image:
    low, high = float(logits.min()), float(logits.max())
    grey = ((logits - low) / (high - low) * 255).astype(np.uint8)
    coloured = cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(cv2.resize(coloured, (side, side)), cv2.COLOR_BGR2RGB), np.uint8)


def _lay(image: Image, patch: Image, x: int, y: int) -> None:
    height, width = image.shape[:2]
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(width, x + patch.shape[1]), min(height, y + patch.shape[0])
    image[y0:y1, x0:x1] = patch[y0 - y : y1 - y, x0 - x : x1 - x]


if __name__ == "__main__":
    main(Path(__file__).parent / "tracked.png")
