"""Windows hold what their regions see, once, and no more than is needed."""

from __future__ import annotations

import numpy as np
import pytest

from model.crops import Region
from model.frames import Frame
from model.windows import frame_windows

FILL = (10.0, 20.0, 30.0)
FACTORS = (1 / 1.0375, 1.0, 1.0375)


@pytest.fixture
def frame(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (480, 640, 3), np.uint8)


def scales(cx: float, cy: float, side: float) -> list[Region]:
    return [Region(cx, cy, side * factor) for factor in FACTORS]


def test_scales_share_one_window_which_is_the_frames_own_memory(frame: np.ndarray) -> None:
    seen = frame_windows(Frame.whole(frame), scales(320, 240, 200), 255, FILL)
    (window,) = seen.images
    assert np.shares_memory(window, frame)
    # The largest region is 207.5 px wide: from 216.25 to 423.75, and two pixels more.
    assert window.shape == (212, 212, 3)
    np.testing.assert_array_equal(window, frame[134:346, 214:426])
    assert seen.numbers[:, 0].tolist() == [0, 0, 0]
    # The first pixel's middle lies half a step inside the region, which begins at (220, 140).
    first = 6 + 200 / 510 - 0.5
    assert seen.numbers[1, 1:7] == pytest.approx([212, 212, first, 200 / 255, first, 200 / 255])
    assert seen.numbers[1, 7:].tolist() == list(FILL)
    assert seen.pixels == 212 * 212


def test_regions_apart_have_a_window_each_end_to_end(frame: np.ndarray) -> None:
    regions = [Region(100, 100, 50), Region(300, 100, 50), Region(300, 300, 50)]
    seen = frame_windows(Frame.whole(frame), regions, 255, FILL)
    assert [window.shape for window in seen.images] == [(54, 54, 3)] * 3
    assert seen.numbers[:, 0].tolist() == [0, 54 * 54, 2 * 54 * 54]


@pytest.mark.parametrize("side", [511, 600, 765, 1200, 3000])
def test_what_is_finer_than_needed_is_reduced_before_it_is_brought(side: float) -> None:
    large = np.full((4000, 4000, 3), 7, np.uint8)
    seen = frame_windows(Frame.whole(large), [Region(2000, 2000, side)], 255, FILL)
    (window,) = seen.images
    assert max(window.shape[:2]) <= 1.5 * 255 + 4
    # Still at least as fine as the crop.
    assert seen.numbers[0, [4, 6]].min() >= 0.99


def test_a_window_is_bounded_by_twice_the_crop(frame: np.ndarray) -> None:
    seen = frame_windows(Frame.whole(np.zeros((2000, 2000, 3), np.uint8)), [Region(1000, 1000, 510)], 255, FILL)
    assert seen.images[0].shape == (514, 514, 3)


def test_regions_that_need_different_reductions_do_not_share(frame: np.ndarray) -> None:
    # 2.04 frame pixels a crop pixel, and below 2 for the others.
    seen = frame_windows(Frame.whole(frame), scales(320, 240, 500), 255, FILL)
    assert len(seen.images) == 2
    assert seen.numbers[0, 0] == seen.numbers[1, 0] == 0
    assert seen.numbers[2, 0] == seen.images[0].shape[0] * seen.images[0].shape[1]


@pytest.mark.parametrize("center", [(-500, 240), (320, 2000), (1e6, 1e6)])
def test_a_region_off_the_frame_has_an_empty_window(frame: np.ndarray, center: tuple[float, float]) -> None:
    seen = frame_windows(Frame.whole(frame), scales(*center, 100), 255, FILL)
    assert seen.pixels == 0
    assert np.isfinite(seen.numbers).all()
    assert seen.numbers[:, 1:3].max() == 0


def test_the_part_inside_the_frame_is_all_that_is_brought(frame: np.ndarray) -> None:
    (window,) = frame_windows(Frame.whole(frame), [Region(0, 480, 100)], 255, FILL).images
    np.testing.assert_array_equal(window, frame[428:480, 0:52])
