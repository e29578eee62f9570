"""Pillow's images as frames."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from siamfc.adapters.pillow import frame_of


@pytest.mark.parametrize(
    ("mode", "colour", "bgr"),
    [
        pytest.param("RGB", (1, 2, 3), [3, 2, 1], id="colour"),
        pytest.param("L", 7, [7, 7, 7], id="grey"),
        pytest.param("RGBA", (1, 2, 3, 0), [3, 2, 1], id="transparent"),
        pytest.param("1", 1, [255, 255, 255], id="black and white"),
    ],
)
def test_an_image_is_a_bgr_frame(mode: str, colour: int | tuple[int, ...], bgr: list[int]) -> None:
    frame = frame_of(Image.new(mode, (4, 2), colour))
    assert frame.shape == (2, 4, 3)
    assert frame.dtype == np.uint8
    assert frame[1, 3].tolist() == bgr
