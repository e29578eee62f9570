"""Windows and frames by hand, and crops that are the same from a part as from the whole frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.crops import Region, cut
from model.frames import Frame, Window
from model.windows import frame_windows

FILL = (10.0, 20.0, 30.0)
SIZE = (120, 90)
PIXELS = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)


def part_of(pixels: np.ndarray, left: int, top: int, right: int, bottom: int) -> Frame:
    """A part of a frame, copied."""
    size = pixels.shape[1], pixels.shape[0]
    return Frame(pixels[top:bottom, left:right].copy(), size, Window(left, top, right, bottom))


@pytest.mark.parametrize(
    ("inner", "inside"),
    [
        pytest.param(Window(2, 3, 8, 9), True, id="the same"),
        pytest.param(Window(4, 4, 5, 5), True, id="smaller"),
        pytest.param(Window(1, 3, 8, 9), False, id="left"),
        pytest.param(Window(2, 2, 8, 9), False, id="above"),
        pytest.param(Window(2, 3, 9, 9), False, id="right"),
        pytest.param(Window(2, 3, 8, 10), False, id="below"),
    ],
)
def test_a_window_holds_what_lies_inside(inner: Window, inside: bool) -> None:
    assert Window(2, 3, 8, 9).holds(inner) == inside


@pytest.mark.parametrize(
    ("window", "size", "area"),
    [
        pytest.param(Window(2, 3, 8, 10), (6, 7), 42, id="some"),
        pytest.param(Window(2, 3, 2, 10), (0, 7), 0, id="no width"),
        pytest.param(Window(9, 9, 2, 3), (-7, -6), 0, id="backwards"),
    ],
)
def test_size_and_area(window: Window, size: tuple[int, int], area: int) -> None:
    assert (window.size, window.area, window.empty) == (size, area, area == 0)


def test_a_whole_frame_is_complete_and_a_part_is_not() -> None:
    whole = Frame.whole(PIXELS)
    assert (whole.size, whole.part, whole.complete) == (SIZE, Window(0, 0, *SIZE), True)
    assert not part_of(PIXELS, 0, 0, 120, 89).complete
    assert part_of(PIXELS, 0, 0, 120, 90).complete


def test_a_scaled_frame_keeps_the_frames_own_size() -> None:
    scaled = Frame.whole(PIXELS[::2, ::2], SIZE, 2)
    assert (scaled.size, scaled.complete, scaled.part) == (SIZE, True, Window(0, 0, 120, 90))


def test_what_is_seen_has_two_pixels_around_it() -> None:
    assert Frame.whole(PIXELS).seen(10.5, 20.0, 7.0) == Window(8, 18, 20, 29)
    assert Frame.whole(PIXELS).seen(-3.0, 85.0, 10.0) == Window(0, 83, 9, 90)


def test_what_is_seen_of_a_part_ends_with_it() -> None:
    part = part_of(PIXELS, 12, 20, 18, 80)
    seen = part.seen(10.5, 20.0, 7.0)
    assert seen == Window(12, 20, 18, 29)
    np.testing.assert_array_equal(part.view(seen), PIXELS[20:29, 12:18])


def test_what_is_seen_of_a_scaled_part_lies_on_its_grid() -> None:
    part = Frame(PIXELS[6:86:4, 10:110:4].copy(), SIZE, Window(10, 6, 110, 86), 4)
    seen = part.seen(31.0, 30.0, 8.0)
    # From pixel 5 (30..34) to pixel 7 (38..42), and two more on either side; the rows likewise.
    assert seen == Window(10 + 4 * 3, 6 + 4 * 4, 10 + 4 * 10, 6 + 4 * 10)
    np.testing.assert_array_equal(part.view(seen), part.pixels[4:10, 3:10])


@pytest.mark.parametrize("place", [(-500, 40), (60, 500), (1e6, -1e6)])
def test_nothing_is_seen_away_from_a_part(place: tuple[float, float]) -> None:
    part = part_of(PIXELS, 12, 20, 40, 80)
    seen = part.seen(*place, 30.0)
    assert seen.empty
    assert part.view(seen).shape == (0, 0, 3)


regions = st.builds(Region, st.floats(-20, 140), st.floats(-20, 110), st.floats(3, 150))


@given(regions, st.sampled_from([7, 31]), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_crops_of_a_part_that_shows_enough_have_the_whole_frames_digits(
    region: Region, size: int, left: int, top: int, right: int, bottom: int
) -> None:
    whole = Frame.whole(PIXELS)
    seen = region.seen_in(whole)
    if seen.empty:
        seen = Window(0, 0, 1, 1)
    part = part_of(
        PIXELS,
        max(0, seen.left - left),
        max(0, seen.top - top),
        min(SIZE[0], seen.right + right),
        min(SIZE[1], seen.bottom + bottom),
    )
    scales = [Region(region.cx, region.cy, region.side * factor) for factor in (0.9, 1.0)]
    np.testing.assert_array_equal(cut(part, scales, size, FILL), cut(whole, scales, size, FILL))
    ours, theirs = frame_windows(part, scales, size, FILL), frame_windows(whole, scales, size, FILL)
    np.testing.assert_array_equal(ours.numbers, theirs.numbers)
    assert all(map(np.array_equal, ours.images, theirs.images))


def test_outside_a_part_is_filled() -> None:
    part = part_of(PIXELS, 30, 20, 60, 50)
    (pixels,) = cut(part, [Region(30, 35, 20)], 20, FILL)
    np.testing.assert_array_equal(pixels[:, 10:], PIXELS[25:45, 30:40])
    assert (pixels[:, :10] == FILL).all()


@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_a_scaled_image_is_read_where_the_whole_one_is(shrink: int) -> None:
    # Brightness says where a pixel lies; the incomplete last column belongs to the grid of the others.
    width, height = 1003, 605
    across = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    pixels = np.stack([across, across, across], -1)
    padded = np.pad(pixels, ((0, -height % shrink), (0, -width % shrink), (0, 0)), "edge")
    small = padded.reshape(padded.shape[0] // shrink, shrink, padded.shape[1] // shrink, shrink, 3).mean((1, 3))
    whole = Frame.whole(pixels.astype(np.uint8))
    scaled = Frame(small.astype(np.uint8), (width, height), Window(0, 0, width, height), shrink)
    for cx in (100.0, 500.5, 930.0):
        region = Region(cx, 300.0, 16.0 * shrink)
        ours, theirs = (cut(frame, [region], 16, FILL)[0].astype(float) for frame in (scaled, whole))
        inside = theirs[:, :, 0] != FILL[0]
        assert np.abs(ours - theirs)[inside].max() <= 2
