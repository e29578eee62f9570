from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from model.training.jpeg import compressed
from tests.support.scenes import photograph


def through(image: np.ndarray, quality: int) -> np.ndarray:
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()
    return compressed(pixels, [quality])[0].permute(1, 2, 0).numpy()


def by_opencv(image: np.ndarray, quality: int) -> np.ndarray:
    # 4:4:4: no subsampled colour.
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    _, data = cv2.imencode(".jpg", image[..., ::-1], options)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("quality", [20, 50, 90])
def test_what_is_lost_is_what_a_real_encoder_loses(quality: int) -> None:
    image = photograph("chelsea", 255)[:160, :160]
    ours, theirs = through(image, quality), by_opencv(image, quality)
    lost = np.abs(theirs.astype(float) - image).mean()
    assert np.abs(ours - theirs).mean() < 0.35 * lost + 0.7
    assert np.abs(ours - image).mean() == pytest.approx(lost, rel=0.15, abs=0.5)


def test_each_image_has_its_own_quality_and_odd_sizes_keep_theirs() -> None:
    image = torch.from_numpy(photograph("coffee", 255)[:99, :99].copy()).permute(2, 0, 1)[None].float()
    both = compressed(image.repeat(2, 1, 1, 1), [10, 95])
    assert both.shape == (2, 3, 99, 99)
    assert (both[0] - image[0]).abs().mean() > 2 * (both[1] - image[0]).abs().mean()
