"""Rendered sequences with exact truth: a photograph's detail moved over another photograph.

The photographs are those inside scikit-image's wheel; nothing is downloaded. Compositing is exact below the pixel:
a frame pixel shows as much of the target as of its area the target covers. Boxes are 0-indexed float pixels
`[x, y, w, h]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Photograph = Literal["astronaut", "chelsea", "coffee", "rocket", "retina", "hubble_deep_field"]

_SUFFIX = {"rocket": "jpg", "retina": "jpg", "hubble_deep_field": "jpg"}


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """frames: uint8 [height, width, 3] RGB; truth: float64 [N, 4], rows of nan where absent; present: bool [N]."""

    frames: tuple[Image, ...]
    truth: NDArray[np.float64]
    present: NDArray[np.bool_]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self.frames[0].shape[1], self.frames[0].shape[0]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture's centre lies in the frame, and how large it is against its own pixels."""

    cx: float
    cy: float
    scale: float = 1.0


Path2D = Callable[[float], Place]
"""Where something is at time t, 0 at the first frame and 1 at the last."""


@lru_cache(maxsize=16)
def photograph(name: Photograph, width: int = 0) -> Image:
    """A photograph, uint8 [height, width, 3] RGB, resized to `width` where one is given; not to be written to."""
    file = Path(skimage.__file__).parent / "data" / f"{name}.{_SUFFIX.get(name, 'png')}"
    pixels = cv2.imread(str(file), cv2.IMREAD_COLOR)
    assert pixels is not None, f"{file} is not in this scikit-image"
    image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    if width:
        height = round(image.shape[0] * width / image.shape[1])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    image.setflags(write=False)
    return np.asarray(image, np.uint8)


def face() -> Image:
    """The astronaut's face, uint8 [64, 52, 3]."""
    return _detail(photograph("astronaut"), (170, 60, 104, 128), (52, 64))


def cup() -> Image:
    """The coffee's cup from above, uint8 [56, 80, 3]."""
    return _detail(photograph("coffee"), (180, 60, 240, 168), (80, 56))


def _detail(image: Image, box: tuple[int, int, int, int], size: tuple[int, int]) -> Image:
    x, y, w, h = box
    return np.asarray(cv2.resize(image[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA), np.uint8)


def render(
    background: Image,
    target: Image,
    places: Sequence[Place],
    occluder: Image | None = None,
    occlusions: Sequence[Place | None] = (),
) -> Scene:
    """Frames of `target` at each of the places, over `background` and under `occluder` at its places (if any)."""
    frames, truth = [], np.full((len(places), 4), np.nan)
    for index, place in enumerate(places):
        frame = background.astype(np.float32)
        truth[index] = _composite(frame, target, place)
        over = occlusions[index] if index < len(occlusions) else None
        if occluder is not None and over is not None:
            _composite(frame, occluder, over)
        frames.append(np.round(frame).astype(np.uint8))
    height, width = background.shape[:2]
    x, y, w, h = truth.T
    present = (x < width) & (y < height) & (x + w > 0) & (y + h > 0)
    truth[~present] = np.nan
    return Scene(tuple(frames), truth, present)


def _composite(frame: NDArray[np.float32], picture: Image, place: Place) -> tuple[float, float, float, float]:
    """Blend the picture into the frame, in place; returns its box."""
    rows, columns = picture.shape[:2]
    w, h = columns * place.scale, rows * place.scale
    x, y = place.cx - w / 2, place.cy - h / 2
    height, width = frame.shape[:2]
    # Picture index u covers [u, u + 1), so its middle u + 1/2 lies at x + (u + 1/2) * scale in the frame.
    offset = place.scale / 2 - 0.5
    matrix = np.array([[place.scale, 0, x + offset], [0, place.scale, y + offset]])
    moved = cv2.warpAffine(
        picture.astype(np.float32), matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = np.outer(_cover(y, h, height), _cover(x, w, width))[..., None]
    frame[...] = moved * alpha + frame * (1 - alpha)
    return x, y, w, h


def _cover(start: float, length: float, count: int) -> NDArray[np.float32]:
    """How much of each pixel [i, i + 1) the span [start, start + length) covers."""
    left = np.arange(count)
    covered = np.minimum(left + 1, start + length) - np.maximum(left, start)
    return np.clip(covered, 0, 1).astype(np.float32)


def along(path: Path2D, frames: int) -> list[Place]:
    """The places of a path at so many equally spaced times."""
    return [path(index / (frames - 1)) for index in range(frames)]


def translation(frames: int = 24) -> Scene:
    """The face crosses the picture of a cat along a bow, 6 px or less a frame."""
    path = along(lambda t: Place(80 + 120 * t, 110 + 40 * np.sin(np.pi * t)), frames)
    return render(photograph("chelsea", 320), face(), path)


def scale_change(frames: int = 24, growth: float = 1.5) -> Scene:
    """The cup grows by `growth` on the spot, over the rocket."""
    path = along(lambda t: Place(150 + 10 * t, 110, growth**t), frames)
    return render(photograph("rocket", 320), cup(), path)


def occlusion(frames: int = 24) -> Scene:
    """The face drifts; from the middle on, for a sixth of the time, a piece of retina covers its lower half."""
    path = along(lambda t: Place(120 + 60 * t, 100), frames)
    cover = _detail(photograph("retina"), (500, 500, 300, 150), (60, 30))
    hidden = [
        Place(place.cx, place.cy + 16) if frames // 2 <= index < frames // 2 + frames // 6 else None
        for index, place in enumerate(path)
    ]
    return render(photograph("chelsea", 320), face(), path, cover, hidden)


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
