from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.boxes import Box
from model.crops import Region, context_side, crop, mean_colour
from model.data.corpus import Corpus
from model.data.records import Member
from model.training.augment import Colour, Layer, Picture, Plan, Props, Shared, plan_view
from model.training.config import AugmentConfig
from model.training.rendering import Decoded, render
from tests.model.conftest import Gallery
from tests.support.scenes import photograph

PLAINLY = Shared(flip=False, grey=False, resolution=1.0, fill="mean")
GEOMETRY = replace(AugmentConfig(), colour=0, blur=0, noise=0, jpeg=0, grey=0, low_resolution=0, truncation=0)
IMAGE, SCENERY, CUTOUT = Member("image"), Member("scenery"), Member("cutout")


def planned(gallery: Gallery, box: Box, shared: Shared, config: AugmentConfig, seed: int = 0) -> Plan:
    picture = Picture(IMAGE, gallery.size(IMAGE), box)
    props = Props(scenery=SCENERY if shared.fill == "scenery" else None)
    return plan_view(picture, (255, 127), shared, props, config, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(3))
def test_without_variation_a_view_is_the_tracker_s_crop(seed: int, plain: AugmentConfig) -> None:
    image = photograph("coffee", 300)
    box = Box(120.5, 60.25, 50, 70)
    gallery = Gallery(image=image)
    plan = planned(gallery, box, PLAINLY, plain, seed)
    step = context_side(box.size, 0.5) / 127
    # The target lies dx, dy off the crop's middle, so the crop's middle lies as far from the target the other way.
    x, y = box.center
    region = Region(x - plan.dx * step, y - plan.dy * step, 255 * step)
    expected = crop(image, region, 255, mean_colour(image))
    assert np.abs(render(plan, gallery).astype(int) - expected).mean() < 1


@given(seed=st.integers(0, 10**6), flip=st.booleans(), resolution=st.sampled_from([1.0, 2.0, 3.5]))
@settings(max_examples=40)
def test_the_target_lies_where_the_plan_says(seed: int, flip: bool, resolution: float) -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    cv2.circle(image, (140, 110), 9, (255, 255, 255), -1, cv2.LINE_AA)
    # A circle drawn at pixel (140, 110) has its middle at (140.5, 110.5).
    box = Box.around((140.5, 110.5), (40, 40))
    gallery = Gallery(image=image)
    plan = planned(gallery, box, Shared(flip, False, resolution, "mean"), GEOMETRY, seed)
    bright = render(plan, gallery)[..., 0].astype(float)
    bright[bright < 60] = 0
    rows, columns = np.indices(bright.shape)
    x = (bright * (columns + 0.5)).sum() / bright.sum() - 127.5
    y = (bright * (rows + 0.5)).sum() / bright.sum() - 127.5
    assert (x, y) == pytest.approx((plan.dx, plan.dy), abs=1.0)


@pytest.mark.parametrize("fill", ["mean", "mirror", "scenery"])
def test_beyond_the_edge_lies_what_was_asked_for(fill: str, plain: AugmentConfig) -> None:
    image = np.full((60, 60, 3), (10, 20, 30), np.uint8)
    image[:, 30:] = (30, 40, 50)
    gallery = Gallery(image=image, scenery=np.full((80, 90, 3), (200, 150, 100), np.uint8))
    shared = Shared(False, False, 1.0, fill)  # type: ignore[arg-type]
    plan = planned(gallery, Box(20, 20, 20, 20), shared, replace(plain, max_shift=0.0))
    corner = tuple(render(plan, gallery)[2, 2].tolist())
    expected = {"mean": (20, 30, 40), "scenery": (200, 150, 100)}
    if fill == "mirror":
        assert corner in ((10, 20, 30), (30, 40, 50))
    else:
        assert corner == expected[fill]


def test_a_truncated_picture_ends_at_its_bounds(plain: AugmentConfig) -> None:
    gallery = Gallery(image=np.full((100, 100, 3), 200, np.uint8))
    plan = planned(gallery, Box(30, 30, 40, 40), PLAINLY, replace(plain, max_shift=0.0))
    gallery.images["image"][:, :50] = 0
    # All that is left of the middle is dark, yet not shown: the mean of the whole is.
    view = render(replace(plan, bounds=(50, 0, 100, 100)), gallery)
    assert (view[127, :120] == 100).all()
    assert (view[127, 135:190] == 200).all()


def test_a_grey_view_has_equal_channels(plain: AugmentConfig) -> None:
    gallery = Gallery(image=photograph("coffee", 200))
    pixels = render(planned(gallery, Box(60, 40, 40, 40), replace(PLAINLY, grey=True), plain), gallery)
    assert np.ptp(pixels, axis=2).max() <= 1


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        pytest.param(Colour(), (100, 50, 150), id="as it is"),
        pytest.param(Colour(grey=True), (76, 76, 76), id="grey"),  # 0.299 * 100 + 0.587 * 50 + 0.114 * 150 = 76.35
        pytest.param(Colour(brightness=1.5), (138, 88, 188), id="half the mean is added"),
        pytest.param(Colour(contrast=0.5), (88, 63, 113), id="half way to the mean"),
        pytest.param(Colour(saturation=0.0), (76, 76, 76), id="no colour left"),
        pytest.param(Colour(tint=(2.0, 1.0, 0.5)), (200, 50, 75), id="tinted"),
        pytest.param(Colour(brightness=4.0), (255, 255, 255), id="clipped"),
    ],
)
def test_colour_by_hand(colour: Colour, expected: tuple[int, ...], plain: AugmentConfig) -> None:
    gallery = Gallery(image=np.full((50, 50, 3), (100, 50, 150), np.uint8))
    plan = replace(planned(gallery, Box(10, 10, 20, 20), PLAINLY, plain), colour=colour)
    assert render(plan, gallery)[100, 100].tolist() == pytest.approx(expected, abs=1)


def test_a_cutout_is_blended_by_alpha(plain: AugmentConfig) -> None:
    cutout = np.full((4, 4, 4), 200, np.uint8)
    cutout[..., 3] = 51  # a fifth
    gallery = Gallery(image=np.full((50, 50, 3), 100, np.uint8), cutout=cutout)
    plan = planned(gallery, Box(10, 10, 20, 20), PLAINLY, plain)
    # Ten pixels of the view a pixel of the cut-out, its corner at (50, 60).
    matrix = np.array([[0.1, 0, 0.05 - 5 - 0.5], [0, 0.1, 0.05 - 6 - 0.5]])
    view = render(replace(plan, cutouts=(Layer(CUTOUT, matrix),)), gallery)
    assert (view[70:90, 60:80] == 120).all()
    assert (view[:, :44] == 100).all()
    assert (view[110:] == 100).all()


def test_all_variation_at_once_leaves_an_image_and_its_source_alone() -> None:
    image = photograph("chelsea", 200)
    before = image.copy()
    cutout = np.dstack([photograph("coffee", 60), np.full((40, 60, 1), 255, np.uint8)])
    gallery = Gallery(image=image, scenery=image, cutout=cutout)
    config = AugmentConfig(blur=1, noise=1, jpeg=1, truncation=1)
    props = Props(SCENERY, (CUTOUT, (60, 40)), (CUTOUT, (60, 40)))
    picture = Picture(IMAGE, (200, 133), Box(60, 40, 50, 40))
    shared = Shared(True, False, 2.0, "scenery")
    plan = plan_view(picture, (255, 127), shared, props, config, np.random.default_rng(0))
    result = render(plan, gallery)
    assert result.shape == (255, 255, 3)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result, render(plan, gallery))


def test_decoded_images_are_kept_and_forgotten(corpus: Corpus) -> None:
    decoded = Decoded(corpus, keep=2)
    first, second, third = (corpus.tracks[0].frames[index] for index in range(3))
    kept = decoded.rgb(first)
    assert decoded.rgb(first) is kept
    assert decoded.size(second) == corpus.rgb(second).shape[1::-1]
    decoded.rgb(first)
    decoded.rgb(third)
    assert decoded.rgb(first) is kept
    assert decoded.size(corpus.cutouts[0].image, 4) == (52, 64)
