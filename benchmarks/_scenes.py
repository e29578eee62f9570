"""Rendered scenes with exact boxes: a detail of one photograph moves over another photograph.

`model.data.rendered` renders them from the photographs inside scikit-image. Boxes are 0-indexed float pixels
`[x, y, w, h]`.
"""

from __future__ import annotations

import numpy as np

from model.arrays import RgbImage
from model.data.rendered import Place, Scene, along, detail, photograph, render


def face() -> RgbImage:
    """The astronaut's face, uint8 RGB [64, 52, 3]."""
    return detail(photograph("astronaut"), (170, 60, 104, 128), (52, 64))


def cup() -> RgbImage:
    """The coffee's cup from above, uint8 RGB [56, 80, 3]."""
    return detail(photograph("coffee"), (180, 60, 240, 168), (80, 56))


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
    cover = detail(photograph("retina"), (500, 500, 300, 150), (60, 30))
    hidden = [
        Place(place.cx, place.cy + 16) if frames // 2 <= index < frames // 2 + frames // 6 else None
        for index, place in enumerate(path)
    ]
    return render(photograph("chelsea", 320), face(), path, cover, hidden)
