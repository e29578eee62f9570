from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.boxes import Box
from model.crops import Region, context_side, crop, mean_colour
from model.training.augment import Shared, View, make_view, paste
from model.training.config import AugmentConfig
from tests.support.scenes import photograph

PLAINLY = Shared(flip=False, grey=False, resolution=1.0, fill="mean")
GEOMETRY = replace(
    AugmentConfig(), colour=0, blur=0, noise=0, jpeg=0, occluder=0, distractor=0, grey=0, low_resolution=0
)


def view(image: np.ndarray, box: Box, shared: Shared, config: AugmentConfig, seed: int) -> View:
    return make_view(image, box, 255, 127, shared, image, [], config, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(3))
def test_without_variation_a_view_is_the_tracker_s_crop(seed: int, plain: AugmentConfig) -> None:
    image = photograph("coffee", 300)
    box = Box(120.5, 60.25, 50, 70)
    result = view(image, box, PLAINLY, plain, seed)
    step = context_side(box.size, 0.5) / 127
    # The target lies dx, dy off the crop's middle, so the crop's middle lies as far from the target the other way.
    x, y = box.center
    region = Region(x - result.dx * step, y - result.dy * step, 255 * step)
    expected = crop(image, region, 255, mean_colour(image))
    assert np.abs(result.pixels.astype(int) - expected).mean() < 1


@given(seed=st.integers(0, 10**6), flip=st.booleans(), resolution=st.sampled_from([1.0, 2.0, 3.5]))
@settings(max_examples=40)
def test_the_target_lies_where_the_view_says(seed: int, flip: bool, resolution: float) -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    cv2.circle(image, (140, 110), 9, (255, 255, 255), -1, cv2.LINE_AA)
    # A circle drawn at pixel (140, 110) has its middle at (140.5, 110.5).
    box = Box.around((140.5, 110.5), (40, 40))
    result = view(image, box, Shared(flip, False, resolution, "mean"), GEOMETRY, seed)
    bright = result.pixels[..., 0].astype(float)
    bright[bright < 60] = 0
    rows, columns = np.indices(bright.shape)
    x = (bright * (columns + 0.5)).sum() / bright.sum() - 127.5
    y = (bright * (rows + 0.5)).sum() / bright.sum() - 127.5
    assert (x, y) == pytest.approx((result.dx, result.dy), abs=1.0)


def test_shifts_stay_within_bounds_and_reach_them(plain: AugmentConfig) -> None:
    image = np.zeros((50, 50, 3), np.uint8)
    config = replace(plain, max_shift=30.0)
    shifts = np.array([[v.dx, v.dy] for v in (view(image, Box(5, 5, 9, 9), PLAINLY, config, s) for s in range(60))])
    assert np.abs(shifts).max() <= 30
    assert (np.abs(shifts).max(0) > 25).all()


@pytest.mark.parametrize("fill", ["mean", "mirror", "scenery"])
def test_beyond_the_edge_lies_what_was_asked_for(fill: str, plain: AugmentConfig) -> None:
    image = np.full((60, 60, 3), (10, 20, 30), np.uint8)
    image[:, 30:] = (30, 40, 50)
    scenery = np.full((80, 90, 3), (200, 150, 100), np.uint8)
    shared = Shared(False, False, 1.0, fill)  # type: ignore[arg-type]
    config = replace(plain, max_shift=0.0)
    pixels = make_view(
        image, Box(20, 20, 20, 20), 255, 127, shared, scenery, [], config, np.random.default_rng(0)
    ).pixels
    corner = tuple(pixels[2, 2].tolist())
    expected = {"mean": (20, 30, 40), "scenery": (200, 150, 100)}
    if fill == "mirror":
        assert corner in ((10, 20, 30), (30, 40, 50))
    else:
        assert corner == expected[fill]


def test_a_grey_view_has_equal_channels(plain: AugmentConfig) -> None:
    pixels = view(photograph("coffee", 200), Box(60, 40, 40, 40), replace(PLAINLY, grey=True), plain, 0).pixels
    assert np.ptp(pixels, axis=2).max() <= 1


def test_all_variation_at_once_leaves_an_image_and_its_source_alone() -> None:
    image = photograph("chelsea", 200).copy()
    before = image.copy()
    cutout = np.dstack([photograph("coffee", 60), np.full((40, 60, 1), 255, np.uint8)])
    config = AugmentConfig(blur=1, noise=1, jpeg=1, occluder=1, distractor=1)
    shared = Shared(True, False, 2.0, "mirror")
    rng = np.random.default_rng(0)
    result = make_view(image, Box(60, 40, 50, 40), 255, 127, shared, image, [cutout, cutout], config, rng)
    assert result.pixels.shape == (255, 255, 3)
    assert result.pixels.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def test_what_a_pair_shares_follows_its_probabilities() -> None:
    rng = np.random.default_rng(0)
    config = AugmentConfig(flip=0.25, grey=0.0, low_resolution=1.0, mirror_fill=0.5, scenery_fill=0.5)
    drawn = [Shared.draw(config, rng) for _ in range(400)]
    assert np.mean([shared.flip for shared in drawn]) == pytest.approx(0.25, abs=0.07)
    assert not any(shared.grey for shared in drawn)
    assert all(1.3 <= shared.resolution <= 4 for shared in drawn)
    assert {shared.fill for shared in drawn} == {"mirror", "scenery"}


def test_paste_blends_by_alpha_and_clips() -> None:
    pixels = np.full((10, 10, 3), 100, np.uint8)
    cutout = np.full((4, 4, 4), 200, np.uint8)
    cutout[..., 3] = 51  # a fifth
    paste(pixels, cutout, (0, 5), (4, 4))
    np.testing.assert_array_equal(pixels[3:7, :2], np.full((4, 2, 3), 120))
    assert (pixels[:, 2:] == 100).all()
    before = pixels.copy()
    paste(pixels, cutout, (50, 50), (4, 4))
    np.testing.assert_array_equal(pixels, before)
