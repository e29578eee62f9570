from __future__ import annotations

import math
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.crops import Region, context_side, crop, cut, mean_colour
from model.frames import Frame

FILL = (10.0, 20.0, 30.0)


@pytest.fixture
def frame(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (40, 60, 3), np.uint8)


def crop_by_loop(frame: np.ndarray, region: Region, size: int, fill: tuple[float, ...]) -> np.ndarray:
    """The plain form: every crop pixel reads the frame bilinearly at its own place."""
    height, width = frame.shape[:2]
    step = region.side / size
    result = np.empty((size, size, 3))

    def pixel(row: int, column: int) -> np.ndarray:
        inside = 0 <= row < height and 0 <= column < width
        return frame[row, column].astype(float) if inside else np.array(fill)

    for v in range(size):
        for u in range(size):
            x = region.cx - region.side / 2 + (u + 0.5) * step - 0.5
            y = region.cy - region.side / 2 + (v + 0.5) * step - 0.5
            left, top = math.floor(x), math.floor(y)
            a, b = x - left, y - top
            upper = (1 - a) * pixel(top, left) + a * pixel(top, left + 1)
            lower = (1 - a) * pixel(top + 1, left) + a * pixel(top + 1, left + 1)
            result[v, u] = (1 - b) * upper + b * lower
    return result


@pytest.mark.parametrize(
    ("size", "context", "expected"),
    [
        pytest.param((30, 40), 0.5, math.sqrt(65 * 75), id="margin 35"),
        pytest.param((20, 20), 0.5, 40.0, id="a square is doubled"),
        pytest.param((9, 16), 0.0, 12.0, id="no margin: the geometric mean"),
    ],
)
def test_context_side_by_hand(size: tuple[float, float], context: float, expected: float) -> None:
    assert context_side(size, context) == pytest.approx(expected)


def test_mean_colour_is_per_channel() -> None:
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[0, 0] = (4, 80, 200)
    assert mean_colour(frame) == (1.0, 20.0, 50.0)


def test_a_region_of_whole_pixels_is_copied(frame: np.ndarray) -> None:
    np.testing.assert_array_equal(crop(frame, Region(25, 20, 16), 16, FILL), frame[12:28, 17:33])


def test_a_region_of_odd_side_is_copied(frame: np.ndarray) -> None:
    np.testing.assert_array_equal(crop(frame, Region(10.5, 9.5, 7), 7, FILL), frame[6:13, 7:14])


def test_half_a_pixel_to_the_right_averages_neighbours() -> None:
    frame = np.tile(np.array([0, 100, 200, 40], np.uint8)[None, :, None], (4, 1, 3))
    # Columns 0..3 from 0.5 on: (0 + 100) / 2, (100 + 200) / 2.
    result = crop(frame, Region(1.5, 2, 2), 2, FILL)
    np.testing.assert_array_equal(result[..., 0], [[50, 150], [50, 150]])


def test_enlarging_twice_reads_at_quarters() -> None:
    frame = np.tile(np.array([0, 100], np.uint8)[:, None, None], (1, 2, 3))
    # Rows at -0.25, 0.25, 0.75, 1.25; the outer ones are a quarter fill.
    result = crop(frame, Region(1, 1, 2), 4, (40, 40, 40))
    np.testing.assert_array_equal(result[:, 1, 0], [10, 25, 75, 85])


def test_what_lies_outside_is_filled(frame: np.ndarray) -> None:
    result = crop(frame, Region(0, 20, 16), 16, FILL)
    np.testing.assert_array_equal(result[:, :8], np.broadcast_to(np.array(FILL), (16, 8, 3)))
    np.testing.assert_array_equal(result[:, 8:], frame[12:28, :8])


@pytest.mark.parametrize(
    "region",
    [Region(-500, 20, 30), Region(20, 1e9, 30), Region(1e12, -1e12, 1e3), Region(-40, -40, 20)],
    ids=["left", "far below", "absurdly far", "diagonal"],
)
def test_far_outside_all_is_fill(frame: np.ndarray, region: Region) -> None:
    assert (crop(frame, region, 8, (10.4, 20.6, 30)) == (10, 21, 30)).all()


def test_a_huge_region_costs_no_more_than_its_crop(frame: np.ndarray) -> None:
    tracemalloc.start()
    result = crop(frame, Region(30, 20, 1e6), 255, FILL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * result.nbytes
    # The frame of 60 x 40 is less than a pixel of 3922 x 3922.
    assert (np.abs(result - np.array(FILL)) > 0).any(axis=2).sum() <= 9


def test_a_huge_frame_is_never_copied() -> None:
    frame = np.zeros((1, 1, 3), np.uint8)
    # 30 GB if anything touched it all: one pixel, seen a hundred thousand times each way.
    huge = np.lib.stride_tricks.as_strided(frame, (100_000, 100_000, 3), (0, 0, 1), writeable=False)
    assert not crop(huge, Region(50_000, 50_000, 100), 50, FILL).any()


def test_shrinking_averages_instead_of_aliasing() -> None:
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    frame = np.repeat(board[..., None], 3, axis=2)
    result = crop(frame, Region(128.3, 127.6, 200), 50, FILL)  # 4 to 1
    assert np.abs(result.astype(int) - 127.5).max() < 20


@pytest.mark.parametrize("step", [2.5, 4, 7.3, 16])
def test_shrinking_keeps_places(step: float) -> None:
    """A slope is what bilinear reading and averaging both keep, so its values tell the place."""
    slope = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))
    size = int(200 / step)
    result = crop(slope, Region(128, 128, size * step), size, FILL)
    expected = 128 - size * step / 2 + (np.arange(size) + 0.5) * step - 0.5
    np.testing.assert_allclose(result[size // 2, :, 0], expected, atol=1.5)


def test_the_frame_is_only_read(frame: np.ndarray) -> None:
    frame.setflags(write=False)
    before = frame.copy()
    for side in (10, 33.3, 400):
        crop(frame, Region(3.2, 38.9, side), 20, FILL)
    np.testing.assert_array_equal(frame, before)


def test_the_crop_shares_no_memory_with_the_frame(frame: np.ndarray) -> None:
    before = frame.copy()
    crop(frame, Region(25, 20, 16), 16, FILL)[...] = 0
    np.testing.assert_array_equal(frame, before)


@given(
    cx=st.floats(-30, 90),
    cy=st.floats(-30, 70),
    step=st.floats(0.05, 2),
    size=st.integers(1, 24),
    seed=st.integers(0, 9),
)
@settings(max_examples=60)
def test_equals_bilinear_reading_by_loop(cx: float, cy: float, step: float, size: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
    region = Region(cx, cy, step * size)
    expected = crop_by_loop(frame, region, size, FILL)
    # OpenCV reads at thirty-seconds of a pixel: at most 255 / 64 off each way, and rounds.
    np.testing.assert_allclose(crop(frame, region, size, FILL), expected, atol=2 * 255 / 64 + 1)


@given(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7), st.floats(1e-3, 1e8))
@settings(max_examples=60)
def test_any_region_gives_a_crop(cx: float, cy: float, side: float) -> None:
    result = crop(np.full((9, 7, 3), 200, np.uint8), Region(cx, cy, side), 15, (200, 200, 200))
    assert result.shape == (15, 15, 3)
    assert (np.abs(result.astype(int) - 200) <= 1).all()


def crop_of_three_channels(frame: np.ndarray, region: Region, size: int) -> np.ndarray:
    """OpenCV's crop of the frame as it is, for regions of at most twice the crop."""
    step = region.side / size
    left, top = region.cx - region.side / 2, region.cy - region.side / 2
    x0, y0 = max(0, math.floor(left) - 2), max(0, math.floor(top) - 2)
    matrix = np.array([[step, 0, left + step / 2 - x0 - 0.5], [0, step, top + step / 2 - y0 - 0.5]])
    part = frame[y0 : math.ceil(top + region.side) + 2, x0 : math.ceil(left + region.side) + 2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(part, matrix, (size, size), flags=flags, borderValue=FILL))


@given(cx=st.floats(5, 55), cy=st.floats(5, 35), side=st.floats(4, 60), seed=st.integers(0, 9))
@settings(max_examples=60)
def test_a_fourth_channel_changes_nothing(cx: float, cy: float, side: float, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
    region = Region(cx, cy, side)
    np.testing.assert_array_equal(crop(frame, region, 31, FILL), crop_of_three_channels(frame, region, 31))


@pytest.mark.parametrize(
    "regions",
    [
        pytest.param([Region(30.3, 20.1, side) for side in (20, 22.4, 25)], id="around one place"),
        pytest.param([Region(2, 38, side) for side in (20, 22.4, 25)], id="over the edge"),
        pytest.param([Region(30, 20, side) for side in (44, 47, 50.5)], id="more than twice the crop"),
        pytest.param([Region(30, 20, side) for side in (23.8, 24, 24.9)], id="some of them more than twice"),
        pytest.param([Region(10, 10, 15), Region(50, 30, 15), Region(30, 20, 15)], id="far apart"),
        pytest.param([Region(-90, 10, 15), Region(50, 30, 15), Region(30, 999, 15)], id="some of them outside"),
        pytest.param([Region(-90, 10, 15)] * 3, id="all outside"),
    ],
)
def test_several_regions_are_as_each_by_itself(frame: np.ndarray, regions: list[Region]) -> None:
    together = cut(Frame.whole(frame), regions, 12, FILL)
    np.testing.assert_array_equal(together, np.stack([crop(frame, region, 12, FILL) for region in regions]))
